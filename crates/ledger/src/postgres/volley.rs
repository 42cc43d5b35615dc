//! Statements of the ledger that go to the server in one journey: none needs the answer of another.

use super::db::Stop;
use std::borrow::Cow;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// A value for a parameter, which the statement takes with it.
pub(crate) type Value<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// Such statements, in the order in which the server executes them.
#[derive(Default)]
pub(crate) struct Volley<'a> {
    pub(crate) asked: Vec<(Cow<'static, str>, Vec<Value<'a>>)>,
}

/// What one of them gave.
pub(crate) struct Reply {
    pub(crate) rows: Vec<Row>,
    /// How many rows it changed.
    pub(crate) changed: u64,
}

impl<'a> Volley<'a> {
    /// Adds a statement; gives its place among the answers.
    pub(crate) fn ask(
        &mut self,
        text: impl Into<Cow<'static, str>>,
        values: Vec<Value<'a>>,
    ) -> usize {
        self.asked.push((text.into(), values));
        self.asked.len() - 1
    }
}

/// A value for a parameter.
pub(crate) fn value<'a>(value: impl ToSql + Sync + Send + 'a) -> Value<'a> {
    Box::new(value)
}

/// The number in the first column of the first row, where there is one.
pub(crate) fn first_number(rows: &[Row]) -> Result<i64, Stop> {
    Ok(match rows.first() {
        Some(row) => row.try_get(0)?,
        None => 0,
    })
}
