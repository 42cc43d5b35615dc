//! Where items come from: a file, a list in the call, or the rows of a select.

use super::folder::{self, Folder};
use super::point::Point;
use super::rows::{RowInput, RowItem, Table};
use crate::runner::Runner;
use oncely_core::Value;
use oncely_core::action::{Call, Failure};
use oncely_core::items::SetAside;
use oncely_core::limits;
use oncely_core::records::{Item, Position, Record, RecordError, Records};
use oncely_core::rows::RowKey;
use oncely_core::task::{ActionKind, Format};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// What the items are read from.
#[derive(Clone)]
pub(crate) enum Origin {
    /// A list.
    List(Vec<Value>),
    /// A file below the project's root.
    File {
        path: PathBuf,
        format: Format,
        columns: Option<Vec<String>>,
    },
    /// Rows of a table.
    Rows(Table),
}

impl Origin {
    /// Reads the call of a `for_each` step.
    ///
    /// # Errors
    /// When it names no file below the project's root, or nobody reads rows.
    pub(crate) fn of(runner: &Runner, call: &Call) -> Result<Self, Failure> {
        let (root, within, call) = (&runner.root, call.timeout, &call.options);
        if call.get("rows").is_some() {
            let action = runner.action(ActionKind::Sql).map_err(Failure::permanent)?;
            let options = call.clone();
            return Ok(Self::Rows(Table::Select {
                action,
                options,
                within,
            }));
        }
        if let Some(list) = call.get("list").and_then(Value::as_array) {
            return Ok(Self::List(list.clone()));
        }
        let read = call.get("read").and_then(Value::as_str).unwrap_or_default();
        if let Some(pattern) = call.get("match").and_then(Value::as_str) {
            let (root, path) = folder::below(root, read)?;
            let pattern = pattern.to_owned();
            return Ok(Self::Rows(Table::Folder(Folder {
                root,
                path,
                pattern,
            })));
        }
        let path = below(root, read)?;
        let format = call.get("as").cloned().unwrap_or_default();
        let format =
            serde_json::from_value(format).map_err(|e| Failure::permanent(format!("`as`: {e}")))?;
        let columns = call.get("columns").cloned().unwrap_or_default();
        let columns = serde_json::from_value(columns)
            .map_err(|e| Failure::permanent(format!("`columns`: {e}")))?;
        Ok(Self::File {
            path,
            format,
            columns,
        })
    }

    /// The names of the columns, where the items are rows of a table.
    ///
    /// # Errors
    /// When the file cannot be read, or has no usable header.
    pub(crate) fn columns(&self) -> Result<Option<Vec<String>>, Failure> {
        match self {
            Self::File {
                format: Format::Csv,
                ..
            } => Ok(Some(self.begin()?.columns().to_vec())),
            Self::Rows(table) => Ok(Some(table.open()?.columns().to_vec())),
            Self::File { .. } | Self::List(_) => Ok(None),
        }
    }

    /// Whether the items are rows of a table.
    pub(crate) fn is_rows(&self) -> bool {
        matches!(self, Self::Rows(_))
    }

    fn begin(&self) -> Result<Records<File>, Failure> {
        let Self::File {
            path,
            format,
            columns,
        } = self
        else {
            return Err(Failure::permanent("a list has no columns"));
        };
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        Records::new(file, *format, columns.clone()).map_err(|error| broken(path, &error))
    }
}

/// A `file://` URL or a path, which must lie below the root: data names no other file.
fn below(root: &Path, read: &str) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(read.strip_prefix("file://").unwrap_or(read));
    let path = if path.is_absolute() {
        path
    } else {
        root.join(path)
    };
    let climbs = path.components().any(|c| matches!(c, Component::ParentDir));
    let root = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    let outside = |real: PathBuf| !real.starts_with(&root);
    if climbs
        || path
            .canonicalize()
            .map_or(!path.starts_with(&root), outside)
    {
        return Err(Failure::permanent(format!(
            "{read} does not lie below the project's root, so it is not read."
        )));
    }
    Ok(path)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::retry(format!("{} cannot be read: {error}", path.display()))
}

fn broken(path: &Path, error: &RecordError) -> Failure {
    let text = format!("{}: {error}", path.display());
    match error {
        RecordError::Header { .. } => Failure::permanent(text),
        RecordError::Read { .. } => Failure::retry(text),
    }
}

/// Items, one after another, from where the last claim left off.
pub(crate) enum Input {
    List {
        list: Vec<Value>,
        next: usize,
        raw: String,
    },
    File {
        path: PathBuf,
        records: Records<File>,
    },
    Rows(RowInput),
}

/// What comes next.
pub(crate) enum Entry<'a> {
    /// An item.
    Good(Got<'a>),
    /// Something that is no item.
    Bad(SetAside),
}

