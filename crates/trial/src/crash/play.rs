//! Round after round: start, send, kill. Then let it end, collect, and have it checked.

use super::endpoint::Endpoint;
use super::evidence;
use super::feed::Feed;
use super::server::{Oncely, Server};
use super::stage::Stage;
use super::stopped;
use super::trouble::Trouble;
use crate::check::{Broken, Export, Windows, check, windows};
use crate::dice::Dice;
use oncely_core::ids::{RunId, StepId};
use oncely_core::ledger::Filter;
use oncely_core::run::RunStatus;
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How the crash test is run.
#[derive(Debug, Clone)]
pub struct Crash {
    /// How many servers are killed, at least.
    pub kills: u32,
    /// Small events that are sent beside everything else, at least.
    pub events: u64,
    /// What chance begins with.
    pub seed: u64,
    /// The binary.
    pub binary: PathBuf,
    /// What is switched off in it: `intent`, `unique`, `mark`, `fence`.
    pub sabotage: Option<String>,
    /// Keep the project here; it must be an empty folder.
    pub folder: Option<PathBuf>,
    /// Say how far it is.
    pub talk: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Servers that were killed.
    pub kills: u32,
    /// Servers that were stopped beyond their lease and went on later, among them.
    pub stopped: u32,
    /// Seconds.
    pub seconds: f64,
    /// Files and events that were accepted.
    pub sent: usize,
    /// Requests and lines that the other sides wrote down.
    pub effects: usize,
    /// Rows that were committed.
    pub rows: u64,
    /// Runs that wait as unknown.
    pub unknown: usize,
    /// Effects in flight at the kills, and where the kills fell.
    #[serde(flatten)]
    pub windows: Windows,
    /// Kills at which a mark was ahead of the ledger.
    pub mark_to_ledger: u64,
    /// Promises that did not hold, each with one place where it shows, and in how many.
    pub broken: Vec<(String, String, usize)>,
}

impl Report {
    /// Adds what came of another play, which had this seed.
    pub(super) fn add(&mut self, seed: u64, other: Self) {
        self.kills += other.kills;
        self.stopped += other.stopped;
        self.seconds += other.seconds;
        self.sent += other.sent;
        self.effects += other.effects;
        self.rows += other.rows;
        self.unknown += other.unknown;
        self.windows.add(other.windows);
        self.mark_to_ledger += other.mark_to_ledger;
        let named = |(promise, what, times)| (promise, format!("seed {seed}: {what}"), times);
        self.broken.extend(other.broken.into_iter().map(named));
    }
}

/// A moment to kill at, in milliseconds.
const MOMENT_MS: (u64, u64) = (2, 500);

/// Every so many rounds a server is stopped beyond its lease instead of being killed at once.
const STOP_EVERY: u32 = 3;

/// The same where many events are sent: a stop takes seconds, a kill does not.
const STOP_EVERY_AMONG_MANY: u32 = 10;

/// Every so many rounds, on average, a server is killed while it starts.
const EARLY: u64 = 10;

/// Small events of a round, at most.
const MANY: usize = 1_000;

/// The lease of the test's servers.
const LEASE: &str = "1s";

/// Longest wait for everything to end.
const PATIENCE: Duration = Duration::from_secs(120);

/// Plays the crash test and checks it.
///
/// # Errors
/// When the harness itself cannot work. A broken promise is in the report.
pub fn run(crash: &Crash) -> Result<Report, Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let temporary = tempfile::Builder::new().prefix("oncely-trial-").tempdir()?;
    let folder = crash.folder.clone();
    let folder = folder.unwrap_or_else(|| temporary.path().to_owned());
    runtime.block_on(async {
        let endpoint = Endpoint::start(crash.seed).await?;
        let stage = Stage::make(&folder, endpoint.port, LEASE)?;
        let oncely = Oncely {
            binary: crash.binary.clone(),
            root: stage.root.clone(),
            sabotage: crash.sabotage.clone(),
            variables: Vec::new(),
        };
        std::fs::write(stage.root.join("events/setup"), "{\"id\": \"1\"}")?;
        let event = stage.root.join("events/setup");
        oncely.must(&["call", "setup", "--event", &event.display().to_string()])?;
        let feed = Feed::open(&oncely, &stage.ledger(), crash.seed)?;
        let mut play = Play {
            crash,
            stage,
            endpoint,
            oncely,
            feed,
            dice: Dice::new(crash.seed.wrapping_add(1)),
            report: Report::default(),
            kills: Vec::new(),
            small: 0,
            aims: false,
            catches: false,
        };
        play.kill_them().await?;
        play.finish().await?;
        play.judge()
    })
}

