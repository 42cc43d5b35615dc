//! A small disk of one's own: memory, mounted where nobody else sees it.

use crate::crash::Trouble;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Size of the disk.
const SIZE: &str = "16m";

/// Runs this program again with a small disk mounted on a folder.
///
/// # Errors
/// When it cannot be mounted, for which it takes root.
pub fn on_small_disk(folder: &Path, args: &[String]) -> Result<ExitCode, Trouble> {
    let script = format!(
        "mount -t tmpfs -o size={SIZE} small \"$FOLDER\" || exit 99\nexec \"$TRIAL\" \"$@\""
    );
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            &script,
            "sh",
        ])
        .args(args)
        .env("FOLDER", folder)
        // Memory is thrown away, and that is meant.
        .env("ONCELY_EPHEMERAL", "allow")
        .env("TRIAL", std::env::current_exe()?);
    let ended = command
        .status()
        .map_err(|e| Trouble(format!("unshare cannot be started: {e}")))?;
    match ended.code() {
        Some(99) | None => Err(Trouble(
            "a small disk could not be mounted: this needs root, and `unshare` and `mount`".into(),
        )),
        Some(code) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(2))),
    }
}
