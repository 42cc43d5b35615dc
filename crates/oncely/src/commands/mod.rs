//! One file a command.

mod against;
pub(crate) mod baseline;
pub(crate) mod call;

pub(crate) mod check;
mod chosen;
pub(crate) mod completion;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod drive;
mod first_run;
mod front_door;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod ledger;
pub(crate) mod link;
pub(crate) mod logs;
pub(crate) mod model;
pub(crate) mod new;
pub(crate) mod people;
pub(crate) mod plan;
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod skip;
pub(crate) mod status;
mod terminal;
pub(crate) mod test;
mod tidy;
pub(crate) mod undo;
pub(crate) mod up_or_down;
mod watching;
pub(crate) mod why;
pub(crate) mod workers;
