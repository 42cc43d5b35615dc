//! Claims runs and names, inside the writer's transaction.

use super::batch::{Stop, Tx};
use super::rows::{self, Standing};
use oncely_core::fact::Recorded;
use oncely_core::ids::{Environment, Fence, RunId};
use oncely_core::ledger::{Claim, Held, Leased, RunRow, What};
use oncely_core::run::RunStatus;
use oncely_core::time::Timestamp;
use rusqlite::{OptionalExtension, params};
use std::collections::HashMap;

/// A run that is due.
struct Due {
    id: RunId,
    task: i64,
    lane: Option<String>,
    claims: u32,
}

/// A run of a lane that has not ended.
struct InLane {
    id: RunId,
    task: i64,
    held: bool,
    begun: bool,
    due: Option<i64>,
}

/// A choice of runs in the making.
struct Choice<'t, 'c, 'q> {
    tx: &'t mut Tx<'c>,
    claim: &'q Claim,
    chosen: Vec<RunId>,
    /// Whose turn it is, by lane.
    turns: HashMap<String, Option<RunId>>,
    /// Places left, by task.
    places: HashMap<i64, u32>,
}

/// Claims what is asked for.
pub(crate) fn claim(tx: &mut Tx<'_>, what: &What, claim: &Claim) -> Result<Leased, Stop> {
    match what {
        What::Runs => {
            let ids = choose(tx, claim)?;
            Ok(Leased::Runs(take(tx, &ids, claim.now)?))
        }
        What::Run(id) => {
            let ids = if can_be_claimed(tx, *id, claim)? {
                vec![*id]
            } else {
                Vec::new()
            };
            Ok(Leased::Runs(take(tx, &ids, claim.now)?))
        }
        What::Named(name) => named(tx, name),
        What::Present => {
            tx.register_now()?;
            Ok(Leased::Runs(Vec::new()))
        }
    }
}

fn choose(tx: &mut Tx<'_>, claim: &Claim) -> rusqlite::Result<Vec<RunId>> {
    let conn = tx.conn;
    let mut due = conn.prepare_cached(
        "select id, task, lane, claims from oncely_runs
         where holder is null and due is not null and due <= ?1 order by due, id",
    )?;
    let mut rows = due.query([claim.now.0])?;
    let mut choice = Choice {
        tx,
        claim,
        chosen: Vec::new(),
        turns: HashMap::new(),
        places: HashMap::new(),
    };
    while choice.chosen.len() < claim.limit
        && let Some(row) = rows.next()?
    {
        let run = Due {
            id: RunId(row.get(0)?),
            task: row.get(1)?,
            lane: row.get(2)?,
            claims: row.get(3)?,
        };
        let suspect = run.claims > 0;
        if !choice.may_have(&run)? || (suspect && !claim.suspects) {
            continue;
        }
        if suspect && choice.chosen.is_empty() {
            return Ok(vec![run.id]);
        }
        if !suspect {
            choice.add(&run);
        }
    }
    Ok(choice.chosen)
}

impl Choice<'_, '_, '_> {
    /// Whether the run is for this process, has a place, and has its turn.
    fn may_have(&mut self, run: &Due) -> rusqlite::Result<bool> {
        if !self.is_wanted(run.task)? || self.places(run.task)? == 0 {
            return Ok(false);
        }
        match &run.lane {
            None => Ok(true),
            Some(lane) => Ok(self.turn(lane)? == Some(run.id)),
        }
    }

    fn is_wanted(&mut self, task: i64) -> rusqlite::Result<bool> {
        let (environment, task) = self.tx.tasks.name(self.tx.conn, task)?;
        Ok(*environment == self.claim.environment && !self.claim.except.contains(task))
    }

    /// How many more runs of a task may be held.
    fn places(&mut self, number: i64) -> rusqlite::Result<u32> {
        if let Some(left) = self.places.get(&number) {
            return Ok(*left);
        }
        let (_, task) = self.tx.tasks.name(self.tx.conn, number)?;
        let cap = self.claim.caps.iter().find(|(capped, _)| capped == task);
        let left = match cap {
            None => u32::MAX,
            Some((_, cap)) => cap.saturating_sub(held(self.tx, number)?),
        };
        self.places.insert(number, left);
        Ok(left)
    }

    fn turn(&mut self, lane: &str) -> rusqlite::Result<Option<RunId>> {
        if let Some(known) = self.turns.get(lane) {
            return Ok(*known);
        }
        let turn = self.find_turn(lane)?;
        self.turns.insert(lane.to_owned(), turn);
        Ok(turn)
    }

    /// Whose turn it is: nobody's while one is held, else the first that has begun, else the first
    /// that is due.
    fn find_turn(&mut self, lane: &str) -> rusqlite::Result<Option<RunId>> {
        let all = in_lane(self.tx, lane, &self.claim.environment)?;
        if all.iter().any(|run| run.held) {
            return Ok(None);
        }
        if let Some(begun) = all.iter().find(|run| run.begun) {
            return Ok(Some(begun.id));
        }
        for run in all {
            let due = run.due.is_some_and(|due| due <= self.claim.now.0);
            if due && self.is_wanted(run.task)? {
                return Ok(Some(run.id));
            }
        }
        Ok(None)
    }

    fn add(&mut self, run: &Due) {
        self.chosen.push(run.id);
        if let Some(left) = self.places.get_mut(&run.task)
            && *left != u32::MAX
        {
            *left -= 1;
        }
    }
}

