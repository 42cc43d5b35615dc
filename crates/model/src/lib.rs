//! Learning and predicting: schema, recipe, train, evaluate, predict.
//!
//! The data schema and the recipe language are those of Amazon Machine Learning. A [`Table`] with a
//! [`Schema`] and a [`Recipe`] is [`train`]ed into a [`Model`], which becomes a file and comes back
//! from one, makes a [`Scorer`] for given columns, and is [`evaluate`]d into a report.
//!
//! Everything here is synchronous and touches no file, no clock and no network.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod bytes;
mod curves;
mod dict;
mod error;
mod evaluate;
mod features;
mod file;
mod influence;
mod model;
mod predict;
mod recipe;
mod report;
mod schema;
mod table;
mod text;
mod train;

pub use curves::{CalibrationBin, Point, auc};
pub use error::ModelError;
pub use evaluate::{Evaluation, ScoredRow, evaluate};
pub use influence::Influence;
pub use model::{Metrics, Model, Trained, Weight};
pub use predict::{Prediction, Scorer, Scratch};
pub use recipe::Recipe;
pub use schema::{Attribute, Kind, Schema};
pub use table::Table;
pub use train::{Learner, Progress, TrainOptions, train};
