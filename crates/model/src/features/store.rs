//! What was learned of each expression, written and read. The recipe says what comes in which order.

use super::block::{Features, Learned};
use crate::bytes::{Reader, Writer};
use crate::dict::Dict;
use crate::error::ModelError;
use crate::recipe::Recipe;

impl Features {
    pub(crate) fn write(&self, out: &mut Writer) {
        self.blocks
            .iter()
            .for_each(|block| write_one(&block.learned, out));
    }

    pub(crate) fn read(recipe: &Recipe, from: &mut Reader<'_>) -> Result<Features, ModelError> {
        let mut learned = Features::unlearned(recipe.exprs());
        learned
            .iter_mut()
            .try_for_each(|block| read_one(block, from))?;
        Features::number(learned).ok_or_else(|| ModelError::damaged("it has too many features"))
    }
}

fn write_one(learned: &Learned, out: &mut Writer) {
    match learned {
        Learned::Number { mean, scale, .. } => {
            out.float(*mean);
            out.float(*scale);
        }
        Learned::Bins { edges, .. } => out.floats(edges),
        Learned::Category { values, .. } => write_dict(values, out),
        Learned::Tokens {
            program, values, ..
        } => {
            program.edges().iter().for_each(|edges| out.floats(edges));
            write_dict(values, out);
        }
    }
}

fn read_one(learned: &mut Learned, from: &mut Reader<'_>) -> Result<(), ModelError> {
    match learned {
        Learned::Number { mean, scale, .. } => {
            *mean = from.float()?;
            *scale = from.float()?;
        }
        Learned::Bins { bins, edges, .. } => *edges = read_edges(*bins, from)?,
        Learned::Category { values, .. } => {
            *values = read_dict(from)?;
            if values.get("") != Some(0) {
                return Err(ModelError::damaged("a category has no value for missing"));
            }
        }
        Learned::Tokens {
            program, values, ..
        } => {
            program.visit_bins(&mut |_, bins, edges: &mut Vec<f64>| {
                *edges = read_edges(bins, from)?;
                Ok::<(), ModelError>(())
            })?;
            *values = read_dict(from)?;
        }
    }
    Ok(())
}

fn read_edges(bins: usize, from: &mut Reader<'_>) -> Result<Vec<f64>, ModelError> {
    let edges = from.floats()?;
    let ascending = edges.windows(2).all(|pair| pair[0] < pair[1]);
    if ascending && edges.len() < bins {
        Ok(edges)
    } else {
        Err(ModelError::damaged(
            "the edges of its bins are out of order",
        ))
    }
}

fn write_dict(values: &Dict, out: &mut Writer) {
    out.number(values.len());
    values.iter().for_each(|value| out.text(value));
}

fn read_dict(from: &mut Reader<'_>) -> Result<Dict, ModelError> {
    let count = from.count(8)?;
    let mut values = Dict::default();
    for id in 0..count {
        if values.insert(from.text()?) != u32::try_from(id).ok() {
            return Err(ModelError::damaged("a value is listed twice"));
        }
    }
    Ok(values)
}
