//! Which `oncely serve` is at work in an environment: the one that holds its place there. Another one
//! takes the place when that one is gone.

use crate::failure::Failure;
use crate::house::House;
use oncely_core::ledger::{Claim, HolderInfo, LedgerError, What};
use oncely_core::time::Clock;
use oncely_engine::Ask;

fn place(house: &House) -> String {
    format!("serve/{}", house.config.environment.value)
}

/// The server at work here, if there is one.
pub(super) async fn alive(house: &House) -> Result<Option<HolderInfo>, LedgerError> {
    // What a killed server held is given back first.
    house.ledger().renew().await?;
    Ask(house.ledger()).name_holder(place(house)).await
}

/// Takes the place of the server at work here, where nobody has it; whether it is this process's.
pub(super) async fn attend(house: &House) -> Result<bool, LedgerError> {
    let ledger = house.ledger();
    if let Some(holder) = Ask(ledger).name_holder(place(house)).await? {
        return Ok(holder.id == ledger.holder());
    }
    let claim = Claim {
        environment: house.config.environment.value.clone(),
        now: house.clock.now(),
        limit: 1,
        caps: Vec::new(),
        except: Vec::new(),
        suspects: true,
    };
    ledger.lease(What::Named(place(house)), claim).await?;
    let holder = Ask(ledger).name_holder(place(house)).await?;
    Ok(holder.is_some_and(|holder| holder.id == ledger.holder()))
}

/// A process as people find it.
pub(super) fn named(holder: &HolderInfo) -> String {
    format!("process {} ({})", holder.pid, holder.role)
}

/// Who does what was left to a server.
pub(super) async fn who_does_it(house: &House) -> Result<String, Failure> {
    Ok(match alive(house).await? {
        Some(server) => format!("Left to {}.", named(&server)),
        None => format!(
            "No `oncely serve` is at work in {}: it goes on when one is.",
            house.config.environment.value
        ),
    })
}
