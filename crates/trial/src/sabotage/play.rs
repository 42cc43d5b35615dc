//! One switch after the other.

use super::nextest::{Red, tested};
use super::table::{Row, TABLE};
use crate::crash::Trouble;
use serde::Serialize;
use std::path::Path;

/// What came of one switch.
#[derive(Debug, Clone, Serialize)]
pub struct Missed {
    /// What `ONCELY_SABOTAGE` calls it.
    pub switch: &'static str,
    /// What was switched off.
    pub mechanism: &'static str,
    /// The promise that it holds.
    pub promise: &'static str,
    /// How many tests were run.
    pub tests: usize,
    /// Those that turned red, and are green with the mechanism.
    pub red: Vec<Red>,
    /// Those that took too long or waited in vain. They count for nothing.
    pub slow: Vec<String>,
}

impl Missed {
    /// Whether some test noticed.
    #[must_use]
    pub fn is_noticed(&self) -> bool {
        !self.red.is_empty()
    }
}

/// Switches off what is asked for, or one after the other.
///
/// # Errors
/// When there is no such switch, the tests cannot be built or started, or one is red as it is.
pub fn run(only: Option<&str>, talk: bool) -> Result<Vec<Missed>, Trouble> {
    let chosen = chosen(only)?;
    let all: Vec<String> = chosen
        .iter()
        .map(|row| format!("({})", row.filter))
        .collect();
    let before = tested(&all.join(" | "), None)?;
    if !before.red.is_empty() || !before.slow.is_empty() {
        let red = before.red.iter().map(|red| &red.test);
        let names: Vec<&str> = red.chain(&before.slow).map(String::as_str).collect();
        return Err(Trouble(format!(
            "red with every mechanism in place: {}",
            names.join(", ")
        )));
    }
    if talk {
        eprintln!(
            "With every mechanism in place {} tests are green.",
            before.tests
        );
    }
    chosen
        .into_iter()
        .map(|row| {
            let missed = without(row)?;
            if talk {
                eprintln!("{}", said(&missed));
            }
            Ok(missed)
        })
        .collect()
}

fn chosen(only: Option<&str>) -> Result<Vec<&'static Row>, Trouble> {
    let named = |row: &&Row| only.is_none_or(|name| name == row.switch.name());
    let chosen: Vec<&Row> = TABLE.iter().filter(named).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = TABLE.iter().map(|row| row.switch.name()).collect();
        return Err(Trouble(format!("the switches are {}", names.join(", "))));
    }
    Ok(chosen)
}

fn without(row: &Row) -> Result<Missed, Trouble> {
    let off = tested(row.filter, Some(row.switch))?;
    Ok(Missed {
        switch: row.switch.name(),
        mechanism: row.mechanism,
        promise: row.promise,
        tests: off.tests,
        red: off.red,
        slow: off.slow,
    })
}

/// The result of one switch as text.
#[must_use]
pub fn said(missed: &Missed) -> String {
    let Missed {
        switch,
        mechanism,
        promise,
        tests,
        red,
        slow,
    } = missed;
    let mut text = match red.as_slice() {
        [] => format!("HOLE: without `{switch}` none of {tests} tests turns red"),
        red => format!("{switch}: {} of {tests} tests turn red", red.len()),
    };
    text += &format!("\n    mechanism: {mechanism}\n    promise: {promise}");
    for Red { test, said } in red {
        text += &format!("\n    red: {test}\n         {said}");
    }
    for test in slow {
        text += &format!("\n    waited in vain, which counts for nothing: {test}");
    }
    text
}

/// Whether a program has the switches: one that is shipped has none.
///
/// # Errors
/// When the file cannot be read.
pub fn has_switches(program: &Path) -> Result<bool, Trouble> {
    let bytes = std::fs::read(program)
        .map_err(|error| Trouble(format!("{}: {error}", program.display())))?;
    let name = b"ONCELY_SABOTAGE";
    Ok(bytes.windows(name.len()).any(|window| window == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_seen_to_have_the_switches_and_another_not() {
        let own = std::env::current_exe().unwrap();
        assert!(has_switches(&own).unwrap());
        assert!(!has_switches(Path::new("/bin/sh")).unwrap());
    }

    #[test]
    fn a_switch_that_is_not_there_is_said() {
        let trouble = chosen(Some("unqiue")).unwrap_err();
        assert!(trouble.0.contains("unique, cursor, sync"), "{}", trouble.0);
    }
}
