//! `oncely run`: every release task that has not been done in this environment, in order.

mod marks;
mod name;
mod quiet;
mod releasing;
mod turn;
mod wanted;

pub(crate) use name::release_id;
pub(crate) use releasing::{phase, run};
pub(crate) use wanted::{concerns, in_order, is_behind, named_release, newest, standing};
