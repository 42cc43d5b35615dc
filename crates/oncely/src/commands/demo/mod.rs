//! `oncely demo`: the product in one minute, on real data, with real processes and real kills.

mod play;
mod receiver;
mod stage;
mod worker;

pub(crate) use play::run;
