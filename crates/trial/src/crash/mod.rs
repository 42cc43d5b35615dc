//! The crash test: real servers, really killed, while files and events flow through every kind of
//! step. What is counted afterwards is counted by [`crate::check`], which shares no code with the
//! ledger.

mod endpoint;
mod evidence;
mod feed;
mod play;
mod server;
mod stage;
mod stopped;
mod trouble;

pub(crate) use evidence::look;
pub use play::{Crash, Report, run};
pub(crate) use server::{Oncely, Server};
pub use trouble::Trouble;
