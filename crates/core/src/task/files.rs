//! Files that a task file names and that its text includes: templates of mails. They are read
//! together with the task, so that a run is pinned to them too.

use super::actions::{OptionKind, action_named};
use super::confine;
use super::diagnostic::{Diagnostic, Problem};
use super::names::{Scope, Secrets};
use super::options::unreadable;
use super::reader::{Reader, Span, Val};
use super::script;
use super::top::FileName;
use crate::template::{Markup, Node, Template};
use std::collections::BTreeSet;
use toml::de::{DeTable, DeValue};

/// The paths of all files that the text of this task file includes.
///
/// What is wrong with the task file is not said here; reading it says it.
#[must_use]
pub fn files_of(path: &str, text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // Most task files name none, and need no second reading.
    if text.contains("template") {
        let header;
        let toml = if FileName::of(path).ending == "toml" {
            text
        } else {
            header = script::header(text);
            &header.toml
        };
        walk(DeTable::parse_recoverable(toml).0.get_ref(), &mut found);
    }
    found
}

/// Looks through a task, a step or an undo: tables that may hold an action.
fn walk(table: &DeTable<'_>, found: &mut BTreeSet<String>) {
    for (name, value) in table {
        let name = name.get_ref().as_ref();
        match value.get_ref() {
            DeValue::Array(steps) if matches!(name, "step" | "do") => {
                let tables = steps.iter().filter_map(|step| step.get_ref().as_table());
                tables.for_each(|step| walk(step, found));
            }
            DeValue::Table(inner) if name == "undo" => walk(inner, found),
            DeValue::Table(options) => named(name, options, found),
            _ => {}
        }
    }
}

fn named(action: &str, options: &DeTable<'_>, found: &mut BTreeSet<String>) {
    let specs = action_named(action).map_or(&[][..], |doc| doc.table.options);
    let files = specs
        .iter()
        .filter(|spec| matches!(spec.kind, OptionKind::TextFile { .. }));
    for spec in files {
        let value = options.iter().find(|(key, _)| key.get_ref() == spec.name);
        let path = value.and_then(|(_, value)| value.get_ref().as_str());
        found.extend(
            path.filter(|path| confine::fixed_path(path, spec.name).is_ok())
                .map(str::to_owned),
        );
    }
}

impl Reader<'_> {
    /// A text that stands in a file of its own.
    pub(super) fn text_file(
        &mut self,
        value: &Val<'_>,
        name: &str,
        scope: &Scope,
        html: bool,
    ) -> Option<Node> {
        let path = self.word(value, name)?;
        self.keep(value.span(), confine::fixed_path(path, name))?;
        let Some(text) = self.files.get(path) else {
            let problem = Problem::new(format!("there is no file {path}"))
                .label(format!("`{name}` names it"))
                .help("paths start at the project's root");
            self.report(value.span(), problem);
            return None;
        };
        if !confine::has_template(text) {
            return Some(Node::Fixed(text.as_str().into()));
        }
        let parsed = match html {
            true => Template::parse_markup(text, Markup::Html),
            false => Template::parse(text),
        };
        match parsed {
            Ok(template) => self
                .file_names(path, text, &template, scope)
                .then_some(Node::Text(template)),
            Err(error) => {
                let place = error.range.clone().unwrap_or(0..0);
                self.report_in(path, text, place, unreadable(&error));
                None
            }
        }
    }

    /// Whether every name in a file can be read; what cannot is reported where it stands there.
    fn file_names(&mut self, path: &str, text: &str, template: &Template, scope: &Scope) -> bool {
        let mut good = true;
        for name in template.names() {
            if let Err(problem) = scope.check(name, Secrets::Refused) {
                let at = text
                    .find(name.as_str())
                    .map_or(0..0, |at| at..at + name.len());
                self.report_in(path, text, at, problem);
                good = false;
            }
        }
        good
    }

    fn report_in(&mut self, path: &str, text: &str, place: Span, problem: Problem) {
        let found = Diagnostic::new(path, text, place, problem);
        if !self.errors.contains(&found) {
            self.errors.push(found);
        }
    }
}
