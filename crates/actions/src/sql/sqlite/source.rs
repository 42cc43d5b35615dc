//! The rows of a select as items: each page is a question of its own, behind the last key.

use super::bind::{self, Names};
use super::database::{BUSY, LOOK_EVERY};
use super::error;
use crate::sql::select::Wanted;
use oncely_core::Value;
use oncely_core::action::Failure;
use oncely_core::items::OwnedCell;
use oncely_core::limits;
use oncely_core::rows::{RowKey, RowSource, TableRow};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row, Statement};
use serde_json::Map;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest time for counting the rows, which nothing depends on.
const COUNT_WITHIN: Duration = Duration::from_secs(1);

const AFTER: &str = "oncely_after";
const MOST: &str = "oncely_most";

/// Rows of an SQLite file, read without the right to write.
pub(crate) struct Source {
    connection: Connection,
    wanted: Wanted,
    columns: Vec<String>,
    key: usize,
    within: Duration,
}

impl Source {
    /// Opens the file and checks the select.
    pub(crate) fn open(path: &Path, wanted: Wanted, within: Duration) -> Result<Self, Failure> {
        let connection = connect(path).map_err(|error| {
            let words = error::words(&error);
            Failure::retry(format!(
                "the database {} cannot be opened for reading: {words}",
                path.display()
            ))
        })?;
        let mut source = Self {
            connection,
            wanted,
            columns: Vec::new(),
            key: 0,
            within,
        };
        source.check()?;
        Ok(source)
    }

    /// The text of the author, and behind it what oncely asks. A comment at its end ends there too.
    fn around(&self, head: &str, tail: &str) -> String {
        let text = self.wanted.rows.trim_end().trim_end_matches(';');
        format!("select {head} from (\n{text}\n) {tail}")
    }

    fn check(&mut self) -> Result<(), Failure> {
        // Once as it stands, so that a column's name is the author's, and once as it is asked.
        let text = self.around("*", "limit 0");
        self.connection.prepare(&text).map_err(|e| refused(&e))?;
        let own = self.connection.prepare(&self.wanted.rows);
        let statement = own.map_err(|e| refused(&e))?;
        let mut names = Names::default();
        names.of(&statement)?;
        names.check(self.wanted.bind.keys())?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        drop(statement);
        self.key = self.wanted.key_among(&columns)?;
        self.columns = columns;
        Ok(())
    }

    fn next_page(&self, after: Option<&RowKey>, most: usize) -> Result<Vec<TableRow>, Failure> {
        let text = self.around("*", &self.tail(after.is_some()));
        let failed = |error: rusqlite::Error| error::failure(&error);
        let mut statement = self.connection.prepare_cached(&text).map_err(failed)?;
        // One more than asked for, so that two rows of one key are seen even where a page ends.
        let mut bind = self.wanted.bind.clone();
        bind.insert(MOST.into(), (most + 1).into());
        if let Some(key) = after {
            let key = match key {
                RowKey::Int(number) => (*number).into(),
                RowKey::Text(text) => text.as_str().into(),
            };
            bind.insert(AFTER.into(), key);
        }
        let parameters = Names::default().of(&statement)?;
        bind::bind(&mut statement, &parameters, &bind)?;
        self.read(&mut statement, after, most)
    }

    /// Keys are compared by their bytes, whatever collation their column has: a comparison by which
    /// two keys are equal would pass over one of them.
    fn tail(&self, behind: bool) -> String {
        let key = &self.wanted.key;
        let behind = match behind {
            true => format!("where \"{key}\" > :{AFTER} collate binary "),
            false => String::new(),
        };
        format!("{behind}order by \"{key}\" collate binary limit :{MOST}")
    }

    fn read(
        &self,
        statement: &mut Statement<'_>,
        after: Option<&RowKey>,
        most: usize,
    ) -> Result<Vec<TableRow>, Failure> {
        let failed = |error: rusqlite::Error| error::failure(&error);
        let (mut page, mut bytes) = (Vec::new(), 0);
        let mut last = after.cloned();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(failed)? {
            let key = self.key_of(row, last.as_ref())?;
            self.wanted.behind(last.as_ref(), &key)?;
            if page.len() == most || bytes >= limits::RANGE_BYTES {
                break;
            }
            last = Some(key.clone());
            let cells = self.cells(row, &mut bytes)?;
            page.push(TableRow { key, cells });
        }
        Ok(page)
    }

