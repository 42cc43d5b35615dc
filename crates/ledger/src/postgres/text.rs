//! How the types of core stand in columns.

use super::db::Stop;
use crate::chained;
use crate::sqlite::rows::number;
use oncely_core::chain::Chain;
use oncely_core::fact::Recorded;
use oncely_core::ids::{ContentHash, Fence, Generation, HolderId, RunId};
use oncely_core::items::Progress;
use oncely_core::ledger::{HolderInfo, LedgerError, RunRow};
use oncely_core::run::RunStatus;
use oncely_core::time::Timestamp;
use tokio_postgres::Row;

/// Whole runs for [`run_row`], found by what is said of them.
pub(crate) const RUN: &str =
    "select r.id, r.environment, r.task, a.key, a.generation, a.trigger_name, a.event, r.status,
     r.seq, a.admitted, r.changed, r.due, r.holder, r.fence, r.claims, r.lane, a.depth, a.parent,
     r.chain, a.event_hash
     from oncely_runs r join oncely_admissions a on a.run = r.id";

/// Where runs stand, for [`standing`].
pub(crate) const STANDING: &str =
    "select r.id, r.status, r.seq, r.changed, r.due, r.holder, r.fence, r.claims, r.chain
     from oncely_runs r";

fn strange(what: &str) -> LedgerError {
    LedgerError::Unusable(format!(
        "the ledger holds {what} that this program cannot read. Nothing was changed. Use the \
         program that wrote it."
    ))
}

/// A number that is never negative.
pub(crate) fn unsigned(row: &Row, column: usize) -> Result<u64, Stop> {
    Ok(row.try_get::<_, i64>(column)?.cast_unsigned())
}

/// A small number that is never negative.
pub(crate) fn small(row: &Row, column: usize) -> Result<u32, Stop> {
    let found: i64 = row.try_get(column)?;
    Ok(u32::try_from(found).map_err(|_| strange("a number"))?)
}

/// A status.
pub(crate) fn status(row: &Row, column: usize) -> Result<RunStatus, Stop> {
    let found: i64 = row.try_get(column)?;
    let known = RunStatus::ALL.into_iter().find(|s| number(*s) == found);
    Ok(known.ok_or_else(|| strange("a status"))?)
}

/// A column of JSON.
pub(crate) fn json<T: serde::de::DeserializeOwned>(row: &Row, column: usize) -> Result<T, Stop> {
    let text: &str = row.try_get(column)?;
    Ok(serde_json::from_str(text).map_err(|_| strange("a record"))?)
}

/// Anything as JSON text.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, Stop> {
    Ok(serde_json::to_string(value)
        .map_err(|error| LedgerError::Invalid(format!("it cannot be written: {error}.")))?)
}

/// The head of a chain. What is none is read as one that nothing fits; while a ledger is migrated it is
/// empty.
fn chain(row: &Row, column: usize) -> Result<Chain, Stop> {
    let found: &[u8] = row.try_get(column)?;
    Ok(found.try_into().map(Chain).unwrap_or_default())
}

/// The hash of an event, likewise.
fn event_hash(row: &Row, column: usize) -> Result<ContentHash, Stop> {
    let found: &[u8] = row.try_get(column)?;
    Ok(found.try_into().map(ContentHash).unwrap_or_default())
}

/// A whole run.
pub(crate) fn run_row(row: &Row) -> Result<RunRow, Stop> {
    Ok(RunRow {
        id: RunId(row.try_get(0)?),
        environment: row.try_get::<_, String>(1)?.into(),
        task: row.try_get::<_, String>(2)?.into(),
        key: row.try_get::<_, String>(3)?.into(),
        generation: Generation(small(row, 4)?),
        trigger: row.try_get(5)?,
        event: row.try_get::<_, String>(6)?.into(),
        status: status(row, 7)?,
        seq: unsigned(row, 8)?,
        admitted: Timestamp(row.try_get(9)?),
        changed: Timestamp(row.try_get(10)?),
        due: row.try_get::<_, Option<i64>>(11)?.map(Timestamp),
        holder: row.try_get::<_, Option<i64>>(12)?.map(HolderId),
        fence: Fence(row.try_get(13)?),
        claims: small(row, 14)?,
        lane: row.try_get(15)?,
        depth: small(row, 16)?,
        parent: row.try_get::<_, Option<i64>>(17)?.map(RunId),
        chain: chain(row, 18)?,
        event_hash: event_hash(row, 19)?,
    })
}

/// A run of which nothing is known.
pub(crate) fn blank_run() -> RunRow {
    RunRow {
        id: RunId(0),
        environment: "".into(),
        task: "".into(),
        key: "".into(),
        generation: Generation::FIRST,
        trigger: String::new(),
        event: "".into(),
        status: RunStatus::Pending,
        seq: 0,
        admitted: Timestamp::default(),
        changed: Timestamp::default(),
        due: None,
        holder: None,
        fence: Fence(0),
        claims: 0,
        lane: None,
        depth: 0,
        parent: None,
        chain: Chain::default(),
        event_hash: ContentHash::default(),
    }
}

/// Where a run stands; the rest is taken from another one.
pub(crate) fn standing(row: &Row, rest: &RunRow) -> Result<RunRow, Stop> {
    Ok(RunRow {
        id: RunId(row.try_get(0)?),
        status: status(row, 1)?,
        seq: unsigned(row, 2)?,
        changed: Timestamp(row.try_get(3)?),
        due: row.try_get::<_, Option<i64>>(4)?.map(Timestamp),
        holder: row.try_get::<_, Option<i64>>(5)?.map(HolderId),
        fence: Fence(row.try_get(6)?),
        claims: small(row, 7)?,
        chain: chain(row, 8)?,
        ..rest.clone()
    })
}

/// A fact from two columns.
pub(crate) fn recorded(row: &Row, from: usize) -> Result<Recorded, Stop> {
    Ok(Recorded {
        at: Timestamp(row.try_get(from)?),
        forgotten: chained::forgotten(row.try_get(from + 1)?),
        fact: json(row, from + 1)?,
    })
}

/// Progress from six columns.
pub(crate) fn progress(row: &Row, from: usize) -> Result<Progress, Stop> {
    Ok(Progress {
        next: unsigned(row, from)?,
        offset: unsigned(row, from + 1)?,
        line: unsigned(row, from + 2)?,
        done: unsigned(row, from + 3)?,
        set_aside: unsigned(row, from + 4)?,
        unseen: unsigned(row, from + 5)?,
    })
}

/// A holder as people see it, from four columns.
pub(crate) fn holder(row: &Row, from: usize) -> Result<HolderInfo, Stop> {
    Ok(HolderInfo {
        id: HolderId(row.try_get(from)?),
        pid: small(row, from + 1)?,
        role: row.try_get(from + 2)?,
        since: Timestamp(row.try_get(from + 3)?),
    })
}
