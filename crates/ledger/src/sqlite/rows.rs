//! Runs as rows: what is read and written, and how the types of core stand in columns.

use crate::chained::{self, Reading};
use oncely_core::chain::{Beginning, Chain};
use oncely_core::fact::{Fact, Recorded};
use oncely_core::ids::{ContentHash, Environment, Fence, Generation, HolderId, RunId, TaskId};
use oncely_core::ledger::{Begun, HolderInfo, RunRow};
use oncely_core::run::RunStatus;
use oncely_core::time::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use std::collections::HashMap;

/// The part of a run that changes.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    pub(crate) task: i64,
    pub(crate) status: RunStatus,
    pub(crate) seq: u64,
    pub(crate) changed: Timestamp,
    pub(crate) due: Option<Timestamp>,
    pub(crate) holder: Option<HolderId>,
    pub(crate) fence: Fence,
    pub(crate) claims: u32,
    pub(crate) lane: Option<String>,
    pub(crate) chain: Chain,
    /// How often its row was written since it was admitted: what the head of the ledger counts.
    pub(crate) moves: i64,
}

/// A status as a number. Those below 4 have not ended: the index on lanes counts on it.
pub(crate) fn number(status: RunStatus) -> i64 {
    match status {
        RunStatus::Pending => 0,
        RunStatus::Running => 1,
        RunStatus::Waiting => 2,
        RunStatus::Unknown => 3,
        RunStatus::Done => 4,
        RunStatus::Failed => 5,
        RunStatus::Cancelled => 6,
        RunStatus::Skipped => 7,
        RunStatus::Undone => 8,
        RunStatus::Imported => 9,
    }
}

/// The status in a column.
pub(crate) fn status(row: &Row<'_>, column: usize) -> rusqlite::Result<RunStatus> {
    let found: i64 = row.get(column)?;
    let known = RunStatus::ALL.into_iter().find(|s| number(*s) == found);
    known.ok_or(rusqlite::Error::IntegralValueOutOfRange(column, found))
}

/// The head of a chain. What is none is read as one that nothing fits; while a ledger is migrated it is
/// empty.
fn chain(row: &Row<'_>, column: usize) -> rusqlite::Result<Chain> {
    let found = row.get_ref(column)?.as_blob().unwrap_or_default();
    Ok(found.try_into().map(Chain).unwrap_or_default())
}

/// The hash of an event, likewise.
fn event_hash(row: &Row<'_>, column: usize) -> rusqlite::Result<ContentHash> {
    let found = row.get_ref(column)?.as_blob().unwrap_or_default();
    Ok(found.try_into().map(ContentHash).unwrap_or_default())
}

/// A number that is never negative, as SQLite keeps it.
pub(crate) fn signed(number: u64) -> i64 {
    number.cast_signed()
}

/// Such a number from a column.
pub(crate) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}

/// A column of JSON.
pub(crate) fn json<T: serde::de::DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

/// Anything as JSON text.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

impl Standing {
    /// Reads where a run stands.
    pub(crate) fn load(conn: &Connection, id: RunId) -> rusqlite::Result<Option<Self>> {
        conn.prepare_cached(
            "select task, status, seq, changed, due, holder, fence, claims, lane, chain,
             moves from oncely_runs where id = ?1",
        )?
        .query_row([id.0], |row| {
            Ok(Self {
                task: row.get(0)?,
                status: status(row, 1)?,
                seq: unsigned(row, 2)?,
                changed: Timestamp(row.get(3)?),
                due: row.get::<_, Option<i64>>(4)?.map(Timestamp),
                holder: row.get::<_, Option<i64>>(5)?.map(HolderId),
                fence: Fence(row.get(6)?),
                claims: row.get(7)?,
                lane: row.get(8)?,
                chain: chain(row, 9)?,
                moves: row.get(10)?,
            })
        })
        .optional()
    }

