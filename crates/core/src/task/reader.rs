//! Walks the spanned TOML tree by hand: types, known keys, numbers and durations, each error with
//! its place.

use super::asks::Answerer;
use super::diagnostic::{Diagnostic, Problem, closest, suggest};
use super::load::CallSite;
use super::model::Bundle;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and its place.
pub(super) type Val<'i> = Spanned<DeValue<'i>>;
/// A place in the file, in bytes.
pub(super) type Span = Range<usize>;

/// A table and its place.
#[derive(Clone)]
pub(super) struct Table<'t, 'i> {
    pub(super) entries: &'t DeTable<'i>,
    pub(super) span: Span,
}

impl<'t, 'i> Table<'t, 'i> {
    pub(super) fn get(&self, key: &str) -> Option<&'t Val<'i>> {
        self.entries
            .iter()
            .find(|(name, _)| name.get_ref().as_ref() == key)
            .map(|(_, value)| value)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The names of the table, each with its place and value, in the order of the file.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'t str, Span, &'t Val<'i>)> {
        self.entries
            .iter()
            .map(|(name, value)| (name.get_ref().as_ref(), name.span(), value))
    }

    pub(super) fn key_span(&self, key: &str) -> Span {
        self.each()
            .find(|(name, _, _)| *name == key)
            .map_or_else(|| self.span.clone(), |(_, span, _)| span)
    }
}

