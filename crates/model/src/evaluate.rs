//! How well a model does on rows whose answer is known.

use serde::Serialize;

use crate::curves::{CalibrationBin, Point, auc, calibration, precision_recall, roc};
use crate::error::ModelError;
use crate::influence::{Influence, Influences};
use crate::model::{Metrics, Model};
use crate::predict::{Scorer, Scratch};
use crate::table::Table;
use crate::train::{Learner, target};

/// One evaluated row.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredRow {
    /// Number of the row in the table, from 0.
    pub row: usize,
    /// What the table says.
    pub truth: String,
    /// What the model says; empty for numbers.
    pub label: String,
    /// As in [`crate::Prediction`].
    pub score: f64,
}

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// What was evaluated.
    pub learner: Learner,
    /// Labels in the order of the confusion matrix; of two the second is the positive one.
    pub labels: Vec<String>,
    /// The figures.
    pub metrics: Metrics,
    /// Values that training never met, over all rows.
    pub unknown_values: u64,
    /// Rows counted by true label (outer) and predicted label (inner). Empty for numbers.
    pub confusion: Vec<Vec<u64>>,
    /// How often what was given a probability came true. Empty for numbers.
    pub calibration: Vec<CalibrationBin>,
    /// False positive rate (x) and true positive rate (y). Two labels only.
    pub roc: Vec<Point>,
    /// Recall (x) and precision (y). Two labels only.
    pub precision_recall: Vec<Point>,
    /// What moves the score, the most first.
    pub influence: Vec<Influence>,
    /// Every evaluated row, for the caller to write.
    #[serde(skip)]
    pub scores: Vec<ScoredRow>,
}

/// Predicts each row of the table and compares with its target. Rows without a target, with a label
/// never learned or with no value for the model are skipped and counted.
pub fn evaluate(model: &Model, table: &Table) -> Result<Evaluation, ModelError> {
    let target = target(model.schema(), table)?;
    let column = table.column(&target.name).unwrap_or(0);
    let scorer = model.scorer(table.columns())?;
    let mut gathered = Gathered::new(model);
    let mut cells: Vec<&str> = Vec::new();
    for row in 0..table.len() {
        cells.clear();
        cells.extend(table.row(row));
        gathered.add(&scorer, row, &cells, column);
    }
    if gathered.scores.is_empty() {
        return Err(ModelError::data(
            format!(
                "none of the {} rows has a target that the model knows",
                table.len()
            ),
            format!("check the column {:?}", target.name),
        ));
    }
    Ok(gathered.finish())
}

struct Gathered<'a> {
    model: &'a Model,
    scratch: Scratch,
    influences: Influences<'a>,
    scores: Vec<ScoredRow>,
    /// The number of the label, or the number.
    truths: Vec<f64>,
    /// The probability given to the right label.
    rightly: Vec<f64>,
    skipped: u64,
    unknown: u64,
}

