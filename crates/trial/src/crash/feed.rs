//! What is sent: files into folders, events through the real binary and through the library.

use super::server::Oncely;
use super::trouble::Trouble;
use crate::check::Sent;
use crate::dice::Dice;
use oncely_core::ids::{Environment, TaskId};
use oncely_core::ledger::Ledger;
use oncely_core::run::RunStatus;
use oncely_core::task::Bundle;
use oncely_engine::{Ask, Intake, Known, Offer, Offered, Tasks};
use oncely_ledger::{Options, SqliteLedger, SystemClock};
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

/// Runs that have not ended beyond which nothing is added.
const BACKLOG: u64 = 40;

/// Tasks that are called.
const CALLED: [&str; 7] = [
    "orders", "letters", "notes", "chain", "tally", "batch", "mails",
];

/// Tasks of which many are called, each as often as it stands here of twenty: a statement, a request, a
/// file, and all of them with a program.
const MANY: [(&str, usize); 4] = [("tally", 10), ("pings", 5), ("papers", 4), ("orders", 1)];

/// The environment of the test.
const TRIAL: &str = "trial";

/// Sends, and remembers what it sent.
pub(crate) struct Feed {
    oncely: Oncely,
    ledger: Arc<SqliteLedger>,
    intake: Intake,
    dice: Dice,
    /// What was accepted.
    pub(crate) sent: Vec<Sent>,
    /// Calls whose process was killed before it could say what became of them.
    doubtful: Vec<Sent>,
}

impl Feed {
    /// A feed into the ledger of a project.
    pub(crate) fn open(oncely: &Oncely, ledger: &Path, seed: u64) -> Result<Self, Trouble> {
        let ledger = Arc::new(SqliteLedger::open(ledger, Options::new("oncely-trial"))?);
        let tasks = CALLED.iter().chain(&["pings", "papers"]);
        let tasks = tasks.map(|name| known(&oncely.root, name));
        let tasks = Arc::new(Tasks::new(tasks.collect::<Result<Vec<_>, _>>()?));
        let shared = Arc::clone(&ledger) as Arc<dyn Ledger>;
        let intake = Intake::new(shared, tasks, TRIAL.into(), Arc::new(SystemClock));
        Ok(Self {
            oncely: oncely.clone(),
            ledger,
            intake,
            dice: Dice::new(seed),
            sent: Vec::new(),
            doubtful: Vec::new(),
        })
    }