/// An item, borrowed from its input.
pub(crate) struct Got<'a> {
    pub(crate) index: u64,
    /// From 1; 0 where there are no lines.
    pub(crate) line: u64,
    pub(crate) raw: &'a str,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Record(Record<'a>),
    Value(&'a Value),
    Row(RowItem<'a>),
}

impl<'a> Got<'a> {
    /// A row of a table.
    pub(crate) fn row(index: u64, raw: &'a str, row: RowItem<'a>) -> Self {
        Self {
            index,
            line: 0,
            raw,
            kind: Kind::Row(row),
        }
    }

    /// What templates read under `item`.
    pub(crate) fn value(&self) -> Value {
        match &self.kind {
            Kind::Record(record) => record.value(),
            Kind::Value(value) => (*value).clone(),
            Kind::Row(row) => row.value(),
        }
    }

    /// The cells of a row.
    pub(crate) fn record(&self) -> Option<Record<'a>> {
        match &self.kind {
            Kind::Record(record) => Some(*record),
            Kind::Value(_) | Kind::Row(_) => None,
        }
    }

    /// The row of a table.
    pub(crate) fn table_row(&self) -> Option<RowItem<'a>> {
        match &self.kind {
            Kind::Row(row) => Some(*row),
            Kind::Record(_) | Kind::Value(_) => None,
        }
    }
}

impl Input {
    /// Opens an origin where the work was left.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn open(origin: Origin, point: &Point, page: usize) -> Result<Self, Failure> {
        if let Origin::Rows(table) = &origin {
            return RowInput::open(table, point, page).map(Self::Rows);
        }
        let from = &point.progress;
        if let Origin::List(list) = origin {
            let next = usize::try_from(from.next).unwrap_or(usize::MAX);
            return Ok(Self::List {
                list,
                next,
                raw: String::new(),
            });
        }
        let records = origin.begin()?;
        let Origin::File { path, format, .. } = origin else {
            return Err(Failure::permanent("there is nothing to read"));
        };
        if from.next == 0 {
            return Ok(Self::File { path, records });
        }
        let mut file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
        file.seek(SeekFrom::Start(from.offset))
            .map_err(|error| unreadable(&path, &error))?;
        let at = Position {
            offset: from.offset,
            line: from.line,
            index: from.next,
        };
        let records = Records::resume(file, format, records.columns().to_vec(), at);
        Ok(Self::File { path, records })
    }

    /// The next item; none at the end.
    ///
    /// # Errors
    /// When reading fails.
    pub(crate) fn next(&mut self) -> Result<Option<Entry<'_>>, Failure> {
        match self {
            Self::List { list, next, raw } => {
                let index = *next;
                *next += 1;
                let Some(value) = list.get(index) else {
                    return Ok(None);
                };
                *raw = value.to_string();
                let index = index as u64;
                let kind = Kind::Value(value);
                Ok(Some(Entry::Good(Got {
                    index,
                    line: 0,
                    raw,
                    kind,
                })))
            }
            Self::File { path, records } => {
                let item = records.next().map_err(|error| broken(path, &error))?;
                Ok(item.map(entry))
            }
            Self::Rows(rows) => rows.next(),
        }
    }

    /// The key of the last row, where the items are rows.
    pub(crate) fn last_key(&self) -> Option<&RowKey> {
        match self {
            Self::Rows(rows) => rows.last_key(),
            Self::List { .. } | Self::File { .. } => None,
        }
    }

    /// Writes down where the next item begins.
    pub(crate) fn place(&self, point: &mut Point) {
        let progress = &mut point.progress;
        match self {
            Self::Rows(rows) => rows.place(point),
            Self::List { list, next, .. } => progress.next = (*next).min(list.len()) as u64,
            Self::File { records, .. } => {
                let at = records.position();
                progress.next = at.index;
                progress.offset = at.offset;
                progress.line = at.line;
            }
        }
    }
}

fn entry(item: Item<'_>) -> Entry<'_> {
    match item {
        Item::Record(record) => Entry::Good(Got {
            index: record.at.index,
            line: record.at.line,
            raw: record.raw,
            kind: Kind::Record(record),
        }),
        Item::Bad(bad) => Entry::Bad(SetAside {
            item: bad.at.index,
            line: Some(bad.at.line),
            input: bad.input,
            reason: bad.reason,
        }),
    }
}

/// An item that is set aside, its input within the bound.
pub(crate) fn aside(item: u64, line: Option<u64>, input: &str, reason: String) -> SetAside {
    let mut end = input.len().min(limits::SET_ASIDE_BYTES);
    while !input.is_char_boundary(end) {
        end -= 1;
    }
    let input = input.get(..end).unwrap_or_default().to_owned();
    SetAside {
        item,
        line,
        input,
        reason,
    }
}
