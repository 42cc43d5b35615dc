//! Which mechanism holds which promise, and which tests should turn red without it.

use oncely_core::sabotage::Switch;

/// A mechanism, the promise that it holds, and the tests that should turn red without it.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What is switched off.
    pub switch: Switch,
    /// What holds the promise.
    pub mechanism: &'static str,
    /// The promise.
    pub promise: &'static str,
    /// The tests, as nextest chooses them.
    pub filter: &'static str,
}

/// Every switch.
pub const TABLE: &[Row] = &[
    Row {
        switch: Switch::Intent,
        mechanism: "the intent is committed before the action is called",
        promise: "no effect without its committed intent",
        filter: "package(oncely-engine) & binary(doubt)",
    },
    Row {
        switch: Switch::Fence,
        mechanism: "a write of an older claim is refused",
        promise: "only the latest claim records",
        filter: "package(oncely-ledger) & (binary(sqlite) | binary(memory)) \
                 | package(oncely-ledger) & binary(postgres) & test(/claims/)",
    },
    Row {
        switch: Switch::Unique,
        mechanism: "a key has one run in each generation",
        promise: "admitted once",
        filter: "package(oncely-ledger) & (binary(sqlite) | binary(memory)) \
                 | package(oncely-ledger) & binary(postgres) & test(/admission/)",
    },
    Row {
        switch: Switch::Cursor,
        mechanism: "a cursor moves in the commit that admits",
        promise: "nothing is lost between a source and the ledger",
        filter: "package(oncely-engine) & test(/cursor/)",
    },
    Row {
        switch: Switch::Sync,
        mechanism: "a commit waits for the disk",
        promise: "what was said to be recorded is there after a power cut",
        filter: "package(oncely-ledger) & test(/waits_for_the_disk/) \
                 | package(oncely-trial) & test(/a_power_cut_loses_nothing/)",
    },
    Row {
        switch: Switch::Acknowledge,
        mechanism: "a source is told after the commit that admits",
        promise: "nothing that was acknowledged is lost",
        filter: "package(oncely-engine) & test(/is_told/)",
    },
    Row {
        switch: Switch::Checksum,
        mechanism: "a page is compared with its checksum as it is read",
        promise: "a page that is not what was written is never an answer",
        filter: "package(oncely-vfs) | package(oncely-ledger) & binary(damage)",
    },
    Row {
        switch: Switch::Margin,
        mechanism: "a holder stops before its lease is over for others",
        promise: "two holders never work on one run",
        filter: "package(oncely-ledger) & test(/stops_before/)",
    },
    Row {
        switch: Switch::Mark,
        mechanism: "a range of rows is written only where its mark stands",
        promise: "no row twice",
        filter: "package(oncely-actions) & binary(sql)",
    },
    Row {
        switch: Switch::Confine,
        mechanism: "templates stand only where data can be no code and no address",
        promise: "data never becomes code or address",
        filter: "package(oncely-core) & binary(task_files)",
    },
    Row {
        switch: Switch::Chain,
        mechanism: "a run's facts are compared with its chain",
        promise: "nothing is done of a run whose facts were changed or lost",
        filter: "package(oncely-ledger) & (binary(chains) | test(/chains::/))",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_has_its_row() {
        let rows: Vec<Switch> = TABLE.iter().map(|row| row.switch).collect();
        assert_eq!(rows, Switch::ALL);
    }
}
