//! The part of the ledger that some units touch, loaded with locks into the memory model.

use super::db::{Db, Stop};
use super::holders::Me;
use super::text::{self, RUN};
use super::work::Part;
use crate::chained::Reading;
use crate::memory::state::{Name, Run, State};
use oncely_core::chain::{Beginning, key_hash};
use oncely_core::fact::Recorded;
use oncely_core::ids::{Fence, Generation, HolderId, RunId};
use oncely_core::ledger::{Guard, Op, RunRef, RunRow, Unit};
use oncely_core::run::RunState;
use oncely_core::source::Cursor;
use std::collections::{BTreeMap, BTreeSet};

/// What units touch.
#[derive(Default)]
struct Touched {
    turn: bool,
    holder: bool,
    runs: BTreeSet<i64>,
    sources: BTreeSet<String>,
    names: BTreeSet<String>,
}

/// A part of the ledger, and what it was like when it was loaded.
pub(crate) struct Slice {
    pub(crate) state: State,
    /// Each run as it was, and how many facts it had.
    pub(crate) before: BTreeMap<RunId, RunRow>,
    /// This holder had a row.
    pub(crate) registered: bool,
    /// This holder had a row once, and has none any more.
    pub(crate) lost: bool,
}

/// Whether a unit claims what it admits.
pub(crate) fn claims(unit: &Unit) -> bool {
    matches!(unit.ops.first(), Some(Op::Admit(admission)) if admission.claimed)
}

