//! The answer to a request, read to a bound.

use crate::excerpt::{self, TEXT_BYTES};
use crate::secret::Veil;
use oncely_core::Value;
use reqwest::Response;
use reqwest::header::{HeaderMap, RETRY_AFTER, SET_COOKIE};
use serde_json::{Map, json};

/// Bytes of a body that are read before the rest is left unread.
const READ_BYTES: usize = 64 * 1024;
/// Bytes of JSON that headers may take in an output.
const HEADER_BYTES: usize = 8 * 1024;
/// Bytes of JSON that are kept free for the text when the output is JSON.
const BESIDE_BYTES: usize = 1024;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    /// There was more of the body.
    more: bool,
}

/// Reads an answer. What is longer than the bound is left where it is.
pub(crate) async fn read(mut response: Response) -> Result<Answer, reqwest::Error> {
    let mut answer = Answer {
        status: response.status().as_u16(),
        headers: std::mem::take(response.headers_mut()),
        body: Vec::new(),
        more: false,
    };
    while let Some(chunk) = response.chunk().await? {
        let room = READ_BYTES - answer.body.len();
        answer.body.extend(chunk.iter().take(room));
        if chunk.len() > room {
            answer.more = true;
            break;
        }
    }
    Ok(answer)
}

impl Answer {
    /// An answer that somebody says came.
    pub(crate) fn said(status: u16, headers: HeaderMap, body: Vec<u8>) -> Self {
        Self {
            status,
            headers,
            body,
            more: false,
        }
    }

    /// How long the other side asked to wait.
    pub(crate) fn wait(&self) -> Option<std::time::Duration> {
        super::outcome::wait(self.headers.get(RETRY_AFTER)?.to_str().ok()?)
    }

    /// The body as text without secrets.
    pub(crate) fn text(&self, veil: &Veil) -> String {
        let text = String::from_utf8_lossy(&self.body);
        match self.more {
            true => veil.head(text.trim_end_matches('\u{fffd}')),
            false => veil.text(&text),
        }
    }

    /// What later steps read.
    pub(crate) fn output(&self, veil: &Veil) -> Value {
        let headers = self.headers(veil);
        let mut room = TEXT_BYTES - headers.to_string().len();
        let json = self.json(veil);
        let json = json.filter(|json| json.to_string().len() + BESIDE_BYTES <= room);
        room -= json.as_ref().map_or(0, |json| json.to_string().len());
        let whole = self.text(veil);
        let text = excerpt::first(&whole, room);
        let truncated = self.more || text.len() < whole.len();
        let mut output = json!({ "status": self.status, "headers": headers, "text": text });
        if let Some(json) = json {
            output["json"] = json;
        }
        output["truncated"] = truncated.into();
        output
    }

    /// The body as JSON without secrets, where it is JSON and whole.
    pub(crate) fn json(&self, veil: &Veil) -> Option<Value> {
        let mut json: Value = match self.more {
            true => return None,
            false => serde_json::from_slice(&self.body).ok()?,
        };
        veil.value(&mut json);
        Some(json)
    }

    fn headers(&self, veil: &Veil) -> Value {
        let mut headers = Map::new();
        let mut room = HEADER_BYTES;
        for (name, value) in self.headers.iter().filter(|(name, _)| *name != SET_COOKIE) {
            let text = veil.text(&String::from_utf8_lossy(value.as_bytes()));
            let bytes = name.as_str().len() + excerpt::json_bytes(&text) + 8;
            if bytes > room {
                continue;
            }
            room -= bytes;
            match headers.get_mut(name.as_str()) {
                Some(Value::String(so_far)) => {
                    so_far.push_str(", ");
                    so_far.push_str(&text);
                }
                _ => {
                    headers.insert(name.as_str().to_owned(), text.into());
                }
            }
        }
        Value::Object(headers)
    }
}
