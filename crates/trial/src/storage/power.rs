//! Power cuts: what was answered is there, and everything else wholly or not at all.

use super::faulty::{Losses, Power};
use super::play::{Played, block_on, play};
use super::stores::{Filed, Model};
use crate::crash::Trouble;
use crate::dice::Dice;
use oncely_ledger::conformance::fast_folder;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Changes to files within which the power goes.
const CHANGES: u64 = 500;
/// Sequences of commands that are played where it does not go before.
const SEQUENCES: u32 = 3;

/// What was seen.
#[derive(Debug, Default, Serialize)]
pub struct Seen {
    /// Power cuts.
    pub cuts: u64,
    /// What was going on at the cuts.
    pub during: BTreeMap<&'static str, u64>,
    /// Changes that were on their way to the disk.
    pub pending: u64,
    /// Of these, lost.
    pub lost: u64,
    /// Of these, written in part.
    pub torn: u64,
    /// Commands that were answered, and so had to be there afterwards.
    pub answered: u64,
    /// Commands that were cut off and were not there afterwards.
    pub absent: u64,
    /// Commands that were cut off and were there afterwards.
    pub present: u64,
    /// Commands whose first units were there afterwards, each of them whole: they are committed one by
    /// one where one of them cannot be applied.
    pub in_part: u64,
    /// Seeds at which a promise was broken, and how.
    pub broken: Vec<(u64, String)>,
}

/// Cuts the power so often, from this seed on. Without `synced` the ledger does not wait for the disk:
/// a promise has to break.
///
/// # Errors
/// When the trial itself cannot work.
pub fn run(seeds: impl IntoIterator<Item = u64>, synced: bool) -> Result<Seen, Trouble> {
    let mut seen = Seen::default();
    for seed in seeds {
        seen.cuts += 1;
        if let Some(why) = block_on(once(seed, synced, &mut seen))?? {
            seen.broken.push((seed, why));
        }
    }
    Ok(seen)
}

/// One cut; says how a promise was broken.
async fn once(seed: u64, synced: bool, seen: &mut Seen) -> Result<Option<String>, Trouble> {
    let mut dice = Dice::new(seed);
    let power = Arc::new(Power::new(dice.between(1, CHANGES)));
    let checkpoint = u32::try_from(dice.between(3, 60)).unwrap_or(3);
    let (folder, after) = (fast_folder(), fast_folder());
    let place = folder.path().canonicalize()?;
    let installed = oncely_vfs::install(&place, power.clone());
    let model = Model::new()?;
    let filed = Filed::new(&place, synced, checkpoint);
    let played = play(&model, &filed, &mut dice, SEQUENCES, || power.is_gone()).await;
    if let Some(said) = played.said.as_ref().filter(|_| !power.is_gone()) {
        return Ok(Some(format!(
            "with power, another answer than the model's: {said}"
        )));
    }
    power.cut();
    drop(installed);
    let losses = power.leave(after.path(), &mut dice)?;
    let found = Filed::new(after.path(), true, checkpoint).read();
    Ok(seen.judge(&played, power.during(), losses, found))
}

impl Seen {
    fn judge(
        &mut self,
        played: &Played<'_>,
        during: &'static str,
        losses: Losses,
        found: Result<String, String>,
    ) -> Option<String> {
        *self.during.entry(during).or_default() += 1;
        self.pending += losses.pending;
        self.lost += losses.lost;
        self.torn += losses.torn;
        self.answered += 1 + played.commands - u64::from(played.said.is_some());
        let lines = match found {
            Ok(export) => played.pair.as_model(&export),
            Err(error) => return Some(format!("it does not open again: {error}")),
        };
        if !played.allows(&lines) {
            let what = played.difference(&lines);
            return Some(format!("what was answered is not what is there: {what}"));
        }
        if played.said.is_some() {
            match played.allowed.last() == Some(&lines) {
                true => self.present += 1,
                false if played.allowed.first() == Some(&lines) => self.absent += 1,
                false => self.in_part += 1,
            }
        }
        None
    }

    /// In words.
    #[must_use]
    pub fn say(&self) -> String {
        let during: Vec<_> = self
            .during
            .iter()
            .map(|(what, times)| format!("{what} {times}"))
            .collect();
        format!(
            "{} power cuts ({}): {} changes were on their way, {} of them lost and {} torn. {} commands \
             were answered; {} were cut off and left no trace, {} were cut off and are whole, {} of units that are \
             committed one by one are there up to a unit.",
            self.cuts,
            during.join(", "),
            self.pending,
            self.lost,
            self.torn,
            self.answered,
            self.absent,
            self.present,
            self.in_part
        )
    }
}
