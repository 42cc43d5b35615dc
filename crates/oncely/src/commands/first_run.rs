//! The first `oncely run` of an environment: many tasks and nothing recorded may mean that they are
//! old and were done by other means.

use crate::cli::FirstRun;
use crate::failure::Failure;
use std::io::{BufRead, IsTerminal, Write};

/// So many tasks are done without a question in an environment where nothing is recorded.
const FEW: usize = 20;

/// What is to be done with the pending tasks.
///
/// # Errors
/// When nobody said what, and there is nobody to ask.
pub(super) fn decide(
    said: Option<FirstRun>,
    recorded: bool,
    pending: usize,
) -> Result<FirstRun, Failure> {
    if recorded || (pending <= FEW && said.is_none()) {
        return Ok(FirstRun::All);
    }
    match said {
        Some(said) => Ok(said),
        None if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() => ask(
            pending,
            &mut std::io::stdin().lock(),
            &mut std::io::stderr(),
        ),
        None => Err(undecided(pending)),
    }
}

fn ask(
    pending: usize,
    answers: &mut dyn BufRead,
    out: &mut dyn Write,
) -> Result<FirstRun, Failure> {
    let mut line = String::new();
    // Where the question cannot be written or read there is no answer.
    let _ = write!(
        out,
        "Nothing is recorded in this environment and {pending} tasks are pending. Were they done \
         before oncely came?\n  yes  mark them as skipped\n  no   do them all now\nyes or no: "
    );
    let _ = out.flush();
    let _ = answers.read_line(&mut line);
    match line.trim() {
        "yes" => Ok(FirstRun::Baseline),
        "no" => Ok(FirstRun::All),
        _ => Err(undecided(pending)),
    }
}

fn undecided(pending: usize) -> Failure {
    Failure::usage(format!(
        "nothing is recorded in this environment and {pending} tasks are pending, which may be old. \
         Nothing was run. Say `oncely run --first-run baseline` to skip them, or \
         `oncely run --first-run all` to do them. Where tasks have been done here, the ledger is \
         missing: is its disk kept between releases?"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(line: &str) -> Result<FirstRun, String> {
        let mut out = Vec::new();
        ask(30, &mut line.as_bytes(), &mut out).map_err(|failure| failure.message)
    }

    #[test]
    fn only_a_clear_answer_counts() {
        assert_eq!(answer("yes\n"), Ok(FirstRun::Baseline));
        assert_eq!(answer("no\n"), Ok(FirstRun::All));
        for unclear in ["", "\n", "y\n", "YES\n"] {
            assert!(answer(unclear).is_err_and(|words| words.contains("--first-run")));
        }
    }

    #[test]
    fn few_tasks_and_known_environments_need_no_answer() {
        assert_eq!(decide(None, false, FEW).ok(), Some(FirstRun::All));
        assert_eq!(decide(None, true, 1000).ok(), Some(FirstRun::All));
        let said = Some(FirstRun::Baseline);
        assert_eq!(decide(said, false, 3).ok(), said);
        assert_eq!(decide(said, true, 3).ok(), Some(FirstRun::All));
    }
}
