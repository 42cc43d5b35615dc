//! Compiles the options of an action into a tree of templates, as the table of actions says.

use super::actions::{ActionDoc, Group, Names, OptionKind, OptionSpec, TableSpec, Take};
use super::confine;
use super::diagnostic::Problem;
use super::names::{Scope, Secrets};
use super::reader::{Reader, Table, Val};
use crate::template::{Expr, Markup, Node, Part, SyntaxError, Template};
use crate::{Value, limits};
use toml::de::DeValue;

impl Reader<'_> {
    /// The options of an action, in long form.
    pub(super) fn options(
        &mut self,
        doc: &ActionDoc,
        value: &Val<'_>,
        scope: &Scope,
    ) -> Option<Node> {
        let name = doc.kind.name();
        if let DeValue::Table(_) = value.get_ref() {
            let table = self.table(value, name)?;
            return self.spec_table(&table, &doc.table, &format!("`{name}`"), scope);
        }
        let is_list = matches!(value.get_ref(), DeValue::Array(_));
        let is_text = matches!(value.get_ref(), DeValue::String(_));
        let short = doc
            .short
            .iter()
            .find(|short| (short.list && is_list) || (!short.list && is_text));
        let Some(short) = short else {
            self.wrong(value, name, &expected(doc));
            return None;
        };
        let spec = doc.table.options.iter().find(|o| o.name == short.option)?;
        let node = self.node(&spec.kind, value, name, scope)?;
        Some(Node::Table(vec![(spec.name.to_owned(), node)]))
    }

    fn spec_table(
        &mut self,
        table: &Table<'_, '_>,
        spec: &TableSpec,
        of: &str,
        scope: &Scope,
    ) -> Option<Node> {
        let before = self.errors.len();
        let keys: Vec<_> = spec.options.iter().map(|option| option.name).collect();
        self.known(table, &keys, of);
        for group in spec.groups {
            self.group(table, group, of);
        }
        for option in spec.options.iter().filter(|o| o.required) {
            if !table.has(option.name) {
                self.missing(table.span.clone(), option.name, of, option.doc);
            }
        }
        let mut entries = Vec::new();
        for (name, _, value) in table.each() {
            if let Some(option) = find(spec, name)
                && let Some(node) = self.node(&option.kind, value, name, scope)
            {
                entries.push((name.to_owned(), node));
            }
        }
        (self.errors.len() == before).then_some(Node::Table(entries))
    }

    fn group(&mut self, table: &Table<'_, '_>, group: &Group, of: &str) {
        let mut given = group.names.iter().filter(|name| table.has(name));
        let names: Vec<_> = group.names.iter().map(|n| format!("`{n}`")).collect();
        let names = names.join(", ");
        match (given.next(), given.next()) {
            (None, _) if group.take != Take::AtMostOne => {
                let problem = Problem::new(format!("{of} needs one of {names}"));
                self.report(table.span.clone(), problem);
            }
            (Some(first), Some(second)) if group.take != Take::AtLeastOne => {
                let problem = Problem::new(format!("{of} takes only one of {names}"))
                    .label(format!("`{first}` stands there already"));
                self.report(table.key_span(second), problem);
            }
            _ => {}
        }
    }

    pub(super) fn node(
        &mut self,
        kind: &OptionKind,
        value: &Val<'_>,
        name: &str,
        scope: &Scope,
    ) -> Option<Node> {
        match kind {
            OptionKind::Text => self.template(value, name, scope, Secrets::Refused),
            OptionKind::Secret => self.template(value, name, scope, Secrets::Allowed),
            OptionKind::OneSecret => self.one_secret(value, name, scope),
            OptionKind::Markup(markup) => self.markup(*markup, value, name, scope),
            OptionKind::Texts => self.texts(value, name, scope),
            OptionKind::TextFile { html } => self.text_file(value, name, scope, *html),
            OptionKind::File => self.file(value, name, scope),
            OptionKind::Fixed(way_out) => {
                self.confined(value, name, |text| confine::fixed(text, name, way_out))
            }
            OptionKind::FixedPath => {
                self.confined(value, name, |text| confine::fixed_path(text, name))
            }
            OptionKind::Url => self.address(value, name, scope, confine::url),
            OptionKind::Path => self.address(value, name, scope, confine::path),
            OptionKind::Any => self.any(value, scope, 0),
            OptionKind::Expr => self.expr(value, name, scope).map(Node::Bare),
            OptionKind::Bool => self.boolean(value, name).map(|b| Node::Fixed(b.into())),
            OptionKind::Int(min, max) => self
                .int(value, name, *min, *max)
                .map(|n| Node::Fixed(n.into())),
            OptionKind::Duration => self.some_time(value, name).map(|ms| Node::Fixed(ms.into())),
            OptionKind::Choice(words) => self
                .choice(value, name, words)
                .map(|word| Node::Fixed(word.into())),
            OptionKind::Choices(words) => self.choices(value, name, words),
            OptionKind::People => self.people(value, name),
            OptionKind::List(of) => self.nodes(of, value, name, scope),
            OptionKind::Args => self.args(value, name, scope),
            OptionKind::Map(names, of) => self.map(*names, of, value, name, scope),
            OptionKind::Table(spec) => {
                let table = self.table(value, name)?;
                self.spec_table(&table, spec, &format!("`{name}`"), scope)
            }
        }
    }

    fn confined(
        &mut self,
        value: &Val<'_>,
        name: &str,
        check: impl Fn(&str) -> Result<(), Problem>,
    ) -> Option<Node> {
        let text = self.word(value, name)?;
        self.keep(value.span(), check(text))?;
        Some(Node::Fixed(text.into()))
    }

    fn address(
        &mut self,
        value: &Val<'_>,
        name: &str,
        scope: &Scope,
        check: impl Fn(&str) -> Result<(), Problem>,
    ) -> Option<Node> {
        let text = self.word(value, name)?;
        self.keep(value.span(), check(text))?;
        self.template(value, name, scope, Secrets::Refused)
    }

    fn nodes(
        &mut self,
        of: &OptionKind,
        value: &Val<'_>,
        name: &str,
        scope: &Scope,
    ) -> Option<Node> {
        let items = self.list(value, name, "values")?;
        let nodes = items.iter().map(|item| self.node(of, item, name, scope));
        let nodes: Vec<_> = nodes.collect::<Vec<_>>();
        nodes.into_iter().collect::<Option<Vec<_>>>().map(folded)
    }

    fn args(&mut self, value: &Val<'_>, name: &str, scope: &Scope) -> Option<Node> {
        let items = self.list(value, name, "texts")?;
        if items.is_empty() {
            self.report(
                value.span(),
                Problem::new(format!("`{name}` names no program")),
            );
            return None;
        }
        let texts: Vec<&str> = items
            .iter()
            .map(|item| item.get_ref().as_str().unwrap_or_default())
            .collect();
        for (at, text) in confine::code_arguments(&texts) {
            if let (true, Some(item)) = (confine::has_template(text), items.get(at)) {
                let problem = Problem::new("data never becomes code: this argument is written out")
                    .label(if at == 0 {
                        "this is the program"
                    } else {
                        "this is run as code"
                    })
                    .help("hand data over as a later argument, with `env`, or on standard input");
                self.report(item.span(), problem);
            }
        }
        self.nodes(&OptionKind::Text, value, name, scope)
    }

    fn map(
        &mut self,
        names: Names,
        of: &OptionKind,
        value: &Val<'_>,
        name: &str,
        scope: &Scope,
    ) -> Option<Node> {
        let table = self.table(value, name)?;
        let mut entries = Vec::new();
        let before = self.errors.len();
        for (key, span, value) in table.each() {
            self.keep(span, confine::name(key, names));
            if let Some(node) = self.node(of, value, key, scope) {
                entries.push((key.to_owned(), node));
            }
        }
        (self.errors.len() == before).then_some(Node::Table(entries))
    }

    /// A text that gives text.
    pub(super) fn template(
        &mut self,
        value: &Val<'_>,
        name: &str,
        scope: &Scope,
        secrets: Secrets,
    ) -> Option<Node> {
        let text = self.text(value, name)?;
        if !confine::has_template(text) {
            return Some(Node::Fixed(text.into()));
        }
        self.compile(value, text, scope, secrets).map(Node::Text)
    }

    fn compile(
        &mut self,
        value: &Val<'_>,
        text: &str,
        scope: &Scope,
        secrets: Secrets,
    ) -> Option<Template> {
        self.checked(value, Template::parse(text), scope, secrets)
    }

    fn checked(
        &mut self,
        value: &Val<'_>,
        parsed: Result<Template, SyntaxError>,
        scope: &Scope,
        secrets: Secrets,
    ) -> Option<Template> {
        let template = match parsed {
            Ok(template) => template,
            Err(error) => {
                self.syntax(value, &error);
                return None;
            }
        };
        let names: Vec<_> = template.names().iter().map(String::as_str).collect();
        self.names(value, &names, scope, secrets)
            .then_some(template)
    }

    /// A secret and nothing around it: a whole token or address that nobody else may read.
    fn one_secret(&mut self, value: &Val<'_>, name: &str, scope: &Scope) -> Option<Node> {
        let node = self.template(value, name, scope, Secrets::Allowed)?;
        let alone = match &node {
            Node::Text(template) => matches!(template.parts(), Some([Part::Secret(_)])),
            _ => false,
        };
        if !alone {
            let problem = Problem::new(format!("`{name}` takes a secret and nothing else"))
                .label("it would be kept in the file or be made of data")
                .help(format!("write {name} = \"{{{{ secret.NAME }}}}\""));
            self.report(value.span(), problem);
            return None;
        }
        Some(node)
    }

    /// The name of a secret that stands for itself.
    pub(super) fn secret_name(
        &mut self,
        value: &Val<'_>,
        name: &str,
        scope: &Scope,
    ) -> Option<String> {
        let Node::Text(template) = self.one_secret(value, name, scope)? else {
            return None;
        };
        match template.parts()? {
            [Part::Secret(secret)] => Some(secret.clone()),
            _ => None,
        }
    }

    /// A text in a markup: what its expressions give is escaped.
    fn markup(
        &mut self,
        markup: Markup,
        value: &Val<'_>,
        name: &str,
        scope: &Scope,
    ) -> Option<Node> {
        let text = self.text(value, name)?;
        if !confine::has_template(text) {
            return Some(Node::Fixed(text.into()));
        }
        let parsed = Template::parse_markup(text, markup);
        self.checked(value, parsed, scope, Secrets::Refused)
            .map(Node::Text)
    }

    /// A text or a list of texts. A text that is exactly one expression may give a list.
    fn texts(&mut self, value: &Val<'_>, name: &str, scope: &Scope) -> Option<Node> {
        match value.get_ref() {
            DeValue::String(_) => self.any(value, scope, 0),
            DeValue::Array(_) => self.nodes(&OptionKind::Text, value, name, scope),
            _ => {
                self.wrong(value, name, "a text or a list of texts");
                None
            }
        }
    }

    /// A bare expression.
    pub(super) fn expr(&mut self, value: &Val<'_>, name: &str, scope: &Scope) -> Option<Expr> {
        let text = self.word(value, name)?;
        if text.trim_start().starts_with("{{") {
            let inner = text.trim().trim_start_matches("{{").trim_end_matches("}}");
            let problem = Problem::new(format!("`{name}` takes a bare expression"))
                .label("no `{{ }}` here")
                .help(format!("write {name} = {:?}", inner.trim()));
            self.report(value.span(), problem);
            return None;
        }
        let expr = match Expr::parse(text) {
            Ok(expr) => expr,
            Err(error) => {
                self.syntax(value, &error);
                return None;
            }
        };
        let names: Vec<_> = expr.names().iter().map(String::as_str).collect();
        self.names(value, &names, scope, Secrets::Refused)
            .then_some(expr)
    }

    fn syntax(&mut self, value: &Val<'_>, error: &SyntaxError) {
        let span = self.place_of(value, error.range.clone());
        self.report(span, unreadable(error));
    }

    /// Whether every name can be read; what cannot is reported where it stands.
    fn names(&mut self, value: &Val<'_>, names: &[&str], scope: &Scope, secrets: Secrets) -> bool {
        let text = value.get_ref().as_str().unwrap_or_default();
        let mut good = true;
        for name in names {
            if let Err(problem) = scope.check(name, secrets) {
                let piece = text.find(name).map(|at| at..at + name.len());
                self.report(self.place_of(value, piece), problem);
                good = false;
            }
        }
        good
    }

    /// Any value: texts in it are templates.
    pub(super) fn any(&mut self, value: &Val<'_>, scope: &Scope, depth: usize) -> Option<Node> {
        if depth > limits::NODE_DEPTH {
            let deepest = limits::NODE_DEPTH;
            let problem = Problem::new(format!("values nest at most {deepest} deep"));
            self.report(value.span(), problem);
            return None;
        }
        match value.get_ref() {
            DeValue::String(text) if confine::has_template(text) => self
                .compile(value, text, scope, Secrets::Refused)
                .map(Node::Any),
            DeValue::String(text) => Some(Node::Fixed(text.as_ref().into())),
            DeValue::Boolean(truth) => Some(Node::Fixed((*truth).into())),
            DeValue::Datetime(moment) => Some(Node::Fixed(moment.to_string().into())),
            DeValue::Integer(_) => self
                .int(value, "a value in JSON", i64::MIN, i64::MAX)
                .map(|number| Node::Fixed(number.into())),
            DeValue::Float(digits) => self.float(value, digits.as_str()),
            DeValue::Array(items) => {
                let nodes: Vec<_> = items
                    .iter()
                    .map(|item| self.any(item, scope, depth + 1))
                    .collect();
                nodes.into_iter().collect::<Option<Vec<_>>>().map(folded)
            }
            DeValue::Table(_) => self.any_table(value, scope, depth),
        }
    }

    fn any_table(&mut self, value: &Val<'_>, scope: &Scope, depth: usize) -> Option<Node> {
        let table = self.table(value, "value")?;
        let mut entries = Vec::new();
        let mut whole = true;
        for (key, _, value) in table.each() {
            match self.any(value, scope, depth + 1) {
                Some(node) => entries.push((key.to_owned(), node)),
                None => whole = false,
            }
        }
        whole.then_some(Node::Table(entries))
    }

    fn float(&mut self, value: &Val<'_>, digits: &str) -> Option<Node> {
        let number = digits.parse().ok().and_then(serde_json::Number::from_f64);
        if number.is_none() {
            let problem = Problem::new("this number has no place in JSON");
            self.report(value.span(), problem);
        }
        number.map(|number| Node::Fixed(Value::Number(number)))
    }
}

/// What is said of a text that does not parse.
pub(super) fn unreadable(error: &SyntaxError) -> Problem {
    Problem::new(format!("this expression cannot be read: {}", error.message))
}

fn find<'s>(spec: &'s TableSpec, name: &str) -> Option<&'s OptionSpec> {
    spec.options.iter().find(|option| option.name == name)
}

/// A list of fixed values is a fixed value.
fn folded(nodes: Vec<Node>) -> Node {
    let fixed: Option<Vec<Value>> = nodes
        .iter()
        .map(|node| match node {
            Node::Fixed(value) => Some(value.clone()),
            _ => None,
        })
        .collect();
    fixed.map_or(Node::List(nodes), |values| {
        Node::Fixed(Value::Array(values))
    })
}

fn expected(doc: &ActionDoc) -> String {
    let mut forms = vec!["a table of options"];
    for short in doc.short {
        forms.push(if short.list { "a list" } else { "a text" });
    }
    forms.join(", or ")
}
