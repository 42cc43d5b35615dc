//! Driving runs from a command: until they end, wait for a person, or are in doubt.

use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, count, moment, plain, span};
use oncely_core::fact::Fact;
use oncely_core::ids::{Environment, RunId, StepId};
use oncely_core::ledger::{Change, RunRow};
use oncely_core::question::{Notice, Question};
use oncely_core::round::Named;
use oncely_core::run::{Asked, RunState, RunStatus, Stage};
use oncely_core::time::{Clock, Timestamp};
use oncely_engine::{Ask, Engine, PeopleError, Rest, question};
use std::sync::Arc;
use std::time::Duration;

/// How a run stands when a command leaves it.
pub(crate) struct Stands {
    pub(crate) row: RunRow,
    pub(crate) state: RunState,
    /// When it was begun, as far as the facts say.
    pub(crate) began: Timestamp,
    /// Its facts are not those of its chain: nobody knows how far it came.
    pub(crate) broken: bool,
}

/// What is said of a run whose facts are not those of its chain.
const BROKEN: &str = "its facts are not those that were recorded: some were changed or lost, so that \
                      nobody knows how far it came. Nothing more is done of it";

/// What is said of a run whose event is not the one that was admitted.
pub(crate) const NOT_ITS_EVENT: &str = "its event is not the one that was admitted: it was changed or \
                                        lost. Nothing more is done of it";

impl Stands {
    /// Reads a run.
    pub(crate) async fn read(house: &House, run: RunId) -> Result<Self, Failure> {
        let ask = Ask(house.ledger());
        let row = ask.known(run).await.map_err(|error| match error {
            PeopleError::NoRun(_) => {
                Failure::usage(format!("there is no run {run} in this ledger."))
            }
            error => Failure::from(error),
        })?;
        let facts = ask.facts(run).await?;
        // A run that is found out is set aside as unknown.
        let broken = row.status == RunStatus::Unknown && !ask.broken(vec![run]).await?.is_empty();
        let state = match RunState::fold(&facts) {
            Err(_) if broken => RunState::default(),
            folded => {
                folded.map_err(|e| Failure::failed(format!("run {run} cannot be read: {e}")))?
            }
        };
        let began = facts
            .iter()
            .find(|f| matches!(f.fact, Fact::Began { .. }))
            .map_or(row.admitted, |f| f.at);
        Ok(Self {
            row,
            state,
            began,
            broken,
        })
    }

    /// Whether it waits for a person to answer.
    pub(crate) fn waits_for_person(&self) -> bool {
        !self.row.status.is_ended()
            && self
                .state
                .steps
                .values()
                .any(|s| matches!(s.stage, Stage::Asked(_)))
    }

    /// Until when it is held, where it is.
    pub(crate) fn held_until(&self) -> Option<Timestamp> {
        let ended = self.row.status.is_ended() || self.state.cancel;
        let held = self.state.steps.values().find_map(|step| match step.stage {
            Stage::Held { until } => Some(until),
            _ => None,
        });
        held.filter(|_| !ended)
    }

    /// The step that waits between two rounds, with how many it has done, and when the next one is
    /// due; none while the run is paused.
    pub(crate) fn rounds(&self) -> Option<(&StepId, u32, Option<Timestamp>)> {
        let ended = self.row.status.is_ended() || self.state.cancel;
        let (step, done) = self.state.between_rounds().filter(|_| !ended)?;
        let due = self.row.due.filter(|_| !self.state.paused);
        Some((step, done.count, due))
    }

    /// How the rounds stand that it waits between.
    pub(crate) fn rounds_said(&self) -> Option<String> {
        let (step, done, due) = self.rounds()?;
        let next = match due {
            Some(due) => format!("the next one is due at {} UTC", moment(due)),
            None => "the run is paused".into(),
        };
        Some(format!(
            "`{step}` has done {}; {next}",
            count(done as usize, "round")
        ))
    }

    /// What a person asked of a run that has not ended.
    pub(crate) fn asked_of_it(&self) -> Option<String> {
        let id = self.row.id;
        match (self.state.cancel, self.state.paused) {
            (true, _) => Some(format!(
                "is to be cancelled: the next `oncely run` or `oncely serve` ends it, or \
                 `oncely cancel {id}`"
            )),
            // Between rounds that is said with them.
            (false, true) if self.rounds().is_none() => {
                Some(format!("is paused: oncely resume {id} goes on"))
            }
            (false, _) => None,
        }
    }

