//! What a `put` step writes.

use crate::place::Place;
use oncely_core::Value;
use oncely_core::action::Failure;
use oncely_core::ids::ContentHash;
use std::io::{self, Read, Write};

/// What is written.
pub(crate) enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What this file holds.
    File(Place),
}

/// How much was written, and its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) bytes: u64,
    pub(crate) hash: ContentHash,
}

impl Content {
    /// A value as people read it, and the same bytes each time.
    pub(crate) fn json(value: &Value) -> Self {
        Self::Bytes(format!("{value:#}\n").into_bytes())
    }

    /// Opens it for one reading.
    pub(crate) fn open(&self) -> Result<Box<dyn Read + '_>, Failure> {
        Ok(match self {
            Self::Bytes(bytes) => Box::new(bytes.as_slice()),
            Self::File(place) => {
                let file = place.open_file()?;
                let plain = file.metadata().is_ok_and(|meta| meta.is_file());
                if !plain {
                    return Err(Failure::permanent(format!(
                        "{} is no file that could be copied",
                        place.path().display()
                    )));
                }
                Box::new(file)
            }
        })
    }
}

/// Copies everything and sums it up on the way.
pub(crate) fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<Sum> {
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let read = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => chunk.get(..read).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(read);
        to.write_all(read)?;
        bytes += read.len() as u64;
    }
    Ok(Sum {
        bytes,
        hash: ContentHash(*hasher.finalize().as_bytes()),
    })
}
