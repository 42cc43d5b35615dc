//! Answers to questions, each from one read transaction.

use super::guards;
use super::prune;
use super::rows::{self, NEWEST, RUN, RUN_OF_TASK, json, run_row, signed, status, unsigned};
use oncely_core::ids::{ContentHash, Environment, EventKey, HolderId, RunId, StepId, TaskId};
use oncely_core::items::{Progress, SetAside};
use oncely_core::ledger::{Answer, FileMark, Filter, Query, RunRow};
use oncely_core::run::RunStatus;
use oncely_core::source::Cursor;
use oncely_core::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use std::ops::Range;
use std::sync::Arc;

// In a `cross join` SQLite keeps the order of the tables: runs come first, by the index that is
// meant, and the few tasks are looked up.

/// Answers a question.
pub(crate) fn answer(conn: &Connection, query: &Query) -> rusqlite::Result<Answer> {
    Ok(match query {
        Query::Run(id) => Answer::Run(rows::run(conn, *id)?),
        Query::Runs(filter) => Answer::Runs(runs(conn, filter)?),
        Query::Newest(environment) => Answer::Runs(newest(conn, environment)?),
        Query::Facts(id, from) => Answer::Facts(rows::facts(conn, *id, *from)?),
        Query::Began(runs) => Answer::Began(rows::began(conn, runs)?),
        Query::Broken(runs) => Answer::Broken(rows::broken(conn, runs)?),
        Query::Stored(hash) => Answer::Stored(stored(conn, hash)?),
        Query::Progress(run, step) => Answer::Progress(progress(conn, *run, step)?),
        Query::SetAside(run, from, limit) => set_aside(conn, *run, *from, *limit)?,
        Query::ItemFacts(run, step, range) => item_facts(conn, *run, step, range)?,
        Query::Cursor(source) => Answer::Cursor(cursor(conn, source)?),
        Query::Counts(environment) => Answer::Counts(counts(conn, environment)?),
        Query::NextDue(environment) => Answer::NextDue(next_due(conn, environment)?),
        Query::Files => Answer::Files(files(conn)?),
        Query::Holders => {
            let text = "select id, pid, role, since from oncely_holders order by id";
            Answer::Holders(all(conn, text, [], rows::holder_info)?)
        }
        Query::NameHolder(name) => Answer::NameHolder(
            conn.prepare_cached(
                "select h.id, h.pid, h.role, h.since from oncely_names n
                 join oncely_holders h on h.id = n.holder where n.name = ?1",
            )?
            .query_row([name], rows::holder_info)
            .optional()?,
        ),
        Query::Prunes(most) => Answer::Prunes(prune::newest(conn, *most)?),
        Query::Admitted(environment, task, key) => {
            Answer::Admitted(guards::all_admitted(conn, environment, task, key)?)
        }
        Query::Children(run) => {
            let text = format!("{RUN} where a.parent = ?1 order by r.id");
            Answer::Runs(all(conn, &text, [run.0], run_row)?)
        }
        Query::PruneOf(run) => Answer::PruneOf(prune::prune_of(conn, *run)?),
        Query::Names => {
            let text =
                "select name, holder from oncely_names where holder is not null order by name";
            let read = |row: &Row<'_>| Ok((row.get(0)?, HolderId(row.get(1)?)));
            Answer::Names(all(conn, text, [], read)?)
        }
    })
}

fn all<T>(
    conn: &Connection,
    text: &str,
    values: impl rusqlite::Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    conn.prepare_cached(text)?
        .query_map(values, read)?
        .collect()
}

