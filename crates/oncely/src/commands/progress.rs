//! How far streams have come: done of how many, how fast, and how long the rest takes.

use super::drive::Stands;
use super::waits::Waits;
use crate::failure::Failure;
use crate::house::House;
use crate::output::{Voice, moment, plain, rfc3339, span, thousands};
use indicatif::{ProgressBar, ProgressStyle};
use oncely_core::Value;
use oncely_core::ids::{RunId, StepId};
use oncely_core::items::Progress;
use oncely_core::pause::{self, Pause};
use oncely_core::rows::{RowsAt, cursor_name};
use oncely_core::run::Stage;
use oncely_core::time::{Clock, Timestamp};
use oncely_engine::Ask;
use std::collections::{BTreeMap, VecDeque};
use std::io::IsTerminal;
use std::time::Duration;

/// How often a bar is drawn anew.
const LOOK: Duration = Duration::from_millis(250);

/// How often is looked whether there is something to say, where there is no bar.
const LOOK_UNSHOWN: Duration = Duration::from_secs(1);

/// Time over which speed is measured, in milliseconds.
const WINDOW_MS: i64 = 30_000;

/// How often a stream that is followed says how far it is, in milliseconds.
const SAY_EVERY_MS: i64 = 5_000;

/// How far a step has come.
pub(crate) struct Standing {
    pub(crate) step: StepId,
    pub(crate) progress: Progress,
    /// Whether it is being worked.
    pub(crate) open: bool,
    /// That it waits since its `while` does not hold.
    pub(crate) pause: Option<Pause>,
    total: Total,
}

/// How much there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Total {
    Items(u64),
    /// Of the file that the items are read from.
    Bytes(u64),
    Unknown,
}

impl Standing {
    /// How many items of how many: the ending of a sentence about them.
    pub(crate) fn items(&self) -> String {
        match self.total {
            Total::Items(total) => format!(
                "{} of {} items",
                thousands(self.progress.next),
                thousands(total.max(self.progress.next))
            ),
            _ => format!("{} items", thousands(self.progress.next)),
        }
    }

    /// The part of the whole that is dealt with, where that is known.
    fn fraction(&self) -> Option<f64> {
        let (done, total) = match self.total {
            Total::Items(total) => (self.progress.next, total),
            Total::Bytes(total) => (self.progress.offset, total),
            Total::Unknown => return None,
        };
        (total > 0).then(|| (done as f64 / total as f64).min(1.0))
    }

    /// For programs.
    pub(crate) fn record(&self) -> Value {
        let total = match self.total {
            Total::Items(total) => Some(total),
            _ => None,
        };
        let pause = self.pause.as_ref().map(|pause| {
            serde_json::json!({
                "since": rfc3339(pause.since), "every_millis": pause.every_ms, "why": pause.why,
            })
        });
        serde_json::json!({
            "step": self.step, "progress": self.progress, "total": total,
            "percent": self.fraction().map(|part| (part * 1000.0).round() / 10.0),
            "paused": pause,
        })
    }

    /// That it pauses, since when, and why.
    pub(crate) fn pauses(&self) -> Option<String> {
        let pause = self.pause.as_ref()?;
        Some(format!(
            "step `{}` pauses since {} UTC: its `while` does not hold, and is looked at every {} s: {}",
            self.step,
            moment(pause.since),
            pause.every_ms / 1000,
            plain(&pause.why)
        ))
    }
}

/// The streams of a run, those that ended too.
pub(crate) async fn of(house: &House, stands: &Stands) -> Result<Vec<Standing>, Failure> {
    let ask = Ask(house.ledger());
    let (run, mut standings) = (stands.row.id, Vec::new());
    for (step, state) in &stands.state.steps {
        let open = matches!(state.stage, Stage::Open { .. });
        let pause = match open && stands.row.holder.is_some() {
            true => pause_of(house, run, step).await?,
            false => None,
        };
        let progress = match ask.progress(run, step.clone()).await? {
            Some(progress) => progress,
            // It waits before its first range.
            None if pause.is_some() => Progress::default(),
            None => continue,
        };
        let total = match &state.call {
            Some(call) => total(house, run, step, call).await?,
            None => Total::Unknown,
        };
        standings.push(Standing {
            step: step.clone(),
            progress,
            open,
            pause,
            total,
        });
    }
    Ok(standings)
}

