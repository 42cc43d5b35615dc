//! Many plays, side by side: each with a project, a ledger and a seed of its own, so that what is
//! compared at its end fits into memory, and so that a seed that shows something is found again soon.

use super::play::{Crash, Report, run};
use super::trouble::Trouble;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// How a campaign is run.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// All of it together.
    pub crash: Crash,
    /// Kills of one play.
    pub each: u32,
    /// Plays at the same time.
    pub lanes: u64,
}

impl Campaign {
    /// How many plays it consists of.
    #[must_use]
    pub fn plays(&self) -> u64 {
        u64::from(self.crash.kills.div_ceil(self.each.max(1)).max(1))
    }

    /// The play of a number, from 0.
    fn play(&self, number: u64) -> Crash {
        let (all, plays) = (&self.crash, self.plays());
        let share = |total: u64| total / plays + u64::from(number < total % plays);
        let seed = all.seed + number;
        let name = |folder: &std::path::PathBuf| match plays {
            1 => folder.clone(),
            _ => folder.join(seed.to_string()),
        };
        Crash {
            kills: u32::try_from(share(all.kills.into())).unwrap_or(u32::MAX),
            events: share(all.events),
            seed,
            folder: all.folder.as_ref().map(name),
            talk: all.talk && plays == 1,
            ..all.clone()
        }
    }
}

/// Runs every play, and sums up what came of them.
///
/// # Errors
/// The first trouble that a harness had; the other plays end first.
pub fn campaign(campaign: &Campaign) -> Result<Report, Trouble> {
    let begun = Instant::now();
    let next = AtomicU64::new(0);
    let sum = Mutex::new(Report::default());
    let lane = || -> Result<(), Trouble> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= campaign.plays() {
                return Ok(());
            }
            let play = campaign.play(number);
            if let Some(folder) = &play.folder {
                std::fs::create_dir_all(folder)?;
            }
            let report = run(&play).map_err(|t| Trouble(format!("seed {}: {t}", play.seed)))?;
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            sum.add(play.seed, report);
            if campaign.crash.talk && campaign.plays() > 1 {
                eprintln!("seed {}: {} kills, {} sent", play.seed, sum.kills, sum.sent);
            }
        }
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..campaign.lanes.clamp(1, 16))
            .map(|_| scope.spawn(lane))
            .collect();
        let ended = lanes.into_iter().map(|lane| {
            let panicked = |_| Err(Trouble("a play has panicked".into()));
            lane.join().unwrap_or_else(panicked)
        });
        ended
            .collect::<Vec<_>>()
            .into_iter()
            .collect::<Result<(), _>>()
    })?;
    let mut sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    sum.seconds = begun.elapsed().as_secs_f64();
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plays_of_a_campaign_are_all_of_it() {
        let campaign = Campaign {
            crash: Crash {
                kills: 1_003,
                events: 10_001,
                seed: 7,
                binary: "oncely".into(),
                sabotage: None,
                folder: Some("kept".into()),
                talk: true,
            },
            each: 200,
            lanes: 3,
        };
        assert_eq!(campaign.plays(), 6);
        let plays: Vec<_> = (0..6).map(|number| campaign.play(number)).collect();
        assert_eq!(plays.iter().map(|p| p.kills).sum::<u32>(), 1_003);
        assert_eq!(plays.iter().map(|p| p.events).sum::<u64>(), 10_001);
        let folders: std::collections::BTreeSet<_> = plays.iter().map(|p| &p.folder).collect();
        assert_eq!(folders.len(), 6);
    }
}
