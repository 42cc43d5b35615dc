//! A list of borrowed texts whose memory outlives the texts.

/// Lends a slice of cells, record after record, without a new allocation for each.
#[derive(Debug, Default)]
pub struct Scratch {
    spare: Vec<&'static str>,
}

impl Scratch {
    /// Calls `work` with the texts as a slice.
    pub fn with<'t, T>(
        &mut self,
        texts: impl Iterator<Item = &'t str>,
        work: impl FnOnce(&[&'t str]) -> T,
    ) -> T {
        let mut list: Vec<&'t str> = std::mem::take(&mut self.spare);
        list.extend(texts);
        let result = work(&list);
        self.spare = emptied(list);
        result
    }
}

/// The memory of the list, for texts that live longer. Collecting keeps the allocation.
fn emptied(mut list: Vec<&str>) -> Vec<&'static str> {
    list.clear();
    list.into_iter().map(|_| "").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again() {
        let mut scratch = Scratch::default();
        let first = scratch.with("a b c d e".split(' '), |list| list.as_ptr() as usize);
        let text = String::from("f g h");
        let second = scratch.with(text.split(' '), |list| {
            assert_eq!(list, ["f", "g", "h"]);
            list.as_ptr() as usize
        });
        assert_eq!(first, second);
    }
}
