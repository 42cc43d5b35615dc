//! How fast a stream goes: it asks for leave before each range, and gives its place among the acting
//! steps back while it waits.

use super::run::Work;
use crate::act::clip;
use crate::ask::Ask;
use crate::dispatch::Place;
use oncely_core::action::{Call, Failure};
use oncely_core::ids::StepId;
use oncely_core::ledger::{Guard, LedgerError, Op, Unit};
use oncely_core::limits;
use oncely_core::pause::{self, Pause};
use oncely_core::source::Cursor;
use oncely_core::task::Check;
use oncely_core::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// How long a stream sleeps before it looks at the clock again.
const NAP: Duration = Duration::from_millis(20);

/// Naps between two looks whether somebody asked something of the run.
const NAPS_TO_ASK: u32 = 25;

/// Whether a stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// With the next range.
    Go,
    /// The process is stopping.
    Stopping,
    /// Somebody asked something of the run, or has it.
    Asked,
}

/// When the next range may begin.
pub(crate) struct Pace {
    /// Its place among the steps that act, of which a part is given back while it waits.
    place: Place,
    /// Items of a range.
    pub(crate) batch: usize,
    due: Option<Timestamp>,
    look_again: Option<Timestamp>,
    /// Whether the ledger has it that the stream pauses; none before this process knows.
    pauses: Option<bool>,
    naps: u32,
}

impl Pace {
    pub(crate) fn new(work: &Work<'_>, place: Place, most: usize) -> Self {
        Self {
            place,
            batch: work.each.pace.batch(most),
            due: None,
            look_again: None,
            pauses: None,
            naps: 0,
        }
    }

    /// Whether there is anything to ask before a range.
    pub(crate) fn asks(work: &Work<'_>) -> bool {
        work.each.pace.rate.is_some() || work.each.pace.check.is_some()
    }

    /// Waits until the next range may begin. Giving it up half-way loses nothing.
    pub(crate) async fn leave(&mut self, work: &Work<'_>) -> Result<Leave, LedgerError> {
        loop {
            let now = work.runner.clock.now();
            if let Some(due) = self.due.filter(|due| *due > now) {
                match self.nap(work, due).await? {
                    Leave::Go => continue,
                    over => return Ok(over),
                }
            }
            match self.look(work, now).await? {
                Ok(()) => break,
                Err(again_at) => self.due = Some(again_at),
            }
        }
        if !work
            .runner
            .slots
            .come_back(&mut self.place, &work.runner.stop)
            .await?
        {
            return Ok(Leave::Stopping);
        }
        let now = work.runner.clock.now();
        self.due = work.each.pace.rate.map(|rate| {
            let from = self.due.map_or(now, |due| due.max(now));
            from.plus_millis(rate.millis(self.batch as u64))
        });
        Ok(Leave::Go)
    }

    /// A short sleep; others may act meanwhile.
    async fn nap(&mut self, work: &Work<'_>, due: Timestamp) -> Result<Leave, LedgerError> {
        self.place.step_aside();
        let left = due.millis_since(work.runner.clock.now()).max(1);
        let left = Duration::from_millis(left.unsigned_abs());
        tokio::select! {
            () = tokio::time::sleep(NAP.min(left)) => {}
            () = work.runner.stop.stopped() => return Ok(Leave::Stopping),
        }
        self.naps = (self.naps + 1) % NAPS_TO_ASK;
        if self.naps == 0 && asked(work).await? {
            return Ok(Leave::Asked);
        }
        Ok(Leave::Go)
    }

    /// Looks whether it may go on; when to look again, where it may not.
    async fn look(
        &mut self,
        work: &Work<'_>,
        now: Timestamp,
    ) -> Result<Result<(), Timestamp>, LedgerError> {
        let Some(check) = &work.each.pace.check else {
            return Ok(Ok(()));
        };
        if self.look_again.is_some_and(|again| again > now) {
            return Ok(Ok(()));
        }
        let looked = looked(work, check, now).await;
        let again = work.runner.clock.now().plus_millis(check.every_ms);
        match looked {
            Ok(()) => {
                self.look_again = Some(again);
                self.tell(work, check, None).await?;
                Ok(Ok(()))
            }
            Err(_) if work.runner.stop.is_stopping() => Ok(Err(again)),
            Err(failure) => {
                tracing::warn!(
                    "run {} waits in step `{}`: its `while` does not hold, looked at again in {} s: {}",
                    work.job.row.id,
                    work.step.id,
                    check.every_ms / 1000,
                    failure.error()
                );
                self.tell(work, check, Some(&failure)).await?;
                Ok(Err(again))
            }
        }
    }

    /// Tells the ledger when a pause begins and when it is over, and not of every look. One that began
    /// in another process goes on.
    async fn tell(
        &mut self,
        work: &Work<'_>,
        check: &Check,
        failure: Option<&Failure>,
    ) -> Result<(), LedgerError> {
        if self.pauses.replace(failure.is_some()) == Some(failure.is_some()) {
            return Ok(());
        }
        let (run, fence) = (work.job.row.id, work.job.fence);
        let name = pause::name(run, &work.step.id);
        let kept = Ask(&*work.runner.ledger).cursor(name.clone()).await?;
        let kept = kept.and_then(|Cursor(text)| Pause::read(&text));
        if kept.is_some() == failure.is_some() {
            return Ok(());
        }
        let pause = failure.map(|failure| Pause {
            since: work.runner.clock.now(),
            every_ms: check.every_ms,
            why: clip(failure.error().to_owned()),
        });
        let text = Pause::text(pause.as_ref());
        let unit = Unit {
            guards: vec![Guard::Fence(run, fence)],
            ops: vec![Op::Cursor(name, Cursor(text))],
        };
        // Whoever has the run now says how it stands.
        work.commit(unit).await.map(drop)
    }
}

/// Whether somebody asked something of the run since its last fact that we know.
async fn asked(work: &Work<'_>) -> Result<bool, LedgerError> {
    let row = Ask(&*work.runner.ledger).run(work.job.row.id).await?;
    Ok(row.is_none_or(|row| row.seq != work.job.committed))
}

async fn looked(work: &Work<'_>, check: &Check, now: Timestamp) -> Result<(), Failure> {
    let action = work
        .runner
        .action(check.spec.kind)
        .map_err(Failure::permanent)?;
    let context = work.job.context(now);
    let options = check.spec.options.render(&context);
    let id = StepId::from(format!("{}/while", work.step.id));
    let call = Call {
        options: options.map_err(|error| Failure::permanent(error.to_string()))?,
        key: crate::begin::effect_key(work.job, &id, None),
        attempt: 1,
        timeout: Duration::from_millis(limits::LOOK_MS),
        first_intent: now,
        site: Arc::new(work.job.site(&id, &work.runner.ledger.name())),
        input: Arc::default(),
    };
    tokio::select! {
        looked = tokio::time::timeout(call.timeout, action.look(&call)) => {
            looked.unwrap_or_else(|_| Err(Failure::retry("it did not answer in time")))
        }
        () = work.runner.stop.stopped() => Err(Failure::retry("the process is stopping")),
    }
}
