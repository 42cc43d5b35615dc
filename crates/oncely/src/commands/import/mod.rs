//! `oncely import`: what another tool has recorded as done is known as done here too. The other
//! tool's table is only read.

mod command;
mod sorted;
mod tell;

pub(crate) use command::run;
