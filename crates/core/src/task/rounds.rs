//! Steps that are done in rounds: `every`, and what ends them.

use super::actions::action_named;
use super::diagnostic::Problem;
use super::fields::{Shape, outputs};
use super::model::{ActionKind, ActionSpec, Policy, Step, Work};
use super::names::Scope;
use super::probes::says_safe;
use super::reader::{Reader, Table, Val};
use crate::fact::OnUnknown;
use crate::limits;
use crate::round::Round;
use crate::template::Expr;
use crate::undo;
use toml::de::DeValue;

/// `every`: the step is done in rounds.
#[derive(Debug, Clone)]
pub struct Rounds {
    /// Milliseconds from one round to the next.
    pub every_ms: i64,
    /// There is no further round once this holds.
    pub until: Option<Expr>,
    /// What is looked at before each round.
    pub check: Option<ActionSpec>,
    /// Most rounds.
    pub times: Option<u32>,
    /// No round begins later than this after the first, in milliseconds.
    pub for_ms: Option<i64>,
}

impl Step {
    /// A round of this step, or a look before one, as a step of its own.
    #[must_use]
    pub fn round(&self, round: &Round) -> Option<Self> {
        let rounds = self.policy.rounds.as_ref()?;
        let looks = round.look > 0;
        let work = match looks {
            true => Work::Action(rounds.check.clone()?),
            false => self.work.clone(),
        };
        let policy = Policy {
            when: None,
            until: None,
            rounds: None,
            hold_ms: None,
            undo: None,
            // It looks for what a round did, and not for a look.
            probe: self.policy.probe.clone().filter(|_| !looks),
            on_unknown: match looks {
                // To look twice does no harm.
                true => OnUnknown::Repeat,
                false => self.policy.on_unknown,
            },
            ..self.policy.clone()
        };
        Some(Self {
            id: round.id(),
            policy,
            work,
        })
    }
}

/// The keys of rounds.
pub(super) const ROUND_KEYS: [&str; 4] = ["every", "check", "times", "for"];

/// The keys that mean something only with `every`.
const WITH_EVERY: [&str; 3] = ["check", "times", "for"];

