//! Bare executables and SQL files: a file that is a task by itself, with TOML in an optional
//! comment block.

use super::reader::Span;

/// The first line of a header, after the leader.
const BEGIN: &str = "/// oncely";
/// The last line of a header, after the leader.
const END: &str = "///";
/// What comment lines begin with.
const LEADERS: [&str; 4] = ["#", "//", "--", ";"];

/// The header of a script, as TOML.
#[derive(Debug)]
pub(super) struct Header {
    /// As long as the script, with blanks wherever there is no TOML, so that every place in it is
    /// the place in the script.
    pub(super) toml: String,
    /// The place of the line that begins it.
    pub(super) begin: Option<Span>,
    /// Whether the line that ends it is there.
    pub(super) closed: bool,
    /// Lines inside it that are no comments.
    pub(super) strangers: Vec<Span>,
}

/// Finds the header of a script.
pub(super) fn header(script: &str) -> Header {
    let mut header = Header {
        toml: String::with_capacity(script.len()),
        begin: None,
        closed: false,
        strangers: Vec::new(),
    };
    let mut leader = None;
    let mut at = 0;
    for line in script.split_inclusive('\n') {
        let mut kept = "";
        match leader {
            None if header.begin.is_none() => {
                leader = begins(line);
                if leader.is_some() {
                    header.begin = Some(at..at + line.trim_end().len());
                }
            }
            Some(mark) => match comment(line, mark) {
                Some(text) if text.trim() == END => {
                    header.closed = true;
                    leader = None;
                }
                Some(text) => kept = text,
                None => header.strangers.push(at..at + line.trim_end().len()),
            },
            None => {}
        }
        blank(&mut header.toml, line, kept);
        at += line.len();
    }
    header
}

fn begins(line: &str) -> Option<&'static str> {
    LEADERS
        .into_iter()
        .find(|leader| comment(line, leader).is_some_and(|text| text.trim() == BEGIN))
}

/// What stands after the leader of a comment line.
fn comment<'l>(line: &'l str, leader: &str) -> Option<&'l str> {
    line.trim_start().strip_prefix(leader)
}

/// Adds a line of the same length in which only `kept`, its end, is left.
fn blank(toml: &mut String, line: &str, kept: &str) {
    let before = line.len() - kept.len();
    let dropped = line.get(..before).unwrap_or(line);
    for byte in dropped.bytes() {
        toml.push(if matches!(byte, b'\n' | b'\r') {
            byte.into()
        } else {
            ' '
        });
    }
    toml.push_str(kept);
}
