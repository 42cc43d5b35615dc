//! The supervisor: the process between oncely and a program.
//!
//! Its standard input is a socket to oncely. Over it come the bytes that the program is to read;
//! over it goes back one [`Report`]. When the socket ends on oncely's side, because the time is
//! over or because oncely was killed, the program's whole process group ends too, and with it what
//! left the group. Standard output
//! and standard error are the program's own, by inheritance.

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// How long a program may take to end once it is asked to, before it is killed.
pub(crate) const GRACE: Duration = Duration::from_secs(2);
/// How often and how soon a start is tried again while the program's file is still being written.
const BUSY_TRIES: u32 = 100;
const BUSY_WAIT: Duration = Duration::from_millis(10);

/// Most generations of processes that lose their parent while they are ended.
const STRAY_ROUNDS: u32 = 1000;

/// What the supervisor says at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// The program ended with this code.
    Exited(i32),
    /// This signal ended it.
    Signalled(i32),
    /// It could not be started.
    NotStarted {
        /// The system's number for why.
        code: Option<i32>,
        /// The system's words.
        error: String,
    },
}

/// The body of the hidden command that makes oncely a supervisor.
///
/// `args`: how many bytes the program is to read, the program, its arguments.
pub fn supervisor_main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let args = args.into_iter().collect();
    match runtime.and_then(|runtime| runtime.block_on(supervise(args))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

async fn supervise(args: Vec<OsString>) -> io::Result<()> {
    let own = StdStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    own.set_nonblocking(true)?;
    let mut oncely = UnixStream::from_std(own)?;
    let mut stops = Stops::listen()?;
    // Where the system can: what loses its parent becomes ours, so that none is out of reach.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let (input, words) = order(args, &mut oncely).await?;
    let report = match start(&words) {
        Ok(child) => watch(child, input, &mut oncely, &mut stops).await?,
        Err(error) => Report::NotStarted {
            code: error.raw_os_error(),
            error: error.to_string(),
        },
    };
    let report = serde_json::to_vec(&report).map_err(io::Error::other)?;
    // Nobody may be there to read it any more.
    let _ = oncely.write_all(&report).await;
    Ok(())
}

/// Reads what the program is to read, whole, so that from then on an end of the socket means the
/// end of oncely's interest.
async fn order(
    mut args: Vec<OsString>,
    oncely: &mut UnixStream,
) -> io::Result<(Vec<u8>, Vec<OsString>)> {
    if args.len() < 2 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let words = args.split_off(1);
    let bytes = args.first().and_then(|word| word.to_str()?.parse().ok());
    let mut input = vec![0; bytes.ok_or(io::ErrorKind::InvalidInput)?];
    oncely.read_exact(&mut input).await?;
    Ok((input, words))
}

fn start(words: &[OsString]) -> io::Result<Child> {
    let (program, args) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).process_group(0);
    for _ in 0..BUSY_TRIES {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(BUSY_WAIT);
            }
            other => return other,
        }
    }
    command.spawn()
}

/// Until the program ends, oncely does, or somebody ends the supervisor.
async fn watch(
    mut child: Child,
    input: Vec<u8>,
    oncely: &mut UnixStream,
    stops: &mut Stops,
) -> io::Result<Report> {
    let group = Pid::from_child(&child);
    feed(&mut child, input);
    let mut ended = ended(group);
    tokio::select! {
        _ = &mut ended => {}
        () = silence(oncely) => stop(group, &mut ended).await,
        () = stops.any() => stop(group, &mut ended).await,
    }
    // What the program left behind goes with it: nothing may write on under its name.
    let _ = rustix::process::kill_process_group(group, Signal::KILL);
    Ok(report(child.wait()?))
}

/// Gives the program its input on a thread, since it may never read it.
fn feed(child: &mut Child, input: Vec<u8>) {
    if let Some(mut stdin) = child.stdin.take() {
        std::thread::spawn(move || {
            // A program need not read what it is given.
            let _ = stdin.write_all(&input);
        });
    }
}

/// Waits for the program without burying it: its number stays its own until the group is dealt with.
fn ended(program: Pid) -> JoinHandle<()> {
    tokio::task::spawn_blocking(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) =
            rustix::process::waitid(WaitId::Pid(program), options)
        {}
    })
}

/// Returns when oncely's side of the socket has ended.
async fn silence(oncely: &mut UnixStream) {
    let mut byte = [0];
    while matches!(oncely.read(&mut byte).await, Ok(1..)) {}
}

async fn stop(group: Pid, ended: &mut JoinHandle<()>) {
    let _ = rustix::process::kill_process_group(group, Signal::TERM);
    if tokio::time::timeout(GRACE, &mut *ended).await.is_err() {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
        let _ = ended.await;
    }
    let _ = rustix::process::kill_process_group(group, Signal::KILL);
    end_strays(group);
}

/// Ends what left the group. Only where the program is stopped: one that ends by itself may have
/// started a service on purpose.
fn end_strays(program: Pid) {
    for _ in 0..STRAY_ROUNDS {
        let strays: Vec<Pid> = children()
            .into_iter()
            .filter(|pid| *pid != program)
            .collect();
        if strays.is_empty() {
            return;
        }
        for stray in strays {
            let _ = rustix::process::kill_process(stray, Signal::KILL);
            let _ = rustix::process::waitpid(Some(stray), WaitOptions::empty());
        }
    }
}

/// The processes that are children of this one, also those that only became so.
fn children() -> Vec<Pid> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let lists = tasks.flatten().map(|task| task.path().join("children"));
    let texts = lists.filter_map(|list| std::fs::read_to_string(list).ok());
    let text: String = texts.collect();
    text.split_whitespace()
        .filter_map(|number| Pid::from_raw(number.parse().ok()?))
        .collect()
}

fn report(status: ExitStatus) -> Report {
    match (status.code(), status.signal()) {
        (Some(code), _) => Report::Exited(code),
        (None, signal) => Report::Signalled(signal.unwrap_or_default()),
    }
}

/// The signals by which somebody ends the supervisor, as a service manager does to a whole service.
struct Stops {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
    hup: tokio::signal::unix::Signal,
}

impl Stops {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
            _ = self.hup.recv() => {}
        }
    }
}
