//! Whether a select holds: the first value that it gives.

use super::database::Pool;
use super::{cell, error};
use oncely_core::Value;
use oncely_core::action::Failure;
use oncely_postgres::{Bound, parts};
use serde_json::Map;
use std::time::Duration;
use tokio_postgres::Error;
use tokio_postgres::types::ToSql;

/// Whether the first value that a select gives is true. It is asked without the right to write.
pub(crate) async fn holds(
    pool: &Pool,
    text: &str,
    bind: &Map<String, Value>,
    within: Duration,
) -> Result<(), Failure> {
    let asked = tokio::time::timeout(within, first(pool, text, bind, within)).await;
    let first =
        asked.map_err(|_| Failure::retry("the select took longer than the step may take"))?;
    let (said, holds) = match first? {
        None => return Err(Failure::retry("the select gave no row")),
        Some(Value::String(text)) => ("an empty text".to_owned(), !text.is_empty()),
        Some(Value::Number(number)) => (number.to_string(), number.as_f64() != Some(0.0)),
        Some(other) => (other.to_string(), other == Value::Bool(true)),
    };
    match holds {
        true => Ok(()),
        false => Err(Failure::retry(format!("the select gave {said}"))),
    }
}

async fn first(
    pool: &Pool,
    text: &str,
    bind: &Map<String, Value>,
    within: Duration,
) -> Result<Option<Value>, Failure> {
    let place = pool.place();
    let failed = |error: Error| error::failure(&place, &error);
    let names: Vec<&str> = bind.keys().map(String::as_str).collect();
    let parts = parts(text, &names).map_err(Failure::permanent)?;
    let [part] = parts.as_slice() else {
        return Err(Failure::permanent("a look is one statement"));
    };
    let mut session = pool.take().await?;
    session.begin("read only", within).await.map_err(failed)?;
    let statement = session.prepared(&part.text).await.map_err(failed)?;
    cell::check(statement.columns()).map_err(Failure::permanent)?;
    let given = |name: &&str| bind.get(*name).map_or(Bound::Null, Bound::from);
    let values: Vec<Bound<'_>> = part.names.iter().map(given).collect();
    let values: Vec<_> = values.iter().map(|v| v as &(dyn ToSql + Sync)).collect();
    let rows = session
        .client
        .query(&statement, &values)
        .await
        .map_err(failed)?;
    let found = match rows.first() {
        Some(row) => cell::values(row).map_err(failed)?.into_iter().next(),
        None => None,
    };
    session
        .client
        .batch_execute("commit")
        .await
        .map_err(failed)?;
    pool.give_back(session);
    Ok(found)
}
