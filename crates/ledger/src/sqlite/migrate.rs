//! Brings an older ledger to the schema of this program, after a backup.

use super::place::{self, Found, with_ending};
use super::turn::Turn;
use super::{schema, words};
use oncely_core::ledger::LedgerError;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What leads to a version from the one before it. Migrations only add.
const STEPS: [(i32, &str); 0] = [];

/// What a migration did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Where the copy of the ledger as it was lies; none when there was nothing to do.
    pub copy: Option<PathBuf>,
    /// The schema before, major times 1000 and minor.
    pub from: i32,
    /// The schema now.
    pub to: i32,
}

/// Brings a ledger to the schema of this program. A copy of it is made first.
///
/// # Errors
/// When the path holds no ledger, or one that is newer than this program, or the disk is full.
pub fn migrate(path: &Path) -> Result<Backup, LedgerError> {
    migrate_by(path, &STEPS, schema::VERSION)
}

fn migrate_by(path: &Path, steps: &[(i32, &str)], to: i32) -> Result<Backup, LedgerError> {
    if let Found::Nothing = place::look(path)? {
        return Err(place::missing(path));
    }
    let known = |error| words::database(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = oncely_vfs::open(path, flags).map_err(known)?;
    conn.busy_timeout(Duration::from_secs(10)).map_err(known)?;
    let (application, from) = schema::version(&conn).map_err(known)?;
    if application != schema::APPLICATION_ID {
        let why = "it is a database of something else";
        return Err(words::not_a_ledger(path.display(), why));
    }
    if from >= to {
        schema::check(path, from)?;
        let copy = None;
        return Ok(Backup {
            copy,
            from,
            to: from,
        });
    }
    let copy = back_up(path, &conn, from)?;
    let mut turn = Turn::open(path)?;
    turn.enter()?;
    let done = take_steps(&conn, steps, from, to);
    turn.leave();
    done.map_err(known)?;
    let copy = Some(copy);
    Ok(Backup { copy, from, to })
}

/// Copies the ledger as it is to a new file beside it.
fn back_up(path: &Path, conn: &Connection, from: i32) -> Result<PathBuf, LedgerError> {
    let name = |n: u32| with_ending(path, &format!("-before-{from}-{n}"));
    let copy = (1..u32::MAX).map(name).find(|copy| !copy.exists());
    let copy = copy.unwrap_or_else(|| name(0));
    place::make_private(&copy)?;
    conn.execute("vacuum into ?1", [copy.to_string_lossy()])
        .map_err(|error| words::database(&copy, &error))?;
    Ok(copy)
}

fn take_steps(
    conn: &Connection,
    steps: &[(i32, &str)],
    from: i32,
    to: i32,
) -> rusqlite::Result<()> {
    let tx = rusqlite::Transaction::new_unchecked(conn, rusqlite::TransactionBehavior::Immediate)?;
    for (version, text) in steps {
        if (from + 1..=to).contains(version) {
            tx.execute_batch(text)?;
        }
    }
    tx.pragma_update(None, "user_version", to)?;
    tx.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::{Options, SqliteLedger};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_migration_adds_and_leaves_a_copy_of_what_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let options = Options {
            create: true,
            ..Options::new("test")
        };
        drop(SqliteLedger::open(&path, options).unwrap());
        let next = schema::VERSION + 1;
        let steps = [(next, "create table oncely_more (a)")];
        let backup = migrate_by(&path, &steps, next).unwrap();
        let copy = backup.copy.clone().unwrap();
        assert_eq!((backup.from, backup.to), (schema::VERSION, next));
        assert_eq!(copy, folder.path().join("ledger.db-before-1000-1"));
        assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let version = |path| schema::version(&Connection::open(path).unwrap()).unwrap();
        assert_eq!(version(&copy), (schema::APPLICATION_ID, schema::VERSION));
        assert_eq!(version(&path), (schema::APPLICATION_ID, next));
        drop(SqliteLedger::open(&path, Options::new("test")).unwrap());
        let again = migrate_by(&path, &steps, next).unwrap();
        assert_eq!(again.copy, None);
    }

    #[test]
    fn a_step_that_fails_leaves_the_ledger_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let options = Options {
            create: true,
            ..Options::new("test")
        };
        drop(SqliteLedger::open(&path, options).unwrap());
        let next = schema::VERSION + 1;
        let steps = [(
            next,
            "create table oncely_more (a); create table oncely_runs (a)",
        )];
        migrate_by(&path, &steps, next).unwrap_err();
        drop(SqliteLedger::open(&path, Options::new("test")).unwrap());
    }
}
