//! `oncely run`: every release task that has not been done in this environment, in order.

mod annotate;
mod asked;
mod carry;
mod detach;
mod marks;
mod mirror;
mod name;
mod older;
mod quiet;
mod releases;
mod releasing;
mod turn;
mod waiting;
mod wanted;

pub(crate) use carry::carry;
pub(crate) use name::release_id;
pub(crate) use releases::seen as releases_seen;
use releasing::first_run_of;
pub(crate) use releasing::{phase, run};
pub(crate) use turn::{Named, Turn};
pub(crate) use wanted::{
    Wanted, concerns, in_order, is_behind, is_done, is_in, named_release, newest, newest_in_order,
    standing,
};
