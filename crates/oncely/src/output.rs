//! How commands speak: tables and sentences for people, JSON lines for programs.

use crate::cli::Format;
use crate::failure::Failure;
use crate::github;
use jiff::Timestamp as Moment;
use oncely_core::Value;
use oncely_core::run::RunStatus;
use oncely_core::time::Timestamp;
use owo_colors::{OwoColorize, Style};
use std::borrow::Cow;
use std::io::{IsTerminal, Write};

/// Where and how a command speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Voice {
    pub(crate) json: bool,
    pub(crate) colour: bool,
    pub(crate) terminal: bool,
    /// Whether it speaks to GitHub Actions.
    pub(crate) github: bool,
}

impl Voice {
    /// Colours and progress only on a terminal; `NO_COLOR` is respected.
    pub(crate) fn new(json: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Self {
            json,
            colour: terminal && !no_colour && !json,
            terminal,
            github: false,
        }
    }

    /// The same in a format that was asked for.
    ///
    /// # Errors
    /// When another one was asked for as well.
    pub(crate) fn in_format(self, format: Option<Format>) -> Result<Self, Failure> {
        match format {
            Some(Format::Text | Format::Github) if self.json => Err(Failure::usage(
                "--json and another --format exclude one another. Nothing was run.",
            )),
            Some(Format::Json) => Ok(Self::new(true)),
            Some(Format::Github) => {
                github::speak();
                Ok(Self {
                    colour: false,
                    github: true,
                    ..self
                })
            }
            Some(Format::Text) | None => Ok(self),
        }
    }

    /// A workflow command; nothing when the command does not speak to GitHub Actions.
    pub(crate) fn command(self, name: &str, properties: &[(&str, &str)], text: &str) {
        if self.github {
            print_line(&github::command(name, properties, &plain(text)));
        }
    }

    /// A line for people; nothing when the command speaks JSON.
    pub(crate) fn say(self, line: impl AsRef<str>) {
        if !self.json {
            print_line(&github::text(&harmless(line.as_ref(), self.colour)));
        }
    }

    /// A line for programs; nothing when the command speaks to people.
    pub(crate) fn record(self, value: &Value) {
        if self.json {
            print_line(&value.to_string());
        }
    }

    /// Many lines for programs, written at once.
    pub(crate) fn records(self, lines: &[String]) {
        if self.json && !lines.is_empty() {
            print_line(&lines.join("\n"));
        }
    }

    /// A text in a style, where colours are shown.
    pub(crate) fn paint(self, text: impl std::fmt::Display, style: Style) -> String {
        if self.colour {
            text.style(style).to_string()
        } else {
            text.to_string()
        }
    }

    /// A quiet text.
    pub(crate) fn dim(self, text: impl std::fmt::Display) -> String {
        self.paint(text, Style::new().dimmed())
    }

    /// A text that stands out.
    pub(crate) fn bold(self, text: impl std::fmt::Display) -> String {
        self.paint(text, Style::new().bold())
    }

    /// A status in its colour.
    pub(crate) fn status(self, status: RunStatus) -> String {
        let style = match status {
            RunStatus::Done | RunStatus::Imported => Style::new().green(),
            RunStatus::Failed => Style::new().red(),
            RunStatus::Unknown => Style::new().yellow().bold(),
            RunStatus::Waiting => Style::new().yellow(),
            RunStatus::Running => Style::new().cyan(),
            RunStatus::Pending | RunStatus::Cancelled | RunStatus::Skipped | RunStatus::Undone => {
                Style::new().dimmed()
            }
        };
        self.paint(status, style)
    }
}

/// A text of somebody else's, without what would move the cursor, or hide or colour what stands beside
/// it.
pub(crate) fn plain(text: &str) -> String {
    text.replace(
        |c: char| c.is_control() && !matches!(c, '\n' | '\t'),
        "\u{fffd}",
    )
}

/// A line that may hold texts of somebody else's: colours are all that it can do to a terminal.
fn harmless(line: &str, colour: bool) -> Cow<'_, str> {
    if !line.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
        return line.into();
    }
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(place) = rest.find('\u{1b}') {
        out.push_str(&plain(&rest[..place]));
        rest = &rest[place..];
        let long = style(rest).filter(|_| colour).unwrap_or(0);
        out.push_str(&rest[..long]);
        if long == 0 {
            out.push('\u{fffd}');
        }
        rest = &rest[long.max(1)..];
    }
    out.push_str(&plain(rest));
    out.into()
}

