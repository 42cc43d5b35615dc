//! `on.webhook`: requests that other programs send, and that are answered when the run that they
//! start is in the ledger.
//!
//! The gateway hands a request to [`Doors`]. What is proved and has a key waits there until the
//! task's [`Hook`], a source like every other, is polled: all that waits is admitted in one commit,
//! and the acknowledgement answers each.

mod door;
mod doors;
mod hook;
mod known;
mod verify;

pub use door::{Reply, Request};
pub use doors::{Doors, HookConfig, Secret};
pub use hook::Hook;
pub use known::known;
pub use verify::{Doubt, verify};
