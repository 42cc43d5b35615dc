//! Effects that are caught instead of done: for `oncely test` and `oncely dev`.

mod action;
mod answers;
mod cancelled;
mod clock;
mod registry;
mod reply;
mod rows;

pub(crate) use action::{Catcher, Effect};
pub(crate) use answers::{Answers, Says};
pub(crate) use clock::JumpClock;
pub(crate) use registry::{CatchRegistry, NoLinks, catching};
