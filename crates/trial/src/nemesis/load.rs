//! The load: events of every kind of step, as fast as the workers do them, with some sent again and
//! some called through the real binary. Whoever does not know whether an event arrived sends it again.

use super::audit::SOON;
use super::database::Database;
use super::place::Place;
use crate::check::Sent;
use crate::crash::{Oncely, Trouble, data_of, known_task};
use crate::dice::Dice;
use oncely_core::ids::TaskId;
use oncely_core::ledger::Ledger;
use oncely_engine::{Intake, Offer, Offered, Tasks};
use oncely_ledger::{PostgresLedger, PostgresOptions, SystemClock};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Runs that are at hand beyond which nothing is added.
const BACKLOG: i64 = 600;
/// Most events that are offered together.
const TOGETHER: u64 = 200;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Between two calls of the real binary.
const CALL_EVERY: Duration = Duration::from_secs(1);

/// Tasks that are called, and how many of 200 events are theirs.
const SHARES: [(&str, u64); 7] = [
    ("tally", 120),
    ("letters", 36),
    ("orders", 20),
    ("notes", 8),
    ("chain", 8),
    ("batch", 4),
    ("mails", 4),
];

/// What those who send and those who strike share.
#[derive(Debug, Default)]
pub(super) struct Going {
    /// The load is to end.
    pub(super) stop: AtomicBool,
    /// Events that were accepted.
    pub(super) sent: AtomicUsize,
}

/// Sends, and remembers what it sent.
pub(super) struct Load {
    intake: Intake,
    database: Database,
    /// The binary through the proxy of a worker.
    binaries: Vec<Oncely>,
    handle: Handle,
    dice: Dice,
    next: usize,
    /// What was accepted.
    sent: Vec<Sent>,
    /// Of which it is not known whether it was.
    doubtful: Vec<Sent>,
    called: Instant,
}

impl Load {
    /// A load for a place, past the proxies, but for what is called through the binary.
    pub(super) fn new(
        place: &Place,
        binaries: Vec<Oncely>,
        handle: &Handle,
        seed: u64,
    ) -> Result<Self, Trouble> {
        let options = PostgresOptions {
            wait: Duration::from_secs(60),
            ..PostgresOptions::new("oncely-trial nemesis")
        };
        let ledger: Arc<dyn Ledger> = Arc::new(PostgresLedger::open(&place.urls.0, options)?);
        let tasks = SHARES.iter().map(|(name, _)| known_task(&place.root, name));
        let tasks = Arc::new(Tasks::new(tasks.collect::<Result<Vec<_>, _>>()?));
        Ok(Self {
            intake: Intake::new(ledger, tasks, "trial".into(), Arc::new(SystemClock)),
            database: Database::new(&place.urls.0, handle),
            binaries,
            handle: handle.clone(),
            dice: Dice::new(seed),
            next: 0,
            sent: Vec::new(),
            doubtful: Vec::new(),
            called: Instant::now(),
        })
    }

    /// Sends until it is told to stop; gives back what was accepted.
    pub(super) fn run(mut self, going: &Going) -> Result<Vec<Sent>, Trouble> {
        while !going.stop.load(Ordering::SeqCst) {
            if self.open()? < BACKLOG {
                self.send_some()?;
                going.sent.store(self.sent.len(), Ordering::SeqCst);
            } else {
                std::thread::sleep(LOOK);
            }
            if self.called.elapsed() > CALL_EVERY {
                self.call()?;
                self.called = Instant::now();
            }
        }
        while !self.doubtful.is_empty() {
            let again = std::mem::take(&mut self.doubtful);
            self.offer(again)?;
        }
        Ok(self.sent)
    }

    fn open(&mut self) -> Result<i64, Trouble> {
        let rows = self.database.rows(SOON)?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }

    fn send_some(&mut self) -> Result<(), Trouble> {
        let many = self.dice.between(TOGETHER / 2, TOGETHER);
        let mut events: Vec<Sent> = (0..many).map(|_| self.event()).collect();
        events.append(&mut self.doubtful);
        if self.dice.once_in(4) {
            self.again()?;
        }
        self.offer(events)
    }

    fn event(&mut self) -> Sent {
        let all: u64 = SHARES.iter().map(|(_, share)| share).sum();
        let mut place = self.dice.between(1, all);
        let mut task = "tally";
        for (name, share) in SHARES {
            task = name;
            if place <= share {
                break;
            }
            place -= share;
        }
        self.next += 1;
        let many = matches!(task, "batch" | "mails");
        Sent {
            task: task.to_owned(),
            id: format!("{task}-{}", self.next),
            good: if many { self.dice.between(3, 20) } else { 0 },
            broken: 0,
        }
    }

    /// Offers what was accepted before: nothing may come of it.
    fn again(&mut self) -> Result<(), Trouble> {
        let Some(old) = self.old() else {
            return Ok(());
        };
        // It is accepted already, whatever is answered now.
        self.admit(std::slice::from_ref(&old)).map(|_| ())
    }

    fn old(&mut self) -> Option<Sent> {
        let last = self.sent.len().checked_sub(1)?;
        let place = self.dice.between(0, last as u64);
        self.sent.get(usize::try_from(place).ok()?).cloned()
    }

    fn offer(&mut self, events: Vec<Sent>) -> Result<(), Trouble> {
        if self.admit(&events)? {
            self.sent.extend(events);
        } else {
            self.doubtful.extend(events);
        }
        Ok(())
    }

    /// Whether all of them are known to be in the ledger.
    fn admit(&self, events: &[Sent]) -> Result<bool, Trouble> {
        let offers = events.iter().map(|sent| {
            let task = TaskId::from(sent.task.as_str());
            Offer::new(task, sent.id.as_str().into(), data_of(sent))
        });
        let Ok(offered) = self.handle.block_on(self.intake.offer(offers.collect())) else {
            return Ok(false);
        };
        for (offered, sent) in offered.iter().zip(events) {
            if let Offered::Refused(why) = offered {
                return Err(Trouble(format!("{}: {why}", sent.id)));
            }
        }
        Ok(offered.len() == events.len())
    }

    /// Calls through the real binary and the proxy of a worker: something new, or something old.
    fn call(&mut self) -> Result<(), Trouble> {
        let old = if self.dice.once_in(2) {
            self.old()
        } else {
            None
        };
        let is_new = old.is_none();
        let sent = old.unwrap_or_else(|| self.event());
        let last = self.binaries.len().saturating_sub(1) as u64;
        let place = usize::try_from(self.dice.between(0, last)).unwrap_or(0);
        let Some(oncely) = self.binaries.get(place) else {
            return Ok(());
        };
        let event = oncely.root.join("events").join(&sent.id);
        fs::write(&event, data_of(&sent).to_string())?;
        let mut command = oncely.command()?;
        command.args(["call", &sent.task, "--detach", "--event"]);
        let status = command.arg(event).status()?;
        match (is_new, status.success()) {
            (true, true) => self.sent.push(sent),
            (true, false) => self.doubtful.push(sent),
            (false, _) => {}
        }
        Ok(())
    }
}
