//! The memory model keeps the promises that it is the measure of.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod stores;

oncely_ledger::conformance!(crate::stores::Memory::new());

/// The model as the trial watches it: what a store may hold after a crash is one of these.
#[test]
fn what_it_held_after_each_change_is_told_where_that_is_watched() {
    use oncely_core::ledger::Ledger;
    use oncely_ledger::conformance::Stores;
    use oncely_ledger::conformance::stage::{admit, admitted, run};
    let stores = stores::Memory::new();
    let a = stores.open();
    run(async {
        admitted(&a, admit("before")).await;
        assert_eq!(a.within(), Vec::<String>::new(), "nobody watches yet");
        a.watch();
        let units = ["one", "two"].map(admit);
        a.commit(units.to_vec()).await.unwrap();
        let held = a.within();
        assert_eq!(held.len(), 2, "{held:?}");
        assert!(held[0].contains("\"one\"") && !held[0].contains("\"two\""));
        assert_eq!(held[1], stores.export(&a));
        assert_eq!(a.within(), Vec::<String>::new(), "told once");
    });
}
