//! A small disk of one's own: memory, mounted where nobody else sees it.

use crate::crash::Trouble;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Size of the disk: its ledger has the largest reserve.
const SIZE: &str = "192m";

/// What the shell ends with when nothing was mounted.
const NOT_MOUNTED: i32 = 99;

/// Runs this program again with a small disk mounted on a folder.
///
/// # Errors
/// When it cannot be mounted: what that takes.
pub fn on_small_disk(folder: &Path, args: &[String]) -> Result<ExitCode, Trouble> {
    let script = format!(
        "mount -t tmpfs -o size={SIZE} small \"$FOLDER\" || exit {NOT_MOUNTED}\nexec \"$TRIAL\" \"$@\""
    );
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command
        .args(["--mount", "--propagation", "private"])
        .args(["sh", "-c", &script, "sh"])
        .args(args)
        .env("FOLDER", folder)
        .env("TRIAL", std::env::current_exe()?);
    let ended = command
        .status()
        .map_err(|e| Trouble(format!("`unshare` cannot be started: {e}")))?;
    // What `unshare` itself ends with is 1, which a trial that broke a promise ends with too.
    match ended.code() {
        Some(code) if code != NOT_MOUNTED => Ok(ExitCode::from(u8::try_from(code).unwrap_or(2))),
        _ => Err(Trouble(
            "a small disk could not be mounted: that takes `unshare` and `mount`, and root or a user \
             namespace in which one may mount. In a container, give it CAP_SYS_ADMIN."
                .into(),
        )),
    }
}
