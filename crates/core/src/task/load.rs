//! Reads task files: one whole, or a folder of them with what can only be seen across files.

use super::asks::Answerer;
use super::cancel::CancelOn;
use super::diagnostic::{Diagnostic, Problem};
use super::fields::{Shape, event_of, outputs};
use super::model::{
    ActionKind, ActionSpec, Bundle, Limits, Policy, Step, Task, Trigger, Undo, Work,
};
use super::names::Scope;
use super::policy::POLICY;
use super::rake;
use super::reader::{Reader, Span, Table};
use super::script::{self, Header};
use super::top::{FileName, TOP};
use crate::ids::{StepId, TaskId};
use crate::limits;
use crate::template::Node;
use toml::de::{DeTable, DeValue};

/// Reads a task file.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load(bundle: &Bundle) -> Result<Task, Vec<Diagnostic>> {
    let reading = read(bundle);
    match reading.task {
        Some(task) if reading.errors.is_empty() => Ok(task),
        _ => Err(reading.errors),
    }
}

/// The text of a task file.
///
/// # Errors
/// When it is longer than [`limits::TASK_FILE_BYTES`] or not UTF-8.
pub fn read_text(path: &str, bytes: &[u8]) -> Result<String, Diagnostic> {
    if bytes.len() > limits::TASK_FILE_BYTES {
        let problem = too_long(bytes.len());
        return Err(Diagnostic::new(path, "", 0..0, problem));
    }
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|error| {
            let at = error.valid_up_to();
            let good = String::from_utf8_lossy(bytes.get(..at).unwrap_or_default());
            let byte = bytes.get(at).copied().unwrap_or_default();
            let problem = Problem::new(format!("this file is not UTF-8: byte {byte:#04x}"))
                .label("the first bad byte stands here")
                .help("save it as UTF-8");
            Diagnostic::new(path, &good, at..at, problem)
        })
}

fn too_long(bytes: usize) -> Problem {
    let most = limits::TASK_FILE_BYTES;
    Problem::new(format!(
        "the file has {bytes} bytes; at most {most} are read"
    ))
    .help("keep data in a file of its own, and name that file")
}

/// Whether a file of a task folder is a task: a TOML file, an SQL file, an executable, or a file
/// with the name of a release task. The undo of another file is none.
#[must_use]
pub fn is_task_file(path: &str, executable: bool) -> bool {
    let name = FileName::of(path);
    if name.stem.is_empty() || name.stem.ends_with(".undo") {
        return false;
    }
    name.ending == "toml" || name.ending == "sql" || executable || name.version.is_some()
}

/// A task called by a step, and where.
#[derive(Debug, Clone)]
pub(super) struct CallSite {
    pub(super) task: String,
    pub(super) span: Span,
}

/// What was read of a file, whatever was wrong with it.
#[derive(Debug)]
pub(super) struct Reading {
    /// The id, as far as it is known.
    pub(super) id: String,
    /// Where the id stands; the beginning of the file where its name is the id.
    pub(super) id_span: Span,
    pub(super) task: Option<Task>,
    pub(super) calls: Vec<CallSite>,
    pub(super) cancels: Vec<CallSite>,
    pub(super) answerers: Vec<Answerer>,
    pub(super) errors: Vec<Diagnostic>,
}

pub(super) fn read(bundle: &Bundle) -> Reading {
    let name = FileName::of(&bundle.path);
    let mut reading = Reading {
        id: name.version.unwrap_or(name.stem).to_owned(),
        id_span: 0..0,
        task: None,
        calls: Vec::new(),
        cancels: Vec::new(),
        answerers: Vec::new(),
        errors: Vec::new(),
    };
    let mut reader = Reader::new(bundle);
    if bundle.text.len() > limits::TASK_FILE_BYTES {
        reader.report(0..0, too_long(bundle.text.len()));
    } else if name.ending == "toml" {
        toml_file(&mut reader, bundle, &name, &mut reading);
    } else if name.ending == rake::ENDING {
        rake::rake_file(&mut reader, bundle, &name, &mut reading);
    } else {
        script_file(&mut reader, bundle, &name, &mut reading);
    }
    reading.calls = reader.calls;
    reading.cancels = reader.cancels;
    reading.answerers = reader.answerers;
    reading.errors = reader.errors;
    reading.errors.sort_by_key(|error| error.span.start);
    reading
}

