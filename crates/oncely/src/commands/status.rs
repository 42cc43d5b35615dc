//! `oncely status`: each task, its last run, and what needs a person.
//!
//! Its cost is one question to the ledger about all tasks, one about when their runs began, and the
//! facts of the runs that have not ended: unchanged files are not read.

use super::attention;
use super::changed::{self, Changed, Last, Lasts};
use super::drive::Stands;
use super::progress;
use super::run::is_in;
use crate::adopt::MIRROR;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, moment, rfc3339, span, table};
use crate::overview::{self, Brief, Overview, Starts};
use crate::project;
use oncely_core::Value;
use oncely_core::ids::{RunId, TaskId};
use oncely_core::ledger::RunRow;
use oncely_core::run::RunStatus;
use oncely_core::task::Trigger;
use oncely_core::time::{Clock, Timestamp};
use std::collections::{HashMap, HashSet};

pub(crate) fn run(voice: Voice, flags: &Flags) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely status", false)?;
    let overview = house.block_on(async {
        // The files are looked at while the ledger answers.
        let config = house.config.clone();
        let files = tokio::task::spawn_blocking(move || overview::read(&config));
        let lasts = Lasts::read(&house).await;
        let overview = files
            .await
            .unwrap_or_else(|e| Err(Failure::failed(e.to_string())))?;
        let lasts = lasts?;
        let tasks = lasts.of(&overview.tasks);
        let changed = changed::since(&house, &tasks).await?;
        let listing = Listing {
            voice,
            house: &house,
            overview: &overview,
            changed: changed.iter().map(|c| (&c.task, c)).collect(),
        };
        let listed = listing.lines(&tasks, &lasts).await?;
        match (listed.is_empty(), overview.problems.is_empty()) {
            (false, _) => tell(voice, listed),
            (true, true) => voice.say("There are no tasks yet. `oncely new NAME` writes one."),
            (true, false) => {}
        }
        attention::people(voice, &house).await?;
        changed::say(voice, &changed);
        full_disk(voice, &house);
        Ok::<_, Failure>(overview)
    })?;
    if !overview.problems.is_empty() {
        voice.say(format!(
            "\n{}",
            project::render(&overview.problems, voice.colour)
        ));
        return Ok(Exit::Usage);
    }
    Ok(Exit::Done)
}

/// Says that nothing new is begun, where the ledger's disk is full.
fn full_disk(voice: Voice, house: &House) {
    if house.ledger().is_full() == Some(true) {
        let ledger = &house.config.ledger.value;
        voice.record(&serde_json::json!({ "disk_full": ledger.to_string() }));
        voice.say(format!(
            "\nThe disk of {ledger} is full. Nothing new is begun; what was being done is recorded. Free some \
             space: work goes on by itself."
        ));
    }
}

/// A task as it is shown.
enum Line {
    /// To people.
    Cells(Vec<String>),
    /// To programs.
    Record(String),
}

/// The table of tasks. When something happens next stands there where something does.
fn tell(voice: Voice, listed: Vec<Line>) {
    let mut lines = Vec::with_capacity(listed.len());
    let mut records = Vec::new();
    for line in listed {
        match line {
            Line::Cells(cells) => lines.push(cells),
            Line::Record(record) => records.push(record),
        }
    }
    let mut head = vec![
        "state",
        "version",
        "task",
        "last run (UTC)",
        "took",
        "next (UTC)",
    ];
    let none = |line: &Vec<String>| line.last().is_none_or(String::is_empty);
    if lines.iter().all(none) {
        head.pop();
        lines.iter_mut().for_each(|line| drop(line.pop()));
    }
    voice.records(&records);
    voice.say(table(&head, &lines));
}

struct Listing<'a> {
    voice: Voice,
    house: &'a House,
    overview: &'a Overview,
    changed: HashMap<&'a TaskId, &'a Changed>,
}

