//! Statements of tasks on the ledger's own database: how they are executed.

use super::db::{Db, Stop};
use oncely_core::action::Statement;
use oncely_postgres::{AT_ONCE, Bound, is_conflict, is_lost, words};
use std::time::Duration;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

/// Executes the statements of some units in the open transaction, for at most so long. The inner
/// error is the fault of the statements.
pub(crate) async fn execute(
    db: &mut Db,
    statements: &[&Statement],
    budget: Duration,
) -> Result<Result<(), Fault>, Stop> {
    let millis = budget.as_millis().max(1);
    db.simple(&format!(
        "set local statement_timeout = {millis}; set local lock_timeout = {millis}"
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
    let done = tokio::time::timeout(budget * 2, in_order(db, all)).await;
    let error = match done {
        Ok(Ok(())) => return Ok(Ok(())),
        Ok(Err(error)) => error,
        Err(_) => return Ok(Err(Fault::Slow("the statements took too long.".into()))),
    };
    if error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED) && known {
        // A table has another shape than when a statement was prepared: it is prepared anew.
        db.forget_tasks();
        return Err(Stop::Overtaken);
    }
    if db.is_closed() || is_conflict(&error) || (is_lost(&error) && error.code().is_some()) {
        return Err(error.into());
    }
    let slow = [&SqlState::LOCK_NOT_AVAILABLE, &SqlState::QUERY_CANCELED];
    let slow = error.code().is_some_and(|code| slow.contains(&code));
    let words = words(&error);
    Ok(Err(match slow {
        true => Fault::Slow(words),
        false => Fault::Statement(words),
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
