//! Turn after turn: effects are in flight, the disk is filled, nothing new is begun, what has happened is
//! recorded all the same, there is room again, and work goes on by itself. Then all is compared.

use super::ballast::Ballast;
use super::gate::Gate;
use super::load::{DOOR, Load};
use super::report::Report;
use super::told::{self, Told};
use super::web;
use crate::check::{Export, check};
use crate::crash::{Oncely, Server, Stage, Trouble, collect, now_ms, summed};
use oncely_core::ids::RunId;
use oncely_core::ledger::Filter;
use oncely_core::run::RunStatus;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How the disk is played with.
#[derive(Debug, Clone)]
pub struct Disk {
    /// The binary.
    pub binary: PathBuf,
    /// A folder that a small disk is mounted on.
    pub folder: PathBuf,
    /// How often it is filled.
    pub fills: u32,
    /// What chance begins with.
    pub seed: u64,
    /// How soon after there is room an event must have its effect.
    pub within: Duration,
    /// Say how far it is.
    pub talk: bool,
}

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often others are looked at.
const LOOK: Duration = Duration::from_millis(10);
/// Requests that are in flight when the disk is filled.
const IN_FLIGHT: usize = 4;
/// Most events that a full disk takes, in the room that the log has left.
const MOST_TAKEN: usize = 20_000;
/// Every so many turns the server is killed while the disk is full.
const KILL_EVERY: u32 = 4;

/// Plays it.
///
/// # Errors
/// When the harness itself cannot work. What does not hold is in the report.
pub fn run(disk: &Disk) -> Result<Report, Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    // What writes down what happened must not be on the disk that is filled.
    let safe = tempfile::Builder::new().prefix("oncely-trial-").tempdir()?;
    runtime.block_on(async {
        let mut play = Play::begin(disk, safe.path()).await?;
        let begun = Instant::now();
        for turn in 1..=disk.fills {
            play.turn(turn).await?;
            if disk.talk && turn.is_multiple_of(10) {
                eprintln!("filled {turn} times, {} sent", play.load.sent.len());
            }
        }
        play.report.seconds = begun.elapsed().as_secs_f64();
        play.end().await
    })
}

struct Play<'d> {
    disk: &'d Disk,
    safe: PathBuf,
    stage: Stage,
    oncely: Oncely,
    server: Option<Server>,
    address: String,
    gate: Gate,
    ballast: Ballast,
    load: Load,
    recoveries: Vec<u64>,
    kills: Vec<i64>,
    broken: Vec<(String, String, usize)>,
    report: Report,
}

impl<'d> Play<'d> {
    async fn begin(disk: &'d Disk, safe: &Path) -> Result<Self, Trouble> {
        let gate = Gate::start().await?;
        let root = disk.folder.join("project");
        fs::create_dir(&root)?;
        let stage = Stage::make(&root, gate.port, "15s")?;
        prepare(&stage, gate.port, safe)?;
        let oncely = Oncely {
            binary: disk.binary.clone(),
            root: stage.root.clone(),
            sabotage: None,
            // Memory is thrown away, and that is meant.
            variables: vec![("ONCELY_EPHEMERAL".into(), "allow".into())],
        };
        let event = stage.root.join("events/setup");
        fs::write(&event, "{\"id\": \"1\"}")?;
        oncely.must(&["call", "setup", "--event", &event.display().to_string()])?;
        let load = Load::open(&oncely, &stage.ledger(), disk.seed)?;
        let mut play = Self {
            disk,
            safe: safe.to_owned(),
            stage,
            oncely,
            server: None,
            address: String::new(),
            gate,
            ballast: Ballast::on(&disk.folder),
            load,
            recoveries: Vec::new(),
            kills: Vec::new(),
            broken: Vec::new(),
            report: Report {
                seed: disk.seed,
                ..Report::default()
            },
        };
        play.serve()?;
        Ok(play)
    }

    fn serve(&mut self) -> Result<(), Trouble> {
        let mut server = Server::start(&self.oncely)?;
        let said = server.heard_serving()?;
        let address = said.get("listening").and_then(|a| a.as_str());
        self.address = address.unwrap_or_default().to_owned();
        self.server = Some(server);
        Ok(())
    }

    fn breaks(&mut self, turn: u32, promise: &str, what: &str) {
        let place = format!("turn {turn}: {what}");
        let known = self.broken.iter_mut().find(|(name, ..)| name == promise);
        match known {
            Some((_, _, times)) => *times += 1,
            None => self.broken.push((promise.to_owned(), place, 1)),
        }
    }

