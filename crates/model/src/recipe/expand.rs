//! Names and groups resolved: one expression for each variable that a text of a recipe stands for.

use std::collections::{HashMap, HashSet};

use super::expr::{Expr, Shape};
use super::functions::{
    extend, lowercase, ngram, no_punct, normalize, osb, quantile_bin, textual, without_repeats,
};
use super::parse::{Fault, Node};
use crate::error::{did_you_mean, listed};
use crate::schema::{Kind, Schema};

/// Feature expressions of one recipe, at most.
pub(crate) const OUTPUT_LIMIT: usize = 10_000;
/// Members of all groups and assignments of one recipe, at most.
const DEFINED_LIMIT: usize = 100_000;
/// Variables in one cartesian product, at most.
const PARTS_LIMIT: usize = 8;

const FUNCTIONS: [&str; 9] = [
    "cartesian",
    "group",
    "group_remove",
    "lowercase",
    "ngram",
    "no_punct",
    "normalize",
    "osb",
    "quantile_bin",
];

/// What each name stands for.
pub(crate) struct Scope<'a> {
    schema: &'a Schema,
    names: HashMap<String, Vec<Expr>>,
    /// Expressions that groups and assignments hold together.
    defined: usize,
}

type Expanded = Result<Vec<Expr>, Fault>;

impl<'a> Scope<'a> {
    /// The attributes that may be learned from, and the groups that are always there.
    pub(crate) fn new(schema: &'a Schema) -> Scope<'a> {
        let mut names: HashMap<String, Vec<Expr>> = HashMap::new();
        for group in [
            "ALL_INPUTS",
            "ALL_NUMERIC",
            "ALL_CATEGORICAL",
            "ALL_BINARY",
            "ALL_TEXT",
        ] {
            names.insert(group.to_owned(), Vec::new());
        }
        let inputs = schema.attributes().iter().enumerate();
        for (place, attribute) in inputs.filter(|(_, a)| schema.is_input(&a.name)) {
            let expr = Expr::attribute(place, attribute.kind);
            let group = match attribute.kind {
                Kind::Numeric => "ALL_NUMERIC",
                Kind::Categorical => "ALL_CATEGORICAL",
                Kind::Binary => "ALL_BINARY",
                Kind::Text => "ALL_TEXT",
            };
            for name in [attribute.name.as_str(), group, "ALL_INPUTS"] {
                names.entry(name.to_owned()).or_default().push(expr.clone());
            }
        }
        Scope {
            schema,
            names,
            defined: 0,
        }
    }

    /// Gives a name to expressions; refused when the name is taken.
    pub(crate) fn define(&mut self, name: &str, exprs: Vec<Expr>) -> Result<(), Fault> {
        if self.names.contains_key(name) || self.schema.attribute(name).is_some() {
            let detail = format!("the name {name:?} is taken by an attribute or a group");
            return Err(Fault::new(1, detail, "choose another name"));
        }
        self.defined += exprs.len();
        if self.defined > DEFINED_LIMIT {
            let detail = format!("groups and assignments hold more than {DEFINED_LIMIT} members");
            return Err(Fault::new(1, detail, "take out those that no output needs"));
        }
        self.names.insert(name.to_owned(), exprs);
        Ok(())
    }

    /// Every expression that the node stands for.
    pub(crate) fn expand(&self, node: &Node) -> Expanded {
        match node {
            Node::Name { text, column } => self.named(text, *column),
            Node::Call {
                function,
                arguments,
                column,
            } => {
                let call = Call {
                    scope: self,
                    function,
                    arguments,
                    column: *column,
                };
                call.expand()
            }
        }
    }

    fn named(&self, name: &str, column: usize) -> Expanded {
        if let Some(exprs) = self.names.get(name) {
            return Ok(exprs.clone());
        }
        if self.schema.attribute(name).is_some() {
            return Err(Fault::new(
                column,
                format!("{name:?} is the target, the row id, the row weight or excluded"),
                "take it out here, or change the schema if it is to be learned from",
            ));
        }
        let mut known: Vec<&str> = self.names.keys().map(String::as_str).collect();
        known.sort_unstable();
        let otherwise = format!(
            "known here are {}; a group or assignment must stand before its first use",
            listed(&known)
        );
        let advice = did_you_mean(name, known, &otherwise);
        Err(Fault::new(
            column,
            format!("there is no attribute, group or assignment {name:?}"),
            advice,
        ))
    }
}

struct Call<'a> {
    scope: &'a Scope<'a>,
    function: &'a str,
    arguments: &'a [Node],
    column: usize,
}