impl Touched {
    fn of(parts: &[Part<'_>]) -> Self {
        let mut touched = Self::default();
        for Part { unit, claims, .. } in parts {
            unit.guards.iter().for_each(|guard| touched.guard(guard));
            unit.ops.iter().for_each(|op| touched.op(op));
            touched.holder |= claims;
        }
        touched.turn |= !touched.sources.is_empty() || !touched.names.is_empty();
        touched
    }

    fn guard(&mut self, guard: &Guard) {
        match guard {
            Guard::Fence(run, _) | Guard::RunSeq(run, _) => {
                self.runs.insert(run.0);
            }
            Guard::Cursor(source, _) => {
                self.sources.insert(source.clone());
            }
            Guard::Generation(..) => self.turn = true,
            Guard::Named(name, _) => {
                self.names.insert(name.clone());
            }
        }
    }

    fn op(&mut self, op: &Op) {
        let run = match op {
            Op::Admit(_) => {
                self.turn = true;
                return;
            }
            Op::Facts { run, .. } | Op::Run { run, .. } => match run {
                RunRef::Id(id) => id,
                RunRef::New => return,
            },
            Op::Wake(run, _)
            | Op::Release(run, _)
            | Op::Items { run, .. }
            | Op::ItemFacts { run, .. } => run,
            Op::Cursor(source, _) => {
                self.sources.insert(source.clone());
                return;
            }
            Op::ReleaseName(name, _) => {
                self.names.insert(name.clone());
                return;
            }
            Op::Store(..) | Op::Sql(_) | Op::Files(_) => return,
        };
        self.runs.insert(run.0);
    }
}

/// Takes the turn: the highest number of a run so far.
pub(crate) async fn take_turn(db: &mut Db) -> Result<i64, Stop> {
    let rows = db
        .rows("select runs from oncely_turn where one = 1 for update", &[])
        .await?;
    Ok(match rows.first() {
        Some(row) => row.try_get(0)?,
        None => 0,
    })
}

impl Slice {
    /// Loads what units touch.
    pub(crate) async fn load(db: &mut Db, me: &Me, parts: &[Part<'_>]) -> Result<Self, Stop> {
        let touched = Touched::of(parts);
        let mut slice = Self::empty();
        if touched.turn {
            slice.state.runs_before = take_turn(db).await?;
        }
        if touched.holder {
            slice.find_me(db, me).await?;
        }
        if touched.turn {
            slice.load_keys(db, parts).await?;
            slice.load_cursors(db, touched.sources).await?;
            slice.load_names(db, touched.names).await?;
        }
        let runs: Vec<i64> = touched.runs.into_iter().collect();
        slice.load_runs(db, &runs).await?;
        Ok(slice)
    }

    /// Nothing of the ledger.
    pub(crate) fn empty() -> Self {
        Self {
            state: State::default(),
            before: BTreeMap::new(),
            registered: false,
            lost: false,
        }
    }

    /// Locks this holder's row, so that nobody frees it while it claims.
    pub(crate) async fn find_me(&mut self, db: &mut Db, me: &Me) -> Result<(), Stop> {
        let text = "select id from oncely_holders where id = $1 for update";
        self.registered = !db.rows(text, &[&me.id().0]).await?.is_empty();
        self.lost = me.standing.registered() && !self.registered;
        if self.registered {
            self.state.holders.insert(me.id(), me.registration());
        }
        Ok(())
    }

    async fn load_keys(&mut self, db: &mut Db, parts: &[Part<'_>]) -> Result<(), Stop> {
        let mut wanted = BTreeMap::new();
        for Part { unit, .. } in parts {
            if let Some(Op::Admit(a)) = unit.ops.first() {
                let hash = key_hash(&a.environment, &a.task, &a.key, Some(a.generation));
                let (e, t, k) = (a.environment.clone(), a.task.clone(), a.key.clone());
                wanted.insert(hash.to_vec(), (e, t, k, a.generation));
            }
            for guard in &unit.guards {
                let Guard::Generation(e, t, k, _) = guard else {
                    continue;
                };
                let first = Generation::FIRST;
                let key = (e.clone(), t.clone(), k.clone(), first);
                wanted.insert(key_hash(e, t, k, Some(first)).to_vec(), key);
                let hash = key_hash(e, t, k, None).to_vec();
                let text = "select highest from oncely_generations where hash = $1";
                if let Some(row) = db.rows(text, &[&hash]).await?.first() {
                    let highest = Generation(text::small(row, 0)?);
                    let key = (e.clone(), t.clone(), k.clone(), highest);
                    self.state.keys.insert(key, RunId(0));
                }
            }
        }
        let hashes: Vec<&Vec<u8>> = wanted.keys().collect();
        let text = "select hash, run from oncely_keys where hash = any($1)";
        for row in db.rows(text, &[&hashes]).await? {
            let hash: Vec<u8> = row.try_get(0)?;
            if let Some(key) = wanted.get(&hash) {
                let run = RunId(row.try_get(1)?);
                self.state.keys.insert(key.clone(), run);
            }
        }
        Ok(())
    }

    async fn load_cursors(&mut self, db: &mut Db, sources: BTreeSet<String>) -> Result<(), Stop> {
        if sources.is_empty() {
            return Ok(());
        }
        let sources: Vec<String> = sources.into_iter().collect();
        let text = "select source, cursor from oncely_cursors where source = any($1)";
        for row in db.rows(text, &[&sources]).await? {
            let cursor = Cursor(row.try_get(1)?);
            self.state.cursors.insert(row.try_get(0)?, cursor);
        }
        Ok(())
    }

    /// Loads names; the turn is held.
    pub(crate) async fn load_names(
        &mut self,
        db: &mut Db,
        names: BTreeSet<String>,
    ) -> Result<(), Stop> {
        if names.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = names.into_iter().collect();
        let text = "select name, holder, fence from oncely_names where name = any($1)";
        for row in db.rows(text, &[&names]).await? {
            let name = Name {
                holder: row.try_get::<_, Option<i64>>(1)?.map(HolderId),
                fence: Fence(row.try_get(2)?),
            };
            self.state.names.insert(row.try_get(0)?, name);
        }
        Ok(())
    }

    /// Loads runs and their facts, locked in the order of their numbers.
    pub(crate) async fn load_runs(&mut self, db: &mut Db, ids: &[i64]) -> Result<(), Stop> {
        if ids.is_empty() {
            return Ok(());
        }
        let text = format!("{RUN} where r.id = any($1) order by r.id for update of r");
        let rows = db.rows(&text, &[&ids]).await?;
        self.add_rows(&rows)?;
        self.load_facts(db, ids).await
    }

    /// Takes rows of runs as loaded, still without facts.
    pub(crate) fn add_rows(&mut self, rows: &[tokio_postgres::Row]) -> Result<(), Stop> {
        for row in rows {
            let row = text::run_row(row)?;
            if self.before.contains_key(&row.id) {
                continue;
            }
            self.before.insert(row.id, row.clone());
            let run = Run {
                row,
                facts: Vec::new(),
                state: RunState::default(),
                broken: false,
            };
            self.state.runs.insert(run.row.id, run);
        }
        Ok(())
    }

    /// Loads the facts of runs that are loaded, and sees whether they are those of their chains.
    pub(crate) async fn load_facts(&mut self, db: &mut Db, ids: &[i64]) -> Result<(), Stop> {
        for (id, reading) in self.read_facts(db, ids).await? {
            let Some(run) = self.state.runs.get_mut(&id) else {
                continue;
            };
            run.broken = !reading.is(&run.row);
            for recorded in &reading.facts {
                run.broken |= run.state.apply(recorded.at, &recorded.fact).is_err();
            }
            run.facts = reading.facts;
        }
        Ok(())
    }

    /// Reads the facts of runs that are loaded, with the chains that they make.
    pub(crate) async fn read_facts(
        &self,
        db: &mut Db,
        ids: &[i64],
    ) -> Result<BTreeMap<RunId, Reading>, Stop> {
        let mut readings = BTreeMap::new();
        for id in ids.iter().map(|id| RunId(*id)) {
            if let Some(run) = self.state.runs.get(&id) {
                let beginning = Beginning::of_row(&run.row).chain();
                readings.insert(id, Reading::of(beginning));
            }
        }
        let text = "select run, at, body, seq from oncely_facts where run = any($1)
                    order by run, seq";
        for row in db.rows(text, &[&ids]).await? {
            let id = RunId(row.try_get(0)?);
            // One that cannot be read is left out, and missed by the chain.
            if let Some(reading) = readings.get_mut(&id)
                && let Ok(Recorded { at, fact }) = text::recorded(&row, 1)
            {
                reading.fact(text::unsigned(&row, 3)?, at, row.try_get(2)?, fact);
            }
        }
        Ok(readings)
    }
}
