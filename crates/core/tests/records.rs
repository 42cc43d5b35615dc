//! What the record reader promises, held against a slow and simple reader.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use oncely_core::limits::{RECORD_BYTES, SET_ASIDE_BYTES};
use oncely_core::records::{Item, Position, Records};
use oncely_core::task::Format;
use proptest::prelude::*;
use std::io::Read;

/// What a reader gave, owned.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Good(Position, Vec<String>),
    Bad(Position, String, String),
}

impl Seen {
    fn at(&self) -> Position {
        match self {
            Self::Good(at, _) | Self::Bad(at, ..) => *at,
        }
    }
}

fn drain<R: Read>(records: &mut Records<R>) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some(item) = records.next().unwrap() {
        seen.push(match item {
            Item::Record(record) => {
                Seen::Good(record.at, record.cells().map(str::to_owned).collect())
            }
            Item::Bad(bad) => Seen::Bad(bad.at, bad.input, bad.reason),
        });
    }
    seen
}

fn csv(text: &str) -> Vec<Seen> {
    drain(&mut Records::new(text.as_bytes(), Format::Csv, None).unwrap())
}

fn columns(number: usize) -> Vec<String> {
    (0..number).map(|n| format!("c{n}")).collect()
}

/// Cells of good records, and reasons of bad ones.
fn told(seen: &[Seen]) -> Vec<String> {
    seen.iter()
        .map(|seen| match seen {
            Seen::Good(at, cells) => format!("{}: {}", at.line, cells.join("|")),
            Seen::Bad(at, input, reason) => format!("{}: {input:?}: {reason}", at.line),
        })
        .collect()
}

fn header_error(bytes: &[u8]) -> String {
    Records::new(bytes, Format::Csv, None)
        .unwrap_err()
        .to_string()
}

#[test]
fn quotes_line_breaks_and_endings_are_read_as_rfc_4180_says() {
    let text = "\u{feff} a , b\r\n1,\"x, \"\"y\"\"\r\nz\"\r\n\"\",\n\"é\",2";
    assert_eq!(told(&csv(text)), ["2: 1|x, \"y\"\r\nz", "4: |", "5: é|2"]);
    for end in ["", "\r", "\n", "\r\n"] {
        assert_eq!(told(&csv(&format!("a\nx{end}"))), ["2: x"], "{end:?}");
        assert_eq!(told(&csv(&format!("a\n\"x\"{end}"))), ["2: x"], "{end:?}");
    }
    let records = Records::new(text.as_bytes(), Format::Csv, None).unwrap();
    assert_eq!(records.columns(), ["a", "b"]);
}

#[test]
fn a_bad_line_does_not_swallow_the_good_lines_after_it() {
    let text = "a,b\n1,\"open\n2,x\n3\n4,5\"6\n7,\"8\"9\n\n10,11,12\n13,14\n";
    assert_eq!(
        told(&csv(text)),
        [
            "2: \"1,\\\"open\": something stands between a closing quote and the next comma",
            "3: 2|x",
            "4: \"3\": it has 1 field; 2 are expected",
            "5: \"4,5\\\"6\": a quote stands inside a field that does not begin with one",
            "6: \"7,\\\"8\\\"9\": something stands between a closing quote and the next comma",
            "7: \"\": the line is empty; 2 fields are expected",
            "8: \"10,11,12\": it has 3 fields; 2 are expected",
            "9: 13|14",
        ]
    );
    assert_eq!(
        told(&csv("a\n\"open\nx\n")),
        ["2: \"\\\"open\": a quote is opened and not closed", "3: x"]
    );
}

#[test]
fn what_is_not_utf_8_is_set_aside_alone() {
    let mut records = Records::new(&b"a\nx\n\xff\xfe\ny\n"[..], Format::Csv, None).unwrap();
    assert_eq!(
        told(&drain(&mut records)),
        ["2: x", "3: \"\u{fffd}\u{fffd}\": it is not UTF-8", "4: y"]
    );
}

#[test]
fn a_file_without_a_usable_header_is_refused_whole() {
    assert_eq!(
        header_error(b""),
        "the file is empty: it has no rows and no header"
    );
    assert_eq!(
        header_error(b"\xef\xbb\xbf"),
        "the file is empty: it has no rows and no header"
    );
    assert_eq!(
        header_error(b"a,b, a\n"),
        "the header names two columns `a`"
    );
    assert_eq!(header_error(b"a,,b\n"), "the header gives column 2 no name");
    assert_eq!(header_error(b"\n1\n"), "the header gives column 1 no name");
    assert_eq!(header_error(b"a,\xff\n"), "the header is not UTF-8");
    assert_eq!(
        header_error(b"a,\"b\n1,2\n"),
        "the header cannot be read: a quote is opened and not closed"
    );
}

