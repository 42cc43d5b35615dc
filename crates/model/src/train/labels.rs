//! The target: which learner its type asks for, and what the values of its column mean to it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::error::ModelError;
use crate::schema::Kind;
use crate::text;

/// What learns and predicts, decided by the type of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Learner {
    /// Two labels: logistic regression.
    Logistic,
    /// Several labels: multinomial logistic regression.
    Multinomial,
    /// A number: linear regression.
    Linear,
}

impl Learner {
    pub(crate) fn of(kind: Kind) -> Result<Learner, ModelError> {
        match kind {
            Kind::Binary => Ok(Learner::Logistic),
            Kind::Categorical => Ok(Learner::Multinomial),
            Kind::Numeric => Ok(Learner::Linear),
            Kind::Text => Err(ModelError::data(
                "the target has the type TEXT",
                "choose a target that is BINARY, CATEGORICAL or NUMERIC",
            )),
        }
    }

    /// Values computed for each record.
    pub(crate) fn outputs(self, labels: usize) -> usize {
        if self == Learner::Multinomial {
            labels
        } else {
            1
        }
    }
}

/// Classes of one model, at most.
const CLASS_LIMIT: usize = 10_000;

/// What the values of the target mean. Of two labels the second is the positive one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) learner: Learner,
    pub(crate) labels: Vec<String>,
    places: HashMap<String, usize>,
}

impl Truth {
    pub(crate) fn new(learner: Learner, labels: Vec<String>) -> Truth {
        let places = labels
            .iter()
            .enumerate()
            .map(|(at, label)| (key(learner, label), at))
            .collect();
        Truth {
            learner,
            labels,
            places,
        }
    }

    /// No label is there twice.
    pub(crate) fn is_consistent(&self) -> bool {
        self.places.len() == self.labels.len()
    }

    /// Collects the labels that occur in the target column.
    pub(crate) fn learn<'a>(
        learner: Learner,
        target: &str,
        values: impl Iterator<Item = &'a str>,
    ) -> Result<Truth, ModelError> {
        if learner == Learner::Linear {
            return Ok(Truth::new(learner, Vec::new()));
        }
        let mut spelled: HashMap<String, HashMap<&str, usize>> = HashMap::new();
        for value in values.map(text::clean).filter(|value| !value.is_empty()) {
            *spelled
                .entry(key(learner, value))
                .or_default()
                .entry(value)
                .or_default() += 1;
            if spelled.len() > CLASS_LIMIT {
                break;
            }
        }
        let mut labels: Vec<String> = spelled.values().filter_map(most_frequent).collect();
        labels.sort_by_key(|label| (is_yes(label), label.clone()));
        check_labels(learner, target, &labels)?;
        Ok(Truth::new(learner, labels))
    }

    /// The number of the label, or the number itself for a numeric target; nothing where the cell is
    /// missing or holds what was never learned.
    pub(crate) fn of(&self, cell: &str) -> Option<f64> {
        let cell = text::clean(cell);
        match self.learner {
            Learner::Linear => text::number(cell),
            learner => self.places.get(&key(learner, cell)).map(|at| *at as f64),
        }
    }
}

/// Binary labels are the same in any case of letters.
fn key(learner: Learner, label: &str) -> String {
    if learner == Learner::Logistic {
        label.to_lowercase()
    } else {
        label.to_owned()
    }
}

fn is_yes(label: &str) -> bool {
    ["1", "y", "yes", "t", "true"].contains(&label.to_lowercase().as_str())
}

fn most_frequent(spellings: &HashMap<&str, usize>) -> Option<String> {
    spellings
        .iter()
        .max_by_key(|(text, count)| (**count, **text))
        .map(|(text, _)| (*text).to_owned())
}

fn check_labels(learner: Learner, target: &str, labels: &[String]) -> Result<(), ModelError> {
    match (learner, labels.len()) {
        (_, 0) => Err(ModelError::data(
            format!("every row lacks the target {target:?}"),
            "fill in the column, or choose another target",
        )),
        (_, 1) => Err(ModelError::data(
            format!(
                "the target {target:?} is {:?} in every row that has it",
                labels[0]
            ),
            "add rows with another value, or choose another target",
        )),
        (Learner::Logistic, 2) => Ok(()),
        (Learner::Logistic, more) => Err(ModelError::data(
            format!(
                "the target {target:?} is BINARY and has {more} different values: {}",
                crate::error::listed(labels)
            ),
            "give it the type CATEGORICAL in the schema, or clean the column",
        )),
        (_, more) if more > CLASS_LIMIT => Err(ModelError::data(
            format!("the target {target:?} has more than {CLASS_LIMIT} different values"),
            "give it the type NUMERIC in the schema, or choose another target",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(learner: Learner, values: &[&str]) -> Result<Truth, ModelError> {
        Truth::learn(learner, "y", values.iter().copied())
    }

    #[test]
    fn yes_is_positive_however_it_is_written() {
        for values in [
            ["1", "0"],
            ["No", "Yes"],
            ["true", "FALSE"],
            ["t", "f"],
            ["y", "n"],
        ] {
            let labels = learn(Learner::Logistic, &values).unwrap().labels;
            assert!(is_yes(&labels[1]) && !is_yes(&labels[0]), "{labels:?}");
        }
        let truth = learn(Learner::Logistic, &["Yes", "yes", "Yes", "no", "?"]).unwrap();
        assert_eq!(truth.labels, ["no", "Yes"]);
        assert_eq!(truth.of(" YES "), Some(1.0));
        assert_eq!(truth.of("?"), None);
    }

    #[test]
    fn a_target_that_cannot_be_learned_is_refused() {
        insta::assert_snapshot!(learn(Learner::Logistic, &["a", "b", "c"]).unwrap_err(), @r#"the data cannot be used: the target "y" is BINARY and has 3 different values: "a", "b", "c"; give it the type CATEGORICAL in the schema, or clean the column"#);
        insta::assert_snapshot!(learn(Learner::Multinomial, &["a", "a"]).unwrap_err(), @r#"the data cannot be used: the target "y" is "a" in every row that has it; add rows with another value, or choose another target"#);
        assert!(learn(Learner::Linear, &[]).is_ok());
    }
}
