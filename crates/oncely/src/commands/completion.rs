//! `oncely completion SHELL`.

use crate::cli::Cli;
use crate::failure::{Exit, Failure};
use clap::CommandFactory;

pub(crate) fn run(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    clap_complete::generate(shell, &mut Cli::command(), "oncely", &mut std::io::stdout());
    Ok(Exit::Done)
}
