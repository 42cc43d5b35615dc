//! One unit inside the transaction: guards, then operations on copies of the rows it touches,
//! then the rows are written.

use super::batch::{Stop, Tx};
use super::guards;
use super::keeper::Note;
use super::rows::{self, Standing};
use crate::rules;
use crate::sql::Trouble;
use oncely_core::chain::{Beginning, key_hash};
use oncely_core::fact::Fact;
use oncely_core::ids::{ContentHash, Fence, Generation, RunId};
use oncely_core::ledger::{Admission, Applied, Guard, Op, RunRef, Unit, UnitResult};
use oncely_core::run::{RunState, RunStatus};
use oncely_core::sabotage::{self, Switch};
use oncely_core::time::Timestamp;
use rusqlite::params;

/// Why a unit is not applied.
pub(crate) enum Halt {
    /// It has its answer; the others of the group go on.
    Answer(UnitResult),
    /// The group cannot go on as it is.
    Stop(Stop),
}

impl From<rusqlite::Error> for Halt {
    fn from(error: rusqlite::Error) -> Self {
        Self::Stop(Stop::Database(error))
    }
}

impl From<oncely_core::ledger::LedgerError> for Halt {
    fn from(error: oncely_core::ledger::LedgerError) -> Self {
        Self::Stop(Stop::Invalid(error))
    }
}

/// A run that the unit touches.
struct Touched {
    id: RunId,
    run: Standing,
    /// What is admitted, with the hash of its event.
    admission: Option<(Admission, ContentHash)>,
    /// The fold of its facts, where each fact is checked.
    state: Option<RunState>,
    changed: bool,
}

/// A unit at work.
pub(crate) struct Work<'t, 'c, 'u> {
    tx: &'t mut Tx<'c>,
    unit: &'u Unit,
    touched: Vec<Touched>,
    admitted: Option<RunId>,
    about: Option<RunId>,
}

/// Applies a unit whole or not at all, as far as nothing stops the group.
///
/// A unit with statements of a task has a savepoint only in a careful group. Else the first
/// statement that fails makes the group begin again, carefully: savepoints cost a fifth of the
/// speed, and statements that fail are rare.
pub(crate) fn apply(tx: &mut Tx<'_>, unit: &Unit) -> Result<UnitResult, Stop> {
    let first_run = tx.next_run;
    let saved = tx.careful && unit.ops.iter().any(|op| matches!(op, Op::Sql(_)));
    if saved {
        tx.conn.prepare_cached("savepoint unit")?.execute([])?;
    }
    let work = Work {
        tx,
        unit,
        touched: Vec::new(),
        admitted: None,
        about: None,
    };
    let answer = match work.apply() {
        Ok(applied) => UnitResult::Applied(applied),
        Err(Halt::Answer(UnitResult::SqlFailed(_))) if !saved => return Err(Stop::Careless),
        Err(Halt::Answer(answer)) => {
            tx.next_run = first_run;
            if saved {
                tx.conn.prepare_cached("rollback to unit")?.execute([])?;
                tx.tasks.clear();
            }
            answer
        }
        Err(Halt::Stop(stop)) => return Err(stop),
    };
    if saved {
        tx.conn.prepare_cached("release unit")?.execute([])?;
    }
    Ok(answer)
}

