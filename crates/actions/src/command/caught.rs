//! A program that is not run: what would be, and what it is said to have printed.

use super::options::{Options, Reading, Word};
use super::outcome::outcome;
use super::spawn::{Ended, How};
use crate::caught::{ByName, Caught, Given, Lines};
use crate::excerpt::Kept;
use crate::secret::Veil;
use oncely_core::Value;
use oncely_core::action::{Call, Failure};
use std::time::Duration;

/// Most bytes of what a program is said to have printed.
const SAID_BYTES: usize = 1024 * 1024;

pub(crate) fn catch(call: &Call, given: &Given) -> Result<Caught, Failure> {
    let options: Options = crate::options::read(&call.options)?;
    let ended = ended(&options, given)?;
    Ok(Caught {
        text: text(&options)?,
        result: outcome(&options, &ended, call, &Veil::default()),
    })
}

fn text(options: &Options) -> Result<String, Failure> {
    let mut lines = Lines::default();
    match options {
        Options {
            args: Some(args), ..
        } => lines.line(words(args)?),
        Options {
            shell: Some(shell), ..
        } => lines.line(format_args!("sh -e -c: {}", shell.trim_end())),
        Options { script, .. } => lines.line(script.as_deref().unwrap_or_default()),
    }
    lines.named("in", options.cwd.as_deref());
    for (name, value) in &options.env {
        let text = value.reveal(&ByName, &mut Veil::default())?;
        match value.is_secret() {
            true => lines.line(format_args!("{name}={text}")),
            false => lines.line(format_args!("{name}={}", quoted(&text))),
        }
    }
    match &options.stdin {
        None => {}
        Some(Value::String(text)) => lines.body(text),
        Some(value) => lines.json(value),
    }
    Ok(lines.text())
}

fn words(args: &[Word]) -> Result<String, Failure> {
    let words: Vec<String> = args.iter().map(|word| quoted(&word.0)).collect();
    match args.first() {
        Some(first) if !first.0.is_empty() => Ok(words.join(" ")),
        _ => Err(Failure::permanent("the command names no program")),
    }
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=@%+,".contains(c);
    match word {
        word if !word.is_empty() && word.chars().all(plain) => word.into(),
        word => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// How the program is said to have ended.
fn ended(options: &Options, given: &Given) -> Result<Ended, Failure> {
    let code = match given.get("code") {
        None => 0,
        Some(code) => code
            .as_i64()
            .and_then(|code| i32::try_from(code).ok())
            .ok_or_else(|| Failure::permanent("the answer's `code` is no exit code"))?,
    };
    let said = |name| given.get(name).and_then(Value::as_str).map(str::to_owned);
    let json = given.get("json").map(Value::to_string);
    let nothing = match options.output {
        Reading::Json => "{}",
        Reading::Auto | Reading::Text => "",
    };
    let stdout = said("stdout").or(json).unwrap_or_else(|| nothing.into());
    Ok(Ended {
        how: How::Exited(code),
        stdout: kept(&stdout),
        stderr: kept(&said("stderr").unwrap_or_default()),
        took: Duration::ZERO,
    })
}

fn kept(text: &str) -> Kept {
    let mut kept = Kept::new(SAID_BYTES);
    kept.push(text.as_bytes());
    kept
}