fn runs(conn: &Connection, filter: &Filter) -> rusqlite::Result<Vec<RunRow>> {
    if let (Some(environment), Some(task), Some(key)) =
        (&filter.environment, &filter.task, &filter.key)
    {
        return runs_of_key(conn, filter, environment, task, key);
    }
    // With a task the index on tasks is used; without one runs are walked from the newest.
    let start = filter.task.as_ref().map_or(RUN, |_| RUN_OF_TASK);
    let mut text = format!("{start} where true");
    let mut values: Vec<Value> = Vec::new();
    let mut also = |term: &str, value: Value| {
        values.push(value);
        text.push_str(&format!(" and {term} ?{}", values.len()));
    };
    if let Some(environment) = &filter.environment {
        also("+t.environment =", environment.to_string().into());
    }
    if let Some(task) = &filter.task {
        also("t.task =", task.to_string().into());
    }
    if let Some(key) = &filter.key {
        also("a.key =", key.to_string().into());
    }
    if let Some(holder) = filter.holder {
        also("r.holder =", holder.0.into());
    }
    if let Some(before) = filter.before {
        also("r.id <", before.0.into());
    }
    text.push_str(&in_states(&filter.status));
    text.push_str(&format!(" order by r.id desc limit {}", limit(filter)));
    all(conn, &text, params_from_iter(values), run_row)
}

fn limit(filter: &Filter) -> usize {
    match filter.limit {
        0 => Filter::MOST,
        limit => limit.min(Filter::MOST),
    }
}

fn in_states(states: &[RunStatus]) -> String {
    if states.is_empty() {
        return String::new();
    }
    let numbers: Vec<String> = states
        .iter()
        .map(|s| rows::number(*s).to_string())
        .collect();
    format!(" and r.status in ({})", numbers.join(", "))
}

/// Runs of one key, found by its hash, generation after generation.
fn runs_of_key(
    conn: &Connection,
    filter: &Filter,
    environment: &Environment,
    task: &TaskId,
    key: &EventKey,
) -> rusqlite::Result<Vec<RunRow>> {
    let mut found = Vec::new();
    for id in guards::all_admitted(conn, environment, task, key)? {
        found.extend(rows::run(conn, id)?);
    }
    found.sort_by_key(|row| std::cmp::Reverse(row.id));
    // A key that was forgotten is no key any more.
    found.retain(|row| {
        row.key == *key
            && (filter.status.is_empty() || filter.status.contains(&row.status))
            && filter
                .holder
                .is_none_or(|holder| row.holder == Some(holder))
            && filter.before.is_none_or(|before| row.id < before)
    });
    found.truncate(limit(filter));
    Ok(found)
}

fn newest(conn: &Connection, environment: &Environment) -> rusqlite::Result<Vec<RunRow>> {
    all(conn, NEWEST, [environment.as_str()], run_row)
}

fn stored(conn: &Connection, hash: &ContentHash) -> rusqlite::Result<Option<Arc<[u8]>>> {
    conn.prepare_cached("select content from oncely_store where hash = ?1")?
        .query_row([hash.0], |row| Ok(Arc::from(row.get_ref(0)?.as_blob()?)))
        .optional()
}

fn progress(conn: &Connection, run: RunId, step: &StepId) -> rusqlite::Result<Option<Progress>> {
    conn.prepare_cached(
        "select next, byte_offset, line, done, set_aside, unseen from oncely_progress
         where run = ?1 and step = ?2",
    )?
    .query_row(params![run.0, step.as_str()], |row| progress_row(row, 0))
    .optional()
}

/// Progress from six columns.
pub(crate) fn progress_row(row: &Row<'_>, from: usize) -> rusqlite::Result<Progress> {
    Ok(Progress {
        next: unsigned(row, from)?,
        offset: unsigned(row, from + 1)?,
        line: unsigned(row, from + 2)?,
        done: unsigned(row, from + 3)?,
        set_aside: unsigned(row, from + 4)?,
        unseen: unsigned(row, from + 5)?,
    })
}

fn set_aside(conn: &Connection, run: RunId, from: u64, limit: usize) -> rusqlite::Result<Answer> {
    let text = "select step, item, line, input, reason from oncely_set_aside
                where run = ?1 order by step, item limit ?2 offset ?3";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let page = params![run.0, limit, signed(from)];
    Ok(Answer::SetAside(all(conn, text, page, |row| {
        Ok((
            StepId::from(row.get::<_, String>(0)?),
            set_aside_row(row, 1)?,
        ))
    })?))
}

