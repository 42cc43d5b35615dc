//! Which of the runs that a part of a prune looks at go: decided in the same way for every store.

use oncely_core::ids::RunId;
use oncely_core::prune::{Around, Parent, Prune, Seen};
use std::collections::{BTreeMap, BTreeSet};

/// The runs of a part, and what stands around them.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// The runs that are looked at, the newest first.
    page: Vec<RunId>,
    seen: BTreeMap<RunId, Seen>,
    children: BTreeMap<RunId, BTreeSet<RunId>>,
    newest: BTreeSet<RunId>,
}

impl Look {
    /// At these runs, the newest first.
    pub(crate) fn at(page: Vec<Seen>) -> Self {
        let mut look = Self {
            page: page.iter().map(|run| run.id).collect(),
            ..Self::default()
        };
        look.add(page);
        look
    }

    /// What is known of other runs: parents, and all that descends from those of the page.
    pub(crate) fn add(&mut self, runs: Vec<Seen>) {
        for run in runs {
            if let Some(parent) = run.parent {
                self.children.entry(parent).or_default().insert(run.id);
            }
            self.seen.insert(run.id, run);
        }
    }

    /// Which runs are the newest of their tasks.
    pub(crate) fn newest(&mut self, runs: impl IntoIterator<Item = RunId>) {
        self.newest.extend(runs);
    }

    /// The runs of the page that may go by themselves.
    pub(crate) fn candidates(&self, part: &Prune) -> Vec<&Seen> {
        let runs = self.page.iter().filter_map(|id| self.seen.get(id));
        runs.filter(|run| part.old.takes(run)).collect()
    }

    /// Parents that are not known yet.
    pub(crate) fn parents(&self, part: &Prune) -> BTreeSet<RunId> {
        let candidates = self.candidates(part);
        let parents = candidates.iter().filter_map(|run| run.parent);
        parents.filter(|id| !self.seen.contains_key(id)).collect()
    }

    /// Keeps what others have locked or changed meanwhile.
    pub(crate) fn keep_but(&mut self, ids: &BTreeSet<RunId>) {
        self.page.retain(|id| ids.contains(id));
    }

    /// The runs that go, the newest first.
    pub(crate) fn choose(&self, part: &Prune) -> Vec<&Seen> {
        let mut going = BTreeSet::new();
        for run in self.candidates(part) {
            let stays =
                |child: &RunId| !(going.contains(child) || part.dry && self.would_go(part, *child));
            if self.around(run, stays).lets_go() {
                going.insert(run.id);
            }
        }
        let ids = going.into_iter().rev();
        ids.filter_map(|id| self.seen.get(&id)).collect()
    }

    /// Whether a run would go, and everything that descends from it. A child has a higher number than
    /// its parent, so that this ends.
    fn would_go(&self, part: &Prune, id: RunId) -> bool {
        let Some(run) = self.seen.get(&id).filter(|run| part.old.takes(run)) else {
            return false;
        };
        let stays = |child: &RunId| *child <= id || !self.would_go(part, *child);
        self.around(run, stays).lets_go()
    }

    fn around(&self, run: &Seen, stays: impl Fn(&RunId) -> bool) -> Around {
        let mut children = self.children.get(&run.id).into_iter().flatten();
        let parent = run.parent.and_then(|id| self.seen.get(&id));
        Around {
            newest: self.newest.contains(&run.id),
            has_child: children.any(stays),
            parent: parent.map(Parent::from),
        }
    }
}
