//! What everybody wrote down, against what the ledger says, case by case.

use super::kinds::{Kind, Medium, Phase};
use super::lane::Case;
use super::stage::Stage;
use super::world::{Heard, Name, World};
use crate::check::{
    Attempt, Broken, Export, Promise, Run, Told, attempts_of, late_items, number, text,
};
use crate::crash::Trouble;
use std::collections::{BTreeMap, BTreeSet};

/// What the other sides wrote down of one kind.
pub(super) struct Evidence {
    heard: BTreeMap<Name, Vec<Heard>>,
    rows: BTreeMap<Name, u64>,
}

impl Evidence {
    pub(super) fn collect(stage: &Stage, world: &World) -> Result<Self, Trouble> {
        let mut heard: BTreeMap<Name, Vec<Heard>> = BTreeMap::new();
        for one in world.heard().into_iter().chain(stage.lines()?) {
            heard.entry(one.name.clone()).or_default().push(one);
        }
        Ok(Self {
            heard,
            rows: stage.rows()?,
        })
    }

    fn of<'e>(
        &'e self,
        what: &str,
        id: &str,
    ) -> impl Iterator<Item = (&'e Name, &'e Vec<Heard>)> + use<'e> {
        let (what, id) = (what.to_owned(), id.to_owned());
        self.heard
            .iter()
            .filter(move |(name, _)| name.0 == what && name.1 == id)
    }

    /// Whether the other side has done something of an event.
    pub(super) fn happened(&self, what: &str, id: &str) -> bool {
        self.of(what, id)
            .any(|(_, heard)| heard.iter().any(|h| h.taken))
    }
}

/// The run of a case and the one that takes it back, where there are.
pub(super) struct Runs<'e> {
    pub(super) first: Vec<&'e Run>,
    pub(super) undo: Vec<&'e Run>,
}

impl<'e> Runs<'e> {
    pub(super) fn of(export: &'e Export, kind: &Kind, case: &Case) -> Self {
        let named = |run: &&Run| {
            let sent = run.sent_as().trim_end_matches(".txt");
            run.task == kind.name && (sent == case.id || run.key == case.id)
        };
        let undo_of = |of: &Run| format!("undo:{}", of.id);
        let first: Vec<&Run> = export
            .runs
            .values()
            .filter(named)
            .filter(|run| !run.key.starts_with("undo:"))
            .collect();
        let keys: Vec<String> = first.iter().map(|run| undo_of(run)).collect();
        let undo = export
            .runs
            .values()
            .filter(|run| run.task == kind.name && keys.contains(&run.key));
        Self {
            undo: undo.collect(),
            first,
        }
    }

    /// Those that wait as unknown, with what they do.
    pub(super) fn in_doubt(&self) -> Vec<(&'e Run, &'static str)> {
        let first = self.first.iter().map(|run| (*run, "do"));
        let all = first.chain(self.undo.iter().map(|run| (*run, "undo")));
        all.filter(|(run, _)| run.status == "unknown").collect()
    }
}

/// Judges one case of a kind.
pub(super) struct Judge<'e> {
    pub(super) kind: &'e Kind,
    pub(super) case: &'e Case,
    pub(super) stage: &'e Stage,
    pub(super) export: &'e Export,
    pub(super) evidence: &'e Evidence,
    pub(super) broken: Vec<Broken>,
}

impl<'e> Judge<'e> {
    fn breaks(&mut self, promise: Promise, what: &str) {
        let Case {
            phase, point, nth, ..
        } = self.case;
        let place = format!(
            "{}, {phase}, {}:{nth}: {what}",
            self.kind.name,
            point.name()
        );
        self.broken.push(Broken {
            promise,
            what: place,
        });
    }

    /// When everything rests, and nobody has said anything of what is in doubt yet.
    pub(super) fn doubts(&mut self) {
        let runs = Runs::of(self.export, self.kind, self.case);
        for run in runs.first.iter().chain(&runs.undo) {
            let told = attempts_of(run);
            let open = |a: &&Attempt| is_open(a) && !is_settled(run, a);
            let doubts = last_attempts(&told).into_iter().filter(open).count();
            let said = format!("{} is {} with {doubts} doubts", run.label(), run.status);
            if (doubts > 0) != (run.status == "unknown") {
                self.breaks(Promise::DoubtIsListed, &said);
            }
        }
    }

    /// At the end.
    pub(super) fn all(&mut self) {
        let runs = Runs::of(self.export, self.kind, self.case);
        let undoes = self.case.phase == Phase::Undo;
        self.one(&runs.first, if undoes { "undone" } else { "done" });
        if undoes {
            self.one(&runs.undo, "done");
        }
        for run in runs.first.iter().chain(&runs.undo) {
            self.history(run);
        }
        self.effects("do", &runs.first);
        self.effects("undo", &runs.undo);
        self.file(undoes);
    }

    fn one(&mut self, runs: &[&Run], status: &str) {
        match runs {
            [] => self.breaks(Promise::NothingLost, "it started nothing"),
            [run] if run.status == status => {}
            [run] => {
                let what = format!("{} is {}, and not {status}", run.label(), run.status);
                self.breaks(Promise::NothingLost, &what);
            }
            many => {
                let what = format!("{} runs of one key", many.len());
                self.breaks(Promise::AdmittedOnce, &what);
            }
        }
    }

