//! Whether a request is from whom it says: the HMAC of what was sent, in the styles of those who
//! send.
//!
//! | Style | Header | What is signed | Source |
//! | --- | --- | --- | --- |
//! | `github` | `X-Hub-Signature-256: sha256=HEX` | the body | docs.github.com, "Validating webhook deliveries" |
//! | `stripe` | `Stripe-Signature: t=SECONDS,v1=HEX[,v1=HEX]` | `SECONDS.BODY` | docs.stripe.com/webhooks, "Verify webhook signatures manually" |
//! | `slack` | `X-Slack-Signature: v0=HEX`, `X-Slack-Request-Timestamp: SECONDS` | `v0:SECONDS:BODY` | docs.slack.dev, "Verifying requests from Slack" |
//! | `shopify` | `X-Shopify-Hmac-SHA256: BASE64` | the body | shopify.dev, "Deliver webhooks through HTTPS" |
//! | `hmac` | as the task says | the body | |
//! | `token` | as the task says | nothing: it is the secret itself | as GitLab's `X-Gitlab-Token` |
//!
//! All but `hmac` with `sha512` are HMAC-SHA256. The bytes of the body are taken as they came. Every
//! comparison takes as long whatever the difference is.

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
use oncely_core::task::{Digest, Encoding, Plain, Style};
use oncely_core::time::Timestamp;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq;

/// Why a request is not taken for what it says. The sender is not told which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// A header is missing, or is no signature.
    Unsigned,
    /// The signature is of another secret or another body.
    Forged,
    /// The time that was signed is too far from now.
    Stale,
}

impl Doubt {
    /// What it is, for the operator.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Unsigned => "it has no signature that can be read",
            Self::Forged => "its signature is of another secret or another body",
            Self::Stale => "the time that it was signed with is too far from this machine's",
        }
    }
}

/// Checks a request: any of the secrets will do.
///
/// # Errors
/// When it is not proved.
pub fn verify<'h>(
    style: &Style,
    secrets: &[String],
    header: impl Fn(&str) -> Option<&'h str>,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Doubt> {
    match style {
        Style::Github => {
            let signature = header("x-hub-signature-256").and_then(|h| h.strip_prefix("sha256="));
            one::<Hmac<Sha256>>(secrets, &[body], hex(signature)?)
        }
        Style::Shopify => {
            let signature = base64(header("x-shopify-hmac-sha256"))?;
            one::<Hmac<Sha256>>(secrets, &[body], signature)
        }
        Style::Slack { tolerance_ms } => {
            let signature = header("x-slack-signature").and_then(|h| h.strip_prefix("v0="));
            let time = header("x-slack-request-timestamp").ok_or(Doubt::Unsigned)?;
            let signed: [&[u8]; 4] = [b"v0:", time.as_bytes(), b":", body];
            one::<Hmac<Sha256>>(secrets, &signed, hex(signature)?)?;
            fresh(time, *tolerance_ms, now)
        }
        Style::Stripe { tolerance_ms } => {
            let signed = header("stripe-signature").ok_or(Doubt::Unsigned)?;
            stripe(secrets, signed, body).and_then(|time| fresh(time, *tolerance_ms, now))
        }
        Style::Hmac(plain) => hmac(plain, secrets, header(&plain.header), body),
        Style::Token { header: name } => {
            let given = header(name).ok_or(Doubt::Unsigned)?;
            token(secrets, given)
        }
    }
}

/// Several signatures of one header: Stripe signs with the old and the new secret for a while.
fn stripe<'h>(secrets: &[String], header: &'h str, body: &[u8]) -> Result<&'h str, Doubt> {
    let parts = header
        .split(',')
        .filter_map(|part| part.trim().split_once('='));
    let time = parts.clone().find(|(name, _)| *name == "t");
    let (_, time) = time.ok_or(Doubt::Unsigned)?;
    let signed: [&[u8]; 3] = [time.as_bytes(), b".", body];
    let signatures = parts
        .filter(|(name, _)| *name == "v1")
        .take(MOST_SIGNATURES);
    let mut found = Err(Doubt::Unsigned);
    for (_, signature) in signatures {
        let one = hex(Some(signature)).and_then(|s| one::<Hmac<Sha256>>(secrets, &signed, s));
        if one.is_ok() {
            return Ok(time);
        }
        found = Err(Doubt::Forged);
    }
    found
}

/// More signatures than this are nobody's who means well: each costs as much as the body is long.
const MOST_SIGNATURES: usize = 8;

fn hmac(plain: &Plain, secrets: &[String], header: Option<&str>, body: &[u8]) -> Result<(), Doubt> {
    let text = header.and_then(|h| h.strip_prefix(plain.prefix.as_str()));
    let signature = match plain.encoding {
        Encoding::Hex => hex(text)?,
        Encoding::Base64 => base64(text)?,
    };
    match plain.digest {
        Digest::Sha256 => one::<Hmac<Sha256>>(secrets, &[body], signature),
        Digest::Sha512 => one::<Hmac<Sha512>>(secrets, &[body], signature),
    }
}

/// Whether the signature is one of these secrets'.
fn one<M: Mac + KeyInit>(
    secrets: &[String],
    signed: &[&[u8]],
    signature: Vec<u8>,
) -> Result<(), Doubt> {
    let fits = |secret: &String| {
        let Ok(mut mac) = <M as KeyInit>::new_from_slice(secret.as_bytes()) else {
            return false;
        };
        for piece in signed {
            mac.update(piece);
        }
        mac.verify_slice(&signature).is_ok()
    };
    // A secret that is empty is nobody's: everybody could sign with it.
    let mut given = secrets.iter().filter(|secret| !secret.is_empty());
    given.any(fits).then_some(()).ok_or(Doubt::Forged)
}

/// Compared by their hashes, so that not even the length of a secret can be felt.
fn token(secrets: &[String], given: &str) -> Result<(), Doubt> {
    let given = Sha256::digest(given.as_bytes());
    let mut known = secrets.iter().filter(|secret| !secret.is_empty());
    known
        .any(|secret| Sha256::digest(secret.as_bytes()).ct_eq(&given).into())
        .then_some(())
        .ok_or(Doubt::Forged)
}

fn fresh(seconds: &str, tolerance_ms: i64, now: Timestamp) -> Result<(), Doubt> {
    let signed: i64 = seconds.parse().map_err(|_| Doubt::Unsigned)?;
    let apart = signed.saturating_mul(1000).saturating_sub(now.0);
    match apart.saturating_abs() <= tolerance_ms {
        true => Ok(()),
        false => Err(Doubt::Stale),
    }
}

fn hex(text: Option<&str>) -> Result<Vec<u8>, Doubt> {
    let text = text.ok_or(Doubt::Unsigned)?;
    HEXLOWER_PERMISSIVE
        .decode(text.as_bytes())
        .map_err(|_| Doubt::Unsigned)
}

fn base64(text: Option<&str>) -> Result<Vec<u8>, Doubt> {
    let text = text.ok_or(Doubt::Unsigned)?;
    BASE64.decode(text.as_bytes()).map_err(|_| Doubt::Unsigned)
}
