//! Calls that are caught: what would be done is written down as text, and nothing is done. What the
//! other side would have answered comes from whoever catches; what that means for the step is judged
//! by the code that judges real answers.

use crate::secret::Secrets;
use crate::{call, command, email, http, put, slack, sql};
use oncely_core::Value;
use oncely_core::action::{Call, Failure};
use oncely_core::task::ActionKind;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

/// Longest text of somebody else's that is shown, in bytes.
const SHOWN_BYTES: usize = 4 * 1024;

/// What the other side is said to have answered: fields of the step's output.
pub type Given = serde_json::Map<String, Value>;

/// What catching calls needs to know.
#[derive(Debug, Clone, Default)]
pub struct Catching {
    /// The project's root, where relative paths start.
    pub root: PathBuf,
    /// Who sends mails whose step does not say.
    pub from: Option<String>,
    /// The databases that tasks may name.
    pub databases: BTreeSet<String>,
    /// Folders below which absolute paths may lie.
    pub allowed: Vec<PathBuf>,
}

/// A call that was caught.
#[derive(Debug, Clone, PartialEq)]
pub struct Caught {
    /// What would have been done, for people; secrets stand by their names.
    pub text: String,
    /// What the answer means for the step.
    pub result: Result<Value, Failure>,
}

impl Catching {
    /// Catches a call.
    ///
    /// # Errors
    /// When nothing would have been sent: the rendered options cannot be used.
    pub fn catch(&self, kind: ActionKind, call: &Call, given: &Given) -> Result<Caught, Failure> {
        match kind {
            ActionKind::Command => command::catch(call, given),
            ActionKind::Http => http::catch(call, given),
            ActionKind::Sql => sql::catch(self, call, given),
            ActionKind::Put => put::catch(self, call, given),
            ActionKind::Email => email::catch(self, call, given),
            ActionKind::Slack => slack::catch(call, given),
            ActionKind::Call => call::catch(call, given),
            ActionKind::Predict | ActionKind::Require | ActionKind::Approve => Err(
                Failure::permanent(format!("`{kind}` steps have no effect to be caught")),
            ),
        }
    }
}

/// Secrets by their names: what is shown instead of them.
pub(crate) struct ByName;

impl Secrets for ByName {
    fn get(&self, name: &str) -> Option<String> {
        Some(format!("<secret {name}>"))
    }
}

/// An output as it usually is, and over it what was given.
pub(crate) fn over(usual: Value, given: &Given) -> Value {
    let mut output = usual;
    if let Some(table) = output.as_object_mut() {
        table.extend(given.clone());
    }
    output
}

/// A text that grows by lines.
#[derive(Default)]
pub(crate) struct Lines(String);

impl Lines {
    /// A line.
    pub(crate) fn line(&mut self, line: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{line}");
    }

    /// A line with a name before it, where there is something to say.
    pub(crate) fn named(&mut self, name: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.line(format_args!("{name}: {value}"));
        }
    }

    /// A text of its own below an empty line, cut at its bound.
    pub(crate) fn body(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let mut end = text.len().min(SHOWN_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let shown = text.get(..end).unwrap_or_default();
        self.line("");
        self.line(shown.trim_end_matches('\n'));
        if end < text.len() {
            self.line(format_args!("… (cut: {} bytes in all)", text.len()));
        }
    }

    /// JSON as people read it, below an empty line.
    pub(crate) fn json(&mut self, value: &Value) {
        self.body(&format!("{value:#}"));
    }

    /// The whole text.
    pub(crate) fn text(self) -> String {
        self.0
    }
}
