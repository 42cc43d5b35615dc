//! `oncely plan`: what would run and which effects it has. Does nothing.

use super::changed;
use super::chosen::Choice;
use super::run::{in_order, is_done, named_release, phase, release_id, standing};
use super::strangers;
use crate::adopt;
use crate::cli::Plan;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, count};
use crate::project;
use oncely_core::ids::TaskId;
use oncely_core::ledger::RunRow;
use oncely_core::run::RunStatus;
use oncely_core::task::{ActionKind, ActionSpec, Each, Items, Step, Work};
use oncely_core::undo::{self, Inverse};
use oncely_engine::Known;
use oncely_sources::release::Release;
use std::collections::BTreeMap;

pub(crate) fn run(voice: Voice, flags: &Flags, args: &Plan) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely plan", false)?;
    let loaded = project::load_clean(&house.config, voice.colour)?;
    let environment = house.config.environment.value.clone();
    let release = Release {
        id: release_id(args.release.as_deref(), &house.config),
        environment: environment.clone(),
        phase: phase(args.phase),
    };
    let (rows, recorded, changed) = house.block_on(async {
        let rows = standing(&house, &loaded.tasks, &release).await?;
        let recorded = adopt::look(&house, &loaded.tasks, &rows).await;
        let recorded = recorded.map_err(adopt::refused)?;
        let changed = changed::of(&house, &loaded.tasks).await?;
        Ok::<_, Failure>((rows, recorded, changed))
    })?;
    let choice = Choice::of(&args.chosen, &loaded)?;
    let mut wanted = in_order(&loaded.tasks, &rows, &release);
    wanted.retain(|w| choice.has(&w.known.task));
    let all = wanted.len();
    wanted.retain(|w| {
        let task = &w.known.task;
        let row = rows.get(&task.id);
        !recorded.tasks.contains(&task.id) && row.is_none_or(|row| !is_done(task, row.status))
    });
    let left = wanted;
    named_release(&left, &release)?;
    for wanted in &left {
        tell(voice, wanted.known, wanted.late, &rows);
    }
    // What is planned is shown first: a release may leave out the tasks that cannot begin.
    let strangers = strangers::among_new(&house.config, &loaded, &left, &rows);
    project::none_wrong(&strangers, voice.colour)?;
    let done = all - left.len();
    voice.record(&serde_json::json!({ "would_run": left.len(), "done_before": done }));
    if left.is_empty() {
        let before = if done == 0 {
            String::new()
        } else {
            format!(" {} already done here.", count(done, "task"))
        };
        voice.say(format!("Nothing would run in {environment}.{before}"));
    } else {
        let tasks = count(left.len(), "task");
        voice.say(format!(
            "\n{tasks} would run in {environment}. Nothing was done."
        ));
    }
    changed::tell(voice, &changed);
    Ok(Exit::Done)
}

fn tell(voice: Voice, known: &Known, late: bool, rows: &BTreeMap<TaskId, RunRow>) {
    let task = &known.task;
    let row = rows.get(&task.id);
    let effects: Vec<Effect> = task.steps.iter().flat_map(effects).collect();
    let does: Vec<&str> = effects.iter().map(|effect| effect.does.as_str()).collect();
    let undo: Vec<&str> = effects.iter().map(|effect| effect.undo.trim()).collect();
    voice.record(&serde_json::json!({
        "task": task.id, "file": task.path, "title": task.title, "late": late,
        "status": row.map(|r| r.status), "effects": does, "undo": undo,
    }));
    let mut note = String::new();
    if late {
        note.push_str("  late: a newer task ran before it");
    }
    if let Some(row) = row {
        note.push_str(&format!("  {} as run {}", row.status, row.id));
        if row.status == RunStatus::Failed {
            note.push_str(": it stays so until `oncely resume`");
        }
    }
    voice.say(format!(
        "{}{}",
        voice.bold(project::label(task)),
        voice.dim(note)
    ));
    if let Some(title) = &task.title {
        voice.say(format!("  {title}"));
    }
    for Effect { does, undo } in effects {
        voice.say(format!("  - {does}{}", voice.dim(undo)));
    }
}

/// What a step does, and how that is taken back.
struct Effect {
    does: String,
    undo: String,
}

/// What a step does, in a line each.
fn effects(step: &Step) -> Vec<Effect> {
    match &step.work {
        Work::Action(spec) => vec![Effect {
            does: format!(
                "{}: {}{}{}",
                step.id,
                effect(spec),
                rounds(step),
                when(step)
            ),
            undo: taken_back(step),
        }],
        Work::Each(each) => {
            let undo = step.policy.undo.as_ref().map(|_| taken_back(step));
            let whole = Effect {
                does: format!("{}: for each item of {}", step.id, items(each)),
                undo: undo.unwrap_or_default(),
            };
            let inner = each.steps.iter().flat_map(effects).map(|inner| Effect {
                does: format!("  {}", inner.does),
                undo: match whole.undo.is_empty() {
                    true => inner.undo,
                    false => String::new(),
                },
            });
            let inner: Vec<Effect> = inner.collect();
            std::iter::once(whole).chain(inner).collect()
        }
    }
}