async fn pause_of(house: &House, run: RunId, step: &StepId) -> Result<Option<Pause>, Failure> {
    let kept = Ask(house.ledger()).cursor(pause::name(run, step)).await?;
    Ok(kept.and_then(|kept| Pause::read(&kept.0)))
}

/// The stream of a run that is being worked.
pub(crate) async fn under_way(house: &House, stands: &Stands) -> Result<Option<Standing>, Failure> {
    let all = of(house, stands).await?;
    Ok(all.into_iter().find(|standing| standing.open))
}

async fn total(house: &House, run: RunId, step: &StepId, call: &Value) -> Result<Total, Failure> {
    if let Some(list) = call.get("list").and_then(Value::as_array) {
        return Ok(Total::Items(list.len() as u64));
    }
    if call.get("rows").is_some() || call.get("match").is_some() {
        let cursor = Ask(house.ledger()).cursor(cursor_name(run, step)).await?;
        let at = cursor.and_then(|cursor| serde_json::from_str::<RowsAt>(&cursor.0).ok());
        let total = at.and_then(|at| at.total);
        return Ok(total.map_or(Total::Unknown, Total::Items));
    }
    let read = call.get("read").and_then(Value::as_str).unwrap_or_default();
    let path = house
        .config
        .root
        .join(read.strip_prefix("file://").unwrap_or(read));
    let file = std::fs::metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file);
    Ok(file.map_or(Total::Unknown, |file| Total::Bytes(file.len())))
}

/// Measures how fast a stream goes.
#[derive(Default)]
pub(crate) struct Meter {
    seen: VecDeque<(Timestamp, u64, Option<f64>)>,
}

/// How fast a stream goes, and how long the rest takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Speed {
    per_second: f64,
    left_ms: Option<i64>,
}

impl Meter {
    /// Sees how far it is now; its speed, once there is something to compare with.
    pub(crate) fn see(&mut self, at: Timestamp, standing: &Standing) -> Option<Speed> {
        let now = (at, standing.progress.next, standing.fraction());
        self.seen.push_back(now);
        while self.seen.len() > 2
            && self
                .seen
                .front()
                .is_some_and(|(then, ..)| at.millis_since(*then) > WINDOW_MS)
        {
            self.seen.pop_front();
        }
        let (then, before, part) = *self.seen.front()?;
        let millis = at.millis_since(then);
        if millis <= 0 || now.1 <= before {
            return None;
        }
        let per_second = (now.1 - before) as f64 * 1000.0 / millis as f64;
        let left_ms = part.zip(now.2).and_then(|(before, now)| {
            let per_ms = (now - before) / millis as f64;
            (per_ms > 0.0).then(|| ((1.0 - now) / per_ms).round() as i64)
        });
        Some(Speed {
            per_second,
            left_ms,
        })
    }
}

/// How far it is, in words.
pub(crate) fn sentence(standing: &Standing, speed: Option<Speed>) -> String {
    let mut text = standing.items();
    if let Some(part) = standing.fraction() {
        text.push_str(&format!(" ({} %)", (part * 100.0).floor()));
    }
    if let Some(speed) = speed {
        text.push_str(&format!(", {}", per_time(speed.per_second)));
        if let Some(left) = speed.left_ms.filter(|_| standing.fraction() != Some(1.0)) {
            text.push_str(&format!(", {} left", about(left)));
        }
    }
    if standing.progress.set_aside > 0 {
        let aside = thousands(standing.progress.set_aside);
        text.push_str(&format!(", {aside} set aside"));
    }
    if let Some(pause) = &standing.pause {
        let since = moment(pause.since);
        text.push_str(&format!(
            ", pauses since {since} UTC: its `while` does not hold"
        ));
    }
    text
}

