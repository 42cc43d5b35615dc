//! The training rows as sparse features with target and weight.

use super::labels::Truth;
use super::options::Progress;
use crate::error::ModelError;
use crate::features::{Features, Pool, TableRow};
use crate::schema::Schema;
use crate::table::Table;
use crate::text;

/// Rows in compressed form: features and values of row `i` stand from `starts[i]` to `starts[i + 1]`.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) starts: Vec<usize>,
    pub(crate) features: Vec<u32>,
    pub(crate) values: Vec<f32>,
    pub(crate) targets: Vec<f64>,
    pub(crate) weights: Vec<f64>,
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.targets.len()
    }

    #[inline]
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = (usize, f64)> {
        let range = self.starts[row]..self.starts[row + 1];
        let features = self.features[range.clone()]
            .iter()
            .map(|feature| *feature as usize);
        features.zip(self.values[range].iter().map(|value| f64::from(*value)))
    }
}

/// Numbers of rows that can be learned from, with their targets and weights.
#[derive(Debug, Default)]
pub(crate) struct Usable {
    pub(crate) rows: Vec<u32>,
    pub(crate) targets: Vec<f64>,
    pub(crate) weights: Vec<f64>,
}

/// Rows between two reports of progress.
const REPORT_EVERY: usize = 10_000;

/// The rows of a table that can be learned from: those with a target and a positive weight.
pub(crate) fn usable(schema: &Schema, truth: &Truth, table: &Table) -> Result<Usable, ModelError> {
    let column = |name: Option<&str>| name.and_then(|name| table.column(name));
    let target = column(schema.target().map(|target| target.name.as_str()));
    let weight = column(schema.row_weight());
    let mut usable = Usable::default();
    for row in 0..table.len() {
        let value = target.and_then(|column| truth.of(table.cell(row, column)));
        let heft = weight.map_or(Some(1.0), |c| text::number(text::clean(table.cell(row, c))));
        if let (Some(value), Some(heft)) = (value, heft.filter(|heft| *heft > 0.0)) {
            usable
                .rows
                .push(u32::try_from(row).map_err(|_| too_many())?);
            usable.targets.push(value);
            usable.weights.push(heft);
        }
    }
    Ok(usable)
}

fn too_many() -> ModelError {
    ModelError::data(
        "the table has more than 4,294,967,295 rows",
        "train on a part of them",
    )
}

/// Turns the rows into features.
pub(crate) fn encode(
    features: &Features,
    table: &Table,
    places: &[Option<usize>],
    rows: &[u32],
    progress: &mut dyn FnMut(Progress),
) -> Rows {
    let mut encoded = Rows {
        starts: vec![0],
        ..Rows::default()
    };
    let mut pool = Pool::default();
    for (done, row) in rows.iter().enumerate() {
        let cells = TableRow {
            table,
            places,
            row: *row as usize,
        };
        let Rows {
            features: list,
            values,
            ..
        } = &mut encoded;
        features.visit(&cells, &mut pool, |feature, value| {
            list.push(feature);
            values.push(value as f32);
        });
        encoded.starts.push(encoded.features.len());
        if done % REPORT_EVERY == 0 {
            progress(Progress::Features {
                fraction: done as f64 / rows.len() as f64,
            });
        }
    }
    progress(Progress::Features { fraction: 1.0 });
    encoded
}
