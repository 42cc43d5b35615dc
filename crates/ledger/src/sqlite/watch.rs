//! Waiting for a change.

use oncely_core::ledger::Change;
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// How long a watch waits at most.
const AT_MOST: Duration = Duration::from_secs(1);

/// Ends when the count differs from `after`, or after a while.
pub(crate) async fn next_change(mut changes: Receiver<u64>, after: Change) -> Change {
    let differs = changes.wait_for(|now| *now != after.0);
    let waited = tokio::time::timeout(AT_MOST, differs).await;
    match waited {
        Ok(Ok(now)) => Change(*now),
        Ok(Err(_)) | Err(_) => after,
    }
}
