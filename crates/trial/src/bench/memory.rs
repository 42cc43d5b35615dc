//! Peak memory of the whole process tree while the real binary works a large file.

use super::measure::{Bound, Measured};
use super::rig::folder;
use crate::crash::Trouble;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Records of the file; one in a hundred is broken.
const RECORDS: usize = 2_000_000;
/// How often the tree is looked at; the peak of each process is kept by the system itself.
const LOOK: Duration = Duration::from_millis(50);
/// Longest time for the file.
const PATIENCE: Duration = Duration::from_secs(240);

const TASK: &str = r#"title = "A row for each record"
[on.object]
source   = "folder:inbox"
match    = "*.csv"
existing = "run"
[[step]]
id       = "store"
for_each = { read = "{{ event.url }}", as = "csv" }
  [[step.do]]
  id = "row"
    [step.do.sql]
    db   = "results"
    text = "insert into rows (object, line, label) values (:object, :line, :label)"
    bind = { object = "{{ event.name }}", line = "{{ loop.index }}", label = "{{ item.label }}" }
"#;

pub(crate) fn run(binary: &Path) -> Result<Measured, Trouble> {
    let place = folder()?;
    let root = place.path();
    let bytes = prepare(root)?;
    let mut child = Command::new(binary)
        .arg("--project")
        .arg(root)
        .arg("serve")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let watched = watch(root, &child);
    child.kill()?;
    child.wait()?;
    let (peak, seconds) = watched?;
    #[allow(clippy::cast_precision_loss)]
    let (megabytes, rate) = (bytes as f64 / 1e6, RECORDS as f64 / seconds);
    Ok(Measured::new(
        "memory",
        format!("{RECORDS} records, {megabytes:.0} MB, 1 % broken, the real binary"),
        vec![
            Bound::plain("peak of the process tree", peak, "MB").at_most(64.0),
            Bound::plain("in this time", seconds, "s"),
            Bound::plain("that is", rate, "records/s"),
        ],
    ))
}

fn prepare(root: &Path) -> Result<u64, Trouble> {
    for folder in ["tasks", "inbox"] {
        fs::create_dir(root.join(folder))?;
    }
    let config = "environment = \"bench\"\n[db.results]\nsqlite = \"results.db\"\n";
    fs::write(root.join("oncely.toml"), config)?;
    fs::write(root.join("tasks/rows.toml"), TASK)?;
    let database = Connection::open(root.join("results.db"))?;
    database.pragma_update(None, "journal_mode", "wal")?;
    database.execute_batch(
        "create table rows (object text not null, line integer not null, label text not null)",
    )?;
    let path = root.join("inbox/large.csv");
    let mut out = BufWriter::new(fs::File::create(&path)?);
    writeln!(out, "n,label,words,more")?;
    let words = "some words that make a record as wide as records often are, and then some";
    for n in 1..=RECORDS {
        let broken = if n % 100 == 50 { ",one,two" } else { "" };
        writeln!(out, "{n},label{},{},{words}{broken}", n % 17, n * 7919)?;
    }
    out.flush()?;
    Ok(fs::metadata(path)?.len())
}

/// Waits until the file is done; the peak in MB, and how long it took.
fn watch(root: &Path, child: &Child) -> Result<(f64, f64), Trouble> {
    let begun = Instant::now();
    let mut peaks: BTreeMap<u32, u64> = BTreeMap::new();
    while begun.elapsed() < PATIENCE {
        for pid in tree(child.id()) {
            let peak = peaks.entry(pid).or_default();
            *peak = (*peak).max(high_water(pid));
        }
        if is_done(root) {
            #[allow(clippy::cast_precision_loss)]
            let peak = peaks.values().sum::<u64>() as f64 * 1024.0 / 1e6;
            return Ok((peak, begun.elapsed().as_secs_f64()));
        }
        std::thread::sleep(LOOK);
    }
    Err(Trouble("the large file was not done in time".into()))
}

fn is_done(root: &Path) -> bool {
    let path = root.join(".oncely/ledger.db");
    let Ok(ledger) = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY) else {
        return false;
    };
    // 3 is done, as everything from 3 on has ended.
    let text = "select count(*) from oncely_runs where status >= 3";
    ledger
        .query_row(text, [], |row| row.get::<_, i64>(0))
        .is_ok_and(|ended| ended > 0)
}

/// A process and those below it.
fn tree(root: u32) -> Vec<u32> {
    let mut all = vec![root];
    let mut next = 0;
    while let Some(pid) = all.get(next).copied() {
        next += 1;
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        all.extend(
            children
                .split_whitespace()
                .filter_map(|c| c.parse::<u32>().ok()),
        );
    }
    all
}

/// The largest memory that a process has had, in KiB.
fn high_water(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|n| n.parse().ok()).unwrap_or_default()
}
