//! The demo's worker: `oncely serve` as a process of its own, which can be killed.

use crate::failure::{Failure, io};
use oncely_core::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A running server and what it says.
pub(super) struct Worker {
    child: Child,
    lines: Receiver<Value>,
}

/// Longest wait for anything in the demo.
const PATIENCE: Duration = Duration::from_secs(120);

impl Worker {
    /// Starts a server on the project and waits until it serves.
    pub(super) fn start(root: &Path) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(io(root))?;
        let mut child = Command::new(program)
            .args(["--json", "--project"])
            .arg(root)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| Failure::failed(format!("the worker cannot start: {e}")))?;
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
        let mut worker = Self { child, lines };
        worker.hear("serving")?;
        Ok(worker)
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it says something with this key.
    pub(super) fn hear(&mut self, key: &str) -> Result<Value, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(value) if value.get(key).is_some() => return Ok(value),
                Ok(_) => {}
                Err(_) => {
                    return Err(Failure::failed(format!("the worker never said `{key}`")));
                }
            }
        }
    }

    /// Ends it with SIGKILL: it gets no chance to write anything down.
    pub(super) fn kill(mut self) -> Result<(), Failure> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed
            .map(|_| ())
            .map_err(|e| Failure::failed(format!("the worker cannot be killed: {e}")))
    }

    /// Asks it to end and waits until it has.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        if let Some(pid) = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap_or(0)) {
            // It may have ended by itself, which is as good.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let ended = self.child.wait();
        ended
            .map(|_| ())
            .map_err(|e| Failure::failed(format!("the worker did not end: {e}")))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A demo that ends early leaves no process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
