//! A world in which a run lives: it answers acts, probes and questions as a list of choices says,
//! and fairly once the choices are used up. It asserts at each turn what must always hold.

pub(crate) mod facts;
mod texts;

use oncely_core::Value;
use oncely_core::decide::{Next, Now, Subject, context, decide, judge_until};
use oncely_core::fact::{End, Fact, OnUnknown, Outcome, Recorded, Repeat, Request, Settlement};
use oncely_core::ids::{Fence, StepId};
use oncely_core::limits;
use oncely_core::people::{Person, Roster};
use oncely_core::question::{Answer, NotBy, Notice, Question};
use oncely_core::round::Round;
use oncely_core::run::{RunState, Stage};
use oncely_core::task::{ActionKind, Step, Task, Work};
use oncely_core::time::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};

pub(crate) fn step(text: &str) -> String {
    text.to_owned()
}

/// A task with these steps, read by the loader.
pub(crate) fn task(steps: &[String]) -> Task {
    let blocks = steps
        .iter()
        .enumerate()
        .map(|(n, step)| format!("[[step]]\nid = \"s{n}\"\n{step}\n"));
    texts::task(&blocks.collect::<String>())
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<String>> {
    let policy = (
        prop::sample::select(vec![
            "",
            "when = \"event.flag\"\n",
            "when = \"not event.flag\"\n",
        ]),
        prop::sample::select(vec!["", "until = \"output.ok\"\n"]),
        1..4_u32,
        prop::sample::select(vec!["ask", "repeat", "skip"]),
        prop::sample::select(vec!["", "", "hold = \"10s\"\n"]),
    );
    let effect = prop::sample::select(vec![
        "command = { args = [\"x\"] }",
        "command = { args = [\"x\"], safe = true }",
        "http = { url = \"https://x.example/\", key_honoured = \"10s\" }",
        "http = { url = \"https://x.example/\", key_honoured = \"1h\" }",
        "for_each = \"[1, 2]\"\ndo = [{ command = [\"x\"] }]",
        "call = { task = \"t2\" }",
        "command = { args = [\"x\"] }\nevery = \"20s\"\ntimes = 3\nuntil = \"output.json.ok\"",
        "http = { url = \"https://x.example/\", key_honoured = \"10s\" }\nevery = \"20s\"\nfor = \"1m\"\nuntil = \"output.json.ok or round == 2\"",
        "command = { args = [\"x\", \"{{ check.json }}\"] }\nevery = \"1h\"\ntimes = 2\nuntil = \"check.json.ok\"\ncheck = { command = { args = [\"look\", \"{{ round }}\"], safe = true } }",
        "command = { args = [\"x\"], safe = true }\nevery = \"5s\"\ntimes = 4\nfor = \"8s\"\nuntil = \"check.json.ok\"\ncheck = { http = { url = \"https://x.example/\" } }",
        "command = { args = [\"x\"] }\nevery = \"20s\"\ntimes = 2",
    ]);
    let effect = (effect, policy).prop_map(|(effect, (when, until, attempts, rule, hold))| {
        let until = if effect.starts_with("http") { "until = \"output.json.ok\"\n" } else { until };
        let until = if effect.contains("every") {
            String::new()
        } else if effect.starts_with("http") || effect.starts_with("command = { args = [\"x\"] }") {
            until.replace("output.ok", "output.json.ok")
        } else {
            String::new()
        };
        format!(
            "{effect}\n{when}{until}{hold}retry = {{ attempts = {attempts}, first = \"4s\" }}\non_unknown = \"{rule}\""
        )
    });
    let decision = prop::sample::select(vec![
        "require = \"event.flag\"".to_owned(),
        "require = { that = \"event.flag\", else = \"end\" }".to_owned(),
        "require = { that = \"now > 100000\", else = \"retry\", every = \"9s\", for = \"1h\" }"
            .to_owned(),
        "require = { that = \"event.flag\", else = \"retry\", every = \"9s\", for = \"1m\" }"
            .to_owned(),
        "approve = \"ok?\"".to_owned(),
        "approve = { text = \"ok?\", expires = \"1m\" }\nwhen = \"event.flag\"".to_owned(),
        "approve = { text = \"ok?\", tick = [\"a\", \"b\"], by = \"lead\", not_by = \"starter\" }".to_owned(),
        "approve = { text = \"ok?\", by = \"lead\", tell = [\"email\", \"slack\"], remind = \"1m\", reminders = 2, expires = \"4m\" }".to_owned(),
        "approve = { text = \"ok?\", by = [\"lead\", \"eve\"], not_by = \"starter\", tell = \"email\" }".to_owned(),
    ]);
    prop::collection::vec(prop_oneof![2 => effect, 1 => decision], 1..5)
}

/// The step that something is recorded of.
fn base(id: &StepId) -> StepId {
    Round::parse(id).map_or_else(|| id.clone(), |round| round.step)
}

fn people() -> Roster {
    let person = |email: &str, slack: Option<&str>, roles: &[&str]| Person {
        user: None,
        email: Some(email.to_owned()),
        slack: slack.map(str::to_owned),
        roles: roles.iter().map(|r| (*r).to_owned()).collect(),
    };
    let people = [
        ("ann", person("ann@example.com", None, &["lead"])),
        ("bob", person("bob@example.com", Some("U1"), &["lead"])),
        ("eve", person("eve@example.com", None, &[])),
    ];
    Roster::new(people.map(|(n, p)| (n.to_owned(), p)).into()).unwrap()
}

/// What an act does to the other side.
#[derive(Clone, Copy, PartialEq)]
enum Act {
    Done,
    NotYet,
    Failed,
    Permanent,
    UnknownDone,
    UnknownNot,
    CrashBefore,
    CrashAfter,
}

pub(crate) struct World<'t> {
    pub(crate) task: &'t Task,
    pub(crate) event: Value,
    pub(crate) run_value: Value,
    pub(crate) people: Roster,
    pub(crate) facts: Vec<Recorded>,
    pub(crate) state: RunState,
    pub(crate) now: Timestamp,
    pub(crate) fence: Fence,
    pub(crate) acts: usize,
    pub(crate) last_act: Timestamp,
    choices: VecDeque<u8>,
    script: Option<fn(usize) -> u8>,
    silent: bool,
    /// When each step really happened, as the other side saw it.
    done: BTreeMap<StepId, Vec<Timestamp>>,
    /// When the other side first saw the key of a step.
    seen: BTreeMap<StepId, Timestamp>,
    /// Steps with an attempt that nobody has settled.
    doubts: BTreeMap<StepId, ()>,
}

