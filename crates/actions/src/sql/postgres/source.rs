//! The rows of a select as items: each page is a transaction of its own, behind the last key.

use super::database::{Pool, Session};
use super::{cell, error};
use crate::sql::select::Wanted;
use futures_util::TryStreamExt as _;
use oncely_core::Value;
use oncely_core::action::Failure;
use oncely_core::items::OwnedCell;
use oncely_core::limits;
use oncely_core::rows::{RowKey, RowSource, TableRow};
use oncely_postgres::{Bound, Part, parts};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

/// Longest time for counting the rows, which nothing depends on.
const COUNT_WITHIN: Duration = Duration::from_secs(1);

/// Rows of a PostgreSQL database, read without the right to write.
pub(crate) struct Source {
    pool: Arc<Pool>,
    runtime: Handle,
    wanted: Wanted,
    /// The select with numbered parameters.
    text: String,
    /// What each of them is called in `bind`.
    names: Vec<String>,
    columns: Vec<String>,
    key: usize,
    key_type: Type,
    within: Duration,
}

impl Source {
    /// Connects and checks the select. Called on a thread that may wait.
    pub(crate) fn open(pool: Arc<Pool>, wanted: Wanted, within: Duration) -> Result<Self, Failure> {
        let runtime = Handle::try_current()
            .map_err(|_| Failure::retry("rows are read where oncely serves or runs"))?;
        let (text, names) = single(&wanted)?;
        let mut source = Self {
            pool,
            runtime: runtime.clone(),
            wanted,
            text,
            names,
            columns: Vec::new(),
            key: 0,
            key_type: Type::INT8,
            within,
        };
        runtime.block_on(source.check())?;
        Ok(source)
    }

    async fn check(&mut self) -> Result<(), Failure> {
        let mut session = self.pool.take().await?;
        let asked = self.around("*", "limit 0");
        let refused = |error: Error| match error::failure(&self.pool.place(), &error) {
            Failure::Permanent { error } => {
                Failure::permanent(format!("the select of `rows` is not taken: {error}"))
            }
            other => other,
        };
        let statement = session.prepared(&asked).await.map_err(refused)?;
        cell::check(statement.columns()).map_err(Failure::permanent)?;
        let columns = statement.columns().iter();
        let columns: Vec<String> = columns.map(|column| column.name().to_owned()).collect();
        self.key = self.wanted.key_among(&columns)?;
        if let Some(column) = statement.columns().get(self.key) {
            self.key_type = column.type_().clone();
        }
        if self.cast().is_none() {
            return Err(self.wanted.no_key(None, self.key_type.name()));
        }
        self.columns = columns;
        self.pool.give_back(session);
        Ok(())
    }

    /// The text of the author, and behind it what oncely asks.
    fn around(&self, head: &str, tail: &str) -> String {
        format!("select {head} from ({}) as items {tail}", self.text)
    }

