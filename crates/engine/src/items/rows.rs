//! Items that are rows of a table: pages behind the last key, and what is gone on with after a crash.

use super::folder::Folder;
use super::input::{Entry, Got};
use super::point::Point;
use oncely_core::Value;
use oncely_core::action::{Action, Failure};
use oncely_core::items::{OwnedCell, SetAside};
use oncely_core::rows::{RowKey, RowSource, RowsAt, TableRow, Taken};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Where rows come from.
#[derive(Clone)]
pub(crate) enum Table {
    /// A select, and who reads its rows.
    Select {
        action: Arc<dyn Action>,
        options: Value,
        /// Longest time of one page.
        within: Duration,
    },
    /// The files of a folder.
    Folder(Folder),
}

impl Table {
    pub(crate) fn open(&self) -> Result<Box<dyn RowSource>, Failure> {
        match self {
            Self::Select {
                action,
                options,
                within,
            } => {
                let none = || Failure::permanent("this oncely reads no rows");
                action.items(options, *within).ok_or_else(none)?
            }
            Self::Folder(folder) => Ok(Box::new(folder.open()?)),
        }
    }
}

/// Rows, one after another.
pub(crate) struct RowInput {
    source: Box<dyn RowSource>,
    columns: Vec<String>,
    /// Rows that were read and are not yet given.
    ahead: VecDeque<TableRow>,
    /// The key of the last row that was read.
    read: Option<RowKey>,
    /// The key of the last row that was given.
    given: Option<RowKey>,
    next: u64,
    page: usize,
    total: Option<u64>,
    row: Row,
}

/// The row that was given last.
#[derive(Default)]
struct Row {
    cells: Vec<OwnedCell>,
    texts: Vec<String>,
    raw: String,
}

/// A row as an item, borrowed from its input.
#[derive(Clone, Copy)]
pub(crate) struct RowItem<'a> {
    pub(crate) columns: &'a [String],
    pub(crate) cells: &'a [OwnedCell],
    pub(crate) texts: &'a [String],
    pub(crate) key: &'a RowKey,
}

impl RowItem<'_> {
    /// What templates read under `item`.
    pub(crate) fn value(&self) -> Value {
        value(self.columns, self.cells)
    }
}

impl RowInput {
    /// Goes on behind the last key, with rows that were being worked first.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub(crate) fn open(table: &Table, from: &Point, page: usize) -> Result<Self, Failure> {
        let mut source = table.open()?;
        let at = from.rows.clone().unwrap_or_default();
        let total = match at.total {
            None if from.progress.next == 0 => source.count(),
            known => known,
        };
        let columns = source.columns().to_vec();
        let ahead: VecDeque<TableRow> = at
            .taken
            .into_iter()
            .map(|taken| given_back(&columns, taken))
            .collect();
        let read = ahead.back().map(|row| row.key.clone());
        Ok(Self {
            source,
            columns,
            ahead,
            read: read.or_else(|| at.key.clone()),
            given: at.key,
            next: from.progress.next,
            page,
            total,
            row: Row::default(),
        })
    }

    /// The next row; none at the end.
    ///
    /// # Errors
    /// When the database cannot be asked, or the keys are no keys.
    pub(crate) fn next(&mut self) -> Result<Option<Entry<'_>>, Failure> {
        if self.ahead.is_empty() {
            self.ahead = self.source.page(self.read.as_ref(), self.page)?.into();
            self.read = self
                .ahead
                .back()
                .map(|r| r.key.clone())
                .or(self.read.take());
        }
        let Some(TableRow { key, cells }) = self.ahead.pop_front() else {
            return Ok(None);
        };
        let index = self.next;
        self.next += 1;
        let key = self.given.insert(key);
        let cells = match cells {
            Ok(cells) => cells,
            Err(reason) => {
                return Ok(Some(Entry::Bad(SetAside {
                    item: index,
                    line: None,
                    input: key.to_string(),
                    reason,
                })));
            }
        };
        self.row.raw = value(&self.columns, &cells).to_string();
        self.row.texts.clear();
        self.row.texts.extend(cells.iter().map(text));
        self.row.cells = cells;
        let row = RowItem {
            columns: &self.columns,
            cells: &self.row.cells,
            texts: &self.row.texts,
            key,
        };
        Ok(Some(Entry::Good(Got::row(index, &self.row.raw, row))))
    }

    /// The key of the row that was given last.
    pub(crate) fn last_key(&self) -> Option<&RowKey> {
        self.given.as_ref()
    }

    /// Writes down behind which row the next one stands.
    pub(crate) fn place(&self, point: &mut Point) {
        point.progress.next = self.next;
        point.rows = Some(RowsAt {
            key: self.given.clone(),
            total: self.total,
            taken: Vec::new(),
        });
    }
}

fn given_back(columns: &[String], taken: Taken) -> TableRow {
    let cells = match (taken.bad, taken.row) {
        (Some(bad), _) => Err(bad),
        (None, row) => Ok(columns
            .iter()
            .map(|name| cell(row.as_ref().and_then(|row| row.get(name))))
            .collect()),
    };
    TableRow {
        key: taken.key,
        cells,
    }
}

fn cell(value: Option<&Value>) -> OwnedCell {
    match value {
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => OwnedCell::Int(int),
            (None, real) => OwnedCell::Real(real.unwrap_or(f64::NAN)),
        },
        Some(Value::String(text)) => OwnedCell::Text(text.as_str().into()),
        _ => OwnedCell::Null,
    }
}

fn value(columns: &[String], cells: &[OwnedCell]) -> Value {
    let fields = columns.iter().zip(cells).map(|(name, cell)| {
        let value = match cell {
            OwnedCell::Null => Value::Null,
            OwnedCell::Int(number) => (*number).into(),
            OwnedCell::Real(number) => (*number).into(),
            OwnedCell::Text(text) => text.as_ref().into(),
        };
        (name.clone(), value)
    });
    Value::Object(fields.collect())
}

fn text(cell: &OwnedCell) -> String {
    match cell {
        OwnedCell::Null => String::new(),
        OwnedCell::Int(number) => number.to_string(),
        OwnedCell::Real(number) => number.to_string(),
        OwnedCell::Text(text) => text.as_ref().to_owned(),
    }
}
