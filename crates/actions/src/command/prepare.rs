//! From options to a program that is ready to start: arguments, environment, folder, input.

use super::options::{Options, Word};
use super::spawn::Launch;
use super::{Command, script};
use crate::secret::Veil;
use oncely_core::Value;
use oncely_core::action::{Call, Failure};
use serde_json::json;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The version of what programs read and answer.
const PROTOCOL: u32 = 1;

pub(crate) fn launch(
    command: &Command,
    options: &Options,
    call: &Call,
    veil: &mut Veil,
) -> Result<Launch, Failure> {
    Ok(Launch {
        words: words(command, options)?,
        env: env(command, options, call, veil)?,
        cwd: cwd(command, options)?,
        stdin: stdin(options, call),
    })
}

fn words(command: &Command, options: &Options) -> Result<Vec<OsString>, Failure> {
    let words: Vec<OsString> = match options {
        Options {
            args: Some(args), ..
        } => program(&command.config.root, args),
        Options {
            shell: Some(text), ..
        } => ["/bin/sh", "-e", "-c", text].map(OsString::from).to_vec(),
        Options {
            script: Some(path),
            script_text: Some(text),
            ..
        } => vec![script::keep(&command.config.scripts, path, text)?.into()],
        _ => Vec::new(),
    };
    let null = |word: &OsString| word.as_encoded_bytes().contains(&0);
    match words.first() {
        Some(name) if !name.is_empty() && !words.iter().any(null) => Ok(words),
        _ => Err(Failure::permanent(
            "the command names no program, or has a null character in it",
        )),
    }
}

/// A program that is a path starts at the project's root, wherever the step runs.
fn program(root: &Path, args: &[Word]) -> Vec<OsString> {
    let mut words: Vec<OsString> = args.iter().map(|word| word.0.clone().into()).collect();
    if let (Some(first), Some(word)) = (words.first_mut(), args.first())
        && word.0.contains('/')
    {
        *first = root.join(&word.0).into();
    }
    words
}

fn env(
    command: &Command,
    options: &Options,
    call: &Call,
    veil: &mut Veil,
) -> Result<Vec<(String, String)>, Failure> {
    let secrets = command.config.secrets.as_ref();
    let mut env = Vec::new();
    for (name, text) in &options.env {
        env.push((name.clone(), text.reveal(secrets, veil)?));
    }
    env.extend(own_env(options, call));
    match env.iter().find(|(name, value)| !fits_env(name, value)) {
        Some((name, _)) => Err(Failure::permanent(format!(
            "the environment variable {name:?} cannot be given to a program: \
             its name is empty or has `=` in it, or it has a null character"
        ))),
        None => Ok(env),
    }
}

fn fits_env(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
}

/// What every program is told.
fn own_env(options: &Options, call: &Call) -> Vec<(String, String)> {
    let site = &call.site;
    let mut env = vec![
        ("KEY", call.key.to_string()),
        ("RUN", site.run.to_string()),
        ("TASK", site.task.to_string()),
        ("STEP", site.step.to_string()),
        ("ATTEMPT", call.attempt.to_string()),
        ("ENVIRONMENT", site.environment.to_string()),
        ("EVENT_KEY", site.event.to_string()),
        ("PROTOCOL", PROTOCOL.to_string()),
    ];
    env.extend(options.script.clone().map(|path| ("TASK_FILE", path)));
    env.into_iter()
        .map(|(name, value)| (format!("ONCELY_{name}"), value))
        .collect()
}

fn cwd(command: &Command, options: &Options) -> Result<PathBuf, Failure> {
    let place = command
        .ground
        .place(options.cwd.as_deref().unwrap_or("."))?;
    place.open_folder()?;
    Ok(place.path())
}

fn stdin(options: &Options, call: &Call) -> Vec<u8> {
    match &options.stdin {
        Some(Value::String(text)) => text.clone().into_bytes(),
        Some(value) => value.to_string().into_bytes(),
        None => document(call).to_string().into_bytes(),
    }
}

/// What a program reads unless the task says otherwise.
fn document(call: &Call) -> Value {
    let mut document = json!({
        "oncely": PROTOCOL,
        "key": call.key,
        "attempt": call.attempt,
    });
    if let (Some(table), Some(input)) = (document.as_object_mut(), call.input.as_object()) {
        table.extend(
            input
                .iter()
                .map(|(key, value)| (key.clone(), value.clone())),
        );
    }
    document
}
