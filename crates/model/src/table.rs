//! A table in memory: the trimmed text of every cell in one buffer, and where each cell ends.

use crate::error::ModelError;
use crate::text;

/// A training or evaluation table held in memory in a compact form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<String>,
    text: String,
    ends: Vec<usize>,
    rows: usize,
}

impl Table {
    /// An empty table. Names of columns are trimmed.
    pub fn new(columns: Vec<String>) -> Table {
        let columns = columns
            .iter()
            .map(|name| text::trim(name).to_owned())
            .collect();
        Table {
            columns,
            text: String::new(),
            ends: Vec::new(),
            rows: 0,
        }
    }

    /// Adds a row, its cells trimmed. Refused when it has another number of cells than columns.
    pub fn push(&mut self, cells: &[&str]) -> Result<(), ModelError> {
        if cells.len() != self.columns.len() {
            let (expected, found) = (self.columns.len(), cells.len());
            return Err(ModelError::Row {
                row: self.rows + 1,
                expected,
                found,
            });
        }
        for cell in cells {
            self.text.push_str(text::trim(cell));
            self.ends.push(self.text.len());
        }
        self.rows += 1;
        Ok(())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Place of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// The first `row` rows, and the others.
    pub fn split_at(mut self, row: usize) -> (Table, Table) {
        let row = row.min(self.rows);
        let width = self.columns.len();
        let cut = self.cell_start(row * width);
        let rest = Table {
            columns: self.columns.clone(),
            text: self.text.split_off(cut),
            ends: self
                .ends
                .split_off(row * width)
                .iter()
                .map(|end| end - cut)
                .collect(),
            rows: self.rows - row,
        };
        self.rows = row;
        (self, rest)
    }

    /// The cells of a row, none when there is no such row.
    pub fn row(&self, row: usize) -> impl Iterator<Item = &str> {
        let width = if row < self.rows {
            self.columns.len()
        } else {
            0
        };
        (0..width).map(move |column| self.cell(row, column))
    }

    /// One cell, trimmed; `row` and `column` must exist.
    pub(crate) fn cell(&self, row: usize, column: usize) -> &str {
        let at = row * self.columns.len() + column;
        &self.text[self.cell_start(at)..self.ends[at]]
    }

    fn cell_start(&self, at: usize) -> usize {
        if at == 0 { 0 } else { self.ends[at - 1] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Table {
        let mut table = Table::new(vec![" a".into(), "b ".into()]);
        for row in [["1", " x "], ["2", ""], ["3", "z"]] {
            table.push(&row).unwrap();
        }
        table
    }

    #[test]
    fn names_and_cells_are_trimmed() {
        let table = small();
        assert_eq!(table.columns(), ["a", "b"]);
        assert_eq!(table.row(0).collect::<Vec<_>>(), ["1", "x"]);
        assert_eq!(table.row(3).count(), 0);
    }

    #[test]
    fn a_split_keeps_every_cell() {
        for at in 0..=4 {
            let (first, second) = small().split_at(at);
            let rows = |t: &Table| {
                (0..t.len())
                    .map(|i| t.row(i).map(str::to_owned).collect::<Vec<_>>())
                    .collect::<Vec<_>>()
            };
            assert_eq!([rows(&first), rows(&second)].concat(), rows(&small()));
            assert_eq!(first.len(), at.min(3));
        }
    }

    #[test]
    fn a_row_of_another_width_is_refused() {
        let error = small().push(&["1"]).unwrap_err();
        assert_eq!(
            error,
            ModelError::Row {
                row: 4,
                expected: 2,
                found: 1
            }
        );
    }
}
