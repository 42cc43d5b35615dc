//! Turn after turn: an effect is done, the disk is filled, nothing new is begun, the outcome is
//! recorded all the same, there is room again, and work goes on by itself.

use super::gate::Gate;
use crate::check::Export;
use crate::crash::{Oncely, Server, Trouble};
use oncely_core::fact::Fact;
use oncely_core::ids::TaskId;
use oncely_core::ledger::{Filter, Ledger, LedgerError};
use oncely_core::run::RunStatus;
use oncely_core::task::Bundle;
use oncely_engine::{Ask, Intake, Known, Offer, Offered, Tasks};
use oncely_ledger::{Options, SqliteLedger, SystemClock};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How the disk is played with.
#[derive(Debug, Clone)]
pub struct Disk {
    /// The binary.
    pub binary: PathBuf,
    /// A folder that a small disk is mounted on.
    pub folder: PathBuf,
    /// How often it is filled.
    pub times: u32,
    /// Say how far it is.
    pub talk: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// How often the disk was filled, held and freed.
    pub times: u32,
    /// Events that were accepted.
    pub accepted: u64,
    /// Events that were refused while it was full.
    pub refused: u64,
    /// Outcomes that were recorded while it was full.
    pub recorded: u64,
    /// The longest time from room to the next event's end, in milliseconds.
    pub slowest_ms: u64,
    /// What did not hold, and at which turn.
    pub broken: Vec<String>,
}

/// Longest time from room to work.
const RECOVERY: Duration = Duration::from_secs(5);
/// Longest wait for anything else.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often others are looked at.
const LOOK: Duration = Duration::from_millis(5);
/// Bytes of an event: a few hundred of them fill what a ledger has set apart for its log.
const EVENT_BYTES: usize = 20_000;
/// Runs that are looked at, the newest first: more than a turn has.
const RECENT: usize = 100;
/// Effects that are done when the disk is filled.
const DONE: u32 = 8;
/// Most events that are offered to a full disk until one is refused.
const OFFERS: u32 = 2000;

const TASK: &str = r#"
[on.call]
key = "event.id"
[[step]]
id = "act"
retry = { attempts = 50, first = "50ms", max = "500ms" }
  [step.http]
  method       = "POST"
  url          = "http://127.0.0.1:@PORT@/do"
  json         = { id = "{{ event.id }}" }
  key_honoured = "24h"
[[step]]
id = "then"
retry = { attempts = 50, first = "50ms", max = "500ms" }
  [step.http]
  method       = "POST"
  url          = "http://127.0.0.1:@PORT@/do"
  json         = { id = "then {{ event.id }}" }
  key_honoured = "24h"
"#;

/// Plays it.
///
/// # Errors
/// When the harness itself cannot work. What does not hold is in the report.
pub fn run(disk: &Disk) -> Result<Report, Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let gate = Gate::start().await?;
        let mut play = Play::begin(disk, gate)?;
        for turn in 1..=disk.times {
            play.turn(turn).await?;
            if disk.talk && turn.is_multiple_of(10) {
                eprintln!("filled {turn} times, slowest {} ms", play.report.slowest_ms);
            }
        }
        play.end().await
    })
}

/// Attempts, by the event, the step and their number.
#[derive(Debug, Default)]
struct Told {
    begun: BTreeSet<String>,
    over: BTreeSet<String>,
}

struct Play {
    root: PathBuf,
    oncely: Oncely,
    server: Server,
    address: String,
    ledger: Arc<SqliteLedger>,
    intake: Intake,
    gate: Gate,
    accepted: Vec<String>,
    report: Report,
}

impl Play {
    fn begin(disk: &Disk, gate: Gate) -> Result<Self, Trouble> {
        let root = disk.folder.join("project");
        fs::create_dir_all(root.join("tasks"))?;
        let config = format!(
            "environment = \"trial\"\n[http]\nallow = [\"127.0.0.1:{}\"]\n\
             [gateway]\nlisten = \"127.0.0.1:0\"\n",
            gate.port
        );
        fs::write(root.join("oncely.toml"), config)?;
        let text = TASK.replace("@PORT@", &gate.port.to_string());
        fs::write(root.join("tasks/orders.toml"), &text)?;
        let oncely = Oncely {
            variables: Vec::new(),
            binary: disk.binary.clone(),
            root: root.clone(),
            sabotage: None,
        };
        let mut server = Server::start(&oncely)?;
        let said = server.heard_serving()?;
        let address = said.get("listening").and_then(|a| a.as_str());
        let address = address.unwrap_or_default().to_owned();
        let path = root.join(".oncely/ledger.db");
        let ledger = Arc::new(SqliteLedger::open(&path, Options::new("oncely-trial"))?);
        let shared = Arc::clone(&ledger) as Arc<dyn Ledger>;
        let tasks = Arc::new(Tasks::new(vec![known(text)?]));
        let intake = Intake::new(shared, tasks, "trial".into(), Arc::new(SystemClock));
        Ok(Self {
            root,
            oncely,
            server,
            address,
            ledger,
            intake,
            gate,
            accepted: Vec::new(),
            report: Report::default(),
        })
    }

