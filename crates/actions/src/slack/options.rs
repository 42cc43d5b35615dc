//! The options of a `slack` step, and the message that they make.

use crate::secret::SecretText;
use oncely_core::Value;
use oncely_core::action::Failure;
use serde::Deserialize;
use serde_json::{Map, json};

/// What a `slack` step says.
#[derive(Debug, Deserialize)]
pub(crate) struct Options {
    channel: Option<String>,
    text: Option<String>,
    blocks: Option<Value>,
    thread_ts: Option<String>,
    pub(crate) token: Option<SecretText>,
    pub(crate) webhook: Option<SecretText>,
}

impl Options {
    /// The body of the request.
    pub(crate) fn message(&self) -> Result<Value, Failure> {
        let mut message = Map::new();
        if self.webhook.is_none() {
            message.insert("channel".into(), json!(self.channel()?));
        }
        if let Some(text) = &self.text {
            message.insert("text".into(), json!(text));
        }
        match &self.blocks {
            None | Some(Value::Null) => {}
            Some(Value::Array(blocks)) => {
                message.insert("blocks".into(), json!(blocks));
            }
            Some(_) => return Err(Failure::permanent("`blocks` is a list of Slack's blocks")),
        }
        // A template that gave nothing answers no message.
        if let Some(thread) = self.thread_ts.as_deref().filter(|ts| !ts.is_empty()) {
            message.insert("thread_ts".into(), json!(thread));
        }
        Ok(Value::Object(message))
    }

    fn channel(&self) -> Result<&str, Failure> {
        let named = self.channel.as_deref().map(str::trim);
        named.filter(|name| !name.is_empty()).ok_or_else(|| {
            Failure::permanent("`channel` names no channel: look at what its template gave")
        })
    }
}
