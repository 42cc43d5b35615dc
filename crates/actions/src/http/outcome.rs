//! What an answer, or the lack of one, means for the step.

use super::answer::Answer;
use super::client::Refused;
use super::options::Options;
use crate::options::{cut, spoken};
use crate::secret::Veil;
use oncely_core::Value;
use oncely_core::action::Failure;
use oncely_core::fact::Repeat;
use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Characters of a body that an error shows.
const BODY_CHARS: usize = 300;

/// A request that got no whole answer.
pub(crate) struct Trouble {
    kind: Kind,
    error: String,
}

enum Kind {
    /// It was never sent, and never will be.
    Refused,
    /// It was never sent.
    Unsent,
    /// It may have been sent.
    Sent,
}

impl Trouble {
    /// No answer began.
    pub(crate) fn sending(error: &reqwest::Error) -> Self {
        if let Some(refused) = refusal(error) {
            return Self::new(Kind::Refused, refused.to_string());
        }
        let unsent = error.is_connect() || error.is_builder();
        let (kind, what) = match unsent {
            true => (Kind::Unsent, "could not connect"),
            false => (
                Kind::Sent,
                "the connection was cut off before an answer came",
            ),
        };
        Self::new(kind, format!("{what}: {}", words(error)))
    }

    /// No answer began in time.
    pub(crate) fn silent(first_byte: bool, options: &Options, total: Duration) -> Self {
        let waited = if first_byte {
            options.first_byte_timeout()
        } else {
            total
        };
        let error = format!("no answer came within {}", spoken(waited));
        Self::new(Kind::Sent, error)
    }

    /// The answer broke off.
    pub(crate) fn reading(status: u16, error: &reqwest::Error) -> Self {
        let error = format!("the answer {status} broke off: {}", words(error));
        Self::new(Kind::Sent, error)
    }

    /// The answer did not end in time.
    pub(crate) fn slow(status: u16, total: Duration) -> Self {
        let error = format!("the answer {status} did not end within {}", spoken(total));
        Self::new(Kind::Sent, error)
    }

    fn new(kind: Kind, error: String) -> Self {
        Self { kind, error }
    }

    /// What that means for a request that may be repeated so.
    pub(crate) fn failure(self, repeat: Repeat) -> Failure {
        match (self.kind, repeat) {
            (Kind::Refused, _) => Failure::permanent(self.error),
            (Kind::Unsent, _) | (Kind::Sent, Repeat::Safe) => Failure::retry(self.error),
            (Kind::Sent, Repeat::WithKey { .. } | Repeat::AskFirst) => Failure::unknown(self.error),
        }
    }
}

/// What an answer means.
pub(crate) fn judge(
    answer: Answer,
    options: &Options,
    repeat: Repeat,
    veil: &Veil,
) -> Result<Value, Failure> {
    let status = answer.status;
    if options.expects(status) {
        return Ok(answer.output(veil));
    }
    let error = describe(&answer, veil);
    let safe = repeat == Repeat::Safe;
    Err(match status {
        429 | 503 => {
            let after = answer.wait();
            Failure::Retry {
                error: format!("{error}{}", patience(after)),
                after,
            }
        }
        // The server says that it did not look at the request.
        425 => Failure::retry(error),
        408 | 500..=599 if safe => Failure::retry(error),
        408 | 500..=599 => Failure::unknown(error),
        _ => Failure::permanent(error),
    })
}

/// How long the other side asks to wait, in words.
pub(crate) fn patience(after: Option<Duration>) -> String {
    let asked = after.map(|after| format!("; it asks to wait {}", spoken(after)));
    asked.unwrap_or_default()
}

fn describe(answer: &Answer, veil: &Veil) -> String {
    let text = answer.text(veil);
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.is_empty() {
        true => format!("the answer was {}", answer.status),
        false => format!(
            "the answer was {}: {}",
            answer.status,
            cut(&words.join(" "), BODY_CHARS)
        ),
    }
}

/// How long `Retry-After` asks to wait from now on.
pub(crate) fn wait(text: &str) -> Option<Duration> {
    after(text, now())
}

/// Reads `Retry-After`: seconds, or a date.
fn after(text: &str, now: Duration) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text.trim())
        .ok()?;
    let date = u64::try_from(date.as_second()).ok()?;
    Some(Duration::from_secs(date).saturating_sub(now))
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Refused> {
    let mut error = Some(error);
    while let Some(one) = error {
        if let Some(refused) = one.downcast_ref::<Refused>() {
            return Some(refused);
        }
        error = one.source();
    }
    None
}

/// The innermost words of an error, which say what really happened.
pub(crate) fn words(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Duration::from_secs(784_111_777 - 60);
        assert_eq!(after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(
            after("Sun, 06 Nov 1994 08:49:37 GMT", now),
            Some(Duration::from_secs(60))
        );
        assert_eq!(
            after("Sun, 06 Nov 1994 08:00:00 GMT", now),
            Some(Duration::ZERO)
        );
        assert_eq!(after("soon", now), None);
    }
}