    async fn turn(&mut self, turn: u32) -> Result<(), Trouble> {
        self.put_in_flight().await?;
        self.ballast.fill()?;
        let runs = self.until_refused(turn).await?;
        self.says_so(turn).await?;
        if turn.is_multiple_of(KILL_EVERY) {
            self.kill_on_full_disk()?;
        } else {
            self.outcomes_are_recorded(turn, &runs).await?;
        }
        self.gate.set(true);
        self.ballast.free()?;
        self.goes_on(turn).await?;
        self.report.fills = turn;
        Ok(())
    }

    /// Sends until enough requests are in flight, which are not answered.
    async fn put_in_flight(&mut self) -> Result<(), Trouble> {
        let deadline = Instant::now() + PATIENCE;
        self.load.send_some(&self.address).await?;
        self.gate.set(false);
        while self.gate.waiting() < IN_FLIGHT {
            if Instant::now() > deadline {
                return Err(Trouble("no requests come to be in flight".into()));
            }
            self.load.send_some(&self.address).await?;
            tokio::time::sleep(LOOK).await;
        }
        // One of them is one that nobody recognises when it comes again.
        let letter = self.load.offer("letters").await?.unwrap_or_default();
        while !self.gate.heard("/letters/send", &letter) {
            if Instant::now() > deadline {
                return Err(Trouble(format!("{letter} does not come to be in flight")));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// What the log of the ledger has room for is taken; then nothing more is, by nobody. Gives the runs
    /// that have not ended.
    async fn until_refused(&mut self, turn: u32) -> Result<Vec<RunId>, Trouble> {
        for _ in 0..MOST_TAKEN {
            if self.load.offer("tally").await?.is_none() && self.load.is_full() {
                return told::unended(self.load.ask()).await;
            }
            // What was freed meanwhile is nobody's.
            self.ballast.fill()?;
        }
        self.breaks(turn, "a full disk takes nothing in", "it took every event");
        told::unended(self.load.ask()).await
    }

    async fn says_so(&mut self, turn: u32) -> Result<(), Trouble> {
        let promise = "a full disk is said";
        let mut command = self.oncely.command()?;
        command.stdout(Stdio::piped()).arg("status");
        let said = tokio::task::spawn_blocking(move || command.output());
        let said = said.await.map_err(|e| Trouble(e.to_string()))??;
        if !String::from_utf8_lossy(&said.stdout).contains("disk_full") {
            self.breaks(turn, promise, "`oncely status` does not say so");
        }
        let health = web::ask(&self.address, "GET /healthz", "").await?;
        if web::status(&health) != 200 || !health.contains("disk_full") {
            self.breaks(turn, promise, &format!("/healthz says {health}"));
        }
        if self.load.knock(&self.address).await?.is_some() {
            self.breaks(turn, "a full disk takes nothing in", "it took a webhook");
        }
        Ok(())
    }

    /// Every attempt that was begun has its outcome recorded while the disk is full, and none is begun.
    async fn outcomes_are_recorded(&mut self, turn: u32, runs: &[RunId]) -> Result<(), Trouble> {
        let before = told::told(self.load.ask(), runs).await?;
        self.gate.set(true);
        let deadline = Instant::now() + PATIENCE;
        let after = loop {
            let now = told::told(self.load.ask(), runs).await?;
            if now.open().is_empty() || Instant::now() > deadline {
                break now;
            }
            tokio::time::sleep(LOOK).await;
        };
        self.compare(turn, &before, &after);
        if self.load.offer("tally").await?.is_some() {
            self.breaks(
                turn,
                "a full disk takes nothing in",
                "it took an event later",
            );
        }
        Ok(())
    }

    fn compare(&mut self, turn: u32, before: &Told, after: &Told) {
        self.report.recorded += (after.over.len() - before.over.len()) as u64;
        let open = after.open();
        if !open.is_empty() {
            let what = format!("{} are open, such as {:?}", open.len(), open.first());
            self.breaks(turn, "what has happened is recorded on a full disk", &what);
        }
        if let Some(new) = after.begun.difference(&before.begun).next() {
            self.breaks(turn, "nothing is begun on a full disk", new);
        }
    }

    /// The server is killed with requests in flight, and another one serves on the full disk.
    fn kill_on_full_disk(&mut self) -> Result<(), Trouble> {
        if let Some(server) = self.server.take() {
            server.kill()?;
            self.kills.push(now_ms());
            self.report.killed += 1;
        }
        self.serve()
    }

    /// An event that comes as soon as there is room is done in time, with nobody's help.
    async fn goes_on(&mut self, turn: u32) -> Result<(), Trouble> {
        let since = Instant::now();
        let id = loop {
            if let Some(id) = self.load.knock(&self.address).await? {
                break id;
            }
            if since.elapsed() > PATIENCE {
                return Err(Trouble("there is room, and nothing is taken in".into()));
            }
            tokio::time::sleep(LOOK).await;
        };
        while !self.gate.heard("/door/tell", &id) {
            if since.elapsed() > PATIENCE {
                return Err(Trouble(format!("there is room, and {id} is not done")));
            }
            tokio::time::sleep(LOOK).await;
        }
        let took = since.elapsed();
        self.recoveries.push(millis(took));
        if took > self.disk.within {
            let what = format!("it took {} ms", millis(took));
            self.breaks(turn, "work goes on in time when there is room", &what);
        }
        self.idle().await
    }

    /// Waits until nothing is left to do. What is not done by then is found by the checker.
    async fn idle(&mut self) -> Result<(), Trouble> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if told::unended(self.load.ask()).await?.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn end(mut self) -> Result<Report, Trouble> {
        self.resume_failed().await?;
        if let Some(server) = self.server.take() {
            server.end()?;
        }
        let path = self.safe.join("export.jsonl");
        self.oncely.export(&path)?;
        let export = Export::read(&fs::read_to_string(path)?).map_err(Trouble)?;
        let sent = std::mem::take(&mut self.load.sent);
        let heard = self.gate.all_heard("/door/tell");
        let mut doors = sent.iter().filter(|s| s.task == "door");
        if let Some(lost) = doors.find(|s| !heard.contains(&s.id)) {
            let what = format!("{} was never done", lost.id);
            self.breaks(self.disk.fills, "nothing is lost", &what);
        }
        let evidence = collect(&self.stage, sent, self.gate.requests(), self.kills)?;
        let mut report = self.report;
        report.sent = evidence.sent.len();
        report.refused = self.load.refused;
        report.told_later = self.load.told_later;
        report.effects = evidence.requests.len() + evidence.lines.len();
        report.rows = evidence.rows.iter().map(|row| row.times).sum();
        report.unknown = export.unknown();
        report.said = said(&self.safe.join("stderr.log"))?;
        report.recovery_ms = middle_and_most(self.recoveries);
        report.broken = self.broken;
        report.broken.extend(summed(check(&evidence, &export)));
        Ok(report)
    }

    /// Runs whose own work failed on the full disk are resumed, as a person would.
    async fn resume_failed(&mut self) -> Result<(), Trouble> {
        let failed = Filter {
            status: vec![RunStatus::Failed],
            ..Filter::default()
        };
        let failed = self.load.ask().runs(failed).await?;
        for run in &failed {
            let facts = self.load.ask().facts(run.id).await?;
            let last = facts.last().map(|recorded| format!("{:?}", recorded.fact));
            let last = last.unwrap_or_default();
            self.report
                .failed
                .push(format!("{} {}: {last}", run.task, run.key));
            let mut command = self.oncely.command()?;
            command.args(["resume", &run.id.to_string(), "--detach"]);
            let ended = command
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .output()?;
            if !ended.status.success() {
                let said = String::from_utf8_lossy(&ended.stdout);
                let complained = String::from_utf8_lossy(&ended.stderr);
                return Err(Trouble(format!(
                    "{} {} failed ({last}) and was not resumed: {said}{complained}",
                    run.task, run.key
                )));
            }
        }
        self.idle().await
    }
}

/// What is written down about effects lies elsewhere; what a program does on the full disk is tried again.
fn prepare(stage: &Stage, port: u16, safe: &Path) -> Result<(), Trouble> {
    for name in ["commands.log", "stderr.log"] {
        fs::write(safe.join(name), "")?;
        std::os::unix::fs::symlink(safe.join(name), stage.root.join(name))?;
    }
    let door = DOOR.replace("@PORT@", &port.to_string());
    fs::write(stage.root.join("tasks/door.toml"), door)?;
    let orders = stage.root.join("tasks/orders.toml");
    let retry = "id = \"paper\"\nretry = { attempts = 50, first = \"50ms\", max = \"500ms\" }";
    let text = fs::read_to_string(&orders)?.replace("id = \"paper\"", retry);
    fs::write(orders, text)?;
    let path = stage.root.join("oncely.toml");
    let config = fs::read_to_string(&path)? + "[gateway]\nlisten = \"127.0.0.1:0\"\n";
    Ok(fs::write(path, config)?)
}

/// How often the servers said that the disk is full, and that there is room again.
fn said(log: &Path) -> Result<(usize, usize), Trouble> {
    let text = fs::read_to_string(log)?;
    let lines = |words: &str| text.lines().filter(|line| line.contains(words)).count();
    Ok((lines("disk is full"), lines("there is room again")))
}

fn middle_and_most(mut all: Vec<u64>) -> (u64, u64) {
    all.sort_unstable();
    let middle = all.get(all.len() / 2).copied();
    (middle.unwrap_or(0), all.last().copied().unwrap_or(0))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