fn per_time(per_second: f64) -> String {
    match per_second {
        rate if rate >= 10.0 => format!("{}/s", thousands(rate as u64)),
        rate if rate >= 1.0 => format!("{rate:.1}/s"),
        rate if rate * 60.0 >= 1.0 => format!("{:.0}/min", rate * 60.0),
        rate => format!("{:.1}/h", rate * 3600.0),
    }
}

/// Nobody needs to know it by the tenth of a second.
fn about(millis: i64) -> String {
    match millis {
        ..60_000 => format!("{} s", (millis / 1000).max(1)),
        more => span(more),
    }
}

/// Does work on a run, with a bar beside it that shows how far its stream is, where somebody looks, and
/// says what it waits for.
pub(crate) async fn beside<T>(
    voice: Voice,
    house: &House,
    run: RunId,
    work: impl Future<Output = T>,
) -> T {
    let shown = !voice.json && voice.terminal && std::io::stderr().is_terminal();
    let (mut bar, mut waits) = (Bar::default(), Waits::default());
    let mut tick = match shown {
        true => tokio::time::interval(LOOK),
        false => tokio::time::interval_at(tokio::time::Instant::now() + LOOK_UNSHOWN, LOOK_UNSHOWN),
    };
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => {
                bar.clear();
                return done;
            }
            _ = tick.tick() => {
                if shown {
                    bar.look(house, run).await;
                }
                waits.look(voice, house, run, shown).await;
            }
        }
    }
}

/// A bar for the stream that is being worked.
#[derive(Default)]
struct Bar {
    bar: Option<(StepId, ProgressBar)>,
    meter: Meter,
}

impl Bar {
    /// Draws it anew. What cannot be read is not shown: the work says what is wrong.
    async fn look(&mut self, house: &House, run: RunId) {
        let Ok(stands) = Stands::read(house, run).await else {
            return;
        };
        let Ok(Some(standing)) = under_way(house, &stands).await else {
            return self.clear();
        };
        let speed = self.meter.see(house.clock.now(), &standing);
        if self
            .bar
            .as_ref()
            .is_none_or(|(step, _)| *step != standing.step)
        {
            self.clear();
            self.bar = Some((standing.step.clone(), drawn(&standing)));
        }
        if let Some((_, bar)) = &self.bar {
            bar.set_position((standing.fraction().unwrap_or(0.0) * 1000.0) as u64);
            bar.set_message(sentence(&standing, speed));
            bar.tick();
        }
    }

    fn clear(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
            self.meter = Meter::default();
        }
    }
}

fn drawn(standing: &Standing) -> ProgressBar {
    let template = match standing.fraction() {
        Some(_) => "  {prefix} {bar:30} {msg}",
        None => "  {prefix} {spinner} {msg}",
    };
    let bar = ProgressBar::new(1000);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(standing.step.to_string());
    bar
}

/// What was said of the streams that somebody follows.
#[derive(Default)]
pub(crate) struct Followed {
    streams: BTreeMap<(RunId, StepId), Heard>,
}

/// What is known of a stream that is followed.
#[derive(Default)]
struct Heard {
    meter: Meter,
    /// When something was said of it, and how far it was.
    said: Option<(Timestamp, u64)>,
    /// Since when it paused then.
    pause: Option<Timestamp>,
}

