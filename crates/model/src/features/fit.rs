//! Learning the features from a table: edges of bins, means, and the values that occur.

use super::block::{Cells, Features, Learned};
use super::program::{Pool, Program};
use crate::dict::Dict;
use crate::error::ModelError;
use crate::recipe::Recipe;
use crate::schema::Schema;
use crate::table::Table;
use crate::text;

/// Values that one expression keeps, at most; the most frequent.
const VALUES_KEPT: usize = 1 << 20;
/// Values that one expression counts, at most; later ones are not looked at.
const VALUES_COUNTED: usize = 1 << 22;
/// From so many rows on, a word or combination must occur twice to be learned from.
const ROWS_FOR_PRUNING: usize = 1000;

/// A row of a table, read through the places of the schema's attributes.
#[derive(Clone, Copy)]
pub(crate) struct TableRow<'a> {
    pub(crate) table: &'a Table,
    pub(crate) places: &'a [Option<usize>],
    pub(crate) row: usize,
}

impl Cells for TableRow<'_> {
    fn cell(&self, attribute: usize) -> &str {
        self.places[attribute].map_or("", |column| self.table.cell(self.row, column))
    }
}

/// Where each attribute of the schema stands in the table.
pub(crate) fn places(schema: &Schema, table: &Table) -> Vec<Option<usize>> {
    schema.names().map(|name| table.column(name)).collect()
}

struct Fit<'a> {
    table: &'a Table,
    places: Vec<Option<usize>>,
    rows: &'a [u32],
}

impl Features {
    /// Learns the features of a recipe from some rows of a table.
    pub(crate) fn fit(
        schema: &Schema,
        recipe: &Recipe,
        table: &Table,
        rows: &[u32],
    ) -> Result<Features, ModelError> {
        let fit = Fit {
            table,
            places: places(schema, table),
            rows,
        };
        let mut learned = Features::unlearned(recipe.exprs());
        learned.iter_mut().for_each(|block| fit.learn(block));
        Features::number(learned).ok_or_else(|| {
            ModelError::data(
                "the recipe makes more than four thousand million features",
                "take n-grams or cartesian products out of the recipe",
            )
        })
    }
}

impl Fit<'_> {
    fn learn(&self, block: &mut Learned) {
        match block {
            Learned::Number {
                attribute,
                mean,
                scale,
            } => {
                (*mean, *scale) = mean_and_scale(&self.numbers(*attribute));
            }
            Learned::Bins {
                attribute,
                bins,
                edges,
            } => *edges = self.edges(*attribute, *bins),
            Learned::Category { attribute, values } => *values = self.values(*attribute),
            Learned::Tokens {
                program, values, ..
            } => {
                let fill = &mut |attribute: usize, bins: usize, edges: &mut Vec<f64>| {
                    *edges = self.edges(attribute, bins);
                    Ok::<(), std::convert::Infallible>(())
                };
                match program.visit_bins(fill) {
                    Ok(()) => *values = self.tokens(program),
                    Err(never) => match never {},
                }
            }
        }
    }

    fn cells(&self) -> impl Iterator<Item = TableRow<'_>> {
        let row = |row: &u32| TableRow {
            table: self.table,
            places: &self.places,
            row: *row as usize,
        };
        self.rows.iter().map(row)
    }

    fn numbers(&self, attribute: usize) -> Vec<f64> {
        self.cells()
            .filter_map(|row| text::number(text::clean(row.cell(attribute))))
            .collect()
    }

    fn edges(&self, attribute: usize, bins: usize) -> Vec<f64> {
        quantile_edges(self.numbers(attribute), bins)
    }

    /// Every value that occurs, the missing one first.
    fn values(&self, attribute: usize) -> Dict {
        let mut counted = Counted::default();
        counted.dict.insert("");
        counted.counts.push(u32::MAX);
        self.cells()
            .for_each(|row| counted.add(text::clean(row.cell(attribute))));
        counted.keep(1)
    }

    fn tokens(&self, program: &Program) -> Dict {
        let mut counted = Counted::default();
        let mut pool = Pool::default();
        for row in self.cells() {
            let mut tokens = pool.tokens();
            program.tokens(&row, &mut pool, &mut tokens);
            tokens.iter().for_each(|token| counted.add(token));
            pool.give_tokens(tokens);
        }
        counted.keep(if self.rows.len() < ROWS_FOR_PRUNING {
            1
        } else {
            2
        })
    }
}

#[derive(Default)]
struct Counted {
    dict: Dict,
    counts: Vec<u32>,
}

