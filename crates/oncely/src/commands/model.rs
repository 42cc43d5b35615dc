//! `oncely model`: train, evaluate, predict, list, show.

use crate::cli::{Evaluate, Model as Command, Predict, Train};
use crate::config::{Config, Flags};
use crate::failure::{Exit, Failure, io};
use crate::output::{Voice, count, suggestion, table, thousands};
use crate::registry;
use indicatif::{ProgressBar, ProgressStyle};
use oncely_core::Value;
use oncely_core::records::{Item, Records};
use oncely_core::task::Format;
use oncely_model::{
    Evaluation, Model, Progress, Recipe, Schema, Scratch, Table, TrainOptions, evaluate, train,
};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

pub(crate) fn run(voice: Voice, flags: &Flags, command: Command) -> Result<Exit, Failure> {
    let config = Config::load(flags)?;
    let shelf = Shelf {
        folder: registry::models(&config),
    };
    match command {
        Command::Train(args) => learn(voice, &shelf, &args),
        Command::Evaluate(args) => measure(voice, &shelf, &args),
        Command::Predict(args) => predict(voice, &shelf, &args),
        Command::List => list(voice, &shelf),
        Command::Show { name } => show(voice, &shelf, &name),
    }
}

/// The folder of models.
pub(crate) struct Shelf {
    pub(crate) folder: PathBuf,
}

impl Shelf {
    fn path(&self, name: &str) -> Result<PathBuf, Failure> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 100 || !name.chars().all(plain) {
            return Err(Failure::usage(format!(
                "`{name}` is no name for a model: letters, digits, - and _ only, at most 100."
            )));
        }
        Ok(self.folder.join(format!("{name}.model")))
    }

    fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let names = entries.flatten().filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.strip_suffix(".model").map(str::to_owned)
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    fn load(&self, name: &str) -> Result<Model, Failure> {
        let path = self.path(name)?;
        let bytes = fs::read(&path).map_err(|error| {
            let names = self.names();
            let near = suggestion(name, names.iter().map(String::as_str));
            Failure::usage(format!(
                "there is no model `{name}` ({}: {error}).{near}",
                path.display()
            ))
        })?;
        Model::from_bytes(&bytes).map_err(|e| Failure::failed(format!("{}: {e}", path.display())))
    }

    /// Writes a model whole, or not at all.
    pub(crate) fn save(&self, name: &str, model: &Model) -> Result<PathBuf, Failure> {
        let path = self.path(name)?;
        fs::create_dir_all(&self.folder).map_err(io(&self.folder))?;
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        let written = File::create(&temporary).and_then(|mut file| {
            file.write_all(&model.to_bytes())?;
            file.sync_all()
        });
        written
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(io(&path))?;
        Ok(path)
    }
}

/// Records of a file as a table; rows that are no records are counted.
pub(crate) fn read(source: impl Read, about: &Path) -> Result<(Table, u64), Failure> {
    let fail =
        |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", about.display()));
    let mut records = Records::new(source, Format::Csv, None).map_err(|e| fail(&e))?;
    let mut table = Table::new(records.columns().to_vec());
    let mut scratch = oncely_core::records::Scratch::default();
    let mut bad = 0;
    while let Some(item) = records.next().map_err(|e| fail(&e))? {
        match item {
            Item::Record(record) => scratch
                .with(record.cells(), |cells| table.push(cells))
                .map_err(|e| fail(&e))?,
            Item::Bad(_) => bad += 1,
        }
    }
    Ok((table, bad))
}

fn open(path: &Path) -> Result<Box<dyn Read>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let file = File::open(path)
        .map_err(|e| Failure::usage(format!("{} cannot be read: {e}", path.display())))?;
    Ok(Box::new(file))
}

fn rows(table: &Table) -> impl Iterator<Item = Vec<String>> {
    (0..table.len()).map(|row| table.row(row).map(str::to_owned).collect())
}

fn schema(args: &Train, table: &Table) -> Result<Schema, Failure> {
    if let Some(path) = &args.schema {
        let text = fs::read_to_string(path).map_err(io(path))?;
        let schema = Schema::from_json(&text);
        return schema.map_err(|e| Failure::usage(format!("{}: {e}", path.display())));
    }
    let target = args.target.as_deref().ok_or_else(|| {
        Failure::usage("what is to be predicted? Name a column with --target, or give a --schema.")
    })?;
    let schema = Schema::infer(table.columns(), &mut rows(table), target);
    schema.map_err(|e| Failure::usage(e.to_string()))
}

fn recipe(args: &Train, schema: &Schema) -> Result<Recipe, Failure> {
    let Some(path) = &args.recipe else {
        return Ok(Recipe::default_for(schema));
    };
    let text = fs::read_to_string(path).map_err(io(path))?;
    let recipe = Recipe::from_json(&text, schema);
    recipe.map_err(|e| Failure::usage(format!("{}: {e}", path.display())))
}

