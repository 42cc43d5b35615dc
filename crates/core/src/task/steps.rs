//! The steps of a task, and the `do` block of a `for_each` step.

use super::actions::{ActionDoc, action, action_named};
use super::confine;
use super::diagnostic::Problem;
use super::fields::{EACH, ROUNDS, Shape, outputs};
use super::model::{ActionKind, Each, Format, Items, Step, Undo, Work};
use super::names::{Scope, Secrets, Seen};
use super::pace::PACE;
use super::policy::POLICY;
use super::reader::{Reader, Span, Table, Val};
use super::rounds::ROUND_KEYS;
use crate::ids::StepId;
use crate::limits;
use crate::template::Node;
use toml::de::DeValue;

/// What the steps around a step need to know of it.
struct Head {
    id: String,
    span: Span,
    /// What an attempt gives.
    gives: Shape,
    /// What later steps read.
    shape: Shape,
    inner: Vec<String>,
}

/// The keys of `for_each = { … }`, and what they mean.
pub const READ: &[(&str, &str)] = &[
    (
        "read",
        "The file: `{{ event.url }}`, or a path below the project's root; with `files`, a folder.",
    ),
    (
        "as",
        "How it is cut into items: csv, jsonl or lines; or files, each of which is an item with \
         `name`, `path`, `size` and `modified`, in the order of their names.",
    ),
    (
        "match",
        "With `files`: a glob that names must match; all but hidden ones unless given.",
    ),
    (
        "columns",
        "Names of the columns of a file without a header.",
    ),
];

/// The words of `as`.
pub(super) const FORMATS: [&str; 4] = ["csv", "jsonl", "lines", "files"];