#[test]
fn a_header_names_at_most_4096_columns() {
    let header = |names: usize| columns(names).join(",");
    assert!(Records::new(header(4096).as_bytes(), Format::Csv, None).is_ok());
    for names in [4097, 4098] {
        assert_eq!(
            header_error(header(names).as_bytes()),
            format!("the header names {names} columns; at most 4096 are allowed")
        );
        let given = Records::new(&b""[..], Format::Csv, Some(columns(names)));
        assert!(given.is_err());
    }
}

#[test]
fn a_header_without_rows_gives_no_records() {
    assert_eq!(csv("a,b\n"), []);
    assert_eq!(csv("a,b"), []);
    let named = Records::new(&b""[..], Format::Csv, Some(columns(2)));
    assert_eq!(drain(&mut named.unwrap()), []);
}

#[test]
fn lines_and_json_lines() {
    let mut lines = Records::new(&b"a\r\n\nb,\"c"[..], Format::Lines, None).unwrap();
    assert_eq!(told(&drain(&mut lines)), ["1: a", "2: ", "3: b,\"c"]);
    let text = b"{\"a\": 1}\nnope\n\n[1]";
    let mut json = Records::new(&text[..], Format::Jsonl, None).unwrap();
    let Some(Item::Record(record)) = json.next().unwrap() else {
        panic!("no record")
    };
    assert_eq!(record.value(), serde_json::json!({ "a": 1 }));
    assert_eq!(
        told(&drain(&mut json)),
        [
            "2: \"nope\": it is not JSON: expected ident at line 1 column 2",
            "3: \"\": the line is empty; a JSON value is expected",
            "4: [1]",
        ]
    );
}

#[test]
fn items_are_tables_by_column() {
    let mut records = Records::new(&b"b,a\n1,x\n"[..], Format::Csv, None).unwrap();
    let Some(Item::Record(record)) = records.next().unwrap() else {
        panic!("no record")
    };
    assert_eq!(record.value().to_string(), r#"{"b":"1","a":"x"}"#);
    assert_eq!((record.cell(1), record.cell(2)), (Some("x"), None));
}

/// Ten megabytes without a line break, then a good line.
struct Long(usize, &'static [u8]);

impl Read for Long {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.0 == 0 {
            return self.1.read(into);
        }
        let bytes = into.len().min(self.0).min(7001);
        into[..bytes].fill(b'x');
        self.0 -= bytes;
        Ok(bytes)
    }
}

#[test]
fn a_line_that_is_too_long_is_passed_over() {
    for format in [Format::Csv, Format::Lines, Format::Jsonl] {
        let long = Long(10_000_000, b"\n1\n");
        let mut records = Records::new(long, format, Some(columns(1))).unwrap();
        let seen = drain(&mut records);
        let [Seen::Bad(_, input, reason), Seen::Good(at, cells)] = seen.as_slice() else {
            panic!("{}", seen.len())
        };
        assert_eq!(input.len(), SET_ASIDE_BYTES);
        assert!(
            reason.starts_with("the line has 10000001 bytes; at most"),
            "{reason}"
        );
        assert_eq!((at.offset, at.line, at.index), (10_000_001, 2, 1));
        assert_eq!(cells, &["1"]);
    }
}

#[test]
fn the_longest_record_is_read_and_one_byte_more_is_not() {
    for (extra, good) in [(0, true), (1, false)] {
        let length = RECORD_BYTES - 1 + extra;
        let records = Records::new(Long(length, b"\nb\n"), Format::Csv, Some(columns(1)));
        let seen = drain(&mut records.unwrap());
        assert_eq!(matches!(seen[0], Seen::Good(..)), good);
        assert_eq!(seen.len(), 2);
    }
}

#[test]
fn a_quote_that_stays_open_costs_one_line_whatever_follows() {
    let mut text = b"\"open\n".to_vec();
    while text.len() < 3 * RECORD_BYTES {
        text.extend_from_slice(b"a line without any quote\n");
    }
    let mut records = Records::new(&text[..], Format::Csv, Some(columns(1))).unwrap();
    let seen = drain(&mut records);
    assert!(matches!(&seen[0], Seen::Bad(_, input, _) if input == "\"open"));
    assert!(seen[1..].iter().all(|seen| matches!(seen, Seen::Good(..))));
}

#[test]
fn a_reader_that_fails_is_told_with_the_place() {
    #[derive(Debug)]
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the disk is gone"))
        }
    }
    let both = (&b"a\n1\n"[..]).chain(Broken);
    let error = Records::new(both, Format::Csv, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "reading failed after byte 0: the disk is gone"
    );
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "the disk is gone");
    let header = Records::new(&b""[..], Format::Csv, None).unwrap_err();
    assert!(std::error::Error::source(&header).is_none());
}

