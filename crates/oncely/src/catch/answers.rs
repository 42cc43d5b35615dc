//! The answers file of a test: what steps are said to have come to, by their ids.

use super::cancelled::Cancelled;
use super::reply::Reply;
use super::rows::{SaidRows, Selects};
use crate::failure::Failure;
use crate::output::suggestion;
use oncely_core::Value;
use oncely_core::ids::StepId;
use oncely_core::round::Round;
use oncely_core::task::{ActionKind, Items, Step, Task, Undo, Work};
use std::collections::BTreeMap;
use std::path::Path;

/// Largest answers file, in bytes.
const FILE_BYTES: u64 = 4 * 1024 * 1024;

/// What the other sides, and people, are said to have answered.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    doing: BTreeMap<String, Said>,
    /// The looks before rounds, by the step that is done in rounds.
    looking: BTreeMap<String, Said>,
    undoing: BTreeMap<String, Said>,
    people: BTreeMap<String, Person>,
    selects: Selects,
    pub(crate) cancelled: Option<Cancelled>,
}

/// The replies of a step.
#[derive(Debug, Default)]
struct Said {
    /// One for each attempt; the last one stands for all that follow.
    attempts: Vec<Reply>,
    /// Those of single items, or rounds, counted from 1.
    single: BTreeMap<u64, Vec<Reply>>,
}

/// What a person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Says {
    #[default]
    Yes,
    No,
    /// Nobody answers.
    Nothing,
}

/// What a person answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Person {
    pub(crate) says: Says,
    pub(crate) by: Option<String>,
    pub(crate) note: String,
}

impl Answers {
    /// Reads a file of answers to the steps of this task.
    pub(crate) fn read(path: Option<&Path>, task: &Task) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let shown = path.display();
        let wrong = |why: String| Failure::usage(format!("{shown}: {why} Nothing was run."));
        let text = text(path).map_err(wrong)?;
        let table: toml::Table = toml::from_str(&text)
            .map_err(|error| Failure::usage(format!("{shown}:\n{error}Nothing was run.")))?;
        let mut answers = Self::default();
        for (part, steps) in &table {
            if part == "cancelled" {
                let found = Cancelled::read(steps, task);
                answers.cancelled = Some(found.map_err(|why| wrong(format!("cancelled: {why}")))?);
                continue;
            }
            let steps = part_of(part, steps).map_err(wrong)?;
            for (id, value) in steps {
                let value = serde_json::to_value(value).unwrap_or_default();
                answers
                    .add(part, id, &value, task)
                    .map_err(|why| wrong(format!("{part}.{id}: {why}")))?;
            }
        }
        Ok(answers)
    }

    fn add(&mut self, part: &str, id: &str, value: &Value, task: &Task) -> Result<(), String> {
        let step = find(task, id)?;
        if part == "undo" {
            let said = said(undone_by(step)?, value, Single::Items)?;
            self.undoing.insert(id.to_owned(), said);
            return Ok(());
        }
        if let Some((select, key)) = rows_of(step) {
            let said = SaidRows::read(key, value.get("rows"))?;
            self.selects.insert(select.to_owned(), said);
            return Ok(());
        }
        match done_by(step)? {
            ActionKind::Approve => {
                self.people.insert(id.to_owned(), person(value)?);
            }
            kind if step.policy.rounds.is_some() => self.add_rounds(id, step, kind, value)?,
            kind => {
                let said = said(kind, value, Single::Items)?;
                self.doing.insert(id.to_owned(), said);
            }
        }
        Ok(())
    }

    /// The rounds of a step, and the looks before them.
    fn add_rounds(
        &mut self,
        id: &str,
        step: &Step,
        kind: ActionKind,
        value: &Value,
    ) -> Result<(), String> {
        let mut value = value.clone();
        if let Some(look) = value
            .as_object_mut()
            .and_then(|table| table.remove("check"))
        {
            let rounds = step.policy.rounds.as_ref();
            let check = rounds.and_then(|rounds| rounds.check.as_ref());
            let check = check.ok_or("it has no `check` that could be answered.")?;
            let look = said(check.kind, &look, Single::Rounds);
            let look = look.map_err(|why| format!("check: {why}"))?;
            self.looking.insert(id.to_owned(), look);
            if value.as_object().is_some_and(serde_json::Map::is_empty) {
                return Ok(());
            }
        }
        let said = said(kind, &value, Single::Rounds)?;
        self.doing.insert(id.to_owned(), said);
        Ok(())
    }

    /// What an attempt is said to have come to; none where nothing is said of it.
    pub(super) fn reply(
        &self,
        undoing: bool,
        step: &StepId,
        attempt: u32,
        item: Option<u64>,
    ) -> Option<&Reply> {
        let round = Round::parse(step);
        let part = match &round {
            _ if undoing => &self.undoing,
            Some(round) if round.look > 0 => &self.looking,
            _ => &self.doing,
        };
        let name = Round::step_of(step);
        let said = part.get(name.as_str().rsplit('/').next().unwrap_or_default())?;
        let single = round.map(|round| u64::from(round.nth)).or(item);
        let own = single.and_then(|nth| said.single.get(&nth));
        let replies = own.unwrap_or(&said.attempts);
        let place = usize::try_from(attempt.saturating_sub(1)).unwrap_or(0);
        replies.get(place).or_else(|| replies.last())
    }

    /// The rows of this select; none where nobody gave them.
    pub(super) fn rows(&self, select: &str) -> Option<SaidRows> {
        self.selects.get(select).cloned()
    }

    /// What a person answers to this step.
    pub(crate) fn person(&self, step: &str) -> Person {
        self.people.get(step).cloned().unwrap_or_default()
    }
}

