//! Statements of tasks on the ledger's own database: how they are executed.

use super::db::{Db, Stop};
use super::words;
use oncely_core::action::Statement;
use oncely_postgres::{AT_ONCE, Bound, is_conflict, is_lost, words as said};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
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
pub(crate) fn unbounded(db: &mut Db) {
    let text = "set local statement_timeout to default; set local lock_timeout to default";
    db.soon(text);
}

/// Executes the statements of some units in the open transaction, for at most so long. The inner
/// error is the fault of the statements.
pub(crate) async fn execute(
    db: &mut Db,
    statements: &[&Statement],
    budget: Budget,
) -> Result<Result<(), Fault>, Stop> {
    db.soon(&format!(
        "set local statement_timeout = {}; set local lock_timeout = {}",
        budget.each.as_millis().max(1),
        budget.lock().as_millis().max(1),
    ));
    let all = match all_ready(statements) {
        Ok(all) => all,
        Err(words) => return Ok(Err(Fault::Statement(words))),
    };
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
type Ready<'a> = (Arc<str>, Vec<Bound<'a>>);

/// A text as it was read: its single statements, and which of the given values each of them takes.
struct Text<'a> {
    given: Vec<&'a str>,
    parts: Vec<(Arc<str>, Vec<usize>)>,
}

/// Texts that were read.
type Texts<'a> = HashMap<&'a str, Text<'a>>;

fn all_ready<'a>(statements: &[&'a Statement]) -> Result<Vec<Ready<'a>>, String> {
    let mut texts = HashMap::new();
    let mut all = Vec::with_capacity(statements.len());
    for statement in statements {
        all.extend(ready(statement, &mut texts)?);
    }
    Ok(all)
}

/// The single statements of a text, with their values. Of many units with one text it is read once.
fn ready<'a>(statement: &'a Statement, texts: &mut Texts<'a>) -> Result<Vec<Ready<'a>>, String> {
    let names = || statement.bind.iter().map(|(name, _)| &**name);
    let text = match texts.entry(&statement.text) {
        Entry::Occupied(known) if known.get().given.iter().copied().eq(names()) => known.into_mut(),
        entry => entry
            .insert_entry(read(&statement.text, names().collect())?)
            .into_mut(),
    };
    let value = |at: &usize| {
        let found = statement.bind.get(*at);
        found.map_or(Bound::Null, |(_, value)| value.into())
    };
    let ready = |(text, places): &(Arc<str>, Vec<usize>)| {
        (text.clone(), places.iter().map(value).collect())
    };
    Ok(text.parts.iter().map(ready).collect())
}

fn read<'a>(text: &str, given: Vec<&'a str>) -> Result<Text<'a>, String> {
    let place = |name: &&str| given.iter().position(|known| known == name);
    let parts = oncely_postgres::parts(text, &given)?
        .into_iter()
        .map(|part| {
            let places = part.names.iter().filter_map(place).collect();
            (Arc::from(part.text), places)
        })
        .collect();
    Ok(Text { given, parts })
}
