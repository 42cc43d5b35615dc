//! One training from table to model.

use super::choose::{Penalties, penalties};
use super::labels::{Learner, Truth};
use super::lbfgs::minimise;
use super::loss::Problem;
use super::options::{Progress, TrainOptions};
use super::rows::{Rows, Usable, encode, usable};
use crate::error::{ModelError, did_you_mean, listed};
use crate::features::{Features, places};
use crate::model::{Model, Trained};
use crate::recipe::Recipe;
use crate::schema::{Attribute, Schema};
use crate::table::Table;

/// Weights of one model, at most: features times classes.
const WEIGHT_LIMIT: usize = 50_000_000;

/// Learns a model from every row of the table that has a target.
///
/// A BINARY target is learned by logistic regression, a CATEGORICAL one by multinomial logistic
/// regression, a NUMERIC one by linear regression. The result is the same each time.
pub fn train(
    name: &str,
    schema: &Schema,
    recipe: &Recipe,
    table: &Table,
    options: &TrainOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Model, ModelError> {
    check_options(options)?;
    let target = target(schema, table)?;
    let learner = Learner::of(target.kind)?;
    let column = table.column(&target.name).unwrap_or(0);
    let values = (0..table.len()).map(|row| table.cell(row, column));
    let truth = Truth::learn(learner, &target.name, values)?;
    let Usable {
        rows,
        targets,
        weights,
    } = usable(schema, &truth, table)?;
    if rows.len() < 2 {
        let detail = format!("{} rows have a target and a weight above zero", rows.len());
        return Err(ModelError::data(detail, "learning needs two at least"));
    }
    let features = Features::fit(schema, recipe, table, &rows)?;
    check_columns(schema, &features, table)?;
    check_size(&features, learner.outputs(truth.labels.len()))?;
    let places = places(schema, table);
    let encoded = Rows {
        targets,
        weights,
        ..encode(&features, table, &places, &rows, progress)
    };
    let (weights, trained) = learn(encoded, &features, &truth, options, progress);
    Model::new(
        name,
        schema.clone(),
        recipe.clone(),
        features,
        truth,
        weights,
        trained,
    )
}

fn learn(
    mut rows: Rows,
    features: &Features,
    truth: &Truth,
    options: &TrainOptions,
    progress: &mut dyn FnMut(Progress),
) -> (Vec<f64>, Trained) {
    let scale = Standard::of(truth.learner, &mut rows.targets);
    let subset: Vec<u32> = (0..rows.len() as u32).collect();
    let outputs = truth.learner.outputs(truth.labels.len());
    let features = features.count as usize;
    let problem = Problem {
        rows: &rows,
        subset: &subset,
        learner: truth.learner,
        outputs,
        features,
        l2: 0.0,
    };
    let Penalties { l1, l2 } = penalties(&problem, options, progress);
    let problem = Problem { l2, ..problem };
    let mut weights = vec![0.0; problem.size()];
    let mut passes = 0;
    let loss = minimise(
        &problem,
        l1,
        options.passes,
        &mut weights,
        &mut |done, loss| {
            passes = done;
            let fraction = f64::from(done) / f64::from(options.passes.max(1));
            progress(Progress::Learning { fraction, loss });
        },
    );
    progress(Progress::Learning {
        fraction: 1.0,
        loss,
    });
    scale.undo(&mut weights);
    (
        weights,
        Trained {
            rows: rows.len() as u64,
            l1,
            l2,
            passes,
            loss,
            seed: options.seed,
        },
    )
}

/// Numeric targets are learned with mean 0 and deviation 1, so that penalties mean the same for all.
struct Standard {
    mean: f64,
    deviation: f64,
}

impl Standard {
    fn of(learner: Learner, targets: &mut [f64]) -> Standard {
        if learner != Learner::Linear {
            return Standard {
                mean: 0.0,
                deviation: 1.0,
            };
        }
        let count = targets.len() as f64;
        let mean = targets.iter().map(|t| t / count).sum::<f64>();
        let variance = targets
            .iter()
            .map(|t| (t - mean) * (t - mean) / count)
            .sum::<f64>();
        let deviation = if variance > 0.0 && variance.is_finite() {
            variance.sqrt()
        } else {
            1.0
        };
        targets
            .iter_mut()
            .for_each(|t| *t = (*t - mean) / deviation);
        Standard { mean, deviation }
    }

    fn undo(&self, weights: &mut [f64]) {
        weights
            .iter_mut()
            .for_each(|weight| *weight *= self.deviation);
        if let Some(bias) = weights.last_mut() {
            *bias += self.mean;
        }
    }
}

fn check_options(options: &TrainOptions) -> Result<(), ModelError> {
    let wrong = |penalty: Option<f64>| penalty.is_some_and(|p| !p.is_finite() || p < 0.0);
    if options.passes == 0 {
        return Err(ModelError::data(
            "training is to have no passes",
            "allow one at least",
        ));
    }
    if wrong(options.l1) || wrong(options.l2) {
        return Err(ModelError::data(
            "a penalty (l1 or l2) is negative or no number",
            "give numbers from 0 on, or leave them out to have them chosen",
        ));
    }
    Ok(())
}

pub(crate) fn target<'a>(schema: &'a Schema, table: &Table) -> Result<&'a Attribute, ModelError> {
    let Some(target) = schema.target() else {
        let advice = "add targetAttributeName with the name of the column to learn";
        return Err(ModelError::schema("it names no target", advice));
    };
    if table.column(&target.name).is_none() {
        let names = table.columns().iter().map(String::as_str);
        let otherwise = format!("the columns are {}", listed(table.columns()));
        return Err(ModelError::data(
            format!(
                "there is no column {:?}, the target of the schema",
                target.name
            ),
            did_you_mean(&target.name, names, &otherwise),
        ));
    }
    Ok(target)
}

/// Every attribute that is learned from must be a column, so that a misspelt one is not learned as
/// always missing.
fn check_columns(schema: &Schema, features: &Features, table: &Table) -> Result<(), ModelError> {
    let used = features.attributes();
    let names = used
        .iter()
        .filter_map(|place| schema.attributes().get(*place))
        .map(|a| &a.name);
    let weight = schema
        .row_weight()
        .and_then(|name| schema.attribute(name))
        .map(|a| &a.name);
    for name in names.chain(weight) {
        if table.column(name).is_none() {
            let columns = table.columns().iter().map(String::as_str);
            let otherwise = format!("the columns are {}", listed(table.columns()));
            return Err(ModelError::data(
                format!("there is no column {name:?}, which the schema and the recipe learn from"),
                did_you_mean(name, columns, &otherwise),
            ));
        }
    }
    Ok(())
}

fn check_size(features: &Features, outputs: usize) -> Result<(), ModelError> {
    let weights = (features.count as usize).saturating_mul(outputs);
    if weights <= WEIGHT_LIMIT {
        return Ok(());
    }
    Err(ModelError::data(
        format!(
            "{} features for {outputs} outputs make {weights} weights",
            features.count
        ),
        format!("{WEIGHT_LIMIT} is the limit; take combinations out of the recipe"),
    ))
}
