//! Guards: what must hold for a unit to be applied; and the hashes that keys are known by.

use super::rows::Standing;
use oncely_core::chain::key_hash;
use oncely_core::ids::{Environment, EventKey, Fence, Generation, HolderId, RunId, TaskId};
use oncely_core::sabotage::{self, Switch};
use oncely_core::source::Cursor;
use rusqlite::{Connection, OptionalExtension, params};

/// The run that was admitted under a key.
pub(crate) fn admitted(conn: &Connection, hash: &[u8; 16]) -> rusqlite::Result<Option<RunId>> {
    conn.prepare_cached("select run from oncely_keys where hash = ?1")?
        .query_row([hash], |row| row.get(0).map(RunId))
        .optional()
}

/// The highest generation of a key. Only keys that went past the first have a row for it.
pub(crate) fn generation(
    conn: &Connection,
    environment: &Environment,
    task: &TaskId,
    key: &EventKey,
) -> rusqlite::Result<Option<Generation>> {
    let highest: Option<u32> = conn
        .prepare_cached("select highest from oncely_generations where hash = ?1")?
        .query_row([key_hash(environment, task, key, None)], |row| row.get(0))
        .optional()?;
    if let Some(highest) = highest {
        return Ok(Some(Generation(highest)));
    }
    let first = key_hash(environment, task, key, Some(Generation::FIRST));
    Ok(admitted(conn, &first)?.map(|_| Generation::FIRST))
}

/// The runs that were admitted under a key, generation after generation.
pub(crate) fn all_admitted(
    conn: &Connection,
    environment: &Environment,
    task: &TaskId,
    key: &EventKey,
) -> rusqlite::Result<Vec<RunId>> {
    let highest = generation(conn, environment, task, key)?.map_or(0, |g| g.0);
    let mut runs = Vec::new();
    for generation in 1..=highest {
        let hash = key_hash(environment, task, key, Some(Generation(generation)));
        runs.extend(admitted(conn, &hash)?);
    }
    Ok(runs)
}

/// Whether this holder holds the run under this fence.
pub(crate) fn holds(run: Option<&Standing>, me: HolderId, fence: Fence) -> bool {
    let held = run.is_some_and(|run| run.holder == Some(me) && run.fence == fence);
    held || sabotage::is_off(Switch::Fence)
}

/// Whether a source's cursor is this one.
pub(crate) fn cursor_is(
    conn: &Connection,
    source: &str,
    expected: Option<&Cursor>,
) -> rusqlite::Result<bool> {
    let found: Option<String> = conn
        .prepare_cached("select cursor from oncely_cursors where source = ?1")?
        .query_row([source], |row| row.get(0))
        .optional()?;
    Ok(found.as_deref() == expected.map(|cursor| cursor.0.as_str()))
}

/// Whether this holder holds the name under this fence.
pub(crate) fn holds_name(
    conn: &Connection,
    name: &str,
    me: HolderId,
    fence: Fence,
) -> rusqlite::Result<bool> {
    conn.prepare_cached(
        "select 1 from oncely_names where name = ?1 and holder = ?2 and fence = ?3",
    )?
    .exists(params![name, me.0, fence.0])
}
