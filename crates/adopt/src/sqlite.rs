//! An application's database in an SQLite file.

use crate::session::{BUSY, Texts, with_times};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// A connection. What it does is short, and done at once.
pub(crate) struct Sqlite(Connection);

impl Sqlite {
    /// A connection that may only read, unless it is to write. A file that is not there is not made.
    pub(crate) async fn open(path: &Path, writes: bool) -> Result<Self, String> {
        let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
        if !metadata.is_file() {
            return Err("it is no file".into());
        }
        let access = match writes {
            true => OpenFlags::SQLITE_OPEN_READ_WRITE,
            false => OpenFlags::SQLITE_OPEN_READ_ONLY,
        };
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
            connection.busy_timeout(BUSY)?;
            // A file that is no database shows only when it is read.
            connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
            Ok(connection)
        });
        opened.map(Self).map_err(|error| error.to_string())
    }

    pub(crate) async fn columns(&mut self, table: &str) -> rusqlite::Result<Vec<String>> {
        let text = "select name from pragma_table_info(?1)";
        let mut statement = self.0.prepare(text)?;
        let names = statement.query_map([table], |row| row.get(0))?;
        names.collect()
    }

    /// Adds a row of this version where there is none; whether it did.
    pub(crate) async fn add(
        &mut self,
        table: &str,
        times: &[&str],
        version: &str,
    ) -> rusqlite::Result<bool> {
        let (columns, values) = with_times(times, "datetime('now')");
        let text = format!(
            "insert into \"{table}\" (version{columns}) select ?1{values} \
             where not exists (select 1 from \"{table}\" where version = ?1)"
        );
        Ok(self.0.execute(&text, [version])? > 0)
    }

    pub(crate) async fn rows(
        &mut self,
        table: &str,
        time: &str,
        most: usize,
    ) -> rusqlite::Result<Vec<Texts>> {
        let text = format!(
            "select cast(version as text), cast({time} as text) from \"{table}\" limit {most}"
        );
        let mut statement = self.0.prepare(&text)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }
}
