//! `probe`: how an attempt that nobody knows about is looked up.

use super::diagnostic::Problem;
use super::fields::{Shape, outputs};
use super::model::{ActionKind, ActionSpec, Lookup, ProbeSpec, Step, Work};
use super::names::Scope;
use super::reader::{Reader, Table, Val};
use crate::undo::{asks_only, looks_only};

/// The key beside the action of a `probe`, and what it means.
pub const PROBE: &[(&str, &str)] = &[(
    "happened",
    "Whether the attempt happened: an expression that reads the `output` of the look-up.",
)];

/// The actions that may look.
pub(super) const LOOKERS: [ActionKind; 3] =
    [ActionKind::Command, ActionKind::Http, ActionKind::Sql];

/// The actions that find by themselves what they did: the mark of `sql`, the file of `put`.
const OWN: [ActionKind; 2] = [ActionKind::Sql, ActionKind::Put];

impl Reader<'_> {
    /// A probe may read what its step may, and only looks.
    pub(super) fn probe(&mut self, value: &Val<'_>, scope: &Scope) -> Option<ProbeSpec> {
        let table = self.table(value, "probe")?;
        let look = self.one_action(&table, "`probe`", &["happened"], scope);
        let Some(happened) = table.get("happened") else {
            let help = "happened = \"output.status == 200\"";
            self.missing(table.span.clone(), "happened", "`probe`", help);
            return None;
        };
        let look = look?;
        let scope = scope.with_output(Shape::Known(outputs(look.kind)));
        let happened = self.expr(happened, "happened", &scope);
        self.only_looks(&table, &look)?;
        Some(ProbeSpec {
            look,
            happened: happened?,
        })
    }

    fn only_looks(&mut self, table: &Table<'_, '_>, look: &ActionSpec) -> Option<()> {
        let name = look.kind.name();
        let problem = match look.kind {
            ActionKind::Command if says_safe(look) => return Some(()),
            ActionKind::Http if asks_only(&look.options) => return Some(()),
            ActionKind::Sql if looks_only(&look.options) => {
                if look
                    .options
                    .fixed_text("db")
                    .is_some_and(|db| db != "ledger")
                {
                    return Some(());
                }
                Problem::new("the ledger's own database is not looked up")
                    .help("what a step does there is committed with its record and never in doubt")
            }
            ActionKind::Command => Problem::new("this `command` cannot be a `probe`")
                .label("nothing says that it only looks")
                .help("a command that changes nothing says so: safe = true"),
            ActionKind::Http => Problem::new("a `probe` only looks: `GET`, `HEAD` or `OPTIONS`")
                .label("this request may change something"),
            ActionKind::Sql => Problem::new("a `probe` only looks: one `select`")
                .label("this statement may change something"),
            _ => Problem::new(format!("`{name}` looks nothing up"))
                .help("a `probe` has one of: command, http, sql"),
        };
        self.report(table.key_span(name), problem);
        None
    }
}

/// Whether the author says of a command that it changes nothing.
pub(super) fn says_safe(spec: &ActionSpec) -> bool {
    spec.fixed.get("safe") == Some(&true.into())
}

/// How an attempt of this step is looked up.
#[must_use]
pub fn lookup(step: &Step) -> Lookup<'_> {
    match (&step.policy.probe, &step.work) {
        (Some(probe), _) => Lookup::Declared(probe),
        (None, Work::Action(spec)) if spec.inverse => Lookup::Nobody,
        (None, Work::Action(spec)) => Lookup::Own(spec.kind),
        (None, Work::Each(_)) => Lookup::Nobody,
    }
}

/// Whether there is somebody to ask about an attempt of this step.
#[must_use]
pub fn can_be_looked_up(step: &Step) -> bool {
    match lookup(step) {
        Lookup::Declared(_) => true,
        Lookup::Own(kind) => OWN.contains(&kind),
        Lookup::Nobody => false,
    }
}
