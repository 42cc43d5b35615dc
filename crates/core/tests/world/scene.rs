//! A run of a task with one step, as it goes on over time: each test says what happens in it.
#![allow(dead_code)] // Each file of tests takes what it needs.

pub(crate) mod facts;
mod texts;

use oncely_core::decide::{Next, Now, Subject, context_of, decide};
use oncely_core::fact::{End, Fact, Outcome, Repeat, Request};
use oncely_core::ids::Fence;
use oncely_core::people::NOBODY;
use oncely_core::run::RunState;
use oncely_core::task::Task;
use oncely_core::template::Expr;
use oncely_core::time::Timestamp;
use serde_json::{Value, json};

pub(crate) const START: Timestamp = facts::NOW;

/// A run of a task with one step, as it goes on over time.
pub(crate) struct Run {
    task: Task,
    event: Value,
    state: RunState,
    now: Timestamp,
    fence: Fence,
}

impl Run {
    pub(crate) fn of(step: &str) -> Self {
        let run = Self {
            task: texts::one(step),
            event: json!({ "flag": false, "paid": true }),
            state: RunState::default(),
            now: START,
            fence: Fence(1),
        };
        run.and(facts::begun())
    }

    pub(crate) fn and(mut self, fact: Fact) -> Self {
        self.state.apply(self.now, &fact).unwrap();
        self
    }

    pub(crate) fn asked(self, what: Request) -> Self {
        self.and(facts::requests(what, "ann", "because"))
    }

    /// A person says that the step shall not be done.
    pub(crate) fn skip(self) -> Self {
        self.and(facts::skip("not needed"))
    }

    pub(crate) fn later(mut self, millis: i64) -> Self {
        self.now = self.now.plus_millis(millis);
        self
    }

    pub(crate) fn next(&self) -> Next {
        let run = json!({});
        let subject = Subject {
            event: &self.event,
            run: &run,
            people: &NOBODY,
        };
        let now = Now {
            at: self.now,
            fence: self.fence,
        };
        decide(&self.task, subject, &self.state, now)
    }

    /// What templates of this step read under a name.
    pub(crate) fn read(&self, step: &str, name: &str) -> Option<Value> {
        let run = json!({});
        let subject = Subject {
            event: &self.event,
            run: &run,
            people: &NOBODY,
        };
        let step = step.into();
        let context = context_of(subject, &self.state, self.now, &step);
        Expr::parse(name).unwrap().value(&context).ok()
    }

    /// Begins the attempt that is to be begun, which is declared so.
    pub(crate) fn begins(self, step: &str, attempt: u32, repeat: Repeat) -> Self {
        let expected = Next::Start {
            step: step.into(),
            attempt,
        };
        assert_eq!(self.next(), expected);
        let fence = self.fence;
        self.and(facts::begins(step, attempt, fence, repeat))
    }

    pub(crate) fn ends(self, step: &str, attempt: u32, outcome: Outcome) -> Self {
        self.and(facts::ends(step, attempt, outcome))
    }

    /// The only step, tried and failed.
    pub(crate) fn failed(self, attempt: u32) -> Self {
        let failed = failed(true, None);
        self.begins("a", attempt, Repeat::AskFirst)
            .ends("a", attempt, failed)
    }

    pub(crate) fn unknown(self, attempt: u32, repeat: Repeat) -> Self {
        self.begins("a", attempt, repeat)
            .ends("a", attempt, facts::cut_off())
    }

    /// The process that was to make the attempt goes away, and another one claims the run.
    pub(crate) fn crashed(mut self, attempt: u32, repeat: Repeat) -> Self {
        self = self.begins("a", attempt, repeat);
        self.fence.0 += 1;
        let interrupted = facts::interrupted("a", attempt);
        assert_eq!(self.next(), Next::Record(interrupted.clone()));
        self.and(interrupted)
    }

    pub(crate) fn is_over(&self) -> (End, String) {
        match self.next() {
            Next::Record(Fact::Ended { end, reason }) => (end, reason),
            other => panic!("{other:?}"),
        }
    }

    /// Until when it waits, and for what.
    pub(crate) fn waits(&self) -> (Option<i64>, String) {
        match self.next() {
            Next::Wait { until, why } => (until.map(|until| until.millis_since(START)), why),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.waits() == (None, "the run is paused".into())
    }

    pub(crate) fn is_looked_up(&self) -> bool {
        matches!(self.next(), Next::Probe { .. })
    }

    pub(crate) fn is_skipped(&self) -> bool {
        let skipped = facts::skipped("a", "ann said so: not needed");
        self.next() == Next::Record(skipped)
    }
}

pub(crate) fn failed(again: bool, after_ms: Option<i64>) -> Outcome {
    facts::failure_of("no connection", again, after_ms)
}
