//! The policy beside a step's action: when, how often, how long, and how it is taken back.

use super::actions::{ACTIONS, ActionDoc, action_named};
use super::diagnostic::{Problem, suggest};
use super::fields::{ROUNDS, Shape};
use super::load::CallSite;
use super::model::{ActionKind, ActionSpec, Policy, Undo};
use super::names::Scope;
use super::reader::{Reader, Table, Val};
use crate::backoff::Retry;
use crate::fact::OnUnknown;
use crate::limits;
use crate::template::Node;
use toml::de::DeValue;

/// The keys of a policy, and what they mean.
pub const POLICY: &[(&str, &str)] = &[
    ("when", "The step is skipped unless this expression holds."),
    (
        "until",
        "The step is tried again until this expression holds of its `output`. With `every` it is \
         done in rounds until it holds: of `check` before each round, or of `output` after it.",
    ),
    (
        "every",
        "How long after a round the next one begins, such as \"14d\". It needs `times` or `for`.",
    ),
    (
        "check",
        "A table with one action that only looks: it is done before each round, and after the last.",
    ),
    ("times", "Most rounds."),
    (
        "for",
        "No round begins later than this after the first, such as \"180d\".",
    ),
    ("retry", "How often and how soon it is tried again."),
    ("timeout", "Longest time of one attempt, such as \"30s\"."),
    (
        "hold",
        "How long the step is held before it is done, such as \"24h\". A run that is held is \
         cancelled when an older release arrives.",
    ),
    (
        "on_unknown",
        "What happens when nobody knows whether an attempt happened: repeat, skip or ask.",
    ),
    (
        "probe",
        "How an attempt that nobody knows about is looked up: a table with one action that only looks, \
         and `happened`.",
    ),
    (
        "undo",
        "How the step is taken back: a table with one action, or \"never\".",
    ),
];

/// The keys of `retry`, and what they mean.
pub const RETRY: &[(&str, &str)] = &[
    ("attempts", "Tries in all."),
    (
        "first",
        "Wait before the second try; it doubles from there.",
    ),
    ("max", "Longest wait."),
];

/// The words of `on_unknown`.
pub(super) const ON_UNKNOWN: [&str; 3] = ["repeat", "skip", "ask"];

