//! Answers to questions: the one way in for the terminal, the command line and the page.

use crate::people::{People, PeopleError};
use oncely_core::fact::Fact;
use oncely_core::ids::{ContentHash, RunId, StepId};
use oncely_core::ledger::RunRow;
use oncely_core::limits;
use oncely_core::question::{Answer, Identity, Refusal};
use oncely_core::run::{Asked, RunState, Stage};
use oncely_core::time::Timestamp;

/// What somebody answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Yes or no.
    pub approved: bool,
    /// Who.
    pub by: String,
    /// How they said who they are.
    pub identity: Identity,
    /// What they say.
    pub note: String,
    /// What they ticked.
    pub ticked: Vec<String>,
    /// The hash of what they were shown.
    pub shown: Option<ContentHash>,
    /// The number of the fact by which it was asked, where they know it.
    pub question: Option<u64>,
}

/// The question that a run waits with.
#[must_use]
pub fn question(state: &RunState) -> Option<(&StepId, &Asked)> {
    if state.ended.is_some() {
        return None;
    }
    state.steps.iter().find_map(|(id, step)| match &step.stage {
        Stage::Asked(asked) => Some((id, asked)),
        _ => None,
    })
}

impl People {
    /// Answers the question that a run waits with.
    ///
    /// # Errors
    /// When the run waits for nobody, or the answer does not count: says why.
    pub async fn answer(&self, run: RunId, reply: &Reply) -> Result<StepId, PeopleError> {
        readable(&reply.by, &reply.note)?;
        let decide = |_: &RunRow, state: &RunState| self.decide(run, state, reply);
        self.act(run, &decide).await
    }

    /// Whether this person may answer the question, as it stands.
    ///
    /// # Errors
    /// Why they may not.
    pub fn may_answer(&self, state: &RunState, asked: &Asked, by: &str) -> Result<(), Refusal> {
        let entitled = self.roster.entitled(by, &asked.question.by);
        asked
            .question
            .admits(by, entitled, state.starter.as_deref())
    }

    fn decide(
        &self,
        run: RunId,
        state: &RunState,
        reply: &Reply,
    ) -> Result<(StepId, Fact), PeopleError> {
        let (step, asked) = question(state).ok_or_else(|| {
            PeopleError::Cannot(format!(
                "run {run} does not wait for a person. `oncely status` lists what does."
            ))
        })?;
        let hash = reply.shown.unwrap_or(asked.question.hash);
        if reply.question.is_some_and(|seq| seq != asked.seq) {
            return Err(PeopleError::Refused(run, Refusal::OtherText));
        }
        let by = self.roster.name_of(&reply.by);
        let entitled = self.roster.entitled(by, &asked.question.by);
        let answer = Answer {
            approved: reply.approved,
            by: by.to_owned(),
            note: reply.note.clone(),
            hash,
            ticked: reply.ticked.clone(),
            entitled: entitled.map(str::to_owned),
            identity: reply.identity,
        };
        self.judge(asked, &answer, state)
            .map_err(|refusal| PeopleError::Refused(run, refusal))?;
        let step = step.clone();
        Ok((step.clone(), Fact::Answered { step, answer }))
    }

    fn judge(&self, asked: &Asked, answer: &Answer, state: &RunState) -> Result<(), Refusal> {
        let now: Timestamp = self.now();
        asked.question.judge(answer, state.starter.as_deref(), now)
    }
}

/// What people say is kept and shown to others: it is bounded, and nothing in it moves a cursor.
fn readable(by: &str, note: &str) -> Result<(), PeopleError> {
    let cannot = |why: String| Err(PeopleError::Cannot(format!("{why} Nothing was changed.")));
    if by.trim().is_empty() || by.len() > limits::NAME_BYTES || by.chars().any(char::is_control) {
        return cannot("who answers has no name that can be kept.".into());
    }
    if note.len() > limits::NOTE_BYTES {
        return cannot(format!(
            "the note has more than {} bytes.",
            limits::NOTE_BYTES
        ));
    }
    let moves = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if note.chars().any(moves) {
        return cannot("the note holds control characters.".into());
    }
    Ok(())
}