impl Followed {
    /// How far a run's streams are, where there is something new to say: at first, and every so often.
    pub(crate) async fn news(
        &mut self,
        house: &House,
        run: RunId,
    ) -> Result<Vec<(Standing, Option<Speed>)>, Failure> {
        let stands = Stands::read(house, run).await?;
        let at = house.clock.now();
        let mut news = Vec::new();
        for standing in of(house, &stands).await? {
            let key = (run, standing.step.clone());
            if !standing.open {
                self.streams.remove(&key);
                continue;
            }
            let heard = self.streams.entry(key).or_default();
            let speed = heard.meter.see(at, &standing);
            let is_new = heard.said.is_none_or(|(then, next)| {
                at.millis_since(then) >= SAY_EVERY_MS && next != standing.progress.next
            });
            let pause = standing.pause.as_ref().map(|pause| pause.since);
            if is_new || heard.pause != pause {
                heard.pause = pause;
                heard.said = Some((at, standing.progress.next));
                news.push((standing, speed));
            }
        }
        Ok(news)
    }
}

impl Speed {
    /// For programs.
    pub(crate) fn record(self) -> Value {
        serde_json::json!({
            "per_second": (self.per_second * 10.0).round() / 10.0, "left_millis": self.left_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(next: u64, total: Total) -> Standing {
        Standing {
            step: "s".into(),
            progress: Progress {
                next,
                offset: next * 10,
                ..Progress::default()
            },
            open: true,
            pause: None,
            total,
        }
    }

    #[test]
    fn that_a_stream_pauses_is_said_with_the_reason_and_since_when() {
        let mut paused = standing(10, Total::Items(40));
        paused.pause = Some(Pause {
            since: Timestamp(1_767_225_600_000),
            every_ms: 30_000,
            why: "the first value is 0".into(),
        });
        assert_eq!(
            sentence(&paused, None),
            "10 of 40 items (25 %), pauses since 2026-01-01 00:00:00 UTC: its `while` does not hold"
        );
        assert_eq!(
            paused.pauses().as_deref(),
            Some(
                "step `s` pauses since 2026-01-01 00:00:00 UTC: its `while` does not hold, and is \
                 looked at every 30 s: the first value is 0"
            )
        );
    }

    #[test]
    fn how_far_how_fast_and_how_long_is_said_in_one_line() {
        let mut meter = Meter::default();
        let at = |seconds: i64| Timestamp(seconds * 1000);
        let first = standing(10_000, Total::Items(50_000));
        assert_eq!(meter.see(at(0), &first), None);
        assert_eq!(sentence(&first, None), "10,000 of 50,000 items (20 %)");
        let second = standing(20_000, Total::Items(50_000));
        let speed = meter.see(at(5), &second);
        assert_eq!(
            sentence(&second, speed),
            "20,000 of 50,000 items (40 %), 2,000/s, 15 s left"
        );
        let mut last = standing(50_000, Total::Items(49_000));
        last.progress.set_aside = 3;
        let speed = meter.see(at(10), &last);
        assert_eq!(
            sentence(&last, speed),
            "50,000 of 50,000 items (100 %), 4,000/s, 3 set aside"
        );
    }

    #[test]
    fn a_file_goes_by_its_bytes_and_what_is_not_known_is_not_said() {
        let mut meter = Meter::default();
        meter.see(Timestamp(0), &standing(0, Total::Bytes(4000)));
        let now = standing(100, Total::Bytes(4000));
        let speed = meter.see(Timestamp(60_000), &now);
        assert_eq!(
            sentence(&now, speed),
            "100 items (25 %), 1.7/s, 3 min 0 s left"
        );
        let unknown = standing(7, Total::Unknown);
        assert_eq!(sentence(&unknown, None), "7 items");
        assert_eq!(per_time(0.5), "30/min");
        assert_eq!(per_time(0.002), "7.2/h");
    }

    #[test]
    fn speed_is_that_of_the_last_half_minute() {
        let mut meter = Meter::default();
        for second in 0..=60 {
            let next = if second < 30 {
                second * 1000
            } else {
                30_000 + (second - 30) * 10
            };
            let now = standing(next, Total::Items(100_000));
            let speed = meter.see(Timestamp(second.cast_signed() * 1000), &now);
            if second == 60 {
                let said = speed.map(|speed| per_time(speed.per_second));
                assert_eq!(said.as_deref(), Some("10/s"));
            }
        }
    }
}