impl Work<'_, '_, '_> {
    fn apply(mut self) -> Result<Applied, Halt> {
        rules::shape(self.unit)?;
        for guard in &self.unit.guards {
            if !self.holds(guard)? {
                return Err(Halt::Answer(UnitResult::Refused(guard.clone())));
            }
        }
        let unit = self.unit;
        let (statements, rest): (Vec<_>, Vec<_>) =
            unit.ops.iter().partition(|op| matches!(op, Op::Sql(_)));
        // Statements see nothing of the ledger: they come last, when all else is known to be valid.
        for op in rest.into_iter().chain(statements) {
            self.op(op)?;
        }
        self.finish()
    }

    fn holds(&mut self, guard: &Guard) -> Result<bool, Halt> {
        let conn = self.tx.conn;
        Ok(match guard {
            Guard::Fence(run, fence) => {
                let me = self.tx.me.id;
                guards::holds(self.find(*run)?.map(|t| &t.run), me, *fence)
            }
            Guard::RunSeq(run, seq) => self.find(*run)?.is_some_and(|t| t.run.seq == *seq),
            Guard::Cursor(source, cursor) => guards::cursor_is(conn, source, cursor.as_ref())?,
            Guard::Generation(environment, task, key, generation) => {
                guards::generation(conn, environment, task, key)? == *generation
            }
            Guard::Named(name, fence) => guards::holds_name(conn, name, self.tx.me.id, *fence)?,
        })
    }

    fn op(&mut self, op: &Op) -> Result<(), Halt> {
        match op {
            Op::Admit(admission) => self.admit(admission),
            Op::Facts { run, at, facts } => self.facts(*run, *at, facts),
            Op::Run {
                run,
                status,
                due,
                keep,
            } => self.stand(*run, *status, *due, *keep),
            Op::Wake(run, at) => self.wake(*run, *at),
            Op::Release(run, at) => self.release(*run, *at),
            Op::Items { run, .. } => {
                self.progress(*run, true)?;
                Ok(self.tx.plain(op)?)
            }
            Op::ItemFacts { run, facts, .. } => {
                self.progress(*run, rules::items_are_progress(facts))?;
                Ok(self.tx.plain(op)?)
            }
            Op::Sql(statements) => self.sql(statements),
            Op::Cursor(..) | Op::Store(..) | Op::Files(_) | Op::ReleaseName(..) => {
                Ok(self.tx.plain(op)?)
            }
        }
    }

    /// The run, if there is such a one.
    fn find(&mut self, id: RunId) -> rusqlite::Result<Option<&mut Touched>> {
        if let Some(place) = self.touched.iter().position(|t| t.id == id) {
            return Ok(self.touched.get_mut(place));
        }
        let Some(run) = Standing::load(self.tx.conn, id)? else {
            return Ok(None);
        };
        self.touched.push(Touched {
            id,
            run,
            admission: None,
            state: None,
            changed: false,
        });
        Ok(self.touched.last_mut())
    }

    /// The run, to be changed.
    fn run(&mut self, id: RunId) -> Result<&mut Touched, Halt> {
        let touched = self.find(id)?.ok_or_else(|| rules::no_run(id))?;
        touched.changed = true;
        Ok(touched)
    }

    fn id(&self, run: RunRef) -> RunId {
        match run {
            RunRef::Id(id) => id,
            RunRef::New => self.admitted.unwrap_or_default(),
        }
    }

    /// Whether this unit speaks for the run's holder.
    fn is_holder(&self, id: RunId) -> bool {
        let me = Some(self.tx.me.id);
        let held = self
            .touched
            .iter()
            .any(|t| t.id == id && t.run.holder == me);
        held && (self.admitted == Some(id) || rules::shows_fence(self.unit, id))
    }

    fn admit(&mut self, a: &Admission) -> Result<(), Halt> {
        let conn = self.tx.conn;
        let id = RunId(self.tx.next_run);
        let hash = key_hash(&a.environment, &a.task, &a.key, Some(a.generation));
        let fresh = conn
            .prepare_cached(
                "insert into oncely_keys (hash, run) values (?1, ?2) on conflict do nothing",
            )?
            .execute(params![hash, id.0])?;
        if fresh == 0 && !sabotage::is_off(Switch::Unique) {
            let known = guards::admitted(conn, &hash)?.unwrap_or_default();
            return Err(Halt::Answer(UnitResult::Duplicate(known)));
        }
        if a.generation > Generation::FIRST {
            self.tx.raise_generation(a)?;
        }
        let task = self.tx.tasks.number(conn, &a.environment, &a.task)?;
        let holds = a.claimed && !a.status.is_ended();
        let event = ContentHash::of(a.event.as_bytes());
        let run = Standing {
            task,
            status: a.status,
            seq: 0,
            changed: a.at,
            due: (!a.status.is_ended()).then_some(a.at),
            holder: holds.then_some(self.tx.me.id),
            fence: Fence(i64::from(holds)),
            claims: u32::from(holds),
            lane: a.lane.clone(),
            chain: Beginning::of(id, a, hash, event).chain(),
            moves: 0,
        };
        self.tx.next_run += 1;
        self.touched.push(Touched {
            id,
            run,
            admission: Some((a.clone(), event)),
            state: None,
            changed: true,
        });
        (self.admitted, self.about) = (Some(id), Some(id));
        Ok(())
    }

    fn facts(&mut self, run: RunRef, at: Timestamp, facts: &[Fact]) -> Result<(), Halt> {
        let id = self.id(run);
        let fresh = self.admitted == Some(id);
        let status = self.run(id)?.run.status;
        let progress = !fresh && self.is_holder(id) && rules::is_progress(facts);
        if !fresh {
            rules::may_follow(id, status, facts)?;
        }
        if self.tx.check_facts {
            self.check(id, at, facts)?;
        }
        let run = &mut self.run(id)?.run;
        let (first, chain) = (run.seq, run.chain);
        run.seq += facts.len() as u64;
        run.changed = at;
        if progress {
            run.claims = 0;
        }
        self.about = Some(id);
        let chain = self.tx.write_facts(id, first, at, facts, chain)?;
        self.run(id)?.run.chain = chain;
        Ok(())
    }

    /// Folds the facts: what the memory model always does, and a store only when it is debugged.
    fn check(&mut self, id: RunId, at: Timestamp, facts: &[Fact]) -> Result<(), Halt> {
        let conn = self.tx.conn;
        let illegal = |why| oncely_core::ledger::LedgerError::Invalid(format!("run {id}: {why}"));
        let touched = self.run(id)?;
        let mut state = match touched.state.take() {
            Some(state) => state,
            None => RunState::fold(&rows::facts(conn, id, 0)?).map_err(illegal)?,
        };
        for fact in facts {
            state.apply(at, fact).map_err(illegal)?;
        }
        touched.state = Some(state);
        Ok(())
    }

    fn stand(
        &mut self,
        run: RunRef,
        status: RunStatus,
        due: Option<Timestamp>,
        keep: bool,
    ) -> Result<(), Halt> {
        let id = self.id(run);
        self.run(id)?;
        let is_holder = self.is_holder(id);
        let run = &mut self.run(id)?.run;
        if run.holder.is_some() && !is_holder {
            return Ok(());
        }
        run.status = status;
        run.due = due.filter(|_| !status.is_ended());
        if !keep || status.is_ended() {
            run.holder = None;
        }
        Ok(())
    }

    fn wake(&mut self, id: RunId, at: Timestamp) -> Result<(), Halt> {
        let run = &mut self.run(id)?.run;
        if run.holder.is_none() && !run.status.is_ended() {
            run.due = Some(run.due.map_or(at, |due| due.min(at)));
        }
        Ok(())
    }

    fn release(&mut self, id: RunId, at: Timestamp) -> Result<(), Halt> {
        let me = self.tx.me.id;
        let run = &mut self.run(id)?.run;
        if run.holder == Some(me) {
            run.holder = None;
            run.due = Some(at);
            run.claims = run.claims.saturating_sub(1);
        }
        Ok(())
    }

    fn progress(&mut self, id: RunId, counts: bool) -> Result<(), Halt> {
        self.run(id)?;
        if counts && self.is_holder(id) {
            self.run(id)?.run.claims = 0;
        }
        Ok(())
    }

    fn sql(&mut self, statements: &[oncely_core::action::Statement]) -> Result<(), Halt> {
        let failed = |words| Halt::Answer(UnitResult::SqlFailed(words));
        if let Some(words) = self.tx.doomed.take() {
            return Err(failed(words));
        }
        let trouble = match self.tx.warden.execute(self.tx.conn, statements) {
            Ok(()) => return Ok(()),
            Err(trouble) => trouble,
        };
        let left = self.tx.conn.is_autocommit();
        Err(match trouble {
            Trouble::Statement(words) if left => Halt::Stop(Stop::Left { words, late: false }),
            Trouble::TimeUp(words) if left => Halt::Stop(Stop::Left { words, late: true }),
            Trouble::Statement(words) | Trouble::TimeUp(words) => failed(words),
            Trouble::Database(error) => Halt::Stop(Stop::Database(error)),
        })
    }

    /// Writes the rows of the runs.
    fn finish(mut self) -> Result<Applied, Halt> {
        let conn = self.tx.conn;
        for touched in self.touched.iter_mut().filter(|t| t.changed) {
            touched.run.moves += 1;
            *self.tx.moved = Some(Note {
                runs: self.tx.next_run - 1,
                moved: (touched.id.0, touched.run.moves),
            });
            match &touched.admission {
                Some((admission, event)) => {
                    touched.run.insert(conn, touched.id)?;
                    self.tx.write_admission(touched.id, admission, event)?;
                }
                None => touched.run.update(conn, touched.id)?,
            }
        }
        let me = self.tx.me.id;
        if let Some(id) = self.admitted
            && self.find(id)?.is_some_and(|t| t.run.holder == Some(me))
        {
            self.tx.register = true;
        }
        let about = self.about;
        let seq = about.and_then(|id| self.touched.iter().find(|t| t.id == id));
        Ok(Applied {
            run: about,
            seq: seq.map_or(0, |t| t.run.seq),
        })
    }
}