    /// Writes a run that is new.
    pub(crate) fn insert(&self, conn: &Connection, id: RunId) -> rusqlite::Result<()> {
        conn.prepare_cached(
            "insert into oncely_runs
             (id, task, status, seq, changed, due, holder, fence, claims, lane, chain, moves)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            id.0,
            self.task,
            number(self.status),
            signed(self.seq),
            self.changed.0,
            self.due.map(|at| at.0),
            self.holder.map(|h| h.0),
            self.fence.0,
            self.claims,
            self.lane,
            self.chain.0,
            self.moves,
        ])?;
        Ok(())
    }

    /// Writes what has changed of a run.
    pub(crate) fn update(&self, conn: &Connection, id: RunId) -> rusqlite::Result<()> {
        conn.prepare_cached(
            "update oncely_runs set status = ?2, seq = ?3, changed = ?4, due = ?5, holder = ?6,
             fence = ?7, claims = ?8, chain = ?9, moves = ?10 where id = ?1",
        )?
        .execute(params![
            id.0,
            number(self.status),
            signed(self.seq),
            self.changed.0,
            self.due.map(|at| at.0),
            self.holder.map(|h| h.0),
            self.fence.0,
            self.claims,
            self.chain.0,
            self.moves,
        ])?;
        Ok(())
    }
}

macro_rules! run_columns {
    () => {
        "select r.id, t.environment, t.task, a.key, a.generation, a.trigger_name, a.event, r.status,
         r.seq, a.admitted, r.changed, r.due, r.holder, r.fence, r.claims, r.lane, a.depth, a.parent,
         r.chain, a.event_hash"
    };
}

/// Whole runs for [`run_row`], found by what is said of them.
pub(crate) const RUN: &str = concat!(
    run_columns!(),
    " from oncely_runs r join oncely_admissions a on a.run = r.id
      join oncely_tasks t on t.id = r.task"
);

/// Whole runs for [`run_row`], found by their task: SQLite keeps the order of a cross join.
pub(crate) const RUN_OF_TASK: &str = concat!(
    run_columns!(),
    " from oncely_tasks t cross join oncely_runs r on r.task = t.id
      join oncely_admissions a on a.run = r.id"
);

/// The newest run of each task of an environment for [`run_row`], in the order of the index of tasks,
/// so that nothing is sorted.
pub(crate) const NEWEST: &str = concat!(
    run_columns!(),
    " from oncely_tasks t
      cross join oncely_runs r on r.id = (select max(n.id) from oncely_runs n where n.task = t.id)
      join oncely_admissions a on a.run = r.id
      where t.environment = ?1 order by t.task"
);

/// A whole run.
pub(crate) fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        id: RunId(row.get(0)?),
        environment: text(row, 1)?.into(),
        task: text(row, 2)?.into(),
        key: text(row, 3)?.into(),
        generation: Generation(row.get(4)?),
        trigger: row.get(5)?,
        event: text(row, 6)?.into(),
        status: status(row, 7)?,
        seq: unsigned(row, 8)?,
        admitted: Timestamp(row.get(9)?),
        changed: Timestamp(row.get(10)?),
        due: row.get::<_, Option<i64>>(11)?.map(Timestamp),
        holder: row.get::<_, Option<i64>>(12)?.map(HolderId),
        fence: Fence(row.get(13)?),
        claims: row.get(14)?,
        lane: row.get(15)?,
        depth: row.get(16)?,
        parent: row.get::<_, Option<i64>>(17)?.map(RunId),
        chain: chain(row, 18)?,
        event_hash: event_hash(row, 19)?,
    })
}

/// A text where it stands, which needs no copy of its own.
fn text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r str> {
    Ok(row.get_ref(column)?.as_str()?)
}

/// One whole run by its number.
pub(crate) fn run(conn: &Connection, id: RunId) -> rusqlite::Result<Option<RunRow>> {
    conn.prepare_cached(&format!("{RUN} where r.id = ?1"))?
        .query_row([id.0], run_row)
        .optional()
}