    fn key_of(&self, row: &Row<'_>, last: Option<&RowKey>) -> Result<RowKey, Failure> {
        let found = match row.get_ref(self.key).map_err(|e| error::failure(&e))? {
            ValueRef::Integer(number) => return Ok(RowKey::Int(number)),
            ValueRef::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => return Ok(RowKey::Text(text.to_owned())),
                Err(_) => "a text that is not UTF-8",
            },
            ValueRef::Null => "null",
            ValueRef::Real(_) => "a number with a fraction",
            ValueRef::Blob(_) => "bytes",
        };
        Err(self.wanted.no_key(last, found))
    }

    fn cells(
        &self,
        row: &Row<'_>,
        bytes: &mut usize,
    ) -> Result<Result<Vec<OwnedCell>, String>, Failure> {
        let mut cells = Vec::with_capacity(self.columns.len());
        for (place, name) in self.columns.iter().enumerate() {
            let value = row.get_ref(place).map_err(|e| error::failure(&e))?;
            let cell = match value {
                ValueRef::Null => OwnedCell::Null,
                ValueRef::Integer(number) => OwnedCell::Int(number),
                ValueRef::Real(number) => OwnedCell::Real(number),
                ValueRef::Text(raw) | ValueRef::Blob(raw) if raw.len() > limits::RECORD_BYTES => {
                    return Ok(Err(format!(
                        "`{name}` has {} bytes; at most {} are allowed",
                        raw.len(),
                        limits::RECORD_BYTES
                    )));
                }
                ValueRef::Text(text) => match std::str::from_utf8(text) {
                    Ok(text) => OwnedCell::Text(text.into()),
                    Err(_) => return Ok(Err(format!("`{name}` is not UTF-8"))),
                },
                ValueRef::Blob(_) => {
                    return Ok(Err(format!(
                        "`{name}` holds bytes: select `hex({name})` of it, or leave it out"
                    )));
                }
            };
            *bytes += match &cell {
                OwnedCell::Text(text) => text.len() + 16,
                _ => 16,
            };
            cells.push(cell);
        }
        Ok(Ok(cells))
    }

    fn timed<T>(&mut self, within: Duration, work: impl FnOnce(&Self) -> T) -> Result<T, Failure> {
        let until = Instant::now() + within;
        let late = move || Instant::now() > until;
        self.connection
            .busy_timeout(BUSY.min(within))
            .and_then(|()| self.connection.progress_handler(LOOK_EVERY, Some(late)))
            .map_err(|error| error::failure(&error))?;
        Ok(work(self))
    }
}

impl RowSource for Source {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn page(&mut self, after: Option<&RowKey>, most: usize) -> Result<Vec<TableRow>, Failure> {
        let within = self.within;
        self.timed(within, |source| source.next_page(after, most))?
    }

    fn count(&mut self) -> Option<u64> {
        let text = self.around("count(*)", "");
        let counted = self.timed(COUNT_WITHIN, |source| {
            let mut statement = source.connection.prepare(&text).ok()?;
            let parameters = Names::default().of(&statement).ok()?;
            bind::bind(&mut statement, &parameters, &source.wanted.bind).ok()?;
            let mut rows = statement.raw_query();
            let count: i64 = rows.next().ok()??.get(0).ok()?;
            u64::try_from(count).ok()
        });
        counted.ok().flatten()
    }
}

/// Whether the first value that a select gives is true.
pub(crate) fn holds(
    path: &Path,
    text: &str,
    bind: &Map<String, Value>,
    within: Duration,
) -> Result<(), Failure> {
    let failed = |error: rusqlite::Error| error::failure(&error);
    let mut connection = connect(path).map_err(failed)?;
    let until = Instant::now() + within;
    let late = move || Instant::now() > until;
    connection.busy_timeout(BUSY.min(within)).map_err(failed)?;
    connection
        .progress_handler(LOOK_EVERY, Some(late))
        .map_err(failed)?;
    let mut statement = connection.prepare(text).map_err(failed)?;
    let mut names = Names::default();
    let parameters = names.of(&statement)?;
    names.check(bind.keys())?;
    bind::bind(&mut statement, &parameters, bind)?;
    let mut rows = statement.raw_query();
    let Some(row) = rows.next().map_err(failed)? else {
        return Err(Failure::retry("the select gave no row"));
    };
    let (said, holds) = match row.get_ref(0).map_err(failed)? {
        ValueRef::Null => ("null".into(), false),
        ValueRef::Integer(number) => (number.to_string(), number != 0),
        ValueRef::Real(number) => (number.to_string(), number != 0.0),
        ValueRef::Text(text) | ValueRef::Blob(text) => ("an empty text".into(), !text.is_empty()),
    };
    match holds {
        true => Ok(()),
        false => Err(Failure::retry(format!("the select gave {said}"))),
    }
}

/// What a select that is not taken was refused for.
fn refused(error: &rusqlite::Error) -> Failure {
    let words = error::words(error);
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::AuthorizationForStatementDenied) => Failure::permanent(format!(
            "the select of `rows` does what it may not: {words}; it reads the project's own tables, \
             and no table of oncely's"
        )),
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
            error::failure(error)
        }
        _ => Failure::permanent(format!("the select of `rows` is not taken: {words}")),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.authorizer(Some(|context: AuthContext<'_>| {
        match allowed(context.action) {
            true => Authorization::Allow,
            false => Authorization::Deny,
        }
    }))?;
    Ok(connection)
}

