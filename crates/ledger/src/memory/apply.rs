//! Applies one unit: checks everything on copies of the runs it touches, then changes the state.

use super::state::{Registered, Run, State};
use crate::chained;
use crate::rules;
use crate::sql::{TaskSql, Trouble};
use oncely_core::chain::{Beginning, key_hash};
use oncely_core::fact::{Fact, Recorded};
use oncely_core::ids::{ContentHash, Fence, Generation, HolderId, RunId};
use oncely_core::ledger::{
    Admission, Applied, Guard, LedgerError, Op, RunRef, RunRow, Unit, UnitResult,
};
use oncely_core::run::{RunState, RunStatus};
use oncely_core::sabotage::{self, Switch};
use oncely_core::time::Timestamp;
use std::collections::BTreeMap;

/// Copies of the runs that a unit touches.
struct Draft<'a> {
    state: &'a State,
    unit: &'a Unit,
    me: HolderId,
    admitted: Option<RunId>,
    runs: BTreeMap<RunId, Run>,
    about: Option<RunId>,
}

/// Applies a unit whole or not at all.
pub(crate) fn apply(
    state: &mut State,
    sql: &mut TaskSql,
    me: &Registered,
    unit: &Unit,
) -> Result<UnitResult, LedgerError> {
    apply_with(state, me, unit, || run_statements(sql, unit))
}

/// Applies a unit, with its statements executed by whoever has a database for them.
pub(crate) fn apply_with(
    state: &mut State,
    me: &Registered,
    unit: &Unit,
    statements: impl FnOnce() -> Result<Result<(), String>, LedgerError>,
) -> Result<UnitResult, LedgerError> {
    rules::shape(unit)?;
    if let Some(guard) = unit.guards.iter().find(|g| !holds(state, me.info.id, g)) {
        return Ok(UnitResult::Refused(guard.clone()));
    }
    if let Some(known) = duplicate(state, unit)
        && !sabotage::is_off(Switch::Unique)
    {
        return Ok(UnitResult::Duplicate(known));
    }
    let draft = Draft::of(state, me.info.id, unit)?;
    let (runs, about, admitted) = (draft.runs, draft.about, draft.admitted);
    if let Err(words) = statements()? {
        return Ok(UnitResult::SqlFailed(words));
    }
    if runs.values().any(|r| r.row.holder == Some(me.info.id)) {
        state
            .holders
            .entry(me.info.id)
            .or_insert_with(|| me.clone());
    }
    let seq = about.and_then(|id| runs.get(&id)).map_or(0, |r| r.row.seq);
    state.runs.extend(runs);
    record_key(state, unit, admitted);
    for op in &unit.ops {
        apply_rest(state, me.info.id, op);
    }
    Ok(UnitResult::Applied(Applied { run: about, seq }))
}

fn holds(state: &State, me: HolderId, guard: &Guard) -> bool {
    let row = |run: &RunId| state.runs.get(run).map(|r| &r.row);
    match guard {
        Guard::Fence(run, fence) => {
            let held = row(run).is_some_and(|r| r.holder == Some(me) && r.fence == *fence);
            held || sabotage::is_off(Switch::Fence)
        }
        Guard::RunSeq(run, seq) => row(run).is_some_and(|r| r.seq == *seq),
        Guard::Cursor(source, cursor) => state.cursors.get(source) == cursor.as_ref(),
        Guard::Generation(environment, task, key, generation) => {
            state.generation(environment, task, key) == *generation
        }
        Guard::Named(name, fence) => state
            .names
            .get(name)
            .is_some_and(|n| n.holder == Some(me) && n.fence == *fence),
    }
}

fn duplicate(state: &State, unit: &Unit) -> Option<RunId> {
    let Some(Op::Admit(a)) = unit.ops.first() else {
        return None;
    };
    let key = (
        a.environment.clone(),
        a.task.clone(),
        a.key.clone(),
        a.generation,
    );
    state.keys.get(&key).copied()
}