    /// The step that is tried or looked at again, and when.
    pub(crate) fn tried_again(&self) -> Option<TriedAgain> {
        let over = self.row.status != RunStatus::Waiting || self.state.cancel || self.state.paused;
        let due = self.row.due.filter(|_| !over)?;
        let mut steps = self.state.steps.iter().filter(|(id, _)| !Notice::is_id(id));
        steps.find_map(|(step, state)| {
            let why = match &state.stage {
                Stage::Judged { .. } => "its condition does not hold yet".to_owned(),
                Stage::Failed { error, .. } => error.clone(),
                _ => return None,
            };
            let step = step.clone();
            Some(TriedAgain { step, why, due })
        })
    }

    fn rests(&self, now: Timestamp) -> bool {
        let held = self.held_until().is_some_and(|until| until > now);
        let between = self
            .rounds()
            .is_some_and(|(_, _, due)| due.is_none_or(|due| due > now));
        (self.waits_for_person() || held || between) && self.row.holder.is_none()
    }

    /// Whether the time to answer its question is over. Whoever claims it next ends it.
    pub(crate) fn question_is_over(&self, now: Timestamp) -> bool {
        self.state
            .steps
            .values()
            .any(|step| matches!(&step.stage, Stage::Asked(asked) if asked.question.is_over(now)))
    }

    /// The question that it waits with, whole.
    pub(crate) fn asked(&self) -> Option<&Asked> {
        question(&self.state).map(|(_, asked)| asked)
    }

    /// The question that it waits with.
    pub(crate) fn question(&self) -> Option<&str> {
        self.state
            .steps
            .values()
            .find_map(|step| match &step.stage {
                Stage::Asked(asked) => Some(asked.question.text.as_str()),
                _ => None,
            })
    }

    /// Why it failed, or is in doubt.
    pub(crate) fn reason(&self) -> String {
        if self.broken {
            return why_broken(&self.row).to_owned();
        }
        if let Some((_, reason)) = &self.state.ended {
            return reason.clone();
        }
        let doubt = self
            .state
            .steps
            .iter()
            .filter(|(id, _)| !Notice::is_id(id))
            .find_map(|(id, step)| match &step.stage {
                Stage::Unknown { error, .. } | Stage::Failed { error, .. } => {
                    Some(format!("step {}: {error}", Named(id)))
                }
                _ => None,
            });
        doubt.unwrap_or_default()
    }

    /// The exit code that says how it stands.
    pub(crate) fn exit(&self, strict: bool) -> Exit {
        match self.row.status {
            RunStatus::Done | RunStatus::Skipped | RunStatus::Imported | RunStatus::Undone => {
                Exit::Done
            }
            RunStatus::Failed | RunStatus::Cancelled => Exit::Failed,
            RunStatus::Unknown => Exit::Unknown,
            RunStatus::Pending | RunStatus::Running | RunStatus::Waiting if strict => Exit::Waiting,
            RunStatus::Pending | RunStatus::Running | RunStatus::Waiting => Exit::Done,
        }
    }

    /// How long it took, or has taken.
    pub(crate) fn took(&self) -> i64 {
        self.row.changed.millis_since(self.began)
    }
}

/// A step that is tried or looked at again.
pub(crate) struct TriedAgain {
    pub(crate) step: StepId,
    pub(crate) why: String,
    pub(crate) due: Timestamp,
}

impl TriedAgain {
    pub(crate) fn sentence(&self) -> String {
        let (why, due) = (plain(&self.why), moment(self.due));
        format!("step {}: {why}; next look at {due} UTC", Named(&self.step))
    }
}

/// Drives a run until it ends, waits for a person, or is in doubt. A run that a server holds is
/// watched instead.
pub(crate) async fn to_rest(
    house: &House,
    engine: &Arc<Engine>,
    run: RunId,
) -> Result<Stands, Failure> {
    let mut change = Change::default();
    let stop = engine.stopper();
    loop {
        if stop.is_stopping() {
            return Stands::read(house, run).await;
        }
        let rest = if is_early(house, run).await? {
            None
        } else {
            engine.drive_one(run).await?
        };
        let stands = Stands::read(house, run).await?;
        let row = &stands.row;
        let over = row.status.is_ended() || row.status == RunStatus::Unknown;
        if over || stands.rests(house.clock.now()) {
            return Ok(stands);
        }
        let wait = match (&rest, row.due) {
            (Some(Rest::Waiting { until: None, .. }), _) => return Ok(stands),
            (_, Some(due)) => due.millis_since(house.clock.now()).clamp(1, 1_000),
            (_, None) => 1_000,
        };
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(1));
        tokio::select! {
            seen = house.ledger().watch(change) => change = seen,
            () = tokio::time::sleep(wait) => {}
            () = stop.stopped() => {}
        }
    }
}

/// Whether a run waits for a moment that has not come. Every claim without progress is counted, so
/// that one made too early would speak against the run.
async fn is_early(house: &House, run: RunId) -> Result<bool, Failure> {
    let row = Ask(house.ledger()).run(run).await?;
    let now = house.clock.now();
    Ok(row.is_some_and(|row| row.holder.is_none() && row.due.is_some_and(|due| due > now)))
}

