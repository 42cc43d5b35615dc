//! The options of an `email` step.

use oncely_core::Value;
use serde::Deserialize;

/// What an `email` step says. Templates arrive as the texts that they gave.
#[derive(Debug, Deserialize)]
pub(crate) struct Options {
    pub(crate) to: Names,
    #[serde(default)]
    pub(crate) cc: Names,
    #[serde(default)]
    pub(crate) bcc: Names,
    pub(crate) from: Option<String>,
    pub(crate) reply_to: Option<String>,
    pub(crate) subject: String,
    text: Option<String>,
    template: Option<String>,
    html: Option<String>,
    html_template: Option<String>,
    #[serde(default)]
    pub(crate) attachments: Vec<String>,
    pub(crate) in_reply_to: Option<String>,
}

impl Options {
    /// The plain text.
    pub(crate) fn plain(&self) -> Option<&str> {
        self.text.as_deref().or(self.template.as_deref())
    }

    /// The text in HTML.
    pub(crate) fn html(&self) -> Option<&str> {
        self.html.as_deref().or(self.html_template.as_deref())
    }
}

/// A name or a list of names; null and an empty text are none.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct Names(pub(crate) Vec<String>);

impl TryFrom<Value> for Names {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        const WRONG: &str = "an address is a text, and several are a list of texts";
        match value {
            Value::Null => Ok(Self::default()),
            Value::String(text) if text.trim().is_empty() => Ok(Self::default()),
            Value::String(text) => Ok(Self(vec![text])),
            Value::Array(items) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text),
                    _ => Err(WRONG),
                })
                .collect::<Result<_, _>>()
                .map(Self),
            _ => Err(WRONG),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(value: Value) -> Result<Vec<String>, &'static str> {
        Names::try_from(value).map(|names| names.0)
    }

    #[test]
    fn one_address_or_many_or_none() {
        assert_eq!(names(json!("a@b.example")).unwrap(), ["a@b.example"]);
        assert_eq!(names(json!(["a@b.example", "c"])).unwrap().len(), 2);
        assert!(names(json!(null)).unwrap().is_empty());
        assert!(names(json!(" ")).unwrap().is_empty());
        assert!(names(json!([1])).is_err());
        assert!(names(json!({})).is_err());
    }
}
