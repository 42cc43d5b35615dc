//! Removes what is kept of old runs, inside the writer's transaction. Keys stay.

use super::rows::{signed, status, unsigned};
use crate::pruning::Look;
use oncely_core::ids::RunId;
use oncely_core::prune::{Place, Prune, PruneRecord, Pruned, Seen, without_gaps};
use oncely_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeSet;

/// What is added for it to the tables of a ledger.
///
/// Facts may be deleted only while a row of `oncely_meta` says so, which is written and removed in the
/// transaction that deletes: nobody else ever sees it.
pub(crate) const TABLES: &str = "
create index oncely_admissions_parent on oncely_admissions (parent) where parent is not null;
create table oncely_prunes (
  number integer primary key, at integer not null, by_whom text not null, reason text not null,
  environment text not null, task text, before integer not null, runs integer not null);
create table oncely_pruned (last integer primary key, first integer not null, prune integer not null);
create table oncely_leftovers (run integer primary key);
drop trigger if exists oncely_facts_stay;
create trigger oncely_facts_stay before delete on oncely_facts
  when not exists (select 1 from oncely_meta where name = 'pruning')
  begin select raise(abort, 'facts are never deleted'); end;
create trigger oncely_prunes_stay before delete on oncely_prunes
  begin select raise(abort, 'what was pruned is remembered'); end;
create trigger oncely_pruned_stay before delete on oncely_pruned
  begin select raise(abort, 'what was pruned is remembered'); end;
";

/// What [`Seen`] is read from.
const SEEN: &str = "select r.id, t.environment, t.task, a.trigger_name, r.status, r.changed, r.seq,
    r.holder is not null, a.parent
    from oncely_runs r join oncely_admissions a on a.run = r.id join oncely_tasks t on t.id = r.task";

/// What a [`PruneRecord`] is read from.
pub(crate) const PRUNE: &str = "select p.number, p.at, p.by_whom, p.reason, p.environment, p.task,
    p.before, p.runs from oncely_prunes p";

/// Does a part of a prune.
pub(crate) fn prune(conn: &Connection, part: &Prune) -> rusqlite::Result<Pruned> {
    let Some(below) = part.from.below() else {
        return Ok(Pruned {
            number: part.number,
            next: sweep(conn, part.rows)?.then_some(Place::Items),
            ..Pruned::default()
        });
    };
    let page = page(conn, below, part.runs)?;
    let last = page.last().map(|run| run.id);
    let mut next = last.filter(|_| page.len() == part.runs).map(Place::Below);
    let look = around(conn, page, part)?;
    let going: Vec<(RunId, u64)> = look.choose(part).iter().map(|r| (r.id, r.facts)).collect();
    let ids: Vec<RunId> = going.iter().map(|(id, _)| *id).collect();
    let mut number = part.number;
    if !part.dry {
        if !ids.is_empty() {
            number = Some(remove(conn, part, &ids)?);
        }
        let more = sweep(conn, part.rows)?;
        next = next.or(more.then_some(Place::Items));
    }
    Ok(Pruned {
        number,
        next,
        runs: ids.len() as u64,
        facts: going.iter().map(|(_, facts)| facts).sum(),
    })
}

fn seen(row: &Row<'_>) -> rusqlite::Result<Seen> {
    Ok(Seen {
        id: RunId(row.get(0)?),
        environment: row.get::<_, String>(1)?.into(),
        task: row.get::<_, String>(2)?.into(),
        trigger: row.get(3)?,
        status: status(row, 4)?,
        changed: Timestamp(row.get(5)?),
        facts: unsigned(row, 6)?,
        held: row.get(7)?,
        parent: row.get::<_, Option<i64>>(8)?.map(RunId),
    })
}

fn page(conn: &Connection, below: RunId, runs: usize) -> rusqlite::Result<Vec<Seen>> {
    let room = i64::try_from(runs).unwrap_or(i64::MAX);
    // In a `cross join` SQLite keeps the order of the tables.
    let text = "select r.id, t.environment, t.task, a.trigger_name, r.status, r.changed, r.seq,
        r.holder is not null, a.parent from oncely_runs r
        cross join oncely_admissions a on a.run = r.id cross join oncely_tasks t on t.id = r.task
        where r.id < ?1 order by r.id desc limit ?2";
    conn.prepare_cached(text)?
        .query_map([below.0, room], seen)?
        .collect()
}

/// Looks around the runs of a page that may go by themselves.
fn around(conn: &Connection, page: Vec<Seen>, part: &Prune) -> rusqlite::Result<Look> {
    let mut look = Look::at(page);
    let candidates: Vec<RunId> = look.candidates(part).iter().map(|run| run.id).collect();
    let mut one = conn.prepare_cached(&format!("{SEEN} where r.id = ?1"))?;
    for id in look.parents(part) {
        look.add(
            one.query_row([id.0], seen)
                .optional()?
                .into_iter()
                .collect(),
        );
    }
    let mut children = conn.prepare_cached(&format!("{SEEN} where a.parent = ?1"))?;
    let mut asked: BTreeSet<RunId> = candidates.into_iter().collect();
    let mut newest = conn.prepare_cached(
        "select max(n.id) from oncely_runs r join oncely_runs n on n.task = r.task where r.id = ?1",
    )?;
    // A child has a higher number than its parent.
    while let Some(id) = asked.pop_first() {
        look.newest([RunId(newest.query_row([id.0], |row| row.get(0))?)]);
        let found: Vec<Seen> = children
            .query_map([id.0], seen)?
            .collect::<rusqlite::Result<_>>()?;
        asked.extend(
            found
                .iter()
                .map(|child| child.id)
                .filter(|child| *child > id),
        );
        look.add(found);
    }
    Ok(look)
}

