//! Text with expressions in it.

use super::context::Context;
use super::expr::{Expr, JINJA, RenderError, SyntaxError, describe, path_of, syntax, syntax_error};
use super::markup::Markup;
use crate::{Value, limits};
use minijinja::machinery::ast;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Text as it stands.
    Text(String),
    /// `{{ expression }}`.
    Value(Expr),
    /// `{{ secret.NAME }}`.
    Secret(String),
}

/// A text with `{{ }}` in it; cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    inner: Arc<Inner>,
}

#[derive(Debug, PartialEq)]
struct Inner {
    source: String,
    body: Body,
    names: BTreeSet<String>,
}

#[derive(Debug, PartialEq)]
enum Body {
    Parts(Vec<Part>),
    /// It has `{% %}` blocks: the interpreter renders it whole.
    Blocks,
    /// What its expressions give is escaped: the interpreter renders it whole.
    Markup(Markup),
}

impl Template {
    /// Compiles a text.
    ///
    /// # Errors
    /// When its `{{ }}` or `{% %}` do not parse, or a secret stands inside an expression or block.
    pub fn parse(source: &str) -> Result<Self, SyntaxError> {
        let body = parts(source)?.map_or(Body::Blocks, Body::Parts);
        Self::compiled(source, body)
    }

    /// Compiles a text in a markup: what its expressions give is escaped.
    ///
    /// # Errors
    /// As [`Template::parse`]. No secret may stand in it.
    pub fn parse_markup(source: &str, markup: Markup) -> Result<Self, SyntaxError> {
        Self::compiled(source, Body::Markup(markup))
    }

    fn compiled(source: &str, body: Body) -> Result<Self, SyntaxError> {
        let names = JINJA
            .template_from_str(source)
            .map_err(|error| syntax_error(&error))?
            .undeclared_variables(true);
        let names: BTreeSet<String> = names.into_iter().collect();
        let inner = Inner {
            source: source.to_owned(),
            body,
            names,
        };
        inner.check_secrets()?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.inner.source
    }

    /// What it gives, where there is nothing to evaluate in it and it stands there in one piece.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        match self.parts()? {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Its pieces; none when it has `{% %}` blocks.
    #[must_use]
    pub fn parts(&self) -> Option<&[Part]> {
        match &self.inner.body {
            Body::Parts(parts) => Some(parts),
            Body::Blocks | Body::Markup(_) => None,
        }
    }

    /// The one expression that it exactly is.
    #[must_use]
    pub fn single(&self) -> Option<&Expr> {
        match self.parts()? {
            [Part::Value(expr)] => Some(expr),
            _ => None,
        }
    }

    /// Every name it reads, dotted as far as it is plain.
    #[must_use]
    pub fn names(&self) -> &BTreeSet<String> {
        &self.inner.names
    }

    /// The secrets it names.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.parts()
            .unwrap_or_default()
            .iter()
            .filter_map(|part| match part {
                Part::Secret(name) => Some(name.as_str()),
                _ => None,
            })
    }

    /// Renders it as text.
    ///
    /// # Errors
    /// When an expression fails, is not there, or gives a list or table.
    pub fn text(&self, context: &Context<'_>) -> Result<String, RenderError> {
        let text = match &self.inner.body {
            Body::Blocks => self.blocks("text", context)?,
            Body::Markup(markup) => self.blocks(markup.name(), context)?,
            Body::Parts(parts) => {
                let mut text = String::new();
                for part in parts {
                    text.push_str(&self.part_text(part, context)?);
                }
                text
            }
        };
        if text.len() > limits::RENDERED_BYTES {
            return Err(self.error(&format!(
                "it gives more than {} bytes",
                limits::RENDERED_BYTES
            )));
        }
        Ok(text)
    }

    /// One piece as text; a secret is refused, it is revealed elsewhere.
    pub(super) fn part_text(
        &self,
        part: &Part,
        context: &Context<'_>,
    ) -> Result<String, RenderError> {
        match part {
            Part::Text(text) => Ok(text.clone()),
            Part::Value(expr) => as_text(expr.value(context)?)
                .map_err(|what| self.error(&format!("`{}` is {what}, not text", expr.source()))),
            Part::Secret(name) => Err(self.error(&format!("secret.{name} cannot stand here"))),
        }
    }

    fn blocks(&self, name: &str, context: &Context<'_>) -> Result<String, RenderError> {
        let template = JINJA
            .template_from_named_str(name, &self.inner.source)
            .map_err(|error| self.error(&describe(&error)))?;
        let roots: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        template
            .render(context.jinja(&roots))
            .map_err(|error| self.error(&describe(&error)))
    }

    fn error(&self, message: &str) -> RenderError {
        RenderError {
            source: self.inner.source.clone(),
            message: message.to_owned(),
        }
    }
}

