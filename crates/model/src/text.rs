//! Cells and words: trimming, missing values, numbers, and the word transformations of recipes.

/// The cell without spaces around it; `?` and blank become the empty text, which means missing.
#[inline]
pub(crate) fn clean(cell: &str) -> &str {
    let cell = trim(cell);
    if cell == "?" { "" } else { cell }
}

/// `str::trim`, with a short way out for the common case of nothing to trim.
#[inline]
pub(crate) fn trim(cell: &str) -> &str {
    match cell.as_bytes() {
        [] => cell,
        [first, .., last] if is_plain(*first) && is_plain(*last) => cell,
        [only] if is_plain(*only) => cell,
        _ => cell.trim(),
    }
}

#[inline]
fn is_plain(byte: u8) -> bool {
    byte > b' ' && byte < 0x7f
}

/// Powers of ten that `f64` holds exactly.
const EXACT_POWERS: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// A finite number, or nothing. Short decimals take a fast way that rounds as the standard one does:
/// digits below 2^53 divided by an exact power of ten are correctly rounded.
#[inline]
pub(crate) fn number(cell: &str) -> Option<f64> {
    short_decimal(cell.as_bytes())
        .or_else(|| cell.parse::<f64>().ok())
        .filter(|value| value.is_finite())
}

#[inline]
fn short_decimal(bytes: &[u8]) -> Option<f64> {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let mut value = 0u64;
    let mut point = None;
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => value = value * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() && digits.len() > 1 => point = Some(at),
            _ => return None,
        }
    }
    let places = point.map_or(0, |at| digits.len() - at - 1);
    let value = value as f64 / EXACT_POWERS.get(places)?;
    Some(if negative { -value } else { value })
}

/// Appends the text in lower case.
pub(crate) fn push_lowercase(text: &str, out: &mut String) {
    if text.is_ascii() {
        let start = out.len();
        out.push_str(text);
        if let Some(added) = out.get_mut(start..) {
            added.make_ascii_lowercase();
        }
    } else {
        out.extend(text.chars().flat_map(char::to_lowercase));
    }
}

/// Appends the words of the text without the punctuation before and after each; words of nothing
/// but punctuation go, punctuation inside a word stays.
pub(crate) fn push_no_punct(text: &str, out: &mut String) {
    let start = out.len();
    for word in text.split_whitespace() {
        let bare = word.trim_matches(is_punctuation);
        if bare.is_empty() {
            continue;
        }
        if out.len() > start {
            out.push(' ');
        }
        out.push_str(bare);
    }
}

fn is_punctuation(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_punctuation()
    } else {
        !c.is_alphanumeric() && !c.is_whitespace()
    }
}

/// A list of short texts in one buffer, reused from record to record.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tokens {
    text: String,
    ends: Vec<usize>,
}

impl Tokens {
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn push(&mut self, token: &str) {
        self.push_with(|text| text.push_str(token));
    }

    pub(crate) fn push_with(&mut self, write: impl FnOnce(&mut String)) {
        write(&mut self.text);
        self.ends.push(self.text.len());
    }

    pub(crate) fn get(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.text[start..self.ends[at]]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| self.get(at))
    }
}

/// Every run of one to `size` words.
pub(crate) fn push_ngrams(words: &Tokens, size: usize, out: &mut Tokens) {
    for first in 0..words.len() {
        for last in first..words.len().min(first + size) {
            out.push_with(|text| {
                for at in first..=last {
                    if at > first {
                        text.push(' ');
                    }
                    text.push_str(words.get(at));
                }
            });
        }
    }
}

/// Orthogonal sparse bigrams: the first word of each window with each later word in it, joined by as
/// many underscores as the one is words away from the other.
pub(crate) fn push_osb(words: &Tokens, window: usize, out: &mut Tokens) {
    for first in 0..words.len() {
        for last in first + 1..words.len().min(first + window) {
            out.push_with(|text| {
                text.push_str(words.get(first));
                text.extend(std::iter::repeat_n('_', last - first));
                text.push_str(words.get(last));
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Tokens {
        let mut tokens = Tokens::default();
        text.split_whitespace().for_each(|word| tokens.push(word));
        tokens
    }

    #[test]
    fn blank_and_question_mark_are_missing() {
        for cell in ["", "  ", "?", " ? ", "\t?\n", "\u{a0}?"] {
            assert_eq!(clean(cell), "", "{cell:?}");
        }
        assert_eq!(clean(" a b "), "a b");
        assert_eq!(clean("??"), "??");
    }

    #[test]
    fn ngrams_are_runs_of_words_up_to_the_size() {
        let mut out = Tokens::default();
        push_ngrams(&words("I really enjoyed"), 2, &mut out);
        let got: Vec<&str> = out.iter().collect();
        assert_eq!(
            got,
            ["I", "I really", "really", "really enjoyed", "enjoyed"]
        );
    }

    #[test]
    fn osb_joins_the_first_word_of_a_window_with_the_others() {
        let mut out = Tokens::default();
        push_osb(&words("The quick brown fox"), 3, &mut out);
        let got: Vec<&str> = out.iter().collect();
        assert_eq!(
            got,
            [
                "The_quick",
                "The__brown",
                "quick_brown",
                "quick__fox",
                "brown_fox"
            ]
        );
    }

    #[test]
    fn punctuation_goes_from_the_ends_of_words_only() {
        let mut out = String::from("kept ");
        push_no_punct("Welcome to AML - please fasten your seat-belts!", &mut out);
        assert_eq!(out, "kept Welcome to AML please fasten your seat-belts");
    }

    #[test]
    fn numbers_that_are_not_finite_are_no_numbers() {
        for cell in ["nan", "inf", "-", ".", "1.2.3", "1e999", "12a", ""] {
            assert_eq!(number(cell), None, "{cell}");
        }
        assert_eq!(number("-0.5"), Some(-0.5));
        assert_eq!(number("1e3"), Some(1000.0));
        assert_eq!(number("+7"), Some(7.0));
    }

    proptest! {
        #[test]
        fn the_fast_number_is_the_standard_number(text in "-?[0-9]{0,12}\\.?[0-9]{0,12}") {
            let standard = text.parse::<f64>().ok();
            prop_assert_eq!(number(&text).map(f64::to_bits), standard.map(f64::to_bits));
        }

        #[test]
        fn trimming_is_the_standard_trimming(text in "\\PC{0,6}|[ \t\u{a0}a?]{0,6}") {
            prop_assert_eq!(trim(&text), text.trim());
        }
    }
}
