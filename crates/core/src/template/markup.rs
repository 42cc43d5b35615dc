//! Texts in a markup: what data puts into them stays data.

use minijinja::value::Value as Jinja;
use minijinja::{AutoEscape, Error, Output, State};

/// A markup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markup {
    /// HTML.
    Html,
    /// Slack's own: `<…>` is a link, a person or everybody.
    Slack,
}

const HTML: &str = "html";
const SLACK: &str = "slack";

impl Markup {
    /// What a template in this markup is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Html => HTML,
            Self::Slack => SLACK,
        }
    }
}

/// How the template of this name escapes.
pub(super) fn escape(name: &str) -> AutoEscape {
    match name {
        HTML => AutoEscape::Html,
        SLACK => AutoEscape::Custom(SLACK.into()),
        _ => AutoEscape::None,
    }
}

/// Writes what an expression gives.
pub(super) fn write(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Jinja,
) -> Result<(), Error> {
    if !matches!(state.auto_escape(), AutoEscape::Custom(_)) || value.is_safe() {
        return minijinja::escape_formatter(out, state, value);
    }
    // The three letters that Slack reads as markup, and no more: it shows others as they are.
    let escaped = value
        .to_string()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    out.write_str(&escaped).map_err(Error::from)
}
