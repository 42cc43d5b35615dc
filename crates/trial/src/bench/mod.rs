//! The measurements, each beside what it is measured against, with settings and machine.

mod events;
mod graphile;
mod keys;
mod machine;
mod measure;
mod memory;
mod pending;
mod prune;
mod records;
mod rig;
mod workers;

pub use measure::{Bound, Measured, say};

use crate::crash::Trouble;
use std::path::Path;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Records a second from file to committed row
    Records,
    /// Peak memory of the process tree for a large file
    Memory,
    /// Events a second from acceptance to done, in batches
    Events,
    /// Events a second, one a call from 64 callers
    Callers,
    /// Effects a second with a durable commit of their own, in turn with graphile-worker, which is
    /// installed with npm for it; on PostgreSQL, and not part of `all`
    Graphile,
    /// Events a second with 10,000 and with 10,000,000 keys, on both stores; not part of `all`
    Keys,
    /// Events a second of 1, 2, 4 and 8 workers; on PostgreSQL, and not part of `all`
    Workers,
    /// `oncely run` with nothing to do, and `oncely status`
    Run,
    /// Bytes on the disk of ten million keys whose runs were pruned; not part of `all`
    Prune,
    /// Everything that needs no network and little time
    All,
}

/// Where the ledger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Store {
    /// In a file
    Sqlite,
    /// In a PostgreSQL server that is started for it, on the disk of the working folder
    Postgres,
}

/// Measures.
///
/// # Errors
/// When a measurement cannot be made. A bound that does not hold is a result.
pub fn run(what: What, store: Store, binary: &Path) -> Result<Vec<Measured>, Trouble> {
    match what {
        What::Graphile => return Ok(vec![graphile::run()?]),
        What::Keys => return keys::run(),
        What::Prune => return Ok(vec![prune::run(store)?]),
        What::Workers => return Ok(vec![workers::run(binary)?]),
        _ => {}
    }
    let mut all = Vec::new();
    if store == Store::Postgres && !matches!(what, What::Events | What::Callers) {
        return Err(Trouble(
            "with a ledger in PostgreSQL only `events`, `callers` and `prune` are measured".into(),
        ));
    }
    let wanted = |this| what == this || what == What::All;
    if wanted(What::Records) {
        all.push(records::run()?);
    }
    if wanted(What::Events) {
        all.push(events::batched(store)?);
    }
    if wanted(What::Callers) {
        all.push(events::callers(store)?);
    }
    if wanted(What::Run) {
        all.extend(pending::run(binary)?);
    }
    if wanted(What::Memory) {
        all.push(memory::run(binary)?);
    }
    Ok(all)
}