/// The steps of a part of the file.
fn part_of<'t>(part: &str, steps: &'t toml::Value) -> Result<&'t toml::Table, String> {
    if !matches!(part, "steps" | "undo") {
        let known = suggestion(part, ["steps", "undo", "cancelled"]);
        return Err(format!("there is no `{part}` in a file of answers.{known}"));
    }
    steps
        .as_table()
        .ok_or_else(|| format!("`{part}` holds a table for each step, such as [{part}.charge]."))
}

fn text(path: &Path) -> Result<String, String> {
    let unread = |error: std::io::Error| format!("the answers cannot be read: {error}.");
    let bytes = std::fs::metadata(path).map_err(unread)?.len();
    if bytes > FILE_BYTES {
        return Err(format!("the answers have more than {FILE_BYTES} bytes."));
    }
    std::fs::read_to_string(path).map_err(unread)
}

/// The step of this id, also inside a `do` block.
fn find<'t>(task: &'t Task, id: &str) -> Result<&'t Step, String> {
    let all = || task.steps.iter().flat_map(with_inner);
    all().find(|step| step.id.as_str() == id).ok_or_else(|| {
        let ids = all().map(|step| step.id.as_str());
        format!("`{}` has no such step.{}", task.id, suggestion(id, ids))
    })
}

/// A step, and those of its `do` block.
fn with_inner(step: &Step) -> impl Iterator<Item = &Step> {
    let inner = match &step.work {
        Work::Each(each) => each.steps.as_slice(),
        Work::Action(_) => &[],
    };
    std::iter::once(step).chain(inner)
}

/// The select and the key of a step whose items are rows of a table.
fn rows_of(step: &Step) -> Option<(&str, &str)> {
    let Work::Each(each) = &step.work else {
        return None;
    };
    let Items::Rows(options) = &each.items else {
        return None;
    };
    Some((options.fixed_text("rows")?, options.fixed_text("key")?))
}

/// The kind of a step that somebody else answers.
fn done_by(step: &Step) -> Result<ActionKind, String> {
    match &step.work {
        Work::Each(each) => {
            let inner: Vec<String> = each.steps.iter().map(|s| format!("`{}`", s.id)).collect();
            Err(format!(
                "it is a `for_each` step: answer the steps of its `do` block, {}.",
                inner.join(", ")
            ))
        }
        Work::Action(spec) => match spec.kind {
            kind @ (ActionKind::Predict | ActionKind::Require) => Err(format!(
                "a `{kind}` step really runs in a test, and is not answered."
            )),
            kind => Ok(kind),
        },
    }
}

fn undone_by(step: &Step) -> Result<ActionKind, String> {
    match (&step.policy.undo, &step.work) {
        (Some(Undo::Action(spec)), _) => Ok(spec.kind),
        (None, Work::Action(spec)) if spec.kind == ActionKind::Put => Ok(spec.kind),
        _ => Err("nothing takes it back that could be answered.".into()),
    }
}

/// What the replies to a step are said one by one for.
#[derive(Debug, Clone, Copy)]
enum Single {
    Items,
    Rounds,
}

impl Single {
    fn name(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Rounds => "rounds",
        }
    }

    fn counted(self) -> &'static str {
        match self {
            Self::Items => "items are counted from 1, in the order of the list.",
            Self::Rounds => "rounds are counted from 1.",
        }
    }
}

fn said(kind: ActionKind, value: &Value, single: Single) -> Result<Said, String> {
    let mut said = Said::default();
    if let Value::Array(_) = value {
        said.attempts = replies(kind, value)?;
        return Ok(said);
    }
    let mut table = value.as_object().cloned().unwrap_or_default();
    let name = single.name();
    if let Some(all) = table.remove(name) {
        for (number, value) in all.as_object().cloned().unwrap_or_default() {
            let nth = number.parse().ok().filter(|nth| *nth > 0);
            let nth = nth.ok_or_else(|| format!("`{name}.{number}`: {}", single.counted()))?;
            said.single.insert(nth, replies(kind, &value)?);
        }
        if table.is_empty() {
            return Ok(said);
        }
    }
    said.attempts = replies(kind, &Value::Object(table))?;
    Ok(said)
}

/// One reply, or one for each attempt.
fn replies(kind: ActionKind, value: &Value) -> Result<Vec<Reply>, String> {
    let one = |value| Reply::read(kind, value);
    match value {
        Value::Array(values) => values.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

fn person(value: &Value) -> Result<Person, String> {
    let table = value.as_object().ok_or("a table was expected.")?;
    let mut person = Person::default();
    for (key, value) in table {
        let text = value.as_str().unwrap_or_default();
        match key.as_str() {
            "answer" => person.says = says(text)?,
            "by" => person.by = Some(text.to_owned()),
            "note" => person.note = text.to_owned(),
            _ => {
                let known = suggestion(key, ["answer", "by", "note"]);
                return Err(format!("no person gives a `{key}`.{known}"));
            }
        }
    }
    Ok(person)
}

fn says(text: &str) -> Result<Says, String> {
    match text {
        "yes" => Ok(Says::Yes),
        "no" => Ok(Says::No),
        "none" => Ok(Says::Nothing),
        _ => Err("`answer` is \"yes\", \"no\" or \"none\".".into()),
    }
}
