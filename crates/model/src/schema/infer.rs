//! A schema derived from the data: what the values look like decides the types.

use std::collections::HashSet;

use super::types::{Attribute, Kind, Schema};
use crate::error::{ModelError, did_you_mean, listed};
use crate::text;

/// Rows looked at; more would not change the types.
const ROWS_READ: usize = 100_000;
/// Distinct values remembered for each column.
const DISTINCT_KEPT: usize = 20_000;

/// What has been seen of one column.
#[derive(Default)]
struct Seen {
    filled: usize,
    numbers: usize,
    words: usize,
    distinct: HashSet<String>,
}

impl Seen {
    fn add(&mut self, cell: &str) {
        let cell = text::clean(cell);
        if cell.is_empty() {
            return;
        }
        self.filled += 1;
        self.numbers += usize::from(text::number(cell).is_some());
        self.words += cell.split_whitespace().count();
        if self.distinct.len() < DISTINCT_KEPT && !self.distinct.contains(cell) {
            self.distinct.insert(cell.to_owned());
        }
    }

    fn all_numbers(&self) -> bool {
        self.filled > 0 && self.numbers == self.filled
    }

    /// `0/1`, `y/n`, `yes/no`, `t/f`, `true/false`, in any case of letters.
    fn is_binary(&self) -> bool {
        const PAIRS: [[&str; 2]; 5] = [
            ["0", "1"],
            ["n", "y"],
            ["no", "yes"],
            ["f", "t"],
            ["false", "true"],
        ];
        let mut values: Vec<String> = self.distinct.iter().map(|v| v.to_lowercase()).collect();
        values.sort();
        values.dedup();
        PAIRS.iter().any(|pair| values.iter().eq(pair.iter()))
    }

    fn input_kind(&self) -> Kind {
        if self.is_binary() {
            Kind::Binary
        } else if self.all_numbers() {
            Kind::Numeric
        } else if self.is_prose() {
            Kind::Text
        } else {
            Kind::Categorical
        }
    }

    /// Values of several words that hardly repeat.
    fn is_prose(&self) -> bool {
        self.words >= self.filled * 3 && self.distinct.len() * 2 > self.filled.min(DISTINCT_KEPT)
    }

    fn target_kind(&self) -> Kind {
        if self.distinct.len() <= 2 {
            Kind::Binary
        } else if self.all_numbers() {
            Kind::Numeric
        } else {
            Kind::Categorical
        }
    }

    /// Never the same value twice and no number: a name of the row, from which nothing is learned.
    fn is_identifier(&self, kind: Kind) -> bool {
        kind == Kind::Categorical && self.filled >= 50 && self.distinct.len() >= self.filled
    }
}

impl Schema {
    /// Derives a schema from the columns and rows of a file. Numbers become NUMERIC, the pairs that
    /// Amazon Machine Learning calls binary (0/1, y/n, yes/no, t/f, true/false) BINARY, long values
    /// that hardly repeat TEXT, others CATEGORICAL. A target of two values is BINARY. Columns that
    /// are empty, or in which every text is different, are put among the excluded.
    pub fn infer(
        columns: &[String],
        rows: &mut dyn Iterator<Item = Vec<String>>,
        target: &str,
    ) -> Result<Schema, ModelError> {
        let names: Vec<&str> = columns.iter().map(|name| text::trim(name)).collect();
        let target = text::trim(target);
        if !names.contains(&target) {
            let otherwise = format!("the columns are {}", listed(&names));
            let detail = format!("there is no column {target:?} to learn");
            let advice = did_you_mean(target, names.iter().copied(), &otherwise);
            return Err(ModelError::schema(detail, advice));
        }
        let seen = look(names.len(), rows);
        let mut attributes = Vec::new();
        let mut excluded = Vec::new();
        for (name, seen) in names.iter().zip(&seen) {
            let is_target = *name == target;
            let kind = if is_target {
                seen.target_kind()
            } else {
                seen.input_kind()
            };
            if !is_target && (seen.filled == 0 || seen.is_identifier(kind)) {
                excluded.push((*name).to_owned());
            }
            attributes.push(Attribute {
                name: (*name).to_owned(),
                kind,
            });
        }
        Schema::build(attributes, target, excluded)
    }
}

fn look(width: usize, rows: &mut dyn Iterator<Item = Vec<String>>) -> Vec<Seen> {
    let mut seen: Vec<Seen> = (0..width).map(|_| Seen::default()).collect();
    for row in rows.take(ROWS_READ) {
        for (column, cell) in seen.iter_mut().zip(&row) {
            column.add(cell);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn infer(columns: &[&str], rows: &[&[&str]], target: &str) -> Result<Schema, ModelError> {
        let columns: Vec<String> = columns.iter().map(|c| (*c).to_owned()).collect();
        let mut rows = rows
            .iter()
            .map(|row| row.iter().map(|c| (*c).to_owned()).collect());
        Schema::infer(&columns, &mut rows, target)
    }

    #[test]
    fn types_follow_from_the_values() {
        let columns = ["n", "b", "c", "t", "e", "y"];
        let rows: [&[&str]; 4] = [
            &["1.5", "Yes", "red", "a fine day out", "", "<=50K"],
            &["?", "no", "blue", "not so good", "?", ">50K"],
            &[" -3 ", "no", "red", "what was it about", "", ">50K"],
            &["4", "", "red", "the best of all", "", "<=50K"],
        ];
        let schema = infer(&columns, &rows, "y").unwrap();
        let kinds: Vec<Kind> = schema.attributes().iter().map(|a| a.kind).collect();
        use Kind::*;
        assert_eq!(
            kinds,
            [Numeric, Binary, Categorical, Text, Categorical, Binary]
        );
        assert_eq!(schema.excluded(), ["e"]);
        assert!(schema.has_header());
    }

    #[test]
    fn the_target_decides_its_own_type() {
        let numeric = infer(&["x", "y"], &[&["a", "1"], &["a", "2"], &["b", "7.5"]], "y").unwrap();
        assert_eq!(numeric.target().unwrap().kind, Kind::Numeric);
        let several = infer(&["x", "y"], &[&["1", "a"], &["1", "b"], &["2", "c"]], "y").unwrap();
        assert_eq!(several.target().unwrap().kind, Kind::Categorical);
        let error = infer(&["x", "price"], &[], "prize").unwrap_err();
        insta::assert_snapshot!(error, @r#"the data schema cannot be used: there is no column "prize" to learn; did you mean "price"?"#);
    }
}