impl Inner {
    /// A secret stands alone in `{{ }}`: never in a filter, a condition or a block.
    fn check_secrets(&self) -> Result<(), SyntaxError> {
        let misused = match &self.body {
            Body::Blocks | Body::Markup(_) => self.names.iter().any(|n| is_secret(n)),
            Body::Parts(parts) => parts.iter().any(|part| {
                matches!(part, Part::Value(expr) if expr.names().iter().any(|n| is_secret(n)))
            }),
        };
        if misused {
            return Err(SyntaxError {
                message: "a secret stands alone, as `{{ secret.NAME }}`: never in a filter, \
                          an expression or a block"
                    .into(),
                range: self.source.find("secret").map(|at| at..at + "secret".len()),
            });
        }
        Ok(())
    }
}

fn is_secret(name: &str) -> bool {
    name == "secret" || name.starts_with("secret.")
}

/// What a value is as text; else what it is.
pub(super) fn as_text(value: Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Ok(String::new()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Array(_) => Err("a list"),
        Value::Object(_) => Err("a table"),
    }
}

/// The pieces of a text without blocks; none when it has blocks.
fn parts(source: &str) -> Result<Option<Vec<Part>>, SyntaxError> {
    let parsed = minijinja::machinery::parse(source, "text", syntax())
        .map_err(|error| syntax_error(&error))?;
    let ast::Stmt::Template(template) = parsed else {
        return Ok(None);
    };
    let mut parts = Vec::with_capacity(template.children.len());
    for child in &template.children {
        match child {
            ast::Stmt::EmitRaw(raw) => parts.push(Part::Text(raw.raw.to_owned())),
            ast::Stmt::EmitExpr(emit) => parts.push(expression(source, emit)?),
            _ => return Ok(None),
        }
    }
    Ok(Some(parts))
}

fn expression(source: &str, emit: &ast::Spanned<ast::EmitExpr<'_>>) -> Result<Part, SyntaxError> {
    if let Some(path) = path_of(&emit.expr)
        && path.root == "secret"
        && let [name] = path.fields.as_slice()
    {
        return Ok(Part::Secret(name.clone()));
    }
    // The place of the whole expression: that of `a.b.c` itself begins at its last dot.
    let span = emit.span();
    let range = span.start_offset as usize..span.end_offset as usize;
    // It was parsed with the text around it: what is wrong with it was told there, with its place.
    Expr::parse(source.get(range).unwrap_or_default()).map(Part::Value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_of_a_text_is_cut_out_whole() {
        let text = "a {{ steps.predict.label }} b {{ (event.x.y + 1) | string | upper }}{{ event.z[0].q }}";
        let template = Template::parse(text).unwrap();
        let sources: Vec<_> = template
            .parts()
            .unwrap()
            .iter()
            .filter_map(|part| match part {
                Part::Value(expr) => Some(expr.source()),
                _ => None,
            })
            .collect();
        assert_eq!(
            sources,
            [
                "steps.predict.label",
                "(event.x.y + 1) | string | upper",
                "event.z[0].q"
            ]
        );
    }
}
