//! Tokens of one record: categories, words, runs of words and their combinations.

use super::block::Cells;
use crate::recipe::{Expr, Shape};
use crate::text::{self, Tokens};

/// Tokens that one expression may give for one record; those after are left out.
const TOKEN_LIMIT: usize = 100_000;
/// Stands between the parts of a combination; no word holds it, since words are separated by it.
pub(crate) const JOINT: char = '\u{1f}';

/// An expression made ready to run; bins carry their learned edges.
#[derive(Debug, Clone)]
pub(crate) enum Program {
    Value(usize),
    Bin {
        attribute: usize,
        bins: usize,
        edges: Vec<f64>,
    },
    Lowercase(Box<Program>),
    NoPunct(Box<Program>),
    Words(Box<Program>),
    Ngram(Box<Program>, usize),
    Osb(Box<Program>, usize),
    Cartesian(Vec<Program>),
}

/// Buffers that are used again from record to record.
#[derive(Debug, Default, Clone)]
pub(crate) struct Pool {
    texts: Vec<String>,
    tokens: Vec<Tokens>,
}

impl Pool {
    fn text(&mut self) -> String {
        self.texts.pop().unwrap_or_default()
    }

    fn give_text(&mut self, mut text: String) {
        text.clear();
        self.texts.push(text);
    }

    pub(crate) fn tokens(&mut self) -> Tokens {
        self.tokens.pop().unwrap_or_default()
    }

    pub(crate) fn give_tokens(&mut self, mut tokens: Tokens) {
        tokens.clear();
        self.tokens.push(tokens);
    }
}

impl Program {
    /// The program of an expression that yields tokens; a text yields its words.
    pub(crate) fn of(expr: &Expr) -> Program {
        match expr.shape() {
            Shape::Prose => Program::Words(Box::new(Program::plain(expr))),
            _ => Program::plain(expr),
        }
    }

    fn plain(expr: &Expr) -> Program {
        let boxed = |inner: &Expr| Box::new(Program::plain(inner));
        match expr {
            Expr::Number(place) | Expr::Value(place) | Expr::Prose(place) => Program::Value(*place),
            Expr::Bin { attribute, bins } => Program::Bin {
                attribute: *attribute,
                bins: *bins,
                edges: Vec::new(),
            },
            Expr::Lowercase(inner) => Program::Lowercase(boxed(inner)),
            Expr::NoPunct(inner) => Program::NoPunct(boxed(inner)),
            Expr::Ngram(inner, size) => Program::Ngram(boxed(inner), *size),
            Expr::Osb(inner, window) => Program::Osb(boxed(inner), *window),
            Expr::Cartesian(parts) => Program::Cartesian(parts.iter().map(Program::of).collect()),
        }
    }

    /// Calls `see` with the number of bins and the edges of each binned attribute, in a fixed order.
    pub(crate) fn visit_bins<E>(
        &mut self,
        see: &mut impl FnMut(usize, usize, &mut Vec<f64>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Program::Value(_) => Ok(()),
            Program::Bin {
                attribute,
                bins,
                edges,
            } => see(*attribute, *bins, edges),
            Program::Lowercase(inner)
            | Program::NoPunct(inner)
            | Program::Words(inner)
            | Program::Ngram(inner, _)
            | Program::Osb(inner, _) => inner.visit_bins(see),
            Program::Cartesian(parts) => parts.iter_mut().try_for_each(|p| p.visit_bins(see)),
        }
    }

    /// The learned edges of each binned attribute, in the order of [`Program::visit_bins`].
    pub(crate) fn edges(&self) -> Vec<&[f64]> {
        match self {
            Program::Value(_) => Vec::new(),
            Program::Bin { edges, .. } => vec![edges],
            Program::Lowercase(inner)
            | Program::NoPunct(inner)
            | Program::Words(inner)
            | Program::Ngram(inner, _)
            | Program::Osb(inner, _) => inner.edges(),
            Program::Cartesian(parts) => parts.iter().flat_map(Program::edges).collect(),
        }
    }

    /// Appends the tokens of a record.
    pub(crate) fn tokens(&self, cells: &impl Cells, pool: &mut Pool, out: &mut Tokens) {
        match self {
            Program::Words(inner) => self.words(inner, cells, pool, out),
            Program::Ngram(inner, size) => {
                with_words(inner, cells, pool, |words| {
                    text::push_ngrams(words, *size, out)
                });
            }
            Program::Osb(inner, window) => {
                with_words(inner, cells, pool, |words| {
                    text::push_osb(words, *window, out)
                });
            }
            Program::Cartesian(parts) => combine(parts, cells, pool, out),
            single => {
                let mut value = pool.text();
                single.text(cells, pool, &mut value);
                out.push(&value);
                pool.give_text(value);
            }
        }
    }

    fn words(&self, inner: &Program, cells: &impl Cells, pool: &mut Pool, out: &mut Tokens) {
        let mut value = pool.text();
        inner.text(cells, pool, &mut value);
        value.split_whitespace().for_each(|word| out.push(word));
        pool.give_text(value);
    }

