//! Keeping the beginning and the end of a text of any length, within the bound of an output.

use crate::secret::Veil;
use oncely_core::limits::OUTPUT_BYTES;
use std::collections::VecDeque;

/// Bytes of an output that are left for what stands around its texts.
const AROUND_BYTES: usize = 1024;
/// Bytes that the line about what was left out may take.
const LINE_BYTES: usize = 64;

/// Bytes of JSON that the texts of an output may take.
pub(crate) const TEXT_BYTES: usize = OUTPUT_BYTES - AROUND_BYTES;

/// The first and the last bytes of a stream; what lies between is counted and forgotten.
#[derive(Debug)]
pub(crate) struct Kept {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    half: usize,
    total: u64,
}

impl Kept {
    /// Keeps at most `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            head: Vec::new(),
            tail: VecDeque::new(),
            half: bytes / 2,
            total: 0,
        }
    }

    /// Takes the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let room = self.half.saturating_sub(self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.head.extend_from_slice(first);
        let last = rest.len().saturating_sub(self.half);
        self.tail.extend(rest.iter().skip(last));
        let over = self.tail.len().saturating_sub(self.half);
        self.tail.drain(..over);
    }

    /// Everything, when nothing had to be left out.
    pub(crate) fn whole(&self) -> Option<Vec<u8>> {
        (self.left_out() == 0).then(|| {
            let mut all = self.head.clone();
            all.extend(&self.tail);
            all
        })
    }

    /// What is kept, as text without secrets.
    pub(crate) fn excerpt(&self, veil: &Veil) -> Excerpt {
        if let Some(whole) = self.whole() {
            return Excerpt::whole(veil.text(&String::from_utf8_lossy(&whole)));
        }
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        Excerpt {
            head: veil.head(String::from_utf8_lossy(&self.head).trim_end_matches('\u{fffd}')),
            tail: veil.tail(String::from_utf8_lossy(&tail).trim_start_matches('\u{fffd}')),
            left_out: self.left_out(),
        }
    }

    fn left_out(&self) -> u64 {
        self.total - (self.head.len() + self.tail.len()) as u64
    }
}

/// The beginning and the end of a text, and how much was left out between them.
#[derive(Debug, Clone)]
pub(crate) struct Excerpt {
    head: String,
    tail: String,
    left_out: u64,
}

impl Excerpt {
    /// A text of which nothing is left out.
    pub(crate) fn whole(text: String) -> Self {
        Self {
            head: text,
            tail: String::new(),
            left_out: 0,
        }
    }

    /// The last line that says something.
    pub(crate) fn last_line(&self) -> Option<&str> {
        let lines = self.tail.lines().rev().chain(self.head.lines().rev());
        lines.map(str::trim).find(|line| !line.is_empty())
    }

    /// The text, shortened in its middle until it takes at most `budget` bytes of JSON.
    pub(crate) fn fit(&self, budget: usize) -> String {
        let text = self.render();
        if json_bytes(&text) <= budget {
            return text;
        }
        let half = budget.saturating_sub(LINE_BYTES) / 2;
        let end = if self.left_out == 0 {
            &self.head
        } else {
            &self.tail
        };
        let (head, tail) = (first(&self.head, half), last(end, half));
        let kept = head.len() + tail.len();
        let left_out = self.left_out + (self.head.len() + self.tail.len() - kept) as u64;
        Self {
            head: head.to_owned(),
            tail: tail.to_owned(),
            left_out,
        }
        .render()
    }

    fn render(&self) -> String {
        match self.left_out {
            0 => format!("{}{}", self.head, self.tail),
            bytes => format!("{}\n… {bytes} bytes left out …\n{}", self.head, self.tail),
        }
    }
}

/// Bytes that a text takes inside a JSON string.
pub(crate) fn json_bytes(text: &str) -> usize {
    text.bytes().map(json_byte).sum()
}

fn json_byte(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    }
}

/// The longest beginning that takes at most `budget` bytes of JSON.
pub(crate) fn first(text: &str, budget: usize) -> &str {
    let mut bytes = 0;
    let end = text.char_indices().find_map(|(at, character)| {
        bytes += json_char(character);
        (bytes > budget).then_some(at)
    });
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// The longest end that takes at most `budget` bytes of JSON.
fn last(text: &str, budget: usize) -> &str {
    let mut bytes = 0;
    let start = text.char_indices().rev().find_map(|(at, character)| {
        bytes += json_char(character);
        (bytes > budget).then_some(at + character.len_utf8())
    });
    text.get(start.unwrap_or(0)..).unwrap_or_default()
}

fn json_char(character: char) -> usize {
    match character.len_utf8() {
        1 => json_byte(character as u8),
        bytes => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(kept: &Kept) -> Excerpt {
        kept.excerpt(&Veil::default())
    }

    #[test]
    fn a_short_text_is_kept_whole() {
        let mut kept = Kept::new(10);
        kept.push(b"hello");
        kept.push(b"world");
        assert_eq!(kept.whole().unwrap(), b"helloworld");
        assert_eq!(excerpt(&kept).fit(100), "helloworld");
    }

    #[test]
    fn a_long_text_keeps_its_ends_and_says_what_is_missing() {
        let mut kept = Kept::new(10);
        for chunk in [&b"abc"[..], b"defgh", b"ijklmnopqrstuvwxyz"] {
            kept.push(chunk);
        }
        assert_eq!(kept.whole(), None);
        assert_eq!(
            excerpt(&kept).fit(1000),
            "abcde\n… 16 bytes left out …\nvwxyz"
        );
    }

    #[test]
    fn texts_fit_their_budget_as_json() {
        let nasty = "\u{1}\"ä\n".repeat(1000);
        for budget in [200, 500, 3000] {
            let text = Excerpt::whole(nasty.clone()).fit(budget);
            assert!(json_bytes(&text) <= budget, "{budget}");
            assert_eq!(
                json_bytes(&text) + 2,
                serde_json::to_string(&text).unwrap().len()
            );
            assert!(text.contains("bytes left out"), "{text}");
        }
    }

    #[test]
    fn a_cut_never_falls_into_a_character() {
        let mut kept = Kept::new(4);
        kept.push("aä…ö…äö".as_bytes());
        assert!(!excerpt(&kept).fit(1000).contains('\u{fffd}'));
    }

    #[test]
    fn the_last_line_is_the_last_that_says_something() {
        let text = Excerpt::whole("one\ntwo\n\n".into());
        assert_eq!(text.last_line(), Some("two"));
        assert_eq!(Excerpt::whole(String::new()).last_line(), None);
    }
}
