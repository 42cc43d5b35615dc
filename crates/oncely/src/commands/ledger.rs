//! `oncely ledger`: export, migrate and move; the others have files of their own.

use crate::cli::LedgerCommand;
use crate::config::{Config, Flags};
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, count};
use std::io::{ErrorKind, Write};

pub(crate) fn run(voice: Voice, flags: &Flags, args: &LedgerCommand) -> Result<Exit, Failure> {
    match args {
        LedgerCommand::Export => {
            let house = House::open(flags, "oncely ledger export", false)?;
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            let written = house.store().export(&mut out).and_then(|()| out.flush());
            match written {
                // A reader that went away (`| head`) has what it wanted.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                written => written.map_err(|e| {
                    Failure::failed(format!("the ledger was not written out whole: {e}"))
                })?,
            }
        }
        LedgerCommand::Backup(args) => return super::backup::back_up(voice, flags, args),
        LedgerCommand::Restore(args) => return super::backup::restore(voice, flags, args),
        LedgerCommand::Repair(args) => return super::repair::run(voice, flags, args),
        LedgerCommand::Verify => return super::verify::run(voice, flags),
        LedgerCommand::Stats => return super::stats::run(voice, flags),
        LedgerCommand::Prune(args) => return super::prune::run(voice, flags, args),
        LedgerCommand::Migrate => {
            let config = Config::load(flags)?;
            voice.say(crate::store::migrate(&config)?);
        }
        LedgerCommand::Move(args) => {
            let config = Config::load(flags)?;
            let moved = crate::store::move_to(&config, &args.to)?;
            voice.record(&serde_json::json!({ "moved": moved.runs, "to": moved.place }));
            voice.say(format!(
                "Moved {} to {}. Now write where it is into oncely.toml: ledger = {:?}. Until then \
                 every command says so and does nothing.",
                count(usize::try_from(moved.runs).unwrap_or(usize::MAX), "run"),
                moved.place,
                args.to
            ));
        }
    }
    Ok(Exit::Done)
}
