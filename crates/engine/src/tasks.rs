//! The tasks that the engine knows: those of the folder, and those that runs are pinned to.

use crate::ask::Ask;
use oncely_core::action::Action;
use oncely_core::ids::{ContentHash, TaskId};
use oncely_core::ledger::{Ledger, LedgerError};
use oncely_core::task::{ActionKind, Bundle, CancelOn, Items, Task, Work};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// The actions of this process, by kind.
pub trait Actions: Send + Sync {
    /// The code that performs this kind of step.
    fn get(&self, kind: ActionKind) -> Option<Arc<dyn Action>>;
}

/// A task and the text it was read from.
#[derive(Debug, Clone)]
pub struct Known {
    /// The task.
    pub task: Arc<Task>,
    /// Its text.
    pub bundle: Arc<Bundle>,
    /// Its first intent cannot be rendered before the run is admitted.
    pub(crate) first_reads_run_id: bool,
}

impl Known {
    /// Reads a bundle.
    ///
    /// # Errors
    /// When it is not a task; says all that is wrong.
    pub fn read(bundle: Bundle) -> Result<Self, String> {
        let task = oncely_core::task::load(&bundle).map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            lines.join("\n")
        })?;
        Ok(Self::new(Arc::new(task), Arc::new(bundle)))
    }

    /// A task that was read from this bundle.
    #[must_use]
    pub fn new(task: Arc<Task>, bundle: Arc<Bundle>) -> Self {
        let first_reads_run_id = reads_run_id(&task);
        Self {
            task,
            bundle,
            first_reads_run_id,
        }
    }
}

/// Whether the first step reads the number of its run, which is known only once it is admitted.
fn reads_run_id(task: &Task) -> bool {
    let Some(step) = task.steps.first() else {
        return false;
    };
    let reads = |name: &str| name == "run" || name == "run.id";
    let in_condition = step
        .policy
        .when
        .as_ref()
        .is_some_and(|w| w.names().iter().any(|n| reads(n)));
    let in_work = match &step.work {
        Work::Action(spec) => spec.options.names().iter().any(|n| reads(n)),
        Work::Each(each) => match &each.items {
            Items::List(expr) => expr.names().iter().any(|n| reads(n)),
            Items::Read { from, .. } | Items::Files { from, .. } => {
                from.names().iter().any(|n| reads(n))
            }
            Items::Rows(node) => node.names().iter().any(|n| reads(n)),
        },
    };
    let check = step.policy.rounds.as_ref().and_then(|r| r.check.as_ref());
    let in_check = check.is_some_and(|spec| spec.options.names().iter().any(|n| reads(n)));
    in_condition || in_work || in_check
}

/// Tasks by id as they are now, and by text as runs began with them.
#[derive(Default)]
pub struct Tasks {
    current: RwLock<BTreeMap<TaskId, Known>>,
    /// By the task that cancels.
    cancelled: RwLock<BTreeMap<TaskId, Vec<(TaskId, CancelOn)>>>,
    pinned: RwLock<BTreeMap<ContentHash, Arc<Task>>>,
    stored: Mutex<HashSet<ContentHash>>,
    again: Option<ReadAgain>,
}

/// Reads the task folder anew.
type ReadAgain = Box<dyn Fn() -> Vec<Known> + Send + Sync>;

impl Tasks {
    /// These tasks.
    #[must_use]
    pub fn new(tasks: impl IntoIterator<Item = Known>) -> Self {
        let tasks_now = Self::default();
        tasks_now.replace(tasks);
        tasks_now
    }

    /// How to read the tasks anew when one is asked for that is not known: its file may have come
    /// since.
    #[must_use]
    pub fn or_read(mut self, again: impl Fn() -> Vec<Known> + Send + Sync + 'static) -> Self {
        self.again = Some(Box::new(again));
        self
    }

    /// Takes these tasks as the current ones; runs in flight keep theirs.
    pub fn replace(&self, tasks: impl IntoIterator<Item = Known>) {
        let tasks: BTreeMap<_, _> = tasks.into_iter().map(|k| (k.task.id.clone(), k)).collect();
        let mut cancelled: BTreeMap<TaskId, Vec<(TaskId, CancelOn)>> = BTreeMap::new();
        for known in tasks.values() {
            for cancel in &known.task.cancel_on {
                let entry = cancelled.entry(cancel.task.clone()).or_default();
                entry.push((known.task.id.clone(), cancel.clone()));
            }
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = tasks;
        *self
            .cancelled
            .write()
            .unwrap_or_else(PoisonError::into_inner) = cancelled;
    }

    /// The tasks whose runs are cancelled when this one is started, as their files say now.
    pub(crate) fn cancelled_by(&self, id: &TaskId) -> Vec<(TaskId, CancelOn)> {
        let cancelled = self
            .cancelled
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        cancelled.get(id).cloned().unwrap_or_default()
    }

    /// Whether a run of this task cancels others.
    pub(crate) fn cancels(&self, id: &TaskId) -> bool {
        let cancelled = self
            .cancelled
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        cancelled.contains_key(id)
    }

    /// The current task of this id.
    #[must_use]
    pub fn current(&self, id: &TaskId) -> Option<Known> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.get(id).cloned()
    }

    /// The current task of this id, whose file may have come since the tasks were last read.
    #[must_use]
    pub(crate) fn current_or_read(&self, id: &TaskId) -> Option<Known> {
        if let Some(known) = self.current(id) {
            return Some(known);
        }
        self.replace(self.again.as_ref()?());
        self.current(id)
    }

    /// Every current task.
    #[must_use]
    pub fn all(&self) -> Vec<Known> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.values().cloned().collect()
    }

    /// The task of this text, as it was when the run began.
    ///
    /// # Errors
    /// When the ledger does not answer, or its copy cannot be read any more.
    pub async fn pinned(
        &self,
        text: ContentHash,
        ledger: &dyn Ledger,
    ) -> Result<Arc<Task>, LedgerError> {
        if let Some(task) = self.remembered(text) {
            return Ok(task);
        }
        let bytes = Ask(ledger).stored(text).await?.ok_or_else(|| {
            LedgerError::Invalid(format!("the ledger has no copy of the task text {text}"))
        })?;
        let bundle = Bundle::from_bytes(&bytes)
            .map_err(|e| LedgerError::Invalid(format!("the stored task text {text}: {e}")))?;
        let known = Known::read(bundle).map_err(LedgerError::Invalid)?;
        self.remember(text, &known.task);
        self.mark_stored(text);
        Ok(known.task)
    }

    fn remembered(&self, text: ContentHash) -> Option<Arc<Task>> {
        let pinned = self.pinned.read().unwrap_or_else(PoisonError::into_inner);
        pinned.get(&text).cloned()
    }

    /// Remembers a task by its text, so that it need not be read again.
    pub(crate) fn remember(&self, text: ContentHash, task: &Arc<Task>) {
        let mut pinned = self.pinned.write().unwrap_or_else(PoisonError::into_inner);
        pinned.insert(text, Arc::clone(task));
    }

    /// Whether the ledger has this text, as far as this process knows.
    pub(crate) fn is_stored(&self, text: ContentHash) -> bool {
        let stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.contains(&text)
    }

    /// The ledger has this text now.
    pub(crate) fn mark_stored(&self, text: ContentHash) {
        let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        stored.insert(text);
    }
}