impl Reader<'_> {
    /// The steps of a task, or of the `do` block of the step `block`.
    pub(super) fn steps(
        &mut self,
        values: &[Val<'_>],
        outer: &Scope,
        block: Option<&str>,
    ) -> Vec<Step> {
        if let Some(value) = values.get(limits::STEPS) {
            let problem = Problem::new(format!("there are at most {} steps", limits::STEPS))
                .help("put some of them into a task of their own and `call` it");
            self.report(value.span(), problem);
        }
        let heads: Vec<Head> = values.iter().map(head).collect();
        self.unique(&heads);
        let mut steps = Vec::new();
        for (at, (value, head)) in values.iter().zip(&heads).enumerate() {
            let scope = scope_at(outer, &heads, at);
            if let Some(table) = self.table(value, "step") {
                steps.extend(self.step(&table, head, &scope, block));
            }
        }
        steps
    }

    fn unique(&mut self, heads: &[Head]) {
        for (at, head) in heads.iter().enumerate() {
            let earlier = heads.iter().take(at).any(|other| other.id == head.id);
            if earlier && !head.id.is_empty() {
                let problem = Problem::new(format!("two steps are called `{}`", head.id))
                    .label("the second of them")
                    .help("give it an `id` of its own");
                self.report(head.span.clone(), problem);
            }
        }
    }

    fn step(
        &mut self,
        table: &Table<'_, '_>,
        head: &Head,
        scope: &Scope,
        block: Option<&str>,
    ) -> Option<Step> {
        self.step_id(table);
        let policy = self.policy(table, scope, &head.id, head.gives);
        if let (Some(block), Some(Undo::Action(_))) = (block, &policy.undo) {
            let problem = Problem::new("items are not taken back one by one")
                .label(format!("this is inside the `do` block of `{block}`"))
                .help(format!(
                    "give the step `{block}` an `undo`: it takes back all that the block did"
                ));
            self.report(table.key_span("undo"), problem);
        }
        let work = if table.has("for_each") || table.has("do") {
            self.each(table, head, scope, block).map(Work::Each)
        } else {
            let scope = self.scope_of_round(table, scope);
            self.single(table, &scope, block)
        };
        Some(Step {
            id: StepId::from(head.id.as_str()),
            policy,
            work: work?,
        })
    }

    fn step_id(&mut self, table: &Table<'_, '_>) {
        let Some(value) = table.get("id") else {
            return;
        };
        let Some(id) = self.word(value, "id") else {
            return;
        };
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !id.bytes().all(plain) || id.len() > limits::NAME_BYTES {
            let problem = Problem::new(format!("`{id}` cannot be the id of a step"))
                .label("small letters, digits and `_` only");
            self.report(value.span(), problem);
        }
    }

    fn single(
        &mut self,
        table: &Table<'_, '_>,
        scope: &Scope,
        block: Option<&str>,
    ) -> Option<Work> {
        let mut others = vec!["id", "for_each"];
        others.extend(POLICY.iter().map(|(name, _)| *name));
        let spec = self.one_action(table, "a step", &others, scope)?;
        let doc = action(spec.kind);
        if block.is_some() && !doc.in_do {
            self.not_in_do(table, doc);
        }
        if block.is_some() && table.has("hold") {
            let problem = Problem::new("`hold` cannot stand inside a `do` block")
                .label("this is done for each item")
                .help("hold the `for_each` step");
            self.report(table.key_span("hold"), problem);
        }
        if !doc.effect {
            self.no_effect_policy(table, doc);
        }
        Some(Work::Action(spec))
    }

    fn not_in_do(&mut self, table: &Table<'_, '_>, doc: &ActionDoc) {
        let name = doc.kind.name();
        let allowed: Vec<_> = super::actions::ACTIONS
            .iter()
            .filter(|doc| doc.in_do)
            .map(|doc| doc.kind.name())
            .collect();
        let problem = Problem::new(format!("`{name}` cannot stand inside a `do` block"))
            .label("this is done for each item")
            .help(format!("inside `do` there may be: {}", allowed.join(", ")));
        self.report(table.key_span(name), problem);
    }

    /// A condition and a question are not attempts: what is said about attempts would be ignored.
    fn no_effect_policy(&mut self, table: &Table<'_, '_>, doc: &ActionDoc) {
        for key in [
            "until",
            "every",
            "retry",
            "timeout",
            "on_unknown",
            "probe",
            "undo",
            "hold",
        ] {
            if table.has(key) {
                let name = doc.kind.name();
                let help = match doc.kind {
                    ActionKind::Require => "use `else = \"retry\"` with `every` and `for`",
                    _ => "use `expires`",
                };
                let problem = Problem::new(format!("`{key}` says nothing about `{name}`"))
                    .label(format!("`{name}` makes no attempts"))
                    .help(help);
                self.report(table.key_span(key), problem);
            }
        }
    }

    fn each(
        &mut self,
        table: &Table<'_, '_>,
        head: &Head,
        scope: &Scope,
        block: Option<&str>,
    ) -> Option<Each> {
        let mut keys = vec!["id", "for_each", "do"];
        keys.extend(PACE.iter().map(|(name, _)| *name));
        keys.extend(POLICY.iter().map(|(name, _)| *name).filter(|n| {
            !matches!(*n, "until" | "probe") && (!ROUND_KEYS.contains(n) || table.has("every"))
        }));
        self.known(table, &keys, "a `for_each` step");
        if let Some(block) = block {
            let problem = Problem::new("a `for_each` step cannot stand inside a `do` block")
                .label(format!("this is inside the `do` block of `{block}`"))
                .help("put it into a task of its own and `call` that task");
            self.report(table.key_span("for_each"), problem);
            return None;
        }
        let items = match table.get("for_each") {
            Some(value) => self.items(value, scope),
            None => {
                let help = "for_each = { read = \"{{ event.url }}\", as = \"csv\" }";
                self.missing(table.span.clone(), "for_each", "a step with `do`", help);
                None
            }
        };
        let steps = self.block(table, head, scope);
        let pace = self.pace(table, scope);
        Some(Each {
            items: items?,
            steps: steps?,
            pace,
        })
    }

    fn block(&mut self, table: &Table<'_, '_>, head: &Head, scope: &Scope) -> Option<Vec<Step>> {
        let Some(value) = table.get("do") else {
            let help = "say under [[step.do]] what is done for each item";
            self.missing(table.key_span("for_each"), "do", "a `for_each` step", help);
            return None;
        };
        let values = self.list(value, "do", "steps")?;
        if values.is_empty() {
            self.report(value.span(), Problem::new("the `do` block has no step"));
            return None;
        }
        let inside = Scope {
            item: true,
            ..scope.clone()
        };
        Some(self.steps(values, &inside, Some(&head.id)))
    }

    fn items(&mut self, value: &Val<'_>, scope: &Scope) -> Option<Items> {
        match value.get_ref() {
            DeValue::String(_) => self.expr(value, "for_each", scope).map(Items::List),
            DeValue::Table(table) if table.contains_key("rows") => self.rows(value, scope),
            DeValue::Table(_) => self.read(value, scope),
            _ => {
                let expected =
                    "an expression in quotes that gives a list, or a table with `read` or `rows`";
                self.wrong(value, "for_each", expected);
                None
            }
        }
    }

    fn read(&mut self, value: &Val<'_>, scope: &Scope) -> Option<Items> {
        let table = self.table(value, "for_each")?;
        let keys: Vec<_> = READ.iter().map(|(name, _)| *name).collect();
        self.known(&table, &keys, "`for_each`");
        let from = self.required(&table, "read", "`for_each`");
        let from = from.and_then(|value| self.file(value, "read", scope));
        let format = self.required(&table, "as", "`for_each`");
        let word = format.and_then(|value| self.choice(value, "as", &FORMATS));
        let given = table.get("match");
        let pattern = given.map(|value| self.glob(value));
        if word == Some("files") {
            if table.has("columns") {
                let problem = Problem::new("only csv has `columns`");
                self.report(table.key_span("columns"), problem);
            }
            let pattern = pattern.unwrap_or_else(|| Some("*".to_owned()))?;
            return Some(Items::Files {
                from: from?,
                pattern,
            });
        }
        if given.is_some() {
            let problem = Problem::new("only files have a `match`");
            self.report(table.key_span("match"), problem);
        }
        let format = word.map(format_of);
        let columns = match table.get("columns") {
            Some(value) => Some(self.columns(value)?),
            None => None,
        };
        if columns.is_some() && format.is_some_and(|format| format != Format::Csv) {
            let problem = Problem::new("only csv has `columns`");
            self.report(table.key_span("columns"), problem);
        }
        Some(Items::Read {
            from: from?,
            format: format?,
            columns,
        })
    }

    fn required<'t, 'i>(
        &mut self,
        table: &Table<'t, 'i>,
        name: &str,
        of: &str,
    ) -> Option<&'t Val<'i>> {
        let value = table.get(name);
        if value.is_none() {
            let doc = READ.iter().find(|(key, _)| *key == name);
            let help = doc.map_or("", |(_, doc)| doc);
            self.missing(table.span.clone(), name, of, help);
        }
        value
    }

    fn glob(&mut self, value: &Val<'_>) -> Option<String> {
        let text = self.word(value, "match")?;
        let found = match text.contains('/') {
            true => Err(Problem::new("`match` is about names in the folder")
                .label("it holds a `/`")
                .help("name the folder in `read`")),
            false => super::top::pattern(text),
        };
        self.keep(value.span(), found)
    }

    /// A file is named by an event or a step that wrote it, or by a path that the author began.
    pub(super) fn file(&mut self, value: &Val<'_>, name: &str, scope: &Scope) -> Option<Node> {
        let text = self.word(value, name)?;
        let node = self.template(value, name, scope, Secrets::Refused)?;
        let single = match &node {
            Node::Text(template) => template.single().and_then(|expr| expr.path()),
            _ => None,
        };
        let known = single.is_some_and(|path| {
            let last = path.fields.last().map(String::as_str);
            match path.root.as_str() {
                "event" => scope.trigger == "object" && last == Some("url"),
                "steps" => last == Some("path"),
                _ => false,
            }
        });
        if !known {
            self.keep(value.span(), confine::path(text).map_err(read_help))?;
        }
        Some(node)
    }

    fn columns(&mut self, value: &Val<'_>) -> Option<Vec<String>> {
        let items = self.list(value, "columns", "names")?;
        let mut names: Vec<String> = Vec::new();
        for item in items {
            let name = self.word(item, "columns")?.trim().to_owned();
            if names.contains(&name) {
                let problem = Problem::new(format!("two columns are called `{name}`"));
                self.report(item.span(), problem);
            }
            names.push(name);
        }
        if names.is_empty() {
            self.report(value.span(), Problem::new("`columns` names no column"));
            return None;
        }
        Some(names)
    }
}

