//! Task files: what they say, and how they are read.
//!
//! A file is parsed into TOML with places, and walked by hand against the tables of [`actions`] and
//! [`fields`], so that every error names its place and a way out, and all are told at once.

mod across;
pub mod actions;
mod asks;
mod cancel;
mod catalogue;
mod confine;
mod diagnostic;
pub mod fields;
mod files;
mod hooks;
mod load;
mod messages;
mod model;
mod names;
mod options;
mod pace;
mod policy;
mod probes;
mod rake;
mod reader;
mod reference;
mod rounds;
mod rows;
mod schedule;
mod schema;
mod script;
mod steps;
mod top;
mod webhook;

pub use across::{Loaded, load_all};
pub use asks::Answerer;
pub use cancel::{CANCEL_ON, CancelOn};
pub use diagnostic::{Diagnostic, Problem};
pub use files::files_of;
pub use load::{is_task_file, load, read_text};
pub use model::*;
pub use pace::{Check, PACE, Pace, Rate, WHILE};
pub use policy::{POLICY, RETRY};
pub use probes::{PROBE, can_be_looked_up, lookup};
pub use rake::rake_name;
pub use reader::parse_duration;
pub use reference::reference;
pub use rounds::Rounds;
pub use schedule::Schedule;
pub use schema::json_schema;
pub use steps::READ;
pub use top::{KeyDoc, LIMITS, TOP, TRIGGERS};
pub use webhook::{Digest, Encoding, HOOKS, Plain, Style, VERIFY, Verify, WebhookTrigger};
