//! Knows at a glance that `oncely run` has nothing to do: no task file has changed and no run has
//! come since the last time that this was found by looking at each.

use crate::failure::Failure;
use crate::house::House;
use crate::project::TaskFile;
use oncely_core::ids::ContentHash;
use oncely_core::ledger::{Filter, Op, Unit};
use oncely_core::source::Cursor;
use oncely_engine::Ask;

/// How many tasks are done, if everything looks as it did when that was counted.
pub(super) async fn known(house: &House, files: &[TaskFile]) -> Result<Option<usize>, Failure> {
    let Some(Cursor(kept)) = Ask(house.ledger()).cursor(name(house)).await? else {
        return Ok(None);
    };
    let Some((looks, done)) = kept.rsplit_once(' ') else {
        return Ok(None);
    };
    let same = looks == appearance(house, files).await?;
    Ok(done.parse().ok().filter(|_| same))
}

/// Remembers what everything looks like, now that nothing is left to do.
pub(super) async fn remember(
    house: &House,
    files: &[TaskFile],
    done: usize,
) -> Result<(), Failure> {
    let text = format!("{} {done}", appearance(house, files).await?);
    let ops = vec![Op::Cursor(name(house), Cursor(text))];
    let guards = Vec::new();
    house.ledger().commit(vec![Unit { guards, ops }]).await?;
    Ok(())
}

fn name(house: &House) -> String {
    format!("{}/release", house.config.environment.value)
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
