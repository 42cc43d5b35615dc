//! The demo is the product in one minute.

use crate::project::Project;

#[test]
fn the_demo_is_killed_twice_and_loses_nothing() {
    let project = Project::empty();
    let lines = project.json(&["demo", "play"]);
    let last = lines.last().unwrap();
    let keys: Vec<&str> = last
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let wanted = [
        "records",
        "predicted",
        "set_aside",
        "duplicate_files_ignored",
        "rows_missing",
        "rows_doubled",
        "accuracy",
        "auc",
        "records_per_second",
        "kills",
    ];
    assert_eq!(keys, wanted);
    println!("{last}");
    assert_eq!(
        (&last["rows_missing"], &last["rows_doubled"], &last["kills"]),
        (&0.into(), &0.into(), &2.into())
    );
    assert_eq!(last["duplicate_files_ignored"], 1);
    let number = |key: &str| last[key].as_f64().unwrap();
    assert!(number("records") >= 14_000.0);
    assert!((number("records") - number("predicted") - number("set_aside")).abs() < 0.5);
    assert!(number("auc") >= 0.923, "{last}");
    project
        .run(&["demo", "play"])
        .says(2, &["is there already", "Nothing was changed."]);
}