fn format_of(word: &str) -> Format {
    match word {
        "csv" => Format::Csv,
        "jsonl" => Format::Jsonl,
        _ => Format::Lines,
    }
}

fn read_help(problem: Problem) -> Problem {
    problem.help(
        "a file is named by `{{ event.url }}` of on.object, by `{{ steps.ID.path }}` of a step \
         that wrote it, or by a path whose first folder is written out",
    )
}

fn head(value: &Val<'_>) -> Head {
    let mut head = Head {
        id: String::new(),
        span: value.span(),
        gives: Shape::Open,
        shape: Shape::Open,
        inner: Vec::new(),
    };
    let DeValue::Table(entries) = value.get_ref() else {
        return head;
    };
    let table = Table {
        entries,
        span: value.span(),
    };
    let named = table.each().find_map(|(name, _, _)| action_named(name));
    if table.has("for_each") || table.has("do") {
        head.id = "for_each".into();
        head.shape = Shape::Known(EACH);
        head.inner = inner_ids(&table);
    } else if let Some(doc) = named {
        head.id = doc.kind.name().into();
        head.shape = Shape::Known(outputs(doc.kind));
    }
    head.gives = head.shape;
    if table.has("every") {
        head.shape = Shape::Known(ROUNDS);
    }
    if let Some(id) = table.get("id")
        && let Some(text) = id.get_ref().as_str()
    {
        head.id = text.to_owned();
        head.span = id.span();
    }
    head
}

fn inner_ids(table: &Table<'_, '_>) -> Vec<String> {
    match table.get("do").map(|value| value.get_ref()) {
        Some(DeValue::Array(items)) => items.iter().map(|item| head(item).id).collect(),
        _ => Vec::new(),
    }
}

/// What the step at this place may read.
fn scope_at(outer: &Scope, heads: &[Head], at: usize) -> Scope {
    let mut scope = outer.clone();
    for (place, head) in heads.iter().enumerate() {
        if place < at {
            scope.steps.push(Seen {
                id: head.id.clone(),
                outputs: head.shape,
            });
        } else {
            let why = if place == at {
                "it is this step"
            } else {
                "it comes later"
            };
            scope.hidden.push((head.id.clone(), why.to_owned()));
        }
        for inner in &head.inner {
            let why = format!("it is inside the `do` block of `{}`", head.id);
            scope.hidden.push((inner.clone(), why));
        }
    }
    scope
}
