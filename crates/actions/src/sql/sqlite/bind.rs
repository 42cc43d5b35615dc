//! Values bound to parameters by name, and the check that every name finds its match.

use oncely_core::Value;
use oncely_core::action::Failure;
use rusqlite::Statement;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use serde_json::Map;
use std::collections::BTreeSet;

/// The names that statements asked for, against the names that a step binds.
#[derive(Debug, Default)]
pub(crate) struct Names {
    asked: BTreeSet<String>,
}

impl Names {
    /// The parameters of a statement, each with its place.
    pub(crate) fn of(
        &mut self,
        statement: &Statement<'_>,
    ) -> Result<Vec<(String, usize)>, Failure> {
        let mut parameters = Vec::new();
        for place in 1..=statement.parameter_count() {
            let name = statement
                .parameter_name(place)
                .and_then(|name| name.get(1..));
            let name = name.filter(|name| !name.starts_with(|c: char| c.is_ascii_digit()));
            let name = name.ok_or_else(|| {
                Failure::permanent("a parameter has no name: write :name instead of ?")
            })?;
            self.asked.insert(name.to_owned());
            parameters.push((name.to_owned(), place));
        }
        Ok(parameters)
    }

    /// Whether every name that is asked for is bound, and the other way round.
    pub(crate) fn check<'a>(&self, bound: impl Iterator<Item = &'a String>) -> Result<(), Failure> {
        let bound: BTreeSet<String> = bound.cloned().collect();
        let missing: Vec<_> = self.asked.difference(&bound).collect();
        if !missing.is_empty() {
            return Err(Failure::permanent(format!(
                "the statement asks for {}, which `bind` does not give; nothing was changed",
                listed(&missing)
            )));
        }
        let left: Vec<_> = bound.difference(&self.asked).collect();
        if !left.is_empty() {
            return Err(Failure::permanent(format!(
                "`bind` gives {}, which the statement does not ask for; nothing was changed",
                listed(&left)
            )));
        }
        Ok(())
    }
}

fn listed(names: &[&String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!(":{name}")).collect();
    names.join(", ")
}

/// Binds the values of one statement.
pub(crate) fn bind(
    statement: &mut Statement<'_>,
    parameters: &[(String, usize)],
    values: &Map<String, Value>,
) -> Result<(), Failure> {
    for (name, place) in parameters {
        let value = values.get(name).unwrap_or(&Value::Null);
        statement
            .raw_bind_parameter(*place, Bound(value))
            .map_err(|error| Failure::permanent(format!(":{name} cannot be bound: {error}")))?;
    }
    Ok(())
}

/// A value as a database takes it: lists and tables as JSON text.
struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Bool(truth) => ToSqlOutput::from(*truth),
            Value::String(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => integer.into(),
                (None, Some(real)) if !number.is_u64() => real.into(),
                _ => {
                    return Err(rusqlite::Error::ToSqlConversionFailure(
                        format!("{number} is larger than a database's integer").into(),
                    ));
                }
            },
            Value::Array(_) | Value::Object(_) => self.0.to_string().into(),
        })
    }
}
