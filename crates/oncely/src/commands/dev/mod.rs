//! `oncely dev`: a server for the machine of whoever writes tasks.

mod command;
mod folder;
mod questions;
mod saved;

pub(crate) use command::run;
