//! What the crate promises on small data: every learner, strange records, damaged files.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use oncely_model::{
    Learner, Model, ModelError, Progress, Recipe, Schema, Scratch, Table, TrainOptions, evaluate,
    train,
};
use proptest::prelude::*;

fn schema(attributes: &[(&str, &str)], more: &str) -> Schema {
    let attributes: Vec<String> = attributes
        .iter()
        .map(|(name, kind)| format!(r#"{{"attributeName":{name:?},"attributeType":{kind:?}}}"#))
        .collect();
    let json = format!(
        r#"{{"targetAttributeName":"y",{more}"attributes":[{}]}}"#,
        attributes.join(",")
    );
    Schema::from_json(&json).unwrap()
}

fn table(columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new(columns.iter().map(|name| (*name).to_owned()).collect());
    for row in rows {
        table
            .push(&row.iter().map(String::as_str).collect::<Vec<_>>())
            .unwrap();
    }
    table
}

/// Numbers that look like chance and are always the same.
fn chance(seed: usize) -> f64 {
    ((seed as f64 * 12.9898).sin() * 43_758.545_3).rem_euclid(1.0)
}

fn trained(schema: &Schema, outputs: &str, table: &Table) -> Result<Model, ModelError> {
    let recipe = Recipe::from_json(&format!(r#"{{"outputs":[{outputs}]}}"#), schema)?;
    train(
        "small",
        schema,
        &recipe,
        table,
        &TrainOptions::default(),
        &mut |_| {},
    )
}

/// y = 3a, plus 5 where the colour is red.
fn numbers() -> (Schema, Table) {
    let rows = (0..400).map(|i| {
        let (a, red) = (chance(i) * 10.0, chance(i + 1000) > 0.5);
        let y = 3.0 * a + if red { 5.0 } else { 0.0 };
        vec![
            a.to_string(),
            if red { "red" } else { "blue" }.to_owned(),
            y.to_string(),
        ]
    });
    let schema = schema(
        &[
            ("a", "NUMERIC"),
            ("colour", "CATEGORICAL"),
            ("y", "NUMERIC"),
        ],
        "",
    );
    (schema, table(&["a", "colour", "y"], rows))
}

fn words() -> (Schema, Table) {
    let rows = (0..300).map(|i| {
        let first = ["The", "a", "One"][i % 3];
        let (verb, y) =
            [("runs!", "animal"), ("rolls", "thing"), ("Grows,", "plant")][i * 7 % 11 % 3];
        vec![format!("{first} it {verb} {}", i % 5), y.to_owned()]
    });
    let schema = schema(&[("t", "TEXT"), ("y", "CATEGORICAL")], "");
    (schema, table(&["t", "y"], rows))
}

/// y is 1 exactly where p and q differ: no single attribute tells anything.
fn pairs() -> (Schema, Table) {
    let rows = (0..400).map(|i| {
        let (p, q) = (chance(i) > 0.5, chance(i + 500) > 0.5);
        [p, q, p != q]
            .map(|bit| if bit { "1" } else { "0" }.to_owned())
            .to_vec()
    });
    let schema = schema(
        &[("p", "CATEGORICAL"), ("q", "CATEGORICAL"), ("y", "BINARY")],
        "",
    );
    (schema, table(&["p", "q", "y"], rows))
}

#[test]
fn a_number_is_learned_by_linear_regression() {
    let (schema, table) = numbers();
    let model = trained(&schema, r#""normalize(a)", "colour""#, &table).unwrap();
    assert_eq!(model.learner(), Learner::Linear);
    let scorer = model.scorer(&["colour", "a"]).unwrap();
    let found = scorer
        .score(&["red", "4"], &mut Scratch::default())
        .unwrap();
    assert!((found.score - 17.0).abs() < 0.1, "{found:?}");
    assert_eq!(found.label, "");
    let evaluation = evaluate(&model, &table).unwrap();
    assert!(
        evaluation.metrics.r2.unwrap() > 0.999,
        "{:?}",
        evaluation.metrics
    );
    assert!(evaluation.html(&model).contains("<circle"));
}

#[test]
fn several_labels_are_learned_from_words() {
    let (schema, table) = words();
    let model = trained(&schema, r#""ngram(lowercase(no_punct(t)), 2)""#, &table).unwrap();
    assert_eq!(model.learner(), Learner::Multinomial);
    let scorer = model.scorer(&["t"]).unwrap();
    let mut scratch = Scratch::default();
    let found = scorer.score(&["somebody GROWS"], &mut scratch).unwrap();
    assert_eq!(found.label, "plant");
    assert!((scratch.probabilities().iter().sum::<f64>() - 1.0).abs() < 1e-9);
    let evaluation = evaluate(&model, &table).unwrap();
    assert_eq!(evaluation.metrics.accuracy, Some(1.0));
    assert_eq!(evaluation.confusion.len(), 3);
}

#[test]
fn a_cartesian_product_learns_what_single_attributes_cannot() {
    let (schema, table) = pairs();
    let auc = |outputs: &str| {
        evaluate(&trained(&schema, outputs, &table).unwrap(), &table)
            .unwrap()
            .metrics
            .auc
            .unwrap()
    };
    assert!(auc(r#""ALL_CATEGORICAL""#) < 0.7);
    assert_eq!(auc(r#""cartesian(p, q)""#), 1.0);
}

#[test]
fn bins_and_pairs_of_words_work_inside_a_product() {
    let (schema, table) = numbers();
    let outputs = r#""cartesian(quantile_bin(a, 20), colour)""#;
    let evaluation = evaluate(&trained(&schema, outputs, &table).unwrap(), &table).unwrap();
    assert!(
        evaluation.metrics.r2.unwrap() > 0.98,
        "{:?}",
        evaluation.metrics
    );
    let (schema, table) = words();
    let evaluation =
        evaluate(&trained(&schema, r#""osb(t, 4)""#, &table).unwrap(), &table).unwrap();
    assert!(evaluation.metrics.accuracy.unwrap() > 0.95);
}

#[test]
fn what_training_never_met_is_tolerated_and_counted() {
    let (schema, table) = numbers();
    let model = trained(&schema, r#""a", "colour""#, &table).unwrap();
    let scorer = model.scorer(&["colour", "a", "weather"]).unwrap();
    let mut scratch = Scratch::default();
    let mut unknown = |cells: &[&str]| scorer.score(cells, &mut scratch).map(|found| found.unknown);
    assert_eq!(unknown(&["red", "1", "fair"]), Ok(0));
    assert_eq!(unknown(&["green", "1", ""]), Ok(1));
    assert_eq!(unknown(&["green", "many", ""]), Ok(2));
    assert_eq!(unknown(&[" ? ", "1"]), Ok(0));
    assert_eq!(unknown(&["red"]), Ok(0));
    assert_eq!(
        unknown(&["?", "", "fair"]),
        Err(ModelError::EmptyRecord {
            model: "small".into()
        })
    );
    assert_eq!(model.scorer(&["a"]).unwrap().missing_columns(), ["colour"]);
    assert!(matches!(
        model.scorer(&["b", "y"]),
        Err(ModelError::Unrelated { .. })
    ));
}

#[test]
fn rows_count_by_their_weight() {
    let schema = schema(
        &[
            ("id", "CATEGORICAL"),
            ("x", "CATEGORICAL"),
            ("w", "NUMERIC"),
            ("y", "BINARY"),
        ],
        r#""rowId":"id","rowWeight":"w","#,
    );
    let rows = (0..200).map(|i| {
        let yes = i % 2 == 0;
        let weight = if yes { "9" } else { "1" };
        [
            i.to_string().as_str(),
            "same",
            weight,
            if yes { "yes" } else { "no" },
        ]
        .map(str::to_owned)
        .to_vec()
    });
    let model = trained(
        &schema,
        r#""ALL_INPUTS""#,
        &table(&["id", "x", "w", "y"], rows),
    )
    .unwrap();
    let found = model
        .scorer(&["x"])
        .unwrap()
        .score(&["same"], &mut Scratch::default())
        .map(|p| p.score);
    assert!((found.unwrap() - 0.9).abs() < 0.01);
    assert_eq!(model.features(), 2);
}

#[test]
fn l1_leaves_fewer_weights() {
    let (schema, table) = words();
    let recipe = Recipe::from_json(r#"{"outputs":["ngram(t, 3)"]}"#, &schema).unwrap();
    let weights = |l1: f64| {
        let options = TrainOptions {
            l1: Some(l1),
            l2: Some(1e-4),
            ..TrainOptions::default()
        };
        let model = train("small", &schema, &recipe, &table, &options, &mut |_| {}).unwrap();
        model
            .strongest(usize::MAX)
            .iter()
            .filter(|weight| weight.weight != 0.0)
            .count()
    };
    assert!(
        weights(0.01) * 5 < weights(0.0),
        "{} {}",
        weights(0.01),
        weights(0.0)
    );
}

#[test]
fn progress_goes_from_features_to_choosing_to_learning() {
    let (schema, table) = pairs();
    let mut seen = Vec::new();
    let recipe = Recipe::default_for(&schema);
    train(
        "small",
        &schema,
        &recipe,
        &table,
        &TrainOptions::default(),
        &mut |progress| {
            let (phase, fraction) = match progress {
                Progress::Features { fraction } => (0, fraction),
                Progress::Choosing { fraction, .. } => (1, fraction),
                Progress::Learning { fraction, .. } => (2, fraction),
            };
            assert!((0.0..=1.0).contains(&fraction));
            seen.push(phase);
        },
    )
    .unwrap();
    assert!(seen.is_sorted());
    seen.dedup();
    assert_eq!(seen, [0, 1, 2]);
}

#[test]
fn training_twice_gives_the_same_file() {
    let (schema, table) = words();
    let once = || trained(&schema, r#""t""#, &table).unwrap().to_bytes();
    assert_eq!(once(), once());
}

#[test]
fn data_that_cannot_be_learned_is_refused_in_words() {
    let (schema, table) = pairs();
    let refused = |columns: &[&str], rows: &[&[&str]]| {
        let mut table = Table::new(columns.iter().map(|c| (*c).to_owned()).collect());
        rows.iter().for_each(|row| table.push(row).unwrap());
        trained(&schema, r#""ALL_INPUTS""#, &table)
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(refused(&["p", "q", "Y"], &[]), @r#"the data cannot be used: there is no column "y", the target of the schema; did you mean "Y"?"#);
    insta::assert_snapshot!(refused(&["p", "Q", "y"], &[&["1", "1", "0"], &["1", "1", "1"]]), @r#"the data cannot be used: there is no column "q", which the schema and the recipe learn from; did you mean "Q"?"#);
    insta::assert_snapshot!(refused(&["p", "q", "y"], &[&["1", "1", "1"]]), @r#"the data cannot be used: the target "y" is "1" in every row that has it; add rows with another value, or choose another target"#);
    let model = trained(&schema, r#""p""#, &table).unwrap();
    insta::assert_snapshot!(model.scorer(&["age", "sex"]).unwrap_err(), @r#"none of the columns belongs to the model "small": it knows "p", the data has "age", "sex"; check that the data has a header line and that this is the model meant"#);
}

#[test]
fn data_in_a_report_is_text_and_not_markup() {
    let bad = "<script>alert(1)</script>";
    let schema = schema(&[("<img src=x>", "CATEGORICAL"), ("y", "CATEGORICAL")], "");
    let rows = (0..40).map(|i| {
        let (value, label) = [("\"'>&", bad), ("b", "plain"), ("c", "third")][i % 3];
        vec![value.to_owned(), label.to_owned()]
    });
    let table = table(&["<img src=x>", "y"], rows);
    let recipe = Recipe::default_for(&schema);
    let options = TrainOptions::default();
    let model = train("<b>&", &schema, &recipe, &table, &options, &mut |_| {}).unwrap();
    let page = evaluate(&model, &table).unwrap().html(&model);
    for markup in ["<script", "<img", "<b>&"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)"));
}

#[test]
fn a_byte_changed_anywhere_is_noticed() {
    let (schema, table) = numbers();
    let outputs = r#""a", "quantile_bin(a, 5)", "colour", "cartesian(quantile_bin(a, 3), colour)""#;
    let mut model = trained(&schema, outputs, &table).unwrap();
    model.set_metrics(evaluate(&model, &table).unwrap().metrics());
    let bytes = model.to_bytes();
    assert_eq!(Model::from_bytes(&bytes).unwrap().to_bytes(), bytes);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(Model::from_bytes(&damaged).is_err(), "byte {at}");
        assert!(Model::from_bytes(&bytes[..at]).is_err(), "cut at {at}");
    }
    let longer = [bytes.as_slice(), b"x"].concat();
    assert!(Model::from_bytes(&longer).is_err());
    assert_ne!(
        trained(&schema, outputs, &table).unwrap().checksum(),
        model.checksum()
    );
}

#[test]
fn a_forged_body_with_a_right_checksum_does_not_panic() {
    let (schema, table) = words();
    let bytes = trained(&schema, r#""t", "osb(t, 2)""#, &table)
        .unwrap()
        .to_bytes();
    let (head, body) = bytes.split_at(15 + 32);
    for at in 0..body.len() {
        for change in [0x01, 0x80] {
            let mut forged = body.to_vec();
            forged[at] ^= change;
            let sealed = [&head[..15], blake3::hash(&forged).as_bytes(), &forged].concat();
            if let Ok(model) = Model::from_bytes(&sealed) {
                let scorer = model.scorer(&["t"]);
                let _ = scorer.map(|s| s.score(&["The it rolls"], &mut Scratch::default()).is_ok());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Model::from_bytes(&bytes).is_err());
        let sealed = [b"oncely-model 1\n", blake3::hash(&bytes).as_bytes().as_slice(), &bytes].concat();
        prop_assert!(Model::from_bytes(&sealed).is_err());
    }

    #[test]
    fn any_table_trains_or_says_why_and_survives_a_file(
        rows in proptest::collection::vec(("[ab? ]{0,3}", "-?[0-9]{0,3}", "[xy ]{0,6}", "[01?]"), 0..30),
    ) {
        let schema = schema(&[("c", "CATEGORICAL"), ("n", "NUMERIC"), ("t", "TEXT"), ("y", "BINARY")], "");
        let rows = rows.into_iter().map(|(c, n, t, y)| vec![c, n, t, y]);
        let table = table(&["c", "n", "t", "y"], rows);
        let outputs = r#""ALL_INPUTS", "quantile_bin(n, 3)", "cartesian(c, t)", "osb(t, 3)""#;
        if let Ok(model) = trained(&schema, outputs, &table) {
            let read = Model::from_bytes(&model.to_bytes()).unwrap();
            let (ours, theirs) = (evaluate(&model, &table), evaluate(&read, &table));
            prop_assert_eq!(ours, theirs);
        }
    }
}
