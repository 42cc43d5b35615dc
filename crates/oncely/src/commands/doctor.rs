//! `oncely doctor`: configuration and where it came from, ledger, disk, clock and permissions.

use crate::config::{Config, FILE, Flags};
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, count, moment, thousands};
use crate::project;
use crate::registry::{self, Registry};
use oncely_actions::Database;
use oncely_core::task::Trigger;
use oncely_core::time::Clock;
use oncely_engine::Ask;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Less free space than this is said.
const ROOM_BYTES: u64 = 200 * 1024 * 1024;

pub(crate) fn run(voice: Voice, flags: &Flags) -> Result<Exit, Failure> {
    let config = Config::load(flags)?;
    let mut report = Report { voice, wrong: 0 };
    report.configuration(&config);
    report.email(&config);
    if let Err(failure) = Registry::new(&config) {
        report.wrong("configuration", &failure.message);
    }
    report.tasks(&config);
    report.disk(&config);
    match House::open(flags, "oncely doctor", false) {
        Ok(house) if house.store().exists() => report.ledger(&house)?,
        Ok(_) => report.fine("ledger", "not made yet; the first run makes it"),
        Err(failure) => report.wrong("ledger", &failure.message),
    }
    let wrong = report.wrong;
    voice.say(match wrong {
        0 => "\nNothing is wrong.".to_owned(),
        _ => format!("\n{} to look at.", count(wrong, "thing")),
    });
    Ok(if wrong == 0 { Exit::Done } else { Exit::Failed })
}

struct Report {
    voice: Voice,
    wrong: usize,
}

impl Report {
    fn fine(&self, what: &str, text: &str) {
        self.voice
            .record(&serde_json::json!({ "check": what, "ok": true, "text": text }));
        self.voice.say(format!("  ok   {what:<14} {text}"));
    }

    fn wrong(&mut self, what: &str, text: &str) {
        self.wrong += 1;
        self.voice
            .record(&serde_json::json!({ "check": what, "ok": false, "text": text }));
        self.voice.say(format!("  LOOK {what:<14} {text}"));
    }

    fn configuration(&mut self, config: &Config) {
        let allowed = &config.http_allow.value;
        let allowed = if allowed.is_empty() {
            "none".into()
        } else {
            allowed.join(", ")
        };
        let people: Vec<&str> = config.people.value.iter().map(|(name, _)| name).collect();
        let people = if people.is_empty() {
            "none".into()
        } else {
            people.join(", ")
        };
        let grace = format!("{} s", config.grace.value.as_secs());
        let lease = format!("{} s", config.lease.value.as_secs());
        let protected = FILE.to_owned();
        let rows = [
            (
                "environment",
                config.environment.value.to_string(),
                &config.environment.from,
            ),
            ("protected", config.protected.names(), &protected),
            (
                "ledger",
                config.ledger.value.to_string(),
                &config.ledger.from,
            ),
            (
                "tasks",
                config.tasks.value.display().to_string(),
                &config.tasks.from,
            ),
            (
                "spool",
                config.spool.value.display().to_string(),
                &config.spool.from,
            ),
            ("http.allow", allowed, &config.http_allow.from),
            (
                "slack.api",
                config.slack.value.to_string(),
                &config.slack.from,
            ),
            ("people", people, &config.people.from),
            (
                "acting",
                config.acting.value.to_string(),
                &config.acting.from,
            ),
            (
                "acting_per_task",
                config.acting_per_task.value.to_string(),
                &config.acting_per_task.from,
            ),
            ("grace", grace, &config.grace.from),
            ("lease", lease, &config.lease.from),
        ];
        for (name, value, from) in rows {
            self.fine(name, &format!("{value}  ({from})"));
        }
        let gateway = &config.gateway;
        for (name, value) in gateway.value.rows() {
            self.fine(name, &format!("{value}  ({})", gateway.from));
        }
        if let Some(rake) = &config.rake {
            let place = rake.place(&config.root);
            let place = place.map_or_else(|_| rake.database.clone(), |place| place.to_string());
            let mirror = if rake.mirror {
                ", as new tasks are"
            } else {
                ""
            };
            self.fine(
                "adopt.rake",
                &format!("{}, recorded in {place}{mirror}  (oncely.toml)", rake.dir),
            );
        }
        for (named, place) in &config.databases {
            let name = format!("db.{named}");
            match place.database(named, &*registry::secrets(config)) {
                Database::Unknown(why) => self.wrong(&name, &why),
                _ => self.fine(&name, &place.to_string()),
            }
        }
    }

