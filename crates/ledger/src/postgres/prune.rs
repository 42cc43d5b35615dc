//! Removes what is kept of old runs, in one transaction. What others have locked is left for the next
//! time; keys stay, and are packed: see `kept.rs`.

use super::db::{Db, Stop};
use super::{kept, text};
use crate::pruning::Look;
use oncely_core::ids::RunId;
use oncely_core::prune::{Place, Prune, PruneRecord, Pruned, Seen, without_gaps};
use oncely_core::time::Timestamp;
use std::collections::BTreeSet;
use tokio_postgres::Row;

/// What is added for it to the tables of a ledger.
pub(crate) const TABLES: &str = "
create index oncely_admissions_parent on oncely_admissions (parent) where parent is not null;
create table oncely_prunes (
  number bigint primary key, at bigint not null, by_whom text not null, reason text not null,
  environment text not null, task text, before bigint not null, runs bigint not null);
create table oncely_pruned (
  last bigint primary key, first bigint not null, prune bigint not null);
create table oncely_leftovers (run bigint primary key);
insert into oncely_meta (name, value) values ('pruning', '');
";

/// What [`Seen`] is read from.
const SEEN: &str = "select r.id, r.environment, r.task, a.trigger_name, r.status, r.changed, r.seq,
    r.holder is not null, a.parent from oncely_runs r join oncely_admissions a on a.run = r.id";

/// What a [`PruneRecord`] is read from.
const PRUNE: &str = "select p.number, p.at, p.by_whom, p.reason, p.environment, p.task, p.before,
    p.runs from oncely_prunes p";

/// Does a part of a prune. One prunes at a time.
pub(crate) async fn prune(db: &mut Db, part: &Prune) -> Result<Pruned, Stop> {
    let waiting = waiting(db, part).await?;
    match part.from {
        Place::Newest | Place::Below(_) => runs(db, part, waiting).await,
        Place::Items => Ok(Pruned {
            number: part.number,
            next: match sweep(db, part.rows).await? {
                true => Some(Place::Items),
                false => waiting.then_some(Place::Keys(0)),
            },
            ..Pruned::default()
        }),
        Place::Keys(place) => {
            let next = kept::pack(db, place).await?;
            if next.is_none() {
                mark(db, "").await?;
            }
            Ok(Pruned {
                number: part.number,
                next: next.map(Place::Keys),
                ..Pruned::default()
            })
        }
    }
}

/// Whether keys of removed runs wait to be packed. Others who prune wait from here on.
async fn waiting(db: &mut Db, part: &Prune) -> Result<bool, Stop> {
    if part.dry {
        return Ok(false);
    }
    let text = "select value from oncely_meta where name = 'pruning' for update";
    let rows = db.rows(text, &[]).await?;
    let value = rows.first().map(|row| row.try_get::<_, String>(0));
    Ok(value.transpose()?.is_some_and(|value| !value.is_empty()))
}

async fn mark(db: &mut Db, value: &str) -> Result<(), Stop> {
    let text = "update oncely_meta set value = $1 where name = 'pruning'";
    db.run(text, &[&value]).await?;
    Ok(())
}

async fn runs(db: &mut Db, part: &Prune, mut waiting: bool) -> Result<Pruned, Stop> {
    let below = part.from.below().unwrap_or(RunId(0));
    let page = page(db, below, part.runs).await?;
    let last = page.last().map(|run| run.id);
    let mut next = last.filter(|_| page.len() == part.runs).map(Place::Below);
    let look = around(db, page, part).await?;
    let going: Vec<(RunId, u64)> = look.choose(part).iter().map(|r| (r.id, r.facts)).collect();
    let ids: Vec<RunId> = going.iter().map(|(id, _)| *id).collect();
    let mut number = part.number;
    if !part.dry {
        if !ids.is_empty() {
            number = Some(remove(db, part, &ids).await?);
            mark(db, "keys").await?;
            waiting = true;
        }
        let more = sweep(db, part.rows).await?;
        next = next
            .or(more.then_some(Place::Items))
            .or(waiting.then_some(Place::Keys(0)));
    }
    Ok(Pruned {
        number,
        next,
        runs: ids.len() as u64,
        facts: going.iter().map(|(_, facts)| facts).sum(),
    })
}

