//! Releases that are left to a server: written down in the ledger, so that a server carries each of them
//! on in the same order and under the same turn as `oncely run` would, and another one after its end.

use crate::cli::{Chosen, OnBusy, PhaseArg, Run};
use crate::failure::Failure;
use crate::house::House;
use oncely_core::ids::Environment;
use oncely_core::ledger::{Guard, Op, Unit, UnitResult};
use oncely_core::limits;
use oncely_core::source::Cursor;
use oncely_engine::Ask;
use serde::{Deserialize, Serialize};

/// A release that somebody left to a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Which, from 1.
    #[serde(default)]
    pub(crate) number: u64,
    pub(crate) release: String,
    /// `before` or `after`, where it is one phase only.
    phase: Option<String>,
    keep_going: bool,
    only: Vec<String>,
    except: Vec<String>,
    tag: Vec<String>,
    pub(crate) by: String,
    /// Why it was given up, where it was.
    #[serde(default)]
    pub(crate) given_up: Option<String>,
}

/// Everything that is left to servers.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Book {
    /// The last number that was given.
    last: u64,
    open: Vec<Asked>,
    given_up: Vec<Asked>,
}

impl Asked {
    /// What a command line asks for.
    pub(crate) fn of(args: &Run, release: &str, by: &str) -> Self {
        let phase = args.phase.map(|phase| match phase {
            PhaseArg::Before => "before".to_owned(),
            PhaseArg::After => "after".to_owned(),
        });
        Self {
            number: 0,
            release: release.to_owned(),
            phase,
            keep_going: args.keep_going,
            only: args.chosen.only.clone(),
            except: args.chosen.except.clone(),
            tag: args.chosen.tag.clone(),
            by: by.to_owned(),
            given_up: None,
        }
    }

    /// The command line that does it. Whether old tasks are done was decided by who asked.
    pub(crate) fn args(&self) -> Run {
        Run {
            release: Some(self.release.clone()),
            phase: self.phase.as_deref().map(|phase| match phase {
                "before" => PhaseArg::Before,
                _ => PhaseArg::After,
            }),
            on_busy: OnBusy::Wait,
            dry_run: false,
            keep_going: self.keep_going,
            chosen: Chosen {
                only: self.only.clone(),
                except: self.except.clone(),
                tag: self.tag.clone(),
            },
            first_run: Some(crate::cli::FirstRun::All),
            reason: String::new(),
            strict_exit: false,
            format: None,
            detach: false,
            wait: None,
        }
    }

    fn asks_the_same(&self, other: &Self) -> bool {
        let plain = |asked: &Self| Self {
            number: 0,
            by: String::new(),
            ..asked.clone()
        };
        plain(self) == plain(other)
    }
}

/// Leaves a release to a server. Asking twice for the same is asking once.
pub(super) async fn ask(house: &House, new: &Asked) -> Result<u64, Failure> {
    let mut number = 0;
    change(house, |book| {
        if let Some(open) = book.open.iter().find(|open| open.asks_the_same(new)) {
            number = open.number;
            return Ok(());
        }
        if book.open.len() >= limits::RELEASES_ASKED {
            let most = limits::RELEASES_ASKED;
            return Err(Failure::failed(format!(
                "{most} releases are left to servers already. Nothing was admitted. See what they \
                 wait for: oncely status"
            )));
        }
        book.last += 1;
        number = book.last;
        book.open.push(Asked {
            number,
            ..new.clone()
        });
        Ok(())
    })
    .await?;
    Ok(number)
}

/// The releases that are left to servers, the first one first.
pub(super) async fn open(house: &House) -> Result<Vec<Asked>, Failure> {
    Ok(read(house).await?.1.open)
}

/// How a release stands that was left to a server.
pub(super) enum Standing {
    Open,
    Ended,
    /// And why.
    GivenUp(String),
}

pub(super) async fn standing(house: &House, number: u64) -> Result<Standing, Failure> {
    let (_, book) = read(house).await?;
    let same = |asked: &&Asked| asked.number == number;
    if book.open.iter().any(|asked| asked.number == number) {
        return Ok(Standing::Open);
    }
    let given_up = book.given_up.iter().find(same);
    let why = given_up.and_then(|asked| asked.given_up.clone());
    Ok(why.map_or(Standing::Ended, Standing::GivenUp))
}

/// Ends a release that was left to a server: all is done, or it cannot be.
pub(super) async fn end(house: &House, number: u64, why: Option<&str>) -> Result<(), Failure> {
    change(house, |book| {
        let place = book.open.iter().position(|asked| asked.number == number);
        let Some(place) = place else { return Ok(()) };
        let asked = book.open.remove(place);
        if let Some(why) = why {
            let given_up = Some(why.to_owned());
            book.given_up.push(Asked { given_up, ..asked });
            let many = book.given_up.len().saturating_sub(limits::RELEASES_ASKED);
            book.given_up.drain(..many);
        }
        Ok(())
    })
    .await
}

fn name(environment: &Environment) -> String {
    format!("{environment}/asked")
}

async fn read(house: &House) -> Result<(Option<Cursor>, Book), Failure> {
    let name = name(&house.config.environment.value);
    let kept = Ask(house.ledger()).cursor(name).await?;
    let book = kept
        .as_ref()
        .and_then(|Cursor(text)| serde_json::from_str(text).ok());
    Ok((kept, book.unwrap_or_default()))
}

/// Changes what is written down, unless another process changes it meanwhile: then once more.
async fn change(
    house: &House,
    mut work: impl FnMut(&mut Book) -> Result<(), Failure>,
) -> Result<(), Failure> {
    loop {
        let (kept, mut book) = read(house).await?;
        work(&mut book)?;
        let text = serde_json::to_string(&book).map_err(|e| Failure::failed(e.to_string()))?;
        let name = name(&house.config.environment.value);
        let unit = Unit {
            guards: vec![Guard::Cursor(name.clone(), kept)],
            ops: vec![Op::Cursor(name, Cursor(text))],
        };
        let results = house.ledger().commit(vec![unit]).await?;
        if matches!(results.first(), Some(UnitResult::Applied(_))) {
            return Ok(());
        }
    }
}