    fn email(&mut self, config: &Config) {
        for (name, value) in config.email.rows() {
            self.fine(name, &value);
        }
        let Some(name) = config.email.secret() else {
            return;
        };
        match registry::secrets(config).get(name) {
            Some(_) => self.fine("email password", "given"),
            None => self.wrong("email password", &not_given(name)),
        }
    }

    fn tasks(&mut self, config: &Config) {
        match project::load(config) {
            Err(failure) => self.wrong("task files", &failure.message),
            Ok(loaded) if loaded.problems.is_empty() => {
                self.fine("task files", &count(loaded.tasks.len(), "task"));
                self.hooks(config, &loaded);
            }
            Ok(loaded) => {
                let errors = count(loaded.problems.len(), "error");
                self.wrong(
                    "task files",
                    &format!("{errors}; `oncely check` shows them"),
                );
            }
        }
    }

    /// The addresses of webhooks, and what keeps requests from them.
    fn hooks(&mut self, config: &Config, loaded: &project::Loaded) {
        let here = &config.environment.value;
        for known in &loaded.tasks {
            let task = &known.task;
            let Trigger::Webhook(trigger) = &task.on else {
                continue;
            };
            if !super::run::concerns(task, here) {
                continue;
            }
            let name = format!("webhook {}", project::label(task));
            match config.gateway.value.reached_at(&trigger.path) {
                None => self.wrong(&name, &registry::no_listener(trigger)),
                Some(address) => self.fine(&name, &address),
            }
            let secrets = registry::secrets(config);
            let named = trigger.verify.iter().flat_map(|verify| &verify.secrets);
            for secret in named.filter(|secret| secrets.get(secret).is_none()) {
                self.wrong(&name, &not_given(secret));
            }
        }
    }

    fn disk(&mut self, config: &Config) {
        let folder = config.data();
        let folder = if folder.is_dir() {
            folder
        } else {
            config.root.clone()
        };
        match rustix::fs::statvfs(&folder) {
            Ok(stat) => {
                let free = stat.f_bavail.saturating_mul(stat.f_frsize);
                let text = format!("{} MB free", thousands(free / 1_000_000));
                if free < ROOM_BYTES {
                    self.wrong("disk", &format!("{text}: too little to go on for long"));
                } else {
                    self.fine("disk", &text);
                }
            }
            Err(error) => self.wrong("disk", &format!("{}: {error}", folder.display())),
        }
        self.permissions(&folder);
    }

    fn permissions(&mut self, folder: &Path) {
        if !folder.ends_with(".oncely") {
            return;
        }
        let mode = std::fs::metadata(folder).map_or(0, |m| m.permissions().mode() & 0o777);
        if mode & 0o077 == 0 {
            self.fine("permissions", "the ledger's folder is private to you");
        } else {
            let path = folder.display();
            self.wrong(
                "permissions",
                &format!("{path} is open to others ({mode:o}): chmod 700 {path}"),
            );
        }
    }

    fn ledger(&mut self, house: &House) -> Result<(), Failure> {
        let environment = house.config.environment.value.clone();
        let (counts, holders, newest) = house.block_on(async {
            let ask = Ask(house.ledger());
            let newest = ask.newest(environment.clone()).await?;
            Ok::<_, Failure>((ask.counts(environment).await?, ask.holders().await?, newest))
        })?;
        let runs: u64 = counts.iter().map(|(_, n)| n).sum();
        self.fine(
            "ledger",
            &format!("{} runs in this environment", thousands(runs)),
        );
        for holder in holders {
            let since = moment(holder.since);
            self.fine(
                "at work",
                &format!("process {} ({}) since {since} UTC", holder.pid, holder.role),
            );
        }
        let now = house.clock.now();
        let ahead = newest
            .iter()
            .map(|row| row.changed.millis_since(now))
            .max()
            .unwrap_or(0);
        if ahead > 60_000 {
            self.wrong(
                "clock",
                &format!(
                    "the ledger has entries {} s in the future: the clock was set back",
                    ahead / 1000
                ),
            );
        } else {
            self.fine("clock", &format!("{} UTC", moment(now)));
        }
        Ok(())
    }
}

fn not_given(secret: &str) -> String {
    format!(
        "the secret {secret} is not given: set ONCELY_SECRET_{secret}, or put a file named {secret} into the \
         secrets folder"
    )
}
