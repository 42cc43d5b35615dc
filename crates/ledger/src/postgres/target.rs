//! A database that a ledger is moved to: written in one transaction, and read again before its end.

use super::db::{Db, Stop};
use super::holders::Me;
use super::options::{self, PostgresOptions};
use super::slice::Slice;
use super::{connect, save, schema, server, whole, words};
use crate::memory::state::State;
use oncely_core::ledger::LedgerError;
use std::time::Duration;

/// The database, with its connection.
pub(crate) struct Target {
    db: Db,
    me: Me,
    place: String,
}

impl Target {
    /// Opens a database, and makes the ledger's tables where there are none.
    pub(crate) async fn open(url: &str, options: PostgresOptions) -> Result<Self, LedgerError> {
        let address = options::address(url, &options)?;
        let place = address.place();
        let said = |stop: Stop| words::gave_up(&place, stop, Duration::ZERO);
        let mut db = match connect::connect(&address, options.patience()).await {
            Ok(db) => db,
            Err(Stop::Database(error)) => return Err(words::database(&place, &error)),
            Err(Stop::Silent) => return Err(words::silent(&place)),
            Err(stop) => return Err(said(stop)),
        };
        server::check(&mut db, &place).await.map_err(said)?;
        schema::open(&mut db, &place, true).await.map_err(said)?;
        let me = Me::new(options);
        Ok(Self { db, me, place })
    }

    /// Where it is, for people.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Whether what is there is a copy of this ledger already.
    pub(crate) async fn is_copy(&mut self, name: &str, before: &[u8]) -> Result<bool, LedgerError> {
        let there = schema::name(&mut self.db).await;
        if self.said(there)? != name {
            return Ok(false);
        }
        let after = whole::export(&mut self.db, name).await;
        Ok(self.said(after)? == before)
    }

    /// Begins to write; what is there must be empty.
    pub(crate) async fn begin(&mut self, name: &str) -> Result<(), LedgerError> {
        let begun = self.begin_inside(name).await;
        if begun.is_err() {
            self.db.roll_back().await;
        }
        self.said(begun)
    }

    async fn begin_inside(&mut self, name: &str) -> Result<(), Stop> {
        self.db.begin_at_length("").await?;
        let runs = super::slice::take_turn(&mut self.db).await?;
        let cursors = "select source from oncely_cursors limit 1";
        if runs > 0 || !self.db.rows(cursors, &[]).await?.is_empty() {
            return Err(LedgerError::Unusable(format!(
                "there is a ledger in {} already, and it is in use. Nothing was moved. Name an \
                 empty database.",
                self.place
            ))
            .into());
        }
        schema::rename(&mut self.db, name).await
    }

    /// Writes a part.
    pub(crate) async fn write(&mut self, state: State) -> Result<(), LedgerError> {
        let mut part = Slice::empty();
        part.state = state;
        let written = save::save(&mut self.db, &self.me, &part).await;
        self.said(written)?;
        let written = super::kept::write(&mut self.db, &part.state).await;
        self.said(written)
    }

    /// Commits when everything reads as it did before; else leaves the database as it was.
    pub(crate) async fn commit_if_same(
        &mut self,
        name: &str,
        before: &[u8],
    ) -> Result<(), LedgerError> {
        let after = whole::export_inside(&mut self.db, name).await;
        if self.said(after)? != before {
            self.db.roll_back().await;
            return Err(LedgerError::Unusable(format!(
                "what was written to {} does not read as the ledger did. Nothing was moved, and \
                 the database is as it was. This is a fault of oncely.",
                self.place
            )));
        }
        let committed = self.db.commit().await;
        self.said(committed)
    }

    fn said<T>(&self, done: Result<T, Stop>) -> Result<T, LedgerError> {
        done.map_err(|stop| words::gave_up(&self.place, stop, Duration::ZERO))
    }
}
