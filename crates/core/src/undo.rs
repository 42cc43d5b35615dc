//! Taking back what a run did: what can be taken back, and the task that does it.
//!
//! An undo is a run of its own. Its task is made from the text that the first run was pinned to and
//! from what that run did, so that it is decided, recorded, retried and resumed like every other.

use crate::fact::Undoing;
use crate::ids::{EventKey, RunId, StepId};
use crate::round::Round;
use crate::run::{RunState, Stage, StepState};
use crate::task::{ActionKind, ActionSpec, Each, Limits, Policy, Step, Task, Undo, Work};
use crate::template::Node;
use std::collections::BTreeMap;

/// What starts a run that takes another one back, where others name their trigger.
pub const TRIGGER: &str = "undo";

/// The key of the run that takes this one back: there is at most one for each run.
#[must_use]
pub fn key(run: RunId) -> EventKey {
    EventKey::from(format!("{TRIGGER}:{run}"))
}

/// Whether a key is one that [`key`] gives.
#[must_use]
pub fn is_key(key: &EventKey) -> bool {
    let number = key.as_str().strip_prefix("undo:");
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// How what a step did is taken back.
#[derive(Debug, Clone, PartialEq)]
pub enum Inverse<'t> {
    /// By the action that the task declares.
    Declared(&'t ActionSpec),
    /// By the step's own action, from what it gave.
    Own(&'t ActionSpec),
    /// There is nothing to take back: it only looks, decides or asks.
    Nothing,
    /// It cannot be taken back, and the author says so: `undo = "never"`.
    Never,
    /// It has an effect, and nobody says how it is taken back.
    Missing,
}

/// How a step is taken back, as far as its text says.
#[must_use]
pub fn inverse(step: &Step) -> Inverse<'_> {
    match (&step.policy.undo, &step.work) {
        (Some(Undo::Never), _) => Inverse::Never,
        (Some(Undo::Action(spec)), _) => Inverse::Declared(spec),
        (None, Work::Action(spec)) => own(spec),
        (None, Work::Each(each)) => of_items(each),
    }
}

fn own(spec: &ActionSpec) -> Inverse<'_> {
    match spec.kind {
        ActionKind::Require | ActionKind::Approve | ActionKind::Predict => Inverse::Nothing,
        _ if only_looks(spec) => Inverse::Nothing,
        ActionKind::Put => Inverse::Own(spec),
        _ => Inverse::Missing,
    }
}

/// Whether an action changes nothing, as far as its text says.
#[must_use]
pub(crate) fn only_looks(spec: &ActionSpec) -> bool {
    match spec.kind {
        ActionKind::Http => asks_only(&spec.options),
        ActionKind::Sql => looks_only(&spec.options),
        _ => false,
    }
}

/// Items are not taken back one by one: what a block did is taken back whole, or not at all.
fn of_items(each: &Each) -> Inverse<'_> {
    let all: Vec<Inverse<'_>> = each.steps.iter().map(inverse).collect();
    let has_effect = |inverse: &&Inverse<'_>| **inverse != Inverse::Nothing;
    match all.iter().find(has_effect) {
        None => Inverse::Nothing,
        Some(_) if all.iter().filter(has_effect).all(|i| *i == Inverse::Never) => Inverse::Never,
        Some(_) => Inverse::Missing,
    }
}

/// A request whose method changes nothing on the other side (RFC 9110, section 9.2.1).
pub(crate) fn asks_only(options: &Node) -> bool {
    let has_body = ["json", "form", "body"]
        .iter()
        .any(|name| options.get(name).is_some());
    match options.fixed_text("method") {
        Some(method) => matches!(method, "GET" | "HEAD" | "OPTIONS"),
        None => !has_body,
    }
}

