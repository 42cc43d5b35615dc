//! A run as the fold of its facts. An illegal transition is an error, never a panic.

use crate::Value;
use crate::effect::EffectKey;
use crate::fact::{BY_PROBE, BY_RULE, End, Fact, Outcome, Recorded, Repeat, Request, Settlement};
use crate::ids::{ContentHash, Fence, StepId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What a run's row in the ledger says: enough to list it and to know whether it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Admitted, not begun.
    Pending,
    /// Being worked on, or about to be.
    Running,
    /// Waiting for a time or a person.
    Waiting,
    /// Every step is done.
    Done,
    /// A step failed for good.
    Failed,
    /// Nobody knows whether an attempt happened; a person must say.
    Unknown,
    /// A person ended it.
    Cancelled,
    /// It was not to be done.
    Skipped,
    /// What it did was taken back.
    Undone,
    /// It was done before oncely came.
    Imported,
}

impl RunStatus {
    /// Every status, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::Running,
        Self::Waiting,
        Self::Done,
        Self::Failed,
        Self::Unknown,
        Self::Cancelled,
        Self::Skipped,
        Self::Undone,
        Self::Imported,
    ];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Undone => "undone",
            Self::Imported => "imported",
        }
    }

    /// The status of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }

    /// Whether nothing more will happen by itself or by an answer.
    #[must_use]
    pub fn is_ended(self) -> bool {
        match self {
            Self::Pending | Self::Running | Self::Waiting | Self::Unknown => false,
            Self::Done
            | Self::Failed
            | Self::Cancelled
            | Self::Skipped
            | Self::Undone
            | Self::Imported => true,
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// An intent is committed, its outcome is not.
    Open {
        /// The claim under which it was made.
        fence: Fence,
    },
    /// The last attempt is known not to have happened.
    Failed {
        /// When.
        at: Timestamp,
        /// What went wrong.
        error: String,
        /// Whether trying again may help.
        again: bool,
        /// Milliseconds that the other side asked to wait.
        after_ms: Option<i64>,
    },
    /// Nobody knows about the last attempt.
    Unknown {
        /// When it became so.
        at: Timestamp,
        /// Why.
        error: String,
        /// Its process went away, rather than seeing it go wrong.
        crashed: bool,
    },
    /// A condition did not hold yet.
    Judged {
        /// When it was first judged.
        since: Timestamp,
        /// When it is judged again.
        again_at: Timestamp,
    },
    /// A person was asked.
    Asked {
        /// The text.
        text: String,
        /// Its hash.
        hash: ContentHash,
        /// When the question expires.
        expires: Option<Timestamp>,
    },
    /// It is done.
    Done,
    /// It was passed over.
    Skipped,
    /// It failed for good without an attempt: a condition or a person said no.
    Refused {
        /// Why.
        why: String,
    },
}

/// A step that something has happened to.
#[derive(Debug, Clone, PartialEq)]
pub struct StepState {
    /// Where it stands.
    pub stage: Stage,
    /// Attempts made, in all.
    pub attempts: u32,
    /// Attempts made since it was last told to go on; what the retry policy counts.
    pub tries: u32,
    /// When the first attempt was about to be made: a key's window counts from here.
    pub first_intent: Option<Timestamp>,
    /// When the last attempt was about to be made.
    pub last_intent: Option<Timestamp>,
    /// The call as it was rendered for the first attempt.
    pub call: Option<Value>,
    /// What was declared about repeating it.
    pub repeat: Option<Repeat>,
    /// The effect key.
    pub key: Option<EffectKey>,
    /// A probe has been tried for the attempt that is unknown.
    pub probed: bool,
    /// It was settled as not done and no attempt has ended since: what is in doubt is done again.
    pub redo: bool,
    /// The claim of the first attempt since it was settled as not done: what is in doubt from
    /// earlier claims is done again, what is in doubt since is not.
    pub redo_from: Option<Fence>,
    /// Nobody knows about some attempt so far, whatever became of later ones.
    pub in_doubt: bool,
    /// The last failure said that trying again may help, and how long to wait.
    pub advice: Advice,
}

/// What a failure says about the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// Whether trying again may help.
    pub again: bool,
    /// Milliseconds that the other side asked to wait.
    pub after_ms: Option<i64>,
}

