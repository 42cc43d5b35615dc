//! Which attributes move the score: how much the part of the sum that comes from each varies over
//! the rows. Single weights say less, since a rare value may have a large one.

use serde::Serialize;

use crate::features::{Cells, Pool};
use crate::model::Core;

/// How much one feature expression moves the score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Influence {
    /// The expression as a recipe writes it.
    pub feature: String,
    /// Standard deviation over the rows of what it adds to the score before it becomes a probability;
    /// with several labels the mean of theirs.
    pub spread: f64,
}

/// Sums and squares of what each block adds, for each output.
pub(crate) struct Influences<'a> {
    core: &'a Core,
    pool: Pool,
    outputs: usize,
    row: Vec<f64>,
    sums: Vec<(f64, f64)>,
    rows: f64,
}

impl<'a> Influences<'a> {
    pub(crate) fn new(core: &'a Core) -> Influences<'a> {
        let outputs = core.truth.learner.outputs(core.truth.labels.len());
        let size = core.features.blocks.len() * outputs;
        let (row, sums) = (vec![0.0; size], vec![(0.0, 0.0); size]);
        Influences {
            core,
            pool: Pool::default(),
            outputs,
            row,
            sums,
            rows: 0.0,
        }
    }

    pub(crate) fn add(&mut self, cells: &impl Cells) {
        let Influences {
            core,
            pool,
            outputs,
            row,
            ..
        } = self;
        row.fill(0.0);
        core.features.visit(cells, pool, |feature, value| {
            let block = core.features.block_of(feature) * *outputs;
            let from = feature as usize * *outputs;
            let weights = &core.weights[from..from + *outputs];
            for (part, weight) in row[block..].iter_mut().zip(weights) {
                *part += weight * value;
            }
        });
        for ((sum, squares), part) in self.sums.iter_mut().zip(&self.row) {
            *sum += part;
            *squares += part * part;
        }
        self.rows += 1.0;
    }

    /// The influences, the largest first.
    pub(crate) fn finish(&self) -> Vec<Influence> {
        let spread = |(sum, squares): &(f64, f64)| {
            let mean = sum / self.rows;
            (squares / self.rows - mean * mean).max(0.0).sqrt()
        };
        let exprs = self.core.recipe.exprs();
        let blocks = exprs.iter().zip(self.sums.chunks(self.outputs));
        let mut all: Vec<Influence> = blocks
            .map(|(expr, sums)| Influence {
                feature: expr.describe(&self.core.schema),
                spread: sums.iter().map(spread).sum::<f64>() / self.outputs as f64,
            })
            .collect();
        all.sort_by(|a, b| b.spread.total_cmp(&a.spread));
        all
    }
}
