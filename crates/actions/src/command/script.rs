//! Scripts that a run is pinned to, kept by their content in a folder of oncely's own.

use crate::place;
use oncely_core::action::Failure;
use oncely_core::ids::ContentHash;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The file that holds this text, written once: the same text is the same file.
pub(crate) fn keep(folder: &Path, path: &str, text: &str) -> Result<PathBuf, Failure> {
    let hash = ContentHash::of(text.as_bytes()).to_string();
    let name = Path::new(path).file_name().unwrap_or_default();
    let own = folder.join(&hash);
    let kept = own.join(name);
    write(&own, &kept, text).map_err(|error| place::failed("keep the script", &kept, error))?;
    Ok(kept)
}

fn write(own: &Path, kept: &Path, text: &str) -> io::Result<()> {
    if fs::read(kept).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(own)?;
    let half = own.join(format!(".{}.half", std::process::id()));
    let _ = fs::remove_file(&half);
    let mut open = fs::OpenOptions::new();
    let mut file = open.write(true).create_new(true).mode(0o700).open(&half)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    drop(file);
    fs::rename(half, kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_script_is_written_once_and_only_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let keep = |text| keep(folder.path(), "tasks/20260101_x.sh", text).unwrap();
        let first = keep("#!/bin/sh\n");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&first), 0o700);
        assert_eq!(mode(first.parent().unwrap()), 0o700);
        assert_eq!(keep("#!/bin/sh\n"), first);
        assert_ne!(keep("#!/bin/sh\nexit 1\n"), first);
        assert!(first.ends_with("20260101_x.sh"));
    }

    #[test]
    fn a_damaged_copy_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = keep(folder.path(), "x.sh", "whole").unwrap();
        fs::write(&path, "ha").unwrap();
        keep(folder.path(), "x.sh", "whole").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "whole");
    }
}
