//! A measurement: settings, numbers, and the bounds that they are held to.

use super::machine;
use serde::Serialize;
use std::collections::BTreeMap;

/// A number and what it must not go beyond.
#[derive(Debug, Clone, Serialize)]
pub struct Bound {
    /// What was measured.
    pub name: &'static str,
    /// How much.
    pub value: f64,
    /// In what.
    pub unit: &'static str,
    /// At least so much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// At most so much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
}

impl Bound {
    /// A number without a bound.
    pub(crate) const fn plain(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self {
            name,
            value,
            unit,
            at_least: None,
            at_most: None,
        }
    }

    pub(crate) const fn at_least(mut self, least: f64) -> Self {
        self.at_least = Some(least);
        self
    }

    pub(crate) const fn at_most(mut self, most: f64) -> Self {
        self.at_most = Some(most);
        self
    }

    /// Whether it holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.at_least.is_none_or(|least| self.value >= least)
            && self.at_most.is_none_or(|most| self.value <= most)
    }
}

/// What one benchmark found.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Which benchmark.
    pub bench: &'static str,
    /// On what.
    pub machine: BTreeMap<&'static str, String>,
    /// How.
    pub settings: String,
    /// The numbers.
    pub numbers: Vec<Bound>,
}

impl Measured {
    pub(crate) fn new(bench: &'static str, settings: String, numbers: Vec<Bound>) -> Self {
        Self {
            bench,
            machine: machine::facts(),
            settings,
            numbers,
        }
    }

    /// Whether every bound holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.numbers.iter().all(Bound::holds)
    }
}

/// The measurement as lines for people.
#[must_use]
pub fn say(measured: &Measured) -> String {
    let machine: Vec<String> = measured
        .machine
        .iter()
        .map(|(n, v)| format!("{n} {v}"))
        .collect();
    let mut text = format!(
        "{}: {}\n  {}\n",
        measured.bench,
        measured.settings,
        machine.join(", ")
    );
    for bound in &measured.numbers {
        let limit = match (bound.at_least, bound.at_most) {
            (Some(least), _) => format!("  (at least {least:.2})"),
            (_, Some(most)) => format!("  (at most {most:.2})"),
            _ => String::new(),
        };
        let verdict = if bound.holds() { "" } else { "  DOES NOT HOLD" };
        let (name, value, unit) = (bound.name, bound.value, bound.unit);
        text.push_str(&format!(
            "  {name:<34}{value:>14.2} {unit}{limit}{verdict}\n"
        ));
    }
    text
}