/// An item set aside from four columns.
pub(crate) fn set_aside_row(row: &Row<'_>, from: usize) -> rusqlite::Result<SetAside> {
    Ok(SetAside {
        item: unsigned(row, from)?,
        line: row.get::<_, Option<i64>>(from + 1)?.map(i64::cast_unsigned),
        input: row.get(from + 2)?,
        reason: row.get(from + 3)?,
    })
}

fn item_facts(
    conn: &Connection,
    run: RunId,
    step: &StepId,
    range: &Range<u64>,
) -> rusqlite::Result<Answer> {
    let text = "select body from oncely_item_facts
                where run = ?1 and step = ?2 and item >= ?3 and item < ?4 order by item, place";
    let end = signed(range.end.min(i64::MAX.cast_unsigned()));
    let place = params![run.0, step.as_str(), signed(range.start), end];
    Ok(Answer::ItemFacts(all(conn, text, place, |row| {
        json(row, 0)
    })?))
}

fn cursor(conn: &Connection, source: &str) -> rusqlite::Result<Option<Cursor>> {
    conn.prepare_cached("select cursor from oncely_cursors where source = ?1")?
        .query_row([source], |row| row.get(0).map(Cursor))
        .optional()
}

fn counts(conn: &Connection, environment: &Environment) -> rusqlite::Result<Vec<(RunStatus, u64)>> {
    let text = "select r.status, count(*) from oncely_runs r
                cross join oncely_tasks t on t.id = r.task where t.environment = ?1 group by r.status";
    let mut counts = all(conn, text, [environment.as_str()], |row| {
        Ok((status(row, 0)?, unsigned(row, 1)?))
    })?;
    counts.sort_unstable();
    Ok(counts)
}

fn next_due(conn: &Connection, environment: &Environment) -> rusqlite::Result<Option<Timestamp>> {
    conn.prepare_cached(
        "select r.due from oncely_runs r cross join oncely_tasks t on t.id = r.task
         where r.holder is null and r.due is not null and t.environment = ?1
         order by r.due limit 1",
    )?
    .query_row([environment.as_str()], |row| row.get(0).map(Timestamp))
    .optional()
}

fn files(conn: &Connection) -> rusqlite::Result<Vec<FileMark>> {
    let text = "select path, size, modified, file, task, text_hash from oncely_files order by path";
    all(conn, text, [], |row| {
        Ok(FileMark {
            path: row.get(0)?,
            stat: (unsigned(row, 1)?, row.get(2)?, unsigned(row, 3)?),
            task: row.get::<_, String>(4)?.into(),
            text: ContentHash(row.get(5)?),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> String {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(crate::sqlite::TABLES).unwrap();
        let text = format!("explain query plan {text}");
        let mut statement = conn.prepare(&text).unwrap();
        let steps = statement
            .query_map([], |row| row.get::<_, String>(3))
            .unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn questions_that_are_asked_often_use_their_index() {
        let due = "select r.due from oncely_runs r cross join oncely_tasks t on t.id = r.task
            where r.holder is null and r.due is not null and t.environment = 'x'
            order by r.due limit 1";
        assert!(
            plan(due).starts_with("SEARCH r USING INDEX oncely_runs_due"),
            "{}",
            plan(due)
        );
        assert!(!plan(due).contains("TEMP B-TREE"));
        let listed =
            format!("{RUN} where true and +t.environment = 'x' order by r.id desc limit 9");
        assert!(plan(&listed).starts_with("SCAN r; "), "{}", plan(&listed));
        let of_task =
            format!("{RUN_OF_TASK} where true and t.task = 'x' order by r.id desc limit 9");
        assert!(
            plan(&of_task).contains("oncely_runs_task"),
            "{}",
            plan(&of_task)
        );
        let held = "select id from oncely_runs where holder = 1";
        assert!(plan(held).contains("oncely_runs_held"), "{}", plan(held));
        let lane = "select id from oncely_runs
            where lane = 'x' and lane is not null and status < 4 order by id";
        assert_eq!(
            plan(lane),
            "SEARCH oncely_runs USING INDEX oncely_runs_lane (lane=?)"
        );
    }
}