/// One statement that begins with `select` or `values`.
pub(crate) fn looks_only(options: &Node) -> bool {
    let Some(text) = options.fixed_text("text") else {
        return false;
    };
    let text = without_comments(text);
    let text = text.trim().trim_end_matches(';');
    let word: String = text.chars().take_while(char::is_ascii_alphabetic).collect();
    let looks = word.eq_ignore_ascii_case("select") || word.eq_ignore_ascii_case("values");
    looks && !text.contains(';')
}

fn without_comments(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What an undo of a run would do.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UndoPlan {
    /// The steps that are taken back, the last one first.
    pub steps: Vec<StepId>,
    /// The calls of those whose action takes back by itself.
    pub calls: BTreeMap<StepId, crate::Value>,
    /// Steps whose effect stays, and their authors know it: `undo = "never"`.
    pub left: BTreeMap<StepId, String>,
    /// Steps whose effect would stay though nobody said that it may.
    pub missing: BTreeMap<StepId, String>,
    /// An attempt of this step may have happened, and nobody knows.
    pub in_doubt: Option<StepId>,
}

/// What an undo of a run would do: the steps that happened, in reverse.
#[must_use]
pub fn plan(task: &Task, state: &RunState) -> UndoPlan {
    let mut plan = UndoPlan::default();
    for step in task.steps.iter().rev() {
        if step.policy.rounds.is_some() {
            plan.add_rounds(step, state);
            continue;
        }
        let Some(known) = state.steps.get(&step.id) else {
            continue;
        };
        if matches!(known.stage, Stage::Unknown { .. } | Stage::Open { .. }) {
            plan.in_doubt = Some(step.id.clone());
        }
        if happened(step, known) {
            plan.add(step, known, state);
        }
    }
    plan
}

/// A stream that was begun may have done some of its items, however it ended.
fn happened(step: &Step, known: &StepState) -> bool {
    match step.work {
        Work::Action(_) => known.stage == Stage::Done,
        Work::Each(_) => known.attempts > 0,
    }
}

/// A round of this step that nobody knows about.
fn round_in_doubt(step: &Step, state: &RunState) -> Option<StepId> {
    let in_doubt = state.steps.iter().find(|(id, known)| {
        let round = Round::parse(id).is_some_and(|round| round.step == step.id && round.look == 0);
        round && matches!(known.stage, Stage::Unknown { .. } | Stage::Open { .. })
    });
    in_doubt.map(|(id, _)| id.clone())
}

impl UndoPlan {
    fn add(&mut self, step: &Step, known: &StepState, state: &RunState) {
        let id = step.id.clone();
        match inverse(step) {
            Inverse::Nothing => {}
            Inverse::Declared(_) => self.steps.push(id),
            Inverse::Own(_) => self.own(step, known, state),
            Inverse::Never => {
                self.left.insert(id, "undo = \"never\"".into());
            }
            Inverse::Missing => {
                self.missing.insert(id, "it has no `undo`".into());
            }
        }
    }

    /// Rounds are not taken back one by one: what they did is taken back whole, or not at all.
    fn add_rounds(&mut self, step: &Step, state: &RunState) {
        self.in_doubt = round_in_doubt(step, state).or(self.in_doubt.take());
        let begun = state.rounds.get(&step.id);
        if begun.is_none_or(|done| done.count == 0) {
            return;
        }
        let id = step.id.clone();
        match inverse(step) {
            Inverse::Nothing => {}
            Inverse::Declared(_) => self.steps.push(id),
            Inverse::Never => {
                self.left.insert(id, "undo = \"never\"".into());
            }
            Inverse::Own(_) | Inverse::Missing => {
                self.missing.insert(id, "it has no `undo`".into());
            }
        }
    }

    /// A file that `put` made is removed; one that it wrote over has no former content any more.
    fn own(&mut self, step: &Step, known: &StepState, state: &RunState) {
        let id = step.id.clone();
        let output = state.outputs.get(id.as_str());
        let created = output.and_then(|o| o.get("created")) == Some(&true.into());
        let call = known.call.clone().unwrap_or_default();
        if created {
            self.calls.insert(id.clone(), call);
            self.steps.push(id);
        } else if call.get("if_absent") != Some(&true.into()) {
            let why = "it wrote over a file that was there before, whose content is gone";
            self.missing.insert(id, why.into());
        }
    }

    /// Whether there is nothing that an undo would take back or leave.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.left.is_empty() && self.missing.is_empty()
    }
}