/// A run's facts from a number on. Those of one operation are one row, so that the first row may
/// begin before it.
pub(crate) fn facts(conn: &Connection, id: RunId, from: u64) -> rusqlite::Result<Vec<Recorded>> {
    let mut rows = conn.prepare_cached(
        "select first, at, body from oncely_facts
         where run = ?1 and first + count > ?2 order by first",
    )?;
    let mut rows = rows.query(params![id.0, signed(from)])?;
    let mut facts = Vec::new();
    while let Some(row) = rows.next()? {
        let skip = from.saturating_sub(unsigned(row, 0)?);
        let at = Timestamp(row.get(1)?);
        let body: Vec<Fact> = json(row, 2)?;
        // Facts whose data was removed are rows of their own.
        let text = row.get_ref(2)?.as_str()?;
        let forgotten = text.strip_prefix('[').and_then(chained::forgotten);
        let wanted = body
            .into_iter()
            .skip(usize::try_from(skip).unwrap_or(usize::MAX));
        facts.extend(wanted.map(|fact| Recorded {
            at,
            forgotten,
            fact,
        }));
    }
    Ok(facts)
}

/// A run's facts, when they are those of its chain.
pub(crate) fn intact(conn: &Connection, run: &RunRow) -> rusqlite::Result<Option<Vec<Recorded>>> {
    let reading = reading(conn, run)?;
    let intact = reading.filter(|reading| reading.is(run));
    Ok(intact.map(|reading| reading.facts))
}

/// A run's facts with their chain; none where a row cannot be read.
pub(crate) fn reading(conn: &Connection, run: &RunRow) -> rusqlite::Result<Option<Reading>> {
    let mut rows = conn.prepare_cached(
        "select first, count, at, body from oncely_facts where run = ?1 order by first",
    )?;
    let mut rows = rows.query([run.id.0])?;
    let mut reading = Reading::of(Beginning::of_row(run).chain());
    while let Some(row) = rows.next()? {
        let (first, at) = (unsigned(row, 0)?, Timestamp(row.get(2)?));
        let body = row.get_ref(3)?.as_str().unwrap_or_default();
        let known = reading.facts.len() as u64;
        if first != known || reading.row(first, at, body).is_err() {
            return Ok(None);
        }
        if reading.facts.len() as u64 != known + unsigned(row, 1)? {
            return Ok(None);
        }
    }
    Ok(Some(reading))
}

/// Which of these runs have facts that are not those of their chain.
pub(crate) fn broken(conn: &Connection, runs: &[RunId]) -> rusqlite::Result<Vec<RunId>> {
    let mut broken = Vec::new();
    for id in runs {
        let whole = match run(conn, *id)? {
            Some(row) => intact(conn, &row)?.is_some(),
            None => Standing::load(conn, *id)?.is_none(),
        };
        if !whole {
            broken.push(*id);
        }
    }
    Ok(broken)
}

/// How each run began. Most say so in their first row, and only the facts up to there are looked at.
pub(crate) fn began(conn: &Connection, runs: &[RunId]) -> rusqlite::Result<Vec<Begun>> {
    let mut statement =
        conn.prepare_cached("select at, body from oncely_facts where run = ?1 order by first")?;
    let mut began = Vec::with_capacity(runs.len());
    for run in runs {
        let mut rows = statement.query([run.0])?;
        while let Some(row) = rows.next()? {
            if let Some(text) = began_with(row.get_ref(1)?.as_str()?)? {
                let at = Timestamp(row.get(0)?);
                began.push(Begun {
                    run: *run,
                    at,
                    text,
                });
                break;
            }
        }
    }
    Ok(began)
}

/// What stands in the JSON of the fact that a run began, and perhaps elsewhere.
pub(crate) const BEGAN: &str = "\"fact\":\"began\"";

