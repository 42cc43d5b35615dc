//! Everything in a ledger, row after row: for the export, and for moving it elsewhere.

use super::answers::{progress_row, set_aside_row};
use super::prune::{PRUNE, prune_record};
use super::rows::{RUN, json, run_row, unsigned};
use oncely_core::ids::{ContentHash, Fence, Generation, HolderId, RunId};
use oncely_core::items::{Progress, SetAside};
use oncely_core::ledger::{ItemFact, RunRow};
use oncely_core::prune::{Gone, PruneRecord};
use rusqlite::{Connection, Params, Row};
use std::io;

/// The name of the ledger.
pub(crate) fn name(conn: &Connection) -> io::Result<String> {
    let text = "select value from oncely_meta where name = 'name'";
    conn.query_row(text, [], |row| row.get(0))
        .map_err(io::Error::other)
}

/// Every run, in the order of their numbers.
pub(crate) fn runs(
    conn: &Connection,
    work: impl FnMut(RunRow) -> io::Result<()>,
) -> io::Result<()> {
    each(conn, &format!("{RUN} order by r.id"), [], run_row, work)
}

/// How far each step of a run has come.
pub(crate) fn progress(
    conn: &Connection,
    run: RunId,
    mut work: impl FnMut(&str, Progress) -> io::Result<()>,
) -> io::Result<()> {
    let text = "select step, next, byte_offset, line, done, set_aside, unseen
                from oncely_progress where run = ?1 order by step";
    let read = |row: &Row<'_>| Ok((step(row)?, progress_row(row, 1)?));
    each(conn, text, [run.0], read, |(step, found)| {
        work(&step, found)
    })
}

/// What each step of a run has set aside.
pub(crate) fn set_aside(
    conn: &Connection,
    run: RunId,
    mut work: impl FnMut(&str, SetAside) -> io::Result<()>,
) -> io::Result<()> {
    let text = "select step, item, line, input, reason from oncely_set_aside
                where run = ?1 order by step, item";
    let read = |row: &Row<'_>| Ok((step(row)?, set_aside_row(row, 1)?));
    each(conn, text, [run.0], read, |(step, found)| {
        work(&step, found)
    })
}

/// What happened to single items of a run.
pub(crate) fn item_facts(
    conn: &Connection,
    run: RunId,
    mut work: impl FnMut(&str, ItemFact) -> io::Result<()>,
) -> io::Result<()> {
    let text = "select step, body from oncely_item_facts
                where run = ?1 order by step, item, place";
    let read = |row: &Row<'_>| Ok((step(row)?, json::<ItemFact>(row, 1)?));
    each(conn, text, [run.0], read, |(step, found)| {
        work(&step, found)
    })
}

/// Where each source stands.
pub(crate) fn cursors(
    conn: &Connection,
    mut work: impl FnMut(String, String) -> io::Result<()>,
) -> io::Result<()> {
    let text = "select source, cursor from oncely_cursors order by source";
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    each(conn, text, [], read, |(source, cursor)| {
        work(source, cursor)
    })
}

/// Names that one holder has at a time.
pub(crate) fn names(
    conn: &Connection,
    mut work: impl FnMut(String, Option<HolderId>, Fence) -> io::Result<()>,
) -> io::Result<()> {
    let text = "select name, holder, fence from oncely_names order by name";
    let read = |row: &Row<'_>| {
        let holder = row.get::<_, Option<i64>>(1)?.map(HolderId);
        Ok((row.get(0)?, holder, Fence(row.get(2)?)))
    };
    each(conn, text, [], read, |(name, holder, fence)| {
        work(name, holder, fence)
    })
}

/// The highest generation of each key that went past the first.
pub(crate) fn raised(
    conn: &Connection,
    mut work: impl FnMut([u8; 16], Generation) -> io::Result<()>,
) -> io::Result<()> {
    let text = "select hash, highest from oncely_generations order by hash";
    let read = |row: &Row<'_>| Ok((row.get(0)?, Generation(row.get(1)?)));
    each(conn, text, [], read, |(hash, highest)| work(hash, highest))
}

/// What was pruned, in order.
pub(crate) fn prunes(
    conn: &Connection,
    work: impl FnMut(PruneRecord) -> io::Result<()>,
) -> io::Result<()> {
    let text = format!("{PRUNE} order by p.number");
    each(conn, &text, [], prune_record, work)
}

/// Numbers of runs that were pruned.
pub(crate) fn gone(conn: &Connection, work: impl FnMut(Gone) -> io::Result<()>) -> io::Result<()> {
    let text = "select first, last, prune from oncely_pruned order by last";
    let read = |row: &Row<'_>| {
        Ok(Gone {
            first: RunId(row.get(0)?),
            last: RunId(row.get(1)?),
            prune: unsigned(row, 2)?,
        })
    };
    each(conn, text, [], read, work)
}

/// Keys whose runs were pruned.
pub(crate) fn kept(
    conn: &Connection,
    mut work: impl FnMut([u8; 16], RunId) -> io::Result<()>,
) -> io::Result<()> {
    let text = "select k.hash, k.run from oncely_keys k
                where not exists (select 1 from oncely_runs r where r.id = k.run) order by k.hash";
    let read = |row: &Row<'_>| Ok((row.get(0)?, RunId(row.get(1)?)));
    each(conn, text, [], read, |(hash, run)| work(hash, run))
}

/// Stored content.
pub(crate) fn stored(
    conn: &Connection,
    mut work: impl FnMut(ContentHash, Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    let text = "select hash, content from oncely_store";
    let read = |row: &Row<'_>| Ok((ContentHash(row.get(0)?), row.get(1)?));
    each(conn, text, [], read, |(hash, content)| work(hash, content))
}

fn step(row: &Row<'_>) -> rusqlite::Result<String> {
    row.get(0)
}

/// Reads row after row and does something with each.
fn each<T>(
    conn: &Connection,
    text: &str,
    values: impl Params,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    mut work: impl FnMut(T) -> io::Result<()>,
) -> io::Result<()> {
    let mut statement = conn.prepare_cached(text).map_err(io::Error::other)?;
    let mut rows = statement.query(values).map_err(io::Error::other)?;
    while let Some(row) = rows.next().map_err(io::Error::other)? {
        work(read(row).map_err(io::Error::other)?)?;
    }
    Ok(())
}
