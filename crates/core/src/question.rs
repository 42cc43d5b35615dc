//! What a person is asked, what they answer, and which answers count: the one place for all ways to
//! answer.

use crate::ids::{ContentHash, StepId};
use crate::limits;
use crate::people::folded;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a person is asked, as it stands in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The text shown.
    pub text: String,
    /// What must be ticked for a yes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tick: Vec<String>,
    /// The hash of text and ticks, which an answer is bound to.
    pub hash: ContentHash,
    /// When the question expires and counts as rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Who may answer, persons and roles; empty means everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// Who may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_by: Option<NotBy>,
    /// Who is told of it, and how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tell: Vec<Told>,
    /// How often they are told again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind: Option<Remind>,
}

/// Who may not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotBy {
    /// Who started the run.
    Starter,
}

/// How somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// By a mail.
    Email,
    /// By a message in Slack.
    Slack,
}

impl Via {
    /// The words of `tell`.
    pub const WORDS: [&'static str; 2] = ["email", "slack"];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Slack => "slack",
        }
    }

    /// The way of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Email, Self::Slack]
            .into_iter()
            .find(|via| via.name() == word)
    }
}

/// Somebody who is told of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Who.
    pub person: String,
    /// How.
    pub via: Via,
}

/// How often people are told again of a question that nobody has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remind {
    /// Milliseconds between one message and the next.
    pub every_ms: i64,
    /// Messages after the first.
    pub times: u32,
}

/// What a person answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Yes or no.
    pub approved: bool,
    /// Who.
    pub by: String,
    /// What they said.
    pub note: String,
    /// The hash of what they saw.
    pub hash: ContentHash,
    /// What they ticked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ticked: Vec<String>,
    /// The person or role of the question's `by` that let them answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entitled: Option<String>,
    /// How they said who they are.
    #[serde(default, skip_serializing_if = "Identity::is_claimed")]
    pub identity: Identity,
}

/// How somebody said who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// They said so, at a shell.
    #[default]
    Claimed,
    /// They had the link that was made for them.
    Link,
}

impl Identity {
    fn is_claimed(&self) -> bool {
        *self == Self::Claimed
    }
}

/// Why an answer does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It came after the question had expired.
    Expired,
    /// It is to another text.
    OtherText,
    /// Who answers is not among those who may.
    NotAllowed {
        /// Who answered.
        by: String,
        /// Who may.
        allowed: Vec<String>,
    },
    /// Who answers started the run.
    Starter(String),
    /// Not everything is ticked.
    Unticked(Vec<String>),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("the question has expired, which counts as no"),
            Self::OtherText => {
                f.write_str("the answer is to another text than the one that is asked now")
            }
            Self::NotAllowed { by, allowed } => {
                write!(f, "{by} may not answer: it is for {}", allowed.join(" or "))
            }
            Self::Starter(by) => write!(
                f,
                "{by} started the run, and the task says that somebody else answers \
                 (not_by = \"starter\")"
            ),
            Self::Unticked(left) => {
                write!(
                    f,
                    "a yes needs everything ticked, and this is not: {}",
                    left.join("; ")
                )
            }
        }
    }
}

impl Question {
    /// The hash of a text and what must be ticked. Without ticks it is that of the text.
    #[must_use]
    pub fn hash_of(text: &str, tick: &[String]) -> ContentHash {
        if tick.is_empty() {
            return ContentHash::of(text.as_bytes());
        }
        let all: Vec<&str> = std::iter::once(text)
            .chain(tick.iter().map(String::as_str))
            .collect();
        ContentHash::of(&serde_json::to_vec(&all).unwrap_or_default())
    }

    /// Whether the time to answer is over.
    #[must_use]
    pub fn is_over(&self, at: Timestamp) -> bool {
        self.expires.is_some_and(|moment| moment <= at)
    }

    /// Whether an answer counts that is given at this time to a run which `starter` started.
    ///
    /// # Errors
    /// Why it does not.
    pub fn judge(
        &self,
        answer: &Answer,
        starter: Option<&str>,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        if self.is_over(at) {
            return Err(Refusal::Expired);
        }
        if answer.hash != self.hash {
            return Err(Refusal::OtherText);
        }
        self.admits(&answer.by, answer.entitled.as_deref(), starter)?;
        let open = |thing: &&String| !answer.ticked.contains(thing);
        let left: Vec<_> = self.tick.iter().filter(open).cloned().collect();
        if answer.approved && !left.is_empty() {
            return Err(Refusal::Unticked(left));
        }
        Ok(())
    }

    /// Whether this person may answer; `entitled` is the word of `by` that names them.
    ///
    /// # Errors
    /// Why they may not.
    pub fn admits(
        &self,
        by: &str,
        entitled: Option<&str>,
        starter: Option<&str>,
    ) -> Result<(), Refusal> {
        let named = entitled.is_some_and(|word| self.by.iter().any(|b| b == word));
        if !self.by.is_empty() && !named {
            return Err(Refusal::NotAllowed {
                by: by.to_owned(),
                allowed: self.by.clone(),
            });
        }
        let is_starter = starter.is_some_and(|starter| folded(starter) == folded(by));
        if self.not_by == Some(NotBy::Starter) && is_starter {
            return Err(Refusal::Starter(by.to_owned()));
        }
        Ok(())
    }
}

/// A message that tells somebody of a question: an effect of the run that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The step that asks.
    pub step: StepId,
    /// The number of the fact by which it asks: a question that is asked anew is another one.
    pub question: u64,
    /// Who is told, and how.
    pub told: Told,
    /// Which message it is: 0, and from 1 the reminders.
    pub nth: u32,
}

impl Notice {
    /// What its attempts are recorded under. No step of a task file has such an id.
    #[must_use]
    pub fn id(&self) -> StepId {
        let Told { person, via } = &self.told;
        let (step, question, nth) = (&self.step, self.question, self.nth);
        StepId::new(format!("{step}/{question}/{}/{person}/{nth}", via.name()))
    }

    /// Whether this is the id of a notice, and not of a step.
    #[must_use]
    pub fn is_id(id: &StepId) -> bool {
        id.as_str().contains('/')
    }

    /// The notice of this id; none when it is the id of a step.
    #[must_use]
    pub fn parse(id: &StepId) -> Option<Self> {
        if !Self::is_id(id) {
            return None;
        }
        let parts: Vec<&str> = id.as_str().split('/').collect();
        let [step, question, via, person, nth] = parts[..] else {
            return None;
        };
        Some(Self {
            step: step.into(),
            question: question.parse().ok()?,
            told: Told {
                person: person.to_owned(),
                via: Via::parse(via)?,
            },
            nth: nth.parse().ok()?,
        })
    }
}

impl Remind {
    /// Which message is due at this time after the first, and when the next one is.
    #[must_use]
    pub fn due(self, asked: Timestamp, at: Timestamp) -> (u32, Option<Timestamp>) {
        let every = self.every_ms.max(limits::REMIND_EVERY_MS);
        let gone = at.millis_since(asked).max(0) / every;
        let nth = u32::try_from(gone).unwrap_or(u32::MAX).min(self.times);
        let next = asked.plus_millis(every.saturating_mul(i64::from(nth) + 1));
        (nth, (nth < self.times).then_some(next))
    }
}
