//! Collects what the other sides wrote down, without the ledger's code.

use super::stage::Stage;
use super::trouble::Trouble;
use crate::check::{Evidence, Line, Request, Row, Sent};
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Reads everything.
pub(crate) fn collect(
    stage: &Stage,
    sent: Vec<Sent>,
    requests: Vec<Request>,
    kills: Vec<i64>,
) -> Result<Evidence, Trouble> {
    Ok(Evidence {
        sent,
        requests,
        kills,
        lines: lines(&stage.root.join("commands.log"))?,
        rows: rows(&stage.results())?,
        tallies: tallies(&stage.ledger())?,
        files: files(&stage.root.join("out"))?,
        ..Evidence::default()
    })
}

pub(crate) fn look(path: &Path) -> Result<Connection, Trouble> {
    Ok(Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY,
    )?)
}

fn rows(path: &Path) -> Result<Vec<Row>, Trouble> {
    let database = look(path)?;
    let mut statement =
        database.prepare("select object, item, count(*) from rows group by object, item")?;
    let rows = statement.query_map([], |row| {
        Ok(Row {
            object: row.get(0)?,
            item: row.get(1)?,
            times: row.get::<_, i64>(2)?.unsigned_abs(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The task's own table in the ledger's file.
fn tallies(path: &Path) -> Result<BTreeMap<String, u64>, Trouble> {
    let database = look(path)?;
    let mut statement = database.prepare("select id, count(*) from tallies group by id")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What programs wrote.
pub(crate) fn lines(path: &Path) -> Result<Vec<Line>, Trouble> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path)?;
    text.lines().map(line).collect()
}

fn line(text: &str) -> Result<Line, Trouble> {
    let wrong = || Trouble(format!("commands.log has a line that is none: {text:?}"));
    let mut words = text.split(' ').map(str::to_owned);
    let mut word = || words.next().ok_or_else(wrong);
    let (program, key, attempt, event) = (word()?, word()?, word()?, word()?);
    let attempt = attempt.parse().map_err(|_| wrong())?;
    Ok(Line {
        program,
        key,
        attempt,
        event,
    })
}

/// What was put into a folder.
pub(crate) fn files(folder: &Path) -> Result<BTreeMap<String, String>, Trouble> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // What a killed process had not yet moved into its place.
        if name.ends_with(".json") {
            files.insert(name, fs::read_to_string(entry.path())?);
        }
    }
    Ok(files)
}
