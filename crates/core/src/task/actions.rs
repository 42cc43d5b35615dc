//! The actions and their options, as one table: parsing, checking, confinement, the JSON Schema and
//! the documentation are all made from it.

use super::catalogue::{APPROVE, CALL, COMMAND, HTTP, PREDICT, PUT, REQUIRE, SQL};
use super::messages::{EMAIL, SLACK};
use super::model::ActionKind;
use crate::template::Markup;

/// An option of an action.
#[derive(Debug)]
pub struct OptionSpec {
    /// Its key.
    pub name: &'static str,
    /// What it takes.
    pub kind: OptionKind,
    /// What it means, for people.
    pub doc: &'static str,
    /// Whether it must be there.
    pub required: bool,
}

/// What an option takes, and how far data may reach into it.
#[derive(Debug)]
pub enum OptionKind {
    /// A text in which `{{ }}` may stand.
    Text,
    /// A text in which `{{ }}` and `{{ secret.NAME }}` may stand.
    Secret,
    /// Nothing but `{{ secret.NAME }}`.
    OneSecret,
    /// A text in a markup in which `{{ }}` may stand; what they give is escaped.
    Markup(Markup),
    /// A text, or a list of texts, in which `{{ }}` may stand; one that is exactly a `{{ }}` may give
    /// a list.
    Texts,
    /// The path of a file that the text of the task includes. `{{ }}` may stand in the file.
    TextFile {
        /// Whether it holds HTML.
        html: bool,
    },
    /// A file that is read when the step is done: of the event, of a step that wrote it, or below a
    /// folder that is written out.
    File,
    /// A text that stands as it is written. The words say how data gets there instead.
    Fixed(&'static str),
    /// A URL whose scheme and host are written out.
    Url,
    /// A relative path whose first folder or file is written out.
    Path,
    /// A relative path without `{{ }}`.
    FixedPath,
    /// Any value; a text that is exactly one `{{ }}` keeps its type.
    Any,
    /// A bare expression.
    Expr,
    /// True or false.
    Bool,
    /// An integer from the first to the second.
    Int(i64, i64),
    /// A duration such as `30s`; rendered as milliseconds.
    Duration,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One of these words, or a list of them; rendered as a list.
    Choices(&'static [&'static str]),
    /// A person or role of the configuration, or a list of them; rendered as a list.
    People,
    /// A list.
    List(&'static OptionKind),
    /// A program and its arguments: the program, and what an interpreter takes as code, are fixed.
    Args,
    /// A table with names of the author's own.
    Map(Names, &'static OptionKind),
    /// A table with known keys.
    Table(&'static TableSpec),
}

/// Which names the author may choose in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Any.
    Any,
    /// Letters, digits and `_`, not beginning with a digit: environment variables, parameters.
    Variable,
    /// Names of HTTP headers.
    Header,
}

/// The keys of a table and how they go together.
#[derive(Debug)]
pub struct TableSpec {
    /// The keys.
    pub options: &'static [OptionSpec],
    /// Keys that exclude or need one another.
    pub groups: &'static [Group],
}

/// Keys that go together.
#[derive(Debug)]
pub struct Group {
    /// The keys.
    pub names: &'static [&'static str],
    /// How many of them may stand.
    pub take: Take,
}

/// How many keys of a group may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// One, and no more.
    One,
    /// One or none.
    AtMostOne,
    /// One or more.
    AtLeastOne,
}

/// What an action may be given as instead of a table.
#[derive(Debug)]
pub struct Short {
    /// Whether it is a list; else it is a text.
    pub list: bool,
    /// The option that it stands for.
    pub option: &'static str,
}

/// An action, for readers of task files and for people.
#[derive(Debug)]
pub struct ActionDoc {
    /// Which.
    pub kind: ActionKind,
    /// What it does.
    pub doc: &'static str,
    /// Its options.
    pub table: TableSpec,
    /// What may stand alone.
    pub short: &'static [Short],
    /// Whether it may stand inside a `do` block.
    pub in_do: bool,
    /// Whether it has an effect: `retry`, `timeout`, `until`, `on_unknown` and `undo` belong to it.
    pub effect: bool,
}

/// The actions, in the order of [`ActionKind::ALL`].
pub const ACTIONS: &[ActionDoc] = &[
    COMMAND, HTTP, SQL, PUT, EMAIL, SLACK, PREDICT, REQUIRE, APPROVE, CALL,
];

/// The table of an action.
#[must_use]
pub fn action(kind: ActionKind) -> &'static ActionDoc {
    match kind {
        ActionKind::Command => &COMMAND,
        ActionKind::Http => &HTTP,
        ActionKind::Sql => &SQL,
        ActionKind::Put => &PUT,
        ActionKind::Email => &EMAIL,
        ActionKind::Slack => &SLACK,
        ActionKind::Predict => &PREDICT,
        ActionKind::Require => &REQUIRE,
        ActionKind::Approve => &APPROVE,
        ActionKind::Call => &CALL,
    }
}

/// The action of this name.
#[must_use]
pub fn action_named(name: &str) -> Option<&'static ActionDoc> {
    ACTIONS.iter().find(|doc| doc.kind.name() == name)
}
