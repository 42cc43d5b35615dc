//! For trials: ends or stops this process when it comes to a named point, as a power switch would.
//!
//! `ONCELY_KILL_AT=NAME[:N][@TASK[/STEP]]` is the end at the N-th time, `ONCELY_STOP_AT` a stop that
//! somebody else ends. Only debug builds and those with the feature `sabotage` have the points.

use oncely_core::points::{self, Point};
use rustix::process::{Signal, getpid, kill_process};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a process is to be ended or stopped.
#[derive(Debug)]
struct Aim {
    point: Point,
    /// At which time that it comes there.
    nth: u64,
    task: Option<String>,
    step: Option<String>,
    signal: Signal,
    passed: AtomicU64,
}

static AIMS: OnceLock<Vec<Aim>> = OnceLock::new();

/// Reads what is aimed at, and watches for it.
///
/// # Errors
/// When what is given is no point, or this build has none.
pub(crate) fn watch() -> Result<(), String> {
    let mut aims = Vec::new();
    for (name, signal) in [
        ("ONCELY_KILL_AT", Signal::KILL),
        ("ONCELY_STOP_AT", Signal::STOP),
    ] {
        if let Ok(text) = std::env::var(name) {
            aims.push(Aim::parse(&text, signal).map_err(|why| format!("{name}={text}: {why}"))?);
        }
    }
    if aims.is_empty() {
        return Ok(());
    }
    if !points::THERE {
        return Err(
            "this program was built without the points of trials: build it with \
                    `cargo build -p oncely`, or with `--features sabotage`. Nothing was done."
                .into(),
        );
    }
    // It is set once, here.
    let _ = AIMS.set(aims);
    points::visit(|point, task, step| {
        for aim in AIMS.get().into_iter().flatten() {
            aim.pass(point, task, step);
        }
    });
    Ok(())
}

impl Aim {
    fn parse(text: &str, signal: Signal) -> Result<Self, String> {
        let (what, place) = match text.split_once('@') {
            Some((what, place)) => (what, Some(place)),
            None => (text, None),
        };
        let (name, nth) = match what.split_once(':') {
            Some((name, nth)) => (name, nth.parse().unwrap_or(0)),
            None => (what, 1),
        };
        let point = Point::named(name).filter(|_| nth > 0).ok_or(
            "write it as NAME, NAME:N or NAME:N@TASK/STEP, where NAME is one of the points of \
             crates/core/src/points.rs. Nothing was done.",
        )?;
        let (task, step) = match place.and_then(|place| place.split_once('/')) {
            Some((task, step)) => (Some(task), Some(step)),
            None => (place, None),
        };
        Ok(Self {
            point,
            nth,
            task: task.map(str::to_owned),
            step: step.map(str::to_owned),
            signal,
            passed: AtomicU64::new(0),
        })
    }

    fn means(&self, point: Point, task: &str, step: &str) -> bool {
        let is = |wanted: &Option<String>, given| wanted.as_deref().is_none_or(|w| w == given);
        self.point == point && is(&self.task, task) && is(&self.step, step)
    }

    fn pass(&self, point: Point, task: &str, step: &str) {
        if !self.means(point, task, step) {
            return;
        }
        if self.passed.fetch_add(1, Ordering::SeqCst) + 1 == self.nth {
            // A process may always do that to itself.
            let _ = kill_process(getpid(), self.signal);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_is_a_point_a_time_a_task_and_a_step() {
        let aim = Aim::parse("intent.after:2@pay/charge", Signal::KILL).unwrap();
        assert_eq!((aim.point, aim.nth), (Point::IntentAfter, 2));
        assert!(aim.means(Point::IntentAfter, "pay", "charge"));
        assert!(!aim.means(Point::IntentAfter, "pay", "mail"));
        assert!(!aim.means(Point::IntentBefore, "pay", "charge"));
        let anywhere = Aim::parse("ledger.applied", Signal::STOP).unwrap();
        assert_eq!(anywhere.nth, 1);
        assert!(anywhere.means(Point::LedgerApplied, "", ""));
        for wrong in ["", "nowhere", "intent.after:0", "intent.after:x"] {
            assert!(Aim::parse(wrong, Signal::KILL).is_err(), "{wrong}");
        }
    }
}
