//! Statements of tasks: what they may be, and their parameters.
//!
//! They are checked by their words. This keeps mistakes out, and is no wall against a task file
//! that means harm: for that, give oncely a user of its own in the database.

use std::collections::BTreeSet;

/// Every table of oncely begins with this.
const PREFIX: &str = "oncely_";

/// What a statement may begin with: nothing that ends the transaction or changes the session.
const MAY_BEGIN: [&str; 11] = [
    "select", "insert", "update", "delete", "merge", "with", "values", "create", "alter", "drop",
    "truncate",
];

/// A single statement of a text.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// With `$1`, `$2`, … for its parameters, and without comments.
    pub text: String,
    /// The name of each parameter, in order; a name may stand there more than once.
    pub names: Vec<&'a str>,
}

/// The single statements of a text, whose parameters have the names `given`.
///
/// # Errors
/// What is wrong with it, for people: it does what a task may not, asks for a name that is not given,
/// or leaves one unused.
pub fn parts<'a>(text: &'a str, given: &[&str]) -> Result<Vec<Part<'a>>, String> {
    if text.to_ascii_lowercase().contains(PREFIX) {
        return Err(format!(
            "access to {PREFIX} tables is prohibited: they are the ledger's"
        ));
    }
    let mut used = BTreeSet::new();
    let mut parts = Vec::new();
    let mut part = Part::default();
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => part.text.push_str(text),
            Piece::End => parts.push(std::mem::take(&mut part)),
            Piece::Name(name) => {
                if !given.contains(&name) {
                    return Err(format!("parameter :{name} is not given in bind"));
                }
                used.insert(name);
                part.names.push(name);
                part.text.push_str(&format!("${}", part.names.len()));
            }
        }
    }
    parts.push(part);
    parts.retain(|part| !part.text.trim().is_empty());
    if let Some(name) = given.iter().find(|name| !used.contains(*name)) {
        return Err(format!(
            "bind gives {name}, which the statement does not use"
        ));
    }
    parts.iter().try_for_each(|part| may_begin(&part.text))?;
    Ok(parts)
}

fn may_begin(text: &str) -> Result<(), String> {
    let lower = text.trim_start().to_ascii_lowercase();
    let first: String = lower
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect();
    let leaves = ["set_config", "pg_advisory", "dblink", "pg_terminate"]
        .iter()
        .find(|word| lower.contains(**word));
    if let Some(word) = leaves {
        return Err(format!("{word} is not for tasks: not authorized"));
    }
    if MAY_BEGIN.contains(&first.as_str()) {
        return Ok(());
    }
    Err(format!(
        "a statement of a task begins with one of {}; `{first}` is not authorized",
        MAY_BEGIN.join(", ")
    ))
}

/// A piece of a text.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
    End,
}

/// Cuts a text at `:name` and `;`, where these do not stand in quotes. Comments are left out.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(length) = next_piece(rest, &mut all) {
        rest = rest.get(length..).unwrap_or_default();
    }
    all
}

/// Takes one piece from the start; says how many bytes it was.
fn next_piece<'a>(rest: &'a str, all: &mut Vec<Piece<'a>>) -> Option<usize> {
    let until = |end: &str, skip: usize| {
        let found = rest.get(skip..).and_then(|tail| tail.find(end));
        found.map_or(rest.len(), |at| skip + at + end.len())
    };
    let mut letters = rest.chars();
    let (first, second) = (letters.next()?, letters.next());
    let length = match (first, second) {
        ('-', Some('-')) => return Some(until("\n", 2)),
        ('/', Some('*')) => return Some(until("*/", 2)),
        ('\'', _) => until("'", 1),
        ('"', _) => until("\"", 1),
        ('$', _) => dollar(rest),
        (';', _) => {
            all.push(Piece::End);
            return Some(1);
        }
        (':', Some(':')) => 2,
        (':', Some(letter)) if letter.is_ascii_alphabetic() || letter == '_' => {
            let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let tail = rest.get(1..).unwrap_or_default();
            let length = tail.find(|c| !name(c)).unwrap_or(tail.len());
            all.push(Piece::Name(tail.get(..length).unwrap_or_default()));
            return Some(1 + length);
        }
        _ => first.len_utf8(),
    };
    all.push(Piece::Text(rest.get(..length).unwrap_or_default()));
    Some(length)
}

/// The length of a text in dollar quotes, or of the dollar alone.
fn dollar(rest: &str) -> usize {
    let tail = rest.get(1..).unwrap_or_default();
    let Some(end) = tail.find('$') else {
        return 1;
    };
    let tag = rest.get(..end + 2).unwrap_or_default();
    let inside = tag.trim_matches('$');
    if !inside.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return 1;
    }
    let body = rest.get(tag.len()..).unwrap_or_default();
    body.find(tag)
        .map_or(rest.len(), |at| tag.len() + at + tag.len())
}
