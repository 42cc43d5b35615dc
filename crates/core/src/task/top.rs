//! The top of a task file: what the task is called, what starts it, where and how often it runs.

use super::confine;
use super::diagnostic::Problem;
use super::fields::Shape;
use super::model::{
    CallTrigger, Existing, Limits, Missed, ObjectTrigger, Phase, ReleaseTrigger, ScheduleTrigger,
    Trigger,
};
use super::names::Scope;
use super::reader::{Reader, Span, Table, Val};
use super::schedule::{Schedule, time_zone};
use super::webhook;
use crate::ids::Environment;
use crate::limits;

/// The keys of a task file, and what they mean.
pub const TOP: &[(&str, &str)] = &[
    ("title", "What people read."),
    (
        "id",
        "What the task is known by for ever; the file's name without the ending unless given.",
    ),
    ("environments", "Where it runs; everywhere unless given."),
    (
        "tags",
        "Words by which release tasks are chosen: `oncely run --tag WORD`.",
    ),
    ("on", "What starts it."),
    ("limits", "How many of its runs may work at once."),
    (
        "cancel_on",
        "What cancels its runs: a table, or a list of them.",
    ),
    ("step", "What it does, in order."),
];

/// A key and what it means.
pub type KeyDoc = (&'static str, &'static str);

/// The triggers, what they mean, and their keys.
pub const TRIGGERS: &[(&str, &str, &[KeyDoc])] = &[
    (
        "release",
        "Once in each environment, at a release.",
        &[
            ("phase", "Before or after the new version takes traffic."),
            (
                "every",
                "`true`: once at every release, known by its name, and not once for ever.",
            ),
            (
                "independent",
                "`true`: it does not wait for earlier tasks that wait for a person or are held.",
            ),
        ],
    ),
    (
        "object",
        "Once for each object that lands.",
        &[
            ("source", "The watched folder, as `folder:PATH`."),
            ("match", "A glob that names must match, such as `*.csv`."),
            (
                "existing",
                "What happens with objects that were there before the task: run or skip.",
            ),
        ],
    ),
    (
        "call",
        "Once for each call with a new key.",
        &[(
            "key",
            "The key of a call that brings none: an expression over `event`.",
        )],
    ),
    (
        "schedule",
        "Once for each tick of the clock.",
        &[
            (
                "cron",
                "Minute, hour, day of month, month, day of week, such as `0 9 * * MON-FRI`; seconds may stand before them.",
            ),
            (
                "every",
                "In place of `cron`: a duration, counted from 1970-01-01 in UTC, at least a second.",
            ),
            (
                "timezone",
                "The time zone that `cron` is read in, such as `Europe/Berlin`; UTC unless given.",
            ),
            (
                "missed",
                "What happens with ticks that passed while no server was running: all, last or none; last unless given.",
            ),
        ],
    ),
    (
        "webhook",
        "Once for each request with a new key that another program sends.",
        webhook::KEYS,
    ),
];

/// The keys of `limits`, and what they mean.
pub const LIMITS: &[(&str, &str)] = &[
    ("running", "Runs that may work at the same time."),
    (
        "one_at_a_time",
        "Runs for which this expression over `event` gives the same text take turns.",
    ),
];

/// What a file's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileName<'p> {
    /// Without folders and ending.
    pub(super) stem: &'p str,
    /// The ending, without the dot.
    pub(super) ending: &'p str,
    /// The digits before `_`.
    pub(super) version: Option<&'p str>,
}

impl<'p> FileName<'p> {
    pub(super) fn of(path: &'p str) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
        let digits = stem.bytes().take_while(u8::is_ascii_digit).count();
        let (version, rest) = stem.split_at(digits);
        let release = !version.is_empty() && rest.starts_with('_');
        Self {
            stem,
            ending,
            version: release.then_some(version),
        }
    }
}

