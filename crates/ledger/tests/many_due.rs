//! What cannot be claimed hides nothing that stands behind it, however much there is of it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stores;

use oncely_ledger::conformance::stage::{admit, admitted, claim, in_lane, lease, run};
use oncely_ledger::conformance::{Server, Stores};
use stores::{Memory, Postgres, Sqlite};

/// More than any store looks at at once.
const WAITING: usize = 150;

async fn behind_a_lane(stores: &impl Stores) {
    let a = stores.open();
    let mut lane = Vec::new();
    for n in 0..WAITING {
        lane.push(admitted(&a, in_lane(&format!("turn {n}"), "lane")).await);
    }
    let free = admitted(&a, admit("free")).await;
    let mut two = claim(9);
    two.limit = 2;
    let held = lease(&a, two.clone()).await;
    let ids: Vec<_> = held.iter().map(|held| held.row.id).collect();
    assert_eq!(ids, [lane[0], free]);
    assert!(
        lease(&a, two).await.is_empty(),
        "the others wait for their turn"
    );
}

#[test]
fn runs_that_wait_for_their_turn_hide_no_other_in_any_store() {
    run(behind_a_lane(&Memory::new()));
    run(behind_a_lane(&Sqlite::new(false)));
    let server = Server::start(&[]);
    run(behind_a_lane(&Postgres::new(server.database())));
}
