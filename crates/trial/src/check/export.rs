//! The ledger's export, read as lines of JSON.

use serde_json::Value;
use std::collections::BTreeMap;

/// A run of the export and everything that belongs to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Run {
    pub(crate) id: i64,
    pub(crate) task: String,
    pub(crate) key: String,
    pub(crate) generation: u64,
    pub(crate) status: String,
    pub(crate) event: Value,
    pub(crate) parent: Option<i64>,
    pub(crate) facts: Vec<Value>,
    /// With the step in each.
    pub(crate) item_facts: Vec<Value>,
    pub(crate) progress: Vec<Value>,
    pub(crate) set_aside: Vec<Value>,
}

impl Run {
    /// What the sender called the event: the file's name, or the id.
    pub(crate) fn sent_as(&self) -> &str {
        let name = self.event.get("name").or_else(|| self.event.get("id"));
        name.and_then(Value::as_str).unwrap_or(&self.key)
    }

    pub(crate) fn label(&self) -> String {
        format!("run {} ({} {})", self.id, self.task, self.key)
    }
}

/// The export.
#[derive(Debug, Clone, Default)]
pub struct Export {
    pub(crate) runs: BTreeMap<i64, Run>,
}

impl Export {
    /// Reads an export.
    ///
    /// # Errors
    /// When a line is not JSON or belongs to no run.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut export = Self::default();
        for (place, line) in text.lines().enumerate() {
            let value: Value = serde_json::from_str(line)
                .map_err(|e| format!("line {} of the export is not JSON: {e}", place + 1))?;
            export
                .take(value)
                .ok_or_else(|| format!("line {} of the export belongs to no run", place + 1))?;
        }
        Ok(export)
    }

    fn take(&mut self, value: Value) -> Option<()> {
        let kind = value.get("kind")?.as_str()?.to_owned();
        match kind.as_str() {
            "run" => {
                let run = run(&value)?;
                self.runs.insert(run.id, run);
            }
            "fact" => self.of(&value)?.facts.push(value),
            "item_fact" => self.of(&value)?.item_facts.push(value),
            "progress" => self.of(&value)?.progress.push(value),
            "set_aside" => self.of(&value)?.set_aside.push(value),
            _ => {}
        }
        Some(())
    }

    fn of(&mut self, value: &Value) -> Option<&mut Run> {
        self.runs.get_mut(&value.get("run")?.as_i64()?)
    }
}

fn run(value: &Value) -> Option<Run> {
    let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    Some(Run {
        id: value.get("id")?.as_i64()?,
        task: text("task")?,
        key: text("key")?,
        generation: value.get("generation")?.as_u64()?,
        status: text("status")?,
        event: serde_json::from_str(&text("event")?).ok()?,
        parent: value.get("parent").and_then(Value::as_i64),
        ..Run::default()
    })
}

impl Export {
    /// How many runs there are.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Runs that wait as unknown.
    #[must_use]
    pub fn unknown(&self) -> usize {
        self.runs
            .values()
            .filter(|run| run.status == "unknown")
            .count()
    }
}
