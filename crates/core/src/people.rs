//! Whom the operator knows: people and their roles, as `[people]` of the configuration has them.

use crate::limits;
use crate::question::Via;
use std::collections::{BTreeMap, BTreeSet};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person {
    /// The name of their account at shells, where it is not their own.
    pub user: Option<String>,
    /// Where mails reach them.
    pub email: Option<String>,
    /// Who they are in Slack, such as `U012AB3CD`.
    pub slack: Option<String>,
    /// What they are: `lead`, `sales`.
    pub roles: Vec<String>,
}

impl Person {
    /// Where messages of this kind reach them.
    #[must_use]
    pub fn address(&self, via: Via) -> Option<&str> {
        match via {
            Via::Email => self.email.as_deref(),
            Via::Slack => self.slack.as_deref(),
        }
    }
}

/// The people that the operator knows, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roster {
    people: BTreeMap<String, Person>,
}

/// Nobody is known.
pub static NOBODY: Roster = Roster {
    people: BTreeMap::new(),
};

impl Roster {
    /// These people.
    ///
    /// # Errors
    /// When a name is none, when a name is also a role, or when one person stands there twice: who
    /// has two names could answer what they asked.
    pub fn new(people: BTreeMap<String, Person>) -> Result<Self, String> {
        if people.len() > limits::PEOPLE {
            return Err(format!("there are at most {} people", limits::PEOPLE));
        }
        for (name, person) in &people {
            plain(name, "a person")?;
            for role in &person.roles {
                plain(role, "a role")?;
                if people.contains_key(role) {
                    return Err(format!(
                        "`{role}` is a person and a role: rename one of them"
                    ));
                }
            }
            for (key, address) in [("email", &person.email), ("slack", &person.slack)] {
                if address.as_ref().is_some_and(|a| !is_address(key, a)) {
                    return Err(format!("`{name}`: this is no address for `{key}`"));
                }
            }
        }
        let roster = Self { people };
        roster.nobody_twice()?;
        Ok(roster)
    }

    fn nobody_twice(&self) -> Result<(), String> {
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for (name, person) in &self.people {
            let own = [Some(name), person.user.as_ref()];
            let names: BTreeSet<String> = own.into_iter().flatten().map(|n| folded(n)).collect();
            let addresses = [&person.email, &person.slack];
            let addresses = addresses.into_iter().flatten().map(|a| folded(a));
            for mark in names.into_iter().chain(addresses) {
                if let Some(other) = seen.insert(mark.clone(), name) {
                    return Err(format!(
                        "`{other}` and `{name}` are one person twice: both are {mark:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether nobody is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Everybody, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Person)> {
        self.people
            .iter()
            .map(|(name, person)| (name.as_str(), person))
    }

    /// The person of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Person> {
        self.people.get(name)
    }

    /// The name of the person with this account; a name that nobody has is itself.
    #[must_use]
    pub fn name_of<'r>(&'r self, user: &'r str) -> &'r str {
        if self.people.contains_key(user) {
            return user;
        }
        let same = |person: &Person| person.user.as_deref() == Some(user);
        let found = self.iter().find(|(_, person)| same(person));
        found.map_or(user, |(name, _)| name)
    }

    /// Whether a word of `by` names anybody: a person, or a role that somebody has.
    #[must_use]
    pub fn names(&self, word: &str) -> bool {
        self.people.contains_key(word) || self.people.values().any(|p| has(p, word))
    }

    /// Every person and role, for suggestions.
    #[must_use]
    pub fn words(&self) -> BTreeSet<&str> {
        let roles = self.people.values().flat_map(|p| &p.roles);
        let names = self.people.keys();
        names.chain(roles).map(String::as_str).collect()
    }

    /// Those whom the words of `by` name, each once.
    pub fn named<'r>(&'r self, by: &[String]) -> impl Iterator<Item = (&'r str, &'r Person)> {
        self.iter()
            .filter(|(name, person)| by.iter().any(|word| word == name || has(person, word)))
    }

    /// The first word of `by` that names this person; none when they are not meant, or not known.
    #[must_use]
    pub fn entitled<'b>(&self, name: &str, by: &'b [String]) -> Option<&'b str> {
        let person = self.people.get(name)?;
        by.iter()
            .map(String::as_str)
            .find(|word| *word == name || has(person, word))
    }
}

fn has(person: &Person, role: &str) -> bool {
    person.roles.iter().any(|r| r == role)
}

/// Names that differ in nothing that people tell apart.
pub(crate) fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// A name of a person or a role: it stands in commands, links and the ids of messages.
///
/// # Errors
/// When it cannot be one.
pub fn plain<'n>(name: &'n str, of: &str) -> Result<&'n str, String> {
    let good = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
    let begins = name.chars().next().is_some_and(char::is_alphanumeric);
    if begins && name.chars().all(good) && name.len() <= limits::NAME_BYTES {
        return Ok(name);
    }
    Err(format!(
        "{name:?} cannot be the name of {of}: letters, digits, `_`, `-`, `.` and `@`, at most {} \
         bytes",
        limits::NAME_BYTES
    ))
}