/// What is said of a run whose facts or whose event were changed or lost.
pub(crate) fn why_broken(row: &RunRow) -> &'static str {
    match row.has_its_event() {
        true => BROKEN,
        false => NOT_ITS_EVENT,
    }
}

/// What may be done about a run whose facts are not those of its chain.
pub(crate) fn ways_on_broken(row: &RunRow) -> String {
    let id = row.id;
    if !row.has_its_event() {
        return format!("Look: oncely show {id}; a backup may know more");
    }
    format!(
        "Look: oncely show {id}; a backup may know more. Once more, from the start: oncely rerun {id} \
         --reason \"…\""
    )
}

/// The commands that go on with a run that failed.
pub(crate) fn ways_on(row: &RunRow) -> String {
    let id = row.id;
    let look = format!("Look: oncely show {id}   Go on from there: oncely resume {id}");
    match row.undoes() {
        Some(_) => look,
        None => {
            format!("{look}\n       With the file as it is now: oncely rerun {id} --reason \"…\"")
        }
    }
}

/// What a run is called: what takes another one back says so.
fn named(label: &str, row: &RunRow) -> String {
    match row.undoes() {
        Some(first) => format!("{label}, undo of run {first}"),
        None => label.to_owned(),
    }
}

/// What is to be ticked, who may answer and until when, a line for each.
pub(crate) fn asking(question: &Question) -> Vec<String> {
    let things = question.tick.iter().enumerate();
    let mut lines: Vec<String> = things
        .map(|(n, thing)| format!("[{}] {}", n + 1, plain(thing)))
        .collect();
    if !question.by.is_empty() {
        lines.push(format!("For: {}", question.by.join(" or ")));
    }
    if question.not_by.is_some() {
        lines.push("Not for who started it".into());
    }
    lines.extend(
        question
            .expires
            .map(|until| format!("No answer by {} UTC counts as no", moment(until))),
    );
    lines
}

/// What a yes needs besides.
pub(crate) fn tick_all(question: &Question) -> &'static str {
    if question.tick.is_empty() {
        ""
    } else {
        " --tick all"
    }
}

/// Says how a run stands, with the command that goes on.
pub(crate) fn say(voice: Voice, label: &str, stands: &Stands, environment: &Environment) {
    let row = &stands.row;
    let label = named(label, row);
    voice.record(&serde_json::json!({
        "run": row.id, "task": row.task, "key": row.key, "environment": environment,
        "status": row.status, "millis": stands.took(), "reason": stands.reason(),
    }));
    let id = row.id;
    match row.status {
        RunStatus::Done => {
            voice.say(format!(
                "{} {label}  {}",
                voice.status(row.status),
                voice.dim(span(stands.took()))
            ));
        }
        RunStatus::Failed => {
            voice.say(format!(
                "{} {label}: {}",
                voice.status(row.status),
                stands.reason()
            ));
            voice.say(format!("       {}", ways_on(row)));
        }
        RunStatus::Unknown => {
            voice.say(format!(
                "{} {label}: {}",
                voice.status(row.status),
                stands.reason()
            ));
            if stands.broken {
                voice.say(format!("       {}", ways_on_broken(row)));
                return;
            }
            voice.say(format!(
                "       Nothing is repeated before you say what became of it: oncely settle {id} done|not-done --reason \"…\""
            ));
        }
        RunStatus::Pending | RunStatus::Running | RunStatus::Waiting => {
            let asks = stands
                .question()
                .map(|q| format!(": {}", plain(q)))
                .unwrap_or_default();
            voice.say(format!("{} {label}{asks}", voice.status(row.status)));
            if let (Some(asked), true) = (stands.asked(), stands.waits_for_person()) {
                for line in asking(&asked.question) {
                    voice.say(format!("        {line}"));
                }
                let tick = tick_all(&asked.question);
                voice.say(format!(
                    "        Answer: oncely approve {id}{tick}   or: oncely reject {id}"
                ));
            } else if let Some(until) = stands.held_until() {
                voice.say(format!("        Held until {} UTC", moment(until)));
            } else if let Some(rounds) = stands.rounds_said() {
                voice.say(format!("        {rounds}"));
            } else if let Some(waits) = stands.tried_again() {
                voice.say(format!("        {}", waits.sentence()));
            }
        }
        RunStatus::Cancelled | RunStatus::Skipped | RunStatus::Undone | RunStatus::Imported => {
            voice.say(format!(
                "{} {label}: {}",
                voice.status(row.status),
                stands.reason()
            ));
        }
    }
}
