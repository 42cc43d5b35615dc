//! What can go wrong, in words for the person who meets it: what happened, where, what to do next.

use std::fmt;

/// Why a schema, a recipe, a table, a training or a model file was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelError {
    /// The data schema cannot be used.
    Schema {
        /// What is wrong and where.
        detail: String,
        /// What to do next.
        advice: String,
    },
    /// The recipe cannot be used.
    Recipe {
        /// The section and the text in it, with the column where one is known.
        place: String,
        /// What is wrong.
        detail: String,
        /// What to do next.
        advice: String,
    },
    /// A row has more or fewer cells than its table has columns.
    Row {
        /// Number of the row, from 1, the header not counted.
        row: usize,
        /// Columns of the table.
        expected: usize,
        /// Cells of the row.
        found: usize,
    },
    /// The data cannot be learned from or evaluated on.
    Data {
        /// What is wrong and where.
        detail: String,
        /// What to do next.
        advice: String,
    },
    /// None of the columns is one that the model knows.
    Unrelated {
        /// Name of the model.
        model: String,
        /// Attributes that the model knows.
        wanted: Vec<String>,
        /// Columns that were given.
        found: Vec<String>,
    },
    /// A record in which every attribute of the model is empty.
    EmptyRecord {
        /// Name of the model.
        model: String,
    },
    /// The bytes are not a model file, or are damaged.
    Damaged {
        /// What gave it away.
        detail: String,
    },
    /// The model file has a format that this program does not read.
    Version {
        /// Format of the file.
        found: u32,
        /// Format that this program reads.
        known: u32,
    },
}

impl ModelError {
    pub(crate) fn schema(detail: impl Into<String>, advice: impl Into<String>) -> ModelError {
        ModelError::Schema {
            detail: detail.into(),
            advice: advice.into(),
        }
    }

    pub(crate) fn recipe(
        place: impl Into<String>,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> ModelError {
        ModelError::Recipe {
            place: place.into(),
            detail: detail.into(),
            advice: advice.into(),
        }
    }

    pub(crate) fn data(detail: impl Into<String>, advice: impl Into<String>) -> ModelError {
        ModelError::Data {
            detail: detail.into(),
            advice: advice.into(),
        }
    }

    pub(crate) fn damaged(detail: impl Into<String>) -> ModelError {
        ModelError::Damaged {
            detail: detail.into(),
        }
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ModelError::Schema { detail, advice } => {
                write!(f, "the data schema cannot be used: {detail}; {advice}")
            }
            ModelError::Recipe {
                place,
                detail,
                advice,
            } => {
                write!(f, "the recipe cannot be used: {place}: {detail}; {advice}")
            }
            ModelError::Row {
                row,
                expected,
                found,
            } => write!(
                f,
                "row {row} has {found} cells where the table has {expected} columns; \
                 look in that row for a separator inside an unquoted value"
            ),
            ModelError::Data { detail, advice } => {
                write!(f, "the data cannot be used: {detail}; {advice}")
            }
            ModelError::Unrelated {
                model,
                wanted,
                found,
            } => write!(
                f,
                "none of the columns belongs to the model {model:?}: it knows {}, the data has {}; \
                 check that the data has a header line and that this is the model meant",
                listed(wanted),
                listed(found)
            ),
            ModelError::EmptyRecord { model } => write!(
                f,
                "the record gives the model {model:?} nothing to go by: every attribute that it \
                 knows is empty or \"?\"; fill in at least one"
            ),
            ModelError::Damaged { detail } => write!(
                f,
                "the model file is damaged or is not a model file: {detail}; \
                 nothing was loaded, copy it again from where it was trained or train it anew"
            ),
            ModelError::Version { found, known } => write!(
                f,
                "the model file has format {found} and this program reads format {known}; \
                 use the program that wrote it, or train the model anew with this one"
            ),
        }
    }
}

impl std::error::Error for ModelError {}

/// At most eight names, in quotes, and how many more there are.
pub(crate) fn listed<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 8;
    if names.is_empty() {
        return "none".to_owned();
    }
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(|n| format!("{:?}", n.as_ref()))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

/// Advice naming the closest of the names that would have been right.
pub(crate) fn did_you_mean<'a>(
    wrong: &str,
    names: impl IntoIterator<Item = &'a str>,
    otherwise: &str,
) -> String {
    names
        .into_iter()
        .map(|name| {
            (
                strsim::jaro_winkler(&wrong.to_lowercase(), &name.to_lowercase()),
                name,
            )
        })
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(
            || otherwise.to_owned(),
            |(_, name)| format!("did you mean {name:?}?"),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_where_and_what_next() {
        let row = ModelError::Row {
            row: 7,
            expected: 15,
            found: 14,
        };
        insta::assert_snapshot!(row, @"row 7 has 14 cells where the table has 15 columns; look in that row for a separator inside an unquoted value");
        let unrelated = ModelError::Unrelated {
            model: "adult".into(),
            wanted: vec!["age".into(), "sex".into()],
            found: (0..10).map(|i| format!("c{i}")).collect(),
        };
        insta::assert_snapshot!(unrelated, @r#"none of the columns belongs to the model "adult": it knows "age", "sex", the data has "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7" and 2 more; check that the data has a header line and that this is the model meant"#);
        insta::assert_snapshot!(ModelError::Version { found: 9, known: 1 }, @"the model file has format 9 and this program reads format 1; use the program that wrote it, or train the model anew with this one");
        insta::assert_snapshot!(ModelError::damaged("its checksum does not match"), @"the model file is damaged or is not a model file: its checksum does not match; nothing was loaded, copy it again from where it was trained or train it anew");
        insta::assert_snapshot!(ModelError::EmptyRecord { model: "adult".into() }, @r#"the record gives the model "adult" nothing to go by: every attribute that it knows is empty or "?"; fill in at least one"#);
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        assert_eq!(
            did_you_mean("workclas", ["age", "workclass"], "-"),
            "did you mean \"workclass\"?"
        );
        assert_eq!(
            did_you_mean("zzz", ["age", "workclass"], "look again"),
            "look again"
        );
    }
}
