//! `[adopt.rake]`: the files of the Ruby gem after_party as they are, and its table.

mod files;
mod mirror;
mod mirrored;
mod recorded;
mod settings;

pub(crate) use files::{files, is_rake_file};
pub(crate) use mirror::WithMirror;
pub(crate) use mirrored::{
    MIRROR, catch_up, concerns as is_mirrored, is_on as mirrors, with_mirror,
};
pub(crate) use recorded::{keep, look, refused};
pub(crate) use settings::{AdoptSection, Rake, USUAL, place};