impl Reader<'_> {
    /// The policy of a step. `output` is what an attempt gives.
    pub(super) fn policy(
        &mut self,
        table: &Table<'_, '_>,
        scope: &Scope,
        id: &str,
        output: Shape,
    ) -> Policy {
        let retry = table.get("retry").and_then(|value| self.retry(value));
        let on_unknown = table.get("on_unknown").and_then(|v| self.on_unknown(v));
        let until = &scope.with_output(output);
        let rounds = self.rounds(table, scope, output);
        let output = match table.has("every") {
            true => Shape::Known(ROUNDS),
            false => output,
        };
        let until = table
            .get("until")
            .filter(|_| !table.has("every"))
            .and_then(|value| self.expr(value, "until", until));
        Policy {
            when: table
                .get("when")
                .and_then(|value| self.expr(value, "when", scope)),
            until,
            rounds,
            retry: retry.unwrap_or_default(),
            timeout_ms: table
                .get("timeout")
                .and_then(|value| self.some_time(value, "timeout")),
            hold_ms: table.get("hold").and_then(|value| self.hold(value)),
            on_unknown: on_unknown.unwrap_or_default(),
            probe: table.get("probe").and_then(|value| {
                let scope = self.scope_of_round(table, scope);
                self.probe(value, &scope)
            }),
            undo: table
                .get("undo")
                .and_then(|value| self.undo(value, scope, id, output)),
        }
    }

    fn hold(&mut self, value: &Val<'_>) -> Option<i64> {
        let millis = self.some_time(value, "hold")?;
        if millis > limits::HOLD_MS {
            let problem = Problem::new("`hold` is at most 366 days");
            self.report(value.span(), problem);
            return None;
        }
        Some(millis)
    }

    fn retry(&mut self, value: &Val<'_>) -> Option<Retry> {
        let table = self.table(value, "retry")?;
        let keys: Vec<_> = RETRY.iter().map(|(name, _)| *name).collect();
        self.known(&table, &keys, "`retry`");
        let usual = Retry::default();
        let most = i64::from(limits::ATTEMPTS);
        let attempts = table
            .get("attempts")
            .and_then(|value| self.int(value, "attempts", 1, most))
            .and_then(|number| u32::try_from(number).ok());
        let first = table
            .get("first")
            .and_then(|value| self.duration(value, "first"));
        let max = table
            .get("max")
            .and_then(|value| self.duration(value, "max"));
        if let (Some(first), Some(max)) = (first, max)
            && first > max
        {
            let problem = Problem::new("`first` is longer than `max`").label("the longest wait");
            self.report(table.key_span("max"), problem);
        }
        let first_ms = first.unwrap_or(usual.first_ms.min(max.unwrap_or(i64::MAX)));
        Some(Retry {
            attempts: attempts.unwrap_or(usual.attempts),
            first_ms,
            max_ms: max.unwrap_or(usual.max_ms.max(first_ms)),
        })
    }

    fn on_unknown(&mut self, value: &Val<'_>) -> Option<OnUnknown> {
        match self.choice(value, "on_unknown", &ON_UNKNOWN)? {
            "repeat" => Some(OnUnknown::Repeat),
            "skip" => Some(OnUnknown::Skip),
            _ => Some(OnUnknown::Ask),
        }
    }

    /// An undo may read everything that its step may, and the step's own output.
    fn undo(&mut self, value: &Val<'_>, scope: &Scope, id: &str, output: Shape) -> Option<Undo> {
        if let DeValue::String(text) = value.get_ref() {
            if text == "never" {
                return Some(Undo::Never);
            }
            self.wrong(value, "undo", "\"never\" or a table with one action");
            return None;
        }
        let table = self.table(value, "undo")?;
        let mut scope = scope.with_output(output);
        scope.steps.push(super::names::Seen {
            id: id.to_owned(),
            outputs: output,
        });
        let spec = self.one_action(&table, "`undo`", &[], &scope)?;
        if !super::actions::action(spec.kind).effect {
            let problem = Problem::new(format!("`{}` takes nothing back", spec.kind));
            self.report(table.span, problem);
            return None;
        }
        Some(Undo::Action(spec))
    }

    /// The one action among the keys of a table; `others` are the keys that may stand beside it.
    pub(super) fn one_action(
        &mut self,
        table: &Table<'_, '_>,
        of: &str,
        others: &[&str],
        scope: &Scope,
    ) -> Option<ActionSpec> {
        let mut chosen: Option<(&ActionDoc, &Val<'_>)> = None;
        let mut unknown = false;
        for (name, span, value) in table.each() {
            match action_named(name) {
                Some(doc) if chosen.is_none() => chosen = Some((doc, value)),
                Some(_) => {
                    let first = chosen.map_or("", |(doc, _)| doc.kind.name());
                    let problem = Problem::new(format!("{of} has one action"))
                        .label(format!("`{first}` stands there already"))
                        .help("make a step of its own of it");
                    self.report(span, problem);
                }
                None if others.contains(&name) => {}
                None => {
                    unknown = true;
                    self.report(span, unknown_key(name, of, others));
                }
            }
        }
        match chosen {
            Some((doc, value)) => {
                let options = self.options(doc, value, scope)?;
                self.called(doc, value, &options);
                self.asks(doc.kind, value);
                Some(ActionSpec::new(doc.kind, options))
            }
            None if unknown => None,
            None => {
                let problem = Problem::new(format!("{of} has no action"))
                    .help(format!("actions: {}", action_list()));
                self.report(table.span.clone(), problem);
                None
            }
        }
    }

    /// Remembers which task is called, to be looked for among the others.
    fn called(&mut self, doc: &ActionDoc, value: &Val<'_>, options: &Node) {
        if let (ActionKind::Call, Some(task)) = (doc.kind, options.fixed_text("task")) {
            let span = value
                .get_ref()
                .get("task")
                .map_or(value.span(), |v| v.span());
            self.calls.push(CallSite {
                task: task.to_owned(),
                span,
            });
        }
    }
}

fn unknown_key(name: &str, of: &str, others: &[&str]) -> Problem {
    let actions = ACTIONS.iter().map(|doc| doc.kind.name());
    let known: Vec<_> = actions.chain(others.iter().copied()).collect();
    let help = match super::diagnostic::closest(name, known.iter().copied()) {
        Some(_) => suggest(name, known, "known keys"),
        None if others.is_empty() => format!("actions: {}", action_list()),
        None => format!(
            "actions: {}; beside them: {}",
            action_list(),
            others.join(", ")
        ),
    };
    let message = if others.is_empty() {
        format!("`{name}` is no action")
    } else {
        format!("`{name}` is no action and no other key of {of}")
    };
    Problem::new(message).label("not known here").help(help)
}

pub(super) fn action_list() -> String {
    let names: Vec<_> = ACTIONS.iter().map(|doc| doc.kind.name()).collect();
    names.join(", ")
}
