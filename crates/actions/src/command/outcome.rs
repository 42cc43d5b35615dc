//! From how a program ended to what that means for the step.

use super::answer::Answer;
use super::options::{Options, Reading};
use super::spawn::{Ended, How};
use crate::excerpt::{Excerpt, TEXT_BYTES};
use crate::options::spoken;
use crate::secret::Veil;
use oncely_core::Value;
use oncely_core::action::{Call, Failure};
use rustix::io::Errno;
use serde_json::json;

/// By convention: it did not work now, it may work later.
const EX_TEMPFAIL: i32 = 75;
/// Bytes of JSON that standard error may take in an output.
const STDERR_BYTES: usize = 8 * 1024;
/// Bytes of JSON that are kept free for texts when the output is JSON.
const BESIDE_BYTES: usize = 2 * 1024;
/// Characters of a last line that an error shows.
const LINE_CHARS: usize = 500;

pub(crate) fn outcome(
    options: &Options,
    ended: &Ended,
    call: &Call,
    veil: &Veil,
) -> Result<Value, Failure> {
    let stderr = ended.stderr.excerpt(veil);
    match &ended.how {
        How::Exited(code) => exited(options, ended, *code, &stderr, veil),
        How::NotStarted(code, error) => Err(not_started(*code, error, options)),
        How::Signalled(signal) => Err(doubtful(
            options,
            format!("was ended by signal {signal}{}", said(&stderr)),
        )),
        How::TimedOut => Err(doubtful(
            options,
            format!(
                "was stopped because it took longer than {}{}",
                spoken(call.timeout),
                said(&stderr)
            ),
        )),
        How::Lost => Err(doubtful(
            options,
            "was lost: the process that watches over it went away".into(),
        )),
    }
}

fn exited(
    options: &Options,
    ended: &Ended,
    code: i32,
    stderr: &Excerpt,
    veil: &Veil,
) -> Result<Value, Failure> {
    let answer = match Answer::read(&ended.stdout, options.output, veil) {
        Ok(answer) => answer,
        Err(why) => return Err(unreadable(options, code, stderr, &why)),
    };
    if let Some(decided) = answer.outcome() {
        return decided.map(|()| output(ended, code, stderr, answer.json, veil));
    }
    if code != 0 {
        return Err(said_no(code, stderr));
    }
    let too_large = |json: &Value| json.to_string().len() + BESIDE_BYTES > TEXT_BYTES;
    match (options.output, &answer.json) {
        (Reading::Json, None) => Err(unreadable(options, 0, stderr, "its output is not JSON")),
        (Reading::Json, Some(json)) if too_large(json) => Err(unreadable(
            options,
            0,
            stderr,
            "its JSON output is larger than an output may be: write it to a file and name that",
        )),
        _ => Ok(output(ended, code, stderr, answer.json, veil)),
    }
}

/// A code other than 0: it ran and said no, so it is known not to have happened.
fn said_no(code: i32, stderr: &Excerpt) -> Failure {
    match code {
        EX_TEMPFAIL => Failure::retry(format!(
            "exited with {code}, which asks to try later{}",
            said(stderr)
        )),
        _ => Failure::retry(format!("exited with {code}{}", said(stderr))),
    }
}

/// It ended by itself, and what it did cannot be told from what it said.
fn unreadable(options: &Options, code: i32, stderr: &Excerpt, why: &str) -> Failure {
    match (code, options.safe) {
        (0, true) => Failure::permanent(format!("exited with 0, and {why}")),
        (0, false) => Failure::unknown(format!("exited with 0, and {why}")),
        _ => said_no(code, stderr),
    }
}

/// It was ended in the middle of what it did.
fn doubtful(options: &Options, error: String) -> Failure {
    match options.safe {
        true => Failure::retry(error),
        false => Failure::unknown(error),
    }
}

fn not_started(code: Option<i32>, error: &str, options: &Options) -> Failure {
    let errno = code.map(Errno::from_raw_os_error);
    let name = match options {
        Options {
            args: Some(args), ..
        } => args.first().map_or("", |word| &word.0),
        Options { shell: Some(_), .. } => "/bin/sh",
        Options { script, .. } => script.as_deref().unwrap_or_default(),
    };
    match errno {
        Some(Errno::NOENT) => Failure::permanent(not_found(name, options.script_text.as_deref())),
        Some(Errno::ACCESS) => Failure::permanent(format!(
            "{name} may not be executed: chmod +x it, and see that its file system allows programs"
        )),
        Some(Errno::NOEXEC) => Failure::permanent(format!(
            "{name} is not a program: a script begins with a line such as #!/bin/sh"
        )),
        Some(Errno::TOOBIG) => Failure::permanent(format!(
            "{name} was not started: its arguments and environment are larger than the system \
             allows; hand large data over by stdin"
        )),
        _ => Failure::retry(format!("{name} was not started: {error}")),
    }
}

/// A script is there, since its text is: what is missing is the program that its first line names.
fn not_found(name: &str, script: Option<&str>) -> String {
    let first = script.and_then(|text| text.split('\n').next());
    let Some(line) = first.and_then(|line| line.strip_prefix("#!")) else {
        return format!(
            "{name} was not found, or the interpreter that its first line names was not: give a \
             path from the project's root, or a program on the PATH"
        );
    };
    let program = line.split_whitespace().next().unwrap_or_default();
    let program = crate::options::cut(program, LINE_CHARS);
    match line.ends_with('\r') {
        true => format!(
            "{name} was not started: its lines end as those of Windows do, so that its first line \
             names no program that there is: save it with plain line ends"
        ),
        false => format!(
            "{name} was not started: its first line names {program}, and there is no such program \
             on this machine: install it, or name another"
        ),
    }
}

fn said(stderr: &Excerpt) -> String {
    stderr.last_line().map_or_else(String::new, |line| {
        format!(": {}", crate::options::cut(line, LINE_CHARS))
    })
}

fn output(ended: &Ended, code: i32, stderr: &Excerpt, json: Option<Value>, veil: &Veil) -> Value {
    let mut output = json!({ "code": code });
    let mut room = TEXT_BYTES;
    let json = json.filter(|json| json.to_string().len() + BESIDE_BYTES <= TEXT_BYTES);
    room -= json.as_ref().map_or(0, |json| json.to_string().len());
    let stderr = stderr.fit(STDERR_BYTES.min(room / 2));
    room -= crate::excerpt::json_bytes(&stderr);
    output["stdout"] = ended.stdout.excerpt(veil).fit(room).into();
    output["stderr"] = stderr.into();
    if let Some(json) = json {
        output["json"] = json;
    }
    output["millis"] = u64::try_from(ended.took.as_millis())
        .unwrap_or(u64::MAX)
        .into();
    output
}
