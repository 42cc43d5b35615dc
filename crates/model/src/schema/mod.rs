//! The data schema of Amazon Machine Learning: which attributes there are, and of which type.
//!
//! `types` holds it, `file` reads it, `infer` derives it from data.

mod file;
mod infer;
mod types;

pub use types::{Attribute, Kind, Schema};
