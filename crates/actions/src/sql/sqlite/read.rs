//! Rows that a statement gives, as a value.

use crate::sql::given::Read;
use base64::Engine as _;
use oncely_core::Value;
use rusqlite::Statement;
use rusqlite::types::ValueRef;
use serde_json::Map;

/// Executes a statement whose parameters are bound, and keeps as many rows as an output may have.
pub(crate) fn read(statement: &mut Statement<'_>) -> rusqlite::Result<Read> {
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut read = Read::default();
    // A statement that also writes is carried to its end, whatever becomes of its rows.
    let reads_only = statement.readonly();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        if !read.truncated {
            read.push(record(row, &names)?);
        }
        if read.truncated && reads_only {
            break;
        }
    }
    Ok(read)
}

fn record(row: &rusqlite::Row<'_>, names: &[String]) -> rusqlite::Result<Value> {
    let mut record = Map::new();
    for (place, name) in names.iter().enumerate() {
        record.insert(name.clone(), cell(row.get_ref(place)?));
    }
    Ok(Value::Object(record))
}

fn cell(cell: ValueRef<'_>) -> Value {
    match cell {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => integer.into(),
        ValueRef::Real(real) => real.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => base64::engine::general_purpose::STANDARD
            .encode(bytes)
            .into(),
    }
}
