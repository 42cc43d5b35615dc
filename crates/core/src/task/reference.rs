//! The reference of task files as Markdown, made from the same tables that the reader walks by.

use super::actions::{ACTIONS, ActionDoc, OptionKind, OptionSpec, TableSpec, Take};
use super::cancel::CANCEL_ON;
use super::fields::{
    EACH, Field, LOOP, OBJECT, RELEASE, ROOTS, ROUNDS, RUN, SCHEDULE, WEBHOOK, outputs,
};
use super::pace::{PACE, WHILE};
use super::policy::{POLICY, RETRY};
use super::probes::PROBE;
use super::rows::ROWS;
use super::steps::READ;
use super::top::{KeyDoc, LIMITS, TOP, TRIGGERS};
use super::webhook::{STYLES, VERIFY};
use crate::template::Markup;
use std::fmt::Write;

const HEAD: &str = "\
# Reference of task files

This page is made from the tables that task files are read by; a test keeps the two alike. The words
around it stand in [task-files.md](task-files.md).
";

/// Every key, option, field and output of task files, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## The file\n");
    keys(&mut page, TOP);
    page.push_str("\n### `[limits]`\n");
    keys(&mut page, LIMITS);
    page.push_str("\n### `[cancel_on]`\n");
    keys(&mut page, CANCEL_ON);
    triggers(&mut page);
    page.push_str("\n## Beside a step's action\n\nBesides `id`, its name within the task.\n");
    keys(&mut page, POLICY);
    page.push_str("\n### `retry`\n");
    keys(&mut page, RETRY);
    page.push_str("\n### `probe`\n\nOne action that only looks, and:\n");
    keys(&mut page, PROBE);
    page.push_str("\n### `for_each`\n\nAn expression that gives a list, or a table:\n");
    keys(&mut page, READ);
    page.push_str("\nor the rows of a select, in the order of a key:\n");
    page.push_str("\n| Key | Takes | Meaning |\n| --- | --- | --- |\n");
    options(&mut page, "", &ROWS);
    page.push_str("\nHow fast it goes is said beside it:\n");
    keys(&mut page, PACE);
    page.push_str("\n`while` has one action, `http` or `sql`, and\n");
    keys(&mut page, WHILE);
    page.push_str("\n## Actions\n");
    for doc in ACTIONS {
        action(&mut page, doc);
    }
    names(&mut page);
    page
}

fn triggers(page: &mut String) {
    page.push_str("\n## Triggers\n");
    for (trigger, doc, own) in TRIGGERS {
        let _ = write!(page, "\n### `[on.{trigger}]`\n\n{doc}\n");
        keys(page, own);
        page.push_str("\nWhat stands below `event`:");
        match *trigger {
            "release" => fields(page, RELEASE),
            "object" => fields(page, OBJECT),
            "schedule" => fields(page, SCHEDULE),
            "webhook" => hook(page),
            _ => page.push_str(" the JSON object that the call brings, as it is.\n"),
        }
    }
}

fn hook(page: &mut String) {
    fields(page, WEBHOOK);
    page.push_str("\n#### `verify`\n");
    keys(page, VERIFY);
    page.push_str("\n| Style | `key` unless given |\n| --- | --- |\n");
    for (style, key) in STYLES {
        let key = key.map_or_else(|| "none: it is needed".into(), |key| format!("`{key}`"));
        let _ = writeln!(page, "| `{style}` | {key} |");
    }
}

fn action(page: &mut String, doc: &ActionDoc) {
    let name = doc.kind.name();
    let _ = write!(page, "\n### `{name}`\n\n{}", doc.doc);
    for short in doc.short {
        let what = if short.list { "list" } else { "text" };
        let _ = write!(page, " A {what} alone stands for `{}`.", short.option);
    }
    if !doc.in_do {
        page.push_str(" It cannot stand inside `do`.");
    }
    page.push_str("\n\n| Option | Takes | Meaning |\n| --- | --- | --- |\n");
    options(page, "", &doc.table);
    let mut rules = String::new();
    for group in doc.table.groups {
        let listed: Vec<_> = group.names.iter().map(|name| format!("`{name}`")).collect();
        let least = match group.take {
            Take::One => "Exactly",
            Take::AtMostOne => "At most",
            Take::AtLeastOne => "At least",
        };
        let _ = write!(rules, "\n{least} one of {}.\n", listed.join(", "));
    }
    let _ = write!(page, "{rules}\nOutputs:");
    fields(page, outputs(doc.kind));
}

