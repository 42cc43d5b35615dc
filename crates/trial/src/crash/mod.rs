//! The crash test: real servers, really killed, while files and events flow through every kind of
//! step. What is counted afterwards is counted by [`crate::check`], which shares no code with the
//! ledger.

mod campaign;
mod endpoint;
mod evidence;
mod feed;
mod play;
mod server;
mod stage;
mod stopped;
mod trouble;

pub use campaign::{Campaign, campaign};
pub(crate) use endpoint::{Endpoint, now_ms};
pub(crate) use evidence::{collect, look};
pub(crate) use evidence::{files as files_in, lines as lines_in};
pub(crate) use feed::{data as data_of, known as known_task};
pub(crate) use play::summed;
pub use play::{Crash, Report, run};
pub(crate) use server::{Oncely, Server};
pub(crate) use stage::{Stage, write_tasks};
pub use trouble::Trouble;
