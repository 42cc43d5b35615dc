//! From the cells of a record to numbered features, the same way in training and in predicting.
//!
//! `program` makes tokens of texts, `block` holds what was learned of one expression and walks a
//! record, `fit` learns from a table, `store` writes and reads, `describe` puts features into words.

mod block;
mod describe;
mod fit;
mod program;
mod store;

pub(crate) use block::{Cells, Features, Tally};
pub(crate) use fit::{TableRow, places};
pub(crate) use program::Pool;
