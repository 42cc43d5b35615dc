//! PostgreSQL databases.

mod cell;
mod database;
mod error;
mod look;
mod mark;
mod rows;
mod source;
mod step;

pub(crate) use database::Pool;
pub(crate) use look::holds;
pub(crate) use rows::Sink;
pub(crate) use source::Source;
pub(crate) use step::Step;
