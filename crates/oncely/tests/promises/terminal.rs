//! Questions that are answered at the terminal, on a terminal of the test's own.

use crate::project::{PATIENCE, Project, wait};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// A command with somebody in front of it.
pub(crate) struct Terminal {
    child: Child,
    keys: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    pub(crate) fn new(project: &Project, args: &[&str]) -> Self {
        let mut command = project.command(args);
        command.env("NO_COLOR", "1");
        Self::of(command)
    }

    /// One that shows colours and bars.
    pub(crate) fn capable(project: &Project, args: &[&str]) -> Self {
        let mut command = project.command(args);
        command.env("TERM", "xterm");
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap();
        let path = std::path::Path::new(name.to_str().unwrap());
        let open = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).open(path).unwrap()
        };
        command.stdin(Stdio::from(open()));
        command.stdout(Stdio::from(open()));
        command.stderr(Stdio::from(open()));
        let child = command.spawn().unwrap();
        drop(command);
        let keys = File::from(keys);
        let screen = watch(keys.try_clone().unwrap());
        let seen = String::new();
        Self {
            child,
            keys,
            screen,
            seen,
        }
    }

    /// Waits until this is on the screen, and forgets what was before it.
    pub(crate) fn shows(&mut self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(words) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(bytes) = self.screen.recv_timeout(left) else {
                panic!("never showed {words:?} after:\n{}", self.seen);
            };
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        let place = self.seen.find(words).unwrap() + words.len();
        self.seen.drain(..place);
    }

    pub(crate) fn types(&mut self, line: &str) {
        self.keys.write_all(line.as_bytes()).unwrap();
        self.keys.write_all(b"\n").unwrap();
    }

    /// Ctrl-C. The terminal of a test controls no process, so the signal is sent by hand.
    pub(crate) fn interrupts(&self) {
        let pid = i32::try_from(self.child.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }

    pub(crate) fn ends(&mut self) -> i32 {
        let mut status = None;
        wait("the command to end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What comes onto the screen. A terminal that nobody has open any more ends with an error.
fn watch(mut screen: File) -> Receiver<Vec<u8>> {
    let (give, take) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(bytes @ 1..) = screen.read(&mut buffer) {
            if give.send(buffer[..bytes].to_vec()).is_err() {
                return;
            }
        }
    });
    take
}

/// A task that asks with these words of the task file, and then acts.
fn asking(approve: &str) -> Project {
    let project = Project::new();
    project.write(
        "tasks/send.toml",
        format!("[on.call]\n\n[[step]]\nid = \"ok\"\napprove = {approve}\n\n[[step]]\nid = \"act\"\ncommand = \"echo sent >> out\"\n"),
    );
    project
}

const CALL: &[&str] = &["call", "send", "--key", "k"];

#[test]
fn a_question_is_answered_at_the_terminal_and_the_run_goes_on() {
    let project = asking("{ text = \"Send?\", tick = [\"Backups are fresh\"] }");
    let mut terminal = Terminal::new(&project, CALL);
    terminal.shows("send asks: Send?");
    terminal.shows("[1] Backups are fresh");
    terminal.shows("Answer as ann: yes, no, or Enter for later: ");
    terminal.types("yes");
    terminal.shows("Is this done: Backups are fresh? yes or no: ");
    terminal.types("yes");
    terminal.shows("Note, or Enter for none: ");
    terminal.types("looked at them");
    terminal.shows("done send");
    assert_eq!(terminal.ends(), 0);
    project
        .run(&["logs", "1"])
        .says(0, &["approved by ann (looked at them)"]);
    assert_eq!(project.text("out"), "sent\n");
}

#[test]
fn enter_leaves_it_for_later_and_no_ends_the_run() {
    let project = Project::new();
    project.write(
        "tasks/20260101000000_send.toml",
        "[[step]]\nid = \"ok\"\napprove = \"Send?\"\n\n[[step]]\nid = \"act\"\ncommand = \"echo sent >> out\"\n",
    );
    let mut terminal = Terminal::new(&project, &["run"]);
    terminal.shows("Enter for later: ");
    terminal.types("");
    terminal.shows("waiting 20260101000000_send: Send?");
    terminal.shows("Answer: oncely approve 1");
    assert_eq!(terminal.ends(), 0);

    let mut terminal = Terminal::new(&project, &["run"]);
    terminal.shows("Enter for later: ");
    terminal.types("no");
    terminal.shows("Note, or Enter for none: ");
    terminal.types("not today");
    terminal.shows("failed 20260101000000_send: step `ok`: rejected by ann: not today");
    assert_eq!(terminal.ends(), 1);
    assert_eq!(project.text("out"), "");
}

#[test]
fn what_others_answer_meanwhile_is_asked_no_more() {
    let project = asking("\"Send?\"");
    let mut terminal = Terminal::new(&project, CALL);
    terminal.shows("Enter for later: ");
    project
        .run(&["approve", "1", "--by", "bob", "--detach"])
        .says(0, &["Approved run 1."]);
    terminal.shows("This is asked no more.");
    terminal.shows("done send");
    assert_eq!(terminal.ends(), 0);
    project.run(&["logs", "1"]).says(0, &["approved by bob"]);
    assert_eq!(project.text("out"), "sent\n");
}

#[test]
fn who_may_not_answer_is_not_asked_and_programs_never_are() {
    let project = asking("{ text = \"Send?\", not_by = \"starter\" }");
    let mut terminal = Terminal::new(&project, CALL);
    terminal.shows("Not for who started it");
    assert_eq!(terminal.ends(), 0);
    assert!(!terminal.seen.contains("asks:"), "{}", terminal.seen);

    let project = asking("\"Send?\"");
    let mut terminal = Terminal::new(&project, &["--json", "call", "send", "--key", "k"]);
    terminal.shows("\"waiting\"");
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn a_question_shows_what_it_holds_and_moves_nothing_on_the_terminal() {
    let project = asking("\"Send {{ event.n }}?\"");
    project.write("event.json", r#"{"n": "3\u001b[8m hidden"}"#);
    let with_event = [CALL, &["--event", "event.json"]].concat();
    let mut terminal = Terminal::new(&project, &with_event);
    terminal.shows("send asks: Send 3\u{fffd}[8m hidden?");
    terminal.shows("Enter for later: ");
    terminal.types("");
    terminal.shows("waiting send: Send 3\u{fffd}[8m hidden?");
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn a_command_that_is_told_to_stop_does_not_wait_for_an_answer() {
    let project = asking("\"Send?\"");
    let mut terminal = Terminal::new(&project, CALL);
    terminal.shows("Enter for later: ");
    let pid = i32::try_from(terminal.child.id()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    terminal.shows("waiting send: Send?");
    assert_eq!(terminal.ends(), 0);
}
