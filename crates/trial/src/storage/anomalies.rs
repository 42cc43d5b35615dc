//! One thing after the other is refused by the disk, until a run ends without having met it: the first
//! write, the second, the third.

use super::faulty::{Kind, Refusing};
use super::play::{block_on, play};
use super::stores::{Filed, Model};
use crate::crash::Trouble;
use crate::dice::Dice;
use oncely_ledger::back_up;
use oncely_ledger::conformance::fast_folder;
use rusqlite::ffi;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// What a disk refuses, with what code, and whether it goes on refusing.
const REFUSALS: [(&str, Kind, i32, bool); 11] = [
    ("a write: full", Kind::Write, ffi::SQLITE_FULL, false),
    (
        "writes from there on: full",
        Kind::Write,
        ffi::SQLITE_FULL,
        true,
    ),
    (
        "a write: error",
        Kind::Write,
        ffi::SQLITE_IOERR_WRITE,
        false,
    ),
    ("a sync: error", Kind::Sync, ffi::SQLITE_IOERR_FSYNC, false),
    (
        "syncs from there on: error",
        Kind::Sync,
        ffi::SQLITE_IOERR_FSYNC,
        true,
    ),
    (
        "a file: too many are open",
        Kind::Open,
        ffi::SQLITE_CANTOPEN,
        false,
    ),
    (
        "files from there on: too many are open",
        Kind::Open,
        ffi::SQLITE_CANTOPEN,
        true,
    ),
    ("a read: error", Kind::Read, ffi::SQLITE_IOERR_READ, false),
    (
        "reads from there on: error",
        Kind::Read,
        ffi::SQLITE_IOERR_READ,
        true,
    ),
    (
        "a cut: error",
        Kind::Truncate,
        ffi::SQLITE_IOERR_TRUNCATE,
        false,
    ),
    (
        "a deletion: error",
        Kind::Delete,
        ffi::SQLITE_IOERR_DELETE,
        false,
    ),
];

/// What was seen.
#[derive(Debug, Default, Serialize)]
pub struct Seen {
    /// Runs with one refusal each.
    pub runs: u64,
    /// How many of each kind there were until a run met none.
    pub refused: Vec<(&'static str, u64)>,
    /// Of these, noticed by nobody.
    pub unnoticed: u64,
    /// What was said, with the place left out.
    pub said: BTreeSet<String>,
    /// What was broken.
    pub broken: Vec<String>,
}

/// Refuses each thing in turn, or every so manyth.
///
/// # Errors
/// When the trial itself cannot work.
pub fn run(seed: u64, every: u64) -> Result<Seen, Trouble> {
    let mut seen = Seen::default();
    for (name, kind, code, stuck) in REFUSALS {
        let mut nth = 1 + seed % every.max(1);
        loop {
            let refusing = Arc::new(Refusing::new(kind, code, stuck, nth));
            seen.runs += 1;
            let broken = block_on(once(seed, &refusing, &mut seen))??;
            if let Some(why) = broken {
                seen.broken.push(format!("{name}, number {nth}: {why}"));
            }
            if !refusing.has_refused() {
                break;
            }
            nth += every.max(1);
        }
        seen.refused.push((name, nth));
    }
    Ok(seen)
}

/// Opens, commits, claims, checkpoints, exports, backs up and closes on a disk that refuses one thing;
/// says what was broken.
async fn once(
    seed: u64,
    refusing: &Arc<Refusing>,
    seen: &mut Seen,
) -> Result<Option<String>, Trouble> {
    let folder = fast_folder();
    let place = folder.path().canonicalize()?;
    let model = Model::new()?;
    let filed = Filed::new(&place, true, 8);
    let installed = oncely_vfs::install(&place, refusing.clone());
    let played = play(&model, &filed, &mut Dice::new(seed), 1, || {
        refusing.has_refused()
    })
    .await;
    if let Some(said) = played.said.as_ref().filter(|_| !refusing.has_refused()) {
        return Ok(Some(format!("another answer than the model's: {said}")));
    }
    let exported = filed.read().map(|export| played.pair.as_model(&export));
    let copy = place.join("copy.db");
    let copied = back_up(filed.path(), &copy, false);
    let mut said = filed.errors();
    said.extend(copied.as_ref().err().map(ToString::to_string));
    said.extend(exported.as_ref().err().cloned());
    if refusing.has_refused() && said.is_empty() {
        seen.unnoticed += 1;
    }
    drop(installed);
    if let Some(unclear) = said.iter().find(|said| !is_clear(said)) {
        return Ok(Some(format!("said in no clear words: {unclear}")));
    }
    let place = place.display().to_string();
    seen.said
        .extend(said.iter().map(|said| said.replace(&place, "FOLDER")));
    if let Ok(lines) = &exported
        && !played.allows(lines)
    {
        return Ok(Some(format!("exported: {}", played.difference(lines))));
    }
    if copied.is_err() && copy.exists() {
        return Ok(Some(
            "a copy has its name and was said to have failed".into(),
        ));
    }
    if copied.is_ok() {
        let lines = opened(&copy).map(|export| played.pair.as_model(&export));
        match lines {
            Ok(lines) if played.allows(&lines) => {}
            Ok(lines) => return Ok(Some(format!("the copy: {}", played.difference(&lines)))),
            Err(error) => return Ok(Some(format!("the copy does not open: {error}"))),
        }
    }
    match filed.read().map(|export| played.pair.as_model(&export)) {
        Ok(lines) if played.allows(&lines) => Ok(None),
        Ok(lines) => Ok(Some(format!("afterwards: {}", played.difference(&lines)))),
        Err(error) => Ok(Some(format!("it does not open again: {error}"))),
    }
}

/// Everything in a copy.
fn opened(copy: &Path) -> Result<String, String> {
    let folder = fast_folder();
    std::fs::copy(copy, folder.path().join("ledger.db")).map_err(|error| error.to_string())?;
    Filed::there(folder.path()).read()
}

/// Whether an error says what was kept or changed.
fn is_clear(said: &str) -> bool {
    ["Nothing was", "is kept", "nothing was"]
        .iter()
        .any(|words| said.contains(words))
}

impl Seen {
    /// In words.
    #[must_use]
    pub fn say(&self) -> String {
        let refused: Vec<_> = self
            .refused
            .iter()
            .map(|(name, times)| format!("  {name}: {times}"))
            .collect();
        let said: Vec<_> = self.said.iter().map(|said| format!("  {said}")).collect();
        format!(
            "{} runs, each with a disk that refuses one thing, until one met none:\n{}\n{} refusals \
             were noticed by nobody, and nothing was lost. What was said:\n{}",
            self.runs,
            refused.join("\n"),
            self.unnoticed,
            said.join("\n")
        )
    }
}
