//! Statements of tasks: what they may be, their parameters, and how they are executed.
//!
//! They are checked by their words. This keeps mistakes out, and is no wall against a task file
//! that means harm: for that, give the ledger a database of its own.

use super::db::{Db, Stop, is_conflict, is_lost};
use super::words;
use crate::sql::PREFIX;
use bytes::BytesMut;
use futures_util::future::join_all;
use oncely_core::Value;
use oncely_core::action::Statement;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

/// What a statement may begin with: nothing that ends the transaction or changes the session.
const MAY_BEGIN: [&str; 11] = [
    "select", "insert", "update", "delete", "merge", "with", "values", "create", "alter", "drop",
    "truncate",
];

/// So many are under way at once. Up to 30, `join_all` polls them in their order.
const AT_ONCE: usize = 30;

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
        match parts(statement) {
            Ok(parts) => all.extend(parts),
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
    let words = words::own(&error);
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

async fn in_order(db: &mut Db, parts: Vec<Part<'_>>) -> Result<(), Error> {
    let mut prepared = Vec::with_capacity(parts.len());
    for (text, values) in parts {
        let values: Vec<Bound<'_>> = values.into_iter().map(Bound).collect();
        prepared.push((db.task(&text).await?, values));
        // What makes a table must be done before what uses it is prepared.
        if prepared.len() == AT_ONCE || makes(&text) {
            send(db, &mut prepared).await?;
        }
    }
    send(db, &mut prepared).await
}

fn makes(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    ["create", "alter", "drop"]
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word))
}

/// Sends statements one behind the other; the first error counts.
async fn send(
    db: &Db,
    prepared: &mut Vec<(tokio_postgres::Statement, Vec<Bound<'_>>)>,
) -> Result<(), Error> {
    let sent = prepared.iter().map(|(statement, values)| async move {
        let values: Vec<_> = values.iter().map(|v| v as &(dyn ToSql + Sync)).collect();
        db.execute(statement, &values).await
    });
    let done = join_all(sent).await;
    prepared.clear();
    done.into_iter().collect()
}

type Part<'a> = (String, Vec<&'a Value>);

/// The single statements of a text, with numbered parameters.
fn parts(statement: &Statement) -> Result<Vec<Part<'_>>, String> {
    if statement.text.to_ascii_lowercase().contains(PREFIX) {
        return Err(format!(
            "access to {PREFIX} tables is prohibited: they are the ledger's"
        ));
    }
    let mut used = std::collections::BTreeSet::new();
    let mut parts = Vec::new();
    let mut part: Part<'_> = (String::new(), Vec::new());
    for piece in pieces(&statement.text) {
        match piece {
            Piece::Text(text) => part.0.push_str(text),
            Piece::End => parts.push(std::mem::take(&mut part)),
            Piece::Name(name) => {
                let found = statement.bind.iter().find(|(known, _)| **known == *name);
                let Some((known, value)) = found else {
                    return Err(format!("parameter :{name} is not given in bind"));
                };
                used.insert(known.clone());
                part.1.push(value);
                part.0.push_str(&format!("${}", part.1.len()));
            }
        }
    }
    parts.push(part);
    parts.retain(|(text, _)| !text.trim().is_empty());
    all_used(&statement.bind, &used)?;
    parts.iter().try_for_each(|(text, _)| may_begin(text))?;
    Ok(parts)
}

fn all_used(
    given: &[(Arc<str>, Value)],
    used: &std::collections::BTreeSet<Arc<str>>,
) -> Result<(), String> {
    match given.iter().find(|(name, _)| !used.contains(name)) {
        None => Ok(()),
        Some((name, _)) => Err(format!(
            "bind gives {name}, which the statement does not use"
        )),
    }
}

fn may_begin(text: &str) -> Result<(), String> {
    let lower = text.trim_start().to_ascii_lowercase();
    let first: String = lower
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect();
    let leaves = ["set_config", "pg_advisory", "dblink", "pg_terminate"]
        .iter()
        .find(|word| lower.contains(**word));
    if let Some(word) = leaves {
        return Err(format!("{word} is not for tasks: not authorized"));
    }
    if MAY_BEGIN.contains(&first.as_str()) {
        return Ok(());
    }
    Err(format!(
        "a statement of a task begins with one of {}; `{first}` is not authorized",
        MAY_BEGIN.join(", ")
    ))
}

/// A piece of a text.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
    End,
}

/// Cuts a text at `:name` and `;`, where these do not stand in quotes. Comments are left out.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(length) = next_piece(rest, &mut all) {
        rest = rest.get(length..).unwrap_or_default();
    }
    all
}

/// Takes one piece from the start; says how many bytes it was.
fn next_piece<'a>(rest: &'a str, all: &mut Vec<Piece<'a>>) -> Option<usize> {
    let until = |end: &str, skip: usize| {
        let found = rest.get(skip..).and_then(|tail| tail.find(end));
        found.map_or(rest.len(), |at| skip + at + end.len())
    };
    let mut letters = rest.chars();
    let (first, second) = (letters.next()?, letters.next());
    let length = match (first, second) {
        ('-', Some('-')) => return Some(until("\n", 2)),
        ('/', Some('*')) => return Some(until("*/", 2)),
        ('\'', _) => until("'", 1),
        ('"', _) => until("\"", 1),
        ('$', _) => dollar(rest),
        (';', _) => {
            all.push(Piece::End);
            return Some(1);
        }
        (':', Some(':')) => 2,
        (':', Some(letter)) if letter.is_ascii_alphabetic() || letter == '_' => {
            let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let tail = rest.get(1..).unwrap_or_default();
            let length = tail.find(|c| !name(c)).unwrap_or(tail.len());
            all.push(Piece::Name(tail.get(..length).unwrap_or_default()));
            return Some(1 + length);
        }
        _ => first.len_utf8(),
    };
    all.push(Piece::Text(rest.get(..length).unwrap_or_default()));
    Some(length)
}

/// The length of a text in dollar quotes, or of the dollar alone.
fn dollar(rest: &str) -> usize {
    let tail = rest.get(1..).unwrap_or_default();
    let Some(end) = tail.find('$') else {
        return 1;
    };
    let tag = rest.get(..end + 2).unwrap_or_default();
    let inside = tag.trim_matches('$');
    if !inside.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return 1;
    }
    let body = rest.get(tag.len()..).unwrap_or_default();
    body.find(tag)
        .map_or(rest.len(), |at| tag.len() + at + tag.len())
}

/// A JSON value as PostgreSQL sees it: as text, which it reads as the type that it wants.
#[derive(Debug)]
struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let text = match self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Bool(yes) if is_number(ty) => i32::from(*yes).to_string(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    fn to_sql_checked(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.to_sql(ty, out)
    }
}

fn is_number(ty: &Type) -> bool {
    [
        Type::INT2,
        Type::INT4,
        Type::INT8,
        Type::FLOAT4,
        Type::FLOAT8,
        Type::NUMERIC,
    ]
    .contains(ty)
}