/// How the step is taken back, where it has an effect.
fn taken_back(step: &Step) -> String {
    match undo::inverse(step) {
        Inverse::Nothing => String::new(),
        Inverse::Declared(spec) => format!("  (undo: {})", effect(spec)),
        Inverse::Own(_) => "  (undo: removes it)".into(),
        Inverse::Never => "  (undo: never)".into(),
        Inverse::Missing => "  (no undo)".into(),
    }
}

fn when(step: &Step) -> String {
    let when = step.policy.when.as_ref();
    when.map(|w| format!("  (when {})", w.source()))
        .unwrap_or_default()
}

/// How often it is done, where it is done in rounds.
fn rounds(step: &Step) -> String {
    let Some(rounds) = &step.policy.rounds else {
        return String::new();
    };
    let mut said = format!("  (every {}", exactly(rounds.every_ms));
    if let Some(until) = &rounds.until {
        said.push_str(&format!(", until {}", until.source()));
    }
    if let Some(times) = rounds.times {
        said.push_str(&format!(", at most {}", count(times as usize, "time")));
    }
    if let Some(for_ms) = rounds.for_ms {
        said.push_str(&format!(", for {}", exactly(for_ms)));
    }
    said.push(')');
    said
}

/// A duration as task files write it.
fn exactly(millis: i64) -> String {
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1000, "s"),
    ];
    let whole = units.iter().find(|(unit, _)| millis % unit == 0);
    let (unit, word) = whole.copied().unwrap_or((1, "ms"));
    format!("{}{word}", millis / unit)
}

fn items(each: &Each) -> String {
    match &each.items {
        Items::List(expr) => expr.source().to_owned(),
        Items::Read { from, .. } | Items::Files { from, .. } => source(from),
        Items::Rows(options) => options.get("rows").map(source).unwrap_or_default(),
    }
}

/// The words of an action that say most, as the file has them.
pub(super) fn effect(spec: &ActionSpec) -> String {
    match spec.kind {
        ActionKind::Email => return mail(spec),
        ActionKind::Slack => return message(spec),
        _ => {}
    }
    let names = [
        "args", "shell", "script", "method", "url", "db", "text", "to", "model", "that", "task",
    ];
    let parts: Vec<String> = names
        .iter()
        .filter_map(|name| spec.options.get(name).map(source))
        .map(|text| shorten(without_header(&text)))
        .collect();
    format!("{} {}", spec.kind, parts.join(" "))
        .trim_end()
        .to_owned()
}

/// Everybody who gets a mail, and what it is about.
fn mail(spec: &ActionSpec) -> String {
    let people = ["to", "cc", "bcc"].map(|name| spec.options.get(name).map(names));
    let people: Vec<String> = people.into_iter().flatten().collect();
    let subject = spec.options.get("subject").map(source).unwrap_or_default();
    format!(
        "sends a mail to {}: {}",
        shorten(&people.join(", ")),
        shorten(&subject)
    )
}

/// Where a message goes, and what it says.
fn message(spec: &ActionSpec) -> String {
    let channel = spec.options.get("channel").map(source);
    let place = channel.map_or("by a webhook".into(), |name| format!("to {name}"));
    let text = spec.options.get("text").map(source);
    let text = text.unwrap_or_else(|| "blocks".into());
    format!(
        "sends a Slack message {}: {}",
        shorten(&place),
        shorten(&text)
    )
}

/// One name, or a list of names.
fn names(node: &oncely_core::template::Node) -> String {
    use oncely_core::template::Node;
    let texts: Vec<String> = match node {
        Node::List(nodes) => nodes.iter().map(source).collect(),
        Node::Fixed(oncely_core::Value::Array(values)) => words(values),
        other => vec![source(other)],
    };
    texts.join(", ")
}

/// Texts as they are, and other values as JSON.
fn words(values: &[oncely_core::Value]) -> Vec<String> {
    let word = |value: &oncely_core::Value| match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    values.iter().map(word).collect()
}

fn source(node: &oncely_core::template::Node) -> String {
    use oncely_core::template::Node;
    match node {
        Node::Fixed(oncely_core::Value::String(text)) => text.clone(),
        Node::Fixed(oncely_core::Value::Array(values)) => words(values).join(" "),
        Node::Fixed(value) => value.to_string(),
        Node::Text(template) | Node::Any(template) => template.source().to_owned(),
        Node::Bare(expr) => expr.source().to_owned(),
        Node::List(nodes) => nodes.iter().map(source).collect::<Vec<_>>().join(" "),
        Node::Table(_) => "{ … }".into(),
    }
}

/// A text from its first line that is no comment on: what it does, and not what it is called.
fn without_header(text: &str) -> &str {
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\n') {
        let line = line.trim_start();
        if !(line.is_empty() || line.starts_with("--") || line.starts_with('#')) {
            break;
        }
        rest = after;
    }
    if rest.trim().is_empty() { text } else { rest }
}

fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 70 {
        return line;
    }
    let head: String = line.chars().take(69).collect();
    format!("{head}…")
}
