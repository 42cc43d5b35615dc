//! Features in words, for people who look at the weights of a model.

use super::block::{Features, Learned};
use super::program::JOINT;
use crate::schema::Schema;

impl Features {
    /// The block that a feature belongs to. Blocks without features share their first number with
    /// the one after them; the last counts.
    pub(crate) fn block_of(&self, feature: u32) -> usize {
        self.blocks
            .partition_point(|block| block.first <= feature)
            .saturating_sub(1)
    }

    /// Attributes and value that a feature stands for.
    pub(crate) fn describe(&self, feature: u32, schema: &Schema) -> (String, String) {
        let block = self.block_of(feature);
        match self.blocks.get(block) {
            Some(block) => block.learned.describe(feature - block.first, schema),
            None => (String::new(), String::new()),
        }
    }
}

impl Learned {
    fn describe(&self, feature: u32, schema: &Schema) -> (String, String) {
        let name = |attribute: usize| {
            schema
                .attributes()
                .get(attribute)
                .map_or_else(String::new, |a| a.name.clone())
        };
        let missing = || "missing".to_owned();
        match self {
            Learned::Number { attribute, .. } if feature == 0 => (name(*attribute), missing()),
            Learned::Number { attribute, .. } => {
                (name(*attribute), "one standard deviation more".to_owned())
            }
            Learned::Bins { attribute, .. } if feature == 0 => (name(*attribute), missing()),
            Learned::Bins {
                attribute, edges, ..
            } => (name(*attribute), range(edges, feature as usize - 1)),
            Learned::Category { attribute, values } => match values.text(feature) {
                "" => (name(*attribute), missing()),
                value => (name(*attribute), value.to_owned()),
            },
            Learned::Tokens {
                attributes, values, ..
            } => {
                let names: Vec<String> = attributes.iter().map(|a| name(*a)).collect();
                (
                    names.join(" × "),
                    values.text(feature).replace(JOINT, " × "),
                )
            }
        }
    }
}

/// The numbers of a bin, in words.
fn range(edges: &[f64], bin: usize) -> String {
    match (
        bin.checked_sub(1).and_then(|before| edges.get(before)),
        edges.get(bin),
    ) {
        (Some(from), Some(to)) => format!("{from} to below {to}"),
        (Some(from), None) => format!("{from} or more"),
        (None, Some(to)) => format!("below {to}"),
        (None, None) => "any number".to_owned(),
    }
}
