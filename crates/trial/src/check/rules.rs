//! The comparison itself: each promise against what everybody wrote down.

use super::attempts::{self, Attempt, Told, number, text};
use super::evidence::{Evidence, Request, Sent};
use super::export::{Export, Run};
use super::promises::{Broken, Promise};
use std::collections::{BTreeMap, BTreeSet};

/// Steps with an effect that must have ended well in a run that is done.
const STEPS: &[(&str, &[&str])] = &[
    ("rows", &["store", "tell", "receipt"]),
    ("slow", &["store"]),
    ("orders", &["bill", "book", "paper", "log"]),
    ("letters", &["send"]),
    ("notes", &["note"]),
    ("chain", &["look", "next"]),
    ("tally", &["count"]),
    ("batch", &["each"]),
    ("mails", &["each"]),
    ("pings", &["ping"]),
    ("papers", &["paper"]),
    ("setup", &["table"]),
];

/// Requests and program lines that a done run must have caused: path or program, by task.
const EFFECTS: &[(&str, &str)] = &[
    ("rows", "/rows/tell"),
    ("orders", "/orders/bill"),
    ("orders", "log"),
    ("letters", "/letters/send"),
    ("pings", "/pings/ping"),
    ("notes", "note"),
    ("chain", "look"),
];

/// Effects that nobody recognises when they are repeated.
const UNKEYED: &[&str] = &["/letters/send", "/mails/item", "note"];

/// Compares. Nothing broken gives an empty list.
#[must_use]
pub fn check(evidence: &Evidence, export: &Export) -> Vec<Broken> {
    let mut checker = Checker {
        evidence,
        export,
        told: export
            .runs
            .values()
            .map(|run| (run.id, attempts::of(run)))
            .collect(),
        effects: effects(evidence),
        broken: Vec::new(),
    };
    checker.admitted_once();
    checker.all_there();
    checker.histories();
    checker.rows();
    checker.repeats();
    checker.intents();
    checker.doubts();
    checker.broken.extend(super::audit::broken(evidence));
    checker.broken
}

/// What one effect left with the other side.
#[derive(Default)]
struct Effect<'e> {
    keys: BTreeSet<&'e str>,
    bodies: BTreeSet<&'e str>,
    times: u64,
}

/// An effect by what it is: where, of which event, of which item.
type Name = (String, String, String);

fn effects(evidence: &Evidence) -> BTreeMap<Name, Effect<'_>> {
    let mut effects: BTreeMap<Name, Effect<'_>> = BTreeMap::new();
    for request in &evidence.requests {
        let effect = effects.entry(name(request)).or_default();
        effect.keys.insert(&request.key);
        effect.bodies.insert(&request.body);
        effect.times += 1;
    }
    for line in &evidence.lines {
        let name = (line.program.clone(), line.event.clone(), String::new());
        let effect = effects.entry(name).or_default();
        effect.keys.insert(&line.key);
        effect.times += 1;
    }
    effects
}

fn name(request: &Request) -> Name {
    let id = request.field("id").unwrap_or_default();
    (
        request.path.clone(),
        id,
        request.field("item").unwrap_or_default(),
    )
}

struct Checker<'e> {
    evidence: &'e Evidence,
    export: &'e Export,
    told: BTreeMap<i64, Told>,
    effects: BTreeMap<Name, Effect<'e>>,
    broken: Vec<Broken>,
}

