//! Which selects `for_each` over rows takes: what pages by itself is refused, wherever words stand
//! that only look like it.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/texts.rs"]
mod texts;

use oncely_core::task::load;

/// What is wrong with a select; nothing where it is taken.
fn told(select: &str, key: &str) -> String {
    let bundle = texts::called(&format!(
        "[[step]]\ndo = [{{ command = \"x\" }}]\n[step.for_each]\nrows = '''{select}'''\nkey = \"{key}\"\n"
    ));
    let errors = load(&bundle).err().unwrap_or_default();
    let lines: Vec<_> = errors.iter().map(|error| error.message.clone()).collect();
    lines.join("\n")
}

#[test]
fn words_in_names_texts_comments_and_parentheses_page_nothing() {
    for select in [
        "select id from t /* in the order of a * b, not of c/d: no limit */ where a > 1",
        "select id from t /* the * limit */",
        "select id from t /*limit*/ where b = '/*'",
        "select id, a / 2 as half, b - 1 as less from t",
        "select id from t -- no limit, no order\nwhere a - 1 > 2",
        "select [the limit] as id from t",
        "select \"in order\" as id, `an offset` from t where a = ' limit '",
        "select id from (select id from t order by a limit 5) where (a = (1)) and b = 2",
        "values (1), (2)",
        "WITH u AS (SELECT 1 AS id) SELECT id FROM u;",
        "select id from t; -- and no more",
        "select id, limit_a, offset1, @order, $limit from t where a = :limit",
    ] {
        assert_eq!(told(select, "id"), "", "{select}");
    }
}

#[test]
fn what_follows_them_is_still_read() {
    for select in [
        "select id, a / 2 as half from t limit 3",
        "select id, b - 1 as less from t limit 3",
        "select id from t -- all of them\nlimit 3",
        "select id from t /* all of them */ limit 3",
        "select id from t /* ** */ limit 3",
        "select id from t where a in (1, 2) limit 3",
        "select id from t where (a = (1)) limit 3",
        "select id from t where a = 'it''s' limit 3",
        "select [a b], `c d`, \"e f\" from t limit 3",
        "select id from t where a = ']' limit 3",
    ] {
        assert_eq!(
            told(select, "id"),
            "the select of `rows` has no `limit`",
            "{select}"
        );
    }
}

#[test]
fn there_is_one_statement_and_its_parentheses_are_pairs() {
    let one = "`rows` takes one select";
    assert_eq!(told("select id from t; select id from u", "id"), one);
    assert_eq!(told("select id from t;; ", "id"), one);
    assert_eq!(told("select id from t; ", "id"), "");
    assert_eq!(
        told("select id from t) where (a = 1", "id"),
        "the select closes a parenthesis that it did not open"
    );
    for select in [
        "insert into t values (1)",
        "(select id from t)",
        "-- nothing",
        "explain select 1",
    ] {
        assert_eq!(told(select, "id"), "`rows` takes a select", "{select}");
    }
}

#[test]
fn the_key_is_a_plain_column() {
    for key in ["id", "user_no", "_a", "A9"] {
        assert_eq!(told("select id from t", key), "", "{key}");
    }
    for key in ["t.id", "9a", "a b", "é"] {
        assert_eq!(
            told("select id from t", key),
            format!("{key:?} cannot be the `key`")
        );
    }
}