/// How many runs of a task are held, by whomever.
fn held(tx: &Tx<'_>, task: i64) -> rusqlite::Result<u32> {
    tx.conn
        .prepare_cached(
            "select count(*) from oncely_runs indexed by oncely_runs_held
             where holder is not null and task = ?1",
        )?
        .query_row([task], |row| row.get(0))
}

/// The runs of a lane that have not ended, in order.
fn in_lane(
    tx: &mut Tx<'_>,
    lane: &str,
    environment: &Environment,
) -> rusqlite::Result<Vec<InLane>> {
    let conn = tx.conn;
    let mut statement = conn.prepare_cached(
        "select id, task, holder is not null, seq > 0, due from oncely_runs
         where lane = ?1 and lane is not null and status < 4 order by id",
    )?;
    let rows = statement.query_map([lane], |row| {
        Ok(InLane {
            id: RunId(row.get(0)?),
            task: row.get(1)?,
            held: row.get(2)?,
            begun: row.get(3)?,
            due: row.get(4)?,
        })
    })?;
    let mut all = Vec::new();
    for run in rows {
        let run = run?;
        if tx.tasks.name(conn, run.task)?.0 == *environment {
            all.push(run);
        }
    }
    Ok(all)
}

/// Whether a run that was asked for by number can be had: not held, not ended, not out of turn.
fn can_be_claimed(tx: &mut Tx<'_>, id: RunId, claim: &Claim) -> rusqlite::Result<bool> {
    let Some(run) = Standing::load(tx.conn, id)? else {
        return Ok(false);
    };
    let here = tx.tasks.name(tx.conn, run.task)?.0 == claim.environment;
    if !here || run.holder.is_some() || run.status.is_ended() {
        return Ok(false);
    }
    let Some(lane) = &run.lane else {
        return Ok(true);
    };
    let begun = run.seq > 0;
    let all = in_lane(tx, lane, &claim.environment)?;
    let mut others = all.iter().filter(|other| other.id != id);
    Ok(!others.any(|o| o.held || (o.begun && (!begun || o.id < id))))
}

/// Claims runs: raises the fence and counts the claim before any work is done. One whose facts are
/// not those of its chain is set aside instead.
fn take(tx: &mut Tx<'_>, ids: &[RunId], now: Timestamp) -> Result<Vec<Held>, Stop> {
    let mut held = Vec::with_capacity(ids.len());
    for id in ids {
        let row = rows::run(tx.conn, *id)?;
        let facts = match &row {
            Some(row) => rows::intact(tx.conn, row)?,
            None => None,
        };
        match row.zip(facts) {
            Some((row, facts)) => held.push(hold(tx, row, facts, now)?),
            None => set_aside(tx, *id, now)?,
        }
    }
    if !held.is_empty() {
        tx.register_now()?;
    }
    Ok(held)
}

fn hold(
    tx: &Tx<'_>,
    mut row: RunRow,
    facts: Vec<Recorded>,
    now: Timestamp,
) -> rusqlite::Result<Held> {
    row.holder = Some(tx.me.id);
    row.fence = Fence(row.fence.0 + 1);
    row.claims += 1;
    row.due = Some(row.due.map_or(now, |due| due.min(now)));
    row.changed = now;
    tx.conn
        .prepare_cached(
            "update oncely_runs set holder = ?2, fence = ?3, claims = ?4, due = ?5, changed = ?6
             where id = ?1",
        )?
        .execute(params![
            row.id.0,
            tx.me.id.0,
            row.fence.0,
            row.claims,
            row.due.map(|at| at.0),
            now.0
        ])?;
    Ok(Held {
        facts,
        fence: row.fence,
        claims: row.claims,
        row,
    })
}

/// Nobody knows how far it came: it stands as unknown, and is not due any more.
fn set_aside(tx: &Tx<'_>, id: RunId, now: Timestamp) -> rusqlite::Result<()> {
    tx.conn
        .prepare_cached(
            "update oncely_runs set status = ?2, due = null, changed = ?3 where id = ?1",
        )?
        .execute(params![id.0, rows::number(RunStatus::Unknown), now.0])?;
    Ok(())
}

fn named(tx: &mut Tx<'_>, name: &str) -> Result<Leased, Stop> {
    let holder = tx
        .conn
        .prepare_cached(
            "select h.id, h.pid, h.role, h.since from oncely_names n
             join oncely_holders h on h.id = n.holder where n.name = ?1",
        )?
        .query_row([name], rows::holder_info)
        .optional()?;
    if let Some(holder) = holder {
        return Ok(Leased::Busy(holder));
    }
    tx.register_now()?;
    let fence = tx
        .conn
        .prepare_cached(
            "insert into oncely_names (name, holder, fence) values (?1, ?2, 1)
             on conflict do update set holder = excluded.holder, fence = fence + 1
             returning fence",
        )?
        .query_row(params![name, tx.me.id.0], |row| row.get(0))?;
    Ok(Leased::Named(Fence(fence)))
}
