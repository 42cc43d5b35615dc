//! Where a step stands.

use crate::Value;
use crate::effect::EffectKey;
use crate::fact::{ItemsBecame, Repeat};
use crate::ids::Fence;
use crate::limits;
use crate::question::Question;
use crate::time::Timestamp;
use std::collections::BTreeSet;

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
    /// It is to be done, and is held until then.
    Held {
        /// Until when.
        until: Timestamp,
    },
    /// A person was asked.
    Asked(Asked),
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

/// A question that waits for its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// What was asked.
    pub question: Question,
    /// The number of the fact by which it was.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
}

impl Asked {
    /// Until when the link in a message about this lasts: two weeks from the moment at which it is due,
    /// and not longer than the question.
    #[must_use]
    pub fn link_until(&self, nth: u32) -> Timestamp {
        let until = self.due(nth).plus_millis(limits::LINK_MS);
        self.question.expires.map_or(until, |over| over.min(until))
    }

    /// When this message about it is due: the first, or a reminder.
    #[must_use]
    pub fn due(&self, nth: u32) -> Timestamp {
        let every = self.question.remind.map_or(0, |remind| remind.every_ms);
        self.at.plus_millis(every.saturating_mul(nth.into()))
    }
}

/// What a person said of items that nobody knew about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemsAnswer {
    /// Which; none names all that are in doubt.
    pub items: BTreeSet<u64>,
    /// What became of them.
    pub became: ItemsBecame,
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
    /// What a person said of items that were in doubt, until an attempt has ended since.
    pub items: Option<ItemsAnswer>,
    /// The last attempt is one that may have been made without a record, or not at all.
    pub unrecorded: bool,
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
    pub(super) const NONE: Self = Self {
        again: true,
        after_ms: None,
    };
}

impl StepState {
    pub(super) fn new(stage: Stage) -> Self {
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
            items: None,
            unrecorded: false,
            in_doubt: false,
            advice: Advice::NONE,
        }
    }
}
