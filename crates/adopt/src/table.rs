//! Tables of versions: which one there is, and what stands in it.

use crate::session::Session;
use crate::{AdoptError, Database};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use oncely_core::time::Timestamp;

/// Most rows that are read.
pub const ROWS: usize = 100_000;

/// The names under which a tool keeps its table, the usual one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables(Vec<String>);

impl Tables {
    /// Of the gem after_party, whose name depends on `pluralize_table_names`.
    #[must_use]
    pub fn after_party() -> Self {
        Self(["task_records", "task_record"].map(str::to_owned).into())
    }

    /// Of the gem data_migrate.
    #[must_use]
    pub fn data_migrate() -> Self {
        Self(vec!["data_migrations".to_owned()])
    }

    /// Of this name, as somebody wrote it.
    ///
    /// # Errors
    /// When it is no name of a table.
    pub fn named(name: &str) -> Result<Self, AdoptError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
            return Err(AdoptError::Url(format!(
                "{name:?} is no name of a table: letters, digits and _ only, at most 63."
            )));
        }
        Ok(Self(vec![name.to_owned()]))
    }
}

/// A row of such a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The version; none where the column is empty.
    pub version: Option<String>,
    /// When it was written, where the table says so.
    pub at: Option<Timestamp>,
}

/// What a tool recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The table.
    pub table: String,
    /// Its rows, by version.
    pub rows: Vec<Record>,
}

/// Reads what a tool recorded, in a transaction that may only read.
///
/// # Errors
/// When the database does not answer, has no such table, or one of another shape.
pub async fn read(place: &Database, tables: &Tables) -> Result<Found, AdoptError> {
    let mut session = Session::open(place, false).await?;
    let (table, columns) = find(&mut session, place, tables).await?;
    let time = columns.iter().find(|name| *name == "created_at");
    let texts = session.rows(&table, time.is_some(), ROWS + 1).await?;
    session.end().await;
    if texts.len() > ROWS {
        let most = ROWS;
        return Err(AdoptError::TooMany { table, most });
    }
    let mut rows: Vec<Record> = texts
        .into_iter()
        .map(|(version, at)| Record {
            version,
            at: at.as_deref().and_then(moment),
        })
        .collect();
    rows.sort_by(|a, b| a.version.cmp(&b.version));
    Ok(Found { table, rows })
}

/// The columns in which Rails keeps times, where a table has them.
const TIMES: [&str; 2] = ["created_at", "updated_at"];

/// Adds a row of this version to a tool's table, where there is none, and touches no other row; says
/// in which table, and whether it was added now. To do it twice is to do it once.
///
/// # Errors
/// When the database does not answer, has no such table, or does not take the row.
pub async fn add(
    place: &Database,
    tables: &Tables,
    version: &str,
) -> Result<(String, bool), AdoptError> {
    let mut session = Session::open(place, true).await?;
    let (table, columns) = find(&mut session, place, tables).await?;
    let has = |time: &&str| columns.iter().any(|name| name == time);
    let times: Vec<&str> = TIMES.into_iter().filter(has).collect();
    let added = session.add(&table, &times, version).await;
    session.end().await;
    Ok((table, added?))
}

/// The first of these tables that is there, and its columns.
pub(crate) async fn find(
    session: &mut Session,
    place: &Database,
    tables: &Tables,
) -> Result<(String, Vec<String>), AdoptError> {
    for table in &tables.0 {
        let columns = session.columns(table).await?;
        let (place, table) = (place.to_string(), table.clone());
        if columns.iter().any(|name| name == "version") {
            return Ok((table, columns));
        }
        if !columns.is_empty() {
            return Err(AdoptError::Shape {
                place,
                table,
                columns,
            });
        }
    }
    Err(AdoptError::NoTable {
        place: place.to_string(),
        names: tables.0.clone(),
    })
}

/// What Rails writes into `created_at`: the time in UTC, without saying so.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim_end_matches(" UTC").trim_end_matches('Z');
    let time: DateTime = text.parse().ok()?;
    let zoned = time.to_zoned(TimeZone::UTC).ok()?;
    Some(Timestamp(zoned.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_databases_write_them() {
        let noon = Some(Timestamp(1_577_880_000_000));
        for text in [
            "2020-01-01 12:00:00",
            "2020-01-01 12:00:00.000000",
            "2020-01-01T12:00:00Z",
            "2020-01-01 12:00:00 UTC",
        ] {
            assert_eq!(moment(text), noon, "{text}");
        }
        assert_eq!(moment("yesterday"), None);
    }

    #[test]
    fn a_name_of_a_table_is_a_plain_word() {
        for wrong in ["", "a b", "a;drop", "a\"", "public.task_records"] {
            assert!(Tables::named(wrong).is_err(), "{wrong}");
        }
        assert!(Tables::named("shop_task_records").is_ok());
    }
}