    fn breaks(&mut self, turn: u32, what: &str) {
        self.report.broken.push(format!("turn {turn}: {what}"));
    }

    async fn turn(&mut self, turn: u32) -> Result<(), Trouble> {
        self.gate.set(false);
        let before: Vec<String> = (1..=DONE).map(|n| format!("before-{turn}-{n}")).collect();
        for id in &before {
            self.offer(id.clone()).await?;
        }
        let all = |play: &Self| {
            let heard = play.gate.heard();
            before.iter().all(|id| heard.contains_key(id))
        };
        self.until("the effects before it", all).await?;
        self.fill()?;
        self.offer_until_refused(turn).await?;
        self.says_so(turn)?;
        self.outcomes_are_recorded(turn).await?;
        self.free()?;
        self.goes_on(turn).await?;
        self.report.times = turn;
        Ok(())
    }

    /// Offers an event; false when the disk has no room for it.
    async fn offer(&mut self, id: String) -> Result<bool, Trouble> {
        let data = serde_json::json!({ "id": id, "more": "x".repeat(EVENT_BYTES) });
        let offer = Offer::new(TaskId::from("orders"), id.as_str().into(), data);
        match self.intake.offer(vec![offer]).await {
            Ok(offered) => match offered.into_iter().next() {
                Some(Offered::Admitted(_)) => {
                    self.accepted.push(id);
                    Ok(true)
                }
                other => Err(Trouble(format!("{id} was answered with {other:?}"))),
            },
            Err(LedgerError::Full(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Leaves not one block.
    fn fill(&self) -> Result<(), Trouble> {
        let mut file = File::create(self.root.join("fill"))?;
        for bytes in [64 * 1024, 4096, 1] {
            let block = vec![0_u8; bytes];
            while file.write_all(&block).is_ok() {}
        }
        Ok(())
    }

    fn free(&self) -> Result<(), Trouble> {
        Ok(fs::remove_file(self.root.join("fill"))?)
    }

    /// What the log of the ledger has room for is taken, also when it was shortened; then nothing more
    /// is.
    async fn offer_until_refused(&mut self, turn: u32) -> Result<(), Trouble> {
        for n in 0..OFFERS {
            if self.offer(format!("full-{turn}-{n}")).await? {
                continue;
            }
            self.report.refused += 1;
            if oncely_ledger::disk_is_full(&self.root.join(".oncely/ledger.db")) {
                return Ok(());
            }
        }
        self.breaks(turn, "a full disk took every event");
        Ok(())
    }

    /// The status and the health of the server say that the disk is full.
    fn says_so(&mut self, turn: u32) -> Result<(), Trouble> {
        let mut command = self.oncely.command()?;
        let said = command
            .stdout(std::process::Stdio::piped())
            .arg("status")
            .output()?;
        if !String::from_utf8_lossy(&said.stdout).contains("disk_full") {
            self.breaks(turn, "`oncely status` does not say that the disk is full");
        }
        let health = get(&self.address, "/healthz")?;
        if !health.contains("disk_full") {
            self.breaks(
                turn,
                &format!("/healthz does not say that the disk is full: {health}"),
            );
        }
        Ok(())
    }

    /// Every attempt that was begun has its outcome recorded while the disk is full, and none is begun.
    async fn outcomes_are_recorded(&mut self, turn: u32) -> Result<(), Trouble> {
        let before = self.told().await?;
        self.gate.set(true);
        let deadline = Instant::now() + PATIENCE;
        let after = loop {
            let now = self.told().await?;
            let all = before.begun.iter().all(|name| now.over.contains(name));
            if all || Instant::now() > deadline {
                break now;
            }
            tokio::time::sleep(LOOK).await;
        };
        self.report.recorded += (after.over.len() - before.over.len()) as u64;
        let open = before.begun.difference(&after.over).take(3);
        let open: Vec<_> = open.cloned().collect();
        if !open.is_empty() {
            self.breaks(turn, &format!("no outcome on a full disk of {open:?}"));
        }
        let new = after.begun.difference(&before.begun).take(3);
        let new: Vec<_> = new.cloned().collect();
        if !new.is_empty() {
            self.breaks(turn, &format!("begun on a full disk: {new:?}"));
        }
        Ok(())
    }

    /// Which attempts the ledger tells of, and which of them are over.
    async fn told(&self) -> Result<Told, Trouble> {
        let ask = Ask(&*self.ledger as &dyn Ledger);
        let mut told = Told::default();
        let filter = Filter {
            status: vec![RunStatus::Pending, RunStatus::Running, RunStatus::Waiting],
            ..Filter::default()
        };
        let open = ask.runs(filter).await?;
        let recent = Filter {
            limit: RECENT,
            ..Filter::default()
        };
        for row in open.into_iter().chain(ask.runs(recent).await?) {
            for recorded in ask.facts(row.id).await? {
                match recorded.fact {
                    Fact::Intent { step, attempt, .. } => {
                        told.begun.insert(format!("{} {step} {attempt}", row.key));
                    }
                    Fact::Outcome { step, attempt, .. } => {
                        told.over.insert(format!("{} {step} {attempt}", row.key));
                    }
                    _ => {}
                }
            }
        }
        Ok(told)
    }

    /// An event that comes as soon as there is room is done in time, with nobody's help.
    async fn goes_on(&mut self, turn: u32) -> Result<(), Trouble> {
        let since = Instant::now();
        let id = format!("after-{turn}");
        while !self.offer(id.clone()).await? {
            if since.elapsed() > PATIENCE {
                return Err(Trouble("there is room, and nothing is taken in".into()));
            }
            tokio::time::sleep(LOOK).await;
        }
        let then = format!("then {id}");
        self.until("the work after it", |play| {
            play.gate.heard().contains_key(&then)
        })
        .await?;
        let took = since.elapsed();
        self.report.slowest_ms = self.report.slowest_ms.max(millis(took));
        if took > RECOVERY {
            self.breaks(
                turn,
                &format!("it took {} ms from room to work", millis(took)),
            );
        }
        self.idle().await
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) -> Result<(), Trouble> {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            if Instant::now() > deadline {
                return Err(Trouble(format!("{what} did not come in time")));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits until every run has ended.
    async fn idle(&self) -> Result<(), Trouble> {
        let deadline = Instant::now() + PATIENCE;
        let ask = Ask(&*self.ledger as &dyn Ledger);
        loop {
            let counts = ask.counts("trial".into()).await?;
            if counts
                .iter()
                .all(|(status, n)| status.is_ended() || *n == 0)
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Trouble(format!("not everything ended: {counts:?}")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Nothing that was accepted is lost, and nothing is done twice under another key.
    async fn end(mut self) -> Result<Report, Trouble> {
        self.idle().await?;
        self.server.end()?;
        let path = self.root.join("export.jsonl");
        self.oncely.export(&path)?;
        let export = Export::read(&fs::read_to_string(path)?).map_err(Trouble)?;
        let mut done: BTreeMap<&str, u64> = BTreeMap::new();
        for run in export.runs.values().filter(|run| run.status == "done") {
            *done.entry(&run.key).or_default() += 1;
        }
        let wrong = self
            .accepted
            .iter()
            .filter(|id| done.get(id.as_str()) != Some(&1));
        let wrong: Vec<String> = wrong.take(5).cloned().collect();
        if !wrong.is_empty() {
            self.report
                .broken
                .push(format!("accepted, and not done once: {wrong:?}"));
        }
        self.report.accepted = self.accepted.len() as u64;
        Ok(self.report)
    }
}

/// The report as text.
#[must_use]
pub fn say(report: &Report) -> String {
    let mut lines = vec![format!(
        "Filled, held and freed {} times: {} events accepted, {} refused while it was full, {} outcomes \
         recorded while it was full; at most {} ms from room to work.",
        report.times, report.accepted, report.refused, report.recorded, report.slowest_ms
    )];
    lines.extend(report.broken.iter().map(|what| format!("BROKEN: {what}")));
    if report.broken.is_empty() {
        lines.push("Every promise held.".into());
    }
    lines.join("\n")
}

fn known(text: String) -> Result<Known, Trouble> {
    let bundle = Bundle {
        path: "tasks/orders.toml".into(),
        text,
        executable: false,
        files: BTreeMap::new(),
    };
    Known::read(bundle).map_err(Trouble)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn get(address: &str, path: &str) -> Result<String, Trouble> {
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