impl Advice {
    const NONE: Self = Self {
        again: true,
        after_ms: None,
    };
}

impl StepState {
    fn new(stage: Stage) -> Self {
        Self {
            stage,
            attempts: 0,
            tries: 0,
            first_intent: None,
            last_intent: None,
            call: None,
            repeat: None,
            key: None,
            probed: false,
            redo: false,
            redo_from: None,
            in_doubt: false,
            advice: Advice::NONE,
        }
    }
}

/// A fact that cannot follow the facts before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Illegal {
    /// The fact's number, from 0.
    pub seq: u64,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "fact {} cannot follow the facts before it: {}",
            self.seq, self.why
        )
    }
}

impl std::error::Error for Illegal {}

/// The state of a run: the fold of its facts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunState {
    /// Facts folded so far.
    pub seq: u64,
    /// The text that it is pinned to, once it has begun.
    pub text: Option<ContentHash>,
    /// Models by name, with their checksums.
    pub models: BTreeMap<String, String>,
    /// Steps that something has happened to.
    pub steps: BTreeMap<StepId, StepState>,
    /// Outputs of done steps, by step: what templates read under `steps`.
    pub outputs: serde_json::Map<String, Value>,
    /// A person asked to end it.
    pub cancel: bool,
    /// A person asked to hold it.
    pub paused: bool,
    /// How and why it ended.
    pub ended: Option<(End, String)>,
}

type Folded = Result<(), String>;

