//! What everybody wrote down: the sender, the endpoint, the programs, the database, the folder.

use serde_json::Value;
use std::collections::BTreeMap;

/// A file that was dropped or an event that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The task that it starts.
    pub task: String,
    /// The event's id, or the file's name.
    pub id: String,
    /// Records or items that are as they should be.
    pub good: u64,
    /// Records that are broken.
    pub broken: u64,
}

/// A request that the endpoint kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its path.
    pub path: String,
    /// Its `Idempotency-Key`.
    pub key: String,
    /// Its body, as it came.
    pub body: String,
    /// When it came, in milliseconds since 1970.
    pub at_ms: i64,
}

impl Request {
    /// A value of the body, as text.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let body: Value = serde_json::from_str(&self.body).ok()?;
        let value = body.get(name)?;
        Some(
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned),
        )
    }
}

/// A line that a program wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which program.
    pub program: String,
    /// `ONCELY_KEY`.
    pub key: String,
    /// `ONCELY_ATTEMPT`.
    pub attempt: u64,
    /// `ONCELY_EVENT_KEY`.
    pub event: String,
}

/// How often a row is in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The file or event that it came from.
    pub object: String,
    /// Its number there.
    pub item: i64,
    /// How often it is there.
    pub times: u64,
}

/// What the ledger's database wrote down by itself, in the transaction that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// `claimed`; `done`; or `late`: an intent under a fence that was not the run's.
    pub what: String,
    /// The run.
    pub run: i64,
    /// Under which fence.
    pub fence: i64,
    /// Who claimed it; of what is late, the run's fence.
    pub holder: i64,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What was accepted.
    pub sent: Vec<Sent>,
    /// What the endpoint kept.
    pub requests: Vec<Request>,
    /// What programs wrote.
    pub lines: Vec<Line>,
    /// What is in the results.
    pub rows: Vec<Row>,
    /// How often each tally is in the ledger's own database.
    pub tallies: BTreeMap<String, u64>,
    /// Files that were put, by name.
    pub files: BTreeMap<String, String>,
    /// When each killed server was seen to be dead, in milliseconds since 1970, in order.
    pub kills: Vec<i64>,
    /// What the database wrote down, in order for each run.
    pub audited: Vec<Audited>,
    /// The clocks of those who wrote were not the same: times of facts say nothing about their order.
    pub clocks_differ: bool,
}