/// One file being read, and what was found wrong with it so far.
pub(super) struct Reader<'a> {
    pub(super) path: &'a str,
    pub(super) source: &'a str,
    /// Files that it names, by path.
    pub(super) files: &'a BTreeMap<String, String>,
    pub(super) errors: Vec<Diagnostic>,
    /// The tasks that its steps call.
    pub(super) calls: Vec<CallSite>,
    /// The tasks that cancel its runs.
    pub(super) cancels: Vec<CallSite>,
    /// Who is to answer its questions.
    pub(super) answerers: Vec<Answerer>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bundle: &'a Bundle) -> Self {
        Self {
            path: &bundle.path,
            source: &bundle.text,
            files: &bundle.files,
            errors: Vec::new(),
            calls: Vec::new(),
            cancels: Vec::new(),
            answerers: Vec::new(),
        }
    }

    pub(super) fn report(&mut self, span: Span, problem: Problem) {
        let found = Diagnostic::new(self.path, self.source, span, problem);
        if !self.errors.contains(&found) {
            self.errors.push(found);
        }
    }

    /// Keeps the value, or reports the problem at this place.
    pub(super) fn keep<T>(&mut self, span: Span, found: Result<T, Problem>) -> Option<T> {
        found.map_err(|problem| self.report(span, problem)).ok()
    }

    /// Reports the keys of a table that are not known.
    pub(super) fn known(&mut self, table: &Table<'_, '_>, keys: &[&str], of: &str) {
        for (name, span, _) in table.each() {
            if !keys.contains(&name) {
                let problem = Problem::new(format!("unknown key `{name}` in {of}"))
                    .label("not known here")
                    .help(suggest(name, keys.iter().copied(), "known keys"));
                self.report(span, problem);
            }
        }
    }

    pub(super) fn wrong(&mut self, value: &Val<'_>, name: &str, expected: &str) {
        let found = found(value.get_ref());
        let problem = Problem::new(format!("`{name}` takes {expected}")).label(found);
        self.report(value.span(), problem);
    }

    pub(super) fn missing(&mut self, span: Span, name: &str, of: &str, help: &str) {
        let problem = Problem::new(format!("{of} needs `{name}`"))
            .label(format!("`{name}` is missing"))
            .help(help);
        self.report(span, problem);
    }

    pub(super) fn table<'t, 'i>(
        &mut self,
        value: &'t Val<'i>,
        name: &str,
    ) -> Option<Table<'t, 'i>> {
        if let DeValue::Table(entries) = value.get_ref() {
            let span = value.span();
            return Some(Table { entries, span });
        }
        self.wrong(value, name, "a table");
        None
    }

    pub(super) fn list<'t, 'i>(
        &mut self,
        value: &'t Val<'i>,
        name: &str,
        of: &str,
    ) -> Option<&'t [Val<'i>]> {
        if let DeValue::Array(items) = value.get_ref() {
            return Some(items);
        }
        self.wrong(value, name, &format!("a list of {of}"));
        None
    }

    pub(super) fn text<'t>(&mut self, value: &'t Val<'_>, name: &str) -> Option<&'t str> {
        if let DeValue::String(text) = value.get_ref() {
            return Some(text);
        }
        self.wrong(value, name, "a text");
        None
    }

    /// A text that is not empty.
    pub(super) fn word<'t>(&mut self, value: &'t Val<'_>, name: &str) -> Option<&'t str> {
        let text = self.text(value, name)?;
        if text.trim().is_empty() {
            self.report(value.span(), Problem::new(format!("`{name}` is empty")));
            return None;
        }
        Some(text)
    }

    pub(super) fn boolean(&mut self, value: &Val<'_>, name: &str) -> Option<bool> {
        if let DeValue::Boolean(truth) = value.get_ref() {
            return Some(*truth);
        }
        self.wrong(value, name, "true or false");
        None
    }

    pub(super) fn int(&mut self, value: &Val<'_>, name: &str, min: i64, max: i64) -> Option<i64> {
        let expected = format!("an integer from {min} to {max}");
        let DeValue::Integer(digits) = value.get_ref() else {
            self.wrong(value, name, &expected);
            return None;
        };
        let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok();
        if number.is_none_or(|number| number < min || number > max) {
            let problem = Problem::new(format!("`{name}` takes {expected}")).label("out of range");
            self.report(value.span(), problem);
            return None;
        }
        number
    }

    pub(super) fn choice<'c>(
        &mut self,
        value: &Val<'_>,
        name: &str,
        choices: &[&'c str],
    ) -> Option<&'c str> {
        let quoted: Vec<_> = choices.iter().map(|c| format!("{c:?}")).collect();
        let expected = quoted.join(" or ");
        let DeValue::String(text) = value.get_ref() else {
            self.wrong(value, name, &expected);
            return None;
        };
        let known = choices.iter().copied().find(|choice| *choice == text);
        if known.is_none() {
            let mut problem = Problem::new(format!("`{name}` takes {expected}"))
                .label(format!("{text:?} is not known here"));
            if let Some(close) = closest_choice(text, choices) {
                problem = problem.help(format!("did you mean {close:?}?"));
            }
            self.report(value.span(), problem);
        }
        known
    }

    /// A duration in milliseconds.
    pub(super) fn duration(&mut self, value: &Val<'_>, name: &str) -> Option<i64> {
        let DeValue::String(text) = value.get_ref() else {
            self.wrong(value, name, "a duration such as \"30s\"");
            return None;
        };
        let found = parse_duration(text).ok_or_else(|| {
            Problem::new(format!("`{name}` takes a duration"))
                .label(format!("{text:?} is not one"))
                .help("a whole number and ms, s, m, h or d: \"500ms\", \"30s\", \"5m\", \"24h\", \"7d\"")
        });
        self.keep(value.span(), found)
    }

    /// A duration that is longer than nothing.
    pub(super) fn some_time(&mut self, value: &Val<'_>, name: &str) -> Option<i64> {
        let millis = self.duration(value, name)?;
        if millis == 0 {
            let problem = Problem::new(format!("`{name}` is longer than nothing"));
            self.report(value.span(), problem);
            return None;
        }
        Some(millis)
    }

    /// The place of a piece of a text in the file, where it stands there as it was decoded.
    pub(super) fn place_of(&self, value: &Val<'_>, piece: Option<Range<usize>>) -> Span {
        let span = value.span();
        let raw = self.source.get(span.clone()).unwrap_or_default();
        let text = value.get_ref().as_str().unwrap_or_default();
        match (raw.find(text), piece) {
            (Some(at), Some(piece)) => {
                let start = span.start + at;
                start + piece.start..start + piece.end
            }
            _ => span,
        }
    }
}

fn closest_choice<'c>(text: &str, choices: &[&'c str]) -> Option<&'c str> {
    choices
        .iter()
        .copied()
        .find(|choice| choice.eq_ignore_ascii_case(text))
        .or_else(|| closest(text, choices.iter().copied()))
}

fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "this is a text",
        DeValue::Integer(_) => "this is an integer",
        DeValue::Float(_) => "this is a number",
        DeValue::Boolean(_) => "this is true or false",
        DeValue::Datetime(_) => "this is a date or time",
        DeValue::Array(_) => "this is a list",
        DeValue::Table(_) => "this is a table",
    }
}

/// Reads `500ms`, `2s`, `5m`, `24h` or `7d` as milliseconds.
#[must_use]
pub fn parse_duration(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit)
}
