//! Who polls a source: one process at a time, and another when that one is gone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::*;
use oncely_core::Fut;
use oncely_core::source::{Batch, Cursor, Receipt, Room, Source, SourceError, Verdict};
use oncely_core::task::Existing;
use oncely_engine::{Pumped, pump};
use std::sync::{Arc, Mutex};
use tokio::task::JoinHandle;

promises! {
    one_process_polls_a_source_and_another_takes_over_when_it_is_let_go,
    another_process_takes_over_when_the_first_is_gone,
    what_each_process_has_to_itself_is_polled_by_each,
}

type Polls = Arc<Mutex<Vec<&'static str>>>;

/// Writes down who polled it, and always has more.
struct Watched {
    who: &'static str,
    polls: Polls,
}

impl Source for Watched {
    fn poll<'a>(
        &'a mut self,
        _: Option<&'a Cursor>,
        _: Room,
    ) -> Fut<'a, Result<Batch, SourceError>> {
        self.polls.lock().unwrap().push(self.who);
        let batch = Batch {
            more: true,
            ..Batch::default()
        };
        Box::pin(std::future::ready(Ok(batch)))
    }
    fn changed(&mut self) -> Fut<'_, ()> {
        Box::pin(std::future::ready(()))
    }
    fn acknowledge<'a>(
        &'a mut self,
        _: Vec<(Receipt, Verdict)>,
    ) -> Fut<'a, Result<(), SourceError>> {
        Box::pin(std::future::ready(Ok(())))
    }
    fn existing(&self) -> Option<Existing> {
        None
    }
}

fn pumping(
    process: &Process,
    who: &'static str,
    hold: Option<&str>,
    polls: &Polls,
) -> JoinHandle<()> {
    let polls = polls.clone();
    let pumped = Pumped {
        task: "t".into(),
        name: "watched".into(),
        hold: hold.map(str::to_owned),
        source: Box::new(Watched { who, polls }),
    };
    let engine = process.engine.clone();
    tokio::spawn(async move { pump(engine, pumped, Arc::new(|_| {})).await.unwrap() })
}

/// Waits until somebody has polled so often.
async fn polled(polls: &Polls, who: &str, times: usize) {
    while polls.lock().unwrap().iter().filter(|p| **p == who).count() < times {
        tokio::task::yield_now().await;
    }
}

/// Who polled, each time it became somebody else.
fn turns(polls: &Polls) -> Vec<&'static str> {
    let mut turns = polls.lock().unwrap().clone();
    turns.dedup();
    turns
}

const TASK: &str = "[[step]]\nid='a'\ncommand=['x']";
const NAME: Option<&str> = Some("source/watched");

async fn one_process_polls_a_source_and_another_takes_over_when_it_is_let_go(stage: Stage) {
    let kit = Kit::default();
    let polls = Polls::default();
    let one = stage.process(&[task(TASK)], &kit);
    let two = stage.process(&[task(TASK)], &kit);
    let first = pumping(&one, "one", NAME, &polls);
    polled(&polls, "one", 1).await;
    let second = pumping(&two, "two", NAME, &polls);
    polled(&polls, "one", 200).await;
    assert_eq!(turns(&polls), ["one"]);
    // The task's file went in the first process only.
    first.abort();
    polled(&polls, "two", 1).await;
    assert_eq!(turns(&polls), ["one", "two"]);
    two.engine.stopper().stop();
    second.await.unwrap();
}

async fn another_process_takes_over_when_the_first_is_gone(stage: Stage) {
    let kit = Kit::default();
    let polls = Polls::default();
    let one = stage.process(&[task(TASK)], &kit);
    let two = stage.process(&[task(TASK)], &kit);
    let first = pumping(&one, "one", NAME, &polls);
    polled(&polls, "one", 1).await;
    let second = pumping(&two, "two", NAME, &polls);
    one.engine.stopper().stop();
    first.await.unwrap();
    drop(one);
    polled(&polls, "two", 1).await;
    assert_eq!(turns(&polls), ["one", "two"]);
    two.engine.stopper().stop();
    second.await.unwrap();
}

async fn what_each_process_has_to_itself_is_polled_by_each(stage: Stage) {
    let kit = Kit::default();
    let polls = Polls::default();
    let one = stage.process(&[task(TASK)], &kit);
    let two = stage.process(&[task(TASK)], &kit);
    let pumps = [
        pumping(&one, "one", None, &polls),
        pumping(&two, "two", None, &polls),
    ];
    polled(&polls, "one", 20).await;
    polled(&polls, "two", 20).await;
    one.engine.stopper().stop();
    two.engine.stopper().stop();
    for pump in pumps {
        pump.await.unwrap();
    }
}
