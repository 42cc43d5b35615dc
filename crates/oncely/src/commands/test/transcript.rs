//! What a test shows: the same text for the same task, event and answers, on every machine.

use super::cancels::Cancels;
use super::hints;
use super::play::{Heard, Played};
use crate::catch::Effect;
use crate::commands::logs::sentence;
use crate::config::Config;
use crate::output::{count, plain, thousands};
use oncely_core::Value;
use oncely_core::fact::{Fact, Outcome};
use oncely_core::ids::{EventKey, StepId};
use oncely_core::question::Notice;
use oncely_core::task::{Step, Task, Work};
use oncely_core::template::Expr;
use std::collections::BTreeSet;

/// The text of a test, or its JSON.
pub(super) struct Transcript {
    json: bool,
    label: String,
    environment: String,
    text: String,
    effects: usize,
}

impl Transcript {
    pub(super) fn new(json: bool, label: String, config: &Config) -> Self {
        Self {
            json,
            label,
            environment: config.environment.value.to_string(),
            text: String::new(),
            effects: 0,
        }
    }

    /// All of it, a line end after each line.
    pub(super) fn text(&self) -> String {
        self.text.clone()
    }

    /// A line for people.
    fn say(&mut self, line: impl AsRef<str>) {
        if !self.json {
            self.text.push_str(plain(line.as_ref()).trim_end());
            self.text.push('\n');
        }
    }

    /// A line for programs.
    fn record(&mut self, value: &Value) {
        if self.json {
            self.text.push_str(&value.to_string());
            self.text.push('\n');
        }
    }

    pub(super) fn begins(&mut self, key: &EventKey) {
        let (label, environment) = (&self.label, &self.environment);
        self.say(format!("{label}, {key}, in {environment}"));
    }

    /// Runs of other tasks that this one cancels before it begins.
    pub(super) fn cancels(&mut self, cancels: &[Cancels]) {
        for Cancels { task, key } in cancels {
            self.record(&serde_json::json!({ "cancels": task, "key": key }));
            self.say(format!(
                "  cancels a run of `{task}` with the key {key}, as its `cancel_on` says"
            ));
        }
    }

    pub(super) fn passed_over(&mut self) {
        self.record(&serde_json::json!({ "end": "passed_over", "effects": 0 }));
        let line = format!(
            "{}: `when` of the task does not hold, so that the request is passed over and starts \
             nothing.",
            self.label
        );
        self.say(line);
    }

    pub(super) fn undoes(&mut self) {
        self.say("\nUndo");
    }

    /// What a run did, fact by fact, and how it ended.
    pub(super) fn played(&mut self, played: &Played, heard: &Heard, task: &Task) {
        let mut shown = BTreeSet::new();
        for recorded in &played.facts {
            if let Fact::Intent { step, attempt, .. } = &recorded.fact {
                self.effects_of(step, *attempt, heard, &mut shown);
            }
            self.fact(&recorded.fact, played, task);
        }
        for (step, item) in &played.set_aside {
            let place = item.line.map_or_else(
                || format!("item {}", item.item + 1),
                |line| format!("line {line}"),
            );
            self.say(format!("  `{step}` set {place} aside: {}", item.reason));
        }
        self.ends(played, heard);
    }

    /// The effects of an attempt; those of items stand together, in the order of the items.
    fn effects_of(
        &mut self,
        step: &StepId,
        attempt: u32,
        heard: &Heard,
        shown: &mut BTreeSet<usize>,
    ) {
        let inside = format!("{step}/");
        let is_notice = Notice::is_id(step);
        let own = |effect: &Effect| match effect.item {
            None => effect.step == *step && effect.attempt == attempt,
            Some(_) => !is_notice && effect.step.as_str().starts_with(&inside),
        };
        let effects = heard.effects.iter().enumerate();
        let mut found: Vec<(usize, &Effect)> = effects
            .filter(|(place, effect)| own(effect) && !shown.contains(place))
            .collect();
        found.sort_by_key(|(place, effect)| (effect.item, *place));
        for (place, effect) in found {
            shown.insert(place);
            self.effect(effect);
        }
    }

    fn effect(&mut self, effect: &Effect) {
        self.effects += 1;
        let mut record = serde_json::json!({ "effect": self.effects });
        if let (Some(table), Value::Object(rest)) = (record.as_object_mut(), effect.record()) {
            table.extend(rest);
        }
        self.record(&record);
        self.say(format!("\n{}", effect.title()));
        for line in effect.text.lines() {
            self.say(format!("    {line}"));
        }
        if let Some(given) = &effect.given {
            let given = Value::Object(given.clone());
            self.say(format!("  answered {given}"));
        }
    }

    fn fact(&mut self, fact: &Fact, played: &Played, task: &Task) {
        let quiet = matches!(
            fact,
            Fact::Began { .. }
                | Fact::Intent { .. }
                | Fact::Linked { .. }
                | Fact::Undoes(_)
                | Fact::Ended { .. }
                | Fact::Requested { .. }
                | Fact::Outcome {
                    outcome: Outcome::Done { .. },
                    ..
                }
        );
        if !quiet {
            self.say(format!("  {}", sentence(fact)));
        }
        if let Fact::Skipped { step, .. } = fact {
            let when = task.steps.iter().find(|s| s.id == *step).and_then(when);
            for missing in hints::unanswered(when.into_iter().flat_map(Expr::names), task, played) {
                self.say(format!("    {missing}"));
            }
        }
        if let Fact::Outcome {
            step,
            outcome: Outcome::Done { output },
            ..
        } = fact
        {
            let each = task.steps.iter().find(|s| s.id == *step);
            if each.is_some_and(|step| matches!(step.work, Work::Each(_))) {
                self.say(format!("  `{step}` done: {output}"));
            }
        }
    }

    fn ends(&mut self, played: &Played, heard: &Heard) {
        if heard.more > 0 {
            let more = thousands(heard.more as u64);
            self.say(format!("\n… and {more} more effects, which are not shown"));
        }
        let reason = played.state.ended.as_ref().map(|(_, reason)| reason);
        let reason = reason.cloned().unwrap_or_default();
        let effects = self.effects + heard.more;
        self.record(&serde_json::json!({
            "end": played.status, "reason": reason, "effects": effects,
            "undo": played.state.undoing.is_some(), "set_aside": played.set_aside.len(),
            "outputs": played.state.outputs,
        }));
        let why = match reason.is_empty() {
            true => String::new(),
            false => format!(": {reason}"),
        };
        self.say(format!("\n{}{why}", played.status));
        let all = count(effects, "effect");
        self.say(format!("{all} caught, nothing was sent or written."));
    }
}

fn when(step: &Step) -> Option<&Expr> {
    step.policy.when.as_ref()
}
