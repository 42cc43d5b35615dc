//! What was expected of a test, compared with what it shows.

use crate::failure::{Exit, Failure};
use crate::output::Voice;
use std::path::Path;

/// Lines that are shown of a difference.
const LINES: usize = 60;

/// Says whether a file has this text, and where it differs.
pub(super) fn compare(voice: Voice, path: &Path, text: &str) -> Result<Exit, Failure> {
    let shown = path.display();
    let expected = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!(
            "{shown} cannot be read: {error}. The same command without --expect, with `> {shown}` \
             behind it, writes it. Nothing was done."
        ))
    })?;
    let same = expected.trim_end() == text.trim_end();
    voice.record(&serde_json::json!({ "expected": shown.to_string(), "same": same }));
    if same {
        voice.say(format!("As {shown} says."));
        return Ok(Exit::Done);
    }
    for line in difference(&expected, text) {
        voice.say(line);
    }
    Err(Failure::failed(format!(
        "it is not as {shown} says: - is expected, + is what came. The same command without \
         --expect, with `> {shown}` behind it, takes this as right."
    )))
}

/// The lines that differ, between the first and the last of them.
fn difference(expected: &str, text: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (
        expected.trim_end().lines().collect(),
        text.trim_end().lines().collect(),
    );
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let most = old.len().min(new.len()) - head;
    let ends = old.iter().rev().zip(new.iter().rev());
    let tail = ends.take(most).take_while(|(a, b)| a == b).count();
    let mut lines = vec![format!("line {}", head + 1)];
    for (mark, all) in [("-", &old), ("+", &new)] {
        let part = all.get(head..all.len() - tail).unwrap_or_default();
        lines.extend(part.iter().take(LINES).map(|line| format!("{mark} {line}")));
        if part.len() > LINES {
            lines.push(format!("{mark} … and {} more lines", part.len() - LINES));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn only_what_differs_is_shown() {
        assert_eq!(
            difference("a\nb\nc\n", "a\nx\ny\nc"),
            ["line 2", "- b", "+ x", "+ y"]
        );
        assert_eq!(difference("a\na\n", "a\n"), ["line 2", "- a"]);
        assert_eq!(difference("", "a"), ["line 1", "+ a"]);
    }
}
