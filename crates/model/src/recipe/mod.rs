//! The recipe language of Amazon Machine Learning: which features are made of the attributes.
//!
//! `parse` reads one text such as `quantile_bin(age, 10)`, `expand` resolves names and groups,
//! `functions` checks what each function is given, `file` reads the three sections.

mod expand;
mod expr;
mod file;
mod functions;
mod parse;

pub use file::Recipe;

pub(crate) use expr::{Expr, Shape};
