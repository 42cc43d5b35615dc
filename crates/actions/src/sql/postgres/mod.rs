//! PostgreSQL databases.

mod cell;
mod database;
mod error;
mod mark;
mod rows;
mod step;

pub(crate) use database::Pool;
pub(crate) use rows::Sink;
pub(crate) use step::Step;
