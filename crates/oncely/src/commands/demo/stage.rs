//! The demo's project: its files, its model, and the census that it is played with.

use crate::commands::model::{self, Shelf};
use crate::failure::{Exit, Failure, io};
use crate::output::Voice;
use oncely_model::{Model, Recipe, Schema, Table, TrainOptions};
use std::fs;
use std::path::{Path, PathBuf};

/// 48,842 census records: the UCI "Adult" data set (Becker & Kohavi, 1996; CC BY 4.0).
const CENSUS: &str = include_str!("../../../../../examples/census/adult.csv");
/// The task of the example: the demo runs what the example shows.
const TASK: &str = include_str!("../../../../../examples/census/tasks/score_census.toml");

/// The column that is predicted.
const TARGET: &str = "income-greater-50k";
/// The model's name.
const MODEL: &str = "adult-income";
/// Share of the records, from the first on, that the model learns from.
const LEARNING_PERCENT: usize = 70;

/// The demo's project on disk.
pub(super) struct Stage {
    pub(super) root: PathBuf,
    /// Records that the model has not seen, without the answer.
    pub(super) unseen: Vec<String>,
    /// The answer of each.
    pub(super) answers: Vec<bool>,
    header: String,
    learning: Table,
}

impl Stage {
    /// Makes the project in a folder that does not exist yet.
    pub(super) fn make(folder: Option<PathBuf>, receiver_port: u16) -> Result<Self, Failure> {
        let root = folder.unwrap_or_else(temporary);
        if root.exists() {
            return Err(Failure {
                exit: Exit::Usage,
                message: format!(
                    "{} is there already; the demo makes its own folder. Nothing was changed.",
                    root.display()
                ),
            });
        }
        fs::create_dir_all(root.join("inbox")).map_err(io(&root))?;
        fs::create_dir_all(root.join("tasks")).map_err(io(&root))?;
        let root = root.canonicalize().map_err(io(&root))?;
        write(&root, "oncely.toml", &config(receiver_port))?;
        let task = TASK.replace("127.0.0.1:8087", &format!("127.0.0.1:{receiver_port}"));
        write(&root, "tasks/score_census.toml", &task)?;
        make_results(&root)?;
        split(root)
    }

    /// Learns the model from the first records.
    pub(super) fn train(&self, voice: Voice) -> Result<Model, Failure> {
        let mut rows = (0..self.learning.len()).map(|row| {
            self.learning
                .row(row)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        });
        let failed = |e: oncely_model::ModelError| Failure::failed(e.to_string());
        let schema = Schema::infer(self.learning.columns(), &mut rows, TARGET).map_err(failed)?;
        let recipe = Recipe::default_for(&schema);
        let options = TrainOptions::default();
        let model = model::train_shown(voice, MODEL, &schema, &recipe, &self.learning, &options)?;
        Shelf {
            folder: self.root.join("models"),
        }
        .save(MODEL, &model)?;
        Ok(model)
    }

    /// How many records it learns from.
    pub(super) fn learning(&self) -> usize {
        self.learning.len()
    }

    /// Drops a file of records into the inbox, whole.
    pub(super) fn drop_file<'l>(
        &self,
        name: &str,
        lines: impl Iterator<Item = &'l str>,
    ) -> Result<(), Failure> {
        let mut text = String::with_capacity(CENSUS.len());
        text.push_str(&self.header);
        text.push('\n');
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        let temporary = self.root.join(format!(".{name}"));
        fs::write(&temporary, text).map_err(io(&temporary))?;
        let path = self.root.join("inbox").join(name);
        fs::rename(&temporary, &path).map_err(io(&path))
    }

    /// The database that the predictions go to.
    pub(super) fn results(&self) -> PathBuf {
        self.root.join("results.db")
    }
}

fn temporary() -> PathBuf {
    std::env::temp_dir().join(format!("oncely-demo-{}", std::process::id()))
}

fn write(root: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let path = root.join(name);
    fs::write(&path, text).map_err(io(&path))
}

fn config(receiver_port: u16) -> String {
    format!(
        "# The demo's project.\nenvironment = \"demo\"\n\n[db.results]\nsqlite = \"results.db\"\n\n\
         # The demo's own receiver of summaries.\n[http]\nallow = [\"127.0.0.1:{receiver_port}\"]\n"
    )
}

/// No unique index: a row that is written twice is there twice, and is counted.
fn make_results(root: &Path) -> Result<(), Failure> {
    let made = rusqlite::Connection::open(root.join("results.db")).and_then(|database| {
        database.pragma_update(None, "journal_mode", "wal")?;
        database.execute_batch(
            "create table predictions (object text not null, line integer not null, \
             label text not null, score real not null);",
        )
    });
    made.map_err(|e| Failure::failed(format!("results.db cannot be made: {e}")))
}

fn split(root: PathBuf) -> Result<Stage, Failure> {
    let (table, _) = model::read(CENSUS.as_bytes(), Path::new("adult.csv"))?;
    let cut = table.len() * LEARNING_PERCENT / 100;
    let (learning, rest) = table.split_at(cut);
    let target = rest
        .columns()
        .iter()
        .position(|c| c == TARGET)
        .unwrap_or_default();
    let mut unseen = Vec::with_capacity(rest.len());
    let mut answers = Vec::with_capacity(rest.len());
    for row in 0..rest.len() {
        let cells: Vec<&str> = rest.row(row).collect();
        answers.push(cells.get(target).is_some_and(|answer| *answer == "1"));
        let known = cells
            .iter()
            .enumerate()
            .filter(|(place, _)| *place != target);
        unseen.push(known.map(|(_, cell)| *cell).collect::<Vec<_>>().join(","));
    }
    let names = rest.columns().iter().filter(|name| *name != TARGET);
    let header = names.cloned().collect::<Vec<_>>().join(",");
    Ok(Stage {
        root,
        unseen,
        answers,
        header,
        learning,
    })
}
