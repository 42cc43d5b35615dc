//! Which attempts the ledger tells of, and which of them are over.

use crate::crash::Trouble;
use oncely_core::fact::Fact;
use oncely_core::ids::RunId;
use oncely_core::ledger::{Filter, ItemEvent};
use oncely_core::run::RunStatus;
use oncely_engine::Ask;
use std::collections::BTreeSet;

/// Attempts by name: run, step, item and number.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) begun: BTreeSet<String>,
    pub(super) over: BTreeSet<String>,
}

/// Steps whose outcome is not of something that has happened: what they do is done in the commit that records
/// it, or is begun by it, or goes on.
const NOT_YET: [(&str, &str); 4] = [
    ("tally", "count"),
    ("chain", "next"),
    ("batch", "each"),
    ("mails", "each"),
];

/// Runs that have not ended.
pub(super) async fn unended(ask: Ask<'_>) -> Result<Vec<RunId>, Trouble> {
    let filter = Filter {
        status: vec![RunStatus::Pending, RunStatus::Running, RunStatus::Waiting],
        ..Filter::default()
    };
    let runs = ask.runs(filter).await?;
    Ok(runs.iter().map(|run| run.id).collect())
}

/// What is told of these runs.
pub(super) async fn told(ask: Ask<'_>, runs: &[RunId]) -> Result<Told, Trouble> {
    let mut told = Told::default();
    for run in runs {
        let task = ask.run(*run).await?.map(|row| row.task.to_string());
        let task = task.unwrap_or_default();
        for recorded in ask.facts(*run).await? {
            match recorded.fact {
                Fact::Intent { step, attempt, .. }
                    if !NOT_YET.contains(&(task.as_str(), step.as_str())) =>
                {
                    told.begun.insert(format!("{run} {task} {step} {attempt}"));
                }
                Fact::Outcome { step, attempt, .. } => {
                    told.over.insert(format!("{run} {task} {step} {attempt}"));
                }
                _ => {}
            }
        }
        if matches!(task.as_str(), "batch" | "mails") {
            told.items(ask, *run, &task).await?;
        }
    }
    Ok(told)
}

impl Told {
    async fn items(&mut self, ask: Ask<'_>, run: RunId, task: &str) -> Result<(), Trouble> {
        for fact in ask.item_facts(run, "each".into(), 0..u64::MAX >> 1).await? {
            let name = format!("{run} {task} item {} {}", fact.item, fact.attempt);
            match fact.what {
                ItemEvent::Intent { .. } => self.begun.insert(name),
                ItemEvent::Outcome { .. } => self.over.insert(name),
            };
        }
        Ok(())
    }

    /// Those that are not over.
    pub(super) fn open(&self) -> BTreeSet<String> {
        self.begun.difference(&self.over).cloned().collect()
    }
}
