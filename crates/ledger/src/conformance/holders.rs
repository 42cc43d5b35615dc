//! Promises about processes: who holds what, and what becomes of it when they go away.

use super::stage::*;
use oncely_core::ids::Fence;
use oncely_core::ledger::{
    Answer, Change, Guard, HolderInfo, Leased, Ledger, LedgerError, Op, Query, UnitResult, What,
};
use oncely_core::run::RunStatus;
use oncely_core::time::{Clock, Timestamp};

async fn holders<L: Ledger>(ledger: &L) -> Vec<HolderInfo> {
    match ledger.read(Query::Holders).await.unwrap() {
        Answer::Holders(holders) => holders,
        other => panic!("{other:?}"),
    }
}

pub async fn what_the_dead_held_is_free_at_once(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    for key in ["k", "l", "m"] {
        admitted(&a, admit(key)).await;
    }
    let held = lease(&a, claim(9)).await;
    let waits = unit(
        vec![Guard::Fence(held[2].row.id, held[2].fence)],
        vec![stand(held[2].row.id, RunStatus::Waiting, None, true)],
    );
    let works = unit(
        vec![Guard::Fence(held[1].row.id, held[1].fence)],
        vec![stand(held[1].row.id, RunStatus::Running, None, true)],
    );
    apply(&a, waits).await;
    apply(&a, works).await;
    a.lease(What::Named("name".into()), claim(9)).await.unwrap();
    assert_eq!(b.renew().await.unwrap(), 0);
    stores.kill(a);
    assert_eq!(b.renew().await.unwrap(), 3);
    assert!(holders(&b).await.is_empty());
    let now = stores.clock().now();
    assert_eq!(row(&b, held[0].row.id).await.due, Some(Timestamp(0)));
    assert_eq!(
        row(&b, held[1].row.id).await.due,
        Some(now),
        "it was being worked on"
    );
    assert_eq!(
        row(&b, held[2].row.id).await.due,
        None,
        "it waited for an answer"
    );
    let again = b.lease(What::Named("name".into()), claim(9)).await.unwrap();
    assert_eq!(again, Leased::Named(Fence(2)));
    assert_eq!(b.renew().await.unwrap(), 0);
}

pub async fn a_lease_that_is_renewed_lasts(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    let run = admitted(&a, admit("k")).await;
    let fence = lease_one(&a, 9).await.fence;
    for _ in 0..40 {
        stores.clock().advance(1000);
        assert_eq!(a.renew().await.unwrap(), 0);
        assert_eq!(b.renew().await.unwrap(), 0);
    }
    apply(&a, unit(vec![Guard::Fence(run, fence)], vec![])).await;
}

pub async fn a_stopped_holder_loses_its_lease_and_starts_anew(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    admitted(&a, admit("k")).await;
    lease_one(&a, 9).await;
    let old = a.holder();
    stores.clock().advance(14_999);
    assert_eq!(b.renew().await.unwrap(), 0);
    stores.clock().advance(1);
    assert_eq!(b.renew().await.unwrap(), 1);
    let mut held = admission("l");
    held.claimed = true;
    let claimed = unit(vec![], vec![Op::Admit(held)]);
    assert_eq!(
        a.commit(vec![claimed.clone()]).await,
        Err(LedgerError::LeaseLost)
    );
    assert_eq!(
        a.lease(What::Runs, claim(9)).await,
        Err(LedgerError::LeaseLost)
    );
    apply(&a, admit("m")).await;
    assert_eq!(a.holder(), old);
    assert_eq!(a.renew().await, Err(LedgerError::LeaseLost));
    assert_ne!(a.holder(), old);
    assert_eq!(a.renew().await, Ok(0));
    assert!(matches!(one(&a, claimed).await, UnitResult::Applied(_)));
    assert_eq!(
        holders(&b).await.iter().map(|h| h.id).collect::<Vec<_>>(),
        [a.holder()]
    );
}

pub async fn a_clean_end_frees_everything(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    let run = admitted(&a, admit("k")).await;
    lease_one(&a, 9).await;
    a.lease(What::Named("name".into()), claim(9)).await.unwrap();
    drop(a);
    assert!(holders(&b).await.is_empty());
    assert_eq!(row(&b, run).await.holder, None);
    let name = b.read(Query::NameHolder("name".into())).await.unwrap();
    assert_eq!(name, Answer::NameHolder(None));
}

pub async fn who_only_reads_is_no_holder(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    let before = stores.export(&a);
    assert!(lease(&a, claim(9)).await.is_empty());
    assert_eq!(b.renew().await, Ok(0));
    assert!(holders(&a).await.is_empty());
    let run = admitted(&a, admit("k")).await;
    assert_eq!(row(&b, run).await.holder, None);
    assert!(holders(&b).await.is_empty());
    assert_ne!(stores.export(&a), before);
}

pub async fn who_wants_to_be_seen_is_a_holder_of_nothing(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    for _ in 0..2 {
        let present = a.lease(What::Present, claim(0)).await;
        assert_eq!(present, Ok(Leased::Runs(Vec::new())));
        let seen = holders(&b).await;
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(seen[0].id, a.holder());
    }
    drop(a);
    assert_eq!(b.renew().await, Ok(0));
    assert!(holders(&b).await.is_empty());
}

pub async fn a_watch_ends_when_something_changes(stores: &impl Stores) {
    let (a, b) = (stores.open(), stores.open());
    let seen = settle(&a).await;
    let (changed, _) = tokio::join!(a.watch(seen), apply(&a, admit("k")));
    assert_ne!(changed, seen, "its own change");
    let seen = settle(&a).await;
    let (changed, _) = tokio::join!(a.watch(seen), apply(&b, admit("l")));
    assert_ne!(changed, seen, "another handle's change");
}

/// The number of changes, once it has come to rest.
async fn settle<L: Ledger>(ledger: &L) -> Change {
    let mut seen = ledger.watch(Change(0)).await;
    loop {
        let next = ledger.watch(seen).await;
        if next == seen {
            return seen;
        }
        seen = next;
    }
}
