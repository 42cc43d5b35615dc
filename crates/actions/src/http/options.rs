//! The options of an `http` step.

use crate::options::duration;
use crate::secret::SecretText;
use oncely_core::Value;
use oncely_core::fact::Repeat;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(10);
const FIRST_BYTE: Duration = Duration::from_secs(30);

/// What an `http` step says.
#[derive(Debug, Deserialize)]
pub(crate) struct Options {
    method: Option<String>,
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, SecretText>,
    pub(crate) auth: Option<Auth>,
    pub(crate) json: Option<Value>,
    pub(crate) form: Option<serde_json::Map<String, Value>>,
    pub(crate) body: Option<String>,
    key_honoured: Option<i64>,
    /// Most redirects that are followed.
    #[serde(default)]
    pub(crate) redirects: u32,
    expect: Option<Vec<u16>>,
    connect_timeout: Option<i64>,
    first_byte_timeout: Option<i64>,
}

/// Who asks.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Auth {
    /// `Authorization: Bearer …`
    Bearer(SecretText),
    /// `Authorization: Basic …`
    Basic {
        /// The user.
        user: SecretText,
        /// The password.
        password: SecretText,
    },
}

impl Options {
    /// A POST of JSON.
    pub(crate) fn post(url: String, json: Value, auth: Option<Auth>) -> Self {
        Self {
            method: None,
            url,
            headers: BTreeMap::new(),
            auth,
            json: Some(json),
            form: None,
            body: None,
            key_honoured: None,
            redirects: 0,
            expect: None,
            connect_timeout: None,
            first_byte_timeout: None,
        }
    }

    /// The method in capitals; POST when there is a body and nothing else is said.
    pub(crate) fn method(&self) -> String {
        let body = self.json.is_some() || self.form.is_some() || self.body.is_some();
        match &self.method {
            Some(method) => method.to_ascii_uppercase(),
            None if body => "POST".into(),
            None => "GET".into(),
        }
    }

    /// What HTTP and the task say about sending it twice.
    pub(crate) fn repeat(&self) -> Repeat {
        match (self.method().as_str(), self.key_honoured) {
            ("GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS", _) => Repeat::Safe,
            (_, Some(window_ms)) => Repeat::WithKey { window_ms },
            _ => Repeat::AskFirst,
        }
    }

    /// Whether an answer with this status is what the task expects.
    pub(crate) fn expects(&self, status: u16) -> bool {
        match &self.expect {
            Some(expected) => expected.contains(&status),
            None => (200..300).contains(&status),
        }
    }

    /// Longest time until the connection stands, and always less than the attempt may take, so
    /// that a connection that never stood is known as such.
    pub(crate) fn connect_timeout(&self, total: Duration) -> Duration {
        let asked = duration(self.connect_timeout).unwrap_or(CONNECT);
        asked.min(total.mul_f32(0.9))
    }

    /// Longest time from then until the answer begins.
    pub(crate) fn first_byte_timeout(&self) -> Duration {
        duration(self.first_byte_timeout).unwrap_or(FIRST_BYTE)
    }
}
