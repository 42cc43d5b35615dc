//! Signed links: who has one may answer one question in the name of one person.
//!
//! A link holds no secret of its own. It says which question it answers, in whose name and until when,
//! and carries a keyed BLAKE3 hash of that and of where the question stands, so that a link of one
//! ledger or environment opens nothing in another. A question is answered once, and so is a link used.

use crate::ids::{ContentHash, Environment, RunId, StepId};
use crate::limits;
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;

/// The first byte of a link: how the rest is to be read.
const FORM: u8 = 1;
/// Form, run, question, and the moment at which it expires.
const HEAD: usize = 1 + 3 * 8;
const MAC: usize = blake3::OUT_LEN;

/// What a link is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The run that asks.
    pub run: RunId,
    /// The number of the fact by which it asks.
    pub question: u64,
    /// In whose name it is answered.
    pub person: String,
    /// From when on the link is worth nothing.
    pub expires: Timestamp,
}

/// Where a question stands. The ledger knows it; a link need not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The ledger's own name.
    pub ledger: &'a str,
    /// The environment.
    pub environment: &'a Environment,
    /// The step that asks.
    pub step: &'a StepId,
    /// The hash of what is asked.
    pub hash: &'a ContentHash,
}

/// What links are signed with.
#[derive(Clone)]
pub struct LinkKey([u8; blake3::KEY_LEN]);

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKey(***)")
    }
}

impl LinkKey {
    /// Fewest characters of the secret that a key is made from.
    pub const FEWEST: usize = 32;

    /// The key of this secret; none when the secret is too short to be one.
    #[must_use]
    pub fn of(secret: &str) -> Option<Self> {
        let long_enough = secret.len() >= Self::FEWEST;
        long_enough.then(|| {
            Self(blake3::derive_key(
                "oncely 2026 answer link",
                secret.as_bytes(),
            ))
        })
    }

    /// A link's text, which may stand in a URL.
    #[must_use]
    pub fn sign(&self, link: &Link, place: Place<'_>) -> String {
        let mut bytes = Vec::with_capacity(HEAD + link.person.len() + MAC);
        bytes.push(FORM);
        bytes.extend(link.run.0.to_be_bytes());
        bytes.extend(link.question.to_be_bytes());
        bytes.extend(link.expires.0.to_be_bytes());
        bytes.extend(link.person.as_bytes());
        bytes.extend(self.mac(link, place).as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn mac(&self, link: &Link, place: Place<'_>) -> blake3::Hash {
        let said = (
            (place.ledger, place.environment, place.step, place.hash),
            (FORM, link.run, link.question, &link.person, link.expires),
        );
        blake3::keyed_hash(&self.0, &serde_json::to_vec(&said).unwrap_or_default())
    }
}

/// A link as somebody has it: nothing that it says is believed before it is [`Signed::opens`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What it says.
    pub link: Link,
    mac: blake3::Hash,
}

impl Signed {
    /// Reads a link; none when it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 2 * (HEAD + limits::NAME_BYTES + MAC) {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (said, mac) = bytes.split_last_chunk::<MAC>()?;
        let (form, said) = said.split_first()?;
        let (run, said) = said.split_first_chunk()?;
        let (question, said) = said.split_first_chunk()?;
        let (expires, person) = said.split_first_chunk()?;
        let link = Link {
            run: RunId(i64::from_be_bytes(*run)),
            question: u64::from_be_bytes(*question),
            expires: Timestamp(i64::from_be_bytes(*expires)),
            person: String::from_utf8(person.to_vec()).ok()?,
        };
        (*form == FORM).then_some(Self {
            link,
            mac: blake3::Hash::from_bytes(*mac),
        })
    }

    /// Whether it was signed with this key for a question that stands there. Takes as long for a wrong
    /// one as for a right one.
    #[must_use]
    pub fn opens(&self, key: &LinkKey, place: Place<'_>) -> bool {
        self.mac == key.mac(&self.link, place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> LinkKey {
        LinkKey::of(&"k".repeat(32)).unwrap()
    }

    fn link() -> Link {
        Link {
            run: RunId(7),
            question: 3,
            person: "anna".into(),
            expires: Timestamp(1_000),
        }
    }

    fn opens(text: &str, ledger: &str, environment: &str, step: &str, asked: &str) -> bool {
        let place = Place {
            ledger,
            environment: &environment.into(),
            step: &step.into(),
            hash: &ContentHash::of(asked.as_bytes()),
        };
        Signed::parse(text).is_some_and(|signed| signed.opens(&key(), place))
    }

    fn sign(link: &Link) -> String {
        let place = Place {
            ledger: "l",
            environment: &"production".into(),
            step: &"ok".into(),
            hash: &ContentHash::of(b"Send?"),
        };
        key().sign(link, place)
    }

    #[test]
    fn a_link_opens_its_question_and_no_other() {
        let text = sign(&link());
        assert_eq!(Signed::parse(&text).unwrap().link, link());
        assert!(opens(&text, "l", "production", "ok", "Send?"));
        assert!(!opens(&text, "m", "production", "ok", "Send?"));
        assert!(!opens(&text, "l", "staging", "ok", "Send?"));
        assert!(!opens(&text, "l", "production", "other", "Send?"));
        assert!(!opens(&text, "l", "production", "ok", "Send more?"));
    }

    #[test]
    fn a_short_secret_is_no_key_and_a_key_shows_nothing() {
        assert!(LinkKey::of("short").is_none());
        assert_eq!(format!("{:?}", key()), "LinkKey(***)");
    }

    proptest! {
        #[test]
        fn a_link_that_was_altered_anywhere_opens_nothing(place in 0usize..200, with in any::<u8>()) {
            let mut bytes = URL_SAFE_NO_PAD.decode(sign(&link())).unwrap();
            let place = place % bytes.len();
            prop_assume!(bytes[place] != with);
            bytes[place] = with;
            let altered = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert!(!opens(&altered, "l", "production", "ok", "Send?"));
        }

        #[test]
        fn what_is_no_link_is_read_without_harm(text in "[A-Za-z0-9_-]{0,400}") {
            prop_assert!(!opens(&text, "l", "production", "ok", "Send?"));
        }
    }
}
