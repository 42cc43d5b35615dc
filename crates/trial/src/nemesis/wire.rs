//! The messages of PostgreSQL, as far as they must be told apart: where each ends, which one is a
//! commit, and which transactions write facts down.

use std::collections::BTreeSet;
use std::ops::Range;

/// What a message of a client is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    /// To commit.
    Commit,
    /// Anything else.
    Other,
}

/// The bytes of one direction that were not passed on yet.
#[derive(Debug, Default)]
pub(super) struct Wire {
    pub(super) bytes: Vec<u8>,
    /// The first message of a client has no letter before its length.
    pub(super) is_greeting: bool,
}

impl Wire {
    /// Where the message that begins at `from` lies, if all of it is there, and its letter.
    pub(super) fn message(&mut self, from: usize) -> Option<(u8, Range<usize>)> {
        let head = usize::from(!self.is_greeting);
        let length = self.bytes.get(from + head..from + head + 4)?;
        let length = u32::from_be_bytes(length.try_into().ok()?);
        let end = from + head + usize::try_from(length).ok()?;
        let whole = self.bytes.get(from..end)?;
        let letter = if self.is_greeting { 0 } else { *whole.first()? };
        self.is_greeting = false;
        Some((letter, from..end))
    }

    /// The text of a message, behind its letter and its length.
    pub(super) fn body(&self, message: &Range<usize>) -> &[u8] {
        self.bytes
            .get(message.start + 5..message.end)
            .unwrap_or_default()
    }
}

/// What one connection is doing.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Prepared statements that write facts of runs.
    of_facts: BTreeSet<Vec<u8>>,
    /// The open transaction writes facts.
    facts: bool,
}

impl Watched {
    /// Sees a message of the client.
    pub(super) fn asked(&mut self, letter: u8, body: &[u8]) -> Asks {
        let mut words = body.split(|byte| *byte == 0);
        match letter {
            b'P' => {
                let name = words.next().unwrap_or_default();
                let text = words.next().unwrap_or_default();
                if text.starts_with(b"insert into oncely_facts") {
                    self.of_facts.insert(name.to_vec());
                }
            }
            b'B' => {
                let name = words.nth(1).unwrap_or_default();
                self.facts |= self.of_facts.contains(name);
            }
            b'Q' => {
                let text = words.next().unwrap_or_default();
                if text.eq_ignore_ascii_case(b"commit") {
                    return Asks::Commit;
                }
            }
            _ => {}
        }
        Asks::Other
    }

    /// Sees a message of the server; true when facts were committed.
    pub(super) fn answered(&mut self, letter: u8, body: &[u8]) -> bool {
        if letter != b'C' || !(body == b"COMMIT\0" || body == b"ROLLBACK\0") {
            return false;
        }
        std::mem::take(&mut self.facts) && body == b"COMMIT\0"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(letter: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[letter], &length.to_be_bytes()[..], body].concat()
    }

    fn asked(watched: &mut Watched, bytes: Vec<u8>) -> Asks {
        let mut wire = Wire {
            bytes,
            is_greeting: false,
        };
        let (letter, range) = wire.message(0).unwrap();
        let body = wire.body(&range).to_vec();
        watched.asked(letter, &body)
    }

    #[test]
    fn a_message_is_seen_when_all_of_it_is_there() {
        let bytes = message(b'Q', b"commit\0");
        let mut wire = Wire::default();
        for byte in &bytes {
            assert_eq!(wire.message(0), None);
            wire.bytes.push(*byte);
        }
        assert_eq!(wire.message(0), Some((b'Q', 0..12)));
        let mut greeting = Wire {
            bytes: vec![0, 0, 0, 8, 0, 3, 0, 0, b'Q'],
            is_greeting: true,
        };
        assert_eq!(greeting.message(0), Some((0, 0..8)));
        assert_eq!(greeting.message(8), None);
    }

    #[test]
    fn a_commit_of_facts_is_told_from_others() {
        let mut watched = Watched::default();
        let prepared = message(b'P', b"s7\0insert into oncely_facts (run)\0\0\0");
        assert_eq!(asked(&mut watched, prepared), Asks::Other);
        assert_eq!(
            asked(&mut watched, message(b'Q', b"commit\0")),
            Asks::Commit
        );
        assert!(!watched.answered(b'C', b"COMMIT\0"));
        asked(&mut watched, message(b'B', b"\0s7\0\0\0"));
        assert!(!watched.answered(b'C', b"INSERT 0 1\0"));
        assert!(watched.answered(b'C', b"COMMIT\0"));
        asked(&mut watched, message(b'B', b"\0s7\0\0\0"));
        assert!(!watched.answered(b'C', b"ROLLBACK\0"));
        assert!(!watched.answered(b'C', b"COMMIT\0"));
    }
}
