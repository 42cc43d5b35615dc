//! Runs tests with something switched off, and reads which of them were red, and what they said.

use crate::crash::Trouble;
use oncely_core::sabotage::Switch;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

/// Without a bound, a test that waits for what never comes would hold everything up.
const LIMIT: &str = "[profile.default]\nslow-timeout = { period = '60s', terminate-after = 3 }\n";
/// Words of a test that waited for something in vain. It may have been slow, and counts for nothing.
const IN_VAIN: [&str; 4] = ["Elapsed(", "timed out", " came", "in vain"];
/// So many letters of what a test said are shown.
const SHOWN: usize = 200;

/// A test that found something wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Red {
    /// Its name.
    pub test: String,
    /// What it said first.
    pub said: String,
}

/// What came of some tests.
#[derive(Debug, Default)]
pub(super) struct Tested {
    /// How many there were.
    pub(super) tests: usize,
    /// Those that found something wrong.
    pub(super) red: Vec<Red>,
    /// Those that took too long, or waited in vain: they show nothing.
    pub(super) slow: Vec<String>,
}

/// Runs the tests of a filter, with something switched off or not.
pub(super) fn tested(filter: &str, off: Option<Switch>) -> Result<Tested, Trouble> {
    let mut limit = tempfile::NamedTempFile::new()?;
    limit.write_all(LIMIT.as_bytes())?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let words = "nextest run --workspace --no-fail-fast --retries 0 --show-progress none --color never \
                 --status-level fail --final-status-level pass --failure-output immediate";
    command
        .args(words.split_whitespace())
        .arg("--tool-config-file")
        .arg(format!("oncely-trial:{}", limit.path().display()))
        .args(["-E", filter])
        // What is red on purpose leaves nothing behind for the next tests.
        .env("INSTA_UPDATE", "no")
        .env("RUST_BACKTRACE", "0")
        .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
        .env_remove("ONCELY_SABOTAGE")
        .stdin(Stdio::null());
    if let Some(switch) = off {
        command.env("ONCELY_SABOTAGE", switch.name());
    }
    let ended = command
        .output()
        .map_err(|e| Trouble(format!("cargo nextest cannot be started: {e}")))?;
    let said = String::from_utf8_lossy(&ended.stderr);
    let tested = read(&said);
    // 100: some test was red. All else but success is about the build, or there is no such test.
    match ended.status.code() {
        Some(0 | 100) if tested.tests > 0 => Ok(tested),
        _ => Err(Trouble(format!(
            "`cargo nextest run -E '{filter}'` tested nothing:\n{}",
            tail(&said)
        ))),
    }
}

/// Reads the list at the end, `PASS [0.01s] (1/2) package::binary name`, and above it what each that
/// failed has said, below a line of the same form.
fn read(said: &str) -> Tested {
    let (before, list) = said.split_once("Summary [").unwrap_or((said, ""));
    let mut tested = Tested::default();
    let mut seen = BTreeSet::new();
    for (word, name) in list.lines().filter_map(status) {
        if word == "SKIP" || !seen.insert(name) {
            continue;
        }
        tested.tests += 1;
        let words = first_words(before, name);
        match word {
            "FAIL" | "SIGABRT" if !IN_VAIN.iter().any(|vain| words.contains(vain)) => {
                tested.red.push(Red {
                    test: name.to_owned(),
                    said: words,
                });
            }
            "PASS" | "LEAK" | "SLOW" => {}
            _ => tested.slow.push(name.to_owned()),
        }
    }
    tested
}

/// The word and the name of a line about a test.
fn status(line: &str) -> Option<(&str, &str)> {
    let (word, rest) = line.trim().split_once(" [")?;
    let is_word = word.chars().all(|c| c.is_ascii_uppercase() || c == '-');
    let (_, name) = rest.split_once(']').filter(|_| is_word)?;
    // A test's number may stand before its name.
    let name = name.rsplit_once(") ").map_or(name, |(_, name)| name).trim();
    name.contains("::").then_some((word, name))
}

/// What a test that failed said first, and where: the lines from `panicked at` on.
fn first_words(said: &str, name: &str) -> String {
    let own = said
        .lines()
        .skip_while(|line| status(line).is_none_or(|(_, found)| found != name))
        .skip(1)
        .take_while(|line| status(line).is_none());
    let mut panic = own.skip_while(|line| !line.contains("panicked at "));
    let place = panic
        .next()
        .and_then(|line| line.split_once("panicked at "));
    let place = place.map_or("", |(_, place)| place);
    let words = panic.next().unwrap_or_default().trim();
    format!("{place} {words}").chars().take(SHOWN).collect()
}

fn tail(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines
        .get(lines.len().saturating_sub(12)..)
        .unwrap_or_default()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn red_tests_are_read_with_their_words_and_those_that_waited_in_vain_are_none() {
        let said = "        FAIL [   0.2s] (2/4) oncely-core::a two\n  stderr ───\n\n    \
                    thread 'two' (7) panicked at crates/core/tests/a.rs:1:2:\n    \
                    assertion `left == right` failed\n      left: 1\n     right: 2\n\n        \
                    FAIL [   9.2s] (4/4) oncely-core::a four\n  stderr ───\n\n    \
                    thread 'four' (8) panicked at crates/core/tests/a.rs:9:2:\n    \
                    called `Result::unwrap()` on an `Err` value: Elapsed(())\n\n     \
                    Summary [   0.4s] 4 tests run: 1 passed, 2 failed, 1 timed out, 9 skipped\n        \
                    PASS [   0.1s] (1/4) oncely-core::a one\n        \
                    FAIL [   0.2s] (2/4) oncely-core::a two\n     \
                    TIMEOUT [  60.0s] (3/4) oncely-core::a three\n        \
                    FAIL [   9.2s] (4/4) oncely-core::a four\n        \
                    SKIP [         ] (─/4) oncely-core::a five\n";
        let tested = read(said);
        assert_eq!(tested.tests, 4);
        let two = Red {
            test: "oncely-core::a two".into(),
            said: "crates/core/tests/a.rs:1:2: assertion `left == right` failed".into(),
        };
        assert_eq!(tested.red, [two]);
        assert_eq!(tested.slow, ["oncely-core::a three", "oncely-core::a four"]);
    }
}