impl RunState {
    /// Folds recorded facts.
    ///
    /// # Errors
    /// When a fact cannot follow those before it.
    pub fn fold<'a>(facts: impl IntoIterator<Item = &'a Recorded>) -> Result<Self, Illegal> {
        let mut state = Self::default();
        for recorded in facts {
            state.apply(recorded.at, &recorded.fact)?;
        }
        Ok(state)
    }

    /// Adds one fact. When it is illegal the state is left as it was.
    ///
    /// # Errors
    /// When the fact cannot follow those before it.
    pub fn apply(&mut self, at: Timestamp, fact: &Fact) -> Result<(), Illegal> {
        self.transition(at, fact)
            .map_err(|why| Illegal { seq: self.seq, why })?;
        self.seq += 1;
        Ok(())
    }

    /// Whether an intent is committed whose outcome is not.
    #[must_use]
    pub fn open_step(&self) -> Option<&StepId> {
        self.steps
            .iter()
            .find(|(_, s)| matches!(s.stage, Stage::Open { .. }))
            .map(|(id, _)| id)
    }

    fn transition(&mut self, at: Timestamp, fact: &Fact) -> Folded {
        if self.ended.is_some() {
            return self.after_end(fact);
        }
        if self.text.is_none() && !may_come_before_began(fact) {
            return Err("the run has not begun".into());
        }
        match fact {
            Fact::Began { text, models } => self.begin(*text, models),
            Fact::Skipped { step, .. } => self.fresh(step, StepState::new(Stage::Skipped)),
            Fact::Intent {
                step,
                attempt,
                fence,
                call,
                repeat,
                key,
            } => self.intend(at, step, *attempt, *fence, call.as_ref(), *repeat, key),
            Fact::Interrupted { step, attempt } => self.interrupt(at, step, *attempt),
            Fact::Outcome {
                step,
                attempt,
                outcome,
            } => self.outcome(at, step, *attempt, outcome),
            Fact::Probed { step, attempt, .. } => self.probe(step, *attempt),
            Fact::Judged {
                step,
                held,
                message,
                again_at,
            } => self.judge(at, step, *held, message, *again_at),
            Fact::Asked {
                step,
                text,
                hash,
                expires,
            } => {
                let stage = Stage::Asked {
                    text: text.clone(),
                    hash: *hash,
                    expires: *expires,
                };
                self.fresh(step, StepState::new(stage))
            }
            Fact::Answered {
                step,
                approved,
                by,
                note,
                hash,
            } => {
                self.in_time(at, step)?;
                self.answer(step, *approved, by, note, *hash)
            }
            Fact::Settled {
                step,
                attempt,
                settlement,
                by,
                reason,
            } => {
                self.settle(at, step, *attempt, settlement, reason)?;
                self.told_to_go_on(step, by);
                Ok(())
            }
            Fact::Requested { what, .. } => self.request(*what),
            Fact::Ended { end, reason } => self.end(*end, reason),
        }
    }

    fn begin(&mut self, text: ContentHash, models: &BTreeMap<String, String>) -> Folded {
        if self.text.is_some() {
            return Err("the run has begun already".into());
        }
        self.text = Some(text);
        self.models.clone_from(models);
        Ok(())
    }

    /// Only a resume may follow the end, and only that of a run that failed.
    fn after_end(&mut self, fact: &Fact) -> Folded {
        match (fact, &self.ended) {
            (
                Fact::Requested {
                    what: Request::Resume,
                    ..
                },
                Some((End::Failed, _)),
            ) => {
                self.ended = None;
                self.cancel = false;
                self.paused = false;
                self.reopen_failed();
                Ok(())
            }
            _ => Err("the run has ended".into()),
        }
    }

    /// A person told it to go on: the retry policy counts anew.
    fn forgive_tries(&mut self) {
        for step in self.steps.values_mut() {
            if matches!(step.stage, Stage::Failed { again: true, .. }) {
                step.tries = 0;
            }
        }
    }

    /// Conditions are judged and people are asked anew; what failed or was given up in doubt has
    /// all its tries again.
    fn reopen_failed(&mut self) {
        self.steps.retain(|_, s| {
            !matches!(
                s.stage,
                Stage::Refused { .. } | Stage::Judged { .. } | Stage::Asked { .. }
            )
        });
        for step in self.steps.values_mut() {
            match &mut step.stage {
                Stage::Failed {
                    again, after_ms, ..
                } => {
                    *again = true;
                    *after_ms = None;
                }
                Stage::Unknown { .. } => {}
                _ => continue,
            }
            step.advice = Advice::NONE;
            step.tries = 0;
        }
    }

    fn fresh(&mut self, step: &StepId, state: StepState) -> Folded {
        if self.steps.contains_key(step) {
            return Err(format!("something has happened to step `{step}` already"));
        }
        if let Some(open) = self.open_step() {
            return Err(format!("step `{open}` is still open"));
        }
        self.steps.insert(step.clone(), state);
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // The parts of one fact.
    fn intend(
        &mut self,
        at: Timestamp,
        step: &StepId,
        attempt: u32,
        fence: Fence,
        call: Option<&Value>,
        repeat: Repeat,
        key: &EffectKey,
    ) -> Folded {
        if let Some(open) = self.open_step() {
            return Err(format!("step `{open}` is still open"));
        }
        if self.cancel {
            return Err("the run is being cancelled".into());
        }
        let known = self.steps.get(step);
        let made = known.map_or(0, |s| s.attempts);
        if attempt != made + 1 {
            return Err(format!(
                "attempt {attempt} of step `{step}` follows attempt {made}"
            ));
        }
        if let Some(state) = known {
            may_try_again(step, state, at, repeat, key)?;
        } else if call.is_none() {
            return Err(format!("the first attempt of step `{step}` has no call"));
        }
        let entry = self
            .steps
            .entry(step.clone())
            .or_insert_with(|| StepState::new(Stage::Open { fence }));
        entry.stage = Stage::Open { fence };
        entry.attempts = attempt;
        entry.tries += 1;
        if entry.redo {
            entry.redo_from.get_or_insert(fence);
        }
        entry.probed = false;
        entry.first_intent.get_or_insert(at);
        entry.last_intent = Some(at);
        if let Some(call) = call {
            entry.call = Some(call.clone());
        }
        entry.repeat = Some(repeat);
        entry.key = Some(key.clone());
        Ok(())
    }

    fn outcome(&mut self, at: Timestamp, step: &StepId, attempt: u32, outcome: &Outcome) -> Folded {
        let in_doubt = self.steps.get(step).is_some_and(doubt_stays);
        let state = self.close(step, attempt, stage_of(at, outcome, in_doubt))?;
        match outcome {
            Outcome::Done { output } => {
                state.in_doubt = false;
                self.outputs.insert(step.to_string(), output.clone());
            }
            Outcome::Failed {
                again, after_ms, ..
            } => {
                state.advice = Advice {
                    again: *again,
                    after_ms: *after_ms,
                };
            }
            Outcome::Unknown { .. } => {
                state.in_doubt = true;
                state.advice = Advice::NONE;
            }
        }
        Ok(())
    }

    fn close(
        &mut self,
        step: &StepId,
        attempt: u32,
        stage: Stage,
    ) -> Result<&mut StepState, String> {
        let state = self
            .steps
            .get_mut(step)
            .ok_or_else(|| format!("step `{step}` was never begun"))?;
        if !matches!(state.stage, Stage::Open { .. }) || state.attempts != attempt {
            return Err(format!("attempt {attempt} of step `{step}` is not open"));
        }
        state.redo &= matches!(stage, Stage::Unknown { crashed: true, .. });
        state.stage = stage;
        Ok(state)
    }

    /// A crash is not a try: the ledger counts claims without progress.
    fn interrupt(&mut self, at: Timestamp, step: &StepId, attempt: u32) -> Folded {
        let error = "the process that made the attempt went away before it said how it ended";
        let stage = Stage::Unknown {
            at,
            error: error.into(),
            crashed: true,
        };
        let state = self.close(step, attempt, stage)?;
        state.tries = state.tries.saturating_sub(1);
        state.in_doubt = true;
        state.advice = Advice::NONE;
        Ok(())
    }

    fn probe(&mut self, step: &StepId, attempt: u32) -> Folded {
        self.unknown_attempt(step, attempt)?.probed = true;
        Ok(())
    }

    fn unknown_attempt(&mut self, step: &StepId, attempt: u32) -> Result<&mut StepState, String> {
        match self.steps.get_mut(step) {
            Some(state)
                if matches!(state.stage, Stage::Unknown { .. }) && state.attempts == attempt =>
            {
                Ok(state)
            }
            _ => Err(format!("attempt {attempt} of step `{step}` is not unknown")),
        }
    }

    fn judge(
        &mut self,
        at: Timestamp,
        step: &StepId,
        held: bool,
        message: &str,
        again_at: Option<Timestamp>,
    ) -> Folded {
        let since = match self.steps.get(step).map(|s| &s.stage) {
            None => at,
            Some(Stage::Judged { since, .. }) => *since,
            Some(_) => return Err(format!("step `{step}` is not waiting for its condition")),
        };
        let stage = match (held, again_at) {
            (true, _) => Stage::Done,
            (false, Some(again_at)) => Stage::Judged { since, again_at },
            (false, None) => Stage::Refused {
                why: message.to_owned(),
            },
        };
        self.steps.insert(step.clone(), StepState::new(stage));
        if held {
            self.outputs
                .insert(step.to_string(), serde_json::json!({ "held": true }));
        }
        Ok(())
    }

    /// No answer by the time a question expires counts as no, also while nobody was looking.
    fn in_time(&self, at: Timestamp, step: &StepId) -> Folded {
        match self.steps.get(step).map(|s| &s.stage) {
            Some(Stage::Asked {
                expires: Some(moment),
                ..
            }) if *moment <= at => Err(format!("the question of step `{step}` has expired")),
            _ => Ok(()),
        }
    }

    fn answer(
        &mut self,
        step: &StepId,
        approved: bool,
        by: &str,
        note: &str,
        hash: ContentHash,
    ) -> Folded {
        let Some(Stage::Asked { hash: asked, .. }) = self.steps.get(step).map(|s| &s.stage) else {
            return Err(format!("step `{step}` is not waiting for an answer"));
        };
        if *asked != hash {
            return Err(format!("the answer to step `{step}` is to another text"));
        }
        let stage = if approved {
            let output = serde_json::json!({ "approved": true, "by": by, "note": note });
            self.outputs.insert(step.to_string(), output);
            Stage::Done
        } else {
            Stage::Refused {
                why: format!("rejected by {by}: {note}"),
            }
        };
        self.steps.insert(step.clone(), StepState::new(stage));
        Ok(())
    }

    fn settle(
        &mut self,
        at: Timestamp,
        step: &StepId,
        attempt: u32,
        settlement: &Settlement,
        reason: &str,
    ) -> Folded {
        let state = self.unknown_attempt(step, attempt)?;
        state.in_doubt = false;
        match settlement {
            Settlement::Happened { output } => {
                state.stage = Stage::Done;
                self.outputs.insert(step.to_string(), output.clone());
            }
            Settlement::DidNotHappen => {
                state.stage = Stage::Failed {
                    at,
                    error: format!("settled as not done: {reason}"),
                    again: true,
                    after_ms: None,
                };
                state.redo = true;
                state.redo_from = None;
            }
        }
        Ok(())
    }

    /// A person who settles tells the step to go on, with all its tries. A rule or a probe does
    /// not: else a step that ends unknown each time would be tried for ever, and at once.
    fn told_to_go_on(&mut self, step: &StepId, by: &str) {
        if let Some(state) = self.steps.get_mut(step)
            && by != BY_RULE
            && by != BY_PROBE
        {
            state.tries = 0;
        }
    }

    fn request(&mut self, what: Request) -> Folded {
        match what {
            Request::Cancel => self.cancel = true,
            Request::Pause => self.paused = true,
            Request::Resume if self.paused => {
                self.paused = false;
                self.forgive_tries();
            }
            Request::Resume => return Err("the run is neither paused nor failed".into()),
            Request::Rerun if self.seq == 0 => {}
            Request::Rerun => return Err("only a new run can be a rerun".into()),
        }
        Ok(())
    }

    fn end(&mut self, end: End, reason: &str) -> Folded {
        if let Some(open) = self.open_step() {
            return Err(format!("step `{open}` is still open"));
        }
        self.ended = Some((end, reason.to_owned()));
        Ok(())
    }
}

