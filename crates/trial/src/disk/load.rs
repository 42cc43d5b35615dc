//! What is sent all the time, to a full disk too: events of every kind, through the library and through the
//! gateway.

use super::web;
use crate::check::Sent;
use crate::crash::{Oncely, Trouble, data_of, known_task};
use crate::dice::Dice;
use oncely_core::ids::TaskId;
use oncely_core::ledger::{Ledger, LedgerError};
use oncely_engine::{Ask, Intake, Offer, Offered, Tasks};
use oncely_ledger::{Options, SqliteLedger, SystemClock};
use std::path::Path;
use std::sync::Arc;

/// Tasks that are called.
const CALLED: [&str; 7] = [
    "orders", "letters", "notes", "chain", "tally", "batch", "mails",
];

/// Runs that have not ended beyond which nothing is added.
const BACKLOG: usize = 30;

/// The task that requests start.
pub(super) const DOOR: &str = r#"title = "A request that starts a recognised request"
[on.webhook]
path   = "/hooks/door"
key    = "event.body.id"
verify = "none"
[[step]]
id    = "tell"
retry = { attempts = 50, first = "50ms", max = "500ms" }
  [step.http]
  method       = "POST"
  url          = "http://127.0.0.1:@PORT@/door/tell"
  json         = { id = "{{ event.body.id }}" }
  key_honoured = "24h"
"#;

/// Sends, and remembers what was accepted.
pub(super) struct Load {
    ledger: Arc<SqliteLedger>,
    intake: Intake,
    dice: Dice,
    offered: u64,
    /// What was accepted.
    pub(super) sent: Vec<Sent>,
    /// How often something was refused, since the disk was full.
    pub(super) refused: u64,
    /// How often a sender of a webhook was told to come again.
    pub(super) told_later: u64,
}

impl Load {
    pub(super) fn open(oncely: &Oncely, ledger: &Path, seed: u64) -> Result<Self, Trouble> {
        let ledger = Arc::new(SqliteLedger::open(ledger, Options::new("oncely-trial"))?);
        let tasks = CALLED.iter().map(|name| known_task(&oncely.root, name));
        let tasks = Arc::new(Tasks::new(tasks.collect::<Result<Vec<_>, _>>()?));
        let shared = Arc::clone(&ledger) as Arc<dyn Ledger>;
        Ok(Self {
            intake: Intake::new(shared, tasks, "trial".into(), Arc::new(SystemClock)),
            ledger,
            dice: Dice::new(seed),
            offered: 0,
            sent: Vec::new(),
            refused: 0,
            told_later: 0,
        })
    }

    pub(super) fn ask(&self) -> Ask<'_> {
        Ask(&*self.ledger)
    }

    pub(super) fn is_full(&self) -> bool {
        self.ledger.is_full() == Some(true)
    }

    /// Sends a few events of every kind, where not too much is left to do.
    pub(super) async fn send_some(&mut self, address: &str) -> Result<(), Trouble> {
        if super::told::unended(self.ask()).await?.len() > BACKLOG {
            return Ok(());
        }
        for _ in 0..self.dice.between(2, 5) {
            let last = CALLED.len() as u64 - 1;
            let place = usize::try_from(self.dice.between(0, last)).unwrap_or(0);
            self.offer(CALLED.get(place).copied().unwrap_or("orders"))
                .await?;
        }
        self.knock(address).await.map(drop)
    }

    fn event(&mut self, task: &str) -> Sent {
        self.offered += 1;
        let many = matches!(task, "batch" | "mails");
        Sent {
            task: task.to_owned(),
            id: format!("{task}-{}", self.offered),
            good: if many { self.dice.between(3, 20) } else { 0 },
            broken: 0,
        }
    }

    /// Offers an event of a task; none when there is no room for it.
    pub(super) async fn offer(&mut self, task: &str) -> Result<Option<String>, Trouble> {
        let event = self.event(task);
        let data = data_of(&event);
        let offer = Offer::new(TaskId::from(task), event.id.as_str().into(), data);
        match self.intake.offer(vec![offer]).await {
            Ok(offered) if matches!(offered.as_slice(), [Offered::Admitted(_)]) => {
                let id = event.id.clone();
                self.sent.push(event);
                Ok(Some(id))
            }
            Ok(other) => Err(Trouble(format!("{} was answered with {other:?}", event.id))),
            Err(LedgerError::Full(_)) => {
                self.refused += 1;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a webhook; none when it is to come again.
    pub(super) async fn knock(&mut self, address: &str) -> Result<Option<String>, Trouble> {
        let event = self.event("door");
        let body = data_of(&event).to_string();
        let said = web::ask(address, "POST /hooks/door", &body).await?;
        match web::status(&said) {
            202 => {
                let id = event.id.clone();
                self.sent.push(event);
                Ok(Some(id))
            }
            503 if said.contains("retry-after: 5") => {
                self.told_later += 1;
                Ok(None)
            }
            _ => Err(Trouble(format!("{} was answered with {said}", event.id))),
        }
    }
}
