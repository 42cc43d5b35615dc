//! Task files: what they say, and how they are read.

mod model;

pub use model::*;