/// Parses TOML whose places are places of the reader's source; none when it cannot be read whole.
pub(super) fn parsed<'i>(
    reader: &mut Reader<'_>,
    toml: &'i str,
) -> Option<toml::Spanned<DeTable<'i>>> {
    let (tree, errors) = DeTable::parse_recoverable(toml);
    for error in &errors {
        let problem = Problem::new(format!("this is not TOML: {}", error.message()));
        reader.report(error.span().unwrap_or(0..0), problem);
    }
    errors.is_empty().then_some(tree)
}

fn toml_file(reader: &mut Reader<'_>, bundle: &Bundle, name: &FileName<'_>, reading: &mut Reading) {
    let Some(tree) = parsed(reader, &bundle.text) else {
        return;
    };
    let table = Table {
        entries: tree.get_ref(),
        span: 0..0,
    };
    let keys: Vec<_> = TOP.iter().map(|(name, _)| *name).collect();
    reader.known(&table, &keys, "a task file");
    let top = top(reader, &table, name, reading);
    let scope = top.scope();
    let steps = match table.get("step") {
        Some(value) => {
            let values = reader.list(value, "step", "tables: write [[step]]");
            reader.steps(values.unwrap_or_default(), &scope, None)
        }
        None => Vec::new(),
    };
    if steps.is_empty() && reader.errors.is_empty() {
        let problem = Problem::new("this task does nothing")
            .label("there is no step")
            .help("say under [[step]] what is to be done");
        reader.report(0..0, problem);
    }
    reading.task = top.task(bundle, steps);
}

/// What stands above the steps.
pub(super) struct Top {
    id: Option<String>,
    pub(super) title: Option<String>,
    environments: Vec<crate::ids::Environment>,
    tags: Vec<String>,
    pub(super) on: Option<Trigger>,
    limits: Limits,
    cancel_on: Vec<CancelOn>,
}

impl Top {
    pub(super) fn scope(&self) -> Scope {
        let event = self.on.as_ref().map_or(Shape::Open, event_of);
        let trigger = self.on.as_ref().map_or("call", Trigger::name);
        Scope {
            run: true,
            ..Scope::event_only(event, trigger)
        }
    }

    pub(super) fn task(self, bundle: &Bundle, steps: Vec<Step>) -> Option<Task> {
        Some(Task {
            id: TaskId::new(self.id?),
            path: bundle.path.clone(),
            title: self.title,
            environments: self.environments,
            tags: self.tags,
            on: self.on?,
            limits: self.limits,
            cancel_on: self.cancel_on,
            steps,
            text: bundle.hash(),
        })
    }
}

pub(super) fn top(
    reader: &mut Reader<'_>,
    table: &Table<'_, '_>,
    name: &FileName<'_>,
    reading: &mut Reading,
) -> Top {
    let on = reader.on(table, name);
    let id = match &on {
        Some(Trigger::Release(release)) => {
            release_id(reader, table);
            Some(release.version.clone())
        }
        _ => reader.task_id(table, name),
    };
    if let Some(id) = &id {
        reading.id.clone_from(id);
    }
    if let Some(value) = table.get("id") {
        reading.id_span = value.span();
    }
    let event = on.as_ref().map_or(Shape::Open, event_of);
    let trigger = on.as_ref().map_or("call", Trigger::name);
    Top {
        id,
        title: reader.title(table),
        environments: reader.environments(table),
        tags: reader.tags(table),
        limits: reader.limits(table, event, trigger),
        cancel_on: reader.cancel_on(table, on.as_ref()),
        on,
    }
}

fn release_id(reader: &mut Reader<'_>, table: &Table<'_, '_>) {
    if table.has("id") {
        let problem = Problem::new("a release task is known by its version, not by an `id`")
            .label("leave it out");
        reader.report(table.key_span("id"), problem);
    }
}

