//! `oncely status --style after_party`: the table that `rake after_party:status` prints, to the byte,
//! for scripts that read it.

use super::run::{concerns, is_behind, standing};
use crate::adopt;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::Voice;
use crate::project;
use oncely_core::task::{Task, rake_name};
use oncely_sources::release::{self, Release};

const HEAD: &str = "Status   Task ID         Task Name";
const RULE: &str = "--------------------------------------------------";

pub(crate) fn run(voice: Voice, flags: &Flags) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely status", false)?;
    let loaded = project::load_clean(&house.config, voice.colour)?;
    // What is done at one release is not done for ever, so that its name does not matter.
    let release = Release {
        id: String::new(),
        environment: house.config.environment.value.clone(),
        phase: None,
    };
    let (rows, recorded) = house.block_on(async {
        let rows = standing(&house, &loaded.tasks, &release).await?;
        let recorded = adopt::look(&house, &loaded.tasks, &rows).await;
        Ok::<_, Failure>((rows, recorded.map_err(adopt::refused)?))
    })?;
    voice.say(HEAD);
    voice.say(RULE);
    let tasks = loaded.tasks.iter().map(|known| &*known.task);
    for (file, version, task) in in_order(tasks.filter(|t| concerns(t, &release.environment))) {
        let done = rows
            .get(&task.id)
            .is_some_and(|row| release::is_once(&row.key) && is_behind(row.status));
        let up = done || recorded.tasks.contains(&task.id);
        let name = name(file, version);
        voice.record(&serde_json::json!({ "version": version, "name": name, "up": up }));
        let state = if up { " up " } else { "down" };
        voice.say(format!(" {state}    {version}  {name}"));
    }
    Ok(Exit::Done)
}

/// Release tasks by the names of their files, as Ruby lists a folder.
fn in_order<'t>(tasks: impl Iterator<Item = &'t Task>) -> Vec<(&'t str, &'t str, &'t Task)> {
    let mut all: Vec<_> = tasks
        .filter_map(|task| {
            let file = task.path.rsplit('/').next()?;
            Some((file, release::version(task)?, task))
        })
        .collect();
    all.sort_by_key(|(file, ..)| *file);
    all
}

/// The name of a task as Rails makes it readable.
fn name(file: &str, version: &str) -> String {
    let stem = project::stem(file);
    let name = rake_name(file).map_or_else(
        || stem.strip_prefix(version).unwrap_or(stem),
        |(_, name)| name,
    );
    let name = name.trim_start_matches('_');
    let name = name.strip_suffix("_id").unwrap_or(name);
    let words = name.replace('_', " ").to_lowercase();
    let mut letters = words.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_read_as_rails_makes_them_read() {
        for (file, version, wanted) in [
            ("20200101000000_first.rake", "20200101000000", "First"),
            ("1_send_API_mails_id.rake", "1", "Send api mails"),
            ("1__Under_score.rake", "1", "Under score"),
            ("5_9lives.rake", "5", "9lives"),
            ("7_tell-the_shop.toml", "7", "Tell-the shop"),
            ("7.sh", "7", ""),
        ] {
            assert_eq!(name(file, version), wanted, "{file}");
        }
    }
}
