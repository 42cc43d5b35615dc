//! A project in a temporary folder, and the program run in it.

use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest wait for anything in a test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program.
pub(crate) const ONCELY: &str = env!("CARGO_BIN_EXE_oncely");

/// A project that goes away with the test.
pub(crate) struct Project {
    _dir: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
    pub(crate) root: PathBuf,
}

/// How a command ended.
pub(crate) struct Ended {
    /// The exit code; a signal as 128 and its number.
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    root: PathBuf,
}

impl Project {
    /// What `oncely init` makes.
    pub(crate) fn new() -> Self {
        let project = Self::empty();
        let made = project.run(&["init"]);
        assert_eq!(made.code, 0, "{}", made.all());
        project
    }

    /// A folder with nothing in it.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        Self {
            root,
            _dir: dir,
            variables: Vec::new(),
        }
    }

    /// Sets an environment variable for every command.
    pub(crate) fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Writes a file, whole or not at all.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let temporary = self.root.join(".writing");
        fs::write(&temporary, content).unwrap();
        fs::rename(&temporary, &path).unwrap();
        path
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A release task of one step, a shell text.
    pub(crate) fn release_task(&self, version: u64, name: &str, shell: &str) {
        let text = format!(
            "[on.release]\n\n[[step]]\nid = \"act\"\ncommand = {}\n",
            Value::from(shell)
        );
        self.write(&format!("tasks/{version}_{name}.toml"), text);
    }

    /// A task that is called, of one step, a shell text.
    pub(crate) fn call_task(&self, name: &str, shell: &str) {
        let text = format!(
            "[on.call]\n\n[[step]]\nid = \"act\"\ncommand = {}\n",
            Value::from(shell)
        );
        self.write(&format!("tasks/{name}.toml"), text);
    }

    /// The program in this project, with nothing of the test's own surroundings.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program(ONCELY);
        command.args(args);
        command
    }

    /// Another program, with the same surroundings.
    pub(crate) fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &self.root)
            .env("USER", "ann")
            // Tests run in containers too.
            .env("ONCELY_EPHEMERAL", "allow")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.ended(self.command(args))
    }

    pub(crate) fn ended(&self, mut command: Command) -> Ended {
        let output = command.output().unwrap();
        let status = output.status;
        let ended = Ended {
            code: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            root: self.root.clone(),
        };
        ended.sane();
        ended
    }

    /// A command with something on its standard input.
    pub(crate) fn fed(&self, args: &[&str], input: &[u8]) -> Ended {
        let mut command = self.command(args);
        command.stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin: ChildStdin = child.stdin.take().unwrap();
        // One that does not read everything may close early.
        let _ = stdin.write_all(input);
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        Ended {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            root: self.root.clone(),
        }
    }

    /// The lines of a command that speaks JSON; all of them must be JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Vec<Value> {
        let mut all = vec!["--json"];
        all.extend(args);
        self.run(&all).json()
    }

    /// `$ oncely …`, what it said, and its exit code when it is not 0.
    pub(crate) fn session(&self, commands: &[&[&str]]) -> String {
        let mut text = String::new();
        for args in commands {
            let ended = self.run(args);
            let _ = write!(text, "$ oncely {}\n{}", shown(args), ended.all());
        }
        text
    }

    /// Starts a server and waits until it serves.
    pub(crate) fn serve(&self, args: &[&str]) -> Running {
        let mut all = vec!["--json", "serve"];
        all.extend(args);
        let mut running = self.start(&all);
        running.hear("serving");
        running
    }

    /// Starts a command and listens to what it says.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::new(self.command(args))
    }

    /// Waits until a file has this many lines.
    pub(crate) fn wait_lines(&self, name: &str, lines: usize) -> String {
        self.wait_text(name, |text| text.lines().count() >= lines)
    }

    /// Waits until a file's text is as it should be.
    pub(crate) fn wait_text(&self, name: &str, good: impl Fn(&str) -> bool) -> String {
        let mut text = String::new();
        wait(&format!("{name} to be written"), || {
            text = self.text(name);
            good(&text)
        });
        text
    }

    /// The newest run of a state, by asking until there is one.
    pub(crate) fn wait_run(&self, state: &str) -> Value {
        let mut found = None;
        wait(&format!("a run that is {state}"), || {
            found = self.json(&["runs", "--state", state]).into_iter().next();
            found.is_some()
        });
        found.unwrap()
    }
}