impl Reader<'_> {
    /// What a step that is done in rounds may read besides.
    pub(super) fn scope_of_round(&self, table: &Table<'_, '_>, scope: &Scope) -> Scope {
        if !table.has("every") {
            return scope.clone();
        }
        Scope {
            round: true,
            check: table.get("check").map(shape),
            ..scope.clone()
        }
    }

    /// The rounds of a step. `gives` is what one round gives.
    pub(super) fn rounds(
        &mut self,
        table: &Table<'_, '_>,
        scope: &Scope,
        gives: Shape,
    ) -> Option<Rounds> {
        let Some(value) = table.get("every") else {
            self.without_every(table);
            return None;
        };
        self.may_have_rounds(table, scope);
        let inside = self.scope_of_round(table, scope);
        let until = match inside.check {
            Some(_) => inside.clone(),
            None => inside.with_output(gives),
        };
        let rounds = Rounds {
            every_ms: self.round_time(value, "every", limits::ROUND_EVERY_MOST_MS)?,
            until: table
                .get("until")
                .and_then(|value| self.expr(value, "until", &until)),
            check: table
                .get("check")
                .and_then(|value| self.check(value, scope)),
            times: table.get("times").and_then(|value| {
                let times = self.int(value, "times", 1, i64::from(limits::ROUNDS))?;
                u32::try_from(times).ok()
            }),
            for_ms: table.get("for").and_then(|value| {
                let most = limits::ROUND_EVERY_MOST_MS * 10;
                self.round_time(value, "for", most)
            }),
        };
        self.bounds(table, &rounds);
        Some(rounds)
    }

    fn without_every(&mut self, table: &Table<'_, '_>) {
        for key in WITH_EVERY {
            if table.has(key) {
                let problem = Problem::new(format!("`{key}` needs `every`"))
                    .label("only a step that is done in rounds has this")
                    .help("every = \"14d\"");
                self.report(table.key_span(key), problem);
            }
        }
    }

    fn may_have_rounds(&mut self, table: &Table<'_, '_>, scope: &Scope) {
        let problem = if table.has("for_each") || table.has("do") {
            Problem::new("a `for_each` step is not done in rounds")
                .help("put it into a task of its own, and `call` that task in rounds")
        } else if scope.item {
            Problem::new("`every` cannot stand inside a `do` block")
                .label("this is done for each item")
                .help("`call` a task for each item, and let that one have the rounds")
        } else if scope.trigger == "release" {
            Problem::new("a release task has no rounds: later ones would wait for them")
                .help("put them into a task with [on.call], and `call` that one")
        } else {
            return;
        };
        self.report(table.key_span("every"), problem);
    }

    fn round_time(&mut self, value: &Val<'_>, name: &str, most: i64) -> Option<i64> {
        let millis = self.some_time(value, name)?;
        if millis < limits::ROUND_EVERY_MS || millis > most {
            let days = most / 86_400_000;
            let problem = Problem::new(format!("`{name}` is from a second to {days} days"));
            self.report(value.span(), problem);
            return None;
        }
        Some(millis)
    }

    fn bounds(&mut self, table: &Table<'_, '_>, rounds: &Rounds) {
        if !table.has("times") && !table.has("for") {
            let problem = Problem::new("`every` needs a bound")
                .label("these rounds might never end")
                .help("times = 12, or for = \"180d\"; steps after it read whether `until` held");
            self.report(table.key_span("every"), problem);
        }
        let many = |for_ms| for_ms / rounds.every_ms >= i64::from(limits::ROUNDS);
        if rounds.times.is_none() && rounds.for_ms.is_some_and(many) {
            let problem = Problem::new(format!("there are at most {} rounds", limits::ROUNDS))
                .label("this is longer than that many last");
            self.report(table.key_span("for"), problem);
        }
        if table.has("check") && !table.has("until") {
            let problem = Problem::new("`check` needs `until`")
                .label("nothing says when this ends the rounds")
                .help("until = \"check.json.paid\"");
            self.report(table.key_span("check"), problem);
        }
    }

    /// One action that only looks. It reads the number of the coming round.
    fn check(&mut self, value: &Val<'_>, scope: &Scope) -> Option<ActionSpec> {
        let table = self.table(value, "check")?;
        let scope = Scope {
            round: true,
            ..scope.clone()
        };
        let spec = self.one_action(&table, "`check`", &[], &scope)?;
        let why = match spec.kind {
            ActionKind::Sql if is_ledger(&spec) => {
                "what it selects in the ledger is not given back"
            }
            ActionKind::Http | ActionKind::Sql if undo::only_looks(&spec) => return Some(spec),
            ActionKind::Command if says_safe(&spec) => return Some(spec),
            ActionKind::Command => "nothing says that it only looks",
            _ => "it does more than look",
        };
        let problem = Problem::new(format!("this `{}` cannot be a check", spec.kind))
            .label(why)
            .help(
                "a check only looks: http with GET or HEAD, a select on a [db.NAME], or a command \
                 with safe = true",
            );
        self.report(table.span, problem);
        None
    }
}

fn is_ledger(spec: &ActionSpec) -> bool {
    spec.options
        .fixed_text("db")
        .is_none_or(|db| db == "ledger")
}

/// What the action of a `check` gives, as far as it can be told.
fn shape(value: &Val<'_>) -> Shape {
    let DeValue::Table(entries) = value.get_ref() else {
        return Shape::Open;
    };
    let table = Table {
        entries,
        span: value.span(),
    };
    let named = table.each().find_map(|(name, ..)| action_named(name));
    named.map_or(Shape::Open, |doc| Shape::Known(outputs(doc.kind)))
}