fn is_address(key: &str, address: &str) -> bool {
    let clean = !address.is_empty() && !address.chars().any(|c| c.is_control() || c == ' ');
    let bounded = address.len() <= limits::NAME_BYTES;
    clean && bounded && (key != "email" || address.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(email: &str, roles: &[&str]) -> Person {
        Person {
            email: (!email.is_empty()).then(|| email.to_owned()),
            roles: roles.iter().map(|r| (*r).to_owned()).collect(),
            ..Person::default()
        }
    }

    fn roster(people: &[(&str, Person)]) -> Result<Roster, String> {
        let people = people.iter().map(|(n, p)| ((*n).to_owned(), p.clone()));
        Roster::new(people.collect())
    }

    fn by(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn a_word_names_a_person_or_all_who_have_a_role() {
        let roster = roster(&[
            ("anna", person("anna@example.com", &["lead"])),
            ("bob", person("", &["lead", "sales"])),
            ("eve", person("", &[])),
        ])
        .unwrap();
        let named: Vec<_> = roster
            .named(&by(&["lead", "anna"]))
            .map(|(n, _)| n)
            .collect();
        assert_eq!(named, ["anna", "bob"]);
        assert_eq!(
            roster.entitled("bob", &by(&["anna", "sales"])),
            Some("sales")
        );
        assert_eq!(roster.entitled("eve", &by(&["lead"])), None);
        assert_eq!(
            roster.entitled("mallory", &by(&["mallory"])),
            None,
            "nobody knows them"
        );
        assert!(roster.names("sales") && roster.names("eve") && !roster.names("boss"));
    }

    #[test]
    fn an_account_is_its_person() {
        let anna = Person {
            user: Some("asmith".into()),
            ..person("", &[])
        };
        let roster = roster(&[("anna", anna)]).unwrap();
        assert_eq!(roster.name_of("asmith"), "anna");
        assert_eq!(roster.name_of("anna"), "anna");
        assert_eq!(roster.name_of("root"), "root");
    }

    #[test]
    fn nobody_is_there_twice() {
        let wrong = |people: &[(&str, Person)]| roster(people).unwrap_err();
        insta::assert_snapshot!(
            wrong(&[("anna", person("a@example.com", &[])), ("ann", person("A@example.com", &[]))]),
            @r#"`ann` and `anna` are one person twice: both are "a@example.com""#
        );
        insta::assert_snapshot!(
            wrong(&[("Anna", person("", &[])), ("anna", person("", &[]))]),
            @r#"`Anna` and `anna` are one person twice: both are "anna""#
        );
        insta::assert_snapshot!(
            wrong(&[("lead", person("", &[])), ("anna", person("", &["lead"]))]),
            @"`lead` is a person and a role: rename one of them"
        );
        insta::assert_snapshot!(
            wrong(&[("an/na", person("", &[]))]),
            @r#""an/na" cannot be the name of a person: letters, digits, `_`, `-`, `.` and `@`, at most 200 bytes"#
        );
        insta::assert_snapshot!(
            wrong(&[("anna", person("nowhere", &[]))]),
            @"`anna`: this is no address for `email`"
        );
    }
}
