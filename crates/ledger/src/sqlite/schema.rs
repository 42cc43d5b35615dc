//! The tables of the ledger, and which versions of them this program works on.

use super::{add_chains, prune, rehearsal};
use oncely_core::ledger::LedgerError;
use rusqlite::Connection;
use std::path::Path;

/// Marks a file as a ledger: `once` in ASCII.
pub(crate) const APPLICATION_ID: i32 = 0x6f6e_6365;
/// Major times 1000 and minor. A minor version only adds.
pub(crate) const VERSION: i32 = 2000;
/// The newest schema that a program of that version can still work on: the next minor version.
pub(crate) const NEWEST: i32 = VERSION + 1;
/// The oldest SQLite that is known to be free of defects that matter here.
pub(crate) const SQLITE_AT_LEAST: i32 = 3_051_003;

/// Everything a new ledger consists of.
///
/// What was admitted is apart from where a run stands, so that large events are written once. The
/// facts of one operation are one row. Keys are kept as hashes, for ever.
pub(crate) const TABLES: &str = "
create table oncely_meta (name text primary key, value text not null) without rowid;
create table oncely_tasks (
  id integer primary key, environment text not null, task text not null,
  unique (environment, task));
create table oncely_keys (hash blob primary key, run integer not null) without rowid;
create table oncely_generations (hash blob primary key, highest integer not null) without rowid;
create table oncely_admissions (
  run integer primary key, key text not null, generation integer not null,
  trigger_name text not null, admitted integer not null, depth integer not null,
  parent integer, event text not null, event_hash blob not null);
create table oncely_runs (
  id integer primary key, task integer not null, status integer not null, seq integer not null,
  changed integer not null, due integer, holder integer, fence integer not null,
  claims integer not null, lane text, chain blob not null, moves integer not null default 0);
create index oncely_runs_task on oncely_runs (task);
create index oncely_runs_due on oncely_runs (due) where holder is null and due is not null;
create index oncely_runs_held on oncely_runs (holder, task) where holder is not null;
create index oncely_runs_lane on oncely_runs (lane) where lane is not null and status < 4;
create table oncely_facts (
  run integer not null, first integer not null, count integer not null, at integer not null,
  body text not null, primary key (run, first)) without rowid;
create table oncely_progress (
  run integer not null, step text not null, next integer not null, byte_offset integer not null,
  line integer not null, done integer not null, set_aside integer not null,
  unseen integer not null, primary key (run, step)) without rowid;
create table oncely_set_aside (
  run integer not null, step text not null, item integer not null, line integer,
  input text not null, reason text not null, primary key (run, step, item)) without rowid;
create table oncely_item_facts (
  run integer not null, step text not null, item integer not null, place integer not null,
  body text not null, primary key (run, step, item, place)) without rowid;
create table oncely_cursors (source text primary key, cursor text not null) without rowid;
create table oncely_store (hash blob not null unique, content blob not null);
create table oncely_files (
  path text primary key, size integer not null, modified integer not null, file integer not null,
  task text not null, text_hash blob not null) without rowid;
create table oncely_names (name text primary key, holder integer, fence integer not null)
  without rowid;
create table oncely_holders (
  id integer primary key, pid integer not null, role text not null, since integer not null,
  boot text not null, renewed integer not null, lease_ms integer not null);
create trigger oncely_facts_stay before delete on oncely_facts
  begin select raise(abort, 'facts are never deleted'); end;
create trigger oncely_facts_as_they_are before update on oncely_facts
  begin select raise(abort, 'facts are never changed'); end;
create trigger oncely_keys_stay before delete on oncely_keys
  begin select raise(abort, 'keys are kept for ever'); end;
create trigger oncely_keys_as_they_are before update on oncely_keys
  begin select raise(abort, 'keys are never changed'); end;
";

/// What the header of a database file says it is.
pub(crate) fn version(conn: &Connection) -> rusqlite::Result<(i32, i32)> {
    let number = |name| conn.prepare_cached(name)?.query_row([], |row| row.get(0));
    Ok((
        number("pragma application_id")?,
        number("pragma user_version")?,
    ))
}

/// The version of a ledger that was moved elsewhere: no program works on it any more.
pub(crate) const MOVED: i32 = i32::MAX;

/// The version of a ledger in whose place a backup was put.
pub(crate) const REPLACED: i32 = i32::MAX - 1;

/// What leads to a version from the one before it.
pub(crate) type Step = fn(&Connection) -> rusqlite::Result<()>;

/// Every step there is. Each works on the tables of the version before it, and only adds.
const STEPS: [(i32, Step); 1] = [(2000, |conn| {
    add_chains::add(conn)?;
    conn.execute_batch(prune::TABLES)
})];

/// What leads to a version from the one before it, as far as this program knows.
pub(crate) fn steps() -> Vec<(i32, Step)> {
    STEPS.into_iter().chain(rehearsal::step()).collect()
}

/// The schema of this program.
pub(crate) fn own() -> i32 {
    rehearsal::step().map_or(VERSION, |(next, _)| next)
}

/// What is said of a ledger that was replaced: one that is kept, or one whose restore was broken off before
/// the other took its place.
fn replaced(path: &Path) -> LedgerError {
    let name = path.file_name().map(|name| name.to_string_lossy());
    let is_kept = name.is_some_and(|name| name.contains("-replaced-"));
    let path = path.display();
    LedgerError::Unusable(match is_kept {
        true => format!(
            "the ledger {path} was replaced by a restored one, and nothing more is recorded here. \
             Nothing was run. `oncely ledger restore {path}` puts it back into its place."
        ),
        false => format!(
            "the ledger {path} was about to be replaced by a restored one, and that was broken off. It is \
             whole. Nothing was run. Restore the backup again with `oncely ledger restore FILE`, or stay \
             with this one: `oncely ledger restore {path}`."
        ),
    })
}

/// Whether this program works on a schema of this version.
pub(crate) fn check(path: &Path, found: i32) -> Result<(), LedgerError> {
    let shown = |v: i32| format!("{}.{}", v / 1000, v % 1000);
    if found == REPLACED {
        return Err(replaced(path));
    }
    let path = path.display();
    if found == MOVED {
        return Err(LedgerError::Unusable(format!(
            "the ledger {path} was moved to a PostgreSQL database, and nothing more is recorded \
             here. Nothing was run. Name that database with `ledger` in oncely.toml."
        )));
    }
    let own = own();
    if (own..=own + 1).contains(&found) && found / 1000 == own / 1000 {
        return Ok(());
    }
    let (found_words, is_older, own) = (shown(found), found < own, shown(own));
    Err(LedgerError::Unusable(if is_older {
        format!(
            "the ledger {path} has schema {found_words}; this program works on {own}. Nothing was \
             changed. Run `oncely ledger migrate`, which makes a backup first."
        )
    } else {
        format!(
            "the ledger {path} has schema {found_words}; this program works on {own} and the next \
             minor version. Nothing was changed. Use the newer program that wrote it."
        )
    }))
}

/// Makes the tables of a new ledger, in one transaction.
pub(crate) fn create(conn: &Connection, name: &str) -> rusqlite::Result<()> {
    let tx = conn.unchecked_transaction()?;
    tx.execute_batch(TABLES)?;
    tx.execute_batch(prune::TABLES)?;
    tx.execute(
        "insert into oncely_meta (name, value) values ('name', ?1)",
        [name],
    )?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    if let Some((_, step)) = rehearsal::step() {
        step(&tx)?;
    }
    tx.pragma_update(None, "user_version", own())?;
    tx.commit()
}
