//! SQLite files.

mod bind;
mod database;
mod error;
mod guard;
mod mark;
mod read;
mod rows;
mod source;
mod step;

pub(crate) use database::Pool;
pub(crate) use rows::Sink;
pub(crate) use source::{Source, holds};
pub(crate) use step::Step;
