//! From the rendered options of a call to the typed options of an action.

use oncely_core::Value;
use oncely_core::action::Failure;
use serde::de::DeserializeOwned;

/// Reads the options. They were checked when the task was loaded, so that what fails here is data
/// that a template put in: another type than the option takes.
pub(crate) fn read<T: DeserializeOwned>(options: &Value) -> Result<T, Failure> {
    T::deserialize(options).map_err(|error| {
        Failure::permanent(format!(
            "the rendered options of this step cannot be used: {error}; \
             look at what its templates gave"
        ))
    })
}

/// Milliseconds as a duration, none where they are negative.
pub(crate) fn duration(millis: Option<i64>) -> Option<std::time::Duration> {
    millis
        .and_then(|ms| u64::try_from(ms).ok())
        .map(std::time::Duration::from_millis)
}

/// What people read of a duration: `30 s`, `1.5 s`, `200 ms`.
pub(crate) fn spoken(duration: std::time::Duration) -> String {
    match duration.as_millis() {
        ms if ms < 1000 => format!("{ms} ms"),
        ms if ms % 1000 == 0 => format!("{} s", ms / 1000),
        ms => format!("{:.1} s", ms as f64 / 1000.0),
    }
}

/// At most `limit` characters of a text, with `…` where it was cut.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn durations_are_said_as_people_say_them() {
        let said = [200, 1000, 1500, 30_000].map(|ms| spoken(Duration::from_millis(ms)));
        assert_eq!(said, ["200 ms", "1 s", "1.5 s", "30 s"]);
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cut("äöü", 3), "äöü");
    }

    #[test]
    fn options_of_another_type_are_refused_in_words() {
        let error = read::<std::collections::BTreeMap<String, u32>>(&serde_json::json!({"a": "x"}));
        insta::assert_snapshot!(error.unwrap_err().error(), @r#"the rendered options of this step cannot be used: invalid type: string "x", expected u32; look at what its templates gave"#);
    }
}
