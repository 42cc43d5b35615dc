//! Knows at a glance that `oncely run` has nothing to do: no task file has changed and no run has
//! come since the last time that this was found by looking at each.

use super::marks;
use super::name::release_id;
use super::releases;
use crate::adopt;
use crate::failure::Failure;
use crate::house::House;
use crate::project::{self, TaskFile};
use oncely_core::ids::ContentHash;
use oncely_core::ledger::{Filter, Op, Unit};
use oncely_core::source::Cursor;
use oncely_engine::Ask;

/// How many tasks are done, if that can be seen without reading them and nothing is left.
pub(super) async fn nothing_left(
    house: &House,
    release: Option<&str>,
) -> Result<Option<usize>, Failure> {
    let files = project::files(&house.config)?;
    let release = release_id(release, &house.config);
    if let Some(done) = known(house, &files, &release).await? {
        releases::record(house, &release).await?;
        return Ok(Some(done));
    }
    let done = marks::nothing_new(house, &files, &release).await?;
    if let Some(done) = done {
        releases::record(house, &release).await?;
        remember(house, &files, &release, done).await?;
    }
    Ok(done.map(|done| done.tasks))
}

/// What is done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Done {
    /// So many tasks.
    pub(super) tasks: usize,
    /// Some of them at this release only, and once more at the next.
    pub(super) at_this_release: bool,
}

/// How many tasks are done, if everything looks as it did when that was counted.
async fn known(house: &House, files: &[TaskFile], release: &str) -> Result<Option<usize>, Failure> {
    let Some(Cursor(kept)) = Ask(house.ledger()).cursor(name(house)).await? else {
        return Ok(None);
    };
    let Some((looks, done)) = kept.rsplit_once(' ') else {
        return Ok(None);
    };
    let appearance = appearance(house, files).await?;
    let same = looks == appearance || looks == at(&appearance, release);
    Ok(done.parse().ok().filter(|_| same))
}

/// Remembers what everything looks like, now that nothing is left to do.
async fn remember(
    house: &House,
    files: &[TaskFile],
    release: &str,
    done: Done,
) -> Result<(), Failure> {
    let mut looks = appearance(house, files).await?;
    if done.at_this_release {
        looks = at(&looks, release);
    }
    let text = format!("{looks} {}", done.tasks);
    let ops = vec![Op::Cursor(name(house), Cursor(text))];
    let guards = Vec::new();
    house.ledger().commit(vec![Unit { guards, ops }]).await?;
    Ok(())
}

/// What is found at one release only.
fn at(looks: &str, release: &str) -> String {
    format!("{looks} {}", ContentHash::of(release.as_bytes()))
}

/// What is remembered without the rows of `mirror = true` says nothing about them.
fn name(house: &House) -> String {
    let environment = &house.config.environment.value;
    match adopt::mirrors(&house.config) {
        true => format!("{environment}/release+mirror"),
        false => format!("{environment}/release"),
    }
}

/// The task files as the file system shows them, and the newest run: a rerun of a task is a new run.
async fn appearance(house: &House, files: &[TaskFile]) -> Result<String, Failure> {
    let filter = Filter {
        limit: 1,
        ..Filter::default()
    };
    let newest = Ask(house.ledger()).runs(filter).await?;
    let newest = newest.first().map_or(0, |row| row.id.0);
    let mut looks = Vec::with_capacity(files.len() * 96);
    for file in files {
        let (size, modified, number) = file.stat;
        looks.extend_from_slice(file.path.as_bytes());
        looks.extend_from_slice(&[0, u8::from(file.executable)]);
        looks.extend_from_slice(&size.to_le_bytes());
        looks.extend_from_slice(&modified.to_le_bytes());
        looks.extend_from_slice(&number.to_le_bytes());
    }
    Ok(format!("{} {newest}", ContentHash::of(&looks)))
}
