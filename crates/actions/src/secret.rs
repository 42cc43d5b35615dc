//! Secrets: named in options, revealed at the last moment, hidden from everything that is kept.
//!
//! Whatever reveals a secret does so through a [`Veil`], which remembers the value and covers it in
//! every text and value that becomes an output or an error.

use base64::Engine as _;
use oncely_core::Value;
use oncely_core::action::Failure;
use oncely_core::template::SECRET;
use serde::{Deserialize, Deserializer, de::Error as _};

/// What stands where a secret stood.
const COVER: &str = "***";

/// Where secrets come from.
pub trait Secrets: Send + Sync {
    /// The value of a secret, if it is given.
    fn get(&self, name: &str) -> Option<String>;
}

/// No secrets at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSecrets;

impl Secrets for NoSecrets {
    fn get(&self, _name: &str) -> Option<String> {
        None
    }
}

/// A text in which secrets stand by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretText(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Plain(String),
    Named(String),
}

impl SecretText {
    /// Nothing but one secret.
    pub(crate) fn named(name: &str) -> Self {
        Self(vec![Piece::Named(name.to_owned())])
    }

    /// Whether any secret stands in it.
    pub(crate) fn is_secret(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Named(_)))
    }

    /// The text with its secrets, which `veil` hides from now on.
    pub(crate) fn reveal(&self, secrets: &dyn Secrets, veil: &mut Veil) -> Result<String, Failure> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Plain(plain) => text.push_str(plain),
                Piece::Named(name) => {
                    let value = secrets.get(name).ok_or_else(|| missing(name))?;
                    veil.hide(&value);
                    text.push_str(&value);
                }
            }
        }
        Ok(text)
    }
}

fn missing(name: &str) -> Failure {
    Failure::permanent(format!(
        "the secret {name} is not given: set ONCELY_SECRET_{name}, or put a file named {name} \
         into the secrets folder"
    ))
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        pieces(&Value::deserialize(deserializer)?)
            .map(Self)
            .ok_or_else(|| D::Error::custom("a text was expected"))
    }
}

fn pieces(value: &Value) -> Option<Vec<Piece>> {
    match value {
        Value::Object(table) => table.get(SECRET)?.as_array()?.iter().map(piece).collect(),
        other => plain(other).map(|text| vec![Piece::Plain(text)]),
    }
}

fn piece(value: &Value) -> Option<Piece> {
    match value {
        Value::Object(table) => Some(Piece::Named(table.get("name")?.as_str()?.to_owned())),
        other => plain(other).map(Piece::Plain),
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// Covers revealed secrets, also where they are quoted, percent-encoded or in base64.
#[derive(Default, Clone)]
pub(crate) struct Veil {
    /// The longest first, so that no part of a secret stays when one contains another.
    words: Vec<String>,
}

impl Veil {
    /// Hides a value from now on.
    pub(crate) fn hide(&mut self, value: &str) {
        let quoted = Value::String(value.to_owned()).to_string();
        let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
        let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let percent =
            percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
        let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(value);
        for form in [value, inner, &encoded, &percent.to_string(), &base64] {
            if !form.is_empty() && !self.words.iter().any(|word| word == form) {
                self.words.push(form.to_owned());
            }
        }
        self.words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    }

    /// A text with every hidden value covered.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut covered = text.to_owned();
        for word in &self.words {
            if covered.contains(word.as_str()) {
                covered = covered.replace(word.as_str(), COVER);
            }
        }
        covered
    }

    /// The beginning of a text that was cut: covered, and without half a secret at its end.
    pub(crate) fn head(&self, text: &str) -> String {
        let covered = self.text(text);
        let half = self.words.iter().map(|word| half_at_end(&covered, word));
        let half = half.max().unwrap_or(0);
        let keep = covered.len() - half;
        covered.get(..keep).unwrap_or_default().to_owned()
    }

    /// The end of a text that was cut: covered, and without half a secret at its beginning.
    pub(crate) fn tail(&self, text: &str) -> String {
        let covered = self.text(text);
        let half = self.words.iter().map(|word| half_at_start(&covered, word));
        let half = half.max().unwrap_or(0);
        covered.get(half..).unwrap_or_default().to_owned()
    }

    /// A value with every hidden value covered, in keys and numbers too.
    pub(crate) fn value(&self, value: &mut Value) {
        if self.words.is_empty() {
            return;
        }
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(table) => {
                let entries = std::mem::take(table);
                *table = entries.into_iter().map(|entry| self.entry(entry)).collect();
            }
            Value::Number(number) if self.text(&number.to_string()) != number.to_string() => {
                *value = Value::from(COVER);
            }
            _ => {}
        }
    }

    fn entry(&self, (key, mut value): (String, Value)) -> (String, Value) {
        self.value(&mut value);
        (self.text(&key), value)
    }

    /// A failure whose text shows no secret.
    pub(crate) fn failure(&self, mut failure: Failure) -> Failure {
        let (Failure::Retry { error, .. }
        | Failure::Permanent { error }
        | Failure::Unknown { error }) = &mut failure;
        *error = self.text(error);
        failure
    }
}

