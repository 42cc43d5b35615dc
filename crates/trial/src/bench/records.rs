//! Records a second from file to committed row, in turn with one prepared statement that inserts
//! the same rows with the same settings, schema and commit size.

use super::machine::cpu_seconds;
use super::measure::{Bound, Measured};
use super::rig::{Rig, folder, median, runtime};
use crate::crash::Trouble;
use oncely_core::limits::RANGE_ITEMS;
use oncely_engine::Offer;
use rusqlite::{Connection, params};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

/// Records of the file.
const RECORDS: usize = 1_000_000;
/// Times that both are measured, in turn.
const TURNS: usize = 3;

const TASK: &str = r#"title = "A row for each record"
[on.call]
key = "event.id"
[[step]]
id       = "store"
for_each = { read = "records.csv", as = "csv" }
  [[step.do]]
  id = "row"
    [step.do.sql]
    db   = "results"
    text = "insert into rows (object, line, label, score) values (:object, :line, :label, :score)"
    bind = { object = "{{ event.id }}", line = "{{ loop.index }}", label = "{{ item.label }}", score = "{{ item.score }}" }
"#;

const SCHEMA: &str = "create table rows (object text not null, line integer not null, \
                      label text not null, score real not null)";
const INSERT: &str = "insert into rows (object, line, label, score) values (?1, ?2, ?3, ?4)";

#[derive(Default)]
struct Turns {
    ours: Vec<f64>,
    plain: Vec<f64>,
    cpu: Vec<f64>,
    commits: Vec<f64>,
}

pub(crate) fn run() -> Result<Measured, Trouble> {
    let place = folder()?;
    write_file(&place.path().join("records.csv"))?;
    let mut turns = Turns::default();
    for turn in 0..TURNS {
        ours(place.path(), turn, &mut turns)?;
        turns.plain.push(plain(place.path(), turn)?);
    }
    let (ours, plain) = (median(turns.ours), median(turns.plain));
    let settings = format!(
        "{RECORDS} records, {RANGE_ITEMS} a commit, WAL, synchronous full, medians of {TURNS} turns"
    );
    Ok(Measured::new(
        "records",
        settings,
        vec![
            Bound::plain("from file to committed row", ours, "records/s").at_least(100_000.0),
            Bound::plain("one prepared statement", plain, "rows/s"),
            Bound::plain("share of the prepared statement", 100.0 * ours / plain, "%")
                .at_least(35.0),
            Bound::plain("CPU", median(turns.cpu), "us/record").at_most(4.0),
            Bound::plain("commits for 1,000 records", median(turns.commits), "").at_most(2.0),
        ],
    ))
}

fn cells(n: usize) -> (&'static str, f64) {
    #[allow(clippy::cast_precision_loss)]
    let score = (n % 10_000) as f64 / 10_000.0;
    (if n.is_multiple_of(3) { "yes" } else { "no" }, score)
}

fn write_file(path: &Path) -> Result<(), Trouble> {
    let mut text = String::from("n,label,score\n");
    for n in 1..=RECORDS {
        let (label, score) = cells(n);
        let _ = writeln!(text, "{n},{label},{score}");
    }
    Ok(std::fs::write(path, text)?)
}

#[allow(clippy::cast_precision_loss)]
fn ours(root: &Path, turn: usize, turns: &mut Turns) -> Result<(), Trouble> {
    let place = root.join(format!("ours{turn}"));
    std::fs::create_dir(&place)?;
    std::fs::rename(root.join("records.csv"), place.join("records.csv"))?;
    let database = database(&place.join("results.db"))?;
    let rig = Rig::new(&place, "rows", TASK)?;
    let (seconds, cpu, commits) = runtime()?.block_on(async {
        let before = rig.commits().await;
        let (begun, cpu) = (Instant::now(), cpu_seconds());
        let data = serde_json::json!({ "id": "x" });
        rig.engine
            .offer(vec![Offer::new("rows".into(), "x".into(), data)], None)
            .await?;
        rig.engine.idle().await;
        let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        Ok::<_, Trouble>((seconds, cpu, rig.commits().await - before))
    })?;
    let rows: i64 = database.query_row("select count(*) from rows", [], |row| row.get(0))?;
    if usize::try_from(rows).ok() != Some(RECORDS) {
        return Err(Trouble(format!("{rows} rows of {RECORDS}")));
    }
    std::fs::rename(place.join("records.csv"), root.join("records.csv"))?;
    // One more takes the mark over.
    let ranges = (RECORDS / RANGE_ITEMS) as u64 + 1;
    turns.ours.push(RECORDS as f64 / seconds);
    turns.cpu.push(cpu * 1e6 / RECORDS as f64);
    turns
        .commits
        .push((commits + ranges) as f64 * 1000.0 / RECORDS as f64);
    Ok(())
}

/// The same rows, settings, schema and commit size, and nothing else.
#[allow(clippy::cast_precision_loss)]
fn plain(root: &Path, turn: usize) -> Result<f64, Trouble> {
    let mut database = database(&root.join(format!("plain{turn}.db")))?;
    let begun = Instant::now();
    let mut n = 0;
    while n < RECORDS {
        let transaction = database.transaction()?;
        {
            let mut insert = transaction.prepare_cached(INSERT)?;
            for _ in 0..RANGE_ITEMS.min(RECORDS - n) {
                n += 1;
                let (label, score) = cells(n);
                insert.execute(params!["x", n as i64, label, score])?;
            }
        }
        transaction.commit()?;
    }
    Ok(RECORDS as f64 / begun.elapsed().as_secs_f64())
}

fn database(path: &Path) -> Result<Connection, Trouble> {
    let database = Connection::open(path)?;
    database.pragma_update(None, "journal_mode", "wal")?;
    database.pragma_update(None, "synchronous", "full")?;
    database.pragma_update(None, "foreign_keys", true)?;
    database.execute_batch(SCHEMA)?;
    Ok(database)
}
