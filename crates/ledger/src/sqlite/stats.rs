//! The numbers of a ledger in a file, from one read transaction.

use super::place::with_ending;
use super::rows::status;
use super::{restore, schema};
use crate::stats::{Stats, Table};
use oncely_core::time::Timestamp;
use rusqlite::Connection;
use std::path::Path;

/// Counts everything. Reads the whole file once, for the sizes of its tables.
pub(crate) fn stats(path: &Path, conn: &Connection) -> rusqlite::Result<Stats> {
    let number = |text: &str| -> rusqlite::Result<u64> {
        let found: i64 = conn.query_row(text, [], |row| row.get(0))?;
        Ok(found.cast_unsigned())
    };
    let moment = |text: &str| -> rusqlite::Result<Option<Timestamp>> {
        let found: Option<i64> = conn.query_row(text, [], |row| row.get(0))?;
        Ok(found.map(Timestamp))
    };
    let name = "select value from oncely_meta where name = 'name'";
    let page = number("pragma page_size")?;
    let wal = std::fs::metadata(with_ending(path, "-wal"));
    Ok(Stats {
        name: conn.query_row(name, [], |row| row.get(0))?,
        schema: schema::version(conn)?.1,
        runs: runs(conn)?,
        facts: number("select coalesce(sum(count), 0) from oncely_facts")?,
        item_facts: number("select count(*) from oncely_item_facts")?,
        set_aside: number("select count(*) from oncely_set_aside")?,
        keys: number("select count(*) from oncely_keys")?,
        oldest: moment("select min(admitted) from oncely_admissions")?,
        newest: moment("select max(changed) from oncely_runs")?,
        tables: tables(conn)?,
        bytes: page * number("pragma page_count")?,
        free_bytes: page * number("pragma freelist_count")?,
        wal_bytes: Some(wal.map_or(0, |found| found.len())),
        restored: restore::last(conn)?,
    })
}

fn runs(conn: &Connection) -> rusqlite::Result<Vec<(oncely_core::run::RunStatus, u64)>> {
    let text = "select status, count(*) from oncely_runs group by status order by status";
    conn.prepare(text)?
        .query_map([], |row| {
            Ok((status(row, 0)?, row.get::<_, i64>(1)?.cast_unsigned()))
        })?
        .collect()
}

fn tables(conn: &Connection) -> rusqlite::Result<Vec<Table>> {
    let text = "select s.tbl_name, sum(d.pgsize) as bytes from dbstat('main', 1) d
                join sqlite_schema s on s.name = d.name
                where s.tbl_name glob 'oncely_*'
                group by s.tbl_name order by bytes desc, s.tbl_name";
    conn.prepare(text)?
        .query_map([], |row| {
            Ok(Table {
                name: row.get(0)?,
                bytes: row.get::<_, i64>(1)?.cast_unsigned(),
            })
        })?
        .collect()
}
