//! What the `predict` and `call` actions promise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::rig::{Expected, Rig, done_twice, kind};
use common::{call, failure, output};
use oncely_actions::{CallTask, Predict, PredictConfig};
use oncely_core::action::{Action as _, Called, Done, Failure};
use oncely_core::items::{Cell, Outputs};
use oncely_core::limits::CALL_DEPTH;
use oncely_model::{Model, Recipe, Schema, Table, TrainOptions, train};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// A model that tells red from blue things.
fn model(right: &str) -> Model {
    let schema = json!({
        "version": "1.0", "targetAttributeName": "y", "dataFormat": "CSV",
        "attributes": [
            {"attributeName": "colour", "attributeType": "CATEGORICAL"},
            {"attributeName": "y", "attributeType": "BINARY"},
        ],
    });
    let schema = Schema::from_json(&schema.to_string()).unwrap();
    let mut table = Table::new(vec!["colour".into(), "y".into()]);
    for _ in 0..50 {
        table
            .push(&["red", if right == "red" { "1" } else { "0" }])
            .unwrap();
        table
            .push(&["blue", if right == "red" { "0" } else { "1" }])
            .unwrap();
    }
    let recipe = Recipe::default_for(&schema);
    train(
        "things",
        &schema,
        &recipe,
        &table,
        &TrainOptions::default(),
        &mut |_| {},
    )
    .unwrap()
}

struct Room {
    folder: TempDir,
}

impl Room {
    fn new() -> Self {
        let room = Self {
            folder: TempDir::new().unwrap(),
        };
        fs::create_dir(room.models()).unwrap();
        room.put("things", &model("red").to_bytes());
        room
    }

    fn models(&self) -> std::path::PathBuf {
        self.folder.path().join("models")
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.models().join(format!("{name}.model")), bytes).unwrap();
    }

    /// An action that has nothing in memory.
    fn predict(&self) -> Predict {
        Predict::new(PredictConfig {
            models: self.models(),
            cache: self.folder.path().join("cache"),
        })
    }

    async fn fails(&self, options: Value) -> String {
        let got = failure(&self.predict(), &call(options)).await;
        assert_eq!(kind(&got), Expected::Permanent);
        shown(self.folder.path(), &got)
    }
}

fn shown(folder: &Path, failure: &Failure) -> String {
    failure.error().replace(folder.to_str().unwrap(), "ROOT")
}

fn things(record: Value) -> Value {
    json!({"model": "things", "record": record})
}

#[tokio::test]
async fn a_record_is_given_a_label_and_a_score() {
    let predict = Room::new();
    let done = output(&predict.predict(), &call(things(json!({"colour": "red"})))).await;
    assert_eq!((&done["label"], &done["unknown"]), (&json!("1"), &json!(0)));
    assert!(done["score"].as_f64().unwrap() > 0.9);
    let done = output(
        &predict.predict(),
        &call(things(json!({"colour": "green", "n": 1}))),
    )
    .await;
    assert_eq!(done["unknown"], 1);
}

#[tokio::test]
async fn predicting_twice_is_predicting_once() {
    let room = Room::new();
    done_twice(&Rig {
        action: Box::new(room.predict()),
        call: call(things(json!({"colour": "red"}))),
        seen: Box::new(Vec::new),
        keep: Box::new(room),
    })
    .await;
}

#[tokio::test]
async fn a_pinned_run_ends_with_the_model_that_it_began_with() {
    let room = Room::new();
    let mut options = things(json!({"colour": "red"}));
    let pin = room
        .predict()
        .pin(&json!({"model": "things"}))
        .unwrap()
        .unwrap();
    assert_eq!(
        (pin.name.as_str(), pin.checksum.as_str()),
        ("things", model("red").checksum().as_str())
    );
    room.put("things", &model("blue").to_bytes());
    assert_eq!(
        output(&room.predict(), &call(options.clone())).await["label"],
        "0"
    );
    options["pinned"] = pin.checksum.into();
    assert_eq!(
        output(&room.predict(), &call(options.clone())).await["label"],
        "1"
    );
    // Without its copy, only a file that is still the same model will do.
    fs::remove_dir_all(room.folder.path().join("cache")).unwrap();
    let got = failure(&room.predict(), &call(options.clone())).await;
    assert_eq!(kind(&got), Expected::Permanent);
    assert!(got.error().contains("that is gone"), "{got:?}");
    room.put("things", &model("red").to_bytes());
    assert_eq!(output(&room.predict(), &call(options)).await["label"], "1");
}

