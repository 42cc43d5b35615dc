//! Removes copies of what runs have read, once nobody needs them any more.

use crate::failure::{Failure, io};
use crate::house::House;
use oncely_core::Value;
use oncely_core::ledger::Filter;
use oncely_core::run::RunStatus;
use oncely_engine::Ask;
use oncely_sources::Spool;
use std::collections::BTreeSet;
use std::time::Duration;

/// Copies are kept at least so long, so that an ended run can be done once more.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Removes old copies that no run needs which may go on.
pub(super) async fn spool(house: &House) -> Result<(), Failure> {
    let folder = house.config.spool.value.clone();
    let needed = needed(house).await?;
    let removed = Spool::new(&folder)
        .tidy(&needed, KEPT)
        .map_err(io(&folder))?;
    if removed > 0 {
        tracing::info!("removed {removed} copies that no run needs any more");
    }
    Ok(())
}

/// Content that runs read which have not ended, or failed and may be resumed.
async fn needed(house: &House) -> Result<BTreeSet<String>, Failure> {
    let mut needed = BTreeSet::new();
    let mut before = None;
    loop {
        let filter = Filter {
            status: vec![
                RunStatus::Pending,
                RunStatus::Running,
                RunStatus::Waiting,
                RunStatus::Unknown,
                RunStatus::Failed,
            ],
            before,
            ..Filter::default()
        };
        let rows = Ask(house.ledger()).runs(filter).await?;
        let Some(last) = rows.last() else {
            return Ok(needed);
        };
        before = Some(last.id);
        for row in rows.iter().filter(|row| row.trigger == "object") {
            let event: Value = serde_json::from_str(&row.event).unwrap_or_default();
            needed.extend(event.get("hash").and_then(Value::as_str).map(str::to_owned));
        }
    }
}
