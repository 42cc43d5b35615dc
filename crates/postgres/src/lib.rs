//! PostgreSQL servers, for all who speak to one: how they are reached, and how the statements of
//! tasks are read for them.
//!
//! The ledger, the `sql` action and the import each keep what they do there to themselves.

mod address;
mod anybody;
mod bound;
mod connect;
mod error;
mod send;
mod statement;

pub use address::{Address, AddressError, Login};
pub use bound::Bound;
pub use connect::{ConnectError, connect, unverified};
pub use error::{is_conflict, is_lost, is_untrusted, words};
pub use send::{AT_ONCE, begun_in_order, in_order};
pub use statement::{Part, parts};
