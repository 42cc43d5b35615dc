//! `oncely ledger`: export and migrate.

use crate::cli::LedgerCommand;
use crate::config::{Config, Flags};
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::Voice;
use std::io::Write;

pub(crate) fn run(voice: Voice, flags: &Flags, args: &LedgerCommand) -> Result<Exit, Failure> {
    match args {
        LedgerCommand::Export => {
            let house = House::open(flags, "oncely ledger export", false)?;
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            house.export(&mut out)?;
            out.flush()
                .map_err(|e| Failure::failed(format!("the export was cut off: {e}")))?;
        }
        LedgerCommand::Migrate => {
            let config = Config::load(flags)?;
            voice.say(crate::house::migrate(&config)?);
        }
    }
    Ok(Exit::Done)
}
