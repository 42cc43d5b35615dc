//! `oncely dev`: a server for the machine of whoever writes tasks.

mod calls;
mod command;
mod folder;
mod questions;
mod saved;

pub(crate) use calls::{Handed, hand_over};
pub(crate) use command::run;
