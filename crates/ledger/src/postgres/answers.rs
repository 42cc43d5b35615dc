//! Answers to questions, each from one statement.

use super::db::{Db, Param, Stop};
use super::slice::Slice;
use super::text::{self, RUN};
use super::{kept, prune};
use crate::sqlite::rows::{BEGAN, Kind, number};
use oncely_core::ids::{Environment, HolderId, RunId};
use oncely_core::ledger::{Answer, Begun, Filter, Query, RunRow};
use oncely_core::source::Cursor;
use oncely_core::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_postgres::Row;

/// Answers a question.
pub(crate) async fn answer(db: &mut Db, query: &Query) -> Result<Answer, Stop> {
    Ok(match query {
        Query::Run(id) => {
            let rows = db.rows(&format!("{RUN} where r.id = $1"), &[&id.0]).await?;
            Answer::Run(rows.first().map(text::run_row).transpose()?)
        }
        Query::Runs(filter) => Answer::Runs(runs(db, filter).await?),
        Query::Newest(environment) => Answer::Runs(newest(db, environment).await?),
        Query::Facts(id, from) => {
            let text =
                "select at, body from oncely_facts where run = $1 and seq >= $2 order by seq";
            let rows = db.rows(text, &[&id.0, &from.cast_signed()]).await?;
            Answer::Facts(each(&rows, |row| text::recorded(row, 0))?)
        }
        Query::Began(runs) => Answer::Began(began(db, runs).await?),
        Query::Stored(hash) => {
            let text = "select content from oncely_store where hash = $1";
            let rows = db.rows(text, &[&&hash.0[..]]).await?;
            let content = |row: &Row| Ok(Arc::from(row.try_get::<_, &[u8]>(0)?));
            Answer::Stored(one(&rows, content)?)
        }
        Query::Progress(run, step) => {
            let text = "select next, byte_offset, line, done, set_aside, unseen
                        from oncely_progress where run = $1 and step = $2";
            let rows = db.rows(text, &[&run.0, &step.as_str()]).await?;
            Answer::Progress(one(&rows, |row| text::progress(row, 0))?)
        }
        Query::SetAside(run, from, limit) => set_aside(db, *run, *from, *limit).await?,
        Query::ItemFacts(run, step, range) => {
            let text = "select body from oncely_item_facts where run = $1 and step = $2
                        and item >= $3 and item < $4 order by item, place";
            let end = range.end.min(i64::MAX.cast_unsigned()).cast_signed();
            let (step, start) = (step.as_str(), range.start.cast_signed());
            let rows = db.rows(text, &[&run.0, &step, &start, &end]).await?;
            Answer::ItemFacts(each(&rows, |row| text::json(row, 0))?)
        }
        Query::Cursor(source) => {
            let text = "select cursor from oncely_cursors where source = $1";
            let rows = db.rows(text, &[source]).await?;
            Answer::Cursor(one(&rows, |row| Ok(Cursor(row.try_get(0)?)))?)
        }
        Query::Counts(environment) => {
            let text = "select status, count(*) from oncely_runs where environment = $1
                        group by status";
            let rows = db.rows(text, &[&environment.as_str()]).await?;
            let mut counts = each(&rows, |r| Ok((text::status(r, 0)?, text::unsigned(r, 1)?)))?;
            counts.sort_unstable();
            Answer::Counts(counts)
        }
        Query::NextDue(environment) => {
            let text = "select due from oncely_runs where environment = $1 and holder is null
                        and due is not null order by due limit 1";
            let rows = db.rows(text, &[&environment.as_str()]).await?;
            Answer::NextDue(one(&rows, |row| Ok(Timestamp(row.try_get(0)?)))?)
        }
        Query::Broken(runs) => {
            let ids: Vec<i64> = runs.iter().map(|id| id.0).collect();
            let mut slice = Slice::empty();
            let rows = db
                .rows(&format!("{RUN} where r.id = any($1)"), &[&ids])
                .await?;
            slice.add_rows(&rows)?;
            slice.load_facts(db, &ids).await?;
            let broken = |id: &&RunId| slice.state.runs.get(id).is_some_and(|run| run.broken);
            Answer::Broken(runs.iter().filter(broken).copied().collect())
        }
        Query::Files => {
            let rows = db.rows("select body from oncely_files", &[]).await?;
            let mut marks: Vec<oncely_core::ledger::FileMark> =
                each(&rows, |row| text::json(row, 0))?;
            marks.sort_by(|a, b| a.path.cmp(&b.path));
            Answer::Files(marks)
        }
        Query::Holders => {
            let text = "select id, pid, role, since from oncely_holders order by id";
            let rows = db.rows(text, &[]).await?;
            Answer::Holders(each(&rows, |row| text::holder(row, 0))?)
        }
        Query::NameHolder(name) => {
            let text = "select h.id, h.pid, h.role, h.since from oncely_names n
                        join oncely_holders h on h.id = n.holder where n.name = $1";
            let rows = db.rows(text, &[name]).await?;
            Answer::NameHolder(one(&rows, |row| text::holder(row, 0))?)
        }
        Query::Prunes(most) => Answer::Prunes(prune::newest_prunes(db, *most).await?),
        Query::Admitted(environment, task, key) => {
            Answer::Admitted(kept::admitted(db, environment, task, key).await?)
        }
        Query::Children(run) => {
            let text = format!("{RUN} where a.parent = $1 order by r.id");
            let rows = db.rows(&text, &[&run.0]).await?;
            Answer::Runs(each(&rows, text::run_row)?)
        }
        Query::PruneOf(run) => Answer::PruneOf(prune::prune_of(db, *run).await?),
        Query::Names => {
            let text = "select name, holder from oncely_names where holder is not null";
            let rows = db.rows(text, &[]).await?;
            let mut names: Vec<(String, HolderId)> = each(&rows, |row| {
                Ok((row.try_get(0)?, HolderId(row.try_get(1)?)))
            })?;
            names.sort();
            Answer::Names(names)
        }
    })
}