/// The text that a run began with, where one of these facts says so.
fn began_with(facts: &str) -> rusqlite::Result<Option<ContentHash>> {
    if !facts.contains(BEGAN) {
        return Ok(None);
    }
    let mut text = None;
    let mut reader = serde_json::Deserializer::from_str(facts);
    match reader.deserialize_seq(UntilBegan(&mut text)) {
        // What stands behind the fact was not read, and the reader says that it is there.
        _ if text.is_some() => Ok(text),
        Ok(()) => Ok(None),
        Err(error) => Err(rusqlite::Error::FromSqlConversionFailure(
            1,
            Type::Text,
            Box::new(error),
        )),
    }
}

/// Reads facts up to the one that says that the run began.
struct UntilBegan<'t>(&'t mut Option<ContentHash>);

impl<'de> Visitor<'de> for UntilBegan<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("facts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut facts: A) -> Result<(), A::Error> {
        while self.0.is_none()
            && let Some(kind) = facts.next_element::<Kind>()?
        {
            *self.0 = kind.began();
        }
        Ok(())
    }
}

/// Which kind of fact it is, and the text that it names, if that is what it does.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Kind {
    fact: String,
    #[serde(default)]
    text: serde_json::Value,
}

impl Kind {
    /// The text that a run began with, where it says so.
    pub(crate) fn began(&self) -> Option<ContentHash> {
        let text = self.text.as_str().filter(|_| self.fact == "began");
        text.and_then(ContentHash::parse)
    }
}

/// A holder as people see it.
pub(crate) fn holder_info(row: &Row<'_>) -> rusqlite::Result<HolderInfo> {
    Ok(HolderInfo {
        id: HolderId(row.get(0)?),
        pid: row.get(1)?,
        role: row.get(2)?,
        since: Timestamp(row.get(3)?),
    })
}

/// Numbers of tasks, as this process knows them.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    numbers: HashMap<(Environment, TaskId), i64>,
    names: HashMap<i64, (Environment, TaskId)>,
}

impl Tasks {
    /// Forgets everything: a transaction that gave numbers was not committed.
    pub(crate) fn clear(&mut self) {
        self.numbers.clear();
        self.names.clear();
    }

    /// The number of a task, a new one if it has none.
    pub(crate) fn number(
        &mut self,
        conn: &Connection,
        environment: &Environment,
        task: &TaskId,
    ) -> rusqlite::Result<i64> {
        let key = (environment.clone(), task.clone());
        if let Some(number) = self.numbers.get(&key) {
            return Ok(*number);
        }
        let words = params![environment.as_str(), task.as_str()];
        conn.prepare_cached(
            "insert into oncely_tasks (environment, task) values (?1, ?2) on conflict do nothing",
        )?
        .execute(words)?;
        let number = conn
            .prepare_cached("select id from oncely_tasks where environment = ?1 and task = ?2")?
            .query_row(words, |row| row.get(0))?;
        self.names.insert(number, key.clone());
        self.numbers.insert(key, number);
        Ok(number)
    }

    /// The task of a number.
    pub(crate) fn name(
        &mut self,
        conn: &Connection,
        number: i64,
    ) -> rusqlite::Result<&(Environment, TaskId)> {
        use std::collections::hash_map::Entry;
        match self.names.entry(number) {
            Entry::Occupied(found) => Ok(found.into_mut()),
            Entry::Vacant(empty) => {
                let name = conn
                    .prepare_cached("select environment, task from oncely_tasks where id = ?1")?
                    .query_row([number], |row| {
                        let environment: String = row.get(0)?;
                        let task: String = row.get(1)?;
                        Ok((environment.into(), task.into()))
                    })?;
                Ok(empty.insert(name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    /// A call that is repeated after a crash has the same bytes: its numbers must come back exactly.
    #[test]
    fn numbers_come_back_as_they_were() {
        let mut bits = 0x3ff0_0000_0000_0000_u64;
        for _ in 0..200_000 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let number = f64::from_bits(bits);
            if number.is_finite() {
                let text = json!(number).to_string();
                let back: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(back.to_string(), text);
            }
        }
    }
}