impl Call<'_> {
    fn expand(&self) -> Expanded {
        match self.function {
            "group" => self.group(),
            "group_remove" => self.group_remove(),
            "quantile_bin" => self.sized(2..=1000, quantile_bin),
            "ngram" => self.sized(1..=10, |expr, n| textual(expr).map(|e| ngram(e, n))),
            "osb" => self.sized(2..=10, |expr, n| textual(expr).map(|e| osb(e, n))),
            "normalize" => self.single(normalize),
            "lowercase" => self.single(|expr| textual(expr).map(lowercase)),
            "no_punct" => self.single(|expr| textual(expr).map(no_punct)),
            "cartesian" => self.cartesian(),
            other => {
                let otherwise = format!("the functions are {}", FUNCTIONS.join(", "));
                let advice = did_you_mean(other, FUNCTIONS, &otherwise);
                Err(Fault::new(
                    self.column,
                    format!("there is no function {other:?}"),
                    advice,
                ))
            }
        }
    }

    fn group(&self) -> Expanded {
        let mut members = Vec::new();
        let mut seen = HashSet::new();
        for argument in self.arguments {
            let found = self.scope.expand(argument)?;
            members.extend(found.into_iter().filter(|expr| seen.insert(expr.clone())));
        }
        Ok(members)
    }

    fn group_remove(&self) -> Expanded {
        let Some((group, removed)) = self.arguments.split_first() else {
            return Err(self.fault("names no group", "write group_remove(ALL_NUMERIC, age)"));
        };
        let mut members = self.scope.expand(group)?;
        for argument in removed {
            let removed: HashSet<Expr> = self.scope.expand(argument)?.into_iter().collect();
            members.retain(|member| !removed.contains(member));
        }
        Ok(members)
    }

    fn single(&self, make: impl Fn(Expr) -> Result<Expr, &'static str>) -> Expanded {
        let [argument] = self.arguments else {
            let detail = format!("takes one argument and has {}", self.arguments.len());
            return Err(self.fault(detail, "use group(a, b) for several variables"));
        };
        self.each(argument, make)
    }

    fn sized(
        &self,
        range: std::ops::RangeInclusive<usize>,
        make: impl Fn(Expr, usize) -> Result<Expr, &'static str>,
    ) -> Expanded {
        let advice = format!(
            "write {}(name, number), from {} to {}",
            self.function,
            range.start(),
            range.end()
        );
        let [argument, Node::Name { text, column }] = self.arguments else {
            return Err(self.fault("takes a variable and a number", advice));
        };
        match text.parse::<usize>() {
            Ok(size) if range.contains(&size) => self.each(argument, |expr| make(expr, size)),
            _ => {
                let detail = format!("{} cannot have the size {text:?}", self.function);
                Err(Fault::new(*column, detail, advice))
            }
        }
    }

    fn each(&self, argument: &Node, make: impl Fn(Expr) -> Result<Expr, &'static str>) -> Expanded {
        let made = |expr: Expr| {
            let text = expr.describe(self.scope.schema);
            make(expr).map_err(|advice| {
                let detail = format!("{} cannot take {text}", self.function);
                Fault::new(argument.column(), detail, advice)
            })
        };
        self.scope.expand(argument)?.into_iter().map(made).collect()
    }

    /// Every combination with one member of each argument; pairs that differ only in their order,
    /// and a variable with itself, are left out.
    fn cartesian(&self) -> Expanded {
        if self.arguments.len() < 2 {
            return Err(self.fault("takes two arguments or more", "write cartesian(a, b)"));
        }
        let mut combinations: Vec<Vec<Expr>> = vec![Vec::new()];
        for argument in self.arguments {
            let members = self.each(argument, |expr| match expr.shape() {
                Shape::Number => Err("wrap the number: quantile_bin(x, 10)"),
                _ => Ok(expr),
            })?;
            if combinations.len() * members.len() > OUTPUT_LIMIT {
                let detail = format!("makes more than {OUTPUT_LIMIT} combinations");
                return Err(self.fault(detail, "name fewer variables"));
            }
            combinations = extend(&combinations, &members);
        }
        if combinations
            .iter()
            .any(|combination| combination.len() > PARTS_LIMIT)
        {
            let detail = format!("combines more than {PARTS_LIMIT} variables");
            return Err(self.fault(detail, "name fewer variables"));
        }
        Ok(without_repeats(combinations)
            .into_iter()
            .map(Expr::Cartesian)
            .collect())
    }

    fn fault(&self, detail: impl AsRef<str>, advice: impl Into<String>) -> Fault {
        Fault::new(
            self.column,
            format!("{} {}", self.function, detail.as_ref()),
            advice,
        )
    }
}
