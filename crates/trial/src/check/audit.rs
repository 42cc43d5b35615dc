//! What the database wrote down by itself: claims with their fences, runs that were done, and intents
//! under a fence that was not the run's.

use super::evidence::{Audited, Evidence};
use super::promises::{Broken, Promise};

/// What is wrong with it.
pub(crate) fn broken(evidence: &Evidence) -> Vec<Broken> {
    let runs = evidence.audited.chunk_by(|a, b| a.run == b.run);
    runs.flat_map(|run| {
        late(run)
            .chain(fences(run))
            .chain(done(run))
            .collect::<Vec<_>>()
    })
    .collect()
}

fn late(run: &[Audited]) -> impl Iterator<Item = Broken> {
    run.iter().filter(|a| a.what == "late").map(|a| Broken {
        promise: Promise::OneHolder,
        what: format!(
            "run {}: an intent under claim {} while claim {} held it",
            a.run, a.fence, a.holder
        ),
    })
}

fn fences(run: &[Audited]) -> impl Iterator<Item = Broken> {
    let claims = run.iter().filter(|a| a.what == "claimed");
    let after = claims.clone().skip(1);
    let pairs = claims.zip(after);
    pairs
        .filter(|(before, after)| after.fence <= before.fence)
        .map(|(before, after)| Broken {
            promise: Promise::FencesRise,
            what: format!(
                "run {}: claim {} after claim {}",
                before.run, after.fence, before.fence
            ),
        })
}

fn done(run: &[Audited]) -> impl Iterator<Item = Broken> {
    let done = run.iter().filter(|a| a.what == "done");
    done.skip(1).map(|a| Broken {
        promise: Promise::DoneOnce,
        what: format!("run {} was done again under claim {}", a.run, a.fence),
    })
}