/// Bytes at the end of `text` that are the beginning of `word`.
fn half_at_end(text: &str, word: &str) -> usize {
    let cuts = word.char_indices().map(|(at, _)| at).filter(|at| *at > 0);
    cuts.filter(|at| text.ends_with(word.get(..*at).unwrap_or(COVER)))
        .max()
        .unwrap_or(0)
}

/// Bytes at the beginning of `text` that are the end of `word`.
fn half_at_start(text: &str, word: &str) -> usize {
    let cuts = word.char_indices().map(|(at, _)| at).filter(|at| *at > 0);
    cuts.filter(|at| text.starts_with(word.get(*at..).unwrap_or(COVER)))
        .map(|at| word.len() - at)
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct One;
    impl Secrets for One {
        fn get(&self, name: &str) -> Option<String> {
            (name == "TOKEN").then(|| "hush \"hush\"/1".to_owned())
        }
    }

    fn text(value: Value) -> SecretText {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_text_is_revealed_piece_by_piece() {
        let mut veil = Veil::default();
        let auth = text(json!({"$secret": ["Bearer ", {"name": "TOKEN"}]}));
        assert_eq!(
            auth.reveal(&One, &mut veil).unwrap(),
            "Bearer hush \"hush\"/1"
        );
        assert!(auth.is_secret());
        assert!(!text(json!("plain")).is_secret());
    }

    #[test]
    fn a_missing_secret_is_named_with_what_to_do() {
        let named = text(json!({"$secret": [{"name": "CRM_TOKEN"}]}));
        let error = named.reveal(&NoSecrets, &mut Veil::default()).unwrap_err();
        insta::assert_snapshot!(error.error(), @"the secret CRM_TOKEN is not given: set ONCELY_SECRET_CRM_TOKEN, or put a file named CRM_TOKEN into the secrets folder");
    }

    #[test]
    fn every_form_of_a_secret_is_covered() {
        let mut veil = Veil::default();
        veil.hide("hush \"hush\"/1");
        let forms = [
            "hush \"hush\"/1",
            r#"{"echo":"hush \"hush\"/1"}"#,
            "hush+%22hush%22%2F1",
            "hush%20%22hush%22%2F1",
            "aHVzaCAiaHVzaCIvMQ",
        ];
        for form in forms {
            assert!(!veil.text(form).contains("hush"), "{form}");
            assert!(veil.text(form).contains("***"), "{form}");
        }
    }

    #[test]
    fn half_a_secret_does_not_stay_at_a_cut() {
        let mut veil = Veil::default();
        veil.hide("opensesame");
        assert_eq!(veil.head("say opense"), "say ");
        assert_eq!(veil.tail("esame said"), " said");
        assert_eq!(veil.head("say opensesame"), "say ***");
    }

    #[test]
    fn keys_and_numbers_of_a_value_are_covered() {
        let mut veil = Veil::default();
        veil.hide("12345");
        let mut value = json!({"a12345": [12345, 7, {"b": "x12345x"}]});
        veil.value(&mut value);
        assert_eq!(value, json!({"a***": ["***", 7, {"b": "x***x"}]}));
    }

    #[test]
    fn a_secret_within_a_longer_one_leaves_nothing_of_it() {
        let mut veil = Veil::default();
        veil.hide("abc");
        veil.hide("xabcx");
        assert_eq!(veil.text("xabcx abc"), "*** ***");
    }
}
