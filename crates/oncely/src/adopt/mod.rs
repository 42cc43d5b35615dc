//! `[adopt.rake]`: the files of the Ruby gem after_party as they are, and its table.

mod files;
mod recorded;
mod settings;

pub(crate) use files::{files, is_rake_file};
pub(crate) use recorded::{keep, look, refused};
pub(crate) use settings::{AdoptSection, Rake, USUAL, place};
