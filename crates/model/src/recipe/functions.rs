//! What each function of the language makes of one expression, or why it cannot take it.

use std::collections::HashSet;

use super::expr::{Expr, Shape};

pub(super) fn extend(combinations: &[Vec<Expr>], members: &[Expr]) -> Vec<Vec<Expr>> {
    let mut extended = Vec::new();
    for combination in combinations {
        for member in members
            .iter()
            .filter(|member| !combination.contains(member))
        {
            let mut longer = combination.clone();
            match member {
                Expr::Cartesian(parts) => longer.extend(parts.iter().cloned()),
                other => longer.push(other.clone()),
            }
            extended.push(longer);
        }
    }
    extended
}

pub(super) fn without_repeats(combinations: Vec<Vec<Expr>>) -> Vec<Vec<Expr>> {
    let mut seen = HashSet::new();
    let key = |combination: &Vec<Expr>| {
        let mut parts: Vec<String> = combination.iter().map(|part| format!("{part:?}")).collect();
        parts.sort();
        parts
    };
    combinations
        .into_iter()
        .filter(|combination| seen.insert(key(combination)))
        .collect()
}

pub(super) fn quantile_bin(expr: Expr, bins: usize) -> Result<Expr, &'static str> {
    match expr {
        Expr::Number(attribute) => Ok(Expr::Bin { attribute, bins }),
        _ => Err("it bins NUMERIC attributes only"),
    }
}

pub(super) fn ngram(expr: Expr, size: usize) -> Expr {
    Expr::Ngram(Box::new(expr), size)
}

pub(super) fn osb(expr: Expr, window: usize) -> Expr {
    Expr::Osb(Box::new(expr), window)
}

pub(super) fn normalize(expr: Expr) -> Result<Expr, &'static str> {
    match expr.shape() {
        Shape::Number => Ok(expr),
        _ => Err("it normalizes NUMERIC attributes only"),
    }
}

/// Doing it twice changes nothing, and the order of the two does not matter; one form for all keeps
/// expressions shallow however long a chain of assignments is.
pub(super) fn lowercase(expr: Expr) -> Expr {
    match expr {
        Expr::Lowercase(_) => expr,
        other => Expr::Lowercase(Box::new(other)),
    }
}

pub(super) fn no_punct(expr: Expr) -> Expr {
    match expr {
        Expr::NoPunct(_) => expr,
        Expr::Lowercase(inner) => lowercase(no_punct(*inner)),
        other => Expr::NoPunct(Box::new(other)),
    }
}

pub(super) fn textual(expr: Expr) -> Result<Expr, &'static str> {
    match expr {
        Expr::Bin { .. } => Err("it takes TEXT or CATEGORICAL, not bins"),
        expr => match expr.shape() {
            Shape::Category | Shape::Prose => Ok(expr),
            Shape::Number => Err("it takes TEXT or CATEGORICAL, not NUMERIC"),
            Shape::Tokens => Err("it must stand inside ngram, osb or cartesian, not around it"),
        },
    }
}
