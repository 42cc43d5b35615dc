//! The options of an action: a tree whose leaves may be templates.

use super::context::Context;
use super::expr::{Expr, RenderError};
use super::text::{Part, Template};
use crate::Value;

/// The key of a rendered text that names secrets: `{"$secret": ["Bearer ", {"name": "TOKEN"}]}`.
///
/// Only [`Node::Text`] writes it. Data never becomes one: where secrets may stand, data is text.
pub const SECRET: &str = "$secret";

/// Options with templates not yet rendered.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A value as it stands.
    Fixed(Value),
    /// A text; what it gives is text, whatever type its one expression has. Secrets may stand in it.
    Text(Template),
    /// A text; a value that is exactly one `{{ … }}` keeps its type.
    Any(Template),
    /// A bare expression that is evaluated by whoever reads the option, not when rendering.
    Bare(Expr),
    /// A list.
    List(Vec<Node>),
    /// A table, in the order of the file.
    Table(Vec<(String, Node)>),
}

impl Node {
    /// Renders the tree. Bare expressions come out as their text.
    ///
    /// # Errors
    /// When a template fails.
    pub fn render(&self, context: &Context<'_>) -> Result<Value, RenderError> {
        match self {
            Self::Fixed(value) => Ok(value.clone()),
            Self::Bare(expr) => Ok(Value::String(expr.source().to_owned())),
            Self::Any(template) => match template.single() {
                Some(expr) => expr.value(context),
                None => template.text(context).map(Value::String),
            },
            Self::Text(template) => text(template, context),
            Self::List(nodes) => nodes.iter().map(|node| node.render(context)).collect(),
            Self::Table(entries) => entries
                .iter()
                .map(|(key, node)| Ok((key.clone(), node.render(context)?)))
                .collect::<Result<serde_json::Map<_, _>, _>>()
                .map(Value::Object),
        }
    }

    /// The node of this key, in a table.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Table(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The bare expression of this key.
    #[must_use]
    pub fn expr(&self, key: &str) -> Option<&Expr> {
        match self.get(key)? {
            Self::Bare(expr) => Some(expr),
            _ => None,
        }
    }

    /// The fixed text of this key: one without a template in it.
    #[must_use]
    pub fn fixed_text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Self::Fixed(Value::String(text)) => Some(text),
            Self::Text(template) | Self::Any(template) => template.plain(),
            _ => None,
        }
    }

    /// The fixed values of a table, without what has to be rendered.
    #[must_use]
    pub fn fixed(&self) -> Value {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(template) | Self::Any(template) => template.plain().into(),
            Self::Table(entries) => entries
                .iter()
                .map(|(key, node)| (key.clone(), node.fixed()))
                .filter(|(_, value)| !value.is_null())
                .collect::<serde_json::Map<_, _>>()
                .into(),
            _ => Value::Null,
        }
    }
}

impl Node {
    /// Its options with an empty text wherever something has to be rendered: enough to ask an action
    /// what kind of call it will be.
    #[must_use]
    pub fn outline(&self) -> Value {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(template) | Self::Any(template) => {
                template.plain().unwrap_or_default().into()
            }
            Self::Bare(expr) => Value::String(expr.source().to_owned()),
            Self::List(nodes) => nodes.iter().map(Self::outline).collect(),
            Self::Table(entries) => entries
                .iter()
                .map(|(key, node)| (key.clone(), node.outline()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

fn text(template: &Template, context: &Context<'_>) -> Result<Value, RenderError> {
    if template.secrets().next().is_none() {
        return template.text(context).map(Value::String);
    }
    let mut pieces = Vec::new();
    for part in template.parts().unwrap_or_default() {
        pieces.push(match part {
            Part::Secret(name) => serde_json::json!({ "name": name }),
            other => Value::String(template.part_text(other, context)?),
        });
    }
    Ok(serde_json::json!({ SECRET: pieces }))
}

impl Node {
    /// Every name that its templates and expressions read.
    #[must_use]
    pub fn names(&self) -> std::collections::BTreeSet<String> {
        match self {
            Self::Fixed(_) => std::collections::BTreeSet::new(),
            Self::Text(template) | Self::Any(template) => template.names().clone(),
            Self::Bare(expr) => expr.names().clone(),
            Self::List(nodes) => nodes.iter().flat_map(Self::names).collect(),
            Self::Table(entries) => entries.iter().flat_map(|(_, node)| node.names()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_is_no_part_of_a_fixed_text() {
        let node = |source: &str| {
            let text = Node::Text(Template::parse(source).unwrap());
            Node::Table(vec![("message".into(), text)])
        };
        let remark = node("{# for whoever reads this #}nothing to pay");
        assert_eq!(remark.fixed_text("message"), Some("nothing to pay"));
        assert_eq!(
            remark.fixed(),
            serde_json::json!({ "message": "nothing to pay" })
        );
        assert_eq!(remark.outline(), remark.fixed());
        let two = node("nothing{# or little #} to pay");
        assert_eq!(
            (two.fixed_text("message"), two.fixed()),
            (None, serde_json::json!({}))
        );
    }
}
