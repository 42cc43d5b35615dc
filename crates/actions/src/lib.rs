//! What a step does: one file an action.
//!
//! An action declares whether a call may be repeated, performs it, and says in words for people
//! how it went. It never sees the ledger: an intent is committed before it is called, and what it
//! gives is recorded after. Options arrive rendered and checked; secrets arrive as names and are
//! revealed at the last moment.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)
)]

mod call;
mod caught;
mod command;
mod email;
mod excerpt;
mod http;
mod keep;
mod options;
mod place;
mod predict;
mod put;
mod secret;
mod slack;
mod sql;
mod tell;

pub use call::CallTask;
pub use caught::{Catching, Caught, Given};
pub use command::{Command, CommandConfig, Supervisor, supervisor_main};
pub use email::{Email, EmailConfig, MailServer, Tls};
pub use http::{Allowed, Http, HttpConfig};
pub use predict::{Predict, PredictConfig};
pub use put::{Put, PutConfig};
pub use secret::{NoSecrets, Secrets};
pub use slack::{Slack, SlackApi, SlackConfig};
pub use sql::{Database, MARKS, Sql, SqlConfig};
pub use tell::{Links, Tell};
