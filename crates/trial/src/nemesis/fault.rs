//! What can go wrong with a worker, and how it is done to it.

use super::proxy::{Aim, Hole};
use super::worker::Worker;
use crate::crash::Trouble;
use crate::dice::Dice;
use std::time::{Duration, Instant};

/// Longest wait for a commit to aim at.
const AIMING: Duration = Duration::from_secs(5);
/// How often it is looked whether one was met.
const LOOK: Duration = Duration::from_millis(2);
/// The most that a clock is wrong by: an hour.
const HOUR_MS: u64 = 3_600_000;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The process is killed, and another started.
    Kill,
    /// The process is stopped beyond its lease.
    Stop,
    /// Its connections are cut.
    Cut,
    /// Its connections are cut, and no new ones let in for a while.
    Refuse,
    /// Nothing passes for a while.
    Stall,
    /// Its connections lead nowhere, and at least one side does not know.
    HalfOpen,
    /// A commit does not arrive.
    CommitLost,
    /// A commit is done, and its answer does not arrive.
    CommitUntold,
    /// The connection goes at the moment of a commit.
    CommitCut,
    /// A commit arrives much later.
    CommitLate,
    /// Its clock is up to an hour wrong for a while.
    Clock,
    /// The database is stopped at once and started again.
    Restart,
}

impl Fault {
    /// Those that are done to one worker.
    const OF_WORKERS: [Self; 11] = [
        Self::Kill,
        Self::Stop,
        Self::Cut,
        Self::Refuse,
        Self::Stall,
        Self::HalfOpen,
        Self::CommitLost,
        Self::CommitUntold,
        Self::CommitCut,
        Self::CommitLate,
        Self::Clock,
    ];

    /// For people.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kill => "killed",
            Self::Stop => "stopped beyond the lease",
            Self::Cut => "cut",
            Self::Refuse => "cut and refused",
            Self::Stall => "stalled",
            Self::HalfOpen => "half-open",
            Self::CommitLost => "commit lost",
            Self::CommitUntold => "commit done and not told",
            Self::CommitCut => "cut amid a commit",
            Self::CommitLate => "commit late",
            Self::Clock => "clock wrong",
            Self::Restart => "database restarted",
        }
    }

    /// One of those of workers.
    pub(super) fn any(dice: &mut Dice) -> Self {
        let last = Self::OF_WORKERS.len() as u64 - 1;
        let place = usize::try_from(dice.between(0, last)).unwrap_or(0);
        Self::OF_WORKERS.get(place).copied().unwrap_or(Self::Kill)
    }

    /// Does it to a worker; says when it was over. None where it could not be done.
    pub(super) fn strike(
        self,
        worker: &mut Worker,
        dice: &mut Dice,
        lease: Duration,
    ) -> Result<Option<Instant>, Trouble> {
        let mut of_lease = |low: u64, high: u64| {
            let part = u32::try_from(dice.between(low, high)).unwrap_or(100);
            lease * part / 100
        };
        match self {
            Self::Kill => worker.replace()?,
            Self::Stop => {
                let time = of_lease(110, 140);
                worker.halt();
                std::thread::sleep(time);
                worker.wake();
            }
            Self::Cut => worker.proxy.cut(),
            Self::Refuse => {
                let time = of_lease(1, 80);
                worker.proxy.refuse(true);
                worker.proxy.cut();
                std::thread::sleep(time);
                worker.proxy.refuse(false);
            }
            Self::Stall => {
                let time = of_lease(1, 150);
                worker.proxy.stall(true);
                std::thread::sleep(time);
                worker.proxy.stall(false);
            }
            Self::HalfOpen => worker.proxy.half_open(match dice.between(0, 2) {
                0 => Hole::Both,
                1 => Hole::ServerGone,
                _ => Hole::ClientGone,
            }),
            Self::CommitLost => return Ok(met(worker, Aim::Before, Duration::ZERO)),
            Self::CommitUntold => return Ok(met(worker, Aim::After, Duration::ZERO)),
            Self::CommitCut => return Ok(met(worker, Aim::Amid, Duration::ZERO)),
            Self::CommitLate => {
                let time = of_lease(20, 150);
                return Ok(met(worker, Aim::Late(time), time));
            }
            Self::Clock => {
                let ahead = dice.once_in(2);
                let millis = dice.between(HOUR_MS / 60, HOUR_MS).cast_signed();
                worker.set_clock(if ahead { millis } else { -millis })?;
                std::thread::sleep(Duration::from_millis(dice.between(200, 2_000)));
                worker.set_clock(0)?;
            }
            Self::Restart => return Ok(None),
        }
        Ok(Some(Instant::now()))
    }
}

/// Aims at the next commit and waits until one is met, and for what becomes of it.
fn met(worker: &Worker, aim: Aim, time: Duration) -> Option<Instant> {
    let before = worker.proxy.hits();
    let deadline = Instant::now() + AIMING;
    worker.proxy.aim(Some(aim));
    while worker.proxy.hits() == before {
        if Instant::now() > deadline {
            worker.proxy.aim(None);
            return (worker.proxy.hits() > before).then(Instant::now);
        }
        std::thread::sleep(LOOK);
    }
    std::thread::sleep(time);
    Some(Instant::now())
}
