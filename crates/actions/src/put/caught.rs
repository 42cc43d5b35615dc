//! A file that is not written.

use super::Options;
use super::content::{Content, copy};
use crate::caught::{Catching, Caught, Given, Lines, over};
use crate::place::Ground;
use oncely_core::Value;
use oncely_core::action::{Call, Failure};
use serde_json::json;
use std::io::{Read, sink};

/// Bytes of a copied file that are read to be shown.
const READ_BYTES: u64 = 64 * 1024;

pub(crate) fn catch(catching: &Catching, call: &Call, given: &Given) -> Result<Caught, Failure> {
    let options: Options = crate::options::read(&call.options)?;
    let ground = Ground {
        root: catching.root.clone(),
        allowed: catching.allowed.clone(),
    };
    ground.place(&options.to)?;
    let mut lines = Lines::default();
    lines.line(&options.to);
    if options.if_absent {
        lines.line("only where there is no such file yet");
    }
    let content = match &options {
        Options {
            copy: Some(path), ..
        } => copied(&ground, path, &mut lines)?,
        Options {
            text: Some(text), ..
        } => Content::Bytes(text.clone().into_bytes()),
        Options { json, .. } => Content::json(json.as_ref().unwrap_or(&Value::Null)),
    };
    if let Content::Bytes(bytes) = &content {
        match std::str::from_utf8(bytes) {
            Ok(text) => lines.body(text),
            Err(_) => lines.line(format_args!("{} bytes that are no text", bytes.len())),
        }
    }
    let sum = content.open().and_then(|from| {
        copy(from, sink()).map_err(|e| Failure::retry(format!("it cannot be read: {e}")))
    });
    let sum = sum.ok();
    let usual = json!({
        "path": options.to,
        "bytes": sum.map_or(0, |sum| sum.bytes),
        "hash": sum.map_or_else(String::new, |sum| sum.hash.to_string()),
        "created": true,
    });
    Ok(Caught {
        text: lines.text(),
        result: Ok(over(usual, given)),
    })
}

/// The beginning of a file that would be copied. An earlier step, which was caught, may have been
/// the one to make it.
fn copied(ground: &Ground, path: &str, lines: &mut Lines) -> Result<Content, Failure> {
    let place = ground.place(path)?;
    let mut bytes = Vec::new();
    let read = place.open_file().is_ok_and(|file| {
        let plain = file.metadata().is_ok_and(|meta| meta.is_file());
        plain && file.take(READ_BYTES).read_to_end(&mut bytes).is_ok()
    });
    if !read {
        lines.line(format_args!("a copy of {path}, which is not there now"));
        return Ok(Content::Bytes(Vec::new()));
    }
    lines.line(format_args!("a copy of {path}"));
    match std::str::from_utf8(&bytes) {
        Ok(text) => lines.body(text),
        Err(_) => lines.line("which is no text"),
    }
    Ok(Content::File(place))
}