impl Reader<'_> {
    pub(super) fn title(&mut self, table: &Table<'_, '_>) -> Option<String> {
        let title = self.word(table.get("title")?, "title")?;
        Some(title.to_owned())
    }

    /// The id of a task that is not a release task.
    pub(super) fn task_id(&mut self, table: &Table<'_, '_>, name: &FileName<'_>) -> Option<String> {
        let Some(value) = table.get("id") else {
            let found = task_id(name.stem).map_err(|problem| {
                problem.help("rename the file, or give the task an `id` of its own")
            });
            return self.keep(0..0, found);
        };
        let id = self.word(value, "id")?;
        self.keep(value.span(), task_id(id))
    }

    pub(super) fn environments(&mut self, table: &Table<'_, '_>) -> Vec<Environment> {
        let Some(value) = table.get("environments") else {
            return Vec::new();
        };
        let items = self
            .list(value, "environments", "names")
            .unwrap_or_default();
        if items.is_empty() {
            let problem = Problem::new("`environments` names none")
                .help("leave it out for a task that runs everywhere");
            self.report(value.span(), problem);
        }
        let names = items.iter().filter_map(|item| {
            let name = self.word(item, "environments")?;
            let found = plain_name(name, "an environment");
            self.keep(item.span(), found)
        });
        names.map(Environment::from).collect()
    }

    pub(super) fn tags(&mut self, table: &Table<'_, '_>) -> Vec<String> {
        let Some(value) = table.get("tags") else {
            return Vec::new();
        };
        let items = self.list(value, "tags", "words").unwrap_or_default();
        let words = items.iter().filter_map(|item| {
            let word = self.word(item, "tags")?;
            let found = plain_name(word, "a tag");
            self.keep(item.span(), found)
        });
        words.map(str::to_owned).collect()
    }

    /// What starts the task.
    pub(super) fn on(&mut self, table: &Table<'_, '_>, name: &FileName<'_>) -> Option<Trigger> {
        let Some(value) = table.get("on") else {
            return self.no_on(name);
        };
        let on = self.table(value, "on")?;
        let names: Vec<_> = TRIGGERS.iter().map(|(name, ..)| *name).collect();
        self.known(&on, &names, "`on`");
        let mut given = on.each().filter(|(name, ..)| names.contains(name));
        let (first, second) = (given.next(), given.next());
        if let Some((second, span, _)) = second {
            let problem = Problem::new("a task has one trigger")
                .label(format!("`{second}` is another"))
                .help("make a task of its own of it, and let one `call` the other");
            self.report(span, problem);
        }
        let Some((kind, span, value)) = first else {
            let problem = Problem::new("`on` names no trigger")
                .help(format!("triggers: {}", names.join(", ")));
            self.report(on.span.clone(), problem);
            return None;
        };
        self.trigger(kind, span, value, name)
    }

    fn no_on(&mut self, name: &FileName<'_>) -> Option<Trigger> {
        if let Some(version) = name.version {
            return Some(Trigger::Release(ReleaseTrigger {
                version: version.to_owned(),
                phase: Phase::default(),
                every: false,
                independent: false,
                until_recorded: false,
            }));
        }
        let problem = Problem::new("nothing starts this task")
            .label("there is no `on`")
            .help(
                "add [on.object], [on.schedule], [on.webhook] or [on.call], or name the file \
                 YYYYMMDDHHMMSS_name for a task that runs once at a release",
            );
        self.report(0..0, problem);
        None
    }

    fn trigger(
        &mut self,
        kind: &str,
        span: Span,
        value: &Val<'_>,
        name: &FileName<'_>,
    ) -> Option<Trigger> {
        let table = self.table(value, kind)?;
        let keys = TRIGGERS
            .iter()
            .find(|(name, ..)| *name == kind)
            .map_or(&[][..], |(_, _, keys)| keys);
        let keys: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
        self.known(&table, &keys, &format!("`on.{kind}`"));
        match kind {
            "release" => self.release(&table, span, name).map(Trigger::Release),
            "object" => self.object(&table, span).map(Trigger::Object),
            "schedule" => self.schedule(&table, span).map(Trigger::Schedule),
            "webhook" => self.webhook(&table, span).map(Trigger::Webhook),
            _ => {
                let scope = Scope::event_only(Shape::Open, "call");
                let key = table
                    .get("key")
                    .and_then(|value| self.expr(value, "key", &scope));
                Some(Trigger::Call(CallTrigger { key }))
            }
        }
    }

    fn release(
        &mut self,
        table: &Table<'_, '_>,
        span: Span,
        name: &FileName<'_>,
    ) -> Option<ReleaseTrigger> {
        let phase = table
            .get("phase")
            .and_then(|value| self.choice(value, "phase", &["before", "after"]));
        let every = table
            .get("every")
            .and_then(|value| self.boolean(value, "every"));
        let independent = table
            .get("independent")
            .and_then(|value| self.boolean(value, "independent"));
        let Some(version) = name.version else {
            let stem = name.stem.trim_start_matches(|c: char| c.is_ascii_digit());
            let problem = Problem::new("the name of a release task begins with its version")
                .label("this is a release task")
                .help(format!(
                    "name the file YYYYMMDDHHMMSS_{}.{}, with the time at which it was written",
                    stem.trim_start_matches(['_', '-', '.']),
                    name.ending
                ));
            self.report(span, problem);
            return None;
        };
        Some(ReleaseTrigger {
            version: version.to_owned(),
            phase: match phase {
                Some("before") => Phase::Before,
                _ => Phase::After,
            },
            every: every.unwrap_or(false),
            independent: independent.unwrap_or(false),
            until_recorded: false,
        })
    }

    fn object(&mut self, table: &Table<'_, '_>, span: Span) -> Option<ObjectTrigger> {
        let existing = table
            .get("existing")
            .and_then(|value| self.choice(value, "existing", &["run", "skip"]));
        let pattern = match table.get("match") {
            Some(value) => {
                let text = self.word(value, "match")?;
                self.keep(value.span(), pattern(text))?
            }
            None => "*".to_owned(),
        };
        let Some(value) = table.get("source") else {
            self.missing(span, "source", "`on.object`", "source = \"folder:inbox\"");
            return None;
        };
        let text = self.word(value, "source")?;
        Some(ObjectTrigger {
            folder: self.keep(value.span(), folder(text))?,
            pattern,
            existing: existing.map(|word| match word {
                "run" => Existing::Run,
                _ => Existing::Skip,
            }),
        })
    }

    fn schedule(&mut self, table: &Table<'_, '_>, span: Span) -> Option<ScheduleTrigger> {
        let missed = table
            .get("missed")
            .and_then(|value| self.choice(value, "missed", &["all", "last", "none"]));
        let schedule = match (table.get("cron"), table.get("every")) {
            (Some(cron), None) => self.cron(table, cron),
            (None, Some(every)) => self.every(table, every),
            (Some(_), Some(every)) => {
                let problem = Problem::new("`on.schedule` takes `cron` or `every`")
                    .label("`cron` stands there already");
                self.report(every.span(), problem);
                None
            }
            (None, None) => {
                let help = "cron = \"0 9 * * MON-FRI\", or every = \"15m\"";
                self.missing(span, "cron", "`on.schedule`", help);
                None
            }
        };
        Some(ScheduleTrigger {
            schedule: schedule?,
            missed: match missed {
                Some("all") => Missed::All,
                Some("none") => Missed::None,
                _ => Missed::Last,
            },
        })
    }

    fn cron(&mut self, table: &Table<'_, '_>, value: &Val<'_>) -> Option<Schedule> {
        let zone = match table.get("timezone") {
            None => jiff::tz::TimeZone::UTC,
            Some(value) => {
                let name = self.word(value, "timezone")?;
                let help = "a name of the time zone database, such as \"Europe/Berlin\" or \"UTC\"";
                let found = time_zone(name).map_err(|why| Problem::new(why).help(help));
                self.keep(value.span(), found)?
            }
        };
        let text = self.word(value, "cron")?;
        let found = Schedule::cron(text, zone).map_err(|why| {
            Problem::new(format!("`cron` cannot be read: {why}")).help(
                "minute, hour, day of month, month, day of week: \"0 9 * * MON-FRI\" is nine \
                 o'clock on weekdays",
            )
        });
        self.keep(value.span(), found)
    }

    fn every(&mut self, table: &Table<'_, '_>, value: &Val<'_>) -> Option<Schedule> {
        if let Some(span) = table.get("timezone").map(|_| table.key_span("timezone")) {
            let problem = Problem::new("`timezone` is for `cron`")
                .label("`every` is counted in UTC and knows no time zone");
            self.report(span, problem);
        }
        let millis = self.some_time(value, "every")?;
        if millis < limits::TICK_EVERY_MS {
            let problem = Problem::new("`every` is at least a second");
            self.report(value.span(), problem);
            return None;
        }
        Some(Schedule::every(millis))
    }

    pub(super) fn limits(
        &mut self,
        table: &Table<'_, '_>,
        event: Shape,
        on: &'static str,
    ) -> Limits {
        let Some(limits) = table.get("limits").and_then(|v| self.table(v, "limits")) else {
            return Limits::default();
        };
        let keys: Vec<_> = LIMITS.iter().map(|(name, _)| *name).collect();
        self.known(&limits, &keys, "`limits`");
        let running = limits
            .get("running")
            .and_then(|value| self.int(value, "running", 1, i64::from(u32::MAX)));
        let scope = Scope::event_only(event, on);
        Limits {
            running: running.and_then(|number| u32::try_from(number).ok()),
            one_at_a_time: limits
                .get("one_at_a_time")
                .and_then(|value| self.expr(value, "one_at_a_time", &scope)),
        }
    }
}

