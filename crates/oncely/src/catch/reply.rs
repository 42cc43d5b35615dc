//! What one attempt of a step is said to have come to, as an answers file says it.

use crate::output::suggestion;
use oncely_actions::Given;
use oncely_core::Value;
use oncely_core::action::Failure;
use oncely_core::task::ActionKind;
use oncely_core::task::fields::outputs;

/// What one attempt is said to have come to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    /// These fields of its output; others are as they usually are.
    Gives(Given),
    /// It did not happen, and will not.
    Fails(String),
    /// It did not happen, and may later.
    Retries(String),
    /// Nobody knows.
    Unknown(String),
}

/// The keys that say how an attempt went wrong.
const WRONG: [&str; 3] = ["fail", "retry", "unknown"];

impl Reply {
    /// Reads a reply of a step of this kind.
    pub(super) fn read(kind: ActionKind, value: &Value) -> Result<Self, String> {
        let table = value.as_object().ok_or("a table was expected.")?;
        if let Some(name) = WRONG.iter().find(|name| table.contains_key(**name)) {
            return wrong(name, table);
        }
        let fields: Vec<&str> = outputs(kind).iter().map(|field| field.name).collect();
        match table.keys().find(|key| !fields.contains(&key.as_str())) {
            None => {
                table
                    .iter()
                    .try_for_each(|(name, value)| fits(name, value))?;
                Ok(Self::Gives(table.clone()))
            }
            Some(key) => Err(format!(
                "`{kind}` steps give no `{key}`.{}",
                suggestion(key, fields.into_iter().chain(WRONG))
            )),
        }
    }

    /// How the attempt went wrong, where it did.
    pub(super) fn failure(&self) -> Option<Failure> {
        match self {
            Self::Gives(_) => None,
            Self::Fails(error) => Some(Failure::permanent(error)),
            Self::Retries(error) => Some(Failure::retry(error)),
            Self::Unknown(error) => Some(Failure::unknown(error)),
        }
    }
}

/// Whether a field has a value that it could have in earnest.
fn fits(name: &str, value: &Value) -> Result<(), String> {
    let number = |least, most| value.as_i64().is_some_and(|n| (least..=most).contains(&n));
    let texts = |table: &Given| table.values().all(Value::is_string);
    let (good, what) = match name {
        "status" => (number(100, 599), "a number from 100 to 599"),
        "code" => (number(0, 255), "a number from 0 to 255"),
        "text" | "stdout" | "stderr" => (value.is_string(), "a text"),
        "headers" => (value.as_object().is_some_and(texts), "a table of texts"),
        _ => return Ok(()),
    };
    match good {
        true => Ok(()),
        false => Err(format!("`{name}` is {what}.")),
    }
}

fn wrong(name: &str, table: &Given) -> Result<Reply, String> {
    let error = table.get(name).and_then(Value::as_str);
    let error = error
        .filter(|error| !error.is_empty())
        .ok_or_else(|| format!("`{name}` says in words what went wrong."))?
        .to_owned();
    if table.len() > 1 {
        return Err(format!("beside `{name}` nothing else is given."));
    }
    Ok(match name {
        "fail" => Reply::Fails(error),
        "retry" => Reply::Retries(error),
        _ => Reply::Unknown(error),
    })
}