pub(super) struct Play<'c> {
    crash: &'c Crash,
    pub(super) stage: Stage,
    endpoint: Endpoint,
    pub(super) oncely: Oncely,
    pub(super) feed: Feed,
    pub(super) dice: Dice,
    pub(super) report: Report,
    /// When each server was seen to be dead, in milliseconds since 1970.
    kills: Vec<i64>,
    /// Small events that were sent.
    small: u64,
    /// The next server is stopped between two ranges of a file, and not wherever it is.
    aims: bool,
    /// The next server is killed with a request in flight, and not at a moment of chance.
    catches: bool,
}

impl Play<'_> {
    /// Whether this stop is aimed: every other one is. Where the mark's guard is what is switched off
    /// each is, since a stop anywhere else shows nothing of it; where the fence is, none is, since a
    /// range of a file has the mark's guard and shows nothing of the fence.
    pub(super) fn aims(&mut self) -> bool {
        self.aims = match self.crash.sabotage.as_deref() {
            Some("mark") => true,
            Some("fence") => false,
            _ => !self.aims,
        };
        self.aims
    }

    /// A stop shows what is switched off only where the woken server writes before it notices that its
    /// lease is over, which most do not: every round is one where that is looked for.
    fn stop_every(&self) -> u32 {
        match self.crash.sabotage.as_deref() {
            Some("mark" | "fence") => 1,
            _ if self.crash.events > 0 => STOP_EVERY_AMONG_MANY,
            _ => STOP_EVERY,
        }
    }

    async fn kill_them(&mut self) -> Result<(), Trouble> {
        let begun = Instant::now();
        let mut round = 0;
        while self.report.kills < self.crash.kills || self.small < self.crash.events {
            round += 1;
            // A stopped server takes another one with it: two kills.
            let two = self.report.kills + 2 <= self.crash.kills;
            if two && round % self.stop_every() == 0 {
                stopped::round(self).await?;
            } else {
                self.round().await?;
            }
            self.tell(round);
        }
        self.report.seconds = begun.elapsed().as_secs_f64();
        Ok(())
    }

    fn tell(&self, round: u32) {
        if self.crash.talk && round.is_multiple_of(25) {
            eprintln!("{} kills, {} sent", self.report.kills, self.feed.sent.len());
        }
    }

    /// Starts a server, sends, and kills it: by turns with a request in flight and at a moment of chance.
    async fn round(&mut self) -> Result<(), Trouble> {
        let mut server = Server::start(&self.oncely)?;
        self.catches = !self.catches;
        if self.catches {
            server.serving()?;
            self.send().await?;
            self.wait(MOMENT_MS.0, MOMENT_MS.1);
            let caught = self.endpoint.catch();
            self.feed.offer_one("letters").await?;
            caught.await?;
            return self.kill(server).await;
        }
        let early = self.dice.once_in(EARLY);
        if !early {
            server.serving()?;
            self.send().await?;
        }
        self.wait(MOMENT_MS.0, MOMENT_MS.1);
        self.kill(server).await
    }

    /// Sends a few things of every kind, and of the small events as many as a round's share.
    async fn send(&mut self) -> Result<(), Trouble> {
        self.feed.send_some().await?;
        let kills = u64::from(self.crash.kills.max(1));
        // Every other kill has a round of its own, and not all of them can send.
        let share = (2 * self.crash.events).div_ceil(kills);
        let share = usize::try_from(share).unwrap_or(usize::MAX).min(MANY);
        self.small += self.feed.send_many(share).await?;
        Ok(())
    }

    /// A moment, which nothing gives a signal for.
    pub(super) fn wait(&mut self, low: u64, high: u64) {
        std::thread::sleep(Duration::from_millis(self.dice.between(low, high)));
    }

    pub(super) async fn kill(&mut self, server: Server) -> Result<(), Trouble> {
        server.kill()?;
        self.kills.push(jiff::Timestamp::now().as_millisecond());
        self.report.kills += 1;
        if self.mark_is_ahead().await? {
            self.report.mark_to_ledger += 1;
        }
        Ok(())
    }

    /// Whether a mark tells of more than the ledger does.
    async fn mark_is_ahead(&self) -> Result<bool, Trouble> {
        for (run, step, next) in self.marks()? {
            let progress = self.feed.ask().progress(run, step).await?;
            if progress.unwrap_or_default().next < next {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How far the newest marks have come, by run and step.
    pub(super) fn marks(&self) -> Result<Vec<(RunId, StepId, u64)>, Trouble> {
        let database = evidence::look(&self.stage.results())?;
        let there = "select count(*) from sqlite_schema where name = 'oncely_marks'";
        if database.query_row(there, [], |row| row.get::<_, i64>(0))? == 0 {
            return Ok(Vec::new());
        }
        let text =
            "select run, step, next from oncely_marks where next > 0 order by run desc limit 20";
        let mut statement = database.prepare(text)?;
        let marks = statement.query_map([], |row| {
            let (run, step) = (RunId(row.get(0)?), row.get::<_, String>(1)?);
            // A sub-step's mark is called `step/sub-step`.
            let step = step.split('/').next().unwrap_or_default();
            Ok((
                run,
                StepId::from(step),
                row.get::<_, i64>(2)?.unsigned_abs(),
            ))
        })?;
        Ok(marks.collect::<Result<_, _>>()?)
    }

    /// Lets everything end; runs that were quarantined are resumed, as a person would.
    async fn finish(&mut self) -> Result<(), Trouble> {
        self.feed.settle_doubts()?;
        let server = self.idle().await?;
        let failed = Filter {
            status: vec![RunStatus::Failed],
            ..Filter::default()
        };
        let failed = self.feed.ask().runs(failed).await?;
        for run in &failed {
            self.oncely
                .must(&["resume", &run.id.to_string(), "--detach"])?;
        }
        server.end()?;
        if !failed.is_empty() {
            self.idle().await?.end()?;
        }
        Ok(())
    }

    /// Starts a server and waits until nothing is left to do. What is not done by then is found
    /// by the checker.
    async fn idle(&mut self) -> Result<Server, Trouble> {
        let mut server = Server::start(&self.oncely)?;
        server.serving()?;
        let patience = if self.crash.sabotage.is_some() {
            PATIENCE / 4
        } else {
            PATIENCE
        };
        let deadline = Instant::now() + patience;
        let mut quiet = 0;
        while quiet < 3 && Instant::now() < deadline {
            let busy = self.feed.unended().await? > 0 || self.files_wait().await?;
            quiet = if busy { 0 } else { quiet + 1 };
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(server)
    }

    /// Whether a file that was dropped has not started its run yet.
    async fn files_wait(&self) -> Result<bool, Trouble> {
        let files = self
            .feed
            .sent
            .iter()
            .filter(|s| s.id.ends_with(".csv"))
            .count();
        let mut runs = 0;
        for task in ["rows", "slow"] {
            let filter = Filter {
                task: Some(task.into()),
                ..Filter::default()
            };
            runs += self.feed.ask().runs(filter).await?.len();
        }
        Ok(runs < files)
    }

    fn judge(mut self) -> Result<Report, Trouble> {
        let path = self.stage.root.join("export.jsonl");
        self.oncely.export(&path)?;
        let export = Export::read(&std::fs::read_to_string(path)?).map_err(Trouble)?;
        let sent = std::mem::take(&mut self.feed.sent);
        let evidence = evidence::collect(&self.stage, sent, self.endpoint.requests(), self.kills)?;
        let mut report = self.report;
        report.sent = evidence.sent.len();
        report.effects = evidence.requests.len() + evidence.lines.len();
        report.rows = evidence.rows.iter().map(|r| r.times).sum();
        report.unknown = export.unknown();
        report.windows = windows(&evidence, &export);
        report.broken = summed(check(&evidence, &export));
        Ok(report)
    }
}

/// Each promise once, with the first place and the number of places.
pub(crate) fn summed(mut broken: Vec<Broken>) -> Vec<(String, String, usize)> {
    broken.sort_by_key(|b| b.promise);
    let mut summed: Vec<(String, String, usize)> = Vec::new();
    for broken in broken {
        let name = broken.promise.to_string();
        match summed.last_mut() {
            Some((last, _, times)) if *last == name => *times += 1,
            _ => summed.push((name, broken.what, 1)),
        }
    }
    summed
}
