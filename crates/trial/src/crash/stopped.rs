//! A server that is stopped beyond its lease, another one that takes over its work, and the first
//! one waking up as if no time had passed: what fences and guarded marks are for.

use super::evidence;
use super::play::Play;
use super::server::Server;
use super::trouble::Trouble;
use oncely_core::ids::{Fence, RunId};
use oncely_core::ledger::Filter;
use oncely_core::run::RunStatus;
use std::path::Path;
use std::time::{Duration, Instant};

/// Records of the file that is being worked on.
const RECORDS: u64 = 12_000;
/// Records of a file that is to be stopped between two ranges: enough for many tries.
const MANY_RECORDS: u64 = 60_000;
/// Items of the batches that are.
const ITEMS: u64 = 150;
/// Longest wait for the first server to be in the middle.
const MIDDLE: Duration = Duration::from_secs(4);
/// Longest wait for the second one to take over.
const TAKE_OVER: Duration = Duration::from_secs(8);
/// Tries to stop a server outside a transaction: one that is stopped inside keeps everybody out.
const TRIES: u32 = 100;
/// How often others are looked at.
const LOOK: Duration = Duration::from_millis(3);

/// One round with a stopped server; counts as two kills.
pub(super) async fn round(play: &mut Play<'_>) -> Result<(), Trouble> {
    let mut first = Server::start(&play.oncely)?;
    first.serving()?;
    // A server that sees a file arrive need not wait for it to settle.
    let odd = play.dice.between(0, 1);
    let aimed = play.aims();
    let records = if aimed { MANY_RECORDS } else { RECORDS };
    play.feed.drop_file("slow", records + odd)?;
    let file = play
        .feed
        .sent
        .last()
        .map(|s| s.id.clone())
        .unwrap_or_default();
    play.feed.offer_batch("batch", ITEMS).await?;
    play.feed.offer_batch("mails", ITEMS).await?;
    in_the_middle(play, &file)?;
    let aim = aimed.then_some(file.as_str());
    let outside = halt_outside(play, &first, aim).await?;
    let held = match aim {
        Some(file) => of_file(play, file).await?.into_iter().collect(),
        None => running(play).await?,
    };
    let mut second = Server::start(&play.oncely)?;
    if outside {
        second.serving()?;
        if taken_over(play, &held).await? {
            play.report.stopped += 1;
        }
        play.wait(0, 150);
    }
    first.wake();
    // So long that a busy machine lets it write what it has in its hands.
    play.wait(400, 1_200);
    play.kill(second).await?;
    play.wait(2, 100);
    play.kill(first).await
}

/// Waits until rows of the file are committed.
fn in_the_middle(play: &Play<'_>, file: &str) -> Result<(), Trouble> {
    let results = evidence::look(&play.stage.results())?;
    let mut statement = results.prepare("select 1 from rows where object = ?1 limit 1")?;
    let deadline = Instant::now() + MIDDLE;
    while !statement.exists([file])? && Instant::now() < deadline {
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Stops a server at a moment when it is inside no transaction; false when there was none. Where it
/// is aimed at a file, the next thing that the server does to it is to write a range: what was
/// written and not told shows nothing of the mark's guard.
async fn halt_outside(
    play: &mut Play<'_>,
    server: &Server,
    aim: Option<&str>,
) -> Result<bool, Trouble> {
    let (results, ledger) = (play.stage.results(), play.stage.ledger());
    for _ in 0..TRIES {
        server.halt();
        std::thread::sleep(Duration::from_millis(1));
        let free = is_free(&results)? && is_free(&ledger)?;
        let there = match aim {
            Some(file) => free && is_between_ranges(play, file).await?,
            None => free,
        };
        if there {
            return Ok(true);
        }
        server.wake();
        play.wait(1, 4);
    }
    Ok(false)
}

/// Whether the ledger knows of every range of a file that is written, and some are left.
async fn is_between_ranges(play: &Play<'_>, file: &str) -> Result<bool, Trouble> {
    let Some((run, _)) = of_file(play, file).await? else {
        return Ok(false);
    };
    let marks = play.marks()?;
    let Some((_, step, next)) = marks.into_iter().find(|(of, ..)| *of == run) else {
        return Ok(false);
    };
    let told = play.feed.ask().progress(run, step).await?;
    Ok(told.unwrap_or_default().next == next && next < MANY_RECORDS)
}

/// The run that works on a file, and its claim.
async fn of_file(play: &Play<'_>, file: &str) -> Result<Option<(RunId, Fence)>, Trouble> {
    let filter = Filter {
        task: Some("slow".into()),
        status: vec![RunStatus::Running],
        ..Filter::default()
    };
    let name = format!("\"{file}\"");
    let runs = play.feed.ask().runs(filter).await?;
    let found = runs.into_iter().find(|run| run.event.contains(&name));
    Ok(found.map(|run| (run.id, run.fence)))
}

/// Whether a transaction could be begun at once.
fn is_free(path: &Path) -> Result<bool, Trouble> {
    let database = rusqlite::Connection::open(path)?;
    database.busy_timeout(Duration::ZERO)?;
    Ok(database.execute_batch("begin immediate; rollback").is_ok())
}

async fn running(play: &Play<'_>) -> Result<Vec<(RunId, Fence)>, Trouble> {
    let filter = Filter {
        status: vec![RunStatus::Running],
        ..Filter::default()
    };
    let runs = play.feed.ask().runs(filter).await?;
    Ok(runs.into_iter().map(|run| (run.id, run.fence)).collect())
}

/// Waits until one of these runs has another claim.
async fn taken_over(play: &Play<'_>, held: &[(RunId, Fence)]) -> Result<bool, Trouble> {
    let deadline = Instant::now() + TAKE_OVER;
    while Instant::now() < deadline {
        let now = running(play).await?;
        let taken = |(run, fence): &(RunId, Fence)| held.iter().any(|(r, f)| r == run && fence > f);
        if now.iter().any(taken) {
            return Ok(true);
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(false)
}
