//! `on.schedule`: the clock. Each tick is an event known by the moment it is due at.
//!
//! The cursor is the last tick that was dealt with. A schedule begins when it is first looked at: no
//! tick before that moment is one.

use oncely_core::Fut;
use oncely_core::event::Event;
use oncely_core::source::{Batch, Cursor, Receipt, Room, Source, SourceError, Sourced, Verdict};
use oncely_core::task::{Existing, Missed, ScheduleTrigger};
use oncely_core::time::{Clock, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// A tick that is found later than this after its moment was missed: nobody was there.
pub const MISSED_AFTER: Duration = Duration::from_secs(60);

/// The ticks of a schedule.
pub struct Ticks {
    trigger: ScheduleTrigger,
    clock: Arc<dyn Clock>,
    /// The last tick that was dealt with, once that is known.
    after: Option<Timestamp>,
}

impl Ticks {
    /// A source of a task's ticks.
    #[must_use]
    pub fn new(trigger: ScheduleTrigger, clock: Arc<dyn Clock>) -> Self {
        Self {
            trigger,
            clock,
            after: None,
        }
    }

    fn look(&mut self, after: Option<&Cursor>, room: Room) -> Batch {
        let now = self.clock.now();
        let Some(after) = after.and_then(|cursor| cursor.0.parse().ok().map(Timestamp)) else {
            self.after = Some(now);
            return Batch {
                cursor: Some(Cursor(now.0.to_string())),
                ..Batch::default()
            };
        };
        let (ticks, more) = self.due(after, now, room.events);
        let reached = ticks.last().copied().unwrap_or(after);
        self.after = Some(reached);
        Batch {
            events: ticks.iter().map(|tick| self.event(*tick, now)).collect(),
            cursor: (reached > after).then(|| Cursor(reached.0.to_string())),
            more,
            ..Batch::default()
        }
    }

    /// The ticks that are due, in order, and whether there are more than there is room for.
    fn due(&self, after: Timestamp, now: Timestamp, room: usize) -> (Vec<Timestamp>, bool) {
        let fresh_from = now - MISSED_AFTER;
        let schedule = &self.trigger.schedule;
        let from = match self.trigger.missed {
            Missed::All => after,
            Missed::None | Missed::Last => after.max(Timestamp(fresh_from.0 - 1)),
        };
        let mut ticks = Vec::new();
        let mut at = from;
        while let Some(tick) = schedule.next_after(at).filter(|tick| *tick <= now) {
            if ticks.len() == room {
                return (ticks, true);
            }
            ticks.push(tick);
            at = tick;
        }
        // What comes in time stands for those that were missed before it.
        if ticks.is_empty() && self.trigger.missed == Missed::Last {
            ticks.extend(schedule.last_until(now).filter(|tick| *tick > after));
        }
        (ticks, false)
    }

    fn event(&self, tick: Timestamp, now: Timestamp) -> Sourced {
        let key = key(tick);
        let data = serde_json::json!({
            "time": self.trigger.schedule.shown(tick),
            "at": tick.0,
            "missed": now - MISSED_AFTER > tick,
        });
        Sourced {
            receipt: Receipt(key.clone()),
            event: Event {
                key: key.into(),
                at: now,
                data,
            },
            existing: false,
        }
    }

    /// How long until the next tick.
    fn wait(&self) -> Duration {
        let now = self.clock.now();
        let after = self.after.unwrap_or(now).max(now);
        let next = self.trigger.schedule.next_after(after);
        let millis = next.map_or(i64::MAX, |next| next.millis_since(now));
        Duration::from_millis(u64::try_from(millis).unwrap_or(0)).min(Duration::from_secs(3600))
    }
}

/// A tick's key: its moment in UTC, to the second or finer where it is.
fn key(tick: Timestamp) -> String {
    let utc = oncely_core::task::Schedule::every(1).shown(tick);
    let utc = utc.trim_end_matches("+00:00");
    match tick.0.rem_euclid(1000) {
        0 => format!("{utc}Z"),
        millis => format!("{utc}.{millis:03}Z"),
    }
}

impl Source for Ticks {
    fn poll<'a>(
        &'a mut self,
        after: Option<&'a Cursor>,
        room: Room,
    ) -> Fut<'a, Result<Batch, SourceError>> {
        Box::pin(std::future::ready(Ok(self.look(after, room))))
    }

    fn changed(&mut self) -> Fut<'_, ()> {
        Box::pin(tokio::time::sleep(self.wait()))
    }

    fn acknowledge<'a>(
        &'a mut self,
        _verdicts: Vec<(Receipt, Verdict)>,
    ) -> Fut<'a, Result<(), SourceError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn existing(&self) -> Option<Existing> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oncely_core::task::Schedule;
    use std::sync::atomic::{AtomicI64, Ordering};

    struct Turned(AtomicI64);

    impl Clock for Turned {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::SeqCst))
        }
        fn boot_millis(&self) -> i64 {
            0
        }
    }

    const MINUTE: i64 = 60_000;
    const NOTHING: [i64; 0] = [];

    struct Stage {
        clock: Arc<Turned>,
        ticks: Ticks,
        cursor: Option<Cursor>,
    }

    impl Stage {
        /// A tick every ten minutes; it is three minutes past one.
        fn new(missed: Missed) -> Self {
            let clock = Arc::new(Turned(AtomicI64::new(1003 * MINUTE)));
            let schedule = Schedule::every(10 * MINUTE);
            let trigger = ScheduleTrigger { schedule, missed };
            let mut stage = Self {
                ticks: Ticks::new(trigger, clock.clone()),
                clock,
                cursor: None,
            };
            assert_eq!(stage.look(), NOTHING);
            stage
        }

        /// What the next look finds, in minutes, when what it finds is admitted.
        fn look(&mut self) -> Vec<i64> {
            let batch = self.ticks.look(self.cursor.as_ref(), Room { events: 4 });
            if batch.cursor.is_some() {
                self.cursor = batch.cursor;
            }
            let at = |event: &Sourced| event.event.data["at"].as_i64().unwrap() / MINUTE;
            batch.events.iter().map(at).collect()
        }

        fn at(&mut self, minute: i64) -> Vec<i64> {
            self.clock.0.store(minute * MINUTE, Ordering::SeqCst);
            self.look()
        }
    }

    #[test]
    fn a_tick_comes_once_at_its_time_and_none_before_the_first_look() {
        for missed in [Missed::All, Missed::Last, Missed::None] {
            let mut stage = Stage::new(missed);
            assert_eq!(stage.at(1009), NOTHING);
            assert_eq!(stage.at(1010), [1010]);
            assert_eq!(stage.look(), NOTHING);
            assert_eq!(stage.at(1020), [1020]);
        }
    }

    #[test]
    fn missed_ticks_come_all_or_the_last_or_not() {
        assert_eq!(Stage::new(Missed::All).at(1045), [1010, 1020, 1030, 1040]);
        assert_eq!(Stage::new(Missed::Last).at(1045), [1040]);
        assert_eq!(Stage::new(Missed::None).at(1045), NOTHING);
        // One that is in time stands for those before it.
        assert_eq!(Stage::new(Missed::Last).at(1040), [1040]);
        assert_eq!(Stage::new(Missed::None).at(1040), [1040]);
    }

    #[test]
    fn a_year_of_missed_ticks_comes_in_bounded_batches_or_at_once() {
        let mut all = Stage::new(Missed::All);
        assert_eq!(all.at(1000 + 525_600), [1010, 1020, 1030, 1040]);
        assert_eq!(all.look(), [1050, 1060, 1070, 1080]);
        let mut last = Stage::new(Missed::Last);
        assert_eq!(last.at(1005 + 525_600), [526_600]);
        assert_eq!(last.look(), NOTHING);
    }

    #[test]
    fn what_was_not_admitted_comes_again_and_a_clock_that_goes_back_brings_nothing_twice() {
        let mut stage = Stage::new(Missed::Last);
        let before = stage.cursor.clone();
        assert_eq!(stage.at(1010), [1010]);
        stage.cursor = before;
        assert_eq!(stage.look(), [1010]);
        assert_eq!(stage.at(1005), NOTHING);
        assert_eq!(stage.at(1012), NOTHING);
        assert_eq!(stage.at(1020), [1020]);
    }

    #[test]
    fn a_tick_is_known_by_its_moment() {
        assert_eq!(key(Timestamp(1003 * MINUTE)), "1970-01-01T16:43:00Z");
        assert_eq!(key(Timestamp(1500)), "1970-01-01T00:00:01.500Z");
    }

    #[test]
    fn it_is_looked_at_when_the_next_tick_is_due() {
        let stage = Stage::new(Missed::Last);
        assert_eq!(stage.ticks.wait(), Duration::from_secs(7 * 60));
    }
}
