//! Statements of tasks on the ledger's own database: how they are executed.

use super::db::{Db, Stop};
use super::words;
use oncely_core::action::Statement;
use oncely_postgres::{AT_ONCE, Bound, is_conflict, is_lost, words as said};
use std::time::Duration;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// How long one statement may take where many units share a transaction: what these touch is locked
/// meanwhile.
const MOMENT: Duration = Duration::from_millis(200);
/// How long all statements of such a transaction may take.
const MOMENTS: Duration = Duration::from_secs(2);

/// How long statements may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    each: Duration,
    all: Duration,
}

impl Budget {
    /// Beside other units.
    pub(crate) fn together(most: Duration) -> Self {
        Self {
            each: most.min(MOMENT),
            all: (most * 2).min(MOMENTS),
        }
    }

    /// By themselves.
    pub(crate) fn alone(most: Duration) -> Self {
        Self {
            each: most,
            all: most * 2,
        }
    }

    /// A lock is waited for a little shorter than a statement may take: so the server says which of
    /// both it was.
    fn lock(self) -> Duration {
        self.each - self.each / 10
    }
}

/// From here on the open transaction has the session's own limits again.
pub(crate) async fn unbounded(db: &Db) -> Result<(), Stop> {
    let text = "set local statement_timeout to default; set local lock_timeout to default";
    Ok(db.simple(text).await?)
}

/// Executes the statements of some units in the open transaction, for at most so long. The inner
/// error is the fault of the statements.
pub(crate) async fn execute(
    db: &mut Db,
    statements: &[&Statement],
    budget: Budget,
) -> Result<Result<(), Fault>, Stop> {
    db.simple(&format!(
        "set local statement_timeout = {}; set local lock_timeout = {}",
        budget.each.as_millis().max(1),
        budget.lock().as_millis().max(1),
    ))
    .await?;
    let mut all = Vec::new();
    for statement in statements {
        match ready(statement) {
            Ok(ready) => all.extend(ready),
            Err(words) => return Ok(Err(Fault::Statement(words))),
        }
    }
    let known = db.knows_tasks();
    let done = tokio::time::timeout(budget.all, in_order(db, all)).await;
    let error = match done {
        Ok(Ok(())) => return Ok(Ok(())),
        Ok(Err(error)) => error,
        Err(_) => return Ok(Err(Fault::Slow(words::too_slow(budget.all)))),
    };
    if error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED) && known {
        // A table has another shape than when a statement was prepared: it is prepared anew.
        db.forget_tasks();
        return Err(Stop::Overtaken);
    }
    if db.is_closed() || is_conflict(&error) || (is_lost(&error) && error.code().is_some()) {
        return Err(error.into());
    }
    Ok(Err(match error.code() {
        Some(&SqlState::LOCK_NOT_AVAILABLE) => Fault::Slow(words::locked(budget.lock())),
        Some(&SqlState::QUERY_CANCELED) => Fault::Slow(words::too_slow(budget.each)),
        _ => Fault::Statement(said(&error)),
    }))
}

/// Why statements of tasks did not go through, in words.
#[derive(Debug)]
pub(crate) enum Fault {
    /// They are wrong, or a row refuses them.
    Statement(String),
    /// They took too long, or waited too long for a lock.
    Slow(String),
}

async fn in_order(db: &mut Db, parts: Vec<Ready<'_>>) -> Result<(), Error> {
    let mut prepared = Vec::with_capacity(parts.len());
    for (text, values) in parts {
        prepared.push((db.task(&text).await?, values));
        // What makes a table must be done before what uses it is prepared.
        if prepared.len() == AT_ONCE || makes(&text) {
            db.in_order(&prepared).await?;
            prepared.clear();
        }
    }
    db.in_order(&prepared).await
}

fn makes(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    ["create", "alter", "drop"]
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word))
}

/// A statement and the values of its parameters.
type Ready<'a> = (String, Vec<Bound<'a>>);

/// The single statements of a text, with their values.
fn ready(statement: &Statement) -> Result<Vec<Ready<'_>>, String> {
    let given: Vec<&str> = statement.bind.iter().map(|(name, _)| &**name).collect();
    let parts = oncely_postgres::parts(&statement.text, &given)?;
    let value = |name: &str| {
        let found = statement.bind.iter().find(|(known, _)| **known == *name);
        found.map_or(Bound::Null, |(_, value)| value.into())
    };
    let ready = parts.into_iter().map(|part| {
        let values = part.names.iter().map(|name| value(name)).collect();
        (part.text, values)
    });
    Ok(ready.collect())
}