#[test]
fn the_first_record_is_placed_behind_the_header() {
    for (text, offset) in [("a,b\n1,2\n", 4), ("\u{feff}\"a\n\",b\r\n1,2\r\n", 11)] {
        let mut records = Records::new(text.as_bytes(), Format::Csv, None).unwrap();
        let at = records.position();
        assert_eq!((at.offset, at.index), (offset, 0));
        let columns = records.columns().to_vec();
        let whole = drain(&mut records);
        assert_eq!((whole.len(), whole[0].at()), (1, at));
        let rest = &text.as_bytes()[offset as usize..];
        assert_eq!(
            drain(&mut Records::resume(rest, Format::Csv, columns, at)),
            whole
        );
    }
}

#[test]
fn a_line_that_ends_where_the_memory_does_is_read_as_everywhere() {
    // What is held at first ends at some byte of this line, whichever it is.
    const HELD: usize = 128 * 1024;
    for before in HELD - 12..=HELD {
        let long = "x".repeat(before - "a\n".len() - "\r\n".len());
        let seen = csv(&format!("a\n{long}\r\n\"b\nc\"\r\nd\r\n"));
        assert_eq!(told(&seen[1..]), ["3: b\nc", "5: d"], "{before}");
    }
}

#[test]
fn a_reader_that_is_interrupted_goes_on() {
    struct Interrupted<'a>(&'a [u8], bool);
    impl Read for Interrupted<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            self.1 = !self.1;
            match self.1 {
                true => Err(std::io::ErrorKind::Interrupted.into()),
                false => self.0.read(into),
            }
        }
    }
    let reader = Interrupted(b"a\n1\n2\n", false);
    let seen = drain(&mut Records::new(reader, Format::Csv, None).unwrap());
    assert_eq!(told(&seen), ["2: 1", "3: 2"]);
}

/// The cells of a record; none of something that is no record.
type Cells = Option<Vec<Vec<u8>>>;

/// The slow and simple reader: one byte after another, the whole input at hand.
fn reference(bytes: &[u8], width: usize) -> Vec<(usize, Cells)> {
    let mut seen = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match one(&bytes[at..]) {
            Some((cells, whole)) => {
                let good =
                    cells.len() == width && std::str::from_utf8(&bytes[at..at + whole]).is_ok();
                seen.push((at, good.then_some(cells)));
                at += whole;
            }
            None => {
                let line = bytes[at..].iter().position(|b| *b == b'\n');
                seen.push((at, None));
                at += line.map_or(bytes.len() - at, |n| n + 1);
            }
        }
    }
    seen
}

/// The cells of the first record and its length; none when its quotes are wrong.
fn one(bytes: &[u8]) -> Option<(Vec<Vec<u8>>, usize)> {
    let mut cells = Vec::new();
    let mut at = 0;
    loop {
        let mut cell = Vec::new();
        if bytes.get(at) == Some(&b'"') {
            at += 1;
            loop {
                match (bytes.get(at)?, bytes.get(at + 1)) {
                    (b'"', Some(b'"')) => {
                        cell.push(b'"');
                        at += 2;
                    }
                    (b'"', _) => break,
                    (byte, _) => {
                        cell.push(*byte);
                        at += 1;
                    }
                }
            }
            at += 1;
        } else {
            while at < bytes.len() && !b",\n\"".contains(&bytes[at]) {
                cell.push(bytes[at]);
                at += 1;
            }
            let ends = matches!(bytes.get(at), None | Some(b'\n'));
            if ends && cell.last() == Some(&b'\r') {
                cell.pop();
                at -= 1;
            }
        }
        cells.push(cell);
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b','), _) => at += 1,
            (None, _) => return Some((cells, at)),
            (Some(b'\n'), _) => return Some((cells, at + 1)),
            (Some(b'\r'), Some(b'\n')) => return Some((cells, at + 2)),
            (Some(b'\r'), None) => return Some((cells, at + 1)),
            _ => return None,
        }
    }
}