/// Reading, of tables that are not oncely's.
fn allowed(action: AuthAction<'_>) -> bool {
    match action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => {
            !function_name.eq_ignore_ascii_case("load_extension")
        }
        AuthAction::Read { table_name, .. } => !table_name
            .get(..7)
            .is_some_and(|head| head.eq_ignore_ascii_case("oncely_")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(folder: &Path, made: &str, rows: &str) -> Result<Source, Failure> {
        let path = folder.join("a.db");
        Connection::open(&path)
            .unwrap()
            .execute_batch(made)
            .unwrap();
        let wanted = serde_json::json!({ "rows": rows, "key": "id", "db": "a" });
        let wanted = serde_json::from_value(wanted).unwrap();
        Source::open(&path, wanted, Duration::from_millis(200))
    }

    fn plan(made: &str, rows: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let source = source(folder.path(), made, rows).unwrap();
        let text = format!(
            "explain query plan {}",
            source.around("*", &source.tail(true))
        );
        let connection = Connection::open(folder.path().join("a.db")).unwrap();
        let mut statement = connection.prepare(&text).unwrap();
        let steps = statement
            .query_map([1, 2], |row| row.get::<_, String>(3))
            .unwrap();
        steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_page_is_found_by_the_index_of_its_key() {
        let made = "create table t (id integer primary key, code text not null unique, n integer);
                    create table u (id text primary key, n integer) without rowid";
        for (rows, found) in [
            (
                "select id, n from t where n > 3",
                "SEARCH t USING INTEGER PRIMARY KEY (rowid>?)",
            ),
            ("select code as id from t;", "SEARCH t USING COVERING INDEX"),
            (
                "select id from u -- all",
                "SEARCH u USING PRIMARY KEY (id>?)",
            ),
        ] {
            let plan = plan(made, rows);
            assert!(
                plan.starts_with(found) && !plan.contains("TEMP B-TREE"),
                "{plan}"
            );
        }
    }

    #[test]
    fn a_page_that_takes_too_long_is_given_up_and_a_count_does_without() {
        let folder = tempfile::tempdir().unwrap();
        let endless = "with recursive c (n) as (select 1 union all select n + 1 from c)
                       select n as id from c";
        let mut source = source(folder.path(), "create table t (id)", endless).unwrap();
        let failure = source.page(None, 10).unwrap_err();
        assert!(matches!(failure, Failure::Retry { .. }), "{failure:?}");
        assert!(failure.error().contains("took longer"), "{failure:?}");
        assert_eq!(source.count(), None);
    }

    #[test]
    fn nothing_is_written_and_nothing_of_oncelys_is_read() {
        let made = "create table t (id integer primary key); create table oncely_facts (id)";
        for rows in [
            "select id from t) union select id from (delete from t returning id",
            "select id from oncely_facts",
            "select id from t where id in (select id from Oncely_Facts)",
            "select load_extension('x') as id",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let refused = source(folder.path(), made, rows).err();
            assert!(
                matches!(refused, Some(Failure::Permanent { .. })),
                "{rows}: {refused:?}"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        let mut source = source(folder.path(), made, "select id from t").unwrap();
        let guard: Option<fn(AuthContext<'_>) -> Authorization> = None;
        source.connection.authorizer(guard).unwrap();
        let written = source.connection.execute("insert into t values (1)", []);
        assert!(written.unwrap_err().to_string().contains("readonly"));
    }

    #[test]
    fn a_look_holds_where_the_first_value_is_true_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let made = "create table t (a); insert into t values (1), (2)";
        Connection::open(&path)
            .unwrap()
            .execute_batch(made)
            .unwrap();
        let bind = serde_json::json!({ "most": 5 });
        let looked = |text: &str| {
            let bind = bind.as_object().unwrap();
            holds(&path, text, bind, Duration::from_millis(200)).map_err(|f| f.error().to_owned())
        };
        assert_eq!(looked("select count(*) < :most from t"), Ok(()));
        let said = |text: &str| looked(text).unwrap_err();
        assert_eq!(said("select count(*) > :most from t"), "the select gave 0");
        assert_eq!(
            said("select max(a) from t where a > :most"),
            "the select gave null"
        );
        assert_eq!(
            said("select a from t where a > :most"),
            "the select gave no row"
        );
        let endless = "with recursive c (n) as (select :most union all select n + 1 from c)
                       select max(n) from c";
        assert!(said(endless).contains("took longer"));
        assert!(said("delete from t where a < :most returning a").contains("may not"));
        assert!(said("select :most from oncely_facts").contains("no such table"));
    }

    #[test]
    fn pages_are_short_where_rows_are_large() {
        let folder = tempfile::tempdir().unwrap();
        let made = "create table t (id integer primary key, a text); insert into t with recursive
                    c (n) as (select 1 union all select n + 1 from c where n < 12) select n,
                    hex(zeroblob(400000)) from c; insert into t values (13, hex(zeroblob(600000)))";
        let mut source = source(folder.path(), made, "select id, a from t").unwrap();
        let page = source.page(None, 100).unwrap();
        assert_eq!(page.len(), 6);
        let rest = source.page(Some(&RowKey::Int(12)), 100).unwrap();
        let cells = rest[0].cells.as_ref().unwrap_err();
        assert_eq!(cells, "`a` has 1200000 bytes; at most 1048576 are allowed");
    }
}
