//! Answers by a signed link: for people who are not at a shell.

use crate::ask::Ask;
use crate::people::{People, PeopleError};
use crate::reply::{Reply, question};
use oncely_core::fact::{Fact, Recorded};
use oncely_core::ids::{RunId, StepId};
use oncely_core::ledger::{LedgerError, RunRow};
use oncely_core::limits;
use oncely_core::link::{Link, LinkKey, Place, Signed};
use oncely_core::question::{Answer, Identity, Question, Refusal};
use oncely_core::run::RunState;
use oncely_core::time::Timestamp;
use std::fmt;

/// Why a link opens nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkError {
    /// It is none of this ledger's, or was changed on its way.
    NotOurs,
    /// Its time is over.
    Expired {
        /// The run that asked.
        run: RunId,
        /// In whose name it answered.
        person: String,
    },
    /// Its person may not answer, or is not known any more.
    NotAllowed(RunId, Refusal),
    /// The ledger does not answer.
    Ledger(LedgerError),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOurs => f.write_str(
                "this link is none of ours, or was changed on its way. Open it as it stands in the \
                 message, or ask for a new one",
            ),
            Self::Expired { run, person } => write!(
                f,
                "this link has expired. Nothing was changed. Who runs oncely makes a new one: `oncely \
                 link {run} --for {person}`"
            ),
            Self::NotAllowed(run, refusal) => {
                write!(f, "run {run}: {refusal}. Nothing was changed")
            }
            Self::Ledger(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LinkError {}

impl From<LedgerError> for LinkError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

/// The link that somebody wants.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// In whose name it is to answer.
    pub person: &'a str,
    /// How long it is to last, in milliseconds.
    pub lasts_ms: i64,
    /// Who makes it.
    pub by: &'a str,
}

/// What a link opens.
#[derive(Debug, Clone)]
pub struct Opened {
    /// In whose name it is answered.
    pub person: String,
    /// The run that asks.
    pub run: RunRow,
    /// What is asked.
    pub question: Question,
    /// What became of it.
    pub became: Became,
    seq: u64,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Became {
    /// It waits for an answer.
    Open,
    /// It was answered.
    Answered(Answer, Timestamp),
    /// It is asked no more: nobody answered in time, or the run was ended.
    Closed,
}

impl People {
    /// Makes a link by which this person may answer the question that a run waits with, and records
    /// that it was made.
    ///
    /// # Errors
    /// When the run waits for nobody, or this person may not answer: says why.
    pub async fn link(
        &self,
        key: &LinkKey,
        run: RunId,
        wanted: &Wanted<'_>,
    ) -> Result<(String, Timestamp), PeopleError> {
        let decide = |row: &RunRow, state: &RunState| self.linked(key, row, state, wanted);
        self.note(run, &decide).await
    }

    fn linked(
        &self,
        key: &LinkKey,
        row: &RunRow,
        state: &RunState,
        wanted: &Wanted<'_>,
    ) -> Result<((String, Timestamp), Fact), PeopleError> {
        let run = row.id;
        let (step, asked) = question(state).ok_or_else(|| {
            PeopleError::Cannot(format!(
                "run {run} does not wait for a person. `oncely status` lists what does."
            ))
        })?;
        let refused = |refusal| PeopleError::Refused(run, refusal);
        if asked.question.is_over(self.now()) {
            return Err(refused(Refusal::Expired));
        }
        let person = wanted.person;
        if self.roster.get(person).is_none() {
            return Err(PeopleError::Cannot(format!(
                "`{person}` is not in [people] of oncely.toml, and a link is for somebody who is \
                 known. No link was made."
            )));
        }
        self.may_answer(state, asked, person).map_err(refused)?;
        let until = self.now().plus_millis(wanted.lasts_ms.min(limits::LINK_MS));
        let link = Link {
            run,
            question: asked.seq,
            person: person.to_owned(),
            expires: asked.question.expires.map_or(until, |over| over.min(until)),
        };
        let place = Place {
            ledger: &self.ledger.name(),
            environment: &row.environment,
            step,
            hash: &asked.question.hash,
        };
        let fact = Fact::Linked {
            step: step.clone(),
            question: asked.seq,
            person: person.to_owned(),
            expires: link.expires,
            by: wanted.by.to_owned(),
        };
        Ok(((key.sign(&link, place), link.expires), fact))
    }

