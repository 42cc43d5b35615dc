//! Answers questions.

use super::claim::info;
use super::prune;
use super::state::State;
use oncely_core::fact::Fact;
use oncely_core::ids::{Environment, Generation, RunId};
use oncely_core::ledger::{Answer, Begun, Filter, Query, RunRow};
use oncely_core::run::RunStatus;
use std::collections::BTreeMap;

/// Answers a question.
pub(crate) fn answer(state: &State, query: &Query) -> Answer {
    match query {
        Query::Run(id) => Answer::Run(state.runs.get(id).map(|run| run.row.clone())),
        Query::Runs(filter) => Answer::Runs(runs(state, filter)),
        Query::Newest(environment) => Answer::Runs(newest(state, environment)),
        Query::Facts(id, from) => Answer::Facts(facts(state, *id, *from)),
        Query::Began(runs) => {
            Answer::Began(runs.iter().filter_map(|id| began(state, *id)).collect())
        }
        Query::Broken(runs) => {
            let broken = |id: &&RunId| state.runs.get(id).is_some_and(|run| !run.is_intact());
            Answer::Broken(runs.iter().filter(broken).copied().collect())
        }
        Query::Stored(hash) => Answer::Stored(state.store.get(hash).cloned()),
        Query::Progress(run, step) => {
            Answer::Progress(state.progress.get(&(*run, step.clone())).cloned())
        }
        Query::SetAside(run, from, limit) => set_aside(state, *run, *from, *limit),
        Query::ItemFacts(run, step, range) => {
            let all = state.item_facts.get(&(*run, step.clone()));
            let of_range = all.into_iter().flatten();
            let mut facts: Vec<_> = of_range
                .filter(|fact| range.contains(&fact.item))
                .cloned()
                .collect();
            facts.sort_by_key(|fact| fact.item);
            Answer::ItemFacts(facts)
        }
        Query::Cursor(source) => Answer::Cursor(state.cursors.get(source).cloned()),
        Query::Counts(environment) => Answer::Counts(counts(state, environment)),
        Query::NextDue(environment) => Answer::NextDue(
            of(state, environment)
                .filter(|row| row.holder.is_none())
                .filter_map(|row| row.due)
                .min(),
        ),
        Query::Files => Answer::Files(state.files.values().cloned().collect()),
        Query::Holders => {
            let all = state.holders.values();
            Answer::Holders(all.map(|holder| holder.info.clone()).collect())
        }
        Query::NameHolder(name) => {
            let holder = state.names.get(name).and_then(|n| n.holder);
            Answer::NameHolder(holder.map(|id| info(state, id)))
        }
        Query::Prunes(most) => Answer::Prunes(prune::newest_prunes(state, *most)),
        Query::Admitted(environment, task, key) => {
            let of = |n| {
                (
                    environment.clone(),
                    task.clone(),
                    key.clone(),
                    Generation(n),
                )
            };
            let all = state.keys.range(of(0)..=of(u32::MAX));
            Answer::Admitted(all.map(|(_, run)| *run).collect())
        }
        Query::Children(run) => {
            let rows = state.runs.values().map(|run| &run.row);
            Answer::Runs(
                rows.filter(|row| row.parent == Some(*run))
                    .cloned()
                    .collect(),
            )
        }
        Query::PruneOf(run) => Answer::PruneOf(prune::prune_of(state, *run)),
        Query::Names => {
            let held = state.names.iter();
            Answer::Names(
                held.filter_map(|(name, by)| Some((name.clone(), by.holder?)))
                    .collect(),
            )
        }
    }
}

fn of<'a>(state: &'a State, environment: &'a Environment) -> impl Iterator<Item = &'a RunRow> {
    let rows = state.runs.values().map(|run| &run.row);
    rows.filter(move |row| row.environment == *environment)
}

fn runs(state: &State, filter: &Filter) -> Vec<RunRow> {
    let limit = match filter.limit {
        0 => Filter::MOST,
        limit => limit.min(Filter::MOST),
    };
    let newest_first = state.runs.values().rev().map(|run| &run.row);
    newest_first
        .filter(|row| matches(row, filter))
        .take(limit)
        .cloned()
        .collect()
}

fn matches(row: &RunRow, filter: &Filter) -> bool {
    filter
        .environment
        .as_ref()
        .is_none_or(|e| *e == row.environment)
        && filter.holder.is_none_or(|h| row.holder == Some(h))
        && filter.task.as_ref().is_none_or(|t| *t == row.task)
        && filter.key.as_ref().is_none_or(|k| *k == row.key)
        && (filter.status.is_empty() || filter.status.contains(&row.status))
        && filter.before.is_none_or(|before| row.id < before)
}

fn newest(state: &State, environment: &Environment) -> Vec<RunRow> {
    let rows = of(state, environment).map(|row| (row.task.clone(), row.clone()));
    rows.collect::<BTreeMap<_, _>>().into_values().collect()
}

fn facts(state: &State, id: RunId, from: u64) -> Vec<oncely_core::fact::Recorded> {
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let all = state.runs.get(&id).into_iter().flat_map(|run| &run.facts);
    all.skip(from).cloned().collect()
}

fn began(state: &State, run: RunId) -> Option<Begun> {
    let mut facts = state.runs.get(&run)?.facts.iter();
    facts.find_map(|recorded| match recorded.fact {
        Fact::Began { text, .. } => Some(Begun {
            run,
            at: recorded.at,
            text,
        }),
        _ => None,
    })
}

fn set_aside(state: &State, run: RunId, from: u64, limit: usize) -> Answer {
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let of_run = state.set_aside.iter().filter(|((id, _, _), _)| *id == run);
    let page = of_run.skip(from).take(limit);
    Answer::SetAside(
        page.map(|((_, step, _), item)| (step.clone(), item.clone()))
            .collect(),
    )
}

fn counts(state: &State, environment: &Environment) -> Vec<(RunStatus, u64)> {
    let mut counts = BTreeMap::new();
    for row in of(state, environment) {
        *counts.entry(row.status).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}