fn learn(voice: Voice, shelf: &Shelf, args: &Train) -> Result<Exit, Failure> {
    if !(args.split > 0.0 && args.split <= 1.0) {
        return Err(Failure::usage(
            "--split is a share above 0 and at most 1, such as 0.7",
        ));
    }
    let (table, bad) = read(open(&args.data)?, &args.data)?;
    let known = table.len();
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    let cut = (known as f64 * args.split) as usize;
    let (learning, rest) = table.split_at(cut);
    let schema = schema(args, &learning)?;
    let recipe = recipe(args, &schema)?;
    let options = TrainOptions {
        l1: args.l1,
        l2: args.l2,
        ..TrainOptions::default()
    };
    let mut model = train_shown(voice, &args.name, &schema, &recipe, &learning, &options)?;
    let mut record = serde_json::json!({
        "model": args.name, "rows": learning.len(), "bad_rows": bad, "features": model.features(),
    });
    voice.say(format!(
        "Learned from {} rows.",
        thousands(learning.len() as u64)
    ));
    if bad > 0 {
        voice.say(format!(
            "{} are no records and were left out.",
            count(usize::try_from(bad).unwrap_or(usize::MAX), "line")
        ));
    }
    if !rest.is_empty() {
        let evaluation = evaluate(&model, &rest).map_err(|e| Failure::failed(e.to_string()))?;
        model.set_metrics(evaluation.metrics());
        voice.say(format!(
            "Measured on the other {} rows: {}",
            thousands(rest.len() as u64),
            brief(&evaluation)
        ));
        record["evaluation"] = serde_json::from_str(&evaluation.to_json()).unwrap_or_default();
    }
    let path = shelf.save(&args.name, &model)?;
    record["checksum"] = model.checksum().into();
    voice.record(&record);
    voice.say(format!(
        "Saved {}, checksum {}.",
        path.display(),
        short(&model.checksum())
    ));
    Ok(Exit::Done)
}

/// Trains with a bar where a person watches.
pub(crate) fn train_shown(
    voice: Voice,
    name: &str,
    schema: &Schema,
    recipe: &Recipe,
    table: &Table,
    options: &TrainOptions,
) -> Result<Model, Failure> {
    let bar = if voice.terminal && !voice.json {
        ProgressBar::new(1000)
    } else {
        ProgressBar::hidden()
    };
    if let Ok(style) = ProgressStyle::with_template("{msg:20} {bar:40} {percent}%") {
        bar.set_style(style);
    }
    let mut show = |progress: Progress| {
        let (phase, fraction) = match progress {
            Progress::Features { fraction, .. } => ("reading features", fraction),
            Progress::Choosing { fraction, .. } => ("choosing penalties", fraction),
            Progress::Learning { fraction, .. } => ("learning", fraction),
        };
        bar.set_message(phase);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        bar.set_position((fraction.clamp(0.0, 1.0) * 1000.0) as u64);
    };
    let model = train(name, schema, recipe, table, options, &mut show);
    bar.finish_and_clear();
    model.map_err(|e| Failure::failed(e.to_string()))
}