    /// The ledger, for those who look at it.
    pub(crate) fn ask(&self) -> Ask<'_> {
        Ask(&*self.ledger)
    }

    /// How many runs have not ended and wait for nobody.
    pub(crate) async fn unended(&self) -> Result<u64, Trouble> {
        let counts = self.ask().counts(Environment::from(TRIAL)).await?;
        let open = |status: &RunStatus| {
            matches!(
                status,
                RunStatus::Pending | RunStatus::Running | RunStatus::Waiting
            )
        };
        Ok(counts.iter().filter(|(s, _)| open(s)).map(|(_, n)| n).sum())
    }

    /// Sends a few things of every kind.
    pub(crate) async fn send_some(&mut self) -> Result<(), Trouble> {
        if self.unended().await? > BACKLOG {
            return Ok(());
        }
        for _ in 0..self.dice.between(2, 5) {
            let event = self.event();
            self.offer(event).await?;
        }
        if self.dice.once_in(3) {
            let records = self.dice.between(50, 20_000);
            self.drop_file("inbox", records)?;
        }
        if self.dice.once_in(4) {
            // Long enough that kills fall while a mark is ahead of what the ledger was told.
            let records = self.dice.between(1_000, 40_000);
            self.drop_file("slow", records)?;
        }
        if self.dice.once_in(4) {
            self.send_again().await?;
        }
        if self.dice.once_in(4) {
            self.call()?;
        }
        Ok(())
    }

    /// Sends many small events in one go, unless many wait already; tells how many it sent.
    pub(crate) async fn send_many(&mut self, count: usize) -> Result<u64, Trouble> {
        if count == 0 || self.unended().await? > BACKLOG + 2 * count as u64 {
            return Ok(0);
        }
        let tasks = MANY
            .iter()
            .flat_map(|(task, times)| std::iter::repeat_n(*task, *times));
        let first = self.sent.len() + self.doubtful.len();
        let events: Vec<Sent> = (first..)
            .zip(tasks.cycle())
            .take(count)
            .map(|(place, task)| sent(task, format!("{task}-{place}"), 0))
            .collect();
        let offers = events.iter().map(|sent| {
            let task = TaskId::from(sent.task.as_str());
            Offer::new(task, sent.id.as_str().into(), data(sent))
        });
        let offered = self.intake.offer(offers.collect()).await?;
        for (event, offered) in events.into_iter().zip(offered) {
            self.accepted(event, Some(offered))?;
        }
        Ok(count as u64)
    }

    /// The next event of a task.
    fn event(&mut self) -> Sent {
        let last = CALLED.len() as u64 - 1;
        let place = usize::try_from(self.dice.between(0, last)).unwrap_or(0);
        let task = CALLED.get(place).copied().unwrap_or("orders");
        let items = self.dice.between(5, 60);
        self.event_of(task, items)
    }

    fn event_of(&self, task: &str, items: u64) -> Sent {
        let id = format!("{task}-{}", self.sent.len() + self.doubtful.len());
        let many = matches!(task, "batch" | "mails");
        sent(task, id, if many { items } else { 0 })
    }

    /// Offers a batch that keeps a server busy for a while.
    pub(crate) async fn offer_batch(&mut self, task: &str, items: u64) -> Result<(), Trouble> {
        let event = self.event_of(task, items);
        self.offer(event).await
    }

    /// Offers one event of a task.
    pub(crate) async fn offer_one(&mut self, task: &str) -> Result<(), Trouble> {
        let event = self.event_of(task, 0);
        self.offer(event).await
    }

    async fn offer(&mut self, sent: Sent) -> Result<(), Trouble> {
        let data = data(&sent);
        let offer = Offer::new(
            TaskId::from(sent.task.as_str()),
            sent.id.as_str().into(),
            data,
        );
        let offered = self.intake.offer(vec![offer]).await?.pop();
        self.accepted(sent, offered)
    }

    /// Remembers what was accepted.
    fn accepted(&mut self, sent: Sent, offered: Option<Offered>) -> Result<(), Trouble> {
        match offered {
            Some(Offered::Admitted(_)) => self.sent.push(sent),
            Some(Offered::Duplicate(_)) => {}
            Some(Offered::Refused(why)) => return Err(Trouble(format!("{}: {why}", sent.id))),
            None => return Err(Trouble("the intake said nothing".into())),
        }
        Ok(())
    }

    /// Drops a file, whole; an odd number of records has one broken record in a hundred.
    pub(crate) fn drop_file(&mut self, folder: &str, records: u64) -> Result<(), Trouble> {
        let task = if folder == "inbox" { "rows" } else { "slow" };
        let id = format!("{task}-{}.csv", self.sent.len() + self.doubtful.len());
        let broken = (1..=records).filter(|n| is_broken(*n, records)).count() as u64;
        self.sent.push(Sent {
            task: task.to_owned(),
            id: id.clone(),
            good: records - broken,
            broken,
        });
        self.write_file(folder, &id, records)
    }

    fn write_file(&self, folder: &str, name: &str, records: u64) -> Result<(), Trouble> {
        let mut text = String::from("n,word\n");
        for n in 1..=records {
            // A record with a cell too many is set aside.
            let more = if is_broken(n, records) { ",broken" } else { "" };
            let _ = writeln!(text, "{n},word{}{more}", n % 7);
        }
        let temporary = self.oncely.root.join(format!(".{name}"));
        fs::write(&temporary, text)?;
        fs::rename(&temporary, self.oncely.root.join(folder).join(name))?;
        Ok(())
    }

    /// Sends something that was sent before: the same file, or the same key.
    async fn send_again(&mut self) -> Result<(), Trouble> {
        if self.sent.is_empty() {
            return Ok(());
        }
        let place = self.dice.between(0, self.sent.len() as u64 - 1);
        let old = usize::try_from(place)
            .ok()
            .and_then(|p| self.sent.get(p))
            .cloned();
        match old {
            Some(old) if old.task == "rows" => {
                self.write_file("inbox", &old.id, old.good + old.broken)
            }
            Some(old) if old.task == "slow" => Ok(()),
            Some(old) => {
                let offer = Offer::new(
                    TaskId::from(old.task.as_str()),
                    old.id.as_str().into(),
                    data(&old),
                );
                self.intake.offer(vec![offer]).await?;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Calls through the real binary; some of these processes are killed too.
    fn call(&mut self) -> Result<(), Trouble> {
        let sent = self.event();
        let mut child = self.spawn_call(&sent)?;
        if self.dice.once_in(2) {
            std::thread::sleep(Duration::from_millis(self.dice.between(1, 60)));
            child.kill()?;
        }
        match child.wait()?.success() {
            true => self.sent.push(sent),
            false => self.doubtful.push(sent),
        }
        Ok(())
    }

    fn spawn_call(&self, sent: &Sent) -> Result<Child, Trouble> {
        let event = self.oncely.root.join("events").join(&sent.id);
        fs::write(&event, data(sent).to_string())?;
        let mut command = self.oncely.command()?;
        command
            .args(["call", &sent.task, "--detach", "--event"])
            .arg(event);
        Ok(command.spawn()?)
    }

    /// Whoever does not know whether an event arrived sends it again under the same key.
    pub(crate) fn settle_doubts(&mut self) -> Result<(), Trouble> {
        for sent in std::mem::take(&mut self.doubtful) {
            let status = self.spawn_call(&sent)?.wait()?;
            if !status.success() {
                return Err(Trouble(format!(
                    "{} could not be called: {status}",
                    sent.id
                )));
            }
            self.sent.push(sent);
        }
        Ok(())
    }
}

fn sent(task: &str, id: String, good: u64) -> Sent {
    Sent {
        task: task.to_owned(),
        id,
        good,
        broken: 0,
    }
}

/// Files without broken records tell the ledger of their progress less often.
fn is_broken(n: u64, records: u64) -> bool {
    records % 2 == 1 && n % 100 == 50
}

/// The event of what is sent.
pub(crate) fn data(sent: &Sent) -> serde_json::Value {
    match sent.good {
        0 => json!({ "id": sent.id }),
        many => json!({ "id": sent.id, "items": (1..=many).collect::<Vec<_>>() }),
    }
}

/// A task of the project.
pub(crate) fn known(root: &Path, name: &str) -> Result<Known, Trouble> {
    let path = format!("tasks/{name}.toml");
    let text = fs::read_to_string(root.join(&path))?;
    let bundle = Bundle {
        path,
        text,
        executable: false,
        files: std::collections::BTreeMap::new(),
    };
    Known::read(bundle).map_err(Trouble)
}
