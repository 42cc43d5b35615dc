//! Questions to a ledger, each with the answer that belongs to it.

use oncely_core::fact::Recorded;
use oncely_core::ids::{ContentHash, Environment, HolderId, RunId, StepId};
use oncely_core::items::{Progress, SetAside};
use oncely_core::ledger::{
    Answer, Begun, FileMark, Filter, HolderInfo, ItemFact, Ledger, LedgerError, Query, RunRow,
};
use oncely_core::run::RunStatus;
use oncely_core::source::Cursor;
use oncely_core::time::Timestamp;
use std::sync::Arc;

/// Typed questions over [`Ledger::read`].
#[derive(Clone, Copy)]
pub struct Ask<'a>(pub &'a dyn Ledger);

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
}
