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
    insta::assert_snapshot!(recipe.outputs().join(" | "), @"ALL_BINARY | ALL_CATEGORICAL | quantile_bin(ALL_NUMERIC, 10) | quantile_bin(ALL_NUMERIC, 100) | normalize(ALL_NUMERIC) | lowercase(no_punct(ALL_TEXT))");
    assert_eq!(
        Recipe::from_json(&recipe.to_json(), &schema()).unwrap(),
        recipe
    );
}

#[test]
fn refusals_say_where_and_what_to_do() {
    let wrong = |text: &str| outputs(text).unwrap_err().to_string();
    insta::assert_snapshot!(wrong(r#""quantile_bin(countri, 10)""#), @r#"the recipe cannot be used: outputs, "quantile_bin(countri, 10)", column 14: there is no attribute, group or assignment "countri"; did you mean "country"?"#);
    insta::assert_snapshot!(wrong(r#""quantile_bin(country, 10)""#), @r#"the recipe cannot be used: outputs, "quantile_bin(country, 10)", column 14: quantile_bin cannot take country; it bins NUMERIC attributes only"#);
    insta::assert_snapshot!(wrong(r#""quantile_bin(age, ten)""#), @r#"the recipe cannot be used: outputs, "quantile_bin(age, ten)", column 19: quantile_bin cannot have the size "ten"; write quantile_bin(name, number), from 2 to 1000"#);
    insta::assert_snapshot!(wrong(r#""cartesian(age, country)""#), @r#"the recipe cannot be used: outputs, "cartesian(age, country)", column 11: cartesian cannot take age; wrap the number: quantile_bin(x, 10)"#);
    insta::assert_snapshot!(wrong(r#""quantil_bin(age, 10)""#), @r#"the recipe cannot be used: outputs, "quantil_bin(age, 10)", column 1: there is no function "quantil_bin"; did you mean "quantile_bin"?"#);
    insta::assert_snapshot!(wrong(r#""lowercase(title""#), @r#"the recipe cannot be used: outputs, "lowercase(title", column 16: a parenthesis is not closed; add ")""#);
    insta::assert_snapshot!(wrong(r#""y""#), @r#"the recipe cannot be used: outputs, "y", column 1: "y" is the target, the row id, the row weight or excluded; take it out here, or change the schema if it is to be learned from"#);
    insta::assert_snapshot!(wrong(""), @r#"the recipe cannot be used: outputs: no attribute reaches the learner; write ["ALL_INPUTS"] and check that the schema has attributes beside the target"#);
    insta::assert_snapshot!(described(r#"{"output":["age"]}"#).unwrap_err(), @r#"the recipe cannot be used: the file: there is no section "output"; did you mean "outputs"?"#);
    let again = described(r#"{"groups":{"age":"group(country)"},"outputs":["age"]}"#);
    insta::assert_snapshot!(again.unwrap_err(), @r#"the recipe cannot be used: groups, "age": "group(country)", column 1: the name "age" is taken by an attribute or a group; choose another name"#);
}

#[test]
fn a_long_chain_of_assignments_stays_shallow() {
    let mut assignments = vec![r#""a0":"title""#.to_owned()];
    for i in 1..5000 {
        let function = ["lowercase", "no_punct"][i % 2];
        assignments.push(format!(r#""a{i}":"{function}(a{})""#, i - 1));
    }
    let json = format!(
        r#"{{"assignments":{{{}}},"outputs":["a4999"]}}"#,
        assignments.join(",")
    );
    assert_eq!(described(&json).unwrap(), ["lowercase(no_punct(title))"]);
    let deep = r#"{"assignments":{"b":"cartesian(country,gender)","c":"cartesian(b,title)"},"outputs":["c"]}"#;
    assert_eq!(
        described(deep).unwrap(),
        ["cartesian(country, gender, title)"]
    );
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
