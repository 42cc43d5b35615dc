//! `on.webhook`: a request that another program sends, and how it proves who it is.

use super::top::KeyDoc;
use crate::template::Expr;

/// The keys of `on.webhook`, and what they mean.
pub(super) const KEYS: &[KeyDoc] = &[
    (
        "path",
        "Where the request comes in, below `/hooks/`: `/hooks/orders`. `[gateway] listen` of `oncely.toml` says on which address.",
    ),
    (
        "verify",
        "How the sender proves who it is; `\"none\"`: everybody who reaches the address may start the task.",
    ),
    (
        "key",
        "What makes it the same event when it is sent again: an expression over `event`. Needed where the style has none.",
    ),
    (
        "when",
        "Requests for which this expression over `event` does not hold are answered and start nothing.",
    ),
];

/// The keys of `verify` below `on.webhook`, and what they mean.
pub const VERIFY: &[KeyDoc] = &[
    (
        "style",
        "`github`, `stripe`, `slack`, `shopify`; `hmac`: a header holds the HMAC of the body; `token`: a header holds the secret itself.",
    ),
    (
        "secret",
        "`{{ secret.NAME }}`, or a list of them while one is replaced by another: any of them will do.",
    ),
    (
        "tolerance",
        "How far the time that the sender signed may be from now, with `stripe` and `slack`; `5m` unless given.",
    ),
    (
        "header",
        "The header that is looked at, with `hmac` (`X-Signature` unless given) and `token` (`X-Token`).",
    ),
    (
        "digest",
        "Of `hmac`: `sha256` or `sha512`; `sha256` unless given.",
    ),
    (
        "encoding",
        "Of `hmac`: `hex` or `base64`; `hex` unless given.",
    ),
    (
        "prefix",
        "Of `hmac`: what stands before the signature in the header, such as `sha256=`.",
    ),
];

/// The styles, each with the key that an event has unless the task says another.
pub(super) const STYLES: &[(&str, Option<&str>)] = &[
    ("github", Some("event.headers[\"x-github-delivery\"]")),
    ("stripe", Some("event.body.id")),
    ("slack", Some("event.body.event_id")),
    ("shopify", Some("event.headers[\"x-shopify-webhook-id\"]")),
    ("hmac", None),
    ("token", None),
];

/// Below which the requests come in.
pub const HOOKS: &str = "/hooks/";

/// `on.webhook`.
#[derive(Debug, Clone)]
pub struct WebhookTrigger {
    /// Where it comes in: `/hooks/NAME`.
    pub path: String,
    /// How the sender proves who it is; none: it need not.
    pub verify: Option<Verify>,
    /// What makes it the same event.
    pub key: Expr,
    /// Which requests start the task; all unless given.
    pub when: Option<Expr>,
}

/// How a sender proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verify {
    /// In which style.
    pub style: Style,
    /// Names of secrets, of which any will do.
    pub secrets: Vec<String>,
}

/// What is signed, and where the signature stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Style {
    /// As GitHub signs.
    Github,
    /// As Stripe signs.
    Stripe {
        /// How far its time may be from now, in milliseconds.
        tolerance_ms: i64,
    },
    /// As Slack signs.
    Slack {
        /// How far its time may be from now, in milliseconds.
        tolerance_ms: i64,
    },
    /// As Shopify signs.
    Shopify,
    /// A header holds the HMAC of the body.
    Hmac(Plain),
    /// A header holds the secret.
    Token {
        /// Which, in lower case.
        header: String,
    },
}

/// The HMAC of a body in a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// Which header, in lower case.
    pub header: String,
    /// The hash below it.
    pub digest: Digest,
    /// How it is written.
    pub encoding: Encoding,
    /// What stands before it.
    pub prefix: String,
}

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How bytes are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Two digits a byte.
    Hex,
    /// RFC 4648, with padding.
    Base64,
}
