//! A run as the fold of its facts. An illegal transition is an error, never a panic.

mod attempts;
mod decisions;
mod doubt;
mod fold;
mod lost;
mod rounds;
mod skips;
mod status;
mod step;

pub(crate) use doubt::repeat_is_harmless;
pub use fold::{Illegal, RunState};
pub use lost::Lost;
pub use rounds::RoundsDone;
pub use status::RunStatus;
pub use step::{Advice, Asked, ItemsAnswer, Stage, StepState};
