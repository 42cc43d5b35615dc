//! Renewal: keeps the own lease, frees what those held who are gone, and leaves cleanly.

use super::holders;
use super::writer::Writer;
use crate::clock::wants_renewal;
use crate::rules::due_when_freed;
use oncely_core::ids::HolderId;
use oncely_core::ledger::LedgerError;
use oncely_core::time::Timestamp;
use rusqlite::{Connection, params};
use std::sync::atomic::Ordering;
use std::time::Instant;

impl Writer {
    /// Renews, also on a full disk.
    pub(crate) fn renew_anyhow(&mut self) -> Result<u64, LedgerError> {
        loop {
            let renewed = self.renew();
            let full = matches!(renewed, Err(LedgerError::Full(_)));
            if !full || !self.make_room() {
                self.tried = 0;
                return renewed;
            }
        }
    }

    /// Renews the own lease when a third of it has gone, and frees those who are gone.
    pub(crate) fn renew(&mut self) -> Result<u64, LedgerError> {
        if self.me.registered && !self.ask(|conn| self.has_row(conn))? {
            return Err(self.start_anew());
        }
        let gone = self.gone()?;
        let boot_now = self.shared.clock.boot_millis();
        let late = self.me.registered && wants_renewal(self.renewed, self.me.lease_ms, boot_now);
        if gone.is_empty() && !late {
            return Ok(0);
        }
        self.begin(Instant::now())?;
        if self.me.lost {
            self.roll_back();
            return Err(self.start_anew());
        }
        let gone = self.gone();
        let done = gone.and_then(|gone| {
            let freed = self.ask(|conn| self.write_renewal(conn, late, boot_now, &gone))?;
            self.ask(|_| self.execute("commit"))?;
            Ok((freed, gone))
        });
        let (freed, gone) = done.inspect_err(|_| self.roll_back())?;
        self.turn.leave();
        if late {
            self.renewed = boot_now;
        }
        if !gone.is_empty() {
            self.shared.changed();
        }
        gone.iter()
            .for_each(|id| holders::remove(&self.shared.path, *id));
        Ok(freed)
    }

    fn gone(&self) -> Result<Vec<i64>, LedgerError> {
        let boot_now = self.shared.clock.boot_millis();
        let path = &self.shared.path;
        self.ask(|conn| holders::gone(conn, path, self.me.id, &self.me.boot, boot_now))
    }

    fn write_renewal(
        &self,
        conn: &Connection,
        late: bool,
        boot_now: i64,
        gone: &[i64],
    ) -> rusqlite::Result<u64> {
        if late {
            conn.prepare_cached("update oncely_holders set renewed = ?2 where id = ?1")?
                .execute(params![self.me.id.0, boot_now])?;
        }
        let now = self.shared.clock.now();
        gone.iter().map(|id| free(conn, HolderId(*id), now)).sum()
    }

    /// Others have freed what this holder held: from now on it is another one.
    fn start_anew(&mut self) -> LedgerError {
        if let Some(file) = self.me.file.take() {
            file.remove();
        }
        self.me.id = holders::new_id(&self.me.boot);
        self.me.registered = false;
        self.me.lost = false;
        self.shared.holder.store(self.me.id.0, Ordering::Release);
        LedgerError::LeaseLost
    }

    fn give_back(&mut self) -> Result<(), LedgerError> {
        if !self.me.registered {
            return Ok(());
        }
        self.begin(Instant::now())?;
        let now = self.shared.clock.now();
        let freed = self.ask(|conn| {
            free(conn, self.me.id, now)?;
            self.execute("commit")
        });
        self.roll_back();
        freed
    }

    /// A clean end: what is still held is free at once.
    pub(crate) fn close(&mut self) {
        self.keeper.close();
        if self.shared.abandoned.load(Ordering::Acquire) {
            return;
        }
        while let Err(error) = self.give_back() {
            let full = matches!(error, LedgerError::Full(_));
            if !full || !self.make_room() {
                tracing::warn!(%error, "the ledger could not be left cleanly; others will see to it");
                break;
            }
        }
        if let Some(file) = self.me.file.take() {
            file.remove();
        }
    }
}

/// Gives back everything that a holder holds and forgets it; says how many runs that were.
fn free(conn: &Connection, holder: HolderId, now: Timestamp) -> rusqlite::Result<u64> {
    let held: Vec<_> = conn
        .prepare_cached("select id, status, due from oncely_runs where holder = ?1")?
        .query_map([holder.0], |row| {
            let due = row.get::<_, Option<i64>>(2)?.map(Timestamp);
            Ok((row.get::<_, i64>(0)?, super::rows::status(row, 1)?, due))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (id, status, due) in &held {
        let due = due_when_freed(*status, *due, now).map(|at| at.0);
        conn.prepare_cached("update oncely_runs set holder = null, due = ?2 where id = ?1")?
            .execute(params![id, due])?;
    }
    conn.prepare_cached("update oncely_names set holder = null where holder = ?1")?
        .execute([holder.0])?;
    conn.prepare_cached("delete from oncely_holders where id = ?1")?
        .execute([holder.0])?;
    Ok(held.len() as u64)
}
