//! Where one task's requests come in: what is proved, is JSON and has a key waits for the ledger.

use super::doors::Secret;
use super::known::known;
use super::verify::verify;
use oncely_core::event::{Event, EventError, checked_json};
use oncely_core::points::{self, Point};
use oncely_core::source::Verdict;
use oncely_core::task::{Style, WebhookTrigger};
use oncely_core::time::{Clock, Timestamp};
use oncely_core::{Value, limits};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

/// A request as it came, read whole.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// Where it came in.
    pub path: &'r str,
    /// What stands behind `?`.
    pub query: Option<&'r str>,
    /// Its headers, names in lower case.
    pub headers: &'r [(&'r str, &'r str)],
    /// Its body.
    pub body: &'r [u8],
}

/// What is said to a sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It started a run, which is in the ledger.
    Admitted,
    /// It had started one before.
    Duplicate,
    /// It is not one that starts the task.
    PassedOver,
    /// Whoever asks for this text back is who it says.
    Challenge(String),
    /// No task waits here.
    Nowhere,
    /// It is not proved from whom it is.
    Unverified,
    /// It is not JSON.
    NotJson,
    /// It is no event of the task, for this reason.
    NoEvent(String),
    /// It is larger than an event may be.
    TooLarge,
    /// Not now: it may come again.
    Later(&'static str),
}

/// A request that waits for the ledger.
pub(super) struct Delivery {
    pub(super) event: Event,
    pub(super) answer: oneshot::Sender<Verdict>,
}

/// Where a task's requests come in.
pub(super) struct Door {
    pub(super) trigger: WebhookTrigger,
    pub(super) secret: Secret,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) waiting: mpsc::Sender<Delivery>,
    pub(super) complaints: Complaints,
}

impl Door {
    /// Takes a request in; the answer comes when the ledger has it.
    pub(super) async fn take(&self, request: Request<'_>) -> Reply {
        let now = self.clock.now();
        if let Err(reply) = self.proved(&request, now) {
            return reply;
        }
        let Ok(body) = serde_json::from_slice::<Value>(request.body) else {
            return Reply::NotJson;
        };
        if let Some(text) = self.challenge(&body) {
            return Reply::Challenge(text);
        }
        match self.event(&request, body, now) {
            Ok(Some(event)) => self.hand_on(event).await,
            Ok(None) => Reply::PassedOver,
            Err(reply) => reply,
        }
    }

    fn proved(&self, request: &Request<'_>, now: Timestamp) -> Result<(), Reply> {
        let Some(proof) = &self.trigger.verify else {
            return Ok(());
        };
        let given = proof.secrets.iter().filter_map(|name| (self.secret)(name));
        let given: Vec<String> = given.filter(|secret| !secret.is_empty()).collect();
        if given.is_empty() {
            let names = proof.secrets.join(", ");
            self.complain(now, &format!("the secret {names} is not given"));
            return Err(Reply::Later("this address is not ready; nothing was taken"));
        }
        let header = |name: &str| {
            let found = request.headers.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| *value)
        };
        verify(&proof.style, &given, header, request.body, now).map_err(|doubt| {
            self.complain(now, doubt.words());
            Reply::Unverified
        })
    }

    /// Slack asks whoever is to hear its events for a text back, signed like an event.
    fn challenge(&self, body: &Value) -> Option<String> {
        let style = &self.trigger.verify.as_ref()?.style;
        if !matches!(style, Style::Slack { .. }) || body.get("type")? != "url_verification" {
            return None;
        }
        body.get("challenge")?.as_str().map(str::to_owned)
    }

    /// The event, where the request is one that starts the task.
    fn event(
        &self,
        request: &Request<'_>,
        body: Value,
        now: Timestamp,
    ) -> Result<Option<Event>, Reply> {
        let data = serde_json::json!({
            "body": body,
            "headers": self.headers(request),
            "query": query(request),
        });
        let Some(key) = known(&self.trigger, &data, now).map_err(Reply::NoEvent)? else {
            return Ok(None);
        };
        match checked_json(&key, &data) {
            Ok(_) => Ok(Some(Event { key, at: now, data })),
            Err(EventError::TooLarge(_)) => Err(Reply::TooLarge),
            Err(error) => Err(Reply::NoEvent(error.to_string())),
        }
    }

    /// The headers that may be kept.
    fn headers(&self, request: &Request<'_>) -> Value {
        let proof = self.trigger.verify.as_ref();
        let own = proof.map_or("", |proof| signature_header(&proof.style));
        let kept = request
            .headers
            .iter()
            .filter(|(name, _)| *name != own && !HIDDEN.contains(name));
        let kept = kept.map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
        Value::Object(kept.collect())
    }

    /// Waits until the ledger has it, or somebody says why not.
    async fn hand_on(&self, event: Event) -> Reply {
        let (answer, answered) = oneshot::channel();
        points::pass(Point::HookTaken);
        if self.waiting.try_send(Delivery { event, answer }).is_err() {
            return Reply::Later("too much waits already; nothing was taken");
        }
        let verdict = answered.await;
        points::pass(Point::HookKnown);
        match verdict {
            Ok(Verdict::Admitted) => Reply::Admitted,
            Ok(Verdict::Duplicate) => Reply::Duplicate,
            Ok(Verdict::Refused) => {
                Reply::NoEvent("the task refused it; nothing was started".into())
            }
            Ok(Verdict::NoRoom) => {
                Reply::Later("the disk is full here; nothing was taken, send it again")
            }
            Err(_) => Reply::Later("the task has just changed; send it again"),
        }
    }

    fn complain(&self, now: Timestamp, why: &str) {
        if let Some(more) = self.complaints.speak(now) {
            let path = &self.trigger.path;
            let more = match more {
                0 => String::new(),
                more => format!(" {more} others since the last such line."),
            };
            tracing::warn!("a request to {path} was refused: {why}. Nothing was started.{more}");
        }
    }
}

/// Headers that hold secrets of others.
const HIDDEN: &[&str] = &["authorization", "proxy-authorization", "cookie"];

fn signature_header(style: &Style) -> &str {
    match style {
        Style::Github => "x-hub-signature-256",
        Style::Stripe { .. } => "stripe-signature",
        Style::Slack { .. } => "x-slack-signature",
        Style::Shopify => "x-shopify-hmac-sha256",
        Style::Hmac(plain) => &plain.header,
        Style::Token { header } => header,
    }
}

fn query(request: &Request<'_>) -> Value {
    let pairs = url::form_urlencoded::parse(request.query.unwrap_or_default().as_bytes());
    let pairs = pairs.map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())));
    Value::Object(pairs.collect())
}

/// Says something at most once a minute, whoever sends however much.
#[derive(Default)]
pub(super) struct Complaints {
    last: AtomicI64,
    unsaid: AtomicU64,
}

impl Complaints {
    /// How many were not said since the last one, when it is time for one.
    fn speak(&self, now: Timestamp) -> Option<u64> {
        let last = self.last.load(Ordering::Relaxed);
        let due = last == 0 || now.0.saturating_sub(last) >= limits::HOOK_COMPLAIN_EVERY_MS;
        let mine = due
            && self
                .last
                .compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if mine {
            return Some(self.unsaid.swap(0, Ordering::Relaxed));
        }
        self.unsaid.fetch_add(1, Ordering::Relaxed);
        None
    }
}
