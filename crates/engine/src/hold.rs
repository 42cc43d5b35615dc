//! Who polls a source: one process at a time, where one is enough. Another takes over when that one is
//! gone. Two that do for a moment do no harm: keys and cursors see to that.

use crate::ask::Ask;
use crate::dispatch::Engine;
use oncely_core::ids::Fence;
use oncely_core::ledger::{Leased, LedgerError, Op, Unit, What};
use std::sync::Arc;

/// The name under which a source is held. It is given back when this goes.
pub(crate) struct Hold {
    engine: Arc<Engine>,
    name: String,
    fence: Option<Fence>,
}

impl Hold {
    pub(crate) fn new(engine: Arc<Engine>, name: String) -> Self {
        Self {
            engine,
            name,
            fence: None,
        }
    }

    /// Whether this process polls the source; takes that on where nobody does.
    pub(crate) async fn is_mine(&mut self) -> Result<bool, LedgerError> {
        let ledger = self.engine.ledger();
        if let Some(holder) = Ask(ledger).name_holder(self.name.clone()).await? {
            return Ok(holder.id == ledger.holder());
        }
        let what = What::Named(self.name.clone());
        let claim = self.engine.claim_of_name();
        self.fence = match ledger.lease(what, claim).await? {
            Leased::Named(fence) => Some(fence),
            Leased::Busy(_) | Leased::Runs(_) => None,
        };
        Ok(self.fence.is_some())
    }
}

impl Drop for Hold {
    /// A task whose file went, or changed, in this process only: others may still watch for it. What
    /// the end of the process leaves, the ledger gives back.
    fn drop(&mut self) {
        let (Some(fence), Ok(runtime)) = (self.fence.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let engine = Arc::clone(&self.engine);
        let ops = vec![Op::ReleaseName(std::mem::take(&mut self.name), fence)];
        let guards = Vec::new();
        runtime.spawn(async move { engine.ledger().commit(vec![Unit { guards, ops }]).await });
    }
}
