//! `oncely completion SHELL`.

use crate::cli::Cli;
use crate::failure::{Exit, Failure};
use clap::CommandFactory;
use std::io::Write;

pub(crate) fn run(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "oncely", &mut script);
    // A reader that went away is no reason to complain.
    let _ = std::io::stdout().lock().write_all(&script);
    Ok(Exit::Done)
}
