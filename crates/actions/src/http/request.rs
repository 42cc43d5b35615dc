//! From options to a request: method, headers, body, secrets revealed.

use super::options::{Auth, Options};
use crate::secret::{Secrets, Veil};
use base64::Engine as _;
use oncely_core::Value;
use oncely_core::action::{Call, Failure};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

/// A request that is ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
    /// Headers that only the host of the task's own URL may see.
    pub(crate) private: Vec<HeaderName>,
}

pub(crate) fn build(
    options: &Options,
    call: &Call,
    secrets: &dyn Secrets,
    veil: &mut Veil,
) -> Result<Request, Failure> {
    let method = options.method();
    let mut request = Request {
        method: Method::from_bytes(method.as_bytes())
            .map_err(|_| Failure::permanent(format!("{method:?} is no HTTP method")))?,
        url: Url::parse(&options.url)
            .map_err(|error| Failure::permanent(format!("{:?} is no URL: {error}", options.url)))?,
        headers: HeaderMap::new(),
        body: None,
        private: vec![
            reqwest::header::COOKIE,
            reqwest::header::PROXY_AUTHORIZATION,
        ],
    };
    if !matches!(request.method, Method::GET | Method::HEAD) {
        request.set("idempotency-key", &call.key.0, false)?;
    }
    request.fill(options)?;
    for (name, text) in &options.headers {
        request.set(name, &text.reveal(secrets, veil)?, text.is_secret())?;
    }
    if let Some(auth) = &options.auth {
        let text = authorization(auth, secrets, veil)?;
        request.set(AUTHORIZATION.as_str(), &text, true)?;
    }
    Ok(request)
}

fn authorization(auth: &Auth, secrets: &dyn Secrets, veil: &mut Veil) -> Result<String, Failure> {
    match auth {
        Auth::Bearer(token) => Ok(format!("Bearer {}", token.reveal(secrets, veil)?)),
        Auth::Basic { user, password } => {
            let user = user.reveal(secrets, veil)?;
            let password = password.reveal(secrets, veil)?;
            let pair =
                base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            veil.hide(&pair);
            Ok(format!("Basic {pair}"))
        }
    }
}

impl Request {
    fn set(&mut self, name: &str, value: &str, private: bool) -> Result<(), Failure> {
        // The value may hold a secret, so that only the name is shown.
        let wrong = || {
            Failure::permanent(format!(
                "the header {name:?} cannot be sent: its name or its value has characters that a \
                 header may not have, such as a line break"
            ))
        };
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| wrong())?;
        value.set_sensitive(private);
        if private || header == AUTHORIZATION {
            self.private.push(header.clone());
        }
        self.headers.insert(header, value);
        Ok(())
    }

    fn fill(&mut self, options: &Options) -> Result<(), Failure> {
        let (kind, body) = if let Some(json) = &options.json {
            ("application/json", json.to_string())
        } else if let Some(form) = &options.form {
            ("application/x-www-form-urlencoded", encode(form))
        } else if let Some(body) = &options.body {
            ("text/plain; charset=utf-8", body.clone())
        } else {
            return Ok(());
        };
        self.body = Some(body.into_bytes());
        self.set(CONTENT_TYPE.as_str(), kind, false)
    }
}

fn encode(form: &serde_json::Map<String, Value>) -> String {
    let mut encoded = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in form {
        match value {
            Value::Null => {}
            Value::String(text) => {
                encoded.append_pair(name, text);
            }
            other => {
                encoded.append_pair(name, &other.to_string());
            }
        }
    }
    encoded.finish()
}