/// The task of an undo: the inverse of each step, in the order in which they are taken back.
#[must_use]
pub fn task(base: &Task, undoing: &Undoing) -> Task {
    let found = |id: &StepId| base.steps.iter().find(|step| step.id == *id);
    let steps = undoing.steps.iter().filter_map(found);
    Task {
        limits: Limits::default(),
        steps: steps.filter_map(|step| taken_back(step, undoing)).collect(),
        ..base.clone()
    }
}

fn taken_back(step: &Step, undoing: &Undoing) -> Option<Step> {
    let work = match (inverse(step), &step.work) {
        (Inverse::Declared(spec), _) => Work::Action(spec.clone()),
        (Inverse::Own(spec), _) => {
            let call = undoing.calls.get(&step.id)?.clone();
            Work::Action(ActionSpec::inverse(spec.kind, Node::Fixed(call)))
        }
        _ => return None,
    };
    Some(Step {
        id: step.id.clone(),
        policy: Policy {
            when: None,
            until: None,
            rounds: None,
            undo: None,
            // It looks for what was done, and not for what took it back.
            probe: None,
            // Who takes it back has decided already.
            hold_ms: None,
            ..step.policy.clone()
        },
        work,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Bundle, load};

    fn of(step: &str) -> String {
        let bundle = Bundle {
            path: "tasks/t.toml".into(),
            text: format!("on.call = {{}}\n[[step]]\nid = \"s\"\n{step}\n"),
            executable: false,
            files: BTreeMap::new(),
        };
        let task = load(&bundle).unwrap();
        match inverse(&task.steps[0]) {
            Inverse::Declared(spec) => format!("declared {}", spec.kind),
            Inverse::Own(spec) => format!("own {}", spec.kind),
            other => format!("{other:?}").to_lowercase(),
        }
    }

    #[test]
    fn what_only_looks_has_nothing_to_take_back_and_what_acts_says_how() {
        let url = "url = \"https://x.example/\"";
        for (step, expected) in [
            ("command = \"x\"".to_owned(), "missing"),
            ("command = \"x\"\nundo = \"never\"".into(), "never"),
            (
                "command = \"x\"\nundo = { put = { to = \"a/b\", text = \"\" } }".into(),
                "declared put",
            ),
            (format!("http = {{ {url} }}"), "nothing"),
            (format!("http = {{ {url}, method = \"HEAD\" }}"), "nothing"),
            (format!("http = {{ {url}, json = {{}} }}"), "missing"),
            (
                format!("http = {{ {url}, method = \"DELETE\" }}"),
                "missing",
            ),
            ("sql = { text = \"-- all\\n select 1;\" }".into(), "nothing"),
            (
                "sql = { text = \"select 1; delete from t\" }".into(),
                "missing",
            ),
            (
                "sql = { text = \"with x as (select 1) delete from t\" }".into(),
                "missing",
            ),
            ("put = { to = \"a/b\", text = \"x\" }".into(), "own put"),
            ("require = \"true\"".into(), "nothing"),
            ("approve = \"Go?\"".into(), "nothing"),
            (
                "for_each = \"[1]\"\ndo = [{ command = [\"x\"] }]".into(),
                "missing",
            ),
            (
                "for_each = \"[1]\"\ndo = [{ sql = { text = \"select 1\" } }]".into(),
                "nothing",
            ),
            (
                "for_each = \"[1]\"\nundo = { command = \"x\" }\ndo = [{ command = [\"x\"] }]"
                    .into(),
                "declared command",
            ),
        ] {
            assert_eq!(of(&step), expected, "{step}");
        }
    }
}