fn script_file(
    reader: &mut Reader<'_>,
    bundle: &Bundle,
    name: &FileName<'_>,
    reading: &mut Reading,
) {
    let sql = name.ending == "sql";
    if !sql && !bundle.executable {
        let problem = Problem::new("this file is a task by its name, and cannot be executed")
            .help(format!("chmod +x {}", bundle.path));
        reader.report(0..0, problem);
    }
    let header = script::header(&bundle.text);
    check_header(reader, &header);
    let Some(tree) = parsed(reader, &header.toml) else {
        return;
    };
    let table = Table {
        entries: tree.get_ref(),
        span: header.begin.clone().unwrap_or(0..0),
    };
    let mut keys: Vec<_> = TOP.iter().map(|(name, _)| *name).collect();
    keys.retain(|key| *key != "step");
    keys.extend(POLICY.iter().map(|(name, _)| *name));
    keys.extend(sql.then_some("db"));
    reader.known(&table, &keys, "the header of a script");
    let top = top(reader, &table, name, reading);
    let kind = if sql {
        ActionKind::Sql
    } else {
        ActionKind::Command
    };
    let shape = Shape::Known(outputs(kind));
    let mut policy = reader.policy(&table, &top.scope(), "run", shape);
    beside(reader, bundle, name, &table, &mut policy);
    let options = if sql {
        sql_options(reader, bundle, &table)
    } else {
        command_options(&bundle.path, &bundle.text)
    };
    let step = Step {
        id: StepId::from("run"),
        policy,
        work: Work::Action(ActionSpec::new(kind, options)),
    };
    reading.task = top.task(bundle, vec![step]);
}

pub(super) fn check_header(reader: &mut Reader<'_>, header: &Header) {
    if let (Some(begin), false) = (&header.begin, header.closed) {
        let problem = Problem::new("the header has no end")
            .label("it begins here")
            .help("end it with a comment line that holds `///` alone");
        reader.report(begin.clone(), problem);
    } else {
        for span in &header.strangers {
            let problem = Problem::new("every line of the header is a comment")
                .help("begin it like the first line of the header");
            reader.report(span.clone(), problem);
        }
    }
}

fn command_options(path: &str, text: &str) -> Node {
    Node::Table(vec![
        ("script".into(), Node::Fixed(path.into())),
        ("script_text".into(), Node::Fixed(text.into())),
    ])
}

fn sql_options(reader: &mut Reader<'_>, bundle: &Bundle, table: &Table<'_, '_>) -> Node {
    let db = table.get("db").and_then(|value| {
        let name = reader.word(value, "db")?;
        Some(name.to_owned())
    });
    Node::Table(vec![
        (
            "db".into(),
            Node::Fixed(db.unwrap_or_else(|| "ledger".into()).into()),
        ),
        ("text".into(), Node::Fixed(bundle.text.as_str().into())),
    ])
}

/// `NAME.undo.EXT` beside a script is its undo.
fn beside(
    reader: &mut Reader<'_>,
    bundle: &Bundle,
    name: &FileName<'_>,
    table: &Table<'_, '_>,
    policy: &mut Policy,
) {
    let folder = bundle
        .path
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    let is_beside = |path: &str| {
        let (at, file) = path.rsplit_once('/').unwrap_or(("", path));
        let rest = file.strip_prefix(name.stem);
        at == folder && rest.is_some_and(|rest| rest.starts_with(".undo."))
    };
    let mut found = bundle.files.iter().filter(|(path, _)| is_beside(path));
    let Some((path, text)) = found.next() else {
        return;
    };
    if let Some((other, _)) = found.next() {
        let problem = Problem::new(format!("this task has two undos: {path} and {other}"))
            .help("take one of them away");
        reader.report(0..0, problem);
        return;
    }
    if table.has("undo") {
        let problem = Problem::new(format!("this task has two undos: this and {path}"));
        reader.report(table.key_span("undo"), problem);
        return;
    }
    let (kind, options) = if path.ends_with(".sql") {
        let db = table.get("db").and_then(|v| match v.get_ref() {
            DeValue::String(name) => Some(name.as_ref()),
            _ => None,
        });
        let options = vec![
            ("db".into(), Node::Fixed(db.unwrap_or("ledger").into())),
            ("text".into(), Node::Fixed(text.as_str().into())),
        ];
        (ActionKind::Sql, Node::Table(options))
    } else {
        (ActionKind::Command, command_options(path, text))
    };
    policy.undo = Some(Undo::Action(ActionSpec::new(kind, options)));
}