impl Checker<'_> {
    fn breaks(&mut self, promise: Promise, what: impl Into<String>) {
        self.broken.push(Broken {
            promise,
            what: what.into(),
        });
    }

    fn admitted_once(&mut self) {
        let mut runs: BTreeMap<(&str, &str, u64), u64> = BTreeMap::new();
        for run in self.export.runs.values() {
            *runs
                .entry((&run.task, &run.key, run.generation))
                .or_default() += 1;
        }
        for ((task, key, _), times) in runs {
            if times > 1 {
                self.breaks(Promise::AdmittedOnce, format!("{task} {key}: {times} runs"));
            }
        }
    }

    /// Each thing that was sent has a run that is done, or is in doubt.
    fn all_there(&mut self) {
        let export = self.export;
        let mut runs: BTreeMap<(&str, &str), &Run> = BTreeMap::new();
        for run in export.runs.values() {
            runs.insert((&run.task, run.sent_as()), run);
        }
        for sent in &self.evidence.sent {
            match runs.get(&(sent.task.as_str(), sent.id.as_str())) {
                None => self.breaks(Promise::NothingLost, format!("{} started nothing", sent.id)),
                Some(run) => self.ended(run, sent),
            }
            let next = runs.get(&("tally", sent.id.as_str()));
            if sent.task == "chain" && next.is_none_or(|run| run.parent.is_none()) {
                let what = format!("{} called nothing", sent.id);
                self.breaks(Promise::NothingLost, what);
            }
        }
        for run in export.runs.values() {
            match run.status.as_str() {
                "done" => self.done(run),
                "unknown" => {}
                status => {
                    let what = format!("{} is {status}", run.label());
                    self.breaks(Promise::NothingLost, what);
                }
            }
        }
    }

    /// The sums of a run that is done against what was sent.
    fn ended(&mut self, run: &Run, sent: &Sent) {
        if run.status != "done" {
            return;
        }
        let of_items = |p: &serde_json::Value| (number(p, "done"), number(p, "set_aside"));
        let sums = run.progress.first().map(of_items);
        let expected = (sent.good > 0).then_some((sent.good, sent.broken));
        if sums != expected {
            let what = format!(
                "{}: {sums:?} items where {expected:?} were sent",
                run.label()
            );
            self.breaks(Promise::NothingLost, what);
        }
        if run.set_aside.len() as u64 != sent.broken {
            let what = format!("{}: {} set aside", run.label(), run.set_aside.len());
            self.breaks(Promise::NothingLost, what);
        }
        let path = match sent.task.as_str() {
            "batch" => "/batch/item",
            "mails" => "/mails/item",
            _ => return,
        };
        for item in 1..=sent.good {
            let name = (path.to_owned(), sent.id.clone(), item.to_string());
            if !self.effects.contains_key(&name) {
                let what = format!("{}: item {item} was never sent", run.label());
                self.breaks(Promise::NothingLost, what);
            }
        }
    }

    /// A run that is done did everything.
    fn done(&mut self, run: &Run) {
        let steps = STEPS.iter().find(|(task, _)| *task == run.task);
        let attempts = self.told.get(&run.id).map_or(&[][..], |t| &t.attempts);
        let is_done = |step: &str| {
            let mut of_step = attempts
                .iter()
                .filter(|a| a.item.is_none() && a.step == step);
            of_step.any(|a| a.was.as_deref() == Some("done"))
        };
        let steps = steps.map_or(&[][..], |(_, steps)| steps);
        let missing: Vec<_> = steps.iter().filter(|step| !is_done(step)).collect();
        if !missing.is_empty() {
            let what = format!("{} is done without {missing:?}", run.label());
            self.breaks(Promise::NothingLost, what);
        }
        for (_, place) in EFFECTS.iter().filter(|(task, _)| *task == run.task) {
            let name = ((*place).to_owned(), run.sent_as().to_owned(), String::new());
            if !self.effects.contains_key(&name) {
                let what = format!("{} is done and {place} saw nothing", run.label());
                self.breaks(Promise::NothingLost, what);
            }
        }
        self.put(run);
    }

    fn put(&mut self, run: &Run) {
        if !matches!(run.task.as_str(), "rows" | "orders" | "papers") {
            return;
        }
        let file = format!("{}.json", run.sent_as());
        let id = format!("\"{}\"", run.sent_as());
        if !self
            .evidence
            .files
            .get(&file)
            .is_some_and(|text| text.contains(&id))
        {
            let what = format!("{}: {file} is not there whole", run.label());
            self.breaks(Promise::NothingLost, what);
        }
    }

    /// What the order of the facts says about who wrote them.
    fn histories(&mut self) {
        let mut found = Vec::new();
        for (id, told) in &self.told {
            let run = self.export.runs.get(id).map(Run::label).unwrap_or_default();
            found.extend(told.stale.iter().map(|what| format!("{run}: {what}")));
            if !self.evidence.clocks_differ {
                found.extend(late_items(told).map(|what| format!("{run}: {what}")));
            }
        }
        for what in found {
            self.breaks(Promise::OneHolder, what);
        }
    }

    /// Rows of files, of orders, and of the ledger's own database.
    fn rows(&mut self) {
        let evidence = self.evidence;
        let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
        for row in &evidence.rows {
            *counted.entry(&row.object).or_default() += 1;
            if row.times > 1 {
                let what = format!("{} {}: {} times", row.object, row.item, row.times);
                self.breaks(Promise::NoRowTwice, what);
            }
        }
        let done = done_as(self.export);
        for sent in &evidence.sent {
            let expected = match sent.task.as_str() {
                "rows" | "slow" => sent.good,
                "orders" => 1,
                _ => continue,
            };
            let found = counted.get(sent.id.as_str()).copied().unwrap_or(0);
            if found != expected && done.contains(&(&*sent.task, &*sent.id)) {
                let what = format!("{}: {found} rows of {expected}", sent.id);
                self.breaks(Promise::NothingLost, what);
            }
        }
        self.tallies();
    }

    fn tallies(&mut self) {
        let evidence = self.evidence;
        for (id, times) in evidence.tallies.iter().filter(|(_, times)| **times > 1) {
            self.breaks(Promise::NoRowTwice, format!("tally {id}: {times} times"));
        }
        let done = |run: &&Run| run.task == "tally" && run.status == "done";
        let export = self.export;
        for run in export.runs.values().filter(done) {
            if !evidence.tallies.contains_key(run.sent_as()) {
                self.breaks(
                    Promise::NothingLost,
                    format!("{} has no tally", run.label()),
                );
            }
        }
    }

    /// What came more than once.
    fn repeats(&mut self) {
        let mut found = Vec::new();
        for ((place, id, item), effect) in &self.effects {
            let what = format!("{place} {id} {item}");
            if effect.keys.len() > 1 || effect.bodies.len() > 1 {
                let (keys, bodies) = (effect.keys.len(), effect.bodies.len());
                let what = format!("{what}: {keys} keys, {bodies} bodies");
                found.push((Promise::SameKeySameBytes, what));
            }
            if effect.times > 1 && UNKEYED.contains(&place.as_str()) {
                let what = format!("{what}: {} times", effect.times);
                found.push((Promise::NeverSilentlyTwice, what));
            }
        }
        for (promise, what) in found {
            self.breaks(promise, what);
        }
    }

    /// Each effect has an attempt of its own, recorded before it.
    fn intents(&mut self) {
        let mut intended: BTreeMap<&str, u64> = BTreeMap::new();
        for attempt in self.told.values().flat_map(|t| &t.attempts) {
            *intended.entry(&attempt.key).or_default() += 1;
        }
        let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
        let requests = self.evidence.requests.iter().map(|r| r.key.as_str());
        for key in requests.chain(self.evidence.lines.iter().map(|l| l.key.as_str())) {
            *seen.entry(key).or_default() += 1;
        }
        let found: Vec<_> = seen
            .into_iter()
            .map(|(key, times)| (key, times, intended.get(key).copied().unwrap_or(0)))
            .filter(|(_, times, intents)| times > intents)
            .map(|(key, times, intents)| format!("{key}: {times} effects, {intents} intents"))
            .collect();
        for what in found {
            self.breaks(Promise::IntentFirst, what);
        }
    }

    /// An attempt that nobody recognises, and whose end nobody recorded, makes its run unknown.
    fn doubts(&mut self) {
        let mut found = Vec::new();
        for (id, told) in &self.told {
            let Some(run) = self.export.runs.get(id) else {
                continue;
            };
            let open = |a: &&Attempt| {
                let unsaid = a.was.as_deref().is_none_or(|was| was == "unknown");
                !a.repeatable && (a.interrupted || unsaid)
            };
            let doubts = told.attempts.iter().filter(open).count();
            if doubts > 0 && run.status != "unknown" {
                found.push(format!(
                    "{}: {doubts} doubts, and it is {}",
                    run.label(),
                    run.status
                ));
            }
            if doubts == 0 && run.status == "unknown" {
                found.push(format!("{} is unknown without any doubt", run.label()));
            }
        }
        for what in found {
            self.breaks(Promise::DoubtIsListed, what);
        }
    }
}

/// What is done, by its task and what the sender called it.
fn done_as(export: &Export) -> BTreeSet<(&str, &str)> {
    let runs = export.runs.values();
    let done = runs.filter(|run| run.status == "done");
    done.map(|run| (run.task.as_str(), run.sent_as())).collect()
}

/// Items that were begun under a claim after a later claim had begun its own attempt.
pub(crate) fn late_items(told: &Told) -> impl Iterator<Item = String> {
    let steps = told.attempts.iter().filter(|a| a.item.is_none());
    let claims: Vec<(i64, i64)> = steps.map(|a| (a.fence, a.begun)).collect();
    let items = told.attempts.iter().filter(|a| a.item.is_some());
    items.filter_map(move |a| {
        let later = claims
            .iter()
            .find(|(fence, at)| *fence > a.fence && *at < a.begun)?;
        let item = a.item.unwrap_or_default();
        Some(format!(
            "item {item} of `{}` was begun under claim {} after claim {} had begun",
            a.step, a.fence, later.0
        ))
    })
}

/// The words of a failed run's end.
pub(crate) fn quarantined(run: &Run) -> bool {
    run.facts
        .iter()
        .any(|fact| text(fact, "reason").starts_with("quarantined"))
}
