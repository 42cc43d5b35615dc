//! A program for the tests: `supervise …` is a supervisor as oncely would start it; `work FOLDER`
//! is a worker that runs a program and that a test may kill; `get URL` is
//! a request from a process with an environment of its own.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use oncely_actions::{
    Allowed, Command, CommandConfig, Http, HttpConfig, NoSecrets, Supervisor, supervisor_main,
};
use oncely_core::action::{Action, Call, Site};
use oncely_core::effect::EffectKey;
use oncely_core::ids::{Fence, Generation, RunId};
use oncely_core::time::Timestamp;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args
        .next()
        .and_then(|word| word.into_string().ok())
        .as_deref()
    {
        Some("supervise") => supervisor_main(args),
        Some("work") => work(args.next().unwrap().into(), args.next().unwrap()),
        Some("get") => get(args.next().unwrap()),
        other => panic!("supervise, work or get, not {other:?}"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn work(root: PathBuf, shell: OsString) -> ExitCode {
    let command = Command::new(CommandConfig {
        scripts: root.join("scripts"),
        root,
        supervisor: Supervisor {
            program: std::env::current_exe().unwrap(),
            args: vec!["supervise".into()],
        },
        secrets: Arc::new(NoSecrets),
    });
    let options = serde_json::json!({ "shell": shell.to_str().unwrap(), "stdin": "" });
    let done = command.run(&call(options)).await;
    panic!("nothing was to end by itself: {done:?}");
}

#[tokio::main(flavor = "current_thread")]
async fn get(url: OsString) -> ExitCode {
    let http = Http::new(HttpConfig {
        allowed: vec![Allowed::parse("127.0.0.1").unwrap()],
        secrets: Arc::new(NoSecrets),
    });
    let options = serde_json::json!({ "url": url.to_str().unwrap() });
    match http.run(&call(options)).await {
        Ok(_) => ExitCode::SUCCESS,
        Err(failure) => panic!("{failure:?}"),
    }
}

fn call(options: serde_json::Value) -> Call {
    Call {
        options,
        key: EffectKey("0".repeat(32)),
        attempt: 1,
        timeout: Duration::from_secs(3600),
        first_intent: Timestamp(0),
        site: Arc::new(Site {
            environment: "test".into(),
            task: "task".into(),
            event: "event".into(),
            generation: Generation::FIRST,
            run: RunId(1),
            fence: Fence(1),
            step: "step".into(),
            ledger: "ledger".into(),
            depth: 0,
        }),
        input: Arc::default(),
    }
}
