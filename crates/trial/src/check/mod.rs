//! The checker: compares what was sent, what the other sides wrote down themselves, and the
//! ledger's export. It shares no code with the ledger, the engine or the core: JSON and counting.

mod attempts;
mod audit;
mod evidence;
mod export;
mod promises;
mod rules;
mod windows;

pub(crate) use attempts::{Attempt, Told, number, of as attempts_of, text};
pub use evidence::{Audited, Evidence, Line, Request, Row, Sent};
pub use export::Export;
pub(crate) use export::Run;
pub use promises::{Broken, Promise};
pub use rules::check;
pub(crate) use rules::late_items;
pub use windows::{Windows, windows};
