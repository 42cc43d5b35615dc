//! Front doors over HTTP: one listener, with the parts that are given to it.
//!
//! The gateway reads requests within its bounds and hands them on; it admits nothing by itself.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)
)]

mod answer;
mod answers;
mod hooks;
mod listen;
mod router;
mod turn_away;
mod whole;

pub use answer::Answer;
pub use answers::{ANSWER, Answers, Label, answers};
pub use hooks::hooks;
pub use listen::{Bounds, Gateway};
pub use router::{HEALTH, IsFull, router, router_with};
