//! What fills the disk.

use crate::crash::Trouble;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A file that takes whatever is free.
pub(super) struct Ballast(PathBuf);

impl Ballast {
    pub(super) fn on(disk: &Path) -> Self {
        Self(disk.join("ballast"))
    }

    /// Leaves not one block.
    pub(super) fn fill(&self) -> Result<(), Trouble> {
        let mut file = File::options().create(true).append(true).open(&self.0)?;
        for bytes in [1024 * 1024, 4096, 1] {
            let block = vec![1_u8; bytes];
            while file.write_all(&block).is_ok() {}
        }
        Ok(())
    }

    pub(super) fn free(&self) -> Result<(), Trouble> {
        Ok(fs::remove_file(&self.0)?)
    }
}
