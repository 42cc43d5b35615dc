//! From a text to its number, fast: one probe in an open table, one comparison in one buffer.

/// A set of texts numbered in the order in which they came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dict {
    text: String,
    spans: Vec<(u32, u32)>,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u32,
    id: u32,
}

const FREE: Slot = Slot {
    hash: 0,
    id: u32::MAX,
};

/// Text of one dictionary at most, in bytes: spans are 32 bits wide.
pub(crate) const TEXT_LIMIT: usize = u32::MAX as usize / 2;

impl Dict {
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(crate) fn get(&self, token: &str) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let slot = self.slots[self.find(token, hash(token))];
        (slot.id != FREE.id).then_some(slot.id)
    }

    /// The number of the text, a new one if it is new; nothing when the dictionary is full.
    pub(crate) fn insert(&mut self, token: &str) -> Option<u32> {
        if self.slots.len() < (self.spans.len() + 1) * 2 {
            self.grow();
        }
        let hash = hash(token);
        let at = self.find(token, hash);
        if self.slots[at].id != FREE.id {
            return Some(self.slots[at].id);
        }
        if self.text.len() + token.len() > TEXT_LIMIT {
            return None;
        }
        let id = self.spans.len() as u32;
        self.spans
            .push((self.text.len() as u32, token.len() as u32));
        self.text.push_str(token);
        self.slots[at] = Slot { hash, id };
        Some(id)
    }

    /// The text with this number, which must exist.
    pub(crate) fn text(&self, id: u32) -> &str {
        let (start, len) = self.spans[id as usize];
        &self.text[start as usize..(start + len) as usize]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.spans.len()).map(|id| self.text(id as u32))
    }

    /// The slot that holds the text, or the free one where it belongs.
    #[inline]
    fn find(&self, token: &str, hash: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.id == FREE.id || (slot.hash == hash && self.text(slot.id) == token) {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let size = ((self.spans.len() + 1) * 4).next_power_of_two();
        self.slots.clear();
        self.slots.resize(size, FREE);
        for id in 0..self.spans.len() as u32 {
            let hash = hash(self.text(id));
            let at = self.find(self.text(id), hash);
            self.slots[at] = Slot { hash, id };
        }
    }
}

/// Eight bytes at a time, multiplied and folded.
#[inline]
fn hash(token: &str) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = token.len() as u64;
    let mut chunks = token.as_bytes().chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        state = fold(state ^ u64::from_le_bytes(word), FACTOR);
    }
    let tail = chunks
        .remainder()
        .iter()
        .fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    (fold(state ^ tail, FACTOR) >> 7) as u32
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ b.rotate_left(17)) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn it_is_a_map_in_order_of_arrival(tokens in proptest::collection::vec("[ab\u{e9}]{0,12}", 0..200)) {
            let mut dict = Dict::default();
            let mut model: HashMap<&str, u32> = HashMap::new();
            for token in &tokens {
                let next = model.len() as u32;
                let id = *model.entry(token).or_insert(next);
                prop_assert_eq!(dict.insert(token), Some(id));
            }
            prop_assert_eq!(dict.len(), model.len());
            for (token, id) in model {
                prop_assert_eq!(dict.get(token), Some(id));
                prop_assert_eq!(dict.text(id), token);
            }
            prop_assert_eq!(dict.get("zebra"), None);
        }
    }

    #[test]
    fn similar_texts_spread_over_the_table() {
        let mut low_bits = std::collections::HashSet::new();
        for i in 0..1000 {
            low_bits.insert(hash(&format!("value-{i}")) & 0xfff);
        }
        assert!(low_bits.len() > 800, "{}", low_bits.len());
    }
}