impl Listing<'_> {
    /// The tasks of this environment, and those whose files are gone.
    async fn lines(
        &self,
        tasks: &[(&Brief, Option<&Last>)],
        lasts: &Lasts,
    ) -> Result<Vec<Line>, Failure> {
        let environment = &self.house.config.environment.value;
        let mut lines = Vec::with_capacity(tasks.len());
        for (brief, last) in tasks {
            if is_in(&brief.environments, environment) {
                lines.push(self.line(brief, *last).await?);
            }
        }
        let found = tasks.iter().filter_map(|(_, last)| Some((*last)?.row.id));
        let found: HashSet<RunId> = found.collect();
        let gone = lasts.iter().map(|last| &last.row);
        let gone = gone.filter(|row| !found.contains(&row.id) && row.task.as_str() != MIRROR);
        lines.extend(gone.map(|row| self.gone(row)));
        Ok(lines)
    }

    async fn line(&self, brief: &Brief, last: Option<&Last>) -> Result<Line, Failure> {
        if self.voice.json {
            return Ok(Line::Record(self.record(brief, last).await?.to_string()));
        }
        let label = project::stem(&brief.path);
        let version = match &brief.on {
            Starts::Release(text) | Starts::Other(text) => text,
        };
        let name = label.strip_prefix(version.as_str());
        let name = name.and_then(|rest| rest.strip_prefix('_'));
        let name = name.unwrap_or(label).to_owned();
        let (state, at, took) = match last {
            Some(last) => (
                self.voice.status(last.row.status),
                moment(last.row.changed),
                self.took(last).await?,
            ),
            None => (
                self.voice.dim(never_ran(brief)),
                String::new(),
                String::new(),
            ),
        };
        let next = self.next_tick(&brief.id).map(moment).unwrap_or_default();
        let version = version.clone();
        Ok(Line::Cells(vec![state, version, name, at, took, next]))
    }

    /// How long the last run took, or how far its stream is.
    async fn took(&self, last: &Last) -> Result<String, Failure> {
        let row = &last.row;
        if row.status.is_ended() {
            return Ok(span(millis(last)));
        }
        let stream = match row.status {
            RunStatus::Running => {
                let stands = Stands::read(self.house, row.id).await?;
                progress::under_way(self.house, &stands).await?
            }
            _ => None,
        };
        Ok(stream.map(|standing| standing.items()).unwrap_or_default())
    }

    async fn record(&self, brief: &Brief, last: Option<&Last>) -> Result<Value, Failure> {
        let next = self.next_tick(&brief.id).map(rfc3339);
        let Some(last) = last else {
            return Ok(serde_json::json!({
                "task": brief.id, "file": brief.path, "state": never_ran(brief), "next": next,
            }));
        };
        let row = &last.row;
        // Only what has not ended asks, or waits between rounds.
        let stands = match row.status.is_ended() || row.seq == 0 {
            true => None,
            false => Some(Stands::read(self.house, row.id).await?),
        };
        let stream = match &stands {
            Some(stands) => progress::under_way(self.house, stands).await?,
            None => None,
        };
        let stream = stream.map(|standing| standing.record());
        let rounds = stands.as_ref().and_then(Stands::rounds);
        let rounds = rounds.map(|(step, done, due)| {
            serde_json::json!({ "step": step, "done": done, "next": due.map(rfc3339) })
        });
        Ok(serde_json::json!({
            "task": brief.id, "file": brief.path, "state": row.status, "run": row.id,
            "last_run": rfc3339(row.changed), "millis": millis(last), "next": next,
            "rounds": rounds, "stream": stream, "needs_person": self.needs_person(row, stands.as_ref()),
            "changed": self.changed.get(&brief.id).map(|changed| changed.record()),
        }))
    }

    /// When the clock starts a task next, while a server is running.
    fn next_tick(&self, task: &TaskId) -> Option<Timestamp> {
        match &self.overview.scheduled.get(task)?.on {
            Trigger::Schedule(trigger) => trigger.schedule.next_after(self.house.clock.now()),
            _ => None,
        }
    }

    /// Whether a person is asked, or has to look.
    fn needs_person(&self, row: &RunRow, stands: Option<&Stands>) -> bool {
        let now = self.house.clock.now();
        let asked = stands.is_some_and(|s| s.waits_for_person() && !s.question_is_over(now));
        asked || matches!(row.status, RunStatus::Unknown | RunStatus::Failed)
    }

    /// A task that ran here and whose file is gone.
    fn gone(&self, row: &RunRow) -> Line {
        if self.voice.json {
            let record = serde_json::json!({
                "task": row.task, "file": null, "state": row.status, "run": row.id,
            });
            return Line::Record(record.to_string());
        }
        let (state, name) = (self.voice.status(row.status), "(no file)".to_owned());
        let (task, at) = (row.task.to_string(), moment(row.changed));
        Line::Cells(vec![state, task, name, at, String::new(), String::new()])
    }
}

/// How long a run took, or has taken.
fn millis(last: &Last) -> i64 {
    let began = last.begun.map_or(last.row.admitted, |begun| begun.at);
    last.row.changed.millis_since(began)
}

/// How a task stands that has no run.
fn never_ran(brief: &Brief) -> &'static str {
    match brief.on {
        Starts::Release(_) => "pending",
        Starts::Other(_) => "ready",
    }
}
