//! Brings an older ledger to the schema of this program, and gives its pages checksums where it was made
//! before there were any, after a backup.

use super::place::{self, Found, with_ending};
use super::schema::Step;
use super::turn::Turn;
use super::{backup, behind, schema, words};
use oncely_core::ledger::LedgerError;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a migration did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Where the copy of the ledger as it was lies; none when there was nothing to do.
    pub copy: Option<PathBuf>,
    /// The schema before, major times 1000 and minor.
    pub from: i32,
    /// The schema now.
    pub to: i32,
    /// Its pages have got checksums.
    pub sealed: bool,
}

/// Brings a ledger to the schema of this program. A copy of it is made first.
///
/// Others wait meanwhile, so that the copy is what the ledger was, and of several that migrate one
/// does it. All steps are one commit: who is killed has migrated or has not. Checksums come with a second
/// commit, which writes every page anew: who is killed before it migrates again.
///
/// # Errors
/// When the path holds no ledger, or one that is newer than this program, or the disk is full.
pub fn migrate(path: &Path) -> Result<Backup, LedgerError> {
    migrate_by(path, &schema::steps(), schema::own())
}

fn migrate_by(path: &Path, steps: &[(i32, Step)], to: i32) -> Result<Backup, LedgerError> {
    if let Found::Nothing = place::look(path)? {
        return Err(place::missing(path));
    }
    behind::check_log(path, false)?;
    let known = |error| words::database(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = oncely_vfs::open(path, flags).map_err(known)?;
    conn.busy_timeout(Duration::from_secs(10)).map_err(known)?;
    let (application, from) = schema::version(&conn).map_err(known)?;
    if application != schema::APPLICATION_ID {
        let why = "it is a database of something else";
        return Err(words::not_a_ledger(path.display(), why));
    }
    if from >= to && oncely_vfs::is_reserved(&conn).map_err(known)? {
        return there_already(path, from);
    }
    let mut turn = Turn::open(path)?;
    turn.enter()?;
    let done = inside(path, &conn, steps, to);
    turn.leave();
    done
}

fn there_already(path: &Path, from: i32) -> Result<Backup, LedgerError> {
    schema::check(path, from)?;
    Ok(Backup {
        copy: None,
        from,
        to: from,
        sealed: false,
    })
}

/// Nobody else writes now; somebody else may have migrated before.
fn inside(
    path: &Path,
    conn: &Connection,
    steps: &[(i32, Step)],
    to: i32,
) -> Result<Backup, LedgerError> {
    let known = |error| words::database(path, &error);
    let (_, from) = schema::version(conn).map_err(known)?;
    let is_sealed = oncely_vfs::is_reserved(conn).map_err(known)?;
    if from >= to {
        let there = there_already(path, from)?;
        if is_sealed {
            return Ok(there);
        }
    }
    let copy = free_name(path, from);
    backup::back_up_as_it_is(path, &copy)?;
    if from < to {
        take_steps(conn, steps, from, to).map_err(known)?;
    }
    if !is_sealed {
        seal(conn).map_err(known)?;
    }
    behind::begin(path, conn)?;
    Ok(Backup {
        copy: Some(copy),
        from,
        to: from.max(to),
        sealed: !is_sealed,
    })
}

/// Writes every page anew, with room for its checksum, in one commit.
fn seal(conn: &Connection) -> rusqlite::Result<()> {
    oncely_vfs::reserve(conn)?;
    conn.execute_batch("vacuum")
}

/// A name beside the ledger that no file has.
fn free_name(path: &Path, from: i32) -> PathBuf {
    let name = |n: u32| with_ending(path, &format!("-before-{from}-{n}"));
    let copy = (1..u32::MAX).map(name).find(|copy| !copy.exists());
    copy.unwrap_or_else(|| name(0))
}

fn take_steps(
    conn: &Connection,
    steps: &[(i32, Step)],
    from: i32,
    to: i32,
) -> rusqlite::Result<()> {
    let tx = rusqlite::Transaction::new_unchecked(conn, rusqlite::TransactionBehavior::Immediate)?;
    // Another process may have done it while this one waited for its turn.
    if schema::version(&tx)?.1 != from {
        return tx.commit();
    }
    for (version, step) in steps {
        if (from + 1..=to).contains(version) {
            step(&tx)?;
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
        let steps: [(i32, Step); 1] = [(next, |conn| {
            conn.execute_batch("create table oncely_more (a)")
        })];
        let backup = migrate_by(&path, &steps, next).unwrap();
        let copy = backup.copy.clone().unwrap();
        assert_eq!((backup.from, backup.to), (schema::VERSION, next));
        assert_eq!(copy, folder.path().join("ledger.db-before-2000-1"));
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
        let steps: [(i32, Step); 1] = [(next, |conn| {
            conn.execute_batch("create table oncely_more (a); create table oncely_runs (a)")
        })];
        migrate_by(&path, &steps, next).unwrap_err();
        drop(SqliteLedger::open(&path, Options::new("test")).unwrap());
    }

    #[test]
    fn of_several_that_migrate_at_once_one_does_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let options = Options {
            create: true,
            ..Options::new("test")
        };
        drop(SqliteLedger::open(&path, options).unwrap());
        let next = schema::VERSION + 1;
        let steps: [(i32, Step); 1] = [(next, |conn| {
            conn.execute_batch("create table oncely_more (a)")
        })];
        let together = std::sync::Barrier::new(8);
        let done: Vec<Backup> = std::thread::scope(|scope| {
            let migrates = || {
                together.wait();
                migrate_by(&path, &steps, next).unwrap()
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(migrates)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(done.iter().all(|backup| backup.to == next), "{done:?}");
        let copies = done.iter().filter(|backup| backup.copy.is_some()).count();
        assert_eq!(copies, 1, "{done:?}");
    }

    #[test]
    fn only_the_steps_after_the_version_that_is_there_are_taken() {
        let conn = Connection::open_in_memory().unwrap();
        conn.pragma_update(None, "user_version", 2).unwrap();
        let steps: [(i32, Step); 5] = [
            (1, |conn| conn.execute_batch("create table to_1 (a)")),
            (2, |conn| conn.execute_batch("create table to_2 (a)")),
            (3, |conn| conn.execute_batch("create table to_3 (a)")),
            (4, |conn| conn.execute_batch("create table to_4 (a)")),
            (5, |conn| conn.execute_batch("create table to_5 (a)")),
        ];
        take_steps(&conn, &steps, 2, 4).unwrap();
        let made = || {
            let text =
                "select group_concat(name) from (select name from sqlite_schema order by name)";
            conn.query_row(text, [], |row| row.get::<_, String>(0))
                .unwrap()
        };
        assert_eq!(made(), "to_3,to_4");
        assert_eq!(schema::version(&conn).unwrap().1, 4);
        // Another process has done it meanwhile.
        take_steps(&conn, &steps, 2, 5).unwrap();
        assert_eq!(made(), "to_3,to_4");
    }
}
