//! What a program answers on standard output: plain text, JSON, or an object with the reserved key
//! `oncely` by which it decides the outcome itself.

use super::options::Reading;
use crate::excerpt::Kept;
use crate::secret::Veil;
use oncely_core::Value;
use oncely_core::action::Failure;
use serde::Deserialize;
use std::time::Duration;

/// The reserved key.
const KEY: &str = "oncely";

/// What the program answered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Its output as a value.
    pub(crate) json: Option<Value>,
    /// What it decided, in its own words.
    verdict: Option<Verdict>,
}

#[derive(Debug, Deserialize)]
struct Verdict {
    status: Status,
    #[serde(default)]
    error: String,
    after_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Done,
    Retry,
    Failed,
    Unknown,
}

impl Answer {
    /// Reads standard output. An answer with the reserved key that makes no sense is an error.
    pub(crate) fn read(stdout: &Kept, reading: Reading, veil: &Veil) -> Result<Self, String> {
        if reading == Reading::Text {
            return Ok(Self::default());
        }
        let Some(mut json) = parse(stdout) else {
            return Ok(Self::default());
        };
        // What a program reads has a number there: giving that back is no verdict.
        let decides = json.get(KEY).is_some_and(|value| !value.is_number());
        let verdict = match json.as_object_mut() {
            Some(table) if decides => table.shift_remove(KEY).map(|value| verdict(&value)),
            _ => None,
        };
        let verdict = verdict.transpose()?;
        veil.value(&mut json);
        Ok(Self {
            json: Some(json),
            verdict,
        })
    }

    /// The outcome that the program decided on, if it did.
    pub(crate) fn outcome(&self) -> Option<Result<(), Failure>> {
        let verdict = self.verdict.as_ref()?;
        let error = match verdict.error.as_str() {
            "" => "the program gave no reason".to_owned(),
            error => error.to_owned(),
        };
        Some(match verdict.status {
            Status::Done => Ok(()),
            Status::Retry => Err(Failure::Retry {
                error,
                after: verdict.after_ms.map(Duration::from_millis),
            }),
            Status::Failed => Err(Failure::permanent(error)),
            Status::Unknown => Err(Failure::unknown(error)),
        })
    }
}

fn parse(stdout: &Kept) -> Option<Value> {
    serde_json::from_slice(&stdout.whole()?).ok()
}

fn verdict(value: &Value) -> Result<Verdict, String> {
    Verdict::deserialize(value).map_err(|error| {
        format!(
            "its answer has the key `oncely`, which cannot be read: {error}; \
             `status` is one of done, retry, failed, unknown"
        )
    })
}