/// A reader that gives so many bytes at a time.
struct Slow<'b>(&'b [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let most = into.len().min(self.1);
        self.0.read(&mut into[..most])
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => Just(b','), 4 => Just(b'\n'), 5 => Just(b'"'), 2 => Just(b'\r'),
        6 => b'a'..=b'e', 1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..200)
}

fn quoted(cell: &str, always: bool) -> String {
    if always || cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn tables_that_are_written_are_read_again(
        table in prop::collection::vec(prop::collection::vec("[a-zé ,\"\n\r]{0,8}", 3), 0..20),
        always in any::<bool>(), crlf in any::<bool>(), last in any::<bool>(), step in 1_usize..50,
    ) {
        let ending = if crlf { "\r\n" } else { "\n" };
        let rows: Vec<_> = table
            .iter()
            .map(|row| row.iter().map(|c| quoted(c, always)).collect::<Vec<_>>().join(","))
            .collect();
        let mut text = format!("x,y,z{ending}{}", rows.join(ending));
        if last && !rows.is_empty() {
            text.push_str(ending);
        }
        let mut records = Records::new(Slow(text.as_bytes(), step), Format::Csv, None).unwrap();
        let read: Vec<_> = drain(&mut records)
            .into_iter()
            .map(|seen| match seen {
                Seen::Good(_, cells) => cells,
                Seen::Bad(_, input, reason) => panic!("{input:?}: {reason}"),
            })
            .collect();
        prop_assert_eq!(read, table);
    }

    #[test]
    fn any_bytes_give_what_the_simple_reader_gives(bytes in bytes(), width in 1_usize..4) {
        let mut records =
            Records::new(&bytes[..], Format::Csv, Some(columns(width))).unwrap();
        let begin = records.position().offset as usize;
        let seen = drain(&mut records);
        let expected = reference(&bytes[begin..], width);
        prop_assert_eq!(seen.len(), expected.len());
        for (seen, (offset, cells)) in seen.iter().zip(&expected) {
            prop_assert_eq!(seen.at().offset as usize, offset + begin);
            match (seen, cells) {
                (Seen::Good(_, cells), Some(expected)) => {
                    let cells: Vec<_> = cells.iter().map(|c| c.clone().into_bytes()).collect();
                    prop_assert_eq!(&cells, expected);
                }
                (Seen::Bad(..), None) => {}
                _ => prop_assert!(false, "{:?} but {:?}", seen, cells),
            }
        }
    }

    #[test]
    fn every_byte_belongs_to_exactly_one_item(
        bytes in bytes(), step in 1_usize..20,
        format in prop::sample::select(vec![Format::Csv, Format::Lines, Format::Jsonl]),
    ) {
        let mut records = Records::new(Slow(&bytes, step), format, Some(columns(2))).unwrap();
        let mut ends = records.position();
        let mut index = 0;
        let mut held = ends.offset;
        while let Some(item) = records.next().unwrap() {
            let (at, length) = match &item {
                Item::Record(record) => (record.at, Some(record.raw.len())),
                Item::Bad(bad) => (bad.at, None),
            };
            prop_assert_eq!((at, at.index), (ends, index));
            ends = records.position();
            let whole = ends.offset - at.offset;
            let piece = &bytes[at.offset as usize..ends.offset as usize];
            prop_assert!(whole > 0);
            let breaks = piece.iter().filter(|b| **b == b'\n').count() as u64;
            prop_assert_eq!(ends.line - at.line, breaks + u64::from(!piece.ends_with(b"\n")));
            if let Some(length) = length {
                let rest = &piece[length..];
                prop_assert!([&b""[..], b"\n", b"\r\n", b"\r"].contains(&rest));
            }
            index += 1;
            held += whole;
        }
        prop_assert_eq!(held, bytes.len() as u64);
    }

    #[test]
    fn reading_resumes_at_every_item(
        bytes in bytes(),
        format in prop::sample::select(vec![Format::Csv, Format::Lines, Format::Jsonl]),
    ) {
        let mut records = Records::new(&bytes[..], format, Some(columns(2))).unwrap();
        let seen = drain(&mut records);
        for (place, item) in seen.iter().enumerate() {
            let rest = &bytes[item.at().offset as usize..];
            let mut resumed = Records::resume(rest, format, columns(2), item.at());
            prop_assert_eq!(drain(&mut resumed), &seen[place..]);
        }
    }
}
