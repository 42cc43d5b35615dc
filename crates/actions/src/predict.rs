//! `predict`: predicts a value for a record, with the model that the run is pinned to.

use crate::{keep, options, place};
use oncely_core::action::{Action, Call, Done, Failure, Pin};
use oncely_core::fact::Repeat;
use oncely_core::items::{Outputs, OwnedCell, Transform};
use oncely_core::{Fut, Value};
use oncely_model::{Model, ModelError, Scorer, Scratch};
use serde::Deserialize;
use serde_json::{Map, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Models that are held in memory; beyond that all are read again.
const HELD: usize = 16;

/// What the `predict` action needs to know.
#[derive(Debug, Clone, Default)]
pub struct PredictConfig {
    /// The folder that holds `NAME.model`.
    pub models: PathBuf,
    /// A folder of oncely's own for the models that runs are pinned to, by checksum.
    pub cache: PathBuf,
}

/// The `predict` action.
#[derive(Debug)]
pub struct Predict {
    config: PredictConfig,
    held: Mutex<HashMap<String, Model>>,
}

#[derive(Debug, Deserialize)]
struct Options {
    model: String,
    #[serde(default)]
    record: Value,
    pinned: Option<String>,
}

impl Predict {
    /// The action. Models are read when they are first needed.
    #[must_use]
    pub fn new(config: PredictConfig) -> Self {
        Self {
            config,
            held: Mutex::default(),
        }
    }

    fn model(&self, options: &Options) -> Result<Model, Failure> {
        match &options.pinned {
            Some(checksum) => self.pinned(&options.model, checksum),
            None => self.current(&options.model),
        }
    }

    /// The model as its file is now.
    fn current(&self, name: &str) -> Result<Model, Failure> {
        let path = named(&self.config.models, name)?;
        let bytes = std::fs::read(&path).map_err(|error| missing(name, &path, error))?;
        Model::from_bytes(&bytes).map_err(|error| unreadable(&path, &error))
    }

    /// The model with this checksum, from memory, from its copy, or from a file that is still it.
    fn pinned(&self, name: &str, checksum: &str) -> Result<Model, Failure> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = held.get(checksum) {
            return Ok(model.clone());
        }
        let model = self
            .copy(checksum)
            .map_or_else(|| self.still_current(name, checksum), Ok)?;
        if held.len() >= HELD {
            held.clear();
        }
        held.insert(checksum.to_owned(), model.clone());
        Ok(model)
    }

    fn copy(&self, checksum: &str) -> Option<Model> {
        let bytes = std::fs::read(named(&self.config.cache, checksum).ok()?).ok()?;
        let model = Model::from_bytes(&bytes).ok()?;
        (model.checksum() == checksum).then_some(model)
    }

    fn still_current(&self, name: &str, checksum: &str) -> Result<Model, Failure> {
        let model = self.current(name);
        model
            .ok()
            .filter(|model| model.checksum() == checksum)
            .ok_or_else(|| {
                Failure::permanent(format!(
                    "this run is pinned to a version of the model {name:?} that is gone: neither \
                     its copy in {} nor the model's file has the checksum {checksum}; put that \
                     version back, or rerun to use the present one",
                    self.config.cache.display()
                ))
            })
    }

    fn keep(&self, name: &str) -> Result<Pin, Failure> {
        let model = self.current(name)?;
        let checksum = model.checksum();
        let file = format!("{checksum}.model");
        keep::keep(&self.config.cache, file.as_ref(), &model.to_bytes(), 0o600)
            .map_err(|error| place::failed("keep the model", &self.config.cache, error))?;
        Ok(Pin {
            name: name.to_owned(),
            checksum,
        })
    }

    fn predict(&self, options: &Options) -> Result<Value, Failure> {
        let model = self.model(options)?;
        let record = options.record.as_object().ok_or_else(|| {
            Failure::permanent("the record to predict is no table of names and values")
        })?;
        let (columns, cells) = columns_and_cells(record);
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        let scorer = model.scorer(&columns).map_err(|error| words(&error))?;
        let mut scratch = Scratch::default();
        let given = scorer.score(&cells, &mut scratch);
        let given = given.map_err(|error| words(&error))?;
        Ok(json!({ "label": given.label, "score": given.score, "unknown": given.unknown }))
    }

    fn scoring(&self, options: &Value, columns: &[String]) -> Result<Box<dyn Transform>, Failure> {
        let options: Options = options::read(options)?;
        let model = self.model(&options)?;
        // A number has no label.
        let labels = model.labels().iter().map(String::as_str).chain([""]);
        Ok(Box::new(Scoring {
            scorer: model.scorer(columns).map_err(|error| words(&error))?,
            labels: labels.map(Arc::from).collect(),
            scratch: Scratch::default(),
            unseen: 0,
        }))
    }
}

fn columns_and_cells(record: &Map<String, Value>) -> (Vec<&str>, Vec<String>) {
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    record
        .iter()
        .map(|(name, value)| (name.as_str(), cell(value)))
        .unzip()
}

/// The file of a model. A name that is a path is no name.
fn named(folder: &Path, name: &str) -> Result<PathBuf, Failure> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
        return Err(Failure::permanent(format!(
            "{name:?} is no name of a model: write adult-income for models/adult-income.model"
        )));
    }
    Ok(folder.join(format!("{name}.model")))
}

fn missing(name: &str, path: &Path, error: std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::NotFound => Failure::permanent(format!(
            "there is no model {name:?}: {} is missing; train it, or copy it there",
            path.display()
        )),
        _ => place::failed("read the model", path, error),
    }
}

fn unreadable(path: &Path, error: &ModelError) -> Failure {
    Failure::permanent(format!("{}: {error}", path.display()))
}

fn words(error: &ModelError) -> Failure {
    Failure::permanent(error.to_string())
}

/// Scores one record after another.
struct Scoring {
    scorer: Scorer,
    /// The labels, shared by all records that they are given to.
    labels: Vec<Arc<str>>,
    scratch: Scratch,
    unseen: u64,
}

impl Transform for Scoring {
    fn outputs(&self) -> &[&'static str] {
        &["label", "score"]
    }

    fn apply(&mut self, cells: &[&str], out: &mut Outputs) -> Result<(), String> {
        let given = self.scorer.score(cells, &mut self.scratch);
        let given = given.map_err(|error| error.to_string())?;
        let shared = self.labels.iter().find(|label| &***label == given.label);
        out.push(OwnedCell::Text(
            shared.map_or_else(|| Arc::from(given.label), Arc::clone),
        ));
        out.push(OwnedCell::Real(given.score));
        self.unseen += u64::from(given.unknown);
        Ok(())
    }

    fn unseen(&self) -> u64 {
        self.unseen
    }
}

impl Action for Predict {
    fn repeat(&self, _call: &Call) -> Repeat {
        Repeat::Safe
    }

    fn run<'a>(&'a self, call: &'a Call) -> Fut<'a, Result<Done, Failure>> {
        let result = options::read(&call.options)
            .and_then(|options| self.predict(&options))
            .map(Done::Output);
        Box::pin(std::future::ready(result))
    }

    fn pin(&self, options: &Value) -> Result<Option<Pin>, Failure> {
        let options: Options = options::read(options)?;
        self.keep(&options.model).map(Some)
    }

    fn transform(
        &self,
        options: &Value,
        columns: &[String],
    ) -> Option<Result<Box<dyn Transform>, Failure>> {
        Some(self.scoring(options, columns))
    }
}
