//! One feature expression over single attributes, its types checked.

use crate::schema::{Kind, Schema};

/// What an expression yields for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One number or none.
    Number,
    /// One value of a set.
    Category,
    /// A text, which gives its words when it is learned from.
    Prose,
    /// Any number of tokens.
    Tokens,
}

/// An expression; attributes by their place in the schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Expr {
    /// The number itself. Learning normalizes every number, so `normalize(x)` and `x` are the same.
    Number(usize),
    Bin {
        attribute: usize,
        bins: usize,
    },
    Value(usize),
    Prose(usize),
    Lowercase(Box<Expr>),
    NoPunct(Box<Expr>),
    Ngram(Box<Expr>, usize),
    Osb(Box<Expr>, usize),
    Cartesian(Vec<Expr>),
}

impl Expr {
    /// The attribute as it stands.
    pub(crate) fn attribute(place: usize, kind: Kind) -> Expr {
        match kind {
            Kind::Numeric => Expr::Number(place),
            Kind::Categorical | Kind::Binary => Expr::Value(place),
            Kind::Text => Expr::Prose(place),
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        match self {
            Expr::Number(_) => Shape::Number,
            Expr::Bin { .. } | Expr::Value(_) => Shape::Category,
            Expr::Prose(_) => Shape::Prose,
            Expr::Lowercase(inner) | Expr::NoPunct(inner) => inner.shape(),
            Expr::Ngram(..) | Expr::Osb(..) | Expr::Cartesian(_) => Shape::Tokens,
        }
    }

    /// Calls `see` with each attribute that the expression reads.
    pub(crate) fn visit_attributes(&self, see: &mut impl FnMut(usize)) {
        match self {
            Expr::Number(place) | Expr::Value(place) | Expr::Prose(place) => see(*place),
            Expr::Bin { attribute, .. } => see(*attribute),
            Expr::Lowercase(inner)
            | Expr::NoPunct(inner)
            | Expr::Ngram(inner, _)
            | Expr::Osb(inner, _) => inner.visit_attributes(see),
            Expr::Cartesian(parts) => parts.iter().for_each(|part| part.visit_attributes(see)),
        }
    }

    /// The expression as a recipe would write it.
    pub(crate) fn describe(&self, schema: &Schema) -> String {
        let name = |place: &usize| {
            schema
                .attributes()
                .get(*place)
                .map_or("", |a| a.name.as_str())
                .to_owned()
        };
        match self {
            Expr::Number(place) | Expr::Value(place) | Expr::Prose(place) => name(place),
            Expr::Bin { attribute, bins } => format!("quantile_bin({}, {bins})", name(attribute)),
            Expr::Lowercase(inner) => format!("lowercase({})", inner.describe(schema)),
            Expr::NoPunct(inner) => format!("no_punct({})", inner.describe(schema)),
            Expr::Ngram(inner, size) => format!("ngram({}, {size})", inner.describe(schema)),
            Expr::Osb(inner, size) => format!("osb({}, {size})", inner.describe(schema)),
            Expr::Cartesian(parts) => {
                let parts: Vec<String> = parts.iter().map(|p| p.describe(schema)).collect();
                format!("cartesian({})", parts.join(", "))
            }
        }
    }
}