fn options(page: &mut String, before: &str, table: &TableSpec) {
    for option in table.options {
        let OptionSpec { name, kind, .. } = option;
        let needed = if option.required { " (required)" } else { "" };
        let (takes, doc) = (takes(kind), cell(option.doc));
        let _ = writeln!(page, "| `{before}{name}`{needed} | {takes} | {doc} |");
        if let OptionKind::Table(inner) = kind {
            options(page, &format!("{before}{name}."), inner);
        }
    }
}

/// What an option takes, in words.
fn takes(kind: &OptionKind) -> String {
    match kind {
        OptionKind::Text => "text, `{{ }}`".into(),
        OptionKind::Secret => "text, `{{ }}`, `{{ secret.NAME }}`".into(),
        OptionKind::OneSecret => "`{{ secret.NAME }}`".into(),
        OptionKind::Markup(Markup::Html) => "HTML, `{{ }}` escaped".into(),
        OptionKind::Markup(Markup::Slack) => "text, `{{ }}` escaped".into(),
        OptionKind::Texts => "text or list of texts, `{{ }}`".into(),
        OptionKind::TextFile { html: false } => "path of a file, `{{ }}` in the file".into(),
        OptionKind::TextFile { html: true } => {
            "path of a file of HTML, `{{ }}` in the file, escaped".into()
        }
        OptionKind::File => {
            "`{{ event.url }}`, `{{ steps.ID.path }}` or path, `{{ }}` after its first part".into()
        }
        OptionKind::Fixed(_) => "text as it is written".into(),
        OptionKind::Url => "URL, `{{ }}` after the host".into(),
        OptionKind::Path => "path, `{{ }}` after its first part".into(),
        OptionKind::FixedPath => "path as it is written".into(),
        OptionKind::Any => "any value, `{{ }}` in its texts".into(),
        OptionKind::Expr => "expression".into(),
        OptionKind::Bool => "`true` or `false`".into(),
        OptionKind::Int(least, most) => format!("{least} to {most}"),
        OptionKind::Duration => "duration, such as `30s`".into(),
        OptionKind::Choice(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
        OptionKind::Choices(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            format!("{}, or a list of them", words.join(", "))
        }
        OptionKind::People => "person or role of `[people]`, or a list of them".into(),
        OptionKind::List(of) => format!("list of {}", takes(of)),
        OptionKind::Args => "list of texts, `{{ }}` in arguments".into(),
        OptionKind::Map(_, of) => format!("table: name = {}", takes(of)),
        OptionKind::Table(_) => "table".into(),
    }
}

fn names(page: &mut String) {
    page.push_str("\n## Names in expressions\n");
    fields(page, ROOTS);
    page.push_str("\n### `run`\n");
    fields(page, RUN);
    page.push_str("\n### `loop`, in a `do` block\n");
    fields(page, LOOP);
    page.push_str("\n### `steps.ID` of a `for_each` step\n");
    fields(page, EACH);
    page.push_str("\n### `steps.ID` of a step with `every`\n");
    fields(page, ROUNDS);
}

fn keys(page: &mut String, keys: &[KeyDoc]) {
    page.push_str("\n| Key | Meaning |\n| --- | --- |\n");
    for (key, doc) in keys {
        let _ = writeln!(page, "| `{key}` | {} |", cell(doc));
    }
}

fn fields(page: &mut String, fields: &[Field]) {
    page.push_str("\n\n| Name | Meaning |\n| --- | --- |\n");
    for field in fields {
        let more = if field.open { " and below" } else { "" };
        let _ = writeln!(page, "| `{}`{more} | {} |", field.name, cell(field.doc));
    }
}

/// A text inside a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