    /// What this link opens. Nothing is changed.
    ///
    /// # Errors
    /// When it opens nothing: says why.
    pub async fn open(&self, key: &LinkKey, text: &str) -> Result<Opened, LinkError> {
        let signed = Signed::parse(text).ok_or(LinkError::NotOurs)?;
        let link = &signed.link;
        let ask = Ask(&*self.ledger);
        let run = ask.run(link.run).await?.ok_or(LinkError::NotOurs)?;
        let facts = ask.facts(link.run).await?;
        let (step, question) = asked_by(&facts, link.question).ok_or(LinkError::NotOurs)?;
        let place = Place {
            ledger: &self.ledger.name(),
            environment: &run.environment,
            step,
            hash: &question.hash,
        };
        if !signed.opens(key, place) {
            return Err(LinkError::NotOurs);
        }
        let opened = Opened {
            person: link.person.clone(),
            question: question.clone(),
            became: became(&facts, link.question, step),
            seq: link.question,
            run,
        };
        self.still(&opened, link, &facts)?;
        Ok(opened)
    }

    /// A question that is answered is shown to whoever has the link; one that is open only while
    /// the link lasts, and to who may answer it now.
    fn still(&self, opened: &Opened, link: &Link, facts: &[Recorded]) -> Result<(), LinkError> {
        if opened.became != Became::Open {
            return Ok(());
        }
        let run = link.run;
        if link.expires <= self.now() {
            let person = link.person.clone();
            return Err(LinkError::Expired { run, person });
        }
        let starter = RunState::fold(facts).ok().and_then(|state| state.starter);
        let (by, question) = (&link.person, &opened.question);
        let unknown = Refusal::NotAllowed {
            by: by.clone(),
            allowed: vec!["those in [people] of oncely.toml".into()],
        };
        let entitled = self.roster.entitled(by, &question.by);
        let may = match self.roster.get(by) {
            Some(_) => question.admits(by, entitled, starter.as_deref()),
            None => Err(unknown),
        };
        may.map_err(|refusal| LinkError::NotAllowed(run, refusal))
    }

    /// Answers what a link opened.
    ///
    /// # Errors
    /// When the answer does not count: says why.
    pub async fn answer_by_link(
        &self,
        opened: &Opened,
        approved: bool,
        note: &str,
        ticked: Vec<String>,
    ) -> Result<StepId, PeopleError> {
        let reply = Reply {
            approved,
            by: opened.person.clone(),
            identity: Identity::Link,
            note: note.to_owned(),
            ticked,
            shown: Some(opened.question.hash),
            question: Some(opened.seq),
        };
        self.answer(opened.run.id, &reply).await
    }
}

/// The question that this fact asked, and its step.
fn asked_by(facts: &[Recorded], seq: u64) -> Option<(&StepId, &Question)> {
    match &facts.get(usize::try_from(seq).ok()?)?.fact {
        Fact::Asked { step, question } => Some((step, question)),
        _ => None,
    }
}

/// What came after a question was asked.
fn became(facts: &[Recorded], seq: u64, step: &StepId) -> Became {
    let place = usize::try_from(seq).unwrap_or(usize::MAX);
    for recorded in facts.iter().skip(place.saturating_add(1)) {
        match &recorded.fact {
            Fact::Answered { step: of, answer } if of == step => {
                return Became::Answered(answer.clone(), recorded.at);
            }
            Fact::Asked { step: of, .. } if of == step => return Became::Closed,
            Fact::Ended { .. } => return Became::Closed,
            _ => {}
        }
    }
    Became::Open
}
