//! `oncely ledger backup` and `oncely ledger restore`.

use crate::cli::{Backup, Restore};
use crate::config::{Config, Flags};
use crate::failure::{Exit, Failure};
use crate::output::{Voice, count, moment, rfc3339, thousands};
use crate::place::Place;
use oncely_core::time::Clock;
use oncely_ledger::SystemClock;
use std::path::Path;

pub(crate) fn back_up(voice: Voice, flags: &Flags, args: &Backup) -> Result<Exit, Failure> {
    let config = Config::load(flags)?;
    let ledger = file(
        &config,
        &format!(
            "pg_dump --format=custom --table='oncely_*' --file={}",
            args.file.display()
        ),
    )?;
    let copied = oncely_ledger::back_up(ledger, &args.file, args.replace)?;
    let runs = usize::try_from(copied.runs).unwrap_or(usize::MAX);
    voice.record(&serde_json::json!({
        "file": copied.file, "runs": copied.runs, "bytes": copied.bytes
    }));
    voice.say(format!(
        "Wrote {}: {}, {}. It was read from end to end, and is whole.",
        copied.file.display(),
        count(runs, "run"),
        size(copied.bytes)
    ));
    Ok(Exit::Done)
}

pub(crate) fn restore(voice: Voice, flags: &Flags, args: &Restore) -> Result<Exit, Failure> {
    let config = Config::load(flags)?;
    let ledger = file(
        &config,
        "pg_restore --clean --if-exists --single-transaction",
    )?;
    let restored = oncely_ledger::restore(ledger, &args.file, SystemClock.now())?;
    let runs = usize::try_from(restored.runs).unwrap_or(usize::MAX);
    voice.record(&serde_json::json!({
        "restored": args.file, "runs": restored.runs, "kept": restored.kept,
        "newest": restored.newest.map(rfc3339), "behind": restored.behind,
    }));
    voice.say(format!(
        "Restored {} from {}.",
        count(runs, "run"),
        args.file.display()
    ));
    if let Some(kept) = restored.kept {
        voice.say(format!(
            "The ledger that was there is kept in {}.",
            kept.display()
        ));
    }
    if let Some(newest) = restored.newest {
        voice.say(format!(
            "It knows of nothing that happened after {} UTC.",
            moment(newest)
        ));
    }
    voice.say(match restored.behind {
        true => {
            "What was done since is not known. Nothing is run before `oncely ledger repair --reason \"…\"`, \
             which says what may have been done: see docs/integrity.md."
        }
        false => "That is as far as the ledger had come.",
    });
    Ok(Exit::Done)
}

/// The ledger's file; a database has tools of its own.
fn file<'a>(config: &'a Config, instead: &str) -> Result<&'a Path, Failure> {
    match &config.ledger.value {
        Place::File(path) => Ok(path),
        place @ Place::Postgres(_) => Err(Failure::usage(format!(
            "the ledger is in {place}, and PostgreSQL has its own tools for this. Nothing was \
             changed. Use them: `{instead}`, with that database."
        ))),
    }
}

/// A size as people say it.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{} bytes", thousands(bytes)),
        10_000..10_000_000 => format!("{} kB", thousands(bytes / 1_000)),
        _ => format!("{} MB", thousands(bytes / 1_000_000)),
    }
}
