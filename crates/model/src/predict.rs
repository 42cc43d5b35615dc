//! Predicting one record: a sum of weights looked up by the values of its cells.
//!
//! Columns are resolved once, when a [`Scorer`] is made; after the first records nothing is
//! allocated.

use std::sync::Arc;

use crate::error::ModelError;
use crate::features::{Cells, Pool, Tally};
use crate::model::{Core, Model};
use crate::train::{Learner, log_sum_exp, sigmoid};

/// Predicts records with the columns that it was made for. Owns what it needs.
#[derive(Debug, Clone)]
pub struct Scorer {
    core: Arc<Core>,
    /// The column of each attribute of the schema.
    places: Arc<[Option<usize>]>,
    unknown: Arc<[String]>,
    missing: Arc<[String]>,
}

/// What was predicted for a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction<'a> {
    /// The label; empty when the target is a number.
    pub label: &'a str,
    /// With two labels the probability of the positive one, with several the probability of
    /// `label`, for a number the number itself.
    pub score: f64,
    /// Values that training never met: other categories, and numbers that are none. Words and
    /// combinations are not counted.
    pub unknown: u32,
}

/// Buffers of one thread, used again from record to record.
#[derive(Debug, Default, Clone)]
pub struct Scratch {
    pool: Pool,
    outputs: Vec<f64>,
}

impl Scratch {
    /// After a record of a model with several labels: the probability of each.
    pub fn probabilities(&self) -> &[f64] {
        &self.outputs
    }
}

impl Model {
    /// A scorer for records with these columns. Columns that the model does not know and attributes
    /// that are not among the columns are tolerated; no column that it learned from is an error.
    pub fn scorer<S: AsRef<str>>(&self, columns: &[S]) -> Result<Scorer, ModelError> {
        let core = &self.core;
        let columns: Vec<&str> = columns
            .iter()
            .map(|name| crate::text::trim(name.as_ref()))
            .collect();
        let column = |name: &str| columns.iter().position(|column| *column == name);
        let places: Vec<Option<usize>> = core.schema.names().map(column).collect();
        let used = core.features.attributes();
        let (given, missing): (Vec<usize>, Vec<usize>) =
            used.into_iter().partition(|place| places[*place].is_some());
        let names = |of: &[usize]| -> Vec<String> {
            of.iter()
                .map(|place| core.schema.attributes()[*place].name.clone())
                .collect()
        };
        if given.is_empty() {
            return Err(ModelError::Unrelated {
                model: core.name.clone(),
                wanted: names(&missing),
                found: columns.iter().map(|name| (*name).to_owned()).collect(),
            });
        }
        let is_unknown = |name: &&&str| core.schema.attribute(name).is_none();
        let unknown = columns
            .iter()
            .filter(is_unknown)
            .map(|name| (*name).to_owned());
        Ok(Scorer {
            places: places.into(),
            unknown: unknown.collect(),
            missing: names(&missing).into(),
            core: Arc::clone(core),
        })
    }
}

struct Record<'a> {
    cells: &'a [&'a str],
    places: &'a [Option<usize>],
}

impl Cells for Record<'_> {
    #[inline]
    fn cell(&self, attribute: usize) -> &str {
        self.places[attribute]
            .and_then(|column| self.cells.get(column))
            .copied()
            .unwrap_or("")
    }
}

impl Scorer {
    /// The cells as the model reads them.
    pub(crate) fn record<'a>(&'a self, cells: &'a [&'a str]) -> impl Cells + 'a {
        Record {
            cells,
            places: &self.places,
        }
    }

    /// Columns that the model does not know.
    pub fn unknown_columns(&self) -> &[String] {
        &self.unknown
    }

    /// Attributes that the model learned from and that are not among the columns; each counts as
    /// missing in every record.
    pub fn missing_columns(&self) -> &[String] {
        &self.missing
    }

    /// Predicts one record. Cells need not be trimmed; one too few counts as missing, and a record
    /// with no value at all for the model is an error.
    pub fn score(
        &self,
        cells: &[&str],
        scratch: &mut Scratch,
    ) -> Result<Prediction<'_>, ModelError> {
        let record = Record {
            cells,
            places: &self.places,
        };
        let core = &*self.core;
        let (tally, (label, score)) = match core.truth.learner {
            Learner::Multinomial => {
                let tally = self.several(&record, scratch);
                (tally, self.likeliest(&scratch.outputs))
            }
            learner => {
                let (tally, margin) = self.single(&record, scratch);
                (tally, self.answer(learner, margin))
            }
        };
        if tally.present == 0 {
            return Err(ModelError::EmptyRecord {
                model: core.name.clone(),
            });
        }
        Ok(Prediction {
            label,
            score,
            unknown: tally.unknown,
        })
    }

    fn single(&self, record: &Record<'_>, scratch: &mut Scratch) -> (Tally, f64) {
        let core = &*self.core;
        let mut margin = core.weights[core.features.count as usize];
        let tally = core
            .features
            .visit(record, &mut scratch.pool, |feature, value| {
                margin += core.weights[feature as usize] * value;
            });
        (tally, margin)
    }

    fn answer(&self, learner: Learner, margin: f64) -> (&str, f64) {
        if learner == Learner::Linear {
            return ("", margin);
        }
        let score = sigmoid(margin);
        (&self.core.truth.labels[usize::from(score >= 0.5)], score)
    }

    fn several(&self, record: &Record<'_>, scratch: &mut Scratch) -> Tally {
        let core = &*self.core;
        let labels = core.truth.labels.len();
        let (weights, biases) = core.weights.split_at(core.features.count as usize * labels);
        let Scratch { pool, outputs } = scratch;
        outputs.clear();
        outputs.extend_from_slice(biases);
        let tally = core.features.visit(record, pool, |feature, value| {
            let from = feature as usize * labels;
            for (output, weight) in outputs.iter_mut().zip(&weights[from..]) {
                *output += weight * value;
            }
        });
        let total = log_sum_exp(outputs);
        outputs
            .iter_mut()
            .for_each(|output| *output = (*output - total).exp());
        tally
    }

    fn likeliest(&self, probabilities: &[f64]) -> (&str, f64) {
        let best = probabilities
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1));
        best.map_or(("", 0.0), |(at, score)| {
            (&self.core.truth.labels[at], *score)
        })
    }
}