/// An evaluation in a line.
fn brief(evaluation: &Evaluation) -> String {
    let metrics = serde_json::to_value(evaluation.metrics()).unwrap_or_default();
    let wanted = ["auc", "accuracy", "log_loss", "rmse", "mae", "r2"];
    let parts = wanted.iter().filter_map(|name| {
        let value = metrics.get(name)?.as_f64()?;
        Some(format!("{} {value:.4}", name.replace('_', "-")))
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn measure(voice: Voice, shelf: &Shelf, args: &Evaluate) -> Result<Exit, Failure> {
    let model = shelf.load(&args.name)?;
    let (table, _) = read(open(&args.data)?, &args.data)?;
    if !(0.0..1.0).contains(&args.skip) {
        return Err(Failure::usage(
            "--skip is a share from 0 up to but not 1, such as 0.7",
        ));
    }
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    let cut = (table.len() as f64 * args.skip) as usize;
    let (_, table) = table.split_at(cut);
    let evaluation = evaluate(&model, &table).map_err(|e| Failure::failed(e.to_string()))?;
    let value: Value = serde_json::from_str(&evaluation.to_json()).unwrap_or_default();
    voice.record(&value);
    voice.say(format!(
        "{} rows: {}",
        thousands(table.len() as u64),
        brief(&evaluation)
    ));
    confusion(voice, &value);
    if let Some(path) = &args.html {
        fs::write(path, evaluation.html(&model)).map_err(io(path))?;
        voice.say(format!("The curves are in {}.", path.display()));
    }
    if let Some(path) = &args.scores {
        write_scores(path, &evaluation)?;
        voice.say(format!("The scores are in {}.", path.display()));
    }
    Ok(Exit::Done)
}

/// How often each answer was said for each truth.
fn confusion(voice: Voice, evaluation: &Value) {
    let labels = evaluation.get("labels").and_then(Value::as_array);
    let counts = evaluation.get("confusion").and_then(Value::as_array);
    let (Some(labels), Some(counts)) = (labels, counts) else {
        return;
    };
    let labels: Vec<String> = labels
        .iter()
        .map(|l| l.as_str().unwrap_or_default().to_owned())
        .collect();
    let mut headings = vec!["truth \\ said"];
    headings.extend(labels.iter().map(String::as_str));
    let rows: Vec<Vec<String>> = labels
        .iter()
        .zip(counts)
        .map(|(label, row)| {
            let cells = row
                .as_array()
                .into_iter()
                .flatten()
                .map(ToString::to_string);
            std::iter::once(label.clone()).chain(cells).collect()
        })
        .collect();
    if !rows.is_empty() {
        voice.say(table(&headings, &rows));
    }
}

fn write_scores(path: &Path, evaluation: &Evaluation) -> Result<(), Failure> {
    let mut text = String::from("row,score,truth\n");
    for (row, scored) in evaluation.scores.iter().enumerate() {
        text.push_str(&format!("{},{},{}\n", row + 1, scored.score, scored.truth));
    }
    fs::write(path, text).map_err(io(path))
}

fn predict(voice: Voice, shelf: &Shelf, args: &Predict) -> Result<Exit, Failure> {
    let model = shelf.load(&args.name)?;
    let fail = |e: &dyn std::fmt::Display| Failure::usage(format!("{}: {e}", args.data.display()));
    let mut records = Records::new(open(&args.data)?, Format::Csv, None).map_err(|e| fail(&e))?;
    let scorer = model.scorer(records.columns()).map_err(|e| fail(&e))?;
    let mut cells = oncely_core::records::Scratch::default();
    let mut scratch = Scratch::default();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut bad = 0_usize;
    if !voice.json {
        let _ = writeln!(out, "line,label,score");
    }
    while let Some(item) = records.next().map_err(|e| fail(&e))? {
        let said = match item {
            Item::Record(record) => cells.with(record.cells(), |cells| {
                let said = scorer.score(cells, &mut scratch);
                said.map(|p| line(voice, record.at.line, p.label, p.score))
                    .map_err(|e| (record.at.line, e.to_string()))
            }),
            Item::Bad(record) => Err((record.at.line, record.reason)),
        };
        let text = said.unwrap_or_else(|(line, reason)| {
            bad += 1;
            if voice.json {
                serde_json::json!({ "line": line, "error": reason }).to_string()
            } else {
                format!("{line},,")
            }
        });
        writeln!(out, "{text}").map_err(|e| fail(&e))?;
    }
    out.flush().map_err(|e| fail(&e))?;
    if bad > 0 {
        let lines = count(bad, "line");
        eprintln!("oncely: {lines} could not be predicted; --json says why.");
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

fn line(voice: Voice, line: u64, label: &str, score: f64) -> String {
    if voice.json {
        return serde_json::json!({ "line": line, "label": label, "score": score }).to_string();
    }
    let quoted = if label.contains([',', '"', '\n']) {
        format!("\"{}\"", label.replace('"', "\"\""))
    } else {
        label.to_owned()
    };
    format!("{line},{quoted},{score}")
}

fn list(voice: Voice, shelf: &Shelf) -> Result<Exit, Failure> {
    let mut rows = Vec::new();
    for name in shelf.names() {
        match shelf.load(&name) {
            Ok(model) => {
                let metrics = serde_json::to_value(model.metrics()).unwrap_or_default();
                let auc = metrics.get("auc").and_then(serde_json::Value::as_f64);
                voice.record(&serde_json::json!({
                    "model": name, "features": model.features(), "checksum": model.checksum(), "metrics": metrics,
                }));
                let auc = auc.map_or_else(String::new, |auc| format!("{auc:.4}"));
                rows.push(vec![
                    name,
                    model.features().to_string(),
                    auc,
                    short(&model.checksum()).to_owned(),
                ]);
            }
            Err(failure) => {
                voice.record(&serde_json::json!({ "model": name, "error": failure.message }));
                rows.push(vec![name, "damaged".into(), String::new(), String::new()]);
            }
        }
    }
    if rows.is_empty() {
        voice.say("There are no models. `oncely model train NAME --data FILE --target COLUMN` learns one.");
    } else {
        voice.say(table(&["model", "features", "auc", "checksum"], &rows));
    }
    Ok(Exit::Done)
}

fn show(voice: Voice, shelf: &Shelf, name: &str) -> Result<Exit, Failure> {
    let model = shelf.load(name)?;
    let parse = |text: String| serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default();
    let value = serde_json::json!({
        "model": name, "checksum": model.checksum(), "features": model.features(),
        "schema": parse(model.schema().to_json()), "recipe": parse(model.recipe().to_json()),
        "metrics": model.metrics(),
    });
    voice.record(&value);
    voice.say(serde_json::to_string_pretty(&value).unwrap_or_default());
    Ok(Exit::Done)
}

fn short(checksum: &str) -> &str {
    checksum.get(..12).unwrap_or(checksum)
}
