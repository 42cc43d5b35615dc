//! One expression.

use super::context::Context;
use super::markup;
use crate::{Value, limits};
use minijinja::machinery::ast;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, Expression, UndefinedBehavior};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};

/// What an expression or template gives when it cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderError {
    /// The text that was evaluated.
    pub source: String,
    /// What went wrong.
    pub message: String,
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot evaluate `{}`: {}", self.source, self.message)
    }
}

impl std::error::Error for RenderError {}

/// Text that is not an expression or template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// Where in the text, in bytes.
    pub range: Option<std::ops::Range<usize>>,
}

/// A path such as `event.customer.id`: a root and the fields below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// `event`, `steps`, `item`, `loop`, `run`, `now`, `output`, `round`, `check` or `secret`.
    pub root: String,
    /// The names below it.
    pub fields: Vec<String>,
}

/// A compiled expression; cheap to clone.
#[derive(Clone)]
pub struct Expr {
    inner: Arc<Inner>,
}

struct Inner {
    source: String,
    path: Option<Path>,
    roots: Vec<String>,
    names: BTreeSet<String>,
    /// Compiled again when it is first evaluated: most expressions of a folder of tasks never are,
    /// and a compiled one holds some ten kilobytes.
    compiled: OnceLock<Expression<'static, 'static>>,
}

pub(super) static JINJA: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut jinja = Environment::new();
    jinja.set_syntax(syntax());
    jinja.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    jinja.set_fuel(Some(limits::TEMPLATE_FUEL));
    jinja.set_auto_escape_callback(markup::escape);
    jinja.set_formatter(markup::write);
    jinja
});

/// The last line break of a text is part of it.
pub(super) fn syntax() -> SyntaxConfig {
    let mut builder = SyntaxConfig::builder();
    builder.keep_trailing_newline(true);
    builder.build().unwrap_or_default()
}

fn compile(source: &str) -> Result<Expression<'static, 'static>, minijinja::Error> {
    JINJA.compile_expression_owned(source.to_owned())
}

impl Expr {
    /// Compiles an expression.
    ///
    /// # Errors
    /// When the text is not an expression.
    pub fn parse(source: &str) -> Result<Self, SyntaxError> {
        let compiled = compile(source).map_err(|error| syntax_error(&error))?;
        let names: BTreeSet<String> = compiled.undeclared_variables(true).into_iter().collect();
        let roots = compiled.undeclared_variables(false).into_iter().collect();
        let path = plain_path(source);
        let source = source.to_owned();
        Ok(Self {
            inner: Arc::new(Inner {
                source,
                path,
                roots,
                names,
                compiled: OnceLock::new(),
            }),
        })
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.inner.source
    }

    /// The path, when it is nothing but one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.inner.path.as_ref()
    }

    /// Every name it reads that it does not set itself, dotted as far as it is plain: `steps.a.rows`.
    #[must_use]
    pub fn names(&self) -> &BTreeSet<String> {
        &self.inner.names
    }

    /// Evaluates it.
    ///
    /// # Errors
    /// When a name is not there or the expression fails.
    pub fn value(&self, context: &Context<'_>) -> Result<Value, RenderError> {
        if let Some(path) = &self.inner.path {
            return context
                .get(&path.root, &path.fields)
                .ok_or_else(|| self.missing(path));
        }
        let value = self.eval(context)?;
        if value.is_undefined() {
            return Err(self.error("it has no value"));
        }
        serde_json::to_value(&value).map_err(|error| self.error(&error.to_string()))
    }

    /// Evaluates it as a condition; what is not there does not hold.
    ///
    /// # Errors
    /// When the expression fails.
    pub fn holds(&self, context: &Context<'_>) -> Result<bool, RenderError> {
        Ok(self.eval(context)?.is_true())
    }

    fn eval(&self, context: &Context<'_>) -> Result<minijinja::Value, RenderError> {
        let compiled = match self.inner.compiled.get() {
            Some(compiled) => compiled,
            None => {
                let fresh =
                    compile(self.source()).map_err(|error| self.error(&describe(&error)))?;
                self.inner.compiled.get_or_init(|| fresh)
            }
        };
        compiled
            .eval(context.jinja(&self.inner.roots))
            .map_err(|error| self.error(&describe(&error)))
    }

    fn missing(&self, path: &Path) -> RenderError {
        self.error(&format!("there is no `{}` here", path.dotted()))
    }

    fn error(&self, message: &str) -> RenderError {
        RenderError {
            source: self.inner.source.clone(),
            message: message.to_owned(),
        }
    }
}

impl Path {
    /// The path as it is written.
    #[must_use]
    pub fn dotted(&self) -> String {
        std::iter::once(self.root.as_str())
            .chain(self.fields.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(".")
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expr").field(&self.inner.source).finish()
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.inner.source == other.inner.source
    }
}

pub(super) fn syntax_error(error: &minijinja::Error) -> SyntaxError {
    SyntaxError {
        message: describe(error),
        range: error.range(),
    }
}

pub(super) fn describe(error: &minijinja::Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return "it takes too long; make it simpler".into();
    }
    error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned)
}

fn plain_path(source: &str) -> Option<Path> {
    path_of(&minijinja::machinery::parse_expr(source).ok()?)
}

/// The path that an expression is, if it is nothing but one.
pub(super) fn path_of(expr: &ast::Expr<'_>) -> Option<Path> {
    match expr {
        ast::Expr::Var(var) => Some(Path {
            root: var.id.to_owned(),
            fields: Vec::new(),
        }),
        ast::Expr::GetAttr(attr) => {
            let mut path = path_of(&attr.expr)?;
            path.fields.push(attr.name.to_owned());
            Some(path)
        }
        _ => None,
    }
}
