//! The census records: what the issue promises about learning, measured on the last 30 % of the rows
//! after learning from the first 70 %.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::OnceLock;

use oncely_model::{
    Evaluation, Kind, Model, Recipe, Schema, Scratch, Table, TrainOptions, evaluate, train,
};

const TARGET: &str = "income-greater-50k";

fn census() -> Table {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/census/adult.csv"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let mut table = Table::new(
        lines
            .next()
            .unwrap()
            .split(',')
            .map(str::to_owned)
            .collect(),
    );
    lines.for_each(|line| table.push(&line.split(',').collect::<Vec<_>>()).unwrap());
    table
}

struct Done {
    model: Model,
    judge: Table,
    evaluation: Evaluation,
}

/// Trained once for all tests of this file.
fn done() -> &'static Done {
    static DONE: OnceLock<Done> = OnceLock::new();
    DONE.get_or_init(|| {
        let table = census();
        let rows = table.len();
        assert_eq!(rows, 48_842);
        let (learn, judge) = table.split_at(rows * 7 / 10);
        let mut cells = (0..learn.len()).map(|row| learn.row(row).map(str::to_owned).collect());
        let schema = Schema::infer(learn.columns(), &mut cells, TARGET).unwrap();
        let recipe = Recipe::default_for(&schema);
        let options = TrainOptions::default();
        let mut model = train("adult", &schema, &recipe, &learn, &options, &mut |_| {}).unwrap();
        let evaluation = evaluate(&model, &judge).unwrap();
        model.set_metrics(evaluation.metrics());
        Done {
            model,
            judge,
            evaluation,
        }
    })
}

/// The area by the trapezoids of the curve, walked score by score; shares no code with the crate.
fn area(mut rows: Vec<(f64, bool)>) -> f64 {
    rows.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap());
    let all_up = rows.iter().filter(|row| row.1).count() as f64;
    let all_down = rows.len() as f64 - all_up;
    let (mut area, mut up, mut down) = (0.0, 0.0, 0.0);
    let mut at = 0;
    while at < rows.len() {
        let (score, before_up, before_down) = (rows[at].0, up, down);
        while at < rows.len() && rows[at].0 == score {
            if rows[at].1 {
                up += 1.0
            } else {
                down += 1.0
            }
            at += 1;
        }
        area += (down - before_down) * (up + before_up) / 2.0;
    }
    area / (all_up * all_down)
}

#[test]
fn the_area_under_the_curve_is_at_least_0_923_by_two_counts() {
    let Done { evaluation, .. } = done();
    let ours = evaluation.metrics.auc.unwrap();
    // As the scores would be read back from a file.
    let written: String = evaluation
        .scores
        .iter()
        .map(|row| format!("{},{}\n", row.score, row.truth))
        .collect();
    let read = written.lines().map(|line| line.split_once(',').unwrap());
    let again = area(
        read.map(|(score, truth)| (score.parse().unwrap(), truth == "1"))
            .collect(),
    );
    assert!(ours >= 0.923, "AUC {ours}");
    assert!((ours - again).abs() < 1e-9, "{ours} and {again}");
    assert_eq!(evaluation.metrics.rows, 14_653);
    assert!(
        evaluation.metrics.accuracy.unwrap() > 0.865,
        "{:?}",
        evaluation.metrics
    );
}

#[test]
fn the_types_are_derived_as_a_person_would_write_them() {
    let kinds = |kind: Kind| {
        done()
            .model
            .schema()
            .inputs()
            .filter(|attribute| attribute.kind == kind)
            .count()
    };
    assert_eq!((kinds(Kind::Numeric), kinds(Kind::Categorical)), (6, 8));
    assert_eq!(done().model.schema().target().unwrap().kind, Kind::Binary);
}

#[test]
fn probabilities_mean_what_they_say() {
    for bin in done()
        .evaluation
        .calibration
        .iter()
        .filter(|bin| bin.rows > 300)
    {
        assert!((bin.mean_score - bin.came_true).abs() < 0.06, "{bin:?}");
    }
}

#[test]
fn a_model_read_back_predicts_the_same_from_columns_in_another_order() {
    let Done {
        model,
        judge,
        evaluation,
    } = done();
    let bytes = model.to_bytes();
    let read = Model::from_bytes(&bytes).unwrap();
    assert_eq!(read.to_bytes(), bytes);
    assert_eq!(read.checksum(), model.checksum());
    assert_eq!(read.metrics(), model.metrics());
    let mut columns: Vec<&str> = judge.columns().iter().map(String::as_str).collect();
    columns.reverse();
    columns.push("shoe-size");
    let scorer = read.scorer(&columns).unwrap();
    assert_eq!(scorer.unknown_columns(), ["shoe-size"]);
    assert!(scorer.missing_columns().is_empty());
    let mut scratch = Scratch::default();
    for row in evaluation.scores.iter().take(500) {
        let mut cells: Vec<String> = judge.row(row.row).map(|cell| format!(" {cell} ")).collect();
        cells.reverse();
        cells.push("43".to_owned());
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        let found = scorer.score(&cells, &mut scratch).unwrap();
        assert_eq!((found.label, found.score), (row.label.as_str(), row.score));
    }
}

#[test]
fn what_moves_the_score_is_told() {
    let influence = &done().evaluation.influence;
    assert_eq!(influence.len(), 8 + 6 * 3);
    let strongest: Vec<&str> = influence
        .iter()
        .take(5)
        .map(|i| i.feature.as_str())
        .collect();
    assert!(
        strongest.contains(&"marital-status") || strongest.contains(&"relationship"),
        "{strongest:?}"
    );
    assert!(influence.is_sorted_by(|a, b| a.spread >= b.spread));
}

#[test]
fn a_scorer_may_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    shared(&done().model.scorer(done().judge.columns()).unwrap());
}

#[test]
fn the_report_stands_alone() {
    let Done {
        model, evaluation, ..
    } = done();
    let page = evaluation.html(model);
    assert_eq!(page.matches("<svg").count(), 4);
    for outside in [
        "<script", "http:", "https:", "src=", "href=", "url(", "@import",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("capital-gain") && page.contains("education-num"));
}
