//! `oncely model`, and tasks whose model is missing, damaged, or of another schema.

use crate::project::Project;
use serde_json::Value;

/// Two hundred records whose answer hangs on two columns.
fn data() -> String {
    let mut text = String::from("age,city,buys\n");
    for n in 0..200 {
        let city = if n % 3 == 0 { "Bern" } else { "Basel" };
        let buys = u8::from(n % 50 > 20 || city == "Bern");
        text.push_str(&format!("{},{city},{buys}\n", n % 50));
    }
    text
}

fn trained() -> Project {
    let project = Project::new();
    project.write("data.csv", data());
    project
        .run(&[
            "model", "train", "shop", "--data", "data.csv", "--target", "buys",
        ])
        .says(0, &["shop"]);
    project
}

#[test]
fn train_list_show_evaluate_and_predict() {
    let project = trained();
    project.run(&["model", "list"]).says(0, &["shop"]);
    project
        .run(&["model", "show", "shop"])
        .says(0, &["buys", "age", "city"]);
    let html = &[
        "model", "evaluate", "shop", "--data", "data.csv", "--html", "r.html", "--scores", "s.csv",
    ];
    project.run(html).says(0, &["200 rows: auc 1.0000"]);
    assert!(
        project.text("r.html").contains("<svg") && !project.text("r.html").contains("http://cdn")
    );
    assert_eq!(project.text("s.csv").lines().count(), 201);
    let predicted = project.fed(
        &["--json", "model", "predict", "shop", "--data", "-"],
        b"age,city\n40,Basel\n2,Basel\n",
    );
    predicted.says(0, &[]);
    let labels: Vec<Value> = predicted
        .json()
        .iter()
        .filter_map(|l| l.get("label").cloned())
        .collect();
    assert_eq!(labels, ["1", "0"]);
    for args in [
        &["model", "list"][..],
        &["model", "show", "shop"],
        &["model", "evaluate", "shop", "--data", "data.csv"],
    ] {
        assert!(!project.json(args).is_empty(), "{args:?}");
    }
}

#[test]
fn what_is_wrong_with_models_is_said() {
    let project = trained();
    project
        .run(&["model", "show", "shp"])
        .says(2, &["there is no model `shp`", "Did you mean `shop`?"]);
    project
        .run(&["model", "show", "../shop"])
        .says(2, &["is no name for a model"]);
    project
        .run(&["model", "train", "x", "--data", "data.csv"])
        .says(2, &["--target"]);
    project
        .run(&[
            "model", "train", "x", "--data", "data.csv", "--target", "buy",
        ])
        .says(2, &["buy"]);
    project
        .run(&["model", "train", "x", "--data", "none.csv", "--target", "b"])
        .says(2, &["none.csv cannot be read"]);
    project.write("empty.csv", "");
    project
        .run(&[
            "model",
            "train",
            "x",
            "--data",
            "empty.csv",
            "--target",
            "b",
        ])
        .says(2, &["empty.csv"]);
    project.write("schema.json", "{\"version\": \"1.0\",");
    project
        .run(&[
            "model",
            "train",
            "x",
            "--data",
            "data.csv",
            "--schema",
            "schema.json",
        ])
        .says(2, &["schema.json"]);
    assert!(!project.path("models/x.model").exists());
    let mut bytes = std::fs::read(project.path("models/shop.model")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    project.write("models/shop.model", &bytes);
    project
        .run(&["model", "show", "shop"])
        .says(1, &["shop.model", "checksum"]);
}

#[test]
fn a_task_whose_model_is_missing_damaged_or_of_another_schema_fails_alone() {
    let project = trained();
    for (task, model) in [("fine", "shop"), ("missing", "shp"), ("damaged", "broken")] {
        project.write(
            &format!("tasks/{task}.toml"),
            format!("[on.call]\n\n[[step]]\nid = \"p\"\npredict = {{ model = \"{model}\", record = \"{{{{ event.record }}}}\" }}\n"),
        );
    }
    let mut bytes = std::fs::read(project.path("models/shop.model")).unwrap();
    bytes.truncate(bytes.len() - 10);
    project.write("models/broken.model", &bytes);
    project.write(
        "good.json",
        "{\"record\": {\"age\": 40, \"city\": \"Bern\"}}",
    );
    project.write("other.json", "{\"record\": {\"colour\": \"red\"}}");
    let text = project.session(&[
        &["call", "missing", "--key", "1", "--event", "good.json"],
        &["call", "damaged", "--key", "1", "--event", "good.json"],
        &["call", "fine", "--key", "1", "--event", "other.json"],
        &["call", "fine", "--key", "2", "--event", "good.json"],
    ]);
    insta::assert_snapshot!(text, @r##"
    $ oncely call missing --key 1 --event good.json
    failed missing: step `p`: there is no model "shp": [dir]/models/shp.model is missing; train it, or copy it there
           Look: oncely show 1   Go on from there: oncely resume 1
           With the file as it is now: oncely rerun 1 --reason "…"
    [exit 1]
    $ oncely call damaged --key 1 --event good.json
    failed damaged: step `p`: [dir]/models/broken.model: the model file is damaged or is not a model file: its checksum does not match its content; nothing was loaded, copy it again from where it was trained or train it anew
           Look: oncely show 2   Go on from there: oncely resume 2
           With the file as it is now: oncely rerun 2 --reason "…"
    [exit 1]
    $ oncely call fine --key 1 --event other.json
    failed fine: step `p`: none of the columns belongs to the model "shop": it knows "age", "city", the data has "colour"; check that the data has a header line and that this is the model meant
           Look: oncely show 3   Go on from there: oncely resume 3
           With the file as it is now: oncely rerun 3 --reason "…"
    [exit 1]
    $ oncely call fine --key 2 --event good.json
    done fine  [span]
    "##);
}
