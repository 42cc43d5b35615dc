//! Commits whose end is not known: whether they have happened, and what is done with a connection on
//! which something went wrong.
//!
//! Each transaction that changes anything raises the count of changes of its handle. So the next one
//! sees whether the one before it has happened; one that is still on its way is waited for, since it
//! has that row locked.

use super::apply::sql_failed;
use super::db::{Db, Stop, in_time};
use super::holders::Me;
use super::save;
use super::statements::Fault;
use super::work::{Came, Work};
use std::time::Duration;

/// What came of a transaction, before its commit.
pub(crate) struct Outcome {
    pub(crate) came: Came,
    /// This holder has a row now.
    pub(crate) holds: bool,
    /// How many changes this handle has counted, where it counted one.
    pub(crate) counted: Option<i64>,
}

impl Outcome {
    /// Nothing was counted.
    pub(crate) const fn nothing(came: Came, holds: bool) -> Self {
        Self {
            came,
            holds,
            counted: None,
        }
    }
}

/// A transaction whose commit ended in doubt: it has happened if so many changes are counted.
pub(crate) struct Doubt {
    counted: i64,
    pub(crate) outcome: Outcome,
    /// When it began, by this machine's own clock.
    pub(crate) began: i64,
}

/// Takes a doubt away that can be settled: what was in doubt has happened, or can happen no more.
pub(crate) async fn has_happened(
    db: &mut Db,
    me: &Me,
    doubt: &mut Option<Doubt>,
) -> Result<Option<Doubt>, Stop> {
    let counted = save::counted(db, me).await?;
    let found = doubt.take();
    Ok(found.filter(|doubt| counted >= doubt.counted))
}

/// How a commit ended.
pub(crate) fn judge(
    committed: Result<(), Stop>,
    outcome: Outcome,
    work: Work<'_>,
    began: i64,
    doubt: &mut Option<Doubt>,
) -> Result<Outcome, Stop> {
    let stop = match committed {
        Ok(()) => return Ok(outcome),
        // Nothing was heard of it in time.
        Err(Stop::Silent) => Stop::Doubt(None),
        // A constraint that a task deferred to the end speaks up here.
        Err(Stop::Database(error)) if work.has_sql() && !oncely_postgres::is_conflict(&error) => {
            let words = oncely_postgres::words(&error);
            let failed = sql_failed(work, Fault::Statement(words));
            return Ok(Outcome::nothing(failed, false));
        }
        Err(stop) => stop,
    };
    if let (Stop::Doubt(_), Some(counted)) = (&stop, outcome.counted) {
        *doubt = Some(Doubt {
            counted,
            outcome,
            began,
        });
    }
    Err(stop)
}

/// The connection, if it can be used again.
pub(crate) async fn left_open(
    mut db: Db,
    done: &Result<Outcome, Stop>,
    limit: Duration,
) -> Option<Db> {
    match done {
        Ok(_) => Some(db),
        Err(Stop::Silent | Stop::Doubt(_)) => None,
        Err(_) if db.is_closed() => None,
        Err(_) => {
            let rolled_back = async {
                db.roll_back().await;
                Ok(())
            };
            in_time(limit, rolled_back).await.ok()?;
            Some(db)
        }
    }
}
