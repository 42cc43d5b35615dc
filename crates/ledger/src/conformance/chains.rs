//! The chain of a run's facts: one that does not fit is never worked on.

use super::stage::{
    Stores, admit, admitted, apply, began, claim, environment, facts, lease, row, unit,
};
use oncely_core::Fut;
use oncely_core::chain::Chain;
use oncely_core::fact::{Fact, Request};
use oncely_core::ids::RunId;
use oncely_core::ledger::{Answer, Claim, Leased, Ledger, Query, RunRow, What};
use oncely_core::run::RunStatus;
use std::collections::BTreeSet;

/// Stores whose disk may lose something.
pub trait Loses: Stores {
    /// Loses the last facts of a run.
    fn lose_fact(&self, handle: &Self::Handle, run: RunId) -> Fut<'_, ()>;
}

async fn broken<L: Ledger>(ledger: &L, runs: &[RunId]) -> Vec<RunId> {
    match ledger.read(Query::Broken(runs.to_vec())).await.unwrap() {
        Answer::Broken(broken) => broken,
        other => panic!("{other:?}"),
    }
}

/// Two runs that have begun.
async fn two<L: Ledger>(ledger: &L) -> (RunId, RunId) {
    let one = admitted(ledger, admit("one")).await;
    let other = admitted(ledger, admit("other")).await;
    for id in [one, other] {
        apply(ledger, unit(vec![], vec![facts(id, 1, vec![began()])])).await;
    }
    (one, other)
}

pub async fn a_chain_moves_with_each_fact<S: Loses>(stores: &S) {
    let a = stores.open();
    let one = admitted(&a, admit("one")).await;
    let other = admitted(&a, admit("other")).await;
    let mut heads = vec![Chain::default().0];
    heads.push(row(&a, one).await.chain.0);
    heads.push(row(&a, other).await.chain.0);
    apply(&a, unit(vec![], vec![facts(one, 1, vec![began()])])).await;
    heads.push(row(&a, one).await.chain.0);
    assert_eq!(heads.iter().collect::<BTreeSet<_>>().len(), heads.len());
    // Nothing else moves it.
    let held = lease(&a, claim(9)).await;
    assert_eq!(held.len(), 2);
    assert_eq!(row(&a, one).await.chain.0, heads[3]);
    assert_eq!(broken(&a, &[one, other, RunId(99)]).await, []);
    assert!(stores.export(&a).contains(&Chain(heads[3]).to_string()));
}

pub async fn a_run_that_lost_a_fact_is_set_aside_and_its_neighbours_go_on<S: Loses>(stores: &S) {
    let a = stores.open();
    let (one, other) = two(&a).await;
    stores.lose_fact(&a, one).await;
    assert_eq!(broken(&a, &[one, other]).await, [one]);
    let held = lease(&a, claim(9)).await;
    let ids: Vec<RunId> = held.iter().map(|held| held.row.id).collect();
    assert_eq!(ids, [other]);
    let stands = row(&a, one).await;
    let RunRow {
        status,
        due,
        holder,
        ..
    } = stands;
    assert_eq!((status, due, holder), (RunStatus::Unknown, None, None));
    let asked = a.lease(What::Run(one), claim(9)).await.unwrap();
    assert_eq!(asked, Leased::Runs(vec![]));
    let next = a.read(Query::NextDue(environment())).await.unwrap();
    assert_eq!(next, Answer::NextDue(None));
}

pub async fn runs_that_lost_a_fact_keep_nobody_waiting<S: Loses>(stores: &S) {
    let a = stores.open();
    let (one, other) = two(&a).await;
    stores.lose_fact(&a, one).await;
    // It is all that is looked at, and set aside all the same.
    let first = || Claim {
        limit: 1,
        ..claim(9)
    };
    assert_eq!(lease(&a, first()).await, vec![]);
    assert_eq!(row(&a, one).await.status, RunStatus::Unknown);
    let held = lease(&a, first()).await;
    assert_eq!(held.first().map(|held| held.row.id), Some(other));
    // By its number, too.
    let third = admitted(&a, admit("third")).await;
    apply(&a, unit(vec![], vec![facts(third, 1, vec![began()])])).await;
    stores.lose_fact(&a, third).await;
    let asked = a.lease(What::Run(third), claim(9)).await.unwrap();
    assert_eq!(asked, Leased::Runs(vec![]));
    assert_eq!(row(&a, third).await.status, RunStatus::Unknown);
}

pub async fn what_is_added_to_a_broken_run_does_not_mend_it<S: Loses>(stores: &S) {
    let a = stores.open();
    let (one, other) = two(&a).await;
    stores.lose_fact(&a, one).await;
    let paused = Fact::Requested {
        what: Request::Pause,
        by: "ann".into(),
        reason: String::new(),
    };
    apply(&a, unit(vec![], vec![facts(one, 2, vec![paused])])).await;
    assert_eq!(row(&a, one).await.seq, 2);
    assert_eq!(broken(&a, &[other, one]).await, [one]);
    let held = lease(&a, claim(9)).await;
    assert_eq!(held.len(), 1);
}