/// Looks again until something holds.
pub(crate) fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a process has ended, of which its parent may not have heard yet.
pub(crate) fn wait_gone(pid: &str) {
    wait("a process to end", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_none_or(|(_, rest)| rest.starts_with('Z'))
    });
}

fn shown(args: &[&str]) -> String {
    let quoted = args.iter().map(|arg| {
        if arg.contains(' ') || arg.is_empty() {
            format!("\"{arg}\"")
        } else {
            (*arg).to_owned()
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

impl Ended {
    /// What no command may ever say.
    fn sane(&self) {
        for never in ["database is locked", "panicked at", "\u{1b}["] {
            let said = self.out.contains(never) || self.err.contains(never);
            assert!(!said, "said {never:?}:\n{}{}", self.out, self.err);
        }
    }

    /// Standard output, standard error, and the exit code when it is not 0, cleaned.
    pub(crate) fn all(&self) -> String {
        let code = match self.code {
            0 => String::new(),
            code => format!("[exit {code}]\n"),
        };
        let text = format!("{}{}{code}", self.out, self.err);
        clean(&text.replace(&self.root.display().to_string(), "[dir]"))
    }

    pub(crate) fn json(&self) -> Vec<Value> {
        let lines = self.out.lines();
        lines
            .map(|line| {
                serde_json::from_str(line)
                    .unwrap_or_else(|e| panic!("{e} in {line:?}: {}", self.err))
            })
            .collect()
    }

    /// It ended with this code and said each of these.
    pub(crate) fn says(&self, code: i32, words: &[&str]) {
        let all = format!("{}{}", self.out, self.err);
        assert_eq!(self.code, code, "{all}");
        for word in words {
            assert!(all.contains(word), "no {word:?} in:\n{all}");
        }
    }
}

/// Times, versions and durations as words.
pub(crate) fn clean(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        lines.push(clean_line(line));
    }
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

fn clean_line(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        if out.ends_with("\"millis\":") && first.is_ascii_digit() {
            out.push_str("[millis]");
            rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            continue;
        }
        let begins = first.is_ascii_digit() && !out.ends_with(|c: char| c.is_ascii_alphanumeric());
        if begins && let Some((word, long)) = known(rest) {
            out.push_str(word);
            rest = &rest[long..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// A moment, a version made by the clock, or a length of time at the beginning of a text.
fn known(text: &str) -> Option<(&'static str, usize)> {
    let shapes = [
        ("[time]", "dddd-dd-dd dd:dd:dd"),
        ("[version]", "2026dddddddddd"),
        ("[span]", "d ms"),
        ("[span]", "dd ms"),
        ("[span]", "ddd ms"),
        ("[span]", "d.d s"),
        ("[span]", "dd.d s"),
    ];
    let fits = |shape: &str| {
        let mut chars = text.chars();
        shape.chars().all(|wanted| match (wanted, chars.next()) {
            ('d', Some(c)) => c.is_ascii_digit(),
            (wanted, Some(c)) => wanted == c,
            (_, None) => false,
        })
    };
    let found = shapes.iter().find(|(_, shape)| fits(shape));
    found.map(|(word, shape)| (*word, shape.len()))
}

/// A command that goes on.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: Receiver<String>,
    errors: Receiver<String>,
}

impl Running {
    pub(crate) fn new(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = listen(child.stdout.take().unwrap());
        let errors = listen(child.stderr.take().unwrap());
        Self {
            child,
            lines,
            errors,
        }
    }

    /// Waits for a JSON line with this key.
    pub(crate) fn hear(&mut self, key: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                let errors: Vec<_> = self.errors.try_iter().collect();
                panic!("never said {key}: {}", errors.join("\n"));
            };
            if let Ok(value) = serde_json::from_str::<Value>(&line)
                && value.get(key).is_some()
            {
                return value;
            }
        }
    }

    /// Waits for a line with these words.
    pub(crate) fn hear_line(&mut self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(words) => return clean(&line),
                Ok(_) => {}
                Err(_) => panic!("never said {words}"),
            }
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and what it ends with.
    pub(crate) fn stop(mut self) -> Ended {
        self.terminate();
        self.end()
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// A signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) fn end(&mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it never ended");
            std::thread::sleep(Duration::from_millis(5));
        };
        let text = |lines: &Receiver<String>| {
            let lines = lines.iter().map(|line| format!("{line}\n"));
            lines.collect::<String>()
        };
        let ended = Ended {
            code: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            out: text(&self.lines),
            err: text(&self.errors),
            root: PathBuf::from("/nowhere"),
        };
        ended.sane();
        ended
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}