/// When each run began: its first fact that says so.
async fn began(db: &mut Db, runs: &[RunId]) -> Result<Vec<Begun>, Stop> {
    let ids: Vec<i64> = runs.iter().map(|id| id.0).collect();
    let pattern = format!("%{BEGAN}%");
    let text = "select run, at, body from oncely_facts where run = any($1) and body like $2
                order by run, seq";
    let mut found = BTreeMap::new();
    for row in &db.rows(text, &[&ids, &pattern]).await? {
        if let Some(text) = text::json::<Kind>(row, 2)?.began() {
            let (run, at) = (RunId(row.try_get(0)?), Timestamp(row.try_get(1)?));
            found.entry(run).or_insert(Begun { run, at, text });
        }
    }
    let known = |id: &RunId| found.get(id).copied();
    Ok(runs.iter().filter_map(known).collect())
}

fn each<T>(rows: &[Row], read: impl Fn(&Row) -> Result<T, Stop>) -> Result<Vec<T>, Stop> {
    rows.iter().map(read).collect()
}

fn one<T>(rows: &[Row], read: impl Fn(&Row) -> Result<T, Stop>) -> Result<Option<T>, Stop> {
    rows.first().map(read).transpose()
}

async fn runs(db: &mut Db, filter: &Filter) -> Result<Vec<RunRow>, Stop> {
    let environment = filter.environment.as_ref().map(|e| e.as_str());
    let task = filter.task.as_ref().map(|t| t.as_str());
    let key = filter.key.as_ref().map(|k| k.as_str());
    let holder = filter.holder.map(|holder| holder.0);
    let before = filter.before.map(|run| run.0);
    let states: Vec<i64> = filter.status.iter().map(|s| number(*s)).collect();
    let limit = match filter.limit {
        0 => Filter::MOST,
        limit => limit.min(Filter::MOST),
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut text = format!("{RUN} where true");
    let mut values: Vec<Param<'_>> = Vec::new();
    if let Some(environment) = &environment {
        values.push(environment);
        text.push_str(&format!(" and r.environment = ${}", values.len()));
    }
    if let Some(task) = &task {
        values.push(task);
        text.push_str(&format!(" and r.task = ${}", values.len()));
    }
    if let Some(key) = &key {
        values.push(key);
        text.push_str(&format!(" and a.key = ${}", values.len()));
    }
    if let Some(holder) = &holder {
        values.push(holder);
        text.push_str(&format!(" and r.holder = ${}", values.len()));
    }
    if let Some(before) = &before {
        values.push(before);
        text.push_str(&format!(" and r.id < ${}", values.len()));
    }
    if !states.is_empty() {
        values.push(&states);
        text.push_str(&format!(" and r.status = any(${})", values.len()));
    }
    values.push(&limit);
    text.push_str(&format!(" order by r.id desc limit ${}", values.len()));
    let rows = db.rows(&text, &values).await?;
    each(&rows, text::run_row)
}

async fn newest(db: &mut Db, environment: &Environment) -> Result<Vec<RunRow>, Stop> {
    let text = format!(
        "{RUN} where r.id in
         (select max(n.id) from oncely_runs n where n.environment = $1 group by n.task)"
    );
    let rows = db.rows(&text, &[&environment.as_str()]).await?;
    let mut newest = each(&rows, text::run_row)?;
    newest.sort_by(|a, b| a.task.cmp(&b.task));
    Ok(newest)
}

/// The order of steps is that of their bytes, whatever the database's collation: few enough rows
/// belong to one run to be sorted here.
async fn set_aside(db: &mut Db, run: RunId, from: u64, limit: usize) -> Result<Answer, Stop> {
    let text = "select step, body from oncely_set_aside where run = $1 order by item";
    let rows = db.rows(text, &[&run.0]).await?;
    let mut all = each(&rows, |row| {
        Ok((row.try_get::<_, String>(0)?.into(), text::json(row, 1)?))
    })?;
    all.sort_by(
        |a: &(oncely_core::ids::StepId, oncely_core::items::SetAside), b| {
            (&a.0, a.1.item).cmp(&(&b.0, b.1.item))
        },
    );
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    Ok(Answer::SetAside(
        all.into_iter().skip(from).take(limit).collect(),
    ))
}
