//! What can only be seen across task files: two of one name, calls to nobody, cycles of calls.

use super::asks::Answerer;
use super::diagnostic::{Diagnostic, Problem, suggest};
use super::load::{Reading, read};
use super::model::{Bundle, Task, Trigger};
use super::rake;
use std::collections::{BTreeMap, BTreeSet};

/// What was read of a folder of task files.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The tasks without a fault, in the order of the files.
    pub tasks: Vec<Task>,
    /// What is wrong with the others.
    pub diagnostics: Vec<Diagnostic>,
    /// Whom the tasks name to answer their questions.
    pub answerers: Vec<Answerer>,
}

/// Reads every task file. A bad file never takes the others with it.
#[must_use]
pub fn load_all(bundles: &[Bundle]) -> Loaded {
    let mut readings: Vec<Reading> = bundles.iter().map(read).collect();
    let found = across(bundles, &readings);
    for (reading, problems) in readings.iter_mut().zip(found) {
        reading.errors.extend(problems);
    }
    let mut loaded = Loaded::default();
    for reading in readings {
        loaded.answerers.extend(reading.answerers);
        match reading.task {
            Some(task) if reading.errors.is_empty() => loaded.tasks.push(task),
            _ => loaded.diagnostics.extend(reading.errors),
        }
    }
    loaded
}

fn across(bundles: &[Bundle], readings: &[Reading]) -> Vec<Vec<Diagnostic>> {
    let mut found = vec![Vec::new(); bundles.len()];
    let ids = Ids::of(readings);
    let cycles = Cycles::of(readings);
    let rakes = rake::Defined::by(bundles);
    for ((at, bundle), reading) in bundles.iter().enumerate().zip(readings) {
        let Some(problems) = found.get_mut(at) else {
            continue;
        };
        let mut report = |span, problem| {
            problems.push(Diagnostic::new(&bundle.path, &bundle.text, span, problem));
        };
        if let Some(problem) = ids.same(bundles, at, reading) {
            report(reading.id_span.clone(), problem);
        }
        if let Some(problem) = rakes.twice(&bundle.path) {
            report(0..0, problem);
        }
        if let Some(problem) = same_path(readings, at, reading) {
            report(reading.id_span.clone(), problem);
        }
        for cancel in &reading.cancels {
            if let Some(problem) = ids.absent(&cancel.task) {
                report(cancel.span.clone(), problem);
            } else if cancel.task == reading.id {
                let problem = Problem::new("a task does not cancel itself")
                    .help("limits.one_at_a_time has its runs take turns");
                report(cancel.span.clone(), problem);
            }
        }
        for call in &reading.calls {
            if let Some(problem) = ids.unknown(&call.task) {
                report(call.span.clone(), problem);
            } else if let Some(cycle) = cycles.through(&reading.id, &call.task) {
                let problem = Problem::new(format!("the cycle {cycle}"))
                    .label("this call closes it")
                    .help("a task cannot call itself, by whatever way");
                report(call.span.clone(), problem);
            }
        }
    }
    found
}

/// A request goes to one task.
fn same_path(readings: &[Reading], at: usize, reading: &Reading) -> Option<Problem> {
    let (task, path) = (reading.task.as_ref()?, path(reading)?);
    let mut others = readings
        .iter()
        .enumerate()
        .filter(|(place, _)| *place != at);
    let (_, other) = others.find(|(_, other)| {
        let together = other.task.as_ref().is_some_and(|other| meet(task, other));
        together && self::path(other) == Some(path)
    })?;
    let problem = Problem::new(format!("two tasks wait for requests at {path}"))
        .label(format!("the other is {}", other.task.as_ref()?.path))
        .help("give one another path, or let it `call` the other");
    Some(problem)
}

fn path(reading: &Reading) -> Option<&str> {
    match &reading.task.as_ref()?.on {
        Trigger::Webhook(webhook) => Some(&webhook.path),
        _ => None,
    }
}

/// Whether there is an environment where both run.
fn meet(one: &Task, other: &Task) -> bool {
    let (one, other) = (&one.environments, &other.environments);
    one.is_empty() || other.is_empty() || one.iter().any(|name| other.contains(name))
}

/// Every id, and the files that claim it.
struct Ids<'r> {
    by_id: BTreeMap<&'r str, Vec<(usize, &'r Reading)>>,
}

impl<'r> Ids<'r> {
    fn of(readings: &'r [Reading]) -> Self {
        let mut by_id: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (at, reading) in readings.iter().enumerate() {
            by_id
                .entry(reading.id.as_str())
                .or_default()
                .push((at, reading));
        }
        Self { by_id }
    }

    /// Neither of two tasks of one id is taken: nobody knows which is meant.
    fn same(&self, bundles: &[Bundle], at: usize, reading: &Reading) -> Option<Problem> {
        let claims = self.by_id.get(reading.id.as_str())?;
        let (place, _) = claims.iter().find(|(place, _)| *place != at)?;
        let other = &bundles.get(*place)?.path;
        let release = matches!(
            reading.task.as_ref().map(|task| &task.on),
            Some(Trigger::Release(_))
        );
        let problem = if release {
            Problem::new(format!("two release tasks have the version {}", reading.id))
                .help("give the newer file a later time")
        } else {
            Problem::new(format!("two tasks are called `{}`", reading.id))
                .help("rename one of the files, or give one an `id` of its own")
        };
        Some(problem.label(format!("the other is {other}")))
    }

    /// That nobody has this id.
    fn absent(&self, name: &str) -> Option<Problem> {
        if self.by_id.contains_key(name) {
            return None;
        }
        let problem = Problem::new(format!("there is no task `{name}`"))
            .label("unknown task")
            .help(suggest(name, self.by_id.keys().copied(), "tasks"));
        Some(problem)
    }

    fn unknown(&self, name: &str) -> Option<Problem> {
        let Some(called) = self.by_id.get(name).and_then(|claims| claims.first()) else {
            return self.absent(name);
        };
        match called.1.task.as_ref().map(|task| &task.on) {
            Some(
                Trigger::Release(_)
                | Trigger::Object(_)
                | Trigger::Schedule(_)
                | Trigger::Webhook(_),
            ) => Some(
                Problem::new(format!("task `{name}` cannot be called"))
                    .label("it has another trigger")
                    .help("give the called task [on.call]"),
            ),
            _ => None,
        }
    }
}

/// Who calls whom.
struct Cycles<'r> {
    calls: BTreeMap<&'r str, BTreeSet<&'r str>>,
}

impl<'r> Cycles<'r> {
    fn of(readings: &'r [Reading]) -> Self {
        let mut calls: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for reading in readings {
            let called = reading.calls.iter().map(|call| call.task.as_str());
            calls.entry(reading.id.as_str()).or_default().extend(called);
        }
        Self { calls }
    }

    /// The cycle that a call from one task to another is part of: the shortest way back.
    fn through(&self, from: &str, to: &'r str) -> Option<String> {
        let mut ways: Vec<Vec<&str>> = vec![vec![to]];
        let mut seen = BTreeSet::from([to]);
        let mut next = 0;
        while let Some(way) = ways.get(next).cloned() {
            next += 1;
            let last = way.last()?;
            if *last == from {
                let names: Vec<&str> = std::iter::once(from).chain(way).collect();
                return Some(names.join(" -> "));
            }
            for called in self.calls.get(last).into_iter().flatten() {
                if seen.insert(called) {
                    let further = way.iter().copied().chain([*called]);
                    ways.push(further.collect());
                }
            }
        }
        None
    }
}