impl Counted {
    fn add(&mut self, token: &str) {
        let id = match self.dict.get(token) {
            None if self.counts.len() < VALUES_COUNTED => self.dict.insert(token),
            known => known,
        };
        match id.map(|id| id as usize) {
            Some(id) if id < self.counts.len() => {
                self.counts[id] = self.counts[id].saturating_add(1)
            }
            Some(_) => self.counts.push(1),
            None => {}
        }
    }

    /// The values that occur often enough, in the order in which they came.
    fn keep(self, at_least: u32) -> Dict {
        let mut sorted = self.counts.clone();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        // One more than the count of the first value for which there is no room.
        let room = sorted
            .get(VALUES_KEPT)
            .map_or(0, |count| count.saturating_add(1));
        let mut kept = Dict::default();
        for (token, count) in self.dict.iter().zip(&self.counts) {
            if *count >= at_least.max(room) {
                kept.insert(token);
            }
        }
        kept
    }
}

/// The mean, and one over the standard deviation (nothing where all numbers are the same).
fn mean_and_scale(numbers: &[f64]) -> (f64, f64) {
    let count = numbers.len().max(1) as f64;
    let mean = numbers.iter().map(|n| n / count).sum::<f64>();
    let variance = numbers
        .iter()
        .map(|n| (n - mean) * (n - mean) / count)
        .sum::<f64>();
    let scale = if variance > 0.0 {
        variance.sqrt().recip()
    } else {
        0.0
    };
    if mean.is_finite() && scale.is_finite() {
        (mean, scale)
    } else {
        (0.0, 0.0)
    }
}

/// Edges between at most `bins` bins that hold equally many numbers, as far as repeated numbers
/// allow: a number with more than its share gets a bin of its own and the rest share what is left,
/// so that a column of mostly zeros still tells its other numbers apart.
pub(crate) fn quantile_edges(mut numbers: Vec<f64>, bins: usize) -> Vec<f64> {
    numbers.sort_unstable_by(f64::total_cmp);
    let distinct = runs(&numbers);
    if distinct.len() <= bins {
        return distinct
            .windows(2)
            .map(|pair| between(pair[0].0, pair[1].0))
            .collect();
    }
    let share = numbers.len() as f64 / bins as f64;
    let is_heavy = |count: usize| count as f64 >= share;
    let heavy: Vec<usize> = distinct
        .iter()
        .map(|d| d.1)
        .filter(|count| is_heavy(*count))
        .collect();
    let others = (numbers.len() - heavy.iter().sum::<usize>()) as f64;
    let other_share = others / bins.saturating_sub(heavy.len()).max(1) as f64;
    let mut edges = Vec::new();
    let mut filled = 0.0;
    for pair in distinct.windows(2) {
        let [(here, count), (next, next_count)] = [pair[0], pair[1]];
        filled += count as f64;
        let full = filled >= other_share || is_heavy(count) || is_heavy(next_count);
        if full && edges.len() + 1 < bins {
            edges.push(between(here, next));
            filled = 0.0;
        }
    }
    edges
}

/// Each number of the sorted list and how often it occurs.
fn runs(sorted: &[f64]) -> Vec<(f64, usize)> {
    sorted
        .chunk_by(|a, b| a == b)
        .map(|run| (run[0], run.len()))
        .collect()
}

/// A number above `low` and not above `high`, the middle where there is one.
fn between(low: f64, high: f64) -> f64 {
    let middle = low / 2.0 + high / 2.0;
    if middle > low && middle <= high {
        middle
    } else {
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_numbers_get_a_bin_each() {
        assert_eq!(quantile_edges(vec![3.0, 1.0, 1.0, 2.0], 10), [1.5, 2.5]);
        assert_eq!(quantile_edges(vec![], 10), Vec::<f64>::new());
    }

    #[test]
    fn a_column_of_mostly_zeros_keeps_bins_for_the_rest() {
        let mut numbers = vec![0.0; 900];
        numbers.extend((1..=100).map(f64::from));
        let edges = quantile_edges(numbers, 10);
        assert_eq!(edges[0], 0.5);
        assert!(edges.len() >= 8, "{edges:?}");
    }

    proptest! {
        #[test]
        fn edges_are_ascending_and_few(numbers in proptest::collection::vec(-50i32..50, 0..300), bins in 2usize..40) {
            let numbers: Vec<f64> = numbers.into_iter().map(f64::from).collect();
            let edges = quantile_edges(numbers, bins);
            prop_assert!(edges.len() < bins);
            prop_assert!(edges.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