impl<'a> Gathered<'a> {
    fn new(model: &'a Model) -> Gathered<'a> {
        Gathered {
            model,
            scratch: Scratch::default(),
            influences: Influences::new(&model.core),
            scores: Vec::new(),
            truths: Vec::new(),
            rightly: Vec::new(),
            skipped: 0,
            unknown: 0,
        }
    }

    fn add(&mut self, scorer: &Scorer, row: usize, cells: &[&str], column: usize) {
        let truth = self.model.core.truth.of(cells[column]);
        let (Some(truth), Ok(found)) = (truth, scorer.score(cells, &mut self.scratch)) else {
            self.skipped += 1;
            return;
        };
        self.unknown += u64::from(found.unknown);
        self.rightly.push(match self.model.learner() {
            Learner::Linear => 0.0,
            Learner::Logistic if truth > 0.5 => found.score,
            Learner::Logistic => 1.0 - found.score,
            Learner::Multinomial => self.scratch.probabilities()[truth as usize],
        });
        self.influences.add(&scorer.record(cells));
        self.truths.push(truth);
        let (label, score) = (found.label.to_owned(), found.score);
        self.scores.push(ScoredRow {
            row,
            truth: cells[column].to_owned(),
            label,
            score,
        });
    }

    fn finish(self) -> Evaluation {
        let learner = self.model.learner();
        let metrics = Metrics {
            rows: self.scores.len() as u64,
            skipped: self.skipped,
            ..Metrics::default()
        };
        let evaluation = Evaluation {
            learner,
            labels: self.model.labels().to_vec(),
            metrics,
            unknown_values: self.unknown,
            confusion: Vec::new(),
            calibration: Vec::new(),
            roc: Vec::new(),
            precision_recall: Vec::new(),
            influence: self.influences.finish(),
            scores: Vec::new(),
        };
        match learner {
            Learner::Linear => self.numbers(evaluation),
            Learner::Logistic => self.two(self.labels(evaluation)),
            Learner::Multinomial => self.labels(evaluation),
        }
        .with_scores(self.scores)
    }

    fn numbers(&self, mut evaluation: Evaluation) -> Evaluation {
        let count = self.truths.len() as f64;
        let mean = self.truths.iter().sum::<f64>() / count;
        let errors = || {
            self.scores
                .iter()
                .zip(&self.truths)
                .map(|(row, truth)| row.score - truth)
        };
        let squares = errors().map(|e| e * e).sum::<f64>();
        let spread = self
            .truths
            .iter()
            .map(|t| (t - mean) * (t - mean))
            .sum::<f64>();
        evaluation.metrics.rmse = Some((squares / count).sqrt());
        evaluation.metrics.mae = Some(errors().map(f64::abs).sum::<f64>() / count);
        evaluation.metrics.r2 = (spread > 0.0).then(|| 1.0 - squares / spread);
        evaluation
    }

    fn labels(&self, mut evaluation: Evaluation) -> Evaluation {
        let labels = &evaluation.labels;
        let places: std::collections::HashMap<&str, usize> = labels
            .iter()
            .enumerate()
            .map(|(at, label)| (label.as_str(), at))
            .collect();
        let mut confusion = vec![vec![0u64; labels.len()]; labels.len()];
        let mut outcomes = Vec::with_capacity(self.scores.len());
        for (row, truth) in self.scores.iter().zip(&self.truths) {
            let predicted = places.get(row.label.as_str()).copied().unwrap_or(0);
            confusion[*truth as usize][predicted] += 1;
            outcomes.push((row.score, predicted == *truth as usize));
        }
        let count = self.scores.len() as f64;
        let right: u64 = confusion.iter().enumerate().map(|(at, row)| row[at]).sum();
        let losses = self.rightly.iter().map(|p| -p.max(1e-15).ln());
        evaluation.metrics.accuracy = Some(right as f64 / count);
        evaluation.metrics.log_loss = Some(losses.sum::<f64>() / count);
        evaluation.metrics.macro_f1 = Some(macro_f1(&confusion));
        evaluation.calibration = calibration(&outcomes);
        evaluation.confusion = confusion;
        evaluation
    }

    fn two(&self, mut evaluation: Evaluation) -> Evaluation {
        let pairs = self.scores.iter().zip(&self.truths);
        let outcomes: Vec<(f64, bool)> = pairs.map(|(row, t)| (row.score, *t > 0.5)).collect();
        evaluation.metrics.auc = Some(auc(&outcomes)).filter(|area| area.is_finite());
        evaluation.calibration = calibration(&outcomes);
        evaluation.roc = roc(&outcomes);
        evaluation.precision_recall = precision_recall(&outcomes);
        evaluation
    }
}

/// Mean F1 over the labels that occur or were predicted.
fn macro_f1(confusion: &[Vec<u64>]) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (at, row) in confusion.iter().enumerate() {
        let actual: u64 = row.iter().sum();
        let predicted: u64 = confusion.iter().map(|row| row[at]).sum();
        if actual + predicted > 0 {
            sum += 2.0 * row[at] as f64 / (actual + predicted) as f64;
            count += 1.0;
        }
    }
    if count > 0.0 { sum / count } else { 0.0 }
}

impl Evaluation {
    fn with_scores(self, scores: Vec<ScoredRow>) -> Evaluation {
        Evaluation { scores, ..self }
    }

    /// The figures, to be kept with the model.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Everything but the single rows, as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}
