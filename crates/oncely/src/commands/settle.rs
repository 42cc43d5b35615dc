//! `oncely settle RUN [STEP] done|not-done|probe`: what became of an attempt that nobody knows about.

use super::drive;
use super::people::{go_on, people, say_why, who};
use crate::cli::Settle;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, count};
use oncely_core::fact::{BY_PROBE, Fact, ItemsBecame, Settlement};
use oncely_core::ids::{RunId, StepId};
use oncely_core::round::Named;
use oncely_engine::{Ask, Items, ItemsSettled, People, listed};

/// What is said of the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Became {
    /// It happened.
    Done,
    /// It did not happen, and is to be done.
    NotDone,
    /// Somebody else knows.
    Probe,
}

impl Became {
    const WORDS: [(&'static str, Self); 3] = [
        ("done", Self::Done),
        ("not-done", Self::NotDone),
        ("probe", Self::Probe),
    ];

    /// The same, of items.
    fn of_items(self) -> ItemsBecame {
        match self {
            Self::Done => ItemsBecame::Happened,
            Self::NotDone => ItemsBecame::DidNotHappen,
            Self::Probe => ItemsBecame::LookUp,
        }
    }
}

pub(crate) fn run(voice: Voice, flags: &Flags, args: Settle) -> Result<Exit, Failure> {
    let (named, became) = said(&args)?;
    let house = House::open(flags, "oncely settle", false)?;
    house.block_on(async {
        let run = RunId(args.run);
        refuse_broken(&house, run).await?;
        let command = format!("settle {run} {}", typed(&args));
        say_why(&house, run, &args.reason, &command).await?;
        let (people, by) = (people(&house), who(args.by.clone()));
        if !args.item.is_empty() {
            let items = Items {
                which: &args.item,
                became: became.of_items(),
            };
            let settled = people.settle_items(run, named, items, &by, &args.reason);
            let ItemsSettled { step, items } = settled.await?;
            let (items, step_named) = (count(items, "item"), Named(&step));
            voice.say(match became {
                Became::Probe => {
                    format!("Asked to look {items} of step {step_named} of run {run} up.")
                }
                _ => format!("Settled {items} of step {step_named} of run {run}."),
            });
            let exit = go_on(voice, &house, run, args.detach).await?;
            if !args.detach {
                left(voice, &people, run, &step).await?;
            }
            return Ok(exit);
        }
        if became == Became::Probe {
            let before = Ask(house.ledger()).facts(run).await?.len();
            let step = people.look_up(run, named, &by, &args.reason).await?;
            voice.say(format!(
                "Asked to look step {} of run {run} up.",
                Named(&step)
            ));
            let exit = go_on(voice, &house, run, args.detach).await?;
            if !args.detach && !found(voice, &house, run, &step, before).await? {
                left(voice, &people, run, &step).await?;
            }
            return Ok(exit);
        }
        let happened = (became == Became::Done).then_some(serde_json::Value::Null);
        let step = people
            .settle(run, named, happened, &by, &args.reason)
            .await?;
        voice.say(format!("Settled step {} of run {run}.", Named(&step)));
        go_on(voice, &house, run, args.detach).await
    })
}

/// Of a run whose facts or whose event were changed or lost, nobody knows what there is to settle.
async fn refuse_broken(house: &House, run: RunId) -> Result<(), Failure> {
    let ask = Ask(house.ledger());
    if ask.broken(vec![run]).await?.is_empty() {
        return Ok(());
    }
    let row = ask.known(run).await?;
    Err(Failure::failed(format!(
        "run {run} cannot be settled: {}, and nothing was changed.\n        {}",
        drive::why_broken(&row),
        drive::ways_on_broken(&row)
    )))
}

/// The step that is named, and what became of it.
fn said(args: &Settle) -> Result<(Option<&str>, Became), Failure> {
    let (named, word) = match args.words.as_slice() {
        [word] => (None, word.as_str()),
        [step, word] => (Some(step.as_str()), word.as_str()),
        _ => (None, ""),
    };
    let run = args.run;
    let known = Became::WORDS.iter().find(|(known, _)| *known == word);
    let Some((_, became)) = known else {
        let step = named.unwrap_or(word);
        return Err(Failure::usage(format!(
            "say what became of it: `done`, `not-done`, or `probe` to look it up. Nothing was \
             changed.\n        oncely settle {run} {step} done|not-done|probe --reason \"…\""
        )));
    };
    if *became != Became::Probe && args.reason.trim().is_empty() {
        return Err(Failure::usage(format!(
            "say with --reason how you know. Nothing was changed.\n        oncely settle {run} {} \
             --reason \"…\"",
            typed(args)
        )));
    }
    Ok((named, *became))
}

/// What was typed, but for the reason.
fn typed(args: &Settle) -> String {
    let mut typed = args.words.join(" ");
    for item in &args.item {
        typed.push_str(&format!(" --item {item}"));
    }
    typed
}

/// Says of which items nobody knows still.
async fn left(voice: Voice, people: &People, run: RunId, step: &StepId) -> Result<(), Failure> {
    let left = people.items_in_doubt(run, step).await?;
    let step = Named(step);
    voice.record(&serde_json::json!({ "run": run, "in_doubt": left }));
    voice.say(match left.len() {
        0 => format!("       No item of step {step} is in doubt any more."),
        many => format!(
            "       {} of step {step} in doubt still: {}",
            count(many, "item"),
            listed(&left)
        ),
    });
    Ok(())
}

/// Says what the look-up of a step found; false where it was one of items.
async fn found(
    voice: Voice,
    house: &House,
    run: RunId,
    step: &StepId,
    before: usize,
) -> Result<bool, Failure> {
    let facts = Ask(house.ledger()).facts(run).await?;
    let found = facts
        .into_iter()
        .skip(before)
        .find_map(|recorded| match recorded.fact {
            Fact::Probed {
                step: of, answer, ..
            } if of == *step => Some(Some(format!("could not tell: {answer}"))),
            Fact::ItemsSettled { step: of, .. } if of == *step => Some(None),
            Fact::Settled {
                step: of,
                settlement,
                by,
                ..
            } if of == *step && by == BY_PROBE => Some(Some(match settlement {
                Settlement::Happened { .. } => "says that it happened".into(),
                Settlement::DidNotHappen => "says that it did not happen".into(),
            })),
            _ => None,
        });
    if let Some(Some(found)) = &found {
        voice.say(format!("       The look-up {found}."));
    }
    Ok(found.is_none_or(|found| found.is_some()))
}
