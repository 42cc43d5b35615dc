//! Carries events from a source to the intake, and the verdicts back.

use crate::ask::Ask;
use crate::dispatch::{Engine, passes};
use crate::hold::Hold;
use crate::intake::{Offer, Offered, Seen};
use oncely_core::ids::TaskId;
use oncely_core::ledger::LedgerError;
use oncely_core::points::{self, Point};
use oncely_core::sabotage::{self, Switch};
use oncely_core::source::{Batch, Cursor, Problem, Receipt, Room, Source, Verdict};
use oncely_core::task::Existing;
use std::sync::Arc;
use std::time::Duration;

/// Something that people should hear about a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// An event started a run.
    Admitted(TaskId, String),
    /// It had started one before.
    Duplicate(TaskId, String),
    /// It is not an event, or was refused.
    Problem(TaskId, Problem),
}

/// Who hears the notices.
pub type Notices = Arc<dyn Fn(Notice) + Send + Sync>;

/// Events asked of a source at once.
const ROOM: Room = Room { events: 256 };

/// Why a thing that a new task finds is not done.
const WAS_THERE: &str = "it was there before the task, which says existing = \"skip\"";

/// A source is looked at so often even when it says nothing.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How soon a source that another process polls is asked for again.
const TAKE_OVER_EVERY: Duration = Duration::from_secs(1);

/// A source, and what it is known by.
pub struct Pumped {
    /// The task that its events start.
    pub task: TaskId,
    /// The name of its cursor.
    pub name: String,
    /// The name under which one process at a time polls it; none where each has to.
    pub hold: Option<String>,
    /// The source.
    pub source: Box<dyn Source>,
}

/// Polls a source for a task until the engine stops.
///
/// # Errors
/// When the ledger cannot be used, or the task does not say what to do with things that were there
/// before it.
pub async fn pump(
    engine: Arc<Engine>,
    pumped: Pumped,
    notices: Notices,
) -> Result<(), LedgerError> {
    let stop = engine.stopper();
    let hold = pumped.hold.map(|name| Hold::new(Arc::clone(&engine), name));
    let mut source = pumped.source;
    let mut pump = Pump {
        engine,
        task: pumped.task,
        name: pumped.name,
        hold,
        notices,
        said: None,
    };
    while !stop.is_stopping() {
        if !pump.polls().await? {
            tokio::select! {
                () = tokio::time::sleep(TAKE_OVER_EVERY) => continue,
                () = stop.stopped() => break,
            }
        }
        let wait = pump.round(&mut *source).await?;
        tokio::select! {
            () = source.changed(), if wait > Duration::ZERO => {}
            () = tokio::time::sleep(wait) => {}
            () = stop.stopped() => break,
        }
    }
    Ok(())
}

struct Pump {
    engine: Arc<Engine>,
    task: TaskId,
    name: String,
    hold: Option<Hold>,
    notices: Notices,
    /// What is wrong with the source as a whole and has been said.
    said: Option<String>,
}

impl Pump {
    /// Whether it is this process that polls the source.
    async fn polls(&mut self) -> Result<bool, LedgerError> {
        let Some(hold) = &mut self.hold else {
            return Ok(true);
        };
        match hold.is_mine().await {
            Ok(mine) => Ok(mine),
            Err(error) => self.later(error).map(|_| false),
        }
    }