#[tokio::test]
async fn a_damaged_copy_is_not_believed() {
    let room = Room::new();
    let pin = room
        .predict()
        .pin(&json!({"model": "things"}))
        .unwrap()
        .unwrap();
    let copy = room
        .folder
        .path()
        .join(format!("cache/{}.model", pin.checksum));
    let mut bytes = fs::read(&copy).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&copy, &bytes).unwrap();
    let mut options = things(json!({"colour": "red"}));
    options["pinned"] = pin.checksum.clone().into();
    // The model's own file is still the right one.
    assert_eq!(output(&room.predict(), &call(options)).await["label"], "1");
    room.predict().pin(&json!({"model": "things"})).unwrap();
    assert!(Model::from_bytes(&fs::read(&copy).unwrap()).is_ok());
}

#[tokio::test]
async fn a_transform_gives_label_and_score_and_counts_what_it_never_met() {
    let room = Room::new();
    let columns = ["n".to_owned(), "colour".to_owned()];
    let predict = room.predict();
    let mut transform = predict
        .transform(&json!({"model": "things"}), &columns)
        .unwrap()
        .unwrap();
    assert_eq!(transform.outputs(), ["label", "score"]);
    let mut out = Outputs::default();
    for (colour, label) in [("red", "1"), ("blue", "0"), ("green", "")] {
        out.clear();
        transform.apply(&["7", colour], &mut out).unwrap();
        if !label.is_empty() {
            assert_eq!(out.get(0), Some(Cell::Text(label)));
        }
        assert!(matches!(out.get(1), Some(Cell::Real(score)) if (0.0..=1.0).contains(&score)));
    }
    assert_eq!(transform.unseen(), 1);
    assert!(
        transform
            .apply(&["7", ""], &mut out)
            .unwrap_err()
            .contains("empty")
    );
}

#[tokio::test]
async fn models_that_are_missing_damaged_or_of_another_schema_say_what_to_do() {
    let room = Room::new();
    insta::assert_snapshot!(room.fails(json!({"model": "none", "record": {}})).await, @r#"there is no model "none": ROOT/models/none.model is missing; train it, or copy it there"#);
    insta::assert_snapshot!(room.fails(json!({"model": "../things", "record": {}})).await, @r#""../things" is no name of a model: write adult-income for models/adult-income.model"#);
    insta::assert_snapshot!(room.fails(things(json!({"age": 7}))).await, @r#"none of the columns belongs to the model "things": it knows "colour", the data has "age"; check that the data has a header line and that this is the model meant"#);
    insta::assert_snapshot!(room.fails(things(json!("red"))).await, @"the record to predict is no table of names and values");
    room.put("things", b"half a model");
    insta::assert_snapshot!(room.fails(things(json!({"colour": "red"}))).await, @r#"ROOT/models/things.model: the model file is damaged or is not a model file: it does not begin with "oncely-model"; nothing was loaded, copy it again from where it was trained or train it anew"#);
    let got = room.predict().pin(&json!({"model": "things"})).unwrap_err();
    assert!(shown(room.folder.path(), &got).starts_with("ROOT/models/things.model: "));
    let columns = ["age".to_owned()];
    room.put("things", &model("red").to_bytes());
    assert!(
        room.predict()
            .transform(&json!({"model": "things"}), &columns)
            .unwrap()
            .is_err()
    );
}

#[tokio::test]
async fn a_call_names_task_key_and_event() {
    let given = json!({"task": "other", "key": "k", "event": {"a": 1}});
    let done = CallTask.run(&call(given)).await.unwrap();
    assert_eq!(
        done,
        Done::Call(Called {
            task: "other".into(),
            key: "k".into(),
            event: json!({"a": 1}),
        })
    );
    let done = CallTask.run(&call(json!({"task": "other"}))).await.unwrap();
    assert!(matches!(done, Done::Call(called) if called.key.as_str() == call(json!({})).key.0));
}

#[tokio::test]
async fn calls_without_end_and_events_without_bound_are_refused() {
    let mut deep = call(json!({"task": "self"}));
    let mut site = (*deep.site).clone();
    site.depth = CALL_DEPTH;
    deep.site = Arc::new(site);
    insta::assert_snapshot!(failure(&CallTask, &deep).await.error(), @"tasks have called one another 16 times up to here, which is the most: look for a task that calls itself");
    let large = json!({"task": "other", "event": "x".repeat(2_000_000)});
    assert_eq!(
        kind(&failure(&CallTask, &call(large)).await),
        Expected::Permanent
    );
    let keyless = json!({"task": "other", "key": ""});
    assert_eq!(
        kind(&failure(&CallTask, &call(keyless)).await),
        Expected::Permanent
    );
}