    fn history(&mut self, run: &Run) {
        let told = attempts_of(run);
        let late: Vec<String> = told
            .stale
            .iter()
            .cloned()
            .chain(late_items(&told))
            .collect();
        for what in late {
            self.breaks(Promise::OneHolder, &format!("{}: {what}", run.label()));
        }
    }

    fn effects(&mut self, what: &str, runs: &[&Run]) {
        let wanted = what == "do" || self.case.phase == Phase::Undo;
        match self.kind.medium {
            Medium::Told => self.told(what, wanted, runs),
            Medium::Rows => self.rows(what, wanted),
            Medium::File | Medium::Nothing => {}
        }
    }

    /// What others heard: each thing, no more often than it was intended, and as it is promised.
    fn told(&mut self, what: &str, wanted: bool, runs: &[&Run]) {
        let evidence = self.evidence;
        let mut heard_in_all = 0;
        let mut things = 0;
        for (name, heard) in evidence.of(what, &self.case.id) {
            heard_in_all += heard.len() as u64;
            let taken: Vec<_> = heard.iter().filter(|h| h.taken).collect();
            things += u64::from(!taken.is_empty());
            let place = format!("{what} {}", name.2);
            if self.kind.unkeyed && taken.len() > 1 {
                let what = format!("{place}: {} times", taken.len());
                self.breaks(Promise::NeverSilentlyTwice, &what);
            }
            let keys: BTreeSet<_> = heard.iter().map(|h| &h.key).collect();
            let bodies: BTreeSet<_> = heard.iter().map(|h| &h.body).collect();
            if keys.len() > 1 || bodies.len() > 1 {
                let what = format!("{place}: {} keys, {} bodies", keys.len(), bodies.len());
                self.breaks(Promise::SameKeySameBytes, &what);
            }
        }
        let expected = if wanted {
            self.kind.times * self.kind.items.max(1)
        } else {
            0
        };
        if things != expected {
            let what = format!("{what}: {things} of {expected} effects were heard of");
            self.breaks(Promise::NothingLost, &what);
        }
        let intents: usize = runs
            .iter()
            .map(|run| intents(self.kind, self.export, run))
            .sum();
        if heard_in_all > intents as u64 {
            let what = format!("{what}: heard {heard_in_all} times, with {intents} intents");
            self.breaks(Promise::IntentFirst, &what);
        }
    }

    fn rows(&mut self, what: &str, wanted: bool) {
        let rows = &self.evidence.rows;
        let of_case = rows
            .iter()
            .filter(|(name, _)| name.0 == what && name.1 == self.case.id);
        let of_case: Vec<_> = of_case
            .map(|(name, times)| (name.2.clone(), *times))
            .collect();
        for (item, times) in of_case.iter().filter(|(_, times)| *times > 1) {
            self.breaks(
                Promise::NoRowTwice,
                &format!("{what} {item}: {times} times"),
            );
        }
        let expected = if wanted { self.kind.items.max(1) } else { 0 };
        if of_case.len() as u64 != expected {
            let what = format!("{what}: {} of {expected} rows", of_case.len());
            self.breaks(Promise::NothingLost, &what);
        }
    }

    fn file(&mut self, undone: bool) {
        if self.kind.medium != Medium::File {
            return;
        }
        let there = self.stage.file(&self.case.id);
        let whole = there
            .as_ref()
            .is_some_and(|text| text.contains(&self.case.id));
        match (undone, there.is_some(), whole) {
            (true, false, _) | (false, true, true) => {}
            (true, true, _) => self.breaks(Promise::NothingLost, "the file is still there"),
            (false, ..) => self.breaks(Promise::NothingLost, "the file is not there whole"),
        }
    }
}

/// The attempts of a run that have effects of their own; those of a task that is called are that
/// task's.
fn intents(kind: &Kind, export: &Export, run: &Run) -> usize {
    let called = export
        .runs
        .values()
        .filter(|other| other.parent == Some(run.id));
    let own = |run: &Run, items: bool| {
        let told = attempts_of(run);
        let counts = |a: &&Attempt| match items {
            true => a.item.is_some(),
            false => a.step != "may",
        };
        told.attempts.iter().filter(counts).count()
    };
    match kind.name {
        "call" => called
            .filter(|r| r.task == "http")
            .map(|r| own(r, false))
            .sum(),
        _ => own(run, kind.items > 0),
    }
}

/// The latest attempt of each step and item.
fn last_attempts(told: &Told) -> Vec<&Attempt> {
    let mut last: BTreeMap<(&str, Option<u64>), &Attempt> = BTreeMap::new();
    for attempt in &told.attempts {
        last.insert((attempt.step.as_str(), attempt.item), attempt);
    }
    last.into_values().collect()
}

/// Somebody has said, or found out, what became of it.
fn is_settled(run: &Run, attempt: &Attempt) -> bool {
    run.facts.iter().any(|fact| {
        text(fact, "fact") == "settled"
            && text(fact, "step") == attempt.step
            && number(fact, "attempt") == attempt.number
    })
}

/// Nobody recognises it, and nobody knows how it ended.
fn is_open(attempt: &Attempt) -> bool {
    let unsaid = attempt.was.as_deref().is_none_or(|was| was == "unknown");
    !attempt.repeatable && (attempt.interrupted || unsaid)
}