fn folder(source: &str) -> Result<String, Problem> {
    let help = "write `folder:` and a path below the project's root: \"folder:inbox\"";
    match source.split_once(':') {
        Some(("folder", path)) => {
            confine::fixed_path(path, "source").map_err(|problem| match problem.help {
                None => problem.help(help),
                Some(_) => problem,
            })?;
            Ok(path.trim_end_matches('/').to_owned())
        }
        Some((scheme, _)) => {
            Err(Problem::new(format!("`{scheme}:` is not in this version of oncely")).help(help))
        }
        None => Err(Problem::new("a source has a scheme").help(help)),
    }
}

pub(super) fn pattern(text: &str) -> Result<String, Problem> {
    if text.starts_with('/') || text.split('/').any(|part| part == "..") {
        return Err(Problem::new("`match` stays below the watched folder"));
    }
    confine::fixed(text, "match", "write the pattern out")?;
    Ok(text.to_owned())
}

/// Checks the id of a task that is not a release task.
fn task_id(id: &str) -> Result<String, Problem> {
    if id.bytes().all(|b| b.is_ascii_digit()) {
        return Err(
            Problem::new(format!("`{id}` cannot be the id of this task"))
                .label("digits alone are the version of a release task"),
        );
    }
    plain_name(id, "a task").map(str::to_owned)
}

fn plain_name<'n>(name: &'n str, of: &str) -> Result<&'n str, Problem> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let first = name.chars().next();
    let good = name.chars().all(plain)
        && first.is_some_and(char::is_alphanumeric)
        && name.len() <= limits::NAME_BYTES;
    if good {
        return Ok(name);
    }
    Err(
        Problem::new(format!("`{name}` cannot be the name of {of}")).label(format!(
            "letters, digits, `_`, `-` and `.`, at most {} bytes",
            limits::NAME_BYTES
        )),
    )
}
