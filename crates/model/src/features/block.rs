//! What was learned of each expression of a recipe, and the walk over the features of one record.

use super::program::{Pool, Program, bin_of};
use crate::dict::Dict;
use crate::recipe::Expr;
use crate::text;

/// The cells of a record by the place of their attribute in the schema; empty where there is none.
pub(crate) trait Cells {
    fn cell(&self, attribute: usize) -> &str;
}

/// Standard deviations from the mean, at most, so that no sum of weights is infinite.
const FAR: f64 = 1e9;

/// What one expression learned. The first feature of numbers and categories stands for "missing".
#[derive(Debug, Clone)]
pub(crate) enum Learned {
    Number {
        attribute: usize,
        mean: f64,
        scale: f64,
    },
    Bins {
        attribute: usize,
        bins: usize,
        edges: Vec<f64>,
    },
    Category {
        attribute: usize,
        values: Dict,
    },
    Tokens {
        attributes: Vec<usize>,
        program: Program,
        values: Dict,
    },
}

/// One expression and the number of its first feature.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) first: u32,
    /// Whether values never met count here: the first block that reads an attribute counts them.
    counts: bool,
    pub(crate) learned: Learned,
}

/// All features of a model, numbered without gaps.
#[derive(Debug, Clone)]
pub(crate) struct Features {
    pub(crate) blocks: Vec<Block>,
    pub(crate) count: u32,
}

/// What was met in a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Attributes with a value.
    pub(crate) present: u32,
    /// Values that the model has never seen: other categories, numbers that are none.
    pub(crate) unknown: u32,
}

impl Learned {
    /// Nothing learned yet.
    pub(crate) fn new(expr: &Expr) -> Learned {
        match expr {
            Expr::Number(attribute) => Learned::Number {
                attribute: *attribute,
                mean: 0.0,
                scale: 0.0,
            },
            Expr::Bin { attribute, bins } => Learned::Bins {
                attribute: *attribute,
                bins: *bins,
                edges: Vec::new(),
            },
            Expr::Value(attribute) => Learned::Category {
                attribute: *attribute,
                values: Dict::default(),
            },
            other => {
                let mut attributes = Vec::new();
                other.visit_attributes(&mut |attribute| attributes.push(attribute));
                attributes.sort_unstable();
                attributes.dedup();
                let program = Program::of(other);
                Learned::Tokens {
                    attributes,
                    program,
                    values: Dict::default(),
                }
            }
        }
    }

    pub(crate) fn features(&self) -> usize {
        match self {
            Learned::Number { .. } => 2,
            Learned::Bins { edges, .. } => edges.len() + 2,
            Learned::Category { values, .. } | Learned::Tokens { values, .. } => values.len(),
        }
    }

    /// Calls `hit` with each feature of the record, counted from the first of this block.
    #[inline]
    fn visit(
        &self,
        cells: &impl Cells,
        pool: &mut Pool,
        tally: &mut Tally,
        mut hit: impl FnMut(u32, f64),
    ) {
        match self {
            Learned::Bins {
                attribute, edges, ..
            } => match numeric(cells, *attribute, tally) {
                Some(number) => hit(1 + bin_of(edges, number) as u32, 1.0),
                None => hit(0, 1.0),
            },
            Learned::Category { attribute, values } => {
                let value = text::clean(cells.cell(*attribute));
                tally.present += u32::from(!value.is_empty());
                match values.get(value) {
                    Some(id) => hit(id, 1.0),
                    None => tally.unknown += 1,
                }
            }
            Learned::Number {
                attribute,
                mean,
                scale,
            } => match numeric(cells, *attribute, tally) {
                Some(number) => hit(1, ((number - mean) * scale).clamp(-FAR, FAR)),
                None => hit(0, 1.0),
            },
            Learned::Tokens {
                attributes,
                program,
                values,
            } => {
                let filled = |attribute: &&usize| !text::clean(cells.cell(**attribute)).is_empty();
                tally.present += attributes.iter().filter(filled).count() as u32;
                let mut tokens = pool.tokens();
                program.tokens(cells, pool, &mut tokens);
                tokens
                    .iter()
                    .filter_map(|token| values.get(token))
                    .for_each(|id| hit(id, 1.0));
                pool.give_tokens(tokens);
            }
        }
    }
}

#[inline]
fn numeric(cells: &impl Cells, attribute: usize, tally: &mut Tally) -> Option<f64> {
    let cell = text::clean(cells.cell(attribute));
    if cell.is_empty() {
        return None;
    }
    let number = text::number(cell);
    tally.present += 1;
    tally.unknown += u32::from(number.is_none());
    number
}

impl Features {
    /// Numbers the features of the blocks.
    pub(crate) fn number(learned: Vec<Learned>) -> Option<Features> {
        let mut count = 0u32;
        let mut blocks = Vec::with_capacity(learned.len());
        let mut seen = std::collections::HashSet::new();
        for learned in learned {
            let first = count;
            let counts = learned
                .single()
                .is_some_and(|attribute| seen.insert(attribute));
            count = count.checked_add(u32::try_from(learned.features()).ok()?)?;
            blocks.push(Block {
                first,
                counts,
                learned,
            });
        }
        Some(Features { blocks, count })
    }

    pub(crate) fn unlearned(exprs: &[Expr]) -> Vec<Learned> {
        exprs.iter().map(Learned::new).collect()
    }

    /// Calls `hit` with the number and the value of each feature of the record.
    #[inline]
    pub(crate) fn visit(
        &self,
        cells: &impl Cells,
        pool: &mut Pool,
        mut hit: impl FnMut(u32, f64),
    ) -> Tally {
        let mut tally = Tally::default();
        for block in &self.blocks {
            let first = block.first;
            let unknown = tally.unknown;
            block
                .learned
                .visit(cells, pool, &mut tally, |feature, value| {
                    hit(first + feature, value)
                });
            if !block.counts {
                tally.unknown = unknown;
            }
        }
        tally
    }

    /// The attributes that the features read, in order.
    pub(crate) fn attributes(&self) -> Vec<usize> {
        let mut all: Vec<usize> = self
            .blocks
            .iter()
            .flat_map(|b| b.learned.attributes())
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl Learned {
    /// The attribute that is read as it stands, if it is one.
    fn single(&self) -> Option<usize> {
        match self {
            Learned::Number { attribute, .. }
            | Learned::Bins { attribute, .. }
            | Learned::Category { attribute, .. } => Some(*attribute),
            Learned::Tokens { .. } => None,
        }
    }

    fn attributes(&self) -> Vec<usize> {
        match self {
            Learned::Tokens { attributes, .. } => attributes.clone(),
            single => single.single().into_iter().collect(),
        }
    }
}
