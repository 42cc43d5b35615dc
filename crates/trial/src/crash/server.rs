//! `oncely serve` as a process of its own: started, stopped, gone on with, killed. By its id only.

use super::trouble::Trouble;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Longest wait for a server to serve, or to end when it was asked to.
const PATIENCE: Duration = Duration::from_secs(60);

/// The real binary, a project, and what it is sabotaged with.
#[derive(Debug, Clone)]
pub(crate) struct Oncely {
    pub(crate) binary: PathBuf,
    pub(crate) root: PathBuf,
    pub(crate) sabotage: Option<String>,
    /// Environment variables.
    pub(crate) variables: Vec<(String, String)>,
}

impl Oncely {
    /// A command of the binary on the project; what it complains of goes to a file.
    pub(crate) fn command(&self) -> Result<Command, Trouble> {
        let path = self.root.join("stderr.log");
        let complaints = OpenOptions::new().create(true).append(true).open(path)?;
        let mut command = Command::new(&self.binary);
        command
            .arg("--json")
            .arg("--project")
            .arg(&self.root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(complaints)
            // What the trial's own Slack would know it by.
            .env("ONCELY_SECRET_SLACK_TOKEN", "trial");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(what) = &self.sabotage {
            command.env("ONCELY_SABOTAGE", what);
        }
        Ok(command)
    }

    /// Runs a command to its end; an error when it did not end well.
    pub(crate) fn must(&self, args: &[&str]) -> Result<(), Trouble> {
        let status = self.command()?.args(args).status()?;
        if status.success() {
            return Ok(());
        }
        let log = self.root.join("stderr.log");
        let said = std::fs::read_to_string(log).unwrap_or_default();
        Err(Trouble(format!(
            "`oncely {}` ended with {status}: {said}",
            args.join(" ")
        )))
    }

    /// Writes the ledger out.
    pub(crate) fn export(&self, to: &Path) -> Result<(), Trouble> {
        let file = std::fs::File::create(to)?;
        let mut command = self.command()?;
        let status = command.stdout(file).args(["ledger", "export"]).status()?;
        match status.success() {
            true => Ok(()),
            false => Err(Trouble(format!(
                "`oncely ledger export` ended with {status}"
            ))),
        }
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    lines: Receiver<Value>,
}

impl Server {
    /// Starts one.
    pub(crate) fn start(oncely: &Oncely) -> Result<Self, Trouble> {
        Self::start_aimed(oncely, &[])
    }

    /// Starts one that is to be ended or stopped at a point.
    pub(crate) fn start_aimed(oncely: &Oncely, aim: &[(&str, String)]) -> Result<Self, Trouble> {
        let mut command = oncely.command()?;
        command.envs(aim.iter().map(|(name, value)| (name, value)));
        let mut child = command.arg("serve").stdout(Stdio::piped()).spawn()?;
        let (sender, lines) = channel();
        if let Some(out) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    let value = serde_json::from_str(&line).unwrap_or_default();
                    if sender.send(value).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self { child, lines })
    }

    /// Waits until it serves.
    pub(crate) fn serving(&mut self) -> Result<(), Trouble> {
        self.heard_serving().map(drop)
    }

    /// The same; gives what it said of itself.
    pub(crate) fn heard_serving(&mut self) -> Result<Value, Trouble> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(value) if value.get("serving").is_some() => return Ok(value),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Trouble("the server does not serve".into()));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Trouble("the server ended by itself; see stderr.log".into()));
                }
            }
        }
    }

    /// SIGKILL: it gets no chance to write anything down.
    pub(crate) fn kill(mut self) -> Result<(), Trouble> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Whether a signal that nobody here sent has ended it.
    pub(crate) fn was_killed(&mut self) -> Result<bool, Trouble> {
        Ok(self
            .child
            .try_wait()?
            .is_some_and(|status| status.signal() == Some(9)))
    }

    /// Whether it has stopped itself.
    pub(crate) fn is_stopped(&self) -> bool {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = std::fs::read_to_string(path).unwrap_or_default();
        // The state follows on the name, which is in parentheses.
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('T'))
    }

    /// SIGSTOP: it holds what it holds and does nothing.
    pub(crate) fn halt(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT: it goes on as if no time had passed.
    pub(crate) fn wake(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether it has not ended.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself, which is noticed elsewhere.
            let _ = kill_process(pid, signal);
        }
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn end(self) -> Result<(), Trouble> {
        self.ended().map(drop)
    }

    /// The same; whether it was killed on the way, by nobody here.
    pub(crate) fn ended(mut self) -> Result<bool, Trouble> {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        // Its standard output ends when it does.
        while self.child.try_wait()?.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Trouble("the server does not end when asked to".into()));
            }
            if let Err(RecvTimeoutError::Disconnected) = self.lines.recv_timeout(left) {
                self.child.wait()?;
                break;
            }
        }
        self.was_killed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A test that ends early leaves no process behind. A stopped one can be killed too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