fn seen(row: &Row) -> Result<Seen, Stop> {
    Ok(Seen {
        id: RunId(row.try_get(0)?),
        environment: row.try_get::<_, String>(1)?.into(),
        task: row.try_get::<_, String>(2)?.into(),
        trigger: row.try_get(3)?,
        status: text::status(row, 4)?,
        changed: Timestamp(row.try_get(5)?),
        facts: text::unsigned(row, 6)?,
        held: row.try_get(7)?,
        parent: row.try_get::<_, Option<i64>>(8)?.map(RunId),
    })
}

async fn page(db: &mut Db, below: RunId, runs: usize) -> Result<Vec<Seen>, Stop> {
    let room = i64::try_from(runs).unwrap_or(i64::MAX);
    let text = format!("{SEEN} where r.id < $1 order by r.id desc limit $2");
    let rows = db.rows(&text, &[&below.0, &room]).await?;
    rows.iter().map(seen).collect()
}

async fn of(db: &mut Db, column: &str, ids: &BTreeSet<RunId>) -> Result<Vec<Seen>, Stop> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let text = format!("{SEEN} where {column} = any($1)");
    let rows = db.rows(&text, &[&ids]).await?;
    rows.iter().map(seen).collect()
}

/// Looks around the runs of a page that may go by themselves, and locks these.
async fn around(db: &mut Db, page: Vec<Seen>, part: &Prune) -> Result<Look, Stop> {
    let mut look = Look::at(page);
    let mut ids: BTreeSet<RunId> = look.candidates(part).iter().map(|run| run.id).collect();
    if !part.dry {
        ids = locked(db, &ids, part.old.before).await?;
        look.keep_but(&ids);
    }
    look.add(of(db, "r.id", &look.parents(part)).await?);
    // A child has a higher number than its parent.
    while !ids.is_empty() {
        look.newest(newest(db, &ids).await?);
        let children = of(db, "a.parent", &ids).await?;
        let parents = ids;
        ids = children.iter().map(|child| child.id).collect();
        ids.retain(|id| !parents.contains(id));
        look.add(children);
    }
    Ok(look)
}

/// Those that nobody else has locked, and that have not changed since they were looked at.
async fn locked(
    db: &mut Db,
    ids: &BTreeSet<RunId>,
    before: Timestamp,
) -> Result<BTreeSet<RunId>, Stop> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let text = "select id from oncely_runs where id = any($1) and changed < $2 and holder is null
                order by id for update skip locked";
    let rows = db.rows(text, &[&ids, &before.0]).await?;
    rows.iter().map(|row| Ok(RunId(row.try_get(0)?))).collect()
}

/// The newest runs of the tasks of these.
async fn newest(db: &mut Db, ids: &BTreeSet<RunId>) -> Result<Vec<RunId>, Stop> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let text = "select (select n.id from oncely_runs n where n.environment = t.environment
                and n.task = t.task order by n.id desc limit 1)
                from (select distinct environment, task from oncely_runs where id = any($1)) t";
    let rows = db.rows(text, &[&ids]).await?;
    rows.iter().map(|row| Ok(RunId(row.try_get(0)?))).collect()
}

