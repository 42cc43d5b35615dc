//! What is removed of runs that ended long ago. Their keys stay for ever, as hashes: an event that
//! comes again is a duplicate, whatever was removed.

use crate::ids::{Environment, RunId, TaskId};
use crate::run::RunStatus;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Runs that are old enough to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Old {
    /// Of this environment.
    pub environment: Environment,
    /// Of this task only.
    pub task: Option<TaskId>,
    /// Never of these.
    pub except: Vec<TaskId>,
    /// Those that last changed before.
    pub before: Timestamp,
    /// Failed ones too: they can be resumed no more then.
    pub failed: bool,
}

/// What is looked at of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its number.
    pub id: RunId,
    /// Where.
    pub environment: Environment,
    /// The task.
    pub task: TaskId,
    /// The trigger's name.
    pub trigger: String,
    /// Where it stands.
    pub status: RunStatus,
    /// When it was last changed.
    pub changed: Timestamp,
    /// How many facts it has.
    pub facts: u64,
    /// Somebody holds it.
    pub held: bool,
    /// The run that called for it, or that it takes back.
    pub parent: Option<RunId>,
}

/// What stands around a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Around {
    /// It is the newest run of its task.
    pub newest: bool,
    /// There is a run that it called for, or that takes it back.
    pub has_child: bool,
    /// The run that called for it, or that it takes back, as far as it is there.
    pub parent: Option<Parent>,
}

/// What matters of a parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// It has ended.
    pub ended: bool,
    /// It was started by a release.
    pub of_release: bool,
}

impl Old {
    /// Whether a run is among them by itself.
    #[must_use]
    pub fn takes(&self, run: &Seen) -> bool {
        let ended = match run.status {
            RunStatus::Done | RunStatus::Cancelled | RunStatus::Skipped | RunStatus::Undone => true,
            RunStatus::Failed => self.failed,
            // What is recorded of a release says what is left to do at the next one.
            RunStatus::Imported
            | RunStatus::Pending
            | RunStatus::Running
            | RunStatus::Waiting
            | RunStatus::Unknown => false,
        };
        ended
            && !run.held
            && run.changed < self.before
            && run.trigger != RELEASE
            && run.environment == self.environment
            && self.task.as_ref().is_none_or(|task| *task == run.task)
            && !self.except.contains(&run.task)
    }
}

impl From<&Seen> for Parent {
    fn from(run: &Seen) -> Self {
        Self {
            ended: run.status.is_ended(),
            of_release: run.trigger == RELEASE,
        }
    }
}

impl Place {
    /// Runs are looked at that have lower numbers than this one.
    #[must_use]
    pub fn below(self) -> Option<RunId> {
        match self {
            Self::Newest => Some(RunId(i64::MAX)),
            Self::Below(run) => Some(run),
            Self::Items | Self::Keys(_) => None,
        }
    }
}

impl Around {
    /// Whether nothing around a run needs it: the newest run of a task is what its state is read
    /// from, and a run that stays leads to those that it called and to the one that called it.
    #[must_use]
    pub fn lets_go(&self) -> bool {
        let by_parent = self.parent.is_none_or(|p| p.ended && !p.of_release);
        !self.newest && !self.has_child && by_parent
    }
}

/// The trigger of releases: what is pending at one is what has no run yet.
pub const RELEASE: &str = "release";

/// Where a part of a prune begins. Runs come first, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// With the newest run.
    #[default]
    Newest,
    /// With runs that have lower numbers than this one.
    Below(RunId),
    /// What is left of the items of runs that were removed.
    Items,
    /// The keys of removed runs, as the store keeps them: which part of them.
    Keys(u32),
}

/// A part of a prune: so many runs are looked at, in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prune {
    /// Which runs go.
    pub old: Old,
    /// Who prunes.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// The prune that this goes on with; none for its first part.
    pub number: Option<u64>,
    /// Where it begins.
    pub from: Place,
    /// So many runs are looked at.
    pub runs: usize,
    /// So many rows about items are removed at most; what is left of them goes with the next part.
    pub rows: usize,
    /// Nothing is removed.
    pub dry: bool,
}

/// What a part of a prune has removed, or would remove.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pruned {
    /// The number of the prune, once something was removed.
    pub number: Option<u64>,
    /// Where the next part goes on; none when everything was looked at.
    pub next: Option<Place>,
    /// Runs.
    pub runs: u64,
    /// Their facts.
    pub facts: u64,
}

/// A prune, as the ledger remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneRecord {
    /// Its number.
    pub number: u64,
    /// When it began.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Of this environment.
    pub environment: Environment,
    /// Of this task only.
    pub task: Option<TaskId>,
    /// Runs that last changed before.
    pub before: Timestamp,
    /// So many were removed.
    pub runs: u64,
}

/// Numbers of runs that one prune has removed, without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// The first.
    pub first: RunId,
    /// The last.
    pub last: RunId,
    /// The prune.
    pub prune: u64,
}

/// The numbers without gaps, from the lowest, of runs that were removed.
#[must_use]
pub fn without_gaps(runs: &[RunId], prune: u64) -> Vec<Gone> {
    let mut sorted = runs.to_vec();
    sorted.sort_unstable();
    let mut all: Vec<Gone> = Vec::new();
    for run in sorted {
        match all.last_mut() {
            Some(gone) if gone.last.0 + 1 == run.0 => gone.last = run,
            _ => all.push(Gone {
                first: run,
                last: run,
                prune,
            }),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_side_by_side_are_kept_as_one() {
        let runs = [9, 4, 5, 3, 7].map(RunId);
        let gone = without_gaps(&runs, 1);
        let pairs: Vec<_> = gone.iter().map(|g| (g.first.0, g.last.0)).collect();
        assert_eq!(pairs, [(3, 5), (7, 7), (9, 9)]);
    }

    #[test]
    fn nothing_lets_go_of_a_run_that_something_leads_to() {
        let free = Around {
            newest: false,
            has_child: false,
            parent: None,
        };
        let parent = |ended, of_release| Around {
            parent: Some(Parent { ended, of_release }),
            ..free
        };
        assert!(free.lets_go());
        assert!(parent(true, false).lets_go());
        let newest = Around {
            newest: true,
            ..free
        };
        let called = Around {
            has_child: true,
            ..free
        };
        for kept in [newest, called, parent(false, false), parent(true, true)] {
            assert!(!kept.lets_go(), "{kept:?}");
        }
    }
}
