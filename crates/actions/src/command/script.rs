//! Scripts that a run is pinned to, kept by their content in a folder of oncely's own.

use crate::{keep, place};
use oncely_core::action::Failure;
use oncely_core::ids::ContentHash;
use std::path::{Path, PathBuf};

/// The file that holds this text, written once: the same text is the same file.
pub(crate) fn keep(folder: &Path, path: &str, text: &str) -> Result<PathBuf, Failure> {
    let own = folder.join(ContentHash::of(text.as_bytes()).to_string());
    let name = Path::new(path).file_name().unwrap_or("script".as_ref());
    let kept = own.join(name);
    keep::keep(&own, name.as_ref(), text.as_bytes(), 0o700)
        .map_err(|error| place::failed("keep the script", &kept, error))?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
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