async fn remove(db: &mut Db, part: &Prune, ids: &[RunId]) -> Result<u64, Stop> {
    let number = record(db, part, ids.len() as u64).await?;
    let runs: Vec<i64> = ids.iter().map(|id| id.0).collect();
    for text in [
        "insert into oncely_leftovers (run) select n.run from unnest($1::bigint[]) as n (run)
         where exists (select 1 from oncely_item_facts i where i.run = n.run)
         or exists (select 1 from oncely_set_aside s where s.run = n.run) on conflict (run) do nothing",
        "delete from oncely_facts where run = any($1)",
        "delete from oncely_progress where run = any($1)",
        "delete from oncely_admissions where run = any($1)",
        "delete from oncely_runs where id = any($1)",
    ] {
        db.run(text, &[&runs]).await?;
    }
    let gone = without_gaps(ids, number);
    let firsts: Vec<i64> = gone.iter().map(|gone| gone.first.0).collect();
    let lasts: Vec<i64> = gone.iter().map(|gone| gone.last.0).collect();
    let text = "insert into oncely_pruned (last, first, prune)
                select n.last, n.first, $3 from unnest($1::bigint[], $2::bigint[]) as n (last, first)";
    db.run(text, &[&lasts, &firsts, &number.cast_signed()])
        .await?;
    Ok(number)
}

async fn record(db: &mut Db, part: &Prune, runs: u64) -> Result<u64, Stop> {
    let runs = runs.cast_signed();
    if let Some(number) = part.number {
        let text = "update oncely_prunes set runs = runs + $2 where number = $1";
        db.run(text, &[&number.cast_signed(), &runs]).await?;
        return Ok(number);
    }
    let text = "insert into oncely_prunes
        (number, at, by_whom, reason, environment, task, before, runs)
        select coalesce(max(number), 0) + 1, $1, $2, $3, $4, $5, $6, $7 from oncely_prunes
        returning number";
    let environment = part.old.environment.as_str();
    let task = part.old.task.as_ref().map(|task| task.as_str());
    let rows = db
        .rows(
            text,
            &[
                &part.at.0,
                &part.by,
                &part.reason,
                &environment,
                &task,
                &part.old.before.0,
                &runs,
            ],
        )
        .await?;
    rows.first().map_or(Ok(0), |row| text::unsigned(row, 0))
}

/// Removes what is left of items of removed runs, so many rows; says whether there may be more.
async fn sweep(db: &mut Db, rows: usize) -> Result<bool, Stop> {
    let mut room = i64::try_from(rows).unwrap_or(i64::MAX);
    loop {
        let text = "select run from oncely_leftovers order by run limit 1";
        let Some(row) = db.rows(text, &[]).await?.pop() else {
            return Ok(false);
        };
        let run: i64 = row.try_get(0)?;
        for text in [
            "delete from oncely_set_aside where (run, step, item) in
             (select run, step, item from oncely_set_aside where run = $1 limit $2)",
            "delete from oncely_item_facts where (run, step, item, place) in
             (select run, step, item, place from oncely_item_facts where run = $1 limit $2)",
        ] {
            room -= db.run(text, &[&run, &room]).await?.cast_signed();
        }
        if room <= 0 {
            return Ok(true);
        }
        let text = "delete from oncely_leftovers where run = $1";
        db.run(text, &[&run]).await?;
    }
}

fn prune_record(row: &Row) -> Result<PruneRecord, Stop> {
    Ok(PruneRecord {
        number: text::unsigned(row, 0)?,
        at: Timestamp(row.try_get(1)?),
        by: row.try_get(2)?,
        reason: row.try_get(3)?,
        environment: row.try_get::<_, String>(4)?.into(),
        task: row.try_get::<_, Option<String>>(5)?.map(Into::into),
        before: Timestamp(row.try_get(6)?),
        runs: text::unsigned(row, 7)?,
    })
}

/// The newest prunes.
pub(crate) async fn newest_prunes(db: &mut Db, most: usize) -> Result<Vec<PruneRecord>, Stop> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let text = format!("{PRUNE} order by p.number desc limit $1");
    let rows = db.rows(&text, &[&most]).await?;
    rows.iter().map(prune_record).collect()
}

/// The prune that removed a run.
pub(crate) async fn prune_of(db: &mut Db, run: RunId) -> Result<Option<PruneRecord>, Stop> {
    let text = format!(
        "{PRUNE} join (select first, prune from oncely_pruned where last >= $1 order by last limit 1)
         g on g.prune = p.number where g.first <= $1"
    );
    let rows = db.rows(&text, &[&run.0]).await?;
    rows.first().map(prune_record).transpose()
}