impl<'t> World<'t> {
    pub(crate) fn new(task: &'t Task, choices: Vec<u8>, flag: bool) -> Self {
        Self {
            task,
            event: json!({ "flag": flag }),
            run_value: json!({ "id": 1 }),
            people: people(),
            facts: Vec::new(),
            state: RunState::default(),
            now: Timestamp(1_000),
            fence: Fence(1),
            acts: 0,
            last_act: Timestamp(0),
            choices: choices.into(),
            script: None,
            silent: false,
            done: BTreeMap::new(),
            seen: BTreeMap::new(),
            doubts: BTreeMap::new(),
        }
    }

    pub(crate) fn always_unknown(task: &'t Task) -> Self {
        Self {
            script: Some(|_| 5),
            ..Self::new(task, Vec::new(), true)
        }
    }

    pub(crate) fn first_unknown_then_failing(task: &'t Task) -> Self {
        Self {
            script: Some(|acts| if acts == 0 { 4 } else { 2 }),
            ..Self::new(task, Vec::new(), true)
        }
    }

    /// From now on every attempt says that it is not so yet.
    pub(crate) fn says_not_yet(&mut self) {
        self.script = Some(|_| 1);
    }

    pub(crate) fn silent(task: &'t Task) -> Self {
        Self {
            silent: true,
            ..Self::new(task, Vec::new(), true)
        }
    }

    pub(crate) fn run(&mut self) {
        if self.choices.front().is_some_and(|byte| byte % 3 == 0) {
            self.request(Request::Start);
        }
        for _ in 0..3000 {
            if self.turn() {
                return;
            }
        }
        panic!("the run does not end: {:?}", self.facts.last());
    }

    pub(crate) fn run_to_the_end(&mut self) {
        while self.state.ended.is_none() {
            self.turn();
        }
    }

