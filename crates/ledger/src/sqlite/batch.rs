//! One transaction for many units: the group commit.

use super::holders::HolderFile;
use super::jobs::{Job, Request};
use super::keeper::Note;
use super::rows::Tasks;
use super::{claim, forget, prune, unit};
use crate::sql::Warden;
use oncely_core::ids::HolderId;
use oncely_core::ledger::LedgerError;
use oncely_core::time::Clock;
use rusqlite::{Connection, params};
use std::path::Path;

/// Why a transaction cannot go on as it is.
pub(crate) enum Stop {
    /// A unit is wrong: the others have to be applied without it.
    Invalid(LedgerError),
    /// A statement of a task failed, and its unit has no savepoint.
    Careless,
    /// A statement of a task ended the transaction; `late` when it had taken too long.
    Left { words: String, late: bool },
    /// The database does not work.
    Database(rusqlite::Error),
    /// Something beside the database does not work.
    Failed(LedgerError),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// This process as a holder.
pub(crate) struct Me {
    pub(crate) id: HolderId,
    pub(crate) role: String,
    pub(crate) boot: String,
    pub(crate) lease_ms: i64,
    pub(crate) file: Option<HolderFile>,
    /// Its row is committed.
    pub(crate) registered: bool,
    /// Its row was freed by others, and the engine has not been told yet.
    pub(crate) lost: bool,
}

/// An open transaction.
pub(crate) struct Tx<'c> {
    pub(crate) conn: &'c Connection,
    pub(crate) path: &'c Path,
    pub(crate) warden: &'c Warden,
    pub(crate) clock: &'c dyn Clock,
    pub(crate) me: &'c mut Me,
    pub(crate) tasks: &'c mut Tasks,
    pub(crate) next_run: i64,
    /// What the transaction has moved so far.
    pub(crate) moved: &'c mut Option<Note>,
    pub(crate) check_facts: bool,
    /// Units with statements of a task have savepoints.
    pub(crate) careful: bool,
    /// The unit holds something now, so that the holder must have a row.
    pub(crate) register: bool,
    /// The row was written in this transaction.
    pub(crate) registering: bool,
    /// What the next statement of a task is answered with instead of being executed.
    pub(crate) doomed: Option<String>,
}

impl Tx<'_> {
    /// Applies as much of a job as there is room for.
    pub(crate) fn job(&mut self, job: &mut Job, room: &mut usize) -> Result<(), Stop> {
        if self.me.lost && job.claims() {
            job.failed = Some(LedgerError::LeaseLost);
            return Ok(());
        }
        match &job.request {
            Request::Commit(units) => {
                for unit in units.iter().skip(job.results.len()).take(*room) {
                    let place = job.results.len();
                    self.doomed = doomed(job.doomed.as_ref(), place);
                    job.results.push(self.unit(unit)?);
                    *room -= 1;
                }
            }
            Request::Lease(what, wanted) => {
                job.leased = Some(claim::claim(self, what, wanted)?);
                *room -= 1;
            }
            Request::Prune(part) => {
                job.pruned = Some(prune::prune(self.conn, part)?);
                *room -= 1;
            }
            Request::Forget(wanted) => {
                forget::forget(self.conn, wanted)?;
                job.forgotten = true;
                *room -= 1;
            }
            Request::Renew => {}
        }
        Ok(())
    }

    fn unit(
        &mut self,
        unit: &oncely_core::ledger::Unit,
    ) -> Result<oncely_core::ledger::UnitResult, Stop> {
        self.register = false;
        let result = unit::apply(self, unit)?;
        if std::mem::take(&mut self.register) {
            self.register_now()?;
        }
        Ok(result)
    }

    /// Makes sure that this process is a holder: its file is locked and its row written.
    pub(crate) fn register_now(&mut self) -> Result<(), Stop> {
        if self.me.registered || self.registering {
            return Ok(());
        }
        if self.me.file.is_none() {
            let file = HolderFile::make(self.path, self.me.id).map_err(Stop::Failed)?;
            self.me.file = Some(file);
        }
        self.conn
            .prepare_cached(
                "insert into oncely_holders (id, pid, role, since, boot, renewed, lease_ms)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                self.me.id.0,
                std::process::id(),
                self.me.role,
                self.clock.now().0,
                self.me.boot,
                self.clock.boot_millis(),
                self.me.lease_ms,
            ])?;
        self.registering = true;
        Ok(())
    }
}

fn doomed(doomed: Option<&(usize, String)>, place: usize) -> Option<String> {
    doomed
        .filter(|(at, _)| *at == place)
        .map(|(_, words)| words.clone())
}
