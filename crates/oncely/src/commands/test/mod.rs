//! `oncely test TASK`: a task with its effects caught, shown and answered.

mod cancels;
mod command;
mod event;
mod expect;
mod hints;
mod play;
mod transcript;

pub(crate) use command::run;
