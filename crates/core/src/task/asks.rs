//! Questions to people: whom a task file names, and what it says about asking them.

use super::diagnostic::{Diagnostic, Problem, suggest};
use super::model::ActionKind;
use super::reader::{Reader, Span, Table, Val};
use crate::limits;
use crate::people::{Roster, plain};
use crate::question::Via;
use crate::template::Node;
use toml::de::DeValue;

/// Somebody whom a task file names in `by`, and where. Whether the project knows them is for
/// [`Answerer::check`]: task files do not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answerer {
    /// The task file, relative to the project's root.
    pub path: String,
    /// A person or a role.
    pub name: String,
    /// Its place in the file, in bytes.
    pub span: Span,
    /// How they are to be told.
    pub tell: Vec<Via>,
}

impl Answerer {
    /// What is wrong with it, among these people; `source` is the text of the file.
    #[must_use]
    pub fn check(&self, roster: &Roster, source: &str) -> Option<Diagnostic> {
        let name = &self.name;
        let problem = if !roster.names(name) {
            let help = if roster.is_empty() {
                "say in oncely.toml who there is: [people] with anna = { roles = [\"lead\"] }"
                    .into()
            } else {
                suggest(name, roster.words(), "people and roles")
            };
            Problem::new(format!(
                "`by` names nobody: there is no `{name}` in [people]"
            ))
            .label("nobody could answer")
            .help(help)
        } else {
            let by = [name.clone()];
            let (via, who) = self.tell.iter().find_map(|via| {
                let mut silent = roster.named(&by).filter(|(_, p)| p.address(*via).is_none());
                Some((via, silent.next()?.0))
            })?;
            let way = via.name();
            Problem::new(format!(
                "`tell` does not reach {who}, who has no `{way}` in [people]"
            ))
            .label(format!("{who} is meant here"))
            .help(format!("say the `{way}` of {who} in oncely.toml"))
        };
        Some(Diagnostic::new(
            &self.path,
            source,
            self.span.clone(),
            problem,
        ))
    }
}

impl Reader<'_> {
    /// One word or a list of them, each once; always a list when rendered.
    fn one_or_more<'t, 'w>(
        &mut self,
        value: &'t Val<'_>,
        name: &str,
        one: impl Fn(&mut Self, &'t Val<'_>) -> Option<&'w str>,
    ) -> Option<Node> {
        let items = items(value);
        if items.is_empty() {
            self.report(value.span(), Problem::new(format!("`{name}` names none")));
            return None;
        }
        let before = self.errors.len();
        let mut found: Vec<&str> = Vec::new();
        for item in items {
            let Some(word) = one(self, item) else {
                continue;
            };
            if found.contains(&word) {
                let problem = Problem::new(format!("`{name}` names `{word}` twice"));
                self.report(item.span(), problem);
            }
            found.push(word);
        }
        (self.errors.len() == before).then(|| Node::Fixed(found.into()))
    }

    pub(super) fn choices(
        &mut self,
        value: &Val<'_>,
        name: &str,
        words: &[&'static str],
    ) -> Option<Node> {
        self.one_or_more(value, name, |reader, item| reader.choice(item, name, words))
    }

    pub(super) fn people(&mut self, value: &Val<'_>, name: &str) -> Option<Node> {
        self.one_or_more(value, name, |reader, item| {
            let word = reader.word(item, name)?;
            let good = plain(word, "a person or a role").map_err(Problem::new);
            reader.keep(item.span(), good)
        })
    }

    /// What only the options of a question together can get wrong; remembers whom it is for.
    pub(super) fn asks(&mut self, kind: ActionKind, value: &Val<'_>) {
        let DeValue::Table(entries) = value.get_ref() else {
            return;
        };
        if kind != ActionKind::Approve {
            return;
        }
        let span = value.span();
        let table = Table { entries, span };
        for (key, needs) in [("tell", "by"), ("remind", "tell"), ("reminders", "remind")] {
            if table.has(key) && !table.has(needs) {
                let problem = Problem::new(format!("`{key}` needs `{needs}`"))
                    .label(format!("there is no `{needs}`"));
                self.report(table.key_span(key), problem);
            }
        }
        self.ticks(&table);
        if let Some(value) = table.get("remind")
            && self
                .duration(value, "remind")
                .is_some_and(|ms| ms < limits::REMIND_EVERY_MS)
        {
            self.report(value.span(), Problem::new("`remind` is at least a minute"));
        }
        self.answerers(&table);
    }

    fn ticks(&mut self, table: &Table<'_, '_>) {
        let Some(value) = table.get("tick") else {
            return;
        };
        let things = value.get_ref().as_array().map_or(&[][..], |things| things);
        if things.is_empty() || things.len() > limits::TICKS {
            let problem = Problem::new(format!("`tick` has 1 to {} things", limits::TICKS));
            self.report(value.span(), problem);
        }
        for (at, thing) in things.iter().enumerate() {
            let text = thing.get_ref().as_str();
            let earlier = things.iter().take(at).any(|t| t.get_ref().as_str() == text);
            if text.is_some() && earlier {
                self.report(thing.span(), Problem::new("this is to be ticked twice"));
            }
        }
    }

    fn answerers(&mut self, table: &Table<'_, '_>) {
        let tell = table.get("tell").map_or_else(Vec::new, words);
        let tell: Vec<Via> = tell
            .iter()
            .filter_map(|(word, _)| Via::parse(word))
            .collect();
        let by = table.get("by").map_or_else(Vec::new, words);
        for (name, span) in by {
            self.answerers.push(Answerer {
                path: self.path.to_owned(),
                name: name.to_owned(),
                span,
                tell: tell.clone(),
            });
        }
    }
}

/// What a list holds; what is no list holds itself.
fn items<'t, 'i>(value: &'t Val<'i>) -> &'t [Val<'i>] {
    match value.get_ref() {
        DeValue::Array(items) => items,
        _ => std::slice::from_ref(value),
    }
}

/// The texts of a text or a list of them, with their places.
fn words<'t>(value: &'t Val<'_>) -> Vec<(&'t str, Span)> {
    let words = items(value)
        .iter()
        .filter_map(|item| Some((item.get_ref().as_str()?, item.span())));
    words.collect()
}