fn record_key(state: &mut State, unit: &Unit, admitted: Option<RunId>) {
    if let (Some(Op::Admit(a)), Some(run)) = (unit.ops.first(), admitted) {
        let key = (
            a.environment.clone(),
            a.task.clone(),
            a.key.clone(),
            a.generation,
        );
        state.keys.insert(key, run);
        if a.generation > Generation::FIRST {
            let hash = key_hash(&a.environment, &a.task, &a.key, None);
            let highest = state.raised.entry(hash).or_insert(a.generation);
            *highest = a.generation.max(*highest);
        }
    }
}

fn run_statements(sql: &mut TaskSql, unit: &Unit) -> Result<Result<(), String>, LedgerError> {
    let statements = unit.ops.iter().filter_map(|op| match op {
        Op::Sql(statements) => Some(statements.as_slice()),
        _ => None,
    });
    match sql.transaction(statements) {
        Ok(()) => Ok(Ok(())),
        Err(Trouble::Statement(words) | Trouble::TimeUp(words)) => Ok(Err(words)),
        Err(Trouble::Database(error)) => Err(LedgerError::Unusable(error.to_string())),
    }
}

impl<'a> Draft<'a> {
    fn of(state: &'a State, me: HolderId, unit: &'a Unit) -> Result<Self, LedgerError> {
        let mut draft = Self {
            state,
            unit,
            me,
            admitted: None,
            runs: BTreeMap::new(),
            about: None,
        };
        for op in &unit.ops {
            draft.op(op)?;
        }
        Ok(draft)
    }

    fn op(&mut self, op: &Op) -> Result<(), LedgerError> {
        match op {
            Op::Admit(admission) => self.admit(admission),
            Op::Facts { run, at, facts } => self.facts(*run, *at, facts)?,
            Op::Run {
                run,
                status,
                due,
                keep,
            } => self.stand(*run, *status, *due, *keep)?,
            Op::Wake(run, at) => self.wake(*run, *at)?,
            Op::Release(run, at) => self.release(*run, *at)?,
            Op::Items { run, .. } => self.progress(*run, true)?,
            Op::ItemFacts { run, facts, .. } => {
                self.progress(*run, rules::items_are_progress(facts))?;
            }
            Op::Cursor(..) | Op::Store(..) | Op::Sql(_) | Op::Files(_) | Op::ReleaseName(..) => {}
        }
        Ok(())
    }

    fn admit(&mut self, admission: &Admission) {
        let id = self.state.next_run();
        let row = admitted_row(id, admission, self.me);
        let run = Run {
            row,
            facts: Vec::new(),
            state: RunState::default(),
            broken: false,
        };
        self.runs.insert(id, run);
        self.admitted = Some(id);
        self.about = Some(id);
    }

    fn id(&self, run: RunRef) -> RunId {
        match run {
            RunRef::Id(id) => id,
            RunRef::New => self.admitted.unwrap_or_default(),
        }
    }

    fn run(&mut self, id: RunId) -> Result<&mut Run, LedgerError> {
        if let std::collections::btree_map::Entry::Vacant(entry) = self.runs.entry(id) {
            let run = self.state.runs.get(&id).ok_or_else(|| rules::no_run(id))?;
            entry.insert(run.clone());
        }
        self.runs.get_mut(&id).ok_or_else(|| rules::no_run(id))
    }

    /// Whether this unit speaks for the run's holder.
    fn is_holder(&self, id: RunId) -> bool {
        let held = self
            .runs
            .get(&id)
            .is_some_and(|r| r.row.holder == Some(self.me));
        held && (self.admitted == Some(id) || rules::shows_fence(self.unit, id))
    }

    fn facts(&mut self, run: RunRef, at: Timestamp, facts: &[Fact]) -> Result<(), LedgerError> {
        let id = self.id(run);
        let fresh = self.admitted == Some(id);
        self.run(id)?;
        let progress = !fresh && self.is_holder(id) && rules::is_progress(facts);
        let checked = !self.state.unchecked;
        let run = self.run(id)?;
        if !fresh {
            rules::may_follow(id, run.row.status, facts)?;
        }
        run.row.chain = chained::follow(run.row.chain, run.row.seq, at, facts)?;
        for fact in facts {
            if checked {
                run.state
                    .apply(at, fact)
                    .map_err(|why| LedgerError::Invalid(format!("run {id}: {why}")))?;
            }
            let fact = fact.clone();
            run.facts.push(Recorded {
                at,
                forgotten: None,
                fact,
            });
        }
        run.row.seq += facts.len() as u64;
        run.row.changed = at;
        if progress {
            run.row.claims = 0;
        }
        self.about = Some(id);
        Ok(())
    }