    /// How a key is compared. Texts go by their bytes, whatever collation their column has: by
    /// another, two keys may be equal, and one of them would be passed over.
    fn cast(&self) -> Option<&'static str> {
        match &self.key_type {
            ty if cell::is_integer(ty) => Some("::bigint"),
            ty if *ty == Type::UUID => Some("::uuid"),
            ty if cell::is_text(ty) => Some("::text collate \"C\""),
            _ => None,
        }
    }

    fn tail(&self, behind: bool) -> String {
        let name = self.wanted.key.replace('"', "\"\"");
        let cast = self.cast().unwrap_or_default();
        // A cast of the column itself would keep its index from being used.
        let collate = if cell::is_text(&self.key_type) {
            " collate \"C\""
        } else {
            ""
        };
        let first = self.names.len() + 1;
        match behind {
            true => format!(
                "where \"{name}\"{collate} > ${first}{cast} order by \"{name}\"{collate} limit ${}",
                first + 1
            ),
            false => format!("order by \"{name}\"{collate} limit ${first}"),
        }
    }

    fn bound(&self) -> Vec<Bound<'_>> {
        let given = |name: &String| self.wanted.bind.get(name).map_or(Bound::Null, Bound::from);
        self.names.iter().map(given).collect()
    }

    async fn next_page(
        &self,
        after: Option<&RowKey>,
        most: usize,
    ) -> Result<Vec<TableRow>, Failure> {
        let mut session = self.pool.take().await?;
        let asked = tokio::time::timeout(self.within, self.ask(&mut session, after, most)).await;
        let (page, calm) = asked.map_err(|_| {
            Failure::retry("the select of `rows` took longer than a page may take")
        })??;
        if calm && session.client.batch_execute("commit").await.is_ok() {
            self.pool.give_back(session);
        }
        Ok(page)
    }

    /// A page; and whether the connection has no more to say.
    async fn ask(
        &self,
        session: &mut Session,
        after: Option<&RowKey>,
        most: usize,
    ) -> Result<(Vec<TableRow>, bool), Failure> {
        let place = self.pool.place();
        let failed = |error: Error| error::failure(&place, &error);
        session
            .begin("read only", self.within)
            .await
            .map_err(failed)?;
        let text = self.around("*", &self.tail(after.is_some()));
        let statement = session.prepared(&text).await.map_err(failed)?;
        let mut values = self.bound();
        values.extend(after.map(|key| match key {
            RowKey::Int(number) => Bound::Text(number.to_string().into()),
            RowKey::Text(text) => Bound::Text(text.as_str().into()),
        }));
        // One more than asked for, so that two rows of one key are seen even where a page ends.
        values.push(Bound::Text((most + 1).to_string().into()));
        let rows = session.client.query_raw(&statement, values).await;
        let mut rows = std::pin::pin!(rows.map_err(failed)?);
        let (mut page, mut bytes, mut last) = (Vec::new(), 0, after.cloned());
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let cells = cell::values(&row).map_err(failed)?;
            let key = self.key_of(&cells, last.as_ref())?;
            self.wanted.behind(last.as_ref(), &key)?;
            if page.len() == most || bytes >= limits::RANGE_BYTES {
                return Ok((page, false));
            }
            last = Some(key.clone());
            let cells = self.cells(&row, cells, &mut bytes);
            page.push(TableRow { key, cells });
        }
        Ok((page, true))
    }

    fn key_of(&self, cells: &[Value], last: Option<&RowKey>) -> Result<RowKey, Failure> {
        match cells.get(self.key) {
            Some(Value::String(text)) => Ok(RowKey::Text(text.clone())),
            Some(number) if number.is_i64() => Ok(RowKey::Int(number.as_i64().unwrap_or(0))),
            _ => Err(self.wanted.no_key(last, "null")),
        }
    }

    fn cells(
        &self,
        row: &Row,
        values: Vec<Value>,
        bytes: &mut usize,
    ) -> Result<Vec<OwnedCell>, String> {
        let mut cells = Vec::with_capacity(values.len());
        for (value, column) in values.into_iter().zip(row.columns()) {
            let cell = owned(value);
            if let OwnedCell::Text(text) = &cell {
                *bytes += text.len();
                if text.len() > limits::RECORD_BYTES {
                    return Err(format!(
                        "`{}` has {} bytes; at most {} are allowed",
                        column.name(),
                        text.len(),
                        limits::RECORD_BYTES
                    ));
                }
            }
            *bytes += 16;
            cells.push(cell);
        }
        Ok(cells)
    }

    async fn counted(&self) -> Option<u64> {
        let mut session = self.pool.take().await.ok()?;
        session.begin("read only", COUNT_WITHIN).await.ok()?;
        let text = self.around("count(*)", "");
        let statement = session.prepared(&text).await.ok()?;
        let rows = session.client.query_raw(&statement, self.bound()).await;
        let rows: Vec<Row> = rows.ok()?.try_collect().await.ok()?;
        let count: i64 = rows.first()?.try_get(0).ok()?;
        session.client.batch_execute("commit").await.ok()?;
        self.pool.give_back(session);
        u64::try_from(count).ok()
    }
}

/// The one select that the text is.
fn single(wanted: &Wanted) -> Result<(String, Vec<String>), Failure> {
    let given: Vec<&str> = wanted.bind.keys().map(String::as_str).collect();
    let not_taken =
        |words: &str| Failure::permanent(format!("the select of `rows` is not taken: {words}"));
    let parts = parts(&wanted.rows, &given).map_err(|words| not_taken(&words))?;
    match parts.as_slice() {
        [Part { text, names }] => {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            Ok((text.clone(), names))
        }
        _ => Err(not_taken("it is one statement")),
    }
}

/// Truth is a number, as in SQLite; lists and tables are JSON.
fn owned(value: Value) -> OwnedCell {
    match value {
        Value::Null => OwnedCell::Null,
        Value::Bool(truth) => OwnedCell::Int(truth.into()),
        Value::String(text) => OwnedCell::Text(text.into()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => OwnedCell::Int(integer),
            (None, Some(real)) => OwnedCell::Real(real),
            (None, None) => OwnedCell::Text(number.to_string().into()),
        },
        other => OwnedCell::Text(other.to_string().into()),
    }
}

impl RowSource for Source {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn page(&mut self, after: Option<&RowKey>, most: usize) -> Result<Vec<TableRow>, Failure> {
        let runtime = self.runtime.clone();
        runtime.block_on(self.next_page(after, most))
    }

    fn count(&mut self) -> Option<u64> {
        let runtime = self.runtime.clone();
        runtime.block_on(self.counted())
    }
}
