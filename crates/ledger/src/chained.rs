//! Facts as they are kept, and whether they are those of the run's chain.

use oncely_core::chain::Chain;
use oncely_core::fact::{Fact, Recorded};
use oncely_core::ids::ContentHash;
use oncely_core::ledger::{LedgerError, RunRow};
use oncely_core::sabotage::{self, Switch};
use oncely_core::time::Timestamp;
use serde::de::Error as _;
use serde_json::{Deserializer, Error};

/// Facts on their way into a row, with the chain that they make.
pub(crate) struct Written {
    /// A JSON list of them.
    pub(crate) body: String,
    /// The chain with them.
    pub(crate) chain: Chain,
}

/// Writes the facts of one operation.
pub(crate) fn write(
    mut chain: Chain,
    first: u64,
    at: Timestamp,
    facts: &[Fact],
) -> Result<Written, Error> {
    let mut body = Vec::with_capacity(256 * facts.len());
    body.push(b'[');
    for (seq, fact) in (first..).zip(facts) {
        if seq > first {
            body.push(b',');
        }
        let start = body.len();
        serde_json::to_writer(&mut body, fact)?;
        let hash = ContentHash::of(body.get(start..).unwrap_or_default());
        chain = chain.with(seq, at, hash);
    }
    body.push(b']');
    let body = String::from_utf8(body).map_err(Error::custom)?;
    Ok(Written { body, chain })
}

/// The chain with facts that are kept one by one.
pub(crate) fn follow(
    chain: Chain,
    first: u64,
    at: Timestamp,
    facts: &[Fact],
) -> Result<Chain, LedgerError> {
    write(chain, first, at, facts)
        .map(|written| written.chain)
        .map_err(|error| LedgerError::Invalid(format!("a fact cannot be written: {error}.")))
}

/// What stands before the hash of a fact whose data was removed.
const FORGOTTEN: &str = "{\"forgotten\":\"";

/// The hash that a fact had before its data was removed.
pub(crate) fn forgotten(bytes: &str) -> Option<ContentHash> {
    let rest = bytes.strip_prefix(FORGOTTEN)?;
    rest.get(..64).and_then(ContentHash::parse)
}

/// A fact as it is kept.
pub(crate) fn text(recorded: &Recorded) -> Result<String, Error> {
    let text = serde_json::to_string(&recorded.fact)?;
    Ok(match (recorded.forgotten, text.strip_prefix('{')) {
        (Some(hash), Some(rest)) => format!("{FORGOTTEN}{hash}\",{rest}"),
        _ => text,
    })
}

/// Facts that are read, with the chain that they make.
pub(crate) struct Reading {
    pub(crate) facts: Vec<Recorded>,
    /// Their hashes in the chain.
    pub(crate) hashes: Vec<ContentHash>,
    pub(crate) chain: Chain,
    /// What is left of facts that were forgotten, and whether that is what was left of them.
    left: Vec<u8>,
    is_left: bool,
}

impl Reading {
    /// No fact yet.
    pub(crate) fn of(beginning: Chain) -> Self {
        Self {
            facts: Vec::new(),
            hashes: Vec::new(),
            chain: beginning,
            left: Vec::new(),
            is_left: true,
        }
    }

    /// Reads a row with a JSON list of facts.
    pub(crate) fn row(&mut self, first: u64, at: Timestamp, body: &str) -> Result<(), Error> {
        let wrong = || Error::custom("not a list of facts");
        let mut seq = first;
        let mut rest = body.strip_prefix('[').ok_or_else(wrong)?;
        loop {
            let mut stream = Deserializer::from_str(rest).into_iter::<Fact>();
            let fact = stream.next().ok_or_else(wrong)??;
            let (bytes, behind) = rest.split_at(stream.byte_offset());
            self.fact(seq, at, bytes, fact);
            seq += 1;
            match behind.strip_prefix(',') {
                Some(more) => rest = more,
                None if behind == "]" => return Ok(()),
                None => return Err(wrong()),
            }
        }
    }

    /// One fact, with its bytes.
    pub(crate) fn fact(&mut self, seq: u64, at: Timestamp, bytes: &str, fact: Fact) {
        let forgotten = forgotten(bytes);
        let hash = forgotten.unwrap_or_else(|| ContentHash::of(bytes.as_bytes()));
        if forgotten.is_some() {
            self.left.extend_from_slice(bytes.as_bytes());
        }
        if let Fact::Forgotten { kept, .. } = &fact {
            self.is_left = ContentHash::of(&self.left) == *kept;
            self.left.clear();
        }
        self.chain = self.chain.with(seq, at, hash);
        self.hashes.push(hash);
        self.facts.push(Recorded {
            at,
            forgotten,
            fact,
        });
    }

    /// Whether these are the facts that were written: as many, and with the chain of the row. The
    /// event has to be that of the row, too.
    pub(crate) fn is(&self, row: &RunRow) -> bool {
        let as_many = self.facts.len() as u64 == row.seq;
        // What is left of forgotten facts is followed by the fact that says so.
        let is_left = self.is_left && self.left.is_empty();
        let same = as_many && is_left && self.chain == row.chain && row.has_its_event();
        same || sabotage::is_off(Switch::Chain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts() -> Vec<Fact> {
        let texts = [
            json!({"fact": "requested", "what": "start", "by": "a ] , [ b", "reason": "\u{1F600}"}),
            json!({"fact": "requested", "what": "pause", "by": "b", "reason": ""}),
        ];
        texts.map(|t| serde_json::from_value(t).unwrap()).into()
    }

    #[test]
    fn what_is_written_is_read_with_the_same_chain_however_it_is_cut() {
        let (facts, at) = (facts(), Timestamp(9));
        let beginning = Chain([3; 16]);
        let both = write(beginning, 0, at, &facts).unwrap();
        let one = write(beginning, 0, at, &facts[..1]).unwrap();
        let two = write(one.chain, 1, at, &facts[1..]).unwrap();
        assert_eq!(both.chain, two.chain);
        let mut reading = Reading::of(beginning);
        reading.row(0, at, &both.body).unwrap();
        assert_eq!((reading.facts.len(), reading.chain), (2, both.chain));
        let mut reading = Reading::of(beginning);
        reading.row(0, at, &one.body).unwrap();
        reading.row(1, at, &two.body).unwrap();
        assert_eq!((reading.facts.len(), reading.chain), (2, both.chain));
        let read: Vec<Fact> = reading.facts.into_iter().map(|r| r.fact).collect();
        assert_eq!(read, facts);
    }

    #[test]
    fn a_row_that_is_no_list_of_facts_is_an_error() {
        for body in ["", "[", "[]", "{}", "[{\"fact\":\"no such\"}]"] {
            let read = Reading::of(Chain::default()).row(0, Timestamp(0), body);
            assert!(read.is_err(), "{body}");
        }
        let one = write(Chain::default(), 0, Timestamp(0), &facts()[..1]).unwrap();
        for body in [&one.body[..one.body.len() - 1], &format!("{} ", one.body)] {
            let read = Reading::of(Chain::default()).row(0, Timestamp(0), body);
            assert!(read.is_err(), "{body}");
        }
    }
}
