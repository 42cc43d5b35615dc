//! All doors of a server, by their paths.

use super::door::{Complaints, Delivery, Door, Reply, Request};
use super::hook::Hook;
use oncely_core::limits;
use oncely_core::task::WebhookTrigger;
use oncely_core::time::Clock;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::mpsc;

/// Finds a secret by its name, at the moment it is needed.
pub type Secret = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What a hook is made of.
pub struct HookConfig {
    /// What the task says.
    pub trigger: WebhookTrigger,
    /// Where its secrets are.
    pub secret: Secret,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The doors that are open.
#[derive(Default)]
pub struct Doors {
    open: RwLock<HashMap<String, Arc<Door>>>,
}

impl Doors {
    /// Opens a task's door; it is open as long as the hook lives.
    #[must_use]
    pub fn open(self: &Arc<Self>, config: HookConfig) -> Hook {
        let (waiting, arriving) = mpsc::channel::<Delivery>(limits::HOOK_WAITING);
        let path = config.trigger.path.clone();
        let door = Arc::new(Door {
            trigger: config.trigger,
            secret: config.secret,
            clock: config.clock,
            waiting,
            complaints: Complaints::default(),
        });
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(path, Arc::clone(&door));
        Hook::new(Arc::clone(self), door, arriving)
    }

    /// Closes a door, unless another one was opened at its path meanwhile.
    pub(super) fn close(&self, door: &Arc<Door>) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let path = &door.trigger.path;
        if open.get(path).is_some_and(|now| Arc::ptr_eq(now, door)) {
            open.remove(path);
        }
    }

    /// Whether a task waits here.
    #[must_use]
    pub fn waits_at(&self, path: &str) -> bool {
        self.at(path).is_some()
    }

    fn at(&self, path: &str) -> Option<Arc<Door>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(path).cloned()
    }

    /// Takes a request in. What is answered as admitted is in the ledger.
    pub async fn take(&self, request: Request<'_>) -> Reply {
        match self.at(request.path) {
            Some(door) => door.take(request).await,
            None => Reply::Nowhere,
        }
    }
}