    /// Appends the one text that this is; programs of several tokens have none.
    fn text(&self, cells: &impl Cells, pool: &mut Pool, out: &mut String) {
        match self {
            Program::Value(attribute) => out.push_str(text::clean(cells.cell(*attribute))),
            Program::Bin {
                attribute, edges, ..
            } => {
                if let Some(number) = text::number(text::clean(cells.cell(*attribute))) {
                    push_decimal(bin_of(edges, number), out);
                }
            }
            Program::Lowercase(inner) => {
                through(inner, cells, pool, |inner| text::push_lowercase(inner, out));
            }
            Program::NoPunct(inner) => {
                through(inner, cells, pool, |inner| text::push_no_punct(inner, out));
            }
            Program::Words(_) | Program::Ngram(..) | Program::Osb(..) | Program::Cartesian(_) => {}
        }
    }
}

fn through(inner: &Program, cells: &impl Cells, pool: &mut Pool, act: impl FnOnce(&str)) {
    let mut value = pool.text();
    inner.text(cells, pool, &mut value);
    act(&value);
    pool.give_text(value);
}

fn with_words(inner: &Program, cells: &impl Cells, pool: &mut Pool, act: impl FnOnce(&Tokens)) {
    let mut words = pool.tokens();
    through(inner, cells, pool, |text| {
        text.split_whitespace().for_each(|word| words.push(word))
    });
    act(&words);
    pool.give_tokens(words);
}

/// Each token of the first part with each of the second, and so on.
fn combine(parts: &[Program], cells: &impl Cells, pool: &mut Pool, out: &mut Tokens) {
    let Some((first, others)) = parts.split_first() else {
        return;
    };
    let mut combined = pool.tokens();
    first.tokens(cells, pool, &mut combined);
    for part in others {
        let mut members = pool.tokens();
        let mut longer = pool.tokens();
        part.tokens(cells, pool, &mut members);
        let pairs = combined
            .iter()
            .flat_map(|left| members.iter().map(move |right| (left, right)));
        for (left, right) in pairs.take(TOKEN_LIMIT) {
            longer.push_with(|text| {
                text.push_str(left);
                text.push(JOINT);
                text.push_str(right);
            });
        }
        pool.give_tokens(members);
        pool.give_tokens(std::mem::replace(&mut combined, longer));
    }
    combined.iter().for_each(|token| out.push(token));
    pool.give_tokens(combined);
}

/// The bin that a number falls into: as many edges are at or below it.
#[inline]
pub(crate) fn bin_of(edges: &[f64], number: f64) -> usize {
    edges.partition_point(|edge| *edge <= number)
}

/// Bins number at most a thousand, so four digits.
fn push_decimal(number: usize, out: &mut String) {
    let mut started = false;
    for power in [1000, 100, 10, 1] {
        let digit = (number / power % 10) as u8;
        started |= digit > 0 || power == 1;
        if started {
            out.push(char::from(b'0' + digit));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row(Vec<&'static str>);

    impl Cells for Row {
        fn cell(&self, attribute: usize) -> &str {
            self.0[attribute]
        }
    }

    fn run(program: &Program, row: &[&'static str]) -> Vec<String> {
        let mut out = Tokens::default();
        let mut pool = Pool::default();
        program.tokens(&Row(row.to_vec()), &mut pool, &mut out);
        out.iter().map(|token| token.replace(JOINT, "*")).collect()
    }

    #[test]
    fn a_combination_has_each_pair_and_keeps_missing_parts() {
        let lower = Expr::Lowercase(Box::new(Expr::Prose(0)));
        let program = Program::of(&Expr::Cartesian(vec![lower, Expr::Value(1)]));
        assert_eq!(run(&program, &["Red FOX", "x"]), ["red*x", "fox*x"]);
        assert_eq!(run(&program, &["Red", "?"]), ["red*"]);
        assert_eq!(run(&program, &["", "x"]), Vec::<String>::new());
    }

    #[test]
    fn bins_become_their_number() {
        let mut program = Program::of(&Expr::Bin {
            attribute: 0,
            bins: 3,
        });
        let fill = &mut |_, _, edges: &mut Vec<f64>| {
            *edges = vec![1.0, 2.0];
            Ok::<(), ()>(())
        };
        program.visit_bins(fill).unwrap();
        assert_eq!(run(&program, &["0.5"]), ["0"]);
        assert_eq!(run(&program, &["1"]), ["1"]);
        assert_eq!(run(&program, &["1e9"]), ["2"]);
        assert_eq!(run(&program, &["much"]), [""]);
    }

    #[test]
    fn decimals_are_written_without_leading_zeros() {
        for number in [0, 7, 10, 999, 1000, 1001] {
            let mut out = String::new();
            push_decimal(number, &mut out);
            assert_eq!(out, number.to_string());
        }
    }
}