/// Before it begins a run can be asked something, or end: skipped, cancelled, or unreadable.
fn may_come_before_began(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Began { .. } | Fact::Requested { .. } | Fact::Ended { .. }
    )
}

/// A failure says that its own attempt did not happen, and nothing of an earlier one that is
/// unknown. Only where doing it twice is the same as doing it once does that not matter.
fn doubt_stays(state: &StepState) -> bool {
    state.in_doubt && state.repeat != Some(Repeat::Safe)
}

fn stage_of(at: Timestamp, outcome: &Outcome, in_doubt: bool) -> Stage {
    match outcome {
        Outcome::Done { .. } => Stage::Done,
        Outcome::Failed { error, .. } if in_doubt => Stage::Unknown {
            at,
            error: format!("{error}; and nobody knows about an earlier attempt"),
            crashed: false,
        },
        Outcome::Failed {
            error,
            again,
            after_ms,
        } => Stage::Failed {
            at,
            error: error.clone(),
            again: *again,
            after_ms: *after_ms,
        },
        Outcome::Unknown { error } => Stage::Unknown {
            at,
            error: error.clone(),
            crashed: false,
        },
    }
}

/// An attempt may follow one that is known to have failed, and an unknown one only where repeating
/// was declared harmless: safe, or with the same key inside its window.
fn may_try_again(
    step: &StepId,
    state: &StepState,
    at: Timestamp,
    repeat: Repeat,
    key: &EffectKey,
) -> Folded {
    if state.key.as_ref().is_some_and(|first| first != key) {
        return Err(format!("step `{step}` would be repeated under another key"));
    }
    match &state.stage {
        Stage::Failed { again: true, .. } => Ok(()),
        Stage::Failed { .. } => Err(format!("step `{step}` failed for good")),
        Stage::Unknown { .. } if declared_harmless(state, at, repeat) => Ok(()),
        Stage::Unknown { .. } => Err(format!(
            "the last attempt of step `{step}` is unknown and repeating it is not declared safe"
        )),
        _ => Err(format!("step `{step}` is not open to another attempt")),
    }
}

/// Both the attempt in doubt and its repeat must be declared harmless: a later program that
/// declares more cannot make good what was sent before.
fn declared_harmless(state: &StepState, at: Timestamp, repeat: Repeat) -> bool {
    let before = state.repeat.unwrap_or(Repeat::AskFirst);
    repeat_is_harmless(state, at, before) && repeat_is_harmless(state, at, repeat)
}

/// Whether an unknown attempt may be made again without asking.
#[must_use]
pub(crate) fn repeat_is_harmless(state: &StepState, at: Timestamp, repeat: Repeat) -> bool {
    match repeat {
        Repeat::Safe => true,
        Repeat::WithKey { window_ms } => state
            .first_intent
            .is_some_and(|first| at.millis_since(first) < window_ms),
        Repeat::AskFirst => false,
    }
}
