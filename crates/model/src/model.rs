//! A trained model: what it was told, what it learned, how well it did.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::ModelError;
use crate::features::Features;
use crate::recipe::Recipe;
use crate::schema::Schema;
use crate::train::{Learner, Truth};

/// How a model was trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// Rows learned from.
    pub rows: u64,
    /// Penalty on the size of weights.
    pub l1: f64,
    /// Penalty on the square of weights.
    pub l2: f64,
    /// Steps of the optimiser.
    pub passes: u32,
    /// Mean loss with penalties on the training rows.
    pub loss: f64,
    /// What decided which rows were held out when penalties were chosen.
    pub seed: u64,
}

/// How well a model did on the rows of an evaluation. What has no meaning for a learner is empty.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Rows with a known target.
    pub rows: u64,
    /// Rows left out: no target, a label never learned, or nothing to go by.
    pub skipped: u64,
    /// Chance that a positive row scores above a negative one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auc: Option<f64>,
    /// Part of the rows whose label is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Mean of minus the logarithm of the probability given to the right label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_loss: Option<f64>,
    /// Mean over the labels of the harmonic mean of precision and recall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<f64>,
    /// Root of the mean squared error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rmse: Option<f64>,
    /// Mean size of the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mae: Option<f64>,
    /// Part of the variance that is explained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r2: Option<f64>,
}

/// One weight of a model, in words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Weight {
    /// The attribute, or the attributes of a combination.
    pub attribute: String,
    /// The value or range that the weight is for.
    pub value: String,
    /// The label that a positive weight speaks for; empty for numbers.
    pub label: String,
    /// The weight.
    pub weight: f64,
}

/// What predicting needs; shared by a model and its scorers.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) name: String,
    pub(crate) schema: Schema,
    pub(crate) recipe: Recipe,
    pub(crate) features: Features,
    pub(crate) truth: Truth,
    pub(crate) weights: Vec<f64>,
    pub(crate) trained: Trained,
}

/// A trained model.
#[derive(Debug, Clone)]
pub struct Model {
    pub(crate) core: Arc<Core>,
    pub(crate) metrics: Option<Metrics>,
}

impl Model {
    pub(crate) fn new(
        name: &str,
        schema: Schema,
        recipe: Recipe,
        features: Features,
        truth: Truth,
        weights: Vec<f64>,
        trained: Trained,
    ) -> Result<Model, ModelError> {
        if !trained.loss.is_finite() || !weights.iter().all(|weight| weight.is_finite()) {
            return Err(ModelError::data(
                "the weights or the loss grew beyond all bounds",
                "look for extreme numbers among targets and row weights, or give a higher l2",
            ));
        }
        let name = name.to_owned();
        let core = Core {
            name,
            schema,
            recipe,
            features,
            truth,
            weights,
            trained,
        };
        Ok(Model {
            core: Arc::new(core),
            metrics: None,
        })
    }

    /// The name given at training.
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// The schema that it was trained with.
    pub fn schema(&self) -> &Schema {
        &self.core.schema
    }

    /// The recipe that it was trained with.
    pub fn recipe(&self) -> &Recipe {
        &self.core.recipe
    }

    /// What learned it.
    pub fn learner(&self) -> Learner {
        self.core.truth.learner
    }

    /// The labels that it can give; of two the second is the positive one. None for numbers.
    pub fn labels(&self) -> &[String] {
        &self.core.truth.labels
    }

    /// How it was trained.
    pub fn trained(&self) -> Trained {
        self.core.trained
    }

    /// Number of features, the bias not counted.
    pub fn features(&self) -> usize {
        self.core.features.count as usize
    }

    /// How well it did when it was last evaluated, if that was kept.
    pub fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_ref()
    }

    /// Keeps the result of an evaluation with the model.
    pub fn set_metrics(&mut self, metrics: Metrics) {
        self.metrics = Some(metrics);
    }

    /// The weights that say most, at most `limit`, the largest first.
    pub fn strongest(&self, limit: usize) -> Vec<Weight> {
        let core = &self.core;
        let outputs = core.truth.learner.outputs(core.truth.labels.len());
        let mut order: Vec<usize> = (0..core.features.count as usize * outputs).collect();
        order.sort_by(|a, b| core.weights[*b].abs().total_cmp(&core.weights[*a].abs()));
        order
            .into_iter()
            .take(limit)
            .map(|at| self.weight(at, outputs))
            .collect()
    }

    fn weight(&self, at: usize, outputs: usize) -> Weight {
        let core = &self.core;
        let (attribute, value) = core.features.describe((at / outputs) as u32, &core.schema);
        let label = match outputs {
            1 => core.truth.labels.last(),
            _ => core.truth.labels.get(at % outputs),
        };
        let label = label.cloned().unwrap_or_default();
        Weight {
            attribute,
            value,
            label,
            weight: core.weights[at],
        }
    }
}
