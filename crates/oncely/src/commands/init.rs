//! `oncely init`: a project in a folder.

use crate::cli::Init;
use crate::config::{FILE, Flags};
use crate::failure::{Exit, Failure, io};
use crate::output::Voice;
use std::fs;
use std::path::{Path, PathBuf};

const CONFIG: &str = r#"# What oncely does in this project. `oncely doctor` prints every value and where it came from.

# Where things happen when neither --env nor ONCELY_ENV says otherwise.
environment = "development"

# Databases that `sql` steps may name, besides db = "ledger".
# [db.results]
# sqlite = "results.db"
# [db.shop]
# postgres = "env:DATABASE_URL"

# Private and loopback addresses that `http` steps may reach. All others are refused.
# [http]
# allow = ["127.0.0.1:8080", "10.0.0.0/8"]
"#;

const IGNORE: &str =
    "# What oncely keeps on this machine: its ledger, and copies of what runs read.\n/.oncely/\n";

pub(crate) fn run(voice: Voice, flags: &Flags, args: &Init) -> Result<Exit, Failure> {
    let folder = args.folder.clone().or_else(|| flags.project.clone());
    let folder = folder.unwrap_or_else(|| PathBuf::from("."));
    fs::create_dir_all(&folder).map_err(io(&folder))?;
    let mut made = Vec::new();
    write_new(&folder.join(FILE), CONFIG, &mut made)?;
    let tasks = folder.join("tasks");
    if !tasks.is_dir() {
        fs::create_dir_all(&tasks).map_err(io(&tasks))?;
        made.push("tasks/".to_owned());
    }
    ignore(&folder, &mut made)?;
    voice.record(&serde_json::json!({ "made": made }));
    if made.is_empty() {
        voice.say("This is a project already; nothing was changed.");
        return Ok(Exit::Done);
    }
    voice.say(format!("Made {}.", made.join(", ")));
    voice.say("Next: oncely new my_first_task -d \"What it does\"");
    Ok(Exit::Done)
}

fn write_new(path: &Path, text: &str, made: &mut Vec<String>) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    fs::write(path, text).map_err(io(path))?;
    made.push(
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    );
    Ok(())
}

/// The ledger is no part of a project's history.
fn ignore(folder: &Path, made: &mut Vec<String>) -> Result<(), Failure> {
    let path = folder.join(".gitignore");
    let before = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(io(&path)(error)),
    };
    if before
        .lines()
        .any(|line| line.trim().trim_matches('/') == ".oncely")
    {
        return Ok(());
    }
    let gap = if before.is_empty() || before.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    fs::write(&path, format!("{before}{gap}{IGNORE}")).map_err(io(&path))?;
    made.push(".gitignore".into());
    Ok(())
}
