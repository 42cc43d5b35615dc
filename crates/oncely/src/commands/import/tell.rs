//! What people are told of an import, before and after.

use super::command::Importing;
use super::sorted::{Fate, LONGEST, Sorted, Version};
use crate::commands::run::concerns;
use crate::output::{count, table};
use crate::project::{self, Loaded};
use oncely_core::ids::TaskId;
use oncely_core::ledger::RunRow;
use oncely_sources::release;
use std::collections::{BTreeMap, BTreeSet};

impl Importing<'_> {
    /// A line for each version, but for those that were imported before.
    pub(super) fn tell(&self, sorted: &Sorted) {
        let strange = sorted.has(Fate::Strange);
        let versions = count(sorted.versions.len() - strange, "version");
        self.voice.say(format!(
            "{} in {} of {}: {versions}.",
            count(sorted.rows, "row"),
            self.table,
            self.place
        ));
        let news = sorted.versions.iter().filter(|v| v.fate != Fate::Before);
        let lines: Vec<Vec<String>> = news.map(|version| self.line(version)).collect();
        if !lines.is_empty() {
            let heads = ["becomes", "version", "task", "note"];
            self.voice.say(table(&heads, &lines));
        }
    }

    fn line(&self, version: &Version) -> Vec<String> {
        self.voice.record(&serde_json::json!({
            "version": version.name, "file": version.file, "becomes": version.fate.word(),
            "rows": version.rows, "run": version.run.as_ref().map(|row| row.id),
        }));
        let mut notes = Vec::new();
        if let Some(row) = &version.run {
            notes.push(format!("{} as run {}", row.status, row.id));
        }
        if version.rows > 1 {
            notes.push(format!("{} rows", version.rows));
        }
        vec![
            version.fate.word().to_owned(),
            shown(&version.name),
            task(version),
            notes.join(", "),
        ]
    }

    pub(super) fn end(&self, sorted: &Sorted, came: Option<usize>) {
        let environment = &self.house.config.environment.value;
        let wanted = sorted.has(Fate::Imported);
        let before = sorted.has(Fate::Before);
        self.voice.record(&serde_json::json!({
            "imported": came, "would_import": wanted, "before": before,
            "collisions": sorted.has(Fate::Collides), "rows": sorted.rows,
        }));
        let before = match before {
            0 => String::new(),
            _ => format!(" {} imported before.", count(before, "version")),
        };
        self.voice.say(match came {
            None => format!(
                "{} would be imported into {environment}.{before} Nothing was done.",
                count(wanted, "version")
            ),
            Some(came) => format!(
                "{} imported into {environment}.{before}",
                count(came, "version")
            ),
        });
        for version in sorted.of_fate(Fate::Collides) {
            if let Some(row) = &version.run {
                let (id, status, name) = (row.id, row.status, &version.name);
                self.voice.say(format!(
                    "{name} stands in {}, and here run {id} of it is {status}. It was left so: \
                     oncely show {id}",
                    self.table
                ));
            }
        }
    }

    /// What the next `oncely run` would do: tasks that neither the table nor the ledger knows.
    pub(super) fn left(&self, sorted: &Sorted, rows: &BTreeMap<TaskId, RunRow>, loaded: &Loaded) {
        let environment = &self.house.config.environment.value;
        let in_table: BTreeSet<&str> = sorted.versions.iter().map(|v| v.name.as_str()).collect();
        let pending = loaded.tasks.iter().filter(|known| {
            let task = &known.task;
            release::version(task).is_some()
                && concerns(task, environment)
                && !rows.contains_key(&task.id)
                && !in_table.contains(task.id.as_str())
        });
        let labels: Vec<String> = pending.map(|known| project::label(&known.task)).collect();
        self.voice.record(&serde_json::json!({ "pending": labels }));
        if !labels.is_empty() {
            self.voice.say(format!(
                "The table does not have these, and the next `oncely run` does them:\n  {}",
                labels.join("\n  ")
            ));
        }
    }
}

/// The name of a version's task, without the version.
fn task(version: &Version) -> String {
    let Some(path) = &version.file else {
        return "(no file)".into();
    };
    let stem = project::stem(path);
    let name = stem.strip_prefix(&format!("{}_", version.name));
    name.unwrap_or(stem).to_owned()
}

/// A version as it may be shown: it may hold anything.
fn shown(version: &str) -> String {
    let plain = version.bytes().all(|b| b.is_ascii_digit());
    if plain && !version.is_empty() && version.len() <= LONGEST {
        return version.to_owned();
    }
    let head: String = version.chars().take(LONGEST).collect();
    format!("{head:?}")
}