/// How long the escape sequence is that begins a text, where it only sets a style.
fn style(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("\u{1b}[")?;
    let end = inner.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    inner[end..]
        .starts_with('m')
        .then_some("\u{1b}[".len() + end + 1)
}

/// A reader that went away (`oncely runs | head`) is no reason to complain.
pub(crate) fn print_line(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
}

/// Rows under headings, in columns as wide as they need.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = headings.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(visible(cell));
        }
    }
    let headings: Vec<String> = headings.iter().map(|h| h.to_uppercase()).collect();
    let mut lines = vec![line(&headings, &widths)];
    lines.extend(rows.iter().map(|row| line(row, &widths)));
    lines.join("\n")
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        text.push_str(cell);
        let gap = width.saturating_sub(visible(cell)) + 2;
        text.extend(std::iter::repeat_n(' ', gap));
    }
    text.trim_end().to_owned()
}

/// Characters that are seen: escape sequences are not.
fn visible(text: &str) -> usize {
    let mut count = 0;
    let mut escape = false;
    for c in text.chars() {
        match (escape, c) {
            (false, '\u{1b}') => escape = true,
            (true, 'm') => escape = false,
            (true, _) => {}
            (false, _) => count += 1,
        }
    }
    count
}

/// A moment as people write it, in UTC.
pub(crate) fn moment(at: Timestamp) -> String {
    Moment::from_millisecond(at.0).map_or_else(
        |_| at.0.to_string(),
        |moment| moment.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// A moment for programs: RFC 3339.
pub(crate) fn rfc3339(at: Timestamp) -> Value {
    Moment::from_millisecond(at.0).map_or(Value::Null, |m| m.to_string().into())
}

/// A length of time in a few characters.
pub(crate) fn span(millis: i64) -> String {
    let millis = millis.max(0);
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{}.{} s", millis / 1000, (millis % 1000) / 100),
        60_000..3_600_000 => format!("{} min {} s", millis / 60_000, (millis / 1000) % 60),
        3_600_000..86_400_000 => format!("{} h {} min", millis / 3_600_000, (millis / 60_000) % 60),
        _ => format!("{} d {} h", millis / 86_400_000, (millis / 3_600_000) % 24),
    }
}

/// A count with its noun.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// A number with its thousands set off.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// From 0 to 1; two letters of a short word that changed places are no great difference.
fn likeness(wrong: &str, right: &str) -> f64 {
    let whole = strsim::jaro_winkler(wrong, right);
    match strsim::osa_distance(wrong, right) {
        0 | 1 if wrong.len() > 2 => whole.max(0.9),
        _ => whole,
    }
}

/// ` Did you mean …?` when something is close, else what there is.
pub(crate) fn suggestion<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> String {
    let right: Vec<&str> = right.into_iter().collect();
    let near = right
        .iter()
        .map(|name| (likeness(wrong, name), *name))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((likeness, name)) if likeness > 0.75 => format!(" Did you mean `{name}`?"),
        _ if right.is_empty() => " There are none.".into(),
        _ => {
            let shown: Vec<&str> = right.iter().take(8).copied().collect();
            let more = if right.len() > shown.len() {
                ", …"
            } else {
                ""
            };
            format!(" There are: {}{more}.", shown.join(", "))
        }
    }
}

/// Says why a command ends, where people or programs look for it.
pub(crate) fn complain(voice: Voice, failure: &Failure) {
    if voice.json {
        let value = serde_json::json!({ "error": failure.message, "exit": failure.exit.code() });
        voice.record(&value);
    } else if voice.github {
        voice.command("error", &[("title", "oncely")], &failure.message);
    } else {
        let mut err = std::io::stderr().lock();
        let _ = writeln!(err, "oncely: {}", harmless(&failure.message, voice.colour));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_wrote_moves_no_cursor() {
        let green = "\u{1b}[32mdone\u{1b}[0m";
        assert_eq!(harmless(green, true), green);
        assert_eq!(harmless("a\tb\nc", false), "a\tb\nc");
        assert_eq!(harmless(green, false), "\u{fffd}[32mdone\u{fffd}[0m");
        assert_eq!(harmless("\u{1b}[2Jx\u{1b}", true), "\u{fffd}[2Jx\u{fffd}");
        assert_eq!(
            harmless("a\rb\u{7}\u{9b}1A", true),
            "a\u{fffd}b\u{fffd}\u{fffd}1A"
        );
        assert_eq!(plain(green), "\u{fffd}[32mdone\u{fffd}[0m");
    }
}