    fn stand(
        &mut self,
        run: RunRef,
        status: RunStatus,
        due: Option<Timestamp>,
        keep: bool,
    ) -> Result<(), LedgerError> {
        let id = self.id(run);
        self.run(id)?;
        let is_holder = self.is_holder(id);
        let row = &mut self.run(id)?.row;
        if row.holder.is_some() && !is_holder {
            return Ok(());
        }
        row.status = status;
        row.due = due.filter(|_| !status.is_ended());
        if !keep || status.is_ended() {
            row.holder = None;
        }
        Ok(())
    }

    fn wake(&mut self, id: RunId, at: Timestamp) -> Result<(), LedgerError> {
        let row = &mut self.run(id)?.row;
        if row.holder.is_none() && !row.status.is_ended() {
            row.due = Some(row.due.map_or(at, |due| due.min(at)));
        }
        Ok(())
    }

    fn release(&mut self, id: RunId, at: Timestamp) -> Result<(), LedgerError> {
        let me = self.me;
        let row = &mut self.run(id)?.row;
        if row.holder == Some(me) {
            row.holder = None;
            row.due = Some(at);
            row.claims = row.claims.saturating_sub(1);
        }
        Ok(())
    }

    fn progress(&mut self, id: RunId, counts: bool) -> Result<(), LedgerError> {
        self.run(id)?;
        if counts && self.is_holder(id) {
            self.run(id)?.row.claims = 0;
        }
        Ok(())
    }
}

fn admitted_row(id: RunId, a: &Admission, me: HolderId) -> RunRow {
    let key = key_hash(&a.environment, &a.task, &a.key, Some(a.generation));
    let event_hash = ContentHash::of(a.event.as_bytes());
    let holds = a.claimed && !a.status.is_ended();
    RunRow {
        id,
        environment: a.environment.clone(),
        task: a.task.clone(),
        key: a.key.clone(),
        generation: a.generation,
        trigger: a.trigger.to_owned(),
        event: a.event.clone(),
        event_hash,
        status: a.status,
        seq: 0,
        admitted: a.at,
        changed: a.at,
        due: (!a.status.is_ended()).then_some(a.at),
        holder: holds.then_some(me),
        fence: Fence(i64::from(holds)),
        claims: u32::from(holds),
        lane: a.lane.clone(),
        depth: a.depth,
        parent: a.parent,
        chain: Beginning::of(id, a, key, event_hash).chain(),
    }
}

/// What cannot fail: everything that is not about a run's own row and facts.
fn apply_rest(state: &mut State, me: HolderId, op: &Op) {
    match op {
        Op::Items {
            run,
            step,
            progress,
            set_aside,
        } => {
            state
                .progress
                .insert((*run, step.clone()), progress.clone());
            for item in set_aside {
                let place = (*run, step.clone(), item.item);
                state.set_aside.entry(place).or_insert_with(|| item.clone());
            }
        }
        Op::ItemFacts { run, step, facts } => {
            let place = (*run, step.clone());
            state
                .item_facts
                .entry(place)
                .or_default()
                .extend(facts.iter().cloned());
        }
        Op::Cursor(source, cursor) => {
            state.cursors.insert(source.clone(), cursor.clone());
        }
        Op::Store(hash, content) => {
            state.store.entry(*hash).or_insert_with(|| content.clone());
        }
        Op::Files(marks) => {
            let marks = marks.iter().map(|mark| (mark.path.clone(), mark.clone()));
            state.files.extend(marks);
        }
        Op::ReleaseName(name, fence) => {
            if let Some(name) = state.names.get_mut(name)
                && name.holder == Some(me)
                && name.fence == *fence
            {
                name.holder = None;
            }
        }
        Op::Admit(_)
        | Op::Facts { .. }
        | Op::Run { .. }
        | Op::Wake(..)
        | Op::Release(..)
        | Op::Sql(_) => {}
    }
}
