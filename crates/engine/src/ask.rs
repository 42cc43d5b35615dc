//! Questions to a ledger, each with the answer that belongs to it.

use crate::people::PeopleError;
use oncely_core::fact::Recorded;
use oncely_core::ids::{ContentHash, Environment, EventKey, HolderId, RunId, StepId, TaskId};
use oncely_core::items::{Progress, SetAside};
use oncely_core::ledger::{
    Answer, Begun, FileMark, Filter, HolderInfo, ItemFact, Ledger, LedgerError, Query, RunRow,
};
use oncely_core::prune::PruneRecord;
use oncely_core::run::RunStatus;
use oncely_core::source::Cursor;
use oncely_core::time::Timestamp;
use std::sync::Arc;

/// Typed questions over [`Ledger::read`].
#[derive(Clone, Copy)]
pub struct Ask<'a>(pub &'a dyn Ledger);

impl Ask<'_> {
    /// The run, or why there is none.
    ///
    /// # Errors
    /// When there is no such run, it was pruned, or the ledger does not answer.
    pub async fn known(&self, id: RunId) -> Result<RunRow, PeopleError> {
        if let Some(row) = self.run(id).await? {
            return Ok(row);
        }
        Err(match self.prune_of(id).await? {
            Some(prune) => PeopleError::Pruned(id, prune.by),
            None => PeopleError::NoRun(id),
        })
    }
}

impl Ask<'_> {
    /// The run with all that was recorded of it, or why there is none.
    ///
    /// # Errors
    /// When there is no such run, it was pruned or forgotten, or the ledger does not answer.
    pub async fn whole(&self, id: RunId) -> Result<RunRow, PeopleError> {
        let row = self.known(id).await?;
        match row.is_forgotten() {
            true => Err(PeopleError::Forgotten(id)),
            false => Ok(row),
        }
    }
}

macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $answer:ty, $query:expr, $variant:ident;)*) => {
        impl Ask<'_> {
            $($(#[$doc])*
            ///
            /// # Errors
            /// When the ledger does not answer.
            pub async fn $name(&self, $($arg: $type),*) -> Result<$answer, LedgerError> {
                match self.0.read($query).await? {
                    Answer::$variant(answer) => Ok(answer),
                    _ => Err(LedgerError::Invalid("the ledger answered another question".into())),
                }
            })*
        }
    };
}

questions! {
    /// A run's row.
    run(id: RunId) -> Option<RunRow>, Query::Run(id), Run;
    /// Rows of runs, newest first.
    runs(filter: Filter) -> Vec<RunRow>, Query::Runs(filter), Runs;
    /// The newest run of each task.
    newest(environment: Environment) -> Vec<RunRow>, Query::Newest(environment), Runs;
    /// A run's facts.
    facts(id: RunId) -> Vec<Recorded>, Query::Facts(id, 0), Facts;
    /// When each of these runs began and with which text, without those that have not.
    began(runs: Vec<RunId>) -> Vec<Begun>, Query::Began(runs), Began;
    /// Which of these runs have facts that are not those of their chain.
    broken(runs: Vec<RunId>) -> Vec<RunId>, Query::Broken(runs), Broken;
    /// Content by its hash.
    stored(hash: ContentHash) -> Option<Arc<[u8]>>, Query::Stored(hash), Stored;
    /// How far a step has come.
    progress(id: RunId, step: StepId) -> Option<Progress>, Query::Progress(id, step), Progress;
    /// Items set aside.
    set_aside(id: RunId, from: u64, most: usize) -> Vec<(StepId, SetAside)>, Query::SetAside(id, from, most), SetAside;
    /// Facts about items.
    item_facts(id: RunId, step: StepId, items: std::ops::Range<u64>) -> Vec<ItemFact>, Query::ItemFacts(id, step, items), ItemFacts;
    /// A source's cursor.
    cursor(source: String) -> Option<Cursor>, Query::Cursor(source), Cursor;
    /// How many runs are in each state.
    counts(environment: Environment) -> Vec<(RunStatus, u64)>, Query::Counts(environment), Counts;
    /// When the next run is due that nobody holds.
    next_due(environment: Environment) -> Option<Timestamp>, Query::NextDue(environment), NextDue;
    /// What task files looked like.
    files() -> Vec<FileMark>, Query::Files, Files;
    /// Processes that work on the ledger.
    holders() -> Vec<HolderInfo>, Query::Holders, Holders;
    /// Who holds a name.
    name_holder(name: String) -> Option<HolderInfo>, Query::NameHolder(name), NameHolder;
    /// Names that are held, and by whom.
    names() -> Vec<(String, HolderId)>, Query::Names, Names;
    /// What was pruned, the newest first.
    prunes(most: usize) -> Vec<PruneRecord>, Query::Prunes(most), Prunes;
    /// The runs that were admitted under a key, generation after generation, pruned ones too.
    admitted(here: Environment, task: TaskId, key: EventKey) -> Vec<RunId>, Query::Admitted(here, task, key), Admitted;
    /// The runs that a run called for, and those that take it back.
    children(id: RunId) -> Vec<RunRow>, Query::Children(id), Runs;
    /// The prune that removed a run.
    prune_of(run: RunId) -> Option<PruneRecord>, Query::PruneOf(run), PruneOf;
}
