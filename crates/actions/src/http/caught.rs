//! A request that is not sent: what would be, and what is said to have come back.

use super::answer::Answer;
use super::options::{Auth, Options};
use super::outcome::judge;
use super::request;
use crate::caught::{ByName, Caught, Given, Lines};
use crate::secret::Veil;
use oncely_core::Value;
use oncely_core::action::{Call, Failure};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

pub(crate) fn catch(call: &Call, given: &Given) -> Result<Caught, Failure> {
    let options: Options = crate::options::read(&call.options)?;
    Ok(Caught {
        text: text(&options, call)?,
        result: judge(answer(given)?, &options, options.repeat(), &Veil::default()),
    })
}

fn text(options: &Options, call: &Call) -> Result<String, Failure> {
    let request = request::build(options, call, &ByName, &mut Veil::default())?;
    let mut lines = Lines::default();
    lines.line(format_args!("{} {}", request.method, request.url));
    let mut headers: Vec<String> = request
        .headers
        .iter()
        .filter(|(name, _)| *name != AUTHORIZATION || options.auth.is_none())
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    headers.extend(options.auth.as_ref().map(who).transpose()?);
    headers.sort();
    for header in headers {
        lines.line(header);
    }
    match (&options.json, &request.body) {
        (Some(json), _) => lines.json(json),
        (None, Some(body)) => lines.body(&String::from_utf8_lossy(body)),
        (None, None) => {}
    }
    Ok(lines.text())
}

/// Who asks, as people read it: user and password are sent in base64.
fn who(auth: &Auth) -> Result<String, Failure> {
    let veil = &mut Veil::default();
    Ok(match auth {
        Auth::Bearer(token) => format!("authorization: Bearer {}", token.reveal(&ByName, veil)?),
        Auth::Basic { user, password } => format!(
            "authorization: Basic {}:{}",
            user.reveal(&ByName, veil)?,
            password.reveal(&ByName, veil)?
        ),
    })
}

/// What is said to have come back; an empty table with status 200 where nothing is said.
fn answer(given: &Given) -> Result<Answer, Failure> {
    let wrong = |what: &str| Failure::permanent(format!("the answer's {what}"));
    let status = match given.get("status") {
        None => 200,
        Some(status) => status
            .as_u64()
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| (100..=599).contains(status))
            .ok_or_else(|| wrong("`status` is no status code"))?,
    };
    let text = given.get("text").and_then(Value::as_str).map(str::to_owned);
    let json = given.get("json").map(Value::to_string);
    let body = text.or(json).unwrap_or_else(|| "{}".into());
    let mut headers = HeaderMap::new();
    let named = given.get("headers").and_then(Value::as_object);
    for (name, value) in named.into_iter().flatten() {
        let value = value.as_str().map(HeaderValue::from_str);
        let (Ok(name), Some(Ok(value))) = (HeaderName::from_bytes(name.as_bytes()), value) else {
            return Err(wrong("`headers` hold something that is no header"));
        };
        headers.insert(name, value);
    }
    Ok(Answer::said(status, headers, body.into_bytes()))
}
