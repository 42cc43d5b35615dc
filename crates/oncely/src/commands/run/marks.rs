//! What task files looked like when they were last read, so that unchanged ones are not read again.

use super::mirror;
use super::quiet;
use super::wanted::{is_behind, newest};
use crate::adopt;
use crate::failure::Failure;
use crate::house::House;
use crate::project::{self, TaskFile};
use oncely_core::ledger::{FileMark, Op, Unit};
use oncely_engine::Ask;
use oncely_sources::release;
use std::collections::{BTreeMap, BTreeSet};

/// How many tasks are done, when every task file is as it was last read and nothing is left to do.
/// Unchanged files are known by their size, time and number, and are not read again.
pub(super) async fn nothing_new(
    house: &House,
    files: &[TaskFile],
    release: &str,
) -> Result<Option<quiet::Done>, Failure> {
    let kept = Ask(house.ledger()).files().await?;
    let marks: BTreeMap<&str, &FileMark> = kept.iter().map(|m| (m.path.as_str(), m)).collect();
    if !gone(&marks, files).is_empty() {
        return Ok(None);
    }
    let rows = newest(house, &house.config.environment.value).await?;
    if adopt::mirrors(&house.config) && !mirror::is_complete(house, &rows).await? {
        return Ok(None);
    }
    let mut done = quiet::Done::default();
    for file in files {
        let unchanged = marks
            .get(file.path.as_str())
            .filter(|mark| mark.stat == file.stat);
        let Some(mark) = unchanged else {
            return Ok(None);
        };
        if project::version_of(&file.path).is_none() {
            continue;
        }
        match rows.get(&mark.task) {
            Some(row) if is_behind(row.status) && release::answers(&row.key, release) => {
                done.tasks += 1;
                done.at_this_release |= !release::answers(&row.key, "");
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(done))
}

/// What is remembered of a file that is not there any more.
const GONE: (u64, i64, u64) = (0, 0, 0);

/// Files that were there when they were last looked at, and are not now.
fn gone<'m>(marks: &BTreeMap<&str, &'m FileMark>, files: &[TaskFile]) -> Vec<&'m FileMark> {
    let there: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let missing = |mark: &&&FileMark| mark.stat != GONE && !there.contains(mark.path.as_str());
    marks.values().filter(missing).copied().collect()
}

/// Remembers what the task files look like now.
pub(super) async fn remember(house: &House, mut marks: Vec<FileMark>) -> Result<(), Failure> {
    let kept = Ask(house.ledger()).files().await?;
    let kept: BTreeMap<&str, &FileMark> = kept.iter().map(|m| (m.path.as_str(), m)).collect();
    let gone = gone(&kept, &project::files(&house.config)?);
    marks.extend(gone.into_iter().map(|mark| FileMark {
        stat: GONE,
        ..mark.clone()
    }));
    let ops = vec![Op::Files(marks)];
    house
        .ledger()
        .commit(vec![Unit {
            guards: Vec::new(),
            ops,
        }])
        .await?;
    Ok(())
}
