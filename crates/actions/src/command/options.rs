//! The options of a `command` step.

use crate::secret::SecretText;
use oncely_core::Value;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What a `command` step says.
#[derive(Debug, Deserialize)]
pub(crate) struct Options {
    /// A program and its arguments.
    pub(crate) args: Option<Vec<Word>>,
    /// A text for the shell.
    pub(crate) shell: Option<String>,
    /// The file that a bare executable task is.
    pub(crate) script: Option<String>,
    /// Its content, as the run is pinned to it.
    pub(crate) script_text: Option<String>,
    /// Environment variables.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, SecretText>,
    /// What it reads.
    pub(crate) stdin: Option<Value>,
    /// Where it runs.
    pub(crate) cwd: Option<String>,
    /// How its output is read.
    #[serde(default)]
    pub(crate) output: Reading,
    /// Doing it twice is the same as doing it once.
    #[serde(default)]
    pub(crate) safe: bool,
    /// How long it recognises `ONCELY_KEY`, in milliseconds.
    pub(crate) key_honoured: Option<i64>,
}

/// How standard output is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reading {
    /// As JSON where it is JSON.
    #[default]
    Auto,
    /// As text.
    Text,
    /// As JSON, and as nothing else.
    Json,
}

/// An argument; numbers and truths that a template gave are written out.
#[derive(Debug, Deserialize)]
#[serde(from = "Value")]
pub(crate) struct Word(pub(crate) String);

impl From<Value> for Word {
    fn from(value: Value) -> Self {
        Self(match value {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        })
    }
}
