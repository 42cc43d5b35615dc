//! What a server must be, before anything is trusted to it.

use super::db::{Db, Stop};
use super::words;
use tokio_postgres::error::SqlState;

/// The oldest PostgreSQL that a ledger may be in, as the server numbers it.
const OLDEST: i64 = 140_000;

/// Refuses a server that is too old, that would acknowledge before it is durable, or that only reads.
pub(crate) async fn check(db: &mut Db, place: &str) -> Result<(), Stop> {
    let version = said(db, "select version()").await?;
    let number = said(db, "show server_version_num").await?;
    if is_too_old(&version, &number) {
        return Err(words::too_old(place, &version).into());
    }
    let replica = said(db, "select pg_is_in_recovery()::text").await?;
    let read_only = said(db, "show transaction_read_only").await?;
    if replica == "true" || read_only == "on" {
        return Err(words::read_only(place).into());
    }
    if said(db, "show synchronous_commit").await? == "off" {
        return Err(words::not_durable(place).into());
    }
    Ok(())
}

async fn said(db: &mut Db, asked: &str) -> Result<String, Stop> {
    let row = db.rows(asked, &[]).await?.into_iter().next();
    Ok(row.and_then(|row| row.try_get(0).ok()).unwrap_or_default())
}

/// Databases that speak PostgreSQL say an old version of it, and are not asked for a newer one.
fn is_too_old(version: &str, number: &str) -> bool {
    let is_itself = version.starts_with("PostgreSQL ") && !version.contains("-YB-");
    is_itself && number.parse().is_ok_and(|number: i64| number < OLDEST)
}

/// Refuses a pooler that gives each transaction another connection, or the same to many: statements
/// are prepared, and limits are set, for as long as a connection lasts. Two connections that are open
/// at the same time are never served by the same process of the server, unless one stands between.
pub(crate) async fn check_apart(one: &mut Db, other: &mut Db, place: &str) -> Result<(), Stop> {
    match (pid(one).await?, pid(other).await?) {
        (Some(one), Some(other)) if one == other => Err(words::pooled(place).into()),
        _ => Ok(()),
    }
}

/// Where a server has no numbers for its processes, nothing is known.
async fn pid(db: &mut Db) -> Result<Option<i32>, Stop> {
    let rows = match db.rows("select pg_backend_pid()", &[]).await {
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_FUNCTION) => return Ok(None),
        rows => rows?,
    };
    let pid = rows.first().and_then(|row| row.try_get(0).ok());
    Ok(pid.filter(|pid| *pid > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postgresql_before_14_is_too_old_and_what_only_speaks_it_is_not() {
        let real = "PostgreSQL 13.14 (Debian 13.14-0+deb11u1) on x86_64-pc-linux-gnu";
        assert!(is_too_old(real, "130014"));
        assert!(!is_too_old("PostgreSQL 14.0 on aarch64", "140000"));
        assert!(!is_too_old("PostgreSQL 19devel on x86_64", "190000"));
        assert!(!is_too_old("CockroachDB CCL v25.2.0 (x86_64)", "130000"));
        assert!(!is_too_old(
            "PostgreSQL 11.2-YB-2.20.1.0-b0 on x86_64",
            "110002"
        ));
        let words = words::too_old("PostgreSQL db:5432/oncely", real).to_string();
        insta::assert_snapshot!(words);
    }
}
