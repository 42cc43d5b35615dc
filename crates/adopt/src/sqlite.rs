//! An application's database in an SQLite file.

use crate::session::{BUSY, Texts};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// A connection. What it does is short, and done at once.
pub(crate) struct Sqlite(Connection);

impl Sqlite {
    pub(crate) async fn open(path: &Path) -> Result<Self, String> {
        let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
        if !metadata.is_file() {
            return Err("it is no file".into());
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
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
