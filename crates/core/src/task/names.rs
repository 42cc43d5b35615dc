//! What an expression at some place of a file may read, and the words for what it may not.

use super::diagnostic::{Problem, closest, suggest};
use super::fields::{Field, LOOP, ROOTS, RUN, Shape};

/// Names of the expression language itself.
const BUILT_IN: [&str; 5] = ["range", "dict", "namespace", "debug", "self"];

/// A step that can be read, or that cannot yet.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) outputs: Shape,
}

/// What an expression may read.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) event: Shape,
    pub(super) trigger: &'static str,
    /// Steps before this one; the last of an id counts.
    pub(super) steps: Vec<Seen>,
    /// Steps that exist and cannot be read here, each with the reason.
    pub(super) hidden: Vec<(String, String)>,
    pub(super) run: bool,
    pub(super) item: bool,
    pub(super) output: Option<Shape>,
    /// In a step that is done in rounds.
    pub(super) round: bool,
    /// What its `check` gives.
    pub(super) check: Option<Shape>,
}

/// Whether `{{ secret.NAME }}` may stand in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    Allowed,
    Refused,
}

impl Scope {
    /// The scope of an expression that is evaluated before there is a run.
    pub(super) fn event_only(event: Shape, trigger: &'static str) -> Self {
        Self {
            event,
            trigger,
            steps: Vec::new(),
            hidden: Vec::new(),
            run: false,
            item: false,
            output: None,
            round: false,
            check: None,
        }
    }

    pub(super) fn with_output(&self, output: Shape) -> Self {
        Self {
            output: Some(output),
            ..self.clone()
        }
    }

    /// Judges one name, dotted as far as it is plain.
    pub(super) fn check(&self, name: &str, secrets: Secrets) -> Result<(), Problem> {
        let mut parts = name.split('.');
        let root = parts.next().unwrap_or_default();
        let path: Vec<&str> = parts.collect();
        match root {
            "event" => below(
                "event",
                self.event,
                &path,
                &format!("the event of on.{}", self.trigger),
            ),
            "run" if self.run => below("run", Shape::Known(RUN), &path, "`run`"),
            "steps" => self.step(&path),
            "item" if self.item => Ok(()),
            "loop" if self.item => below("loop", Shape::Known(LOOP), &path, "`loop`"),
            "output" => match self.output {
                Some(output) => below("output", output, &path, "`output`"),
                None => Err(Problem::new(
                    "`output` can be read in `until` and `happened` only",
                )),
            },
            "round" if self.round => alone("round", &path),
            "check" => match self.check {
                Some(check) => below("check", check, &path, "`check`"),
                None => Err(Problem::new(
                    "`check` can be read in a step with `every` and `check` only",
                )),
            },
            "now" => alone("now", &path),
            "secret" if secrets == Secrets::Allowed => Ok(()),
            "secret" => Err(secret_refused()),
            _ if BUILT_IN.contains(&root) => Ok(()),
            _ => Err(self.unknown_root(root)),
        }
    }

    fn unknown_root(&self, root: &str) -> Problem {
        match root {
            "item" | "loop" => {
                return Problem::new(format!("`{root}` can be read inside a `do` block only"));
            }
            "round" => return Problem::new("`round` can be read in a step with `every` only"),
            "run" => return Problem::new("there is no run yet where this is evaluated"),
            _ => {}
        }
        let roots = ROOTS
            .iter()
            .map(|field| field.name)
            .filter(|name| match *name {
                "item" | "loop" => self.item,
                "output" => self.output.is_some(),
                "round" => self.round,
                "check" => self.check.is_some(),
                "run" => self.run,
                "steps" => !self.steps.is_empty(),
                _ => true,
            });
        Problem::new(format!("there is no `{root}` to read here"))
            .label("unknown name")
            .help(suggest(root, roots.collect::<Vec<_>>(), "names"))
    }

    fn step(&self, path: &[&str]) -> Result<(), Problem> {
        let Some((id, rest)) = path.split_first() else {
            return Ok(());
        };
        if let Some(seen) = self.steps.iter().rev().find(|seen| seen.id == *id) {
            let what = format!("step `{id}`");
            return below(&format!("steps.{id}"), seen.outputs, rest, &what);
        }
        if let Some((_, why)) = self.hidden.iter().rev().find(|(hidden, _)| hidden == id) {
            return Err(Problem::new(format!(
                "step `{id}` cannot be read here: {why}"
            )));
        }
        let ids: Vec<&str> = self.steps.iter().map(|seen| seen.id.as_str()).collect();
        Err(Problem::new(format!("there is no step `{id}`"))
            .label("unknown step")
            .help(suggest(id, ids, "steps before this one")))
    }
}

/// A root that is one value.
fn alone(root: &str, path: &[&str]) -> Result<(), Problem> {
    match path {
        [] => Ok(()),
        _ => Err(nothing_below(root, root)),
    }
}

fn nothing_below(what: &str, name: &str) -> Problem {
    Problem::new(format!("`{what}` has nothing below it"))
        .label(format!("`{name}` is one plain value"))
}

fn below(root: &str, shape: Shape, path: &[&str], what: &str) -> Result<(), Problem> {
    let (Shape::Known(fields), Some((name, rest))) = (shape, path.split_first()) else {
        return Ok(());
    };
    let Some(field) = fields.iter().find(|field| field.name == *name) else {
        return Err(unknown_field(root, fields, name, what));
    };
    if rest.is_empty() || field.open {
        return Ok(());
    }
    Err(nothing_below(&format!("{root}.{name}"), field.name))
}

fn unknown_field(root: &str, fields: &[Field], name: &str, what: &str) -> Problem {
    let names = fields.iter().map(|field| field.name);
    let help = match closest(name, names.clone()) {
        Some(close) => format!("did you mean `{root}.{close}`?"),
        None => suggest(name, names, "there are"),
    };
    Problem::new(format!("{what} has no `{name}`"))
        .label("unknown name")
        .help(help)
}

fn secret_refused() -> Problem {
    Problem::new("a secret cannot stand here")
        .label("`secret.NAME` is for the places where the other side is told who asks")
        .help(
            "secrets stand in the `env` of a command, in the `headers` and `auth` of http, in the \
               `token` and `webhook` of slack, and in the `verify` of on.webhook",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_one_value_says_that_there_is_nothing_below_it() {
        let scope = Scope {
            round: true,
            ..Scope::event_only(Shape::Known(RUN), "call")
        };
        let told = |name: &str| scope.check(name, Secrets::Refused).map_err(|p| p.message);
        let nothing = |name: &str| Err(format!("`{name}` has nothing below it"));
        assert_eq!((told("now"), told("round")), (Ok(()), Ok(())));
        assert_eq!(told("now.year"), nothing("now"));
        assert_eq!(told("round.first"), nothing("round"));
        assert_eq!(told("event.id.a"), nothing("event.id"));
    }
}
