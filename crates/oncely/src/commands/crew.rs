//! `oncely serve --workers N`: so many processes, each a worker like any other, and a new one in the
//! place of one that is gone. They end when this process ends, whatever ended it.

use crate::cli::Serve;
use crate::config::{Config, Flags};
use crate::failure::{Exit, Failure};
use crate::output::{Voice, count};
use crate::project;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

/// What the option of this command is called on the command line.
const OPTION: &str = "--workers";
/// How a worker is told to end when nobody listens to it any more.
const UNTIL_EOF: &str = "--until-eof";
/// How long a place stays empty after its worker went, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A worker that lived so long was in order.
const SOUND: Duration = Duration::from_secs(60);

/// Starts the workers and looks after them until it is told to stop.
pub(super) fn run(
    voice: Voice,
    flags: &Flags,
    args: &Serve,
    workers: u16,
) -> Result<Exit, Failure> {
    // What is wrong with the project is said once, and not by each worker.
    let config = Config::load(flags)?;
    project::load(&config)?;
    let program = std::env::current_exe()
        .map_err(|e| Failure::failed(format!("oncely does not find its own program: {e}")))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(format!("no workers can be started: {e}")))?;
    let crew = Crew {
        voice,
        program,
        arguments: arguments(std::env::args_os().skip(1)),
        ends_by_itself: args.until_idle,
    };
    runtime.block_on(crew.work(workers))
}

/// The command line of a worker: this one's without the number of workers.
fn arguments(mut given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut kept = Vec::new();
    while let Some(argument) = given.next() {
        if argument == OPTION {
            given.next();
        } else if !argument.to_string_lossy().starts_with("--workers=") {
            kept.push(argument);
        }
    }
    kept.push(UNTIL_EOF.into());
    kept
}

struct Crew {
    voice: Voice,
    program: std::path::PathBuf,
    arguments: Vec<OsString>,
    /// A worker that is done is not replaced.
    ends_by_itself: bool,
}

/// What became of the worker in a place.
enum Left {
    /// It ended as it was told to, or was done.
    Done(Exit),
    /// It is gone, and another is to come.
    Gone,
}

impl Crew {
    async fn work(&self, workers: u16) -> Result<Exit, Failure> {
        let (tell, told) = watch::channel(0_u32);
        let listening = listen(tell.clone())?;
        self.voice.say(format!(
            "Starting {}. Stop with Ctrl-C.",
            count(usize::from(workers), "worker")
        ));
        let places = (1..=workers).map(|place| self.keep(place, told.clone(), &tell));
        let exits = futures_util::future::join_all(places).await;
        listening.abort();
        let mut worst = Exit::Done;
        for exit in exits {
            worst = worst.worse(exit?);
        }
        Ok(worst)
    }

    /// Keeps a place filled until the crew stops.
    async fn keep(
        &self,
        place: u16,
        mut told: watch::Receiver<u32>,
        tell: &watch::Sender<u32>,
    ) -> Result<Exit, Failure> {
        let mut pause = PAUSES.0;
        let mut first = true;
        loop {
            let began = Instant::now();
            let mut child = self.start()?;
            let pid = child.id();
            self.voice
                .record(&serde_json::json!({ "worker": place, "pid": pid }));
            match self.attend(&mut child, &mut told, first).await {
                Left::Done(exit) => {
                    // What cannot be served is so for all of them.
                    if exit == Exit::Usage {
                        tell.send_modify(|times| *times += 1);
                    }
                    return Ok(exit);
                }
                Left::Gone if *told.borrow() > 0 => return Ok(Exit::Done),
                Left::Gone => self.say_gone(place, pid, pause),
            }
            first = false;
            if began.elapsed() > SOUND {
                pause = PAUSES.0;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSES.1),
                _ = told.changed() => return Ok(Exit::Done),
            }
        }
    }

    /// A process group of its own: Ctrl-C reaches the worker through this process, once.
    fn start(&self) -> Result<Child, Failure> {
        Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|e| {
                Failure::failed(format!("{} cannot be started: {e}", self.program.display()))
            })
    }

    /// Waits for the end of a worker, and passes on what this process is told.
    async fn attend(
        &self,
        child: &mut Child,
        told: &mut watch::Receiver<u32>,
        first: bool,
    ) -> Left {
        // It ends when this goes, with the process at the latest.
        let _heard = child.stdin.take();
        loop {
            let before = *told.borrow();
            tokio::select! {
                status = child.wait() => {
                    let status = status.ok().and_then(|status| status.code());
                    return self.left(status, before > 0, first);
                }
                _ = told.changed() => pass_on(child),
            }
        }
    }

    /// A database that is away later is no reason to give up: only what the first worker of a place
    /// cannot serve is wrong from the start.
    fn left(&self, status: Option<i32>, stopping: bool, first: bool) -> Left {
        match status.map(Exit::of) {
            Some(exit) if stopping || self.ends_by_itself => Left::Done(exit),
            Some(Exit::Usage) if first => Left::Done(Exit::Usage),
            _ => Left::Gone,
        }
    }

    fn say_gone(&self, place: u16, pid: Option<u32>, pause: Duration) {
        let pid = pid.unwrap_or_default();
        let seconds = pause.as_secs();
        self.voice
            .record(&serde_json::json!({ "worker": place, "gone": pid }));
        self.voice.say(format!(
            "Worker {place} (process {pid}) is gone. Another takes its place in {seconds} s; what it \
             held goes on."
        ));
    }
}

/// Counts the signals that tell this process to stop.
fn listen(tell: watch::Sender<u32>) -> Result<tokio::task::JoinHandle<()>, Failure> {
    let signals = |kind| signal(kind).map_err(|e| Failure::failed(format!("no signals: {e}")));
    let mut terminate = signals(SignalKind::terminate())?;
    let mut interrupt = signals(SignalKind::interrupt())?;
    Ok(tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tell.send_modify(|times| *times += 1);
        }
    }))
}

fn pass_on(child: &Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid.and_then(Pid::from_raw)
        && let Err(error) = kill_process(pid, Signal::TERM)
    {
        tracing::warn!("a worker was not told to stop: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_has_the_command_line_without_the_number_of_workers() {
        for given in [
            "--env staging serve --workers 4 --until-idle",
            "--env staging serve --workers=4 --until-idle",
        ] {
            let kept = arguments(given.split(' ').map(OsString::from));
            let kept: Vec<_> = kept.iter().map(|a| a.to_string_lossy()).collect();
            assert_eq!(
                kept.join(" "),
                "--env staging serve --until-idle --until-eof"
            );
        }
    }
}