    /// Polls once; says how long to wait.
    async fn round(&mut self, source: &mut dyn Source) -> Result<Duration, LedgerError> {
        let cursor = match Ask(self.engine.ledger()).cursor(self.name.clone()).await {
            Ok(cursor) => cursor,
            Err(error) => return self.later(error),
        };
        let batch = match source.poll(cursor.as_ref(), ROOM).await {
            Ok(batch) => batch,
            Err(error) => {
                self.trouble(error.message);
                return Ok(error.again_after);
            }
        };
        self.pass(Point::SourcePolled, batch.events.is_empty());
        for problem in &batch.problems {
            (self.notices)(Notice::Problem(self.task.clone(), problem.clone()));
        }
        let more = batch.more;
        if sabotage::is_off(Switch::Acknowledge) {
            let told = batch
                .events
                .iter()
                .map(|e| (e.receipt.clone(), Verdict::Admitted));
            let _ = source.acknowledge(told.collect()).await;
        }
        let verdicts = match self.take(source.existing(), batch, cursor).await {
            Ok(verdicts) => verdicts,
            Err(error) => {
                if matches!(error, LedgerError::Full(_)) {
                    source.no_room();
                }
                return self.later(error);
            }
        };
        let nothing = verdicts.is_empty();
        self.pass(Point::AcknowledgeBefore, nothing);
        match source.acknowledge(verdicts).await {
            Ok(()) => self.said = None,
            Err(error) => self.trouble(error.message),
        }
        self.pass(Point::AcknowledgeAfter, nothing);
        Ok(if more { Duration::ZERO } else { LOOK_EVERY })
    }

    fn pass(&self, point: Point, nothing: bool) {
        if !nothing {
            points::pass_in(point, self.task.as_str(), "");
        }
    }

    /// What passes by itself is waited for; what was not taken is offered again.
    fn later(&mut self, error: LedgerError) -> Result<Duration, LedgerError> {
        if !passes(&error) {
            return Err(error);
        }
        match error {
            // Said for all sources together.
            LedgerError::Full(_) => self.engine.room().hears(&error),
            other => self.trouble(other.to_string()),
        }
        Ok(Duration::from_secs(1))
    }

    /// Says what is wrong with the source as a whole, once for as long as it lasts.
    fn trouble(&mut self, message: String) {
        if self.said.as_ref() != Some(&message) {
            self.problem(&self.name, message.clone());
            self.said = Some(message);
        }
    }

    async fn take(
        &self,
        existing: Option<Existing>,
        batch: Batch,
        cursor: Option<Cursor>,
    ) -> Result<Vec<(Receipt, Verdict)>, LedgerError> {
        if batch.events.iter().any(|e| e.existing) && existing.is_none() {
            return Err(LedgerError::Unusable(undecided(&self.task, &self.name)));
        }
        let offers = batch.events.iter().map(|sourced| Offer {
            skip: (sourced.existing && existing == Some(Existing::Skip)).then(|| WAS_THERE.into()),
            ..Offer::new(
                self.task.clone(),
                sourced.event.key.clone(),
                sourced.event.data.clone(),
            )
        });
        let moved = batch.cursor.filter(|to| Some(to) != cursor.as_ref());
        let seen = moved.map(|to| Seen {
            source: self.name.clone(),
            from: cursor,
            to,
        });
        let offers: Vec<_> = offers.collect();
        if offers.is_empty() && seen.is_none() {
            return Ok(Vec::new());
        }
        let offered = self.engine.offer(offers, seen).await?;
        let verdicts = batch
            .events
            .into_iter()
            .zip(offered)
            .map(|(sourced, offered)| {
                let verdict = self.say(sourced.event.key.as_str(), offered);
                (sourced.receipt, verdict)
            });
        Ok(verdicts.collect())
    }

    fn say(&self, key: &str, offered: Offered) -> Verdict {
        let task = self.task.clone();
        match offered {
            Offered::Admitted(_) => {
                (self.notices)(Notice::Admitted(task, key.to_owned()));
                Verdict::Admitted
            }
            Offered::Duplicate(_) => {
                (self.notices)(Notice::Duplicate(task, key.to_owned()));
                Verdict::Duplicate
            }
            Offered::Refused(why) => {
                self.problem(key, why);
                Verdict::Refused
            }
        }
    }

    fn problem(&self, about: &str, message: String) {
        let problem = Problem {
            about: about.to_owned(),
            message,
        };
        (self.notices)(Notice::Problem(self.task.clone(), problem));
    }
}

fn undecided(task: &TaskId, source: &str) -> String {
    format!(
        "task `{task}` is new and {source} already holds things. Nothing was started. Say in the \
         task file what is to happen with them: existing = \"run\" or existing = \"skip\" under \
         [on.object]."
    )
}
