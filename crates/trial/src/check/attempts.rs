//! Attempts, put together from the facts of a run and of its items, in the order they were written.

use super::export::Run;
use serde_json::Value;

/// One attempt as the ledger tells it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempt {
    /// The step, or `step/sub-step`.
    pub(crate) step: String,
    pub(crate) item: Option<u64>,
    pub(crate) number: u64,
    pub(crate) fence: i64,
    pub(crate) key: String,
    pub(crate) begun: i64,
    /// When it was over, however.
    pub(crate) over: Option<i64>,
    /// `done`, `failed`, `unknown`, if its outcome was recorded.
    pub(crate) was: Option<String>,
    /// Its process went away.
    pub(crate) interrupted: bool,
    /// It may be made again without asking: `safe` or `with_key`.
    pub(crate) repeatable: bool,
}

/// The attempts of a run, and what is out of order in its history.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) attempts: Vec<Attempt>,
    /// Facts that only a superseded claim can have written.
    pub(crate) stale: Vec<String>,
    fence: i64,
}

/// Reads the attempts of a run.
pub(crate) fn of(run: &Run) -> Told {
    let mut told = Told::default();
    for fact in &run.facts {
        told.fact(fact);
    }
    told.fence = 0;
    let mut items: Vec<&Value> = run.item_facts.iter().collect();
    items.sort_by_key(|fact| (text(fact, "step"), number(fact, "item")));
    let mut last = None;
    for fact in items {
        let item = (text(fact, "step"), number(fact, "item"));
        if last.as_ref() != Some(&item) {
            told.fence = 0;
            last = Some(item);
        }
        told.item_fact(fact);
    }
    told
}

pub(crate) fn text(value: &Value, name: &str) -> String {
    value
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

pub(crate) fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn time(value: &Value) -> i64 {
    value.get("at").and_then(Value::as_i64).unwrap_or_default()
}

impl Told {
    fn fact(&mut self, fact: &Value) {
        let step = text(fact, "step");
        match text(fact, "fact").as_str() {
            "intent" => self.intent(step, None, number(fact, "attempt"), time(fact), fact),
            "interrupted" => self.interrupted(&step, number(fact, "attempt"), time(fact)),
            "outcome" => {
                let was = text(fact, "was");
                self.outcome(&step, None, number(fact, "attempt"), time(fact), was);
            }
            _ => {}
        }
    }

    fn item_fact(&mut self, fact: &Value) {
        let step = format!("{}/{}", text(fact, "step"), text(fact, "sub"));
        let (item, attempt, at) = (number(fact, "item"), number(fact, "attempt"), time(fact));
        let Some(what) = fact.get("what") else {
            return;
        };
        match text(what, "item_fact").as_str() {
            "intent" => self.intent(step, Some(item), attempt, at, what),
            _ => {
                let was = what
                    .get("outcome")
                    .map(|o| text(o, "was"))
                    .unwrap_or_default();
                self.outcome(&step, Some(item), attempt, at, was);
            }
        }
    }

    fn intent(&mut self, step: String, item: Option<u64>, attempt: u64, at: i64, told: &Value) {
        let fence = told
            .get("fence")
            .and_then(Value::as_i64)
            .unwrap_or_default();
        if fence < self.fence {
            self.stale.push(format!(
                "step `{step}`{} was begun under claim {fence} after claim {} had begun",
                of_item(item),
                self.fence
            ));
        }
        self.fence = self.fence.max(fence);
        if let Some(open) = self.last(&step, item)
            && open.over.is_none()
        {
            // The next attempt tells that this one was cut off.
            open.over = Some(at);
            open.interrupted = true;
        }
        let repeat = told
            .get("repeat")
            .map(|r| text(r, "is"))
            .unwrap_or_default();
        self.attempts.push(Attempt {
            step,
            item,
            number: attempt,
            fence,
            key: text(told, "key"),
            begun: at,
            repeatable: repeat != "ask_first",
            ..Attempt::default()
        });
    }

    fn interrupted(&mut self, step: &str, attempt: u64, at: i64) {
        match self.last(step, None) {
            Some(open) if open.number == attempt && open.over.is_none() => {
                open.over = Some(at);
                open.interrupted = true;
            }
            _ => self.stale.push(format!(
                "step `{step}`: attempt {attempt} was interrupted, which was not open"
            )),
        }
    }

    fn outcome(&mut self, step: &str, item: Option<u64>, attempt: u64, at: i64, was: String) {
        match self.last(step, item) {
            Some(open) if open.number == attempt && open.over.is_none() => {
                open.over = Some(at);
                // Nobody saw how an item's attempt ended whose process went away.
                open.interrupted = item.is_some() && was == "unknown";
                open.was = Some(was);
            }
            // A claim that finds an item in doubt, and is cut off before it moves on, has the next
            // one find it in doubt again.
            Some(open)
                if item.is_some()
                    && open.number == attempt
                    && was == "unknown"
                    && open.was.as_deref() == Some("unknown") => {}
            _ => self.stale.push(format!(
                "step `{step}`{}: an outcome of attempt {attempt}, which was not open",
                of_item(item)
            )),
        }
    }

    fn last(&mut self, step: &str, item: Option<u64>) -> Option<&mut Attempt> {
        let mut all = self.attempts.iter_mut().rev();
        all.find(|a| a.item == item && a.step == step)
    }
}

fn of_item(item: Option<u64>) -> String {
    item.map(|item| format!(" (item {item})"))
        .unwrap_or_default()
}
