//! What is wrong with a task file, and where: a place, a message, and a way out.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;
use std::fmt;
use std::ops::Range;

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The file, relative to the project's root.
    pub path: String,
    /// Its line, from 1.
    pub line: u32,
    /// Its column, from 1, in characters.
    pub column: u32,
    /// The place in the file, in bytes.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What stands beside the underlined place; may be empty.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A diagnostic about a place in `source`.
    #[must_use]
    pub fn new(path: &str, source: &str, span: Range<usize>, problem: Problem) -> Self {
        let span = inside(source, &span);
        let (line, column) = line_and_column(source, span.start);
        Self {
            path: path.to_owned(),
            line,
            column,
            span,
            message: problem.message,
            label: problem.label,
            help: problem.help,
        }
    }

    /// The diagnostic for people: the line, the place underlined, and the way out.
    #[must_use]
    pub fn render(&self, source: &str, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut mark = AnnotationKind::Primary.span(inside(source, &self.span));
        if !self.label.is_empty() {
            mark = mark.label(self.label.as_str());
        }
        let snippet = Snippet::source(source)
            .path(self.path.as_str())
            .annotation(mark);
        let mut group = Level::ERROR
            .primary_title(self.message.as_str())
            .element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path, line, column, ..
        } = self;
        write!(f, "{path}:{line}:{column}: {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// What is wrong, before it is known where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What stands beside the underlined place.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// A problem without label and help.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            label: String::new(),
            help: None,
        }
    }

    /// The same with words beside the place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same with a way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// The span, held inside the text and on the borders of characters.
fn inside(source: &str, span: &Range<usize>) -> Range<usize> {
    let start = border(source, span.start);
    start..border(source, span.end).max(start)
}

fn border(source: &str, at: usize) -> usize {
    let mut at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn line_and_column(source: &str, at: usize) -> (u32, u32) {
    let before = source.get(..at).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |n| n + 1);
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = before.get(line_start..).unwrap_or("").chars().count() + 1;
    let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (short(line), short(column))
}

/// The known word that `word` was probably meant to be.
pub(super) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Most names that a help lists.
const LISTED: usize = 20;

/// "did you mean …?" where a known word is close, else what there is.
pub(super) fn suggest<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
    what: &str,
) -> String {
    if let Some(candidate) = closest(word, known.clone()) {
        return format!("did you mean `{candidate}`?");
    }
    let names: Vec<_> = known.into_iter().map(|name| format!("`{name}`")).collect();
    let shown = names.get(..LISTED).unwrap_or(&names).join(", ");
    match names.len().saturating_sub(LISTED) {
        _ if names.is_empty() => format!("there are no {what} here"),
        0 => format!("{what}: {shown}"),
        more => format!("{what}: {shown}, and {more} more"),
    }
}