fn remove(conn: &Connection, part: &Prune, ids: &[RunId]) -> rusqlite::Result<u64> {
    let number = record(conn, part, ids.len() as u64)?;
    let execute = |text: &str| conn.prepare_cached(text)?.execute([]).map(drop);
    execute("insert into oncely_meta (name, value) values ('pruning', '')")?;
    for id in ids {
        for text in [
            "insert or ignore into oncely_leftovers (run) select ?1 where
             exists (select 1 from oncely_item_facts where run = ?1)
             or exists (select 1 from oncely_set_aside where run = ?1)",
            "delete from oncely_facts where run = ?1",
            "delete from oncely_progress where run = ?1",
            "delete from oncely_admissions where run = ?1",
            "delete from oncely_runs where id = ?1",
        ] {
            conn.prepare_cached(text)?.execute([id.0])?;
        }
    }
    execute("delete from oncely_meta where name = 'pruning'")?;
    let mut gone =
        conn.prepare_cached("insert into oncely_pruned (last, first, prune) values (?1, ?2, ?3)")?;
    for range in without_gaps(ids, number) {
        gone.execute(params![range.last.0, range.first.0, signed(number)])?;
    }
    Ok(number)
}

fn record(conn: &Connection, part: &Prune, runs: u64) -> rusqlite::Result<u64> {
    if let Some(number) = part.number {
        conn.prepare_cached("update oncely_prunes set runs = runs + ?2 where number = ?1")?
            .execute([signed(number), signed(runs)])?;
        return Ok(number);
    }
    let text = "insert into oncely_prunes
        (number, at, by_whom, reason, environment, task, before, runs)
        select coalesce(max(number), 0) + 1, ?1, ?2, ?3, ?4, ?5, ?6, ?7 from oncely_prunes
        returning number";
    conn.prepare_cached(text)?.query_row(
        params![
            part.at.0,
            part.by,
            part.reason,
            part.old.environment.as_str(),
            part.old.task.as_ref().map(|task| task.as_str()),
            part.old.before.0,
            signed(runs),
        ],
        |row| unsigned(row, 0),
    )
}

/// Removes what is left of items of removed runs, so many rows; says whether there may be more.
fn sweep(conn: &Connection, rows: usize) -> rusqlite::Result<bool> {
    let mut room = i64::try_from(rows).unwrap_or(i64::MAX);
    // Among them may be what was to be forgotten.
    conn.pragma_update(None, "secure_delete", true)?;
    loop {
        let next = conn
            .prepare_cached("select run from oncely_leftovers order by run limit 1")?
            .query_row([], |row| row.get::<_, i64>(0))
            .optional()?;
        let Some(run) = next else { return Ok(false) };
        for text in [
            "delete from oncely_set_aside where (run, step, item) in
             (select run, step, item from oncely_set_aside where run = ?1 limit ?2)",
            "delete from oncely_item_facts where (run, step, item, place) in
             (select run, step, item, place from oncely_item_facts where run = ?1 limit ?2)",
        ] {
            let removed = conn.prepare_cached(text)?.execute([run, room])?;
            room -= i64::try_from(removed).unwrap_or(i64::MAX);
        }
        if room <= 0 {
            return Ok(true);
        }
        conn.prepare_cached("delete from oncely_leftovers where run = ?1")?
            .execute([run])?;
    }
}

/// A prune from eight columns.
pub(crate) fn prune_record(row: &Row<'_>) -> rusqlite::Result<PruneRecord> {
    Ok(PruneRecord {
        number: unsigned(row, 0)?,
        at: Timestamp(row.get(1)?),
        by: row.get(2)?,
        reason: row.get(3)?,
        environment: row.get::<_, String>(4)?.into(),
        task: row.get::<_, Option<String>>(5)?.map(Into::into),
        before: Timestamp(row.get(6)?),
        runs: unsigned(row, 7)?,
    })
}

/// The newest prunes.
pub(crate) fn newest(conn: &Connection, most: usize) -> rusqlite::Result<Vec<PruneRecord>> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    conn.prepare_cached(&format!("{PRUNE} order by p.number desc limit ?1"))?
        .query_map([most], prune_record)?
        .collect()
}

/// The prune that removed a run.
pub(crate) fn prune_of(conn: &Connection, run: RunId) -> rusqlite::Result<Option<PruneRecord>> {
    let text = format!(
        "{PRUNE} join (select first, prune from oncely_pruned where last >= ?1 order by last limit 1)
         g on g.prune = p.number where g.first <= ?1"
    );
    conn.prepare_cached(&text)?
        .query_row([run.0], prune_record)
        .optional()
}
