//! Oncely's side of a program that runs: starts the supervisor, drains what the program says,
//! and lets go when its time is over.

use super::Supervisor;
use super::supervisor::{GRACE, Report};
use crate::excerpt::Kept;
use oncely_core::limits::OUTPUT_BYTES;
use oncely_core::points::{self, Point};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// Environment variables that begin so hold secrets for oncely and for nobody else.
const SECRET_PREFIX: &str = "ONCELY_SECRET_";
/// Bytes of standard error that are kept.
const STDERR_BYTES: usize = 8 * 1024;
/// How long the last words of a program that has ended may take to arrive. They are there already,
/// unless something that left its group holds the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long the supervisor may take beyond the grace that it gives the program.
const SLACK: Duration = Duration::from_secs(5);

/// A program that is ready to start.
pub(crate) struct Launch {
    /// The program and its arguments.
    pub(crate) words: Vec<OsString>,
    /// What is added to its environment.
    pub(crate) env: Vec<(String, String)>,
    /// Where it runs.
    pub(crate) cwd: PathBuf,
    /// What it reads.
    pub(crate) stdin: Vec<u8>,
}

/// How a program ended, and what it said.
pub(crate) struct Ended {
    pub(crate) how: How,
    pub(crate) stdout: Kept,
    pub(crate) stderr: Kept,
    pub(crate) took: Duration,
}

/// How a program ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// With this code.
    Exited(i32),
    /// By this signal, which was not ours.
    Signalled(i32),
    /// It was stopped because its time was over.
    TimedOut,
    /// It never started.
    NotStarted(Option<i32>, String),
    /// Its supervisor went away without a word.
    Lost,
}

pub(crate) async fn run(supervisor: &Supervisor, launch: Launch, timeout: Duration) -> Ended {
    let begun = Instant::now();
    match start(supervisor, &launch) {
        Ok(running) => {
            points::pass(Point::CommandStarted);
            let ended = running.finish(&launch.stdin, timeout, begun).await;
            points::pass(Point::CommandEnded);
            ended
        }
        Err(error) => Ended {
            how: How::NotStarted(error.raw_os_error(), error.to_string()),
            stdout: Kept::new(0),
            stderr: Kept::new(0),
            took: begun.elapsed(),
        },
    }
}

fn start(supervisor: &Supervisor, launch: &Launch) -> io::Result<Running> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut command = Command::new(&supervisor.program);
    command
        .args(&supervisor.args)
        .arg(launch.stdin.len().to_string())
        .args(&launch.words)
        .current_dir(&launch.cwd)
        .process_group(0)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let secret = |name: &OsString| name.to_string_lossy().starts_with(SECRET_PREFIX);
    for (name, _) in std::env::vars_os().filter(|(name, _)| secret(name)) {
        command.env_remove(name);
    }
    command.envs(launch.env.iter().map(|(name, value)| (name, value)));
    let mut child = command.spawn()?;
    Ok(Running {
        stdout: Drain::new(child.stdout.take(), OUTPUT_BYTES),
        stderr: Drain::new(child.stderr.take(), STDERR_BYTES),
        socket: UnixStream::from_std(ours)?,
        child,
    })
}

struct Running {
    /// While this is open, the program lives. Dropping it ends the program.
    socket: UnixStream,
    child: Child,
    stdout: Drain,
    stderr: Drain,
}

impl Running {
    async fn finish(mut self, stdin: &[u8], timeout: Duration, begun: Instant) -> Ended {
        let in_time = tokio::time::timeout(timeout, self.talk(stdin)).await;
        let took = begun.elapsed();
        let how = match in_time {
            Ok(report) => how(report),
            Err(_) => self.stop().await,
        };
        // The supervisor has nothing left to do; it is waited for so that it leaves no zombie.
        let _ = tokio::time::timeout(SLACK, self.child.wait()).await;
        Ended {
            how,
            stdout: self.stdout.end().await,
            stderr: self.stderr.end().await,
            took,
        }
    }

    async fn talk(&mut self, stdin: &[u8]) -> Option<Report> {
        // A supervisor that is gone cannot be written to; what it said last is read all the same.
        let _ = self.socket.write_all(stdin).await;
        self.report().await
    }

    async fn report(&mut self) -> Option<Report> {
        let mut report = Vec::new();
        self.socket.read_to_end(&mut report).await.ok()?;
        serde_json::from_slice(&report).ok()
    }

    /// The time is over: ends the program. What it reports now is how it died.
    async fn stop(&mut self) -> How {
        let _ = self.socket.shutdown().await;
        match tokio::time::timeout(GRACE + SLACK, self.report()).await {
            Ok(Some(Report::NotStarted { code, error })) => How::NotStarted(code, error),
            _ => How::TimedOut,
        }
    }
}

fn how(report: Option<Report>) -> How {
    match report {
        Some(Report::Exited(code)) => How::Exited(code),
        Some(Report::Signalled(signal)) => How::Signalled(signal),
        Some(Report::NotStarted { code, error }) => How::NotStarted(code, error),
        None => How::Lost,
    }
}

/// A pipe that is read to its end, whatever the program writes.
struct Drain {
    kept: Arc<Mutex<Kept>>,
    task: JoinHandle<()>,
}

impl Drain {
    fn new(pipe: Option<impl AsyncRead + Unpin + Send + 'static>, bytes: usize) -> Self {
        let kept = Arc::new(Mutex::new(Kept::new(bytes)));
        let into = Arc::clone(&kept);
        let task = tokio::spawn(async move {
            if let Some(pipe) = pipe {
                drain(pipe, &into).await;
            }
        });
        Self { kept, task }
    }

    /// Waits for the end of the pipe, though not for ever.
    async fn end(mut self) -> Kept {
        if tokio::time::timeout(LAST_WORDS, &mut self.task)
            .await
            .is_err()
        {
            self.task.abort();
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *kept, Kept::new(0))
    }
}

async fn drain(mut pipe: impl AsyncRead + Unpin, into: &Mutex<Kept>) {
    let mut chunk = vec![0; 32 * 1024];
    while let Ok(bytes @ 1..) = pipe.read(&mut chunk).await {
        let mut kept = into.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(chunk.get(..bytes).unwrap_or_default());
    }
}