    pub(crate) fn run_until_parked(&mut self) {
        for _ in 0..100 {
            if matches!(self.decide(), Next::Park { .. } | Next::Over) {
                return;
            }
            self.turn();
        }
        panic!("it is never parked");
    }

    pub(crate) fn decide(&self) -> Next {
        let now = Now {
            at: self.now,
            fence: self.fence,
        };
        let subject = self.subject();
        let next = decide(self.task, subject, &self.state, now);
        assert_eq!(next, decide(self.task, subject, &self.state, now));
        next
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            event: &self.event,
            run: &self.run_value,
            people: &self.people,
        }
    }

    /// One turn of the engine; true at the end.
    pub(crate) fn turn(&mut self) -> bool {
        self.meddle();
        match self.decide() {
            Next::Begin => self.record(facts::begun()),
            Next::Record(fact) => self.record(fact),
            Next::Start { step, attempt } => self.start(&step, attempt),
            Next::Act { step, attempt } => self.act(&step, attempt),
            Next::Probe { step, attempt } => self.probe(&step, attempt),
            Next::Wait { until, .. } => self.wait(until),
            Next::Park { step, .. } => self.settle(&step, "a person"),
            Next::Over => return self.over(),
        }
        false
    }

    fn record(&mut self, fact: Fact) {
        if let Fact::Settled { step, .. } = &fact {
            self.doubts.remove(step);
        }
        if let Fact::Interrupted { step, .. } = &fact {
            self.doubts.insert(step.clone(), ());
        }
        self.state
            .apply(self.now, &fact)
            .unwrap_or_else(|error| panic!("{error}: {fact:?} after {:#?}", self.facts));
        self.facts.push(Recorded {
            at: self.now,
            forgotten: None,
            fact,
        });
    }

    /// Records what a person does, where it is legal; else it leaves no trace.
    fn try_record(&mut self, fact: Fact) {
        let mut state = self.state.clone();
        match state.apply(self.now, &fact) {
            Ok(()) => self.record(fact),
            Err(_) => assert_eq!(state, self.state, "an illegal fact leaves no trace"),
        }
    }

    pub(crate) fn request(&mut self, what: Request) {
        self.try_record(facts::requests(what, "ann", "because"));
    }

    pub(crate) fn resume(&mut self) {
        self.request(Request::Resume);
        assert!(self.state.ended.is_none());
    }

    /// People, crashes and time come when they like.
    fn meddle(&mut self) {
        match self.choices.pop_front() {
            Some(0..=5) => self.request(Request::Cancel),
            Some(6..=20) => self.request(Request::Pause),
            Some(21..=40) => self.request(Request::Resume),
            Some(41..=60) => self.fence.0 += 1,
            Some(61..=80) => self.passes(7_000),
            Some(81..=85) => self.passes(4_000_000),
            _ => {}
        }
    }

    /// Time passes, but not between an intent and its act: a process that is stopped there is the
    /// case that nobody can promise anything for.
    fn passes(&mut self, millis: i64) {
        if self.state.open_step().is_none() {
            self.now = self.now.plus_millis(millis);
        }
    }

    fn start(&mut self, step: &StepId, attempt: u32) {
        let repeat = self.repeat(step);
        self.is_not_too_early(step);
        if self.doubts.contains_key(step) {
            let first = self.state.steps[step].first_intent.unwrap();
            let harmless = match repeat {
                Repeat::Safe => true,
                Repeat::WithKey { window_ms } => self.now.millis_since(first) < window_ms,
                Repeat::AskFirst => false,
            };
            assert!(harmless, "{step} is repeated in doubt: {:#?}", self.facts);
        }
        self.record(facts::begins(step.as_str(), attempt, self.fence, repeat));
    }

    /// A held step is not begun before its time, and nobody is told of a question that is answered.
    fn is_not_too_early(&self, id: &StepId) {
        if let Some(notice) = Notice::parse(id) {
            assert!(!self.state.paused && !self.state.cancel);
            match &self.state.steps[&notice.step].stage {
                Stage::Asked(asked) => {
                    assert_eq!(asked.seq, notice.question);
                    let remind = asked.question.remind.map_or(0, |r| r.every_ms);
                    let due = asked.at.plus_millis(remind * i64::from(notice.nth));
                    assert!(self.now >= due, "{id} is sent too early");
                    assert!(notice.nth <= 2, "{id} is one too many");
                }
                other => panic!("{id} tells of a question that is {other:?}"),
            }
            return;
        }
        if let Some(round) = Round::parse(id) {
            self.round_is_in_time(&round);
            if round.nth > 1 || round.look > 1 {
                return;
            }
        }
        let id = &base(id);
        let held = self.facts.iter().find_map(|recorded| match &recorded.fact {
            Fact::Held { step, until } if step == id => Some((recorded.at, *until)),
            _ => None,
        });
        match (self.step(id).policy.hold_ms, held) {
            (None, held) => assert_eq!(held, None),
            (Some(hold), Some((at, until))) => {
                assert_eq!(until, at.plus_millis(hold));
                assert!(self.now >= until, "{id} is begun while it is held");
            }
            (Some(_), None) => panic!("{id} is begun without being held"),
        }
    }

    /// A round follows the one before it in its time, within the bounds, and what was looked at is
    /// not long ago.
    fn round_is_in_time(&self, round: &Round) {
        let id = round.id();
        assert!(!self.state.paused && !self.state.cancel);
        if self.state.steps.contains_key(&id) {
            return;
        }
        let step = self.task.steps.iter().find(|s| s.id == round.step).unwrap();
        let rounds = step.policy.rounds.as_ref().unwrap();
        let begun = |id: StepId| self.state.steps.get(&id);
        if round.nth > 1 {
            let before = begun(Round::of(&round.step, round.nth - 1).id()).unwrap();
            assert_eq!(
                before.stage,
                Stage::Done,
                "{id} is begun beside the one before it"
            );
            let due = before.last_intent.unwrap().plus_millis(rounds.every_ms);
            assert!(self.now >= due, "{id} is begun too early");
        }
        if round.look > 0 {
            return;
        }
        assert!(
            rounds.times.is_none_or(|most| round.nth <= most),
            "{id} is one too many"
        );
        let (looks, first) = self.times_of_looks_and_first(&round.step, round.nth);
        if let (Some(for_ms), Some(first)) = (rounds.for_ms, first) {
            assert!(
                self.now <= first.plus_millis(for_ms),
                "{id} is begun too late"
            );
        }
        if rounds.check.is_some() {
            let looked = looks.expect("nothing was looked at");
            assert!(
                self.now.millis_since(looked) < limits::LOOKED_MS,
                "{id} is begun long after the look"
            );
        }
    }

    /// When the newest look before this round was done, and when the first thing of the step was begun.
    fn times_of_looks_and_first(
        &self,
        of: &StepId,
        nth: u32,
    ) -> (Option<Timestamp>, Option<Timestamp>) {
        let of_step = |id: &StepId| Round::parse(id).filter(|r| r.step == *of);
        let looked = self
            .facts
            .iter()
            .rev()
            .find_map(|recorded| match &recorded.fact {
                Fact::Outcome {
                    step,
                    outcome: Outcome::Done { .. },
                    ..
                }
                | Fact::Settled {
                    step,
                    settlement: Settlement::Happened { .. },
                    ..
                } => of_step(step)
                    .filter(|r| r.nth == nth && r.look > 0)
                    .map(|_| recorded.at),
                _ => None,
            });
        let first = self.facts.iter().find_map(|recorded| match &recorded.fact {
            Fact::Intent { step, .. } => of_step(step).map(|_| recorded.at),
            _ => None,
        });
        (looked, first)
    }

    fn repeat(&self, id: &StepId) -> Repeat {
        if Notice::is_id(id) {
            return Repeat::AskFirst;
        }
        let step = self.step(id);
        let Work::Action(spec) = &step.work else {
            return Repeat::Safe;
        };
        let options = spec.fixed.clone();
        match options.get("key_honoured").and_then(Value::as_i64) {
            Some(window_ms) => Repeat::WithKey { window_ms },
            None if options.get("safe").is_some() => Repeat::Safe,
            // A look by http only asks.
            None if spec.kind == ActionKind::Http && id.as_str().contains("check") => Repeat::Safe,
            None => Repeat::AskFirst,
        }
    }

    fn step(&self, id: &StepId) -> Step {
        let step = self
            .task
            .steps
            .iter()
            .find(|step| step.id == base(id))
            .unwrap();
        match Round::parse(id) {
            Some(round) => step.round(&round).unwrap(),
            None => step.clone(),
        }
    }

    fn chosen_act(&mut self) -> Act {
        let choice = match self.script {
            Some(script) => Some(script(self.acts)),
            None => self.choices.pop_front(),
        };
        match choice.map(|byte| byte % 12) {
            Some(1) => Act::NotYet,
            Some(2 | 8) => Act::Failed,
            Some(3) => Act::Permanent,
            Some(4 | 9) => Act::UnknownDone,
            Some(5 | 10) => Act::UnknownNot,
            Some(6) => Act::CrashBefore,
            Some(7) => Act::CrashAfter,
            _ => Act::Done,
        }
    }

    fn act(&mut self, id: &StepId, attempt: u32) {
        let known = &self.state.steps[id];
        assert_eq!(
            known.stage,
            Stage::Open { fence: self.fence },
            "{id} has no intent"
        );
        assert_eq!(known.attempts, attempt);
        let act = self.chosen_act();
        self.acts += 1;
        self.last_act = self.now;
        if matches!(
            act,
            Act::Done | Act::NotYet | Act::UnknownDone | Act::CrashAfter
        ) {
            self.happens(id, act == Act::NotYet);
        }
        self.now = self.now.plus_millis(10);
        let error = "it did not work";
        let failed = |again| facts::failure_of(error, again, None);
        let outcome = match act {
            Act::CrashBefore | Act::CrashAfter => {
                self.fence.0 += 1;
                return;
            }
            Act::Done => Outcome::Done {
                output: json!({ "json": { "ok": true } }),
            },
            Act::NotYet => Outcome::Done {
                output: json!({ "json": { "ok": false } }),
            },
            Act::Failed => failed(true),
            Act::Permanent => failed(false),
            Act::UnknownDone | Act::UnknownNot => Outcome::Unknown {
                error: error.into(),
            },
        };
        match &outcome {
            Outcome::Unknown { .. } => drop(self.doubts.insert(id.clone(), ())),
            Outcome::Done { .. } => drop(self.doubts.remove(id)),
            Outcome::Failed { .. } => {}
        }
        let outcome = if Notice::is_id(id) {
            outcome
        } else {
            let context = context(self.subject(), &self.state, self.now);
            judge_until(&self.step(id), &context, outcome).unwrap()
        };
        self.record(facts::ends(id.as_str(), attempt, outcome));
    }

    /// The other side does it, unless it still knows the key. A step with `until` only looks.
    fn happens(&mut self, id: &StepId, looks: bool) {
        if looks && !Notice::is_id(id) && self.step(id).policy.until.is_some() {
            return;
        }
        if let Repeat::WithKey { window_ms } = self.repeat(id) {
            let first = *self.seen.entry(id.clone()).or_insert(self.now);
            let known = self.done.contains_key(id) && self.now.millis_since(first) < window_ms;
            if known {
                return;
            }
        }
        self.done.entry(id.clone()).or_default().push(self.now);
    }

    fn probe(&mut self, step: &StepId, attempt: u32) {
        match self.choices.pop_front() {
            Some(0..=80) => self.settle(step, "probe"),
            _ => self.record(Fact::Probed {
                step: step.clone(),
                attempt,
                answer: "it cannot tell".into(),
            }),
        }
    }

    /// Somebody looks, and says what is true.
    fn settle(&mut self, step: &StepId, by: &str) {
        let settlement = if self.done.contains_key(step) {
            Settlement::Happened {
                output: json!({ "json": { "ok": true } }),
            }
        } else {
            Settlement::DidNotHappen
        };
        self.record(Fact::Settled {
            step: step.clone(),
            attempt: self.state.steps[step].attempts,
            settlement,
            by: by.into(),
            reason: "somebody looked".into(),
        });
        self.fence.0 += 1;
    }

    /// An answer that counts: of somebody who may, with everything ticked.
    pub(crate) fn answer(&self, step: &StepId, approved: bool) -> Fact {
        let question = self.question(step);
        let by = match (question.not_by, self.state.starter.as_deref()) {
            (Some(NotBy::Starter), Some("ann")) => "bob",
            _ => "ann",
        };
        self.answer_of(step, approved, by, true)
    }

    fn answer_of(&self, step: &StepId, approved: bool, by: &str, ticks: bool) -> Fact {
        let question = self.question(step);
        let entitled = self.people.entitled(by, &question.by);
        Fact::Answered {
            step: step.clone(),
            answer: Answer {
                approved,
                by: by.into(),
                note: String::new(),
                hash: question.hash,
                ticked: if ticks {
                    question.tick.clone()
                } else {
                    Vec::new()
                },
                entitled: entitled.map(str::to_owned),
                identity: Default::default(),
            },
        }
    }

    fn question(&self, step: &StepId) -> &Question {
        match &self.state.steps[step].stage {
            Stage::Asked(asked) => &asked.question,
            other => panic!("{step} is not asked but {other:?}"),
        }
    }

    fn asked(&self) -> Option<StepId> {
        let asked =
            |(_, s): &(&StepId, &oncely_core::run::StepState)| matches!(s.stage, Stage::Asked(_));
        self.state
            .steps
            .iter()
            .find(asked)
            .map(|(id, _)| id.clone())
    }

    /// Somebody who may not answers, or a yes lacks a tick: that leaves no trace.
    fn wrong_answer(&mut self, step: &StepId, choice: u8) {
        let by = ["ann", "bob", "eve", "mallory"][usize::from(choice % 4)];
        let ticks = choice < 210;
        let question = self.question(step);
        let is_named = match question.by.as_slice() {
            [] => true,
            [_] => matches!(by, "ann" | "bob"),
            _ => by != "mallory",
        };
        let is_starter = question.not_by.is_some() && self.state.starter.as_deref() == Some(by);
        let in_time = question.expires.is_none_or(|until| until > self.now);
        let counts = is_named && !is_starter && in_time && (ticks || question.tick.is_empty());
        let answer = self.answer_of(step, true, by, ticks);
        let before = self.state.clone();
        let legal = self.state.clone().apply(self.now, &answer).is_ok();
        assert_eq!(legal, counts, "{answer:?} to {before:?}");
        self.try_record(answer);
    }

    fn wait(&mut self, until: Option<Timestamp>) {
        if let Some(until) = until {
            assert!(until > self.now, "a wait for the past");
        }
        let choice = self.choices.pop_front();
        match (until, self.asked(), choice) {
            (_, Some(step), Some(choice @ 200..)) if !self.silent => {
                self.wrong_answer(&step, choice);
            }
            (Some(until), Some(_), Some(150..200)) => self.now = until,
            (_, Some(step), _) if !self.silent => {
                let approved = choice.is_none_or(|byte| byte > 60);
                let answer = self.answer(&step, approved);
                self.try_record(answer);
            }
            (Some(until), ..) => self.now = until,
            (None, ..) => {
                assert!(self.state.paused, "nobody can end this wait");
                self.request(Request::Resume);
            }
        }
    }

    fn over(&mut self) -> bool {
        let (end, _) = self.state.ended.clone().unwrap();
        if end == End::Failed && self.choices.pop_front().is_some_and(|byte| byte < 150) {
            self.resume();
            return false;
        }
        true
    }

    /// The messages that were sent, and how often each.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (&StepId, usize)> {
        let messages = self.done.iter().filter(|(id, _)| Notice::is_id(id));
        messages.map(|(id, times)| (id, times.len()))
    }

    /// What really happened of the rounds of this step, and how often each.
    pub(crate) fn rounds_done(&self, of: &StepId) -> impl Iterator<Item = (Round, usize)> {
        let rounds = self
            .done
            .iter()
            .filter_map(|(id, times)| Some((Round::parse(id)?, times.len())));
        rounds.filter(move |(round, _)| round.step == *of && round.look == 0)
    }

    pub(crate) fn times_done(&self, step: &StepId) -> usize {
        self.done.get(step).map_or(0, Vec::len)
    }

    /// Whether its author said that it may happen twice.
    pub(crate) fn may_repeat(&self, step: &Step) -> bool {
        step.policy.on_unknown == OnUnknown::Repeat || self.repeat(&step.id) == Repeat::Safe
    }
}
