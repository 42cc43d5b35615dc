use super::*;
use proptest::prelude::*;

fn schema() -> Schema {
    let attributes: Vec<String> = [
        ("age", "NUMERIC"),
        ("hours-per-week", "NUMERIC"),
        ("country", "CATEGORICAL"),
        ("gender", "BINARY"),
        ("title", "TEXT"),
        ("subject", "TEXT"),
        ("my, odd", "CATEGORICAL"),
        ("secret", "CATEGORICAL"),
        ("y", "BINARY"),
    ]
    .iter()
    .map(|(name, kind)| format!(r#"{{"attributeName":{name:?},"attributeType":{kind:?}}}"#))
    .collect();
    Schema::from_json(&format!(
        r#"{{"targetAttributeName":"y","excludedAttributeNames":["secret"],"attributes":[{}]}}"#,
        attributes.join(",")
    ))
    .unwrap()
}

fn outputs(text: &str) -> Result<Vec<String>, ModelError> {
    let json = format!(r#"{{"outputs":[{text}]}}"#);
    described(&json)
}

fn described(json: &str) -> Result<Vec<String>, ModelError> {
    let recipe = Recipe::from_json(json, &schema())?;
    Ok(recipe
        .exprs()
        .iter()
        .map(|expr| expr.describe(&schema()))
        .collect())
}

#[test]
fn the_example_of_the_manual_is_understood() {
    let recipe = r#"{
        "groups": {
            "LONGTEXT": "group_remove(ALL_TEXT, title)",
            "SPECIALTEXT": "group(title, subject)",
            "BINCAT": "group(ALL_CATEGORICAL, ALL_BINARY)"
        },
        "assignments": {
            "binned_age": "quantile_bin(age,30)",
            "country_gender_interaction": "cartesian(country, gender)"
        },
        "outputs": [
            "lowercase(no_punct(LONGTEXT))",
            "ngram(lowercase(no_punct(SPECIALTEXT)),3)",
            "quantile_bin(hours-per-week, 10)",
            "hours-per-week",
            "cartesian(binned_age, quantile_bin(hours-per-week,10))",
            "country_gender_interaction",
            "BINCAT"
        ] }"#;
    assert_eq!(
        described(recipe).unwrap(),
        [
            "lowercase(no_punct(subject))",
            "ngram(lowercase(no_punct(title)), 3)",
            "ngram(lowercase(no_punct(subject)), 3)",
            "quantile_bin(hours-per-week, 10)",
            "hours-per-week",
            "cartesian(quantile_bin(age, 30), quantile_bin(hours-per-week, 10))",
            "cartesian(country, gender)",
            "country",
            "my, odd",
            "gender",
        ]
    );
}

#[test]
fn groups_leave_out_target_and_excluded() {
    let all = outputs(r#""ALL_INPUTS""#).unwrap();
    assert_eq!(all.len(), 7);
    assert!(!all.contains(&"secret".to_owned()) && !all.contains(&"y".to_owned()));
    assert_eq!(
        outputs(r#""group_remove(ALL_NUMERIC, 'age')""#).unwrap(),
        ["hours-per-week"]
    );
    assert_eq!(
        outputs(r#""group('my, odd', \"gender\")""#).unwrap(),
        ["my, odd", "gender"]
    );
}

#[test]
fn a_cartesian_of_groups_pairs_each_with_each_once() {
    let pairs =
        outputs(r#""cartesian(group(country, gender, title), group(country, gender, title))""#);
    assert_eq!(pairs.unwrap().len(), 3);
}

#[test]
fn the_default_recipe_has_what_the_schema_has() {
    let recipe = Recipe::default_for(&schema());
    insta::assert_snapshot!(recipe.outputs().join(" | "), @"");
    assert_eq!(
        Recipe::from_json(&recipe.to_json(), &schema()).unwrap(),
        recipe
    );
}

#[test]
fn refusals_say_where_and_what_to_do() {
    let wrong = |text: &str| outputs(text).unwrap_err().to_string();
    insta::assert_snapshot!(wrong(r#""quantile_bin(countri, 10)""#), @"");
    insta::assert_snapshot!(wrong(r#""quantile_bin(country, 10)""#), @"");
    insta::assert_snapshot!(wrong(r#""quantile_bin(age, ten)""#), @"");
    insta::assert_snapshot!(wrong(r#""cartesian(age, country)""#), @"");
    insta::assert_snapshot!(wrong(r#""quantil_bin(age, 10)""#), @"");
    insta::assert_snapshot!(wrong(r#""lowercase(title""#), @"");
    insta::assert_snapshot!(wrong(r#""y""#), @"");
    insta::assert_snapshot!(wrong(""), @"");
    insta::assert_snapshot!(described(r#"{"output":["age"]}"#).unwrap_err(), @"");
    let again = described(r#"{"groups":{"age":"group(country)"},"outputs":["age"]}"#);
    insta::assert_snapshot!(again.unwrap_err(), @"");
}

proptest! {
    #[test]
    fn no_recipe_makes_it_panic(
        text in "(ngram|osb|cartesian|group|quantile_bin|lowercase|normalize)?\\(?(age|title|country|ALL_TEXT|'x)[,)( 0-9a-z']{0,20}"
    ) {
        let json = serde_json::json!({ "outputs": [text] }).to_string();
        let _ = Recipe::from_json(&json, &schema());
    }

    #[test]
    fn no_file_makes_it_panic(text in "\\PC{0,60}") {
        let _ = Recipe::from_json(&text, &schema());
        let _ = Schema::from_json(&text);
    }
}
