//! The fold: each fact changes the state, or cannot follow.

use super::lost::Lost;
use super::rounds::RoundsDone;
use super::step::{Advice, Asked, Stage, StepState};
use crate::Value;
use crate::fact::{BY_OLDER_RELEASE, End, Fact, Recorded, Request, Undoing};
use crate::ids::{ContentHash, RunId, StepId};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt;

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
    /// How far each step has come that is done in rounds.
    pub rounds: BTreeMap<StepId, RoundsDone>,
    /// Outputs of done steps, by step: what templates read under `steps`.
    pub outputs: serde_json::Map<String, Value>,
    /// Who started it, where that was a person.
    pub starter: Option<String>,
    /// A person asked to end it.
    pub cancel: bool,
    /// Who asked to end it, and why.
    pub cancelled_by: Option<(String, String)>,
    /// A person asked to hold it.
    pub paused: bool,
    /// The end of the ledger was lost, and nobody has looked what was done since.
    pub lost: Option<Lost>,
    /// Steps that a person said shall not be done, with who and why.
    pub skips: BTreeMap<StepId, (String, String)>,
    /// How and why it ended.
    pub ended: Option<(End, String)>,
    /// What it takes back, if it is an undo.
    pub undoing: Option<Undoing>,
    /// A person asked to have it taken back: it does nothing more.
    pub undo_asked: bool,
    /// The run that took it back.
    pub undone: Option<RunId>,
}

/// Whether a fact may follow; else why not.
pub(super) type Folded = Result<(), String>;

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

    /// Why it ends, once it was asked to.
    #[must_use]
    pub fn why_cancelled(&self) -> String {
        match &self.cancelled_by {
            Some((by, reason)) if by == BY_OLDER_RELEASE => reason.clone(),
            Some((by, reason)) if !reason.is_empty() => format!("{by} cancelled it: {reason}"),
            Some((by, _)) => format!("{by} cancelled it"),
            None => "a person cancelled it".into(),
        }
    }

    fn transition(&mut self, at: Timestamp, fact: &Fact) -> Folded {
        if let Fact::Forgotten { .. } = fact {
            return Ok(());
        }
        if self.ended.is_some() {
            return self.after_end(fact);
        }
        if self.text.is_none() && !may_come_before_began(fact) {
            return Err("the run has not begun".into());
        }
        match fact {
            Fact::Began { text, models } => self.begin(*text, models),
            Fact::Skipped { step, .. } => self.skip(step),
            Fact::SkipAsked { step, by, reason } => self.ask_to_skip(step, by, reason),
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
            Fact::ProbeAsked { step, attempt, .. } => self.probe_again(step, *attempt),
            Fact::ItemsSettled {
                step,
                attempt,
                items,
                became,
                reason,
                ..
            } => self.settle_items(at, step, *attempt, items, *became, reason),
            Fact::Judged {
                step,
                held,
                message,
                again_at,
            } => self.judge(at, step, *held, message, *again_at),
            Fact::Held { step, until } => {
                self.fresh(step, StepState::new(Stage::Held { until: *until }))
            }
            Fact::RoundsOver { step, rounds, held } => self.rounds_over(step, *rounds, *held),
            Fact::Asked { step, question } => {
                let asked = Asked {
                    question: question.clone(),
                    seq: self.seq,
                    at,
                };
                self.fresh(step, StepState::new(Stage::Asked(asked)))
            }
            Fact::Linked { step, question, .. } => self.linked(step, *question),
            Fact::Answered { step, answer } => self.answer(at, step, answer),
            Fact::Settled {
                step,
                attempt,
                settlement,
                by,
                reason,
            } => {
                self.settle(at, step, *attempt, settlement, reason)?;
                self.told_to_go_on(step, by);
                self.know_of_what_follows(step, settlement, by);
                Ok(())
            }
            Fact::Undoes(undoing) => self.undo(undoing),
            Fact::EndLost { since, hold, .. } => {
                self.lose_end(at, *since, !hold.is_empty());
                Ok(())
            }
            Fact::Undone { .. } => Err("the run has not ended".into()),
            Fact::Forgotten { .. } => Ok(()),
            Fact::Requested { what, by, reason } => self.request(*what, by, reason),
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

    /// After the end a run that failed may be resumed, also without its step, and any run may be taken back, once.
    fn after_end(&mut self, fact: &Fact) -> Folded {
        match fact {
            Fact::Requested { what, .. } => self.request_after_end(*what),
            Fact::SkipAsked { step, by, reason } => {
                self.request_after_end(Request::Resume)?;
                self.ask_to_skip(step, by, reason)
            }
            Fact::Undone { by } if self.undo_asked && self.undone.is_none() => {
                self.undone = Some(*by);
                Ok(())
            }
            Fact::Undone { .. } => Err("nobody asked to have the run taken back".into()),
            _ => Err("the run has ended".into()),
        }
    }

    fn request_after_end(&mut self, what: Request) -> Folded {
        let failed = matches!(self.ended, Some((End::Failed, _)));
        match what {
            _ if self.undo_asked => Err("the run is being taken back, or was".into()),
            Request::Resume if failed => {
                self.ended = None;
                self.cancel = false;
                self.paused = false;
                self.look_again();
                self.reopen_failed();
                Ok(())
            }
            Request::Undo if self.undoing.is_none() => {
                self.undo_asked = true;
                Ok(())
            }
            Request::Undo => Err("the run takes another one back".into()),
            _ => Err("the run has ended".into()),
        }
    }

    fn undo(&mut self, undoing: &Undoing) -> Folded {
        if self.seq > 0 {
            return Err("only a new run can take another one back".into());
        }
        self.outputs.clone_from(&undoing.outputs);
        self.undoing = Some(undoing.clone());
        Ok(())
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
                Stage::Refused { .. } | Stage::Judged { .. } | Stage::Asked(_)
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

    fn request(&mut self, what: Request, by: &str, reason: &str) -> Folded {
        match what {
            Request::Cancel if self.undoing.is_some() => {
                return Err("what was begun to be taken back is not left half done".into());
            }
            Request::Cancel => {
                self.cancel = true;
                self.cancelled_by = Some((by.to_owned(), reason.to_owned()));
            }
            Request::Pause => self.paused = true,
            Request::Resume if self.paused => {
                self.paused = false;
                self.lost = None;
                self.look_again();
                self.forgive_tries();
            }
            Request::Resume => return Err("the run is neither paused nor failed".into()),
            Request::Rerun | Request::Start if self.seq == 0 => {
                self.starter = Some(by.to_owned());
            }
            Request::Rerun => return Err("only a new run can be a rerun".into()),
            Request::Undo => return Err("only a run that has ended can be taken back".into()),
            Request::Start => return Err("the run has been started already".into()),
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
        Fact::Began { .. }
            | Fact::Undoes(_)
            | Fact::Requested { .. }
            | Fact::EndLost { .. }
            | Fact::Ended { .. }
    )
}
