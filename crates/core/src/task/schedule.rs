//! When a schedule ticks: a cron pattern in a time zone, or every so often.
//!
//! A tick is known by the moment it is due at, whoever finds it and whenever.

use crate::time::Timestamp;
use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Year};
use jiff::Zoned;
use jiff::tz::TimeZone;
use std::fmt;

/// When a task is started by the clock.
#[derive(Clone)]
pub struct Schedule {
    rhythm: Rhythm,
    zone: TimeZone,
}

#[derive(Clone)]
enum Rhythm {
    Cron(Box<Cron>),
    Every(i64),
}

impl Schedule {
    /// A cron pattern of five fields, or six with seconds first, read in a time zone.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn cron(pattern: &str, zone: TimeZone) -> Result<Self, String> {
        let parser = CronParser::builder().year(Year::Disallowed).build();
        let cron = parser.parse(pattern).map_err(|error| words(&error))?;
        let schedule = Self {
            rhythm: Rhythm::Cron(Box::new(cron)),
            zone,
        };
        match schedule.next_after(Timestamp(0)) {
            Some(_) => Ok(schedule),
            None => Err("it never ticks".into()),
        }
    }

    /// Every so many milliseconds, counted from 1970-01-01T00:00:00Z, so that every process finds the
    /// same ticks.
    #[must_use]
    pub fn every(millis: i64) -> Self {
        Self {
            rhythm: Rhythm::Every(millis.max(1)),
            zone: TimeZone::UTC,
        }
    }

    /// The first tick after a moment.
    #[must_use]
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        match &self.rhythm {
            Rhythm::Every(millis) => {
                let ticks = at.0.div_euclid(*millis).checked_add(1)?;
                ticks.checked_mul(*millis).map(Timestamp)
            }
            Rhythm::Cron(cron) => {
                let from = self.zoned(at)?;
                moment(&cron.find_next_occurrence(&from, false).ok()?)
            }
        }
    }

    /// The last tick up to a moment, which may be one.
    #[must_use]
    pub fn last_until(&self, at: Timestamp) -> Option<Timestamp> {
        match &self.rhythm {
            Rhythm::Every(millis) => at.0.div_euclid(*millis).checked_mul(*millis).map(Timestamp),
            Rhythm::Cron(cron) => {
                let from = self.zoned(at)?;
                moment(&cron.find_previous_occurrence(&from, true).ok()?)
            }
        }
    }

    /// A moment as the clocks of the schedule's time zone show it: `2026-11-24T09:00:00+01:00`.
    #[must_use]
    pub fn shown(&self, at: Timestamp) -> String {
        self.zoned(at).map_or_else(String::new, |zoned| {
            zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
        })
    }

    fn zoned(&self, at: Timestamp) -> Option<Zoned> {
        let at = jiff::Timestamp::from_millisecond(at.0).ok()?;
        Some(at.to_zoned(self.zone.clone()))
    }
}

/// What is wrong with a pattern, without the library's names for it.
fn words(error: &CronError) -> String {
    let words = match error {
        CronError::InvalidPattern(words)
        | CronError::IllegalCharacters(words)
        | CronError::ComponentError(words) => words.clone(),
        other => other.to_string(),
    };
    words.trim_end_matches('.').to_lowercase()
}

/// Cron ticks at whole seconds.
fn moment(zoned: &Zoned) -> Option<Timestamp> {
    zoned
        .timestamp()
        .as_second()
        .checked_mul(1000)
        .map(Timestamp)
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rhythm {
            Rhythm::Cron(cron) => {
                let zone = self.zone.iana_name().unwrap_or("UTC");
                write!(f, "{} {zone}", cron.as_str())
            }
            Rhythm::Every(millis) => write!(f, "every {millis} ms"),
        }
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The time zone of this name, such as `Europe/Berlin`.
///
/// # Errors
/// When there is none of this name.
pub(super) fn time_zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| format!("there is no time zone `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn berlin(pattern: &str) -> Schedule {
        Schedule::cron(pattern, time_zone("Europe/Berlin").unwrap()).unwrap()
    }

    /// The next ticks, as clocks in the zone show them.
    fn ticks(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
        let mut at = at(from);
        let mut found = Vec::new();
        while found.len() < count {
            at = schedule.next_after(at).unwrap();
            found.push(schedule.shown(at));
        }
        found
    }

    #[test]
    fn weekdays_at_nine_stay_at_nine_when_clocks_change() {
        assert_eq!(
            ticks(&berlin("0 9 * * MON-FRI"), "2026-10-22T12:00:00Z", 3),
            [
                "2026-10-23T09:00:00+02:00",
                "2026-10-26T09:00:00+01:00",
                "2026-10-27T09:00:00+01:00"
            ]
        );
    }

    #[test]
    fn an_hour_that_is_left_out_ticks_right_after_it_and_one_that_comes_twice_ticks_once() {
        assert_eq!(
            ticks(&berlin("30 2 * * *"), "2026-03-28T12:00:00Z", 2),
            ["2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
        );
        assert_eq!(
            ticks(&berlin("30 2 * * *"), "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]
        );
    }

    #[test]
    fn every_is_counted_from_the_same_moment_by_everybody() {
        let schedule = Schedule::every(15 * 60_000);
        let noon = at("2026-11-24T12:00:00Z");
        assert_eq!(schedule.last_until(noon), Some(noon));
        assert_eq!(
            schedule.last_until(Timestamp(noon.0 - 1)),
            Some(Timestamp(noon.0 - 900_000))
        );
        assert_eq!(schedule.next_after(noon), Some(Timestamp(noon.0 + 900_000)));
    }

    #[test]
    fn the_last_tick_is_the_one_whose_next_lies_ahead() {
        let schedule = berlin("*/20 8-10 * * *");
        let mut moment = at("2026-10-25T00:00:00Z");
        for _ in 0..400 {
            moment = Timestamp(moment.0 + 613_000);
            let last = schedule.last_until(moment).unwrap();
            assert!(last <= moment);
            assert!(schedule.next_after(last).unwrap() > moment);
        }
    }

    #[test]
    fn patterns_and_zones_that_make_no_sense_are_refused() {
        for wrong in ["", "every day", "61 * * * *", "* * *", "0 0 30 2 *"] {
            assert!(Schedule::cron(wrong, TimeZone::UTC).is_err(), "{wrong}");
        }
        assert_eq!(
            time_zone("Europe/Berlim").unwrap_err(),
            "there is no time zone `Europe/Berlim`"
        );
    }
}
