//! The tables of the ledger in PostgreSQL, and which versions of them this program works on.

use super::db::{Db, Stop};
use super::kept::TABLES as KEPT;
use super::prune::TABLES as PRUNE;
use crate::sqlite::schema::{NEWEST, VERSION};
use oncely_core::ledger::LedgerError;

/// Everything a new ledger consists of. Only what PostgreSQL-compatible databases have too.
const TABLES: &str = "
create table oncely_meta (name text primary key, value text not null);
create table oncely_turn (one bigint primary key, runs bigint not null);
create table oncely_changes (handle bigint primary key, count bigint not null);
create table oncely_keys (hash bytea primary key, run bigint not null);
create table oncely_generations (hash bytea primary key, highest bigint not null);
create table oncely_admissions (
  run bigint primary key, key text not null, generation bigint not null,
  trigger_name text not null, admitted bigint not null, depth bigint not null,
  parent bigint, event text not null, event_hash bytea not null);
create table oncely_runs (
  id bigint primary key, environment text not null, task text not null, status bigint not null,
  seq bigint not null, changed bigint not null, due bigint, holder bigint, fence bigint not null,
  claims bigint not null, lane text, chain bytea not null);
create index oncely_runs_task on oncely_runs (environment, task, id);
create index oncely_runs_due on oncely_runs (environment, due, id)
  where holder is null and due is not null;
create index oncely_runs_held on oncely_runs (holder) where holder is not null;
create index oncely_runs_lane on oncely_runs (environment, lane)
  where lane is not null and status < 4;
create table oncely_facts (
  run bigint not null, seq bigint not null, at bigint not null, body text not null,
  primary key (run, seq));
create table oncely_progress (
  run bigint not null, step text not null, next bigint not null, byte_offset bigint not null,
  line bigint not null, done bigint not null, set_aside bigint not null,
  unseen bigint not null, primary key (run, step));
create table oncely_set_aside (
  run bigint not null, step text not null, item bigint not null, body text not null,
  primary key (run, step, item));
create table oncely_item_facts (
  run bigint not null, step text not null, item bigint not null, place bigint not null,
  body text not null, primary key (run, step, item, place));
create table oncely_cursors (source text primary key, cursor text not null);
create table oncely_store (hash bytea primary key, content bytea not null);
create table oncely_files (path text primary key, body text not null);
create table oncely_names (name text primary key, holder bigint, fence bigint not null);
create table oncely_holders (
  id bigint primary key, pid bigint not null, role text not null, since bigint not null,
  renewed bigint not null, lease_ms bigint not null);
insert into oncely_turn (one, runs) values (1, 0);
";

/// Finds the ledger's name, making the ledger first if that is asked for.
pub(crate) async fn open(db: &mut Db, place: &str, create: bool) -> Result<String, Stop> {
    if !exists(db).await? {
        if !create {
            return Err(Stop::Ledger(LedgerError::Absent(format!(
                "there is no ledger in {place}. Nothing was changed. Run `oncely init`, or name \
                 another database with `ledger` in oncely.toml."
            ))));
        }
        make(db).await?;
    }
    check(place, version(db).await?)?;
    name(db).await
}

/// The name of the ledger.
pub(crate) async fn name(db: &mut Db) -> Result<String, Stop> {
    meta(db, "name").await
}

/// The version of its tables.
pub(crate) async fn version(db: &mut Db) -> Result<i32, Stop> {
    Ok(meta(db, "schema").await?.parse().unwrap_or_default())
}

/// Gives it another name: that of the ledger which moves in.
pub(crate) async fn rename(db: &mut Db, name: &str) -> Result<(), Stop> {
    let text = "update oncely_meta set value = $1 where name = 'name'";
    db.run(text, &[&name]).await?;
    Ok(())
}

async fn exists(db: &mut Db) -> Result<bool, Stop> {
    let text = "select count(*) from information_schema.tables where table_name = 'oncely_meta'
                and table_schema = current_schema()";
    let rows = db.rows(text, &[]).await?;
    Ok(match rows.first() {
        Some(row) => row.try_get::<_, i64>(0)? > 0,
        None => false,
    })
}

async fn meta(db: &mut Db, name: &str) -> Result<String, Stop> {
    let text = "select value from oncely_meta where name = $1";
    let rows = db.rows(text, &[&name]).await?;
    Ok(match rows.first() {
        Some(row) => row.try_get(0)?,
        None => String::new(),
    })
}

/// Makes the tables in one transaction. Of two that do so at once, one finds them made.
async fn make(db: &mut Db) -> Result<(), Stop> {
    let name = format!("{:016x}", super::holders::new_id().0);
    let text = format!(
        "begin; {TABLES} {PRUNE} {KEPT}
         insert into oncely_meta (name, value) values ('name', '{name}'), ('schema', '{VERSION}');
         commit"
    );
    let Err(error) = db.simple(&text).await else {
        return Ok(());
    };
    db.simple("rollback").await?;
    if exists(db).await? {
        return Ok(());
    }
    Err(error.into())
}

fn check(place: &str, found: i32) -> Result<(), LedgerError> {
    if (VERSION..=NEWEST).contains(&found) {
        return Ok(());
    }
    if found < VERSION {
        return Err(LedgerError::Unusable(format!(
            "the ledger in {place} has schema {}.{}; this program works on {}.{}. Nothing was \
             changed. Stop oncely everywhere, take a backup with pg_dump, then run `oncely ledger \
             migrate`.",
            found / 1000,
            found % 1000,
            VERSION / 1000,
            VERSION % 1000
        )));
    }
    Err(LedgerError::Unusable(format!(
        "the ledger in {place} has schema {}.{}; this program works on {}.{} and the next minor \
         version. Nothing was changed. Use the program that wrote it.",
        found / 1000,
        found % 1000,
        VERSION / 1000,
        VERSION % 1000
    )))
}
