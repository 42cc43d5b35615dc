//! The part of the ledger that some units touch, loaded with locks into the memory model.

use super::db::{Db, Stop};
use super::holders::Me;
use super::text::{self, RUN};
use super::volley::first_number;
use crate::chained::Reading;
use crate::memory::state::{Name, Run, State};
use oncely_core::chain::Beginning;
use oncely_core::fact::Recorded;
use oncely_core::ids::{Fence, HolderId, RunId};
use oncely_core::ledger::{Op, RunRow, Unit};
use oncely_core::run::RunState;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;

/// Locks the turn, and gives the highest number of a run so far.
pub(crate) const TURN: &str = "select runs from oncely_turn where one = 1 for update";
/// Locks the row of a holder.
pub(crate) const ME: &str = "select id from oncely_holders where id = $1 for update";
/// Names; the turn is held.
pub(crate) const NAMES: &str = "select name, holder, fence from oncely_names where name = any($1)";

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

/// Takes the turn: the highest number of a run so far.
pub(crate) async fn take_turn(db: &mut Db) -> Result<i64, Stop> {
    first_number(&db.rows(TURN, &[]).await?)
}

impl Slice {
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
        let rows = db.rows(ME, &[&me.id().0]).await?;
        self.add_me(me, !rows.is_empty());
        Ok(())
    }

    /// Whether this holder's row was found.
    pub(crate) fn add_me(&mut self, me: &Me, registered: bool) {
        self.registered = registered;
        self.lost = me.standing.registered() && !registered;
        if registered {
            self.state.holders.insert(me.id(), me.registration());
        }
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
        let rows = db.rows(NAMES, &[&names]).await?;
        self.add_names(&rows)
    }

    /// Takes names as loaded.
    pub(crate) fn add_names(&mut self, rows: &[Row]) -> Result<(), Stop> {
        for row in rows {
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
    pub(crate) fn add_rows(&mut self, rows: &[Row]) -> Result<(), Stop> {
        for row in rows {
            self.add_run(text::run_row(row)?);
        }
        Ok(())
    }

    /// Takes a run as loaded, still without facts.
    pub(crate) fn add_run(&mut self, row: RunRow) {
        if self.before.contains_key(&row.id) {
            return;
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

    /// Whether the row of a run that was loaded is another one by now.
    pub(crate) fn moves_a_run(&self) -> bool {
        let now = |id| self.state.runs.get(id).map(|run| &run.row);
        self.before.iter().any(|(id, row)| now(id) != Some(row))
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
                && let Ok(Recorded { at, fact, .. }) = text::recorded(&row, 1)
            {
                reading.fact(text::unsigned(&row, 3)?, at, row.try_get(2)?, fact);
            }
        }
        Ok(readings)
    }
}
