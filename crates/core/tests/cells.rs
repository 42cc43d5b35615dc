//! The rows of a range and the outputs of a record hold what was put into them, until it is taken out.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use oncely_core::items::{Cell, Outputs, OwnedCell, Rows};

/// Each row as text.
fn told(rows: &Rows) -> Vec<String> {
    let row = |cells: Vec<Cell<'_>>| format!("{cells:?}");
    rows.iter().map(|cells| row(cells.collect())).collect()
}

fn three() -> Rows {
    let mut rows = Rows::new(2);
    for (text, number) in [("a", 1), ("bcd", 2), ("", 3)] {
        rows.push(Cell::Text(text));
        rows.push(Cell::Int(number));
    }
    rows
}

#[test]
fn rows_are_counted_and_told_as_they_were_put() {
    let rows = three();
    assert_eq!(rows.len(), 3);
    assert!(!rows.is_empty());
    assert_eq!(
        told(&rows),
        [
            r#"[Text("a"), Int(1)]"#,
            r#"[Text("bcd"), Int(2)]"#,
            r#"[Text(""), Int(3)]"#
        ]
    );
    assert!(Rows::new(2).is_empty());
    assert_eq!(
        Rows::default().len(),
        0,
        "rows without cells are no division by nothing"
    );
}

#[test]
fn one_row_is_taken_out_and_its_neighbours_stay() {
    let mut rows = three();
    rows.remove(1);
    assert_eq!(
        told(&rows),
        [r#"[Text("a"), Int(1)]"#, r#"[Text(""), Int(3)]"#]
    );
    rows.remove(1);
    rows.remove(1);
    assert_eq!(told(&rows), [r#"[Text("a"), Int(1)]"#]);
    rows.remove(0);
    assert!(rows.is_empty());
}

#[test]
fn what_was_begun_of_a_row_is_taken_back() {
    let mut rows = three();
    rows.push(Cell::Real(0.5));
    assert_eq!(rows.len(), 3, "it is no row yet");
    rows.drop_partial(3);
    rows.push(Cell::Null);
    rows.push(Cell::Text("e"));
    assert_eq!(told(&rows)[3], r#"[Null, Text("e")]"#);
}

#[test]
fn rows_that_are_forgotten_come_back_nowhere() {
    let mut rows = three();
    rows.clear();
    assert!(rows.is_empty());
    rows.push(Cell::Text("new"));
    rows.push(Cell::Int(4));
    assert_eq!(told(&rows), [r#"[Text("new"), Int(4)]"#]);
}

#[test]
fn outputs_are_found_by_their_place_until_the_next_record() {
    let mut outputs = Outputs::default();
    for cell in [
        OwnedCell::Null,
        OwnedCell::Int(7),
        OwnedCell::Real(0.5),
        OwnedCell::Text("text".into()),
    ] {
        outputs.push(cell);
    }
    let found: Vec<_> = (0..5).map(|place| outputs.get(place)).collect();
    assert_eq!(
        format!("{found:?}"),
        r#"[Some(Null), Some(Int(7)), Some(Real(0.5)), Some(Text("text")), None]"#
    );
    outputs.clear();
    assert!(outputs.get(0).is_none());
}
