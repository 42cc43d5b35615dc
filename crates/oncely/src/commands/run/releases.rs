//! Which releases this environment has seen: recorded when each is first seen.

use super::name::UNKNOWN;
use crate::failure::Failure;
use crate::house::House;
use oncely_core::ledger::{Guard, Op, Unit};
use oncely_core::time::Clock;
use oncely_engine::Ask;
use oncely_sources::Releases;

/// The releases that this environment has seen.
pub(crate) async fn seen(house: &House) -> Result<Releases, Failure> {
    let name = Releases::source(&house.config.environment.value);
    let kept = Ask(house.ledger()).cursor(name).await?;
    Ok(Releases::read(kept.as_ref()))
}

/// Records a release that was not seen before. One that nobody named is none.
pub(super) async fn record(house: &House, id: &str) -> Result<(), Failure> {
    while id != UNKNOWN && !seen(house).await?.has(id) {
        add(house, id).await?;
    }
    Ok(())
}

/// Adds a release, unless another process moves the record meanwhile.
async fn add(house: &House, id: &str) -> Result<(), Failure> {
    let name = Releases::source(&house.config.environment.value);
    let kept = Ask(house.ledger()).cursor(name.clone()).await?;
    let mut releases = Releases::read(kept.as_ref());
    releases.add(id, house.clock.now());
    let unit = Unit {
        guards: vec![Guard::Cursor(name.clone(), kept)],
        ops: vec![Op::Cursor(name, releases.cursor())],
    };
    house.ledger().commit(vec![unit]).await?;
    Ok(())
}
