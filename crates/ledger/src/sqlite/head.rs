//! The head of a ledger: a small file beside it that says how far it had come, so that one whose end
//! was lost, or in whose place an older copy was put, is known before anything is done.
//!
//! It says less than the ledger does, never more: each line of it was true of something committed.
//! Several processes add to it, and nothing of it goes back.

use super::holders::new_id;
use super::place::with_ending;
use crate::clock::boot_id;
use oncely_vfs::Mark;
use rusqlite::Connection;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What a head begins with.
const FIRST: &str = "oncely head 1";
/// Runs that moved last, of which a head tells how far.
const MOVED: usize = 32;
/// Most bytes of a head.
const MOST: u64 = 8 * 1024;

/// How far a ledger had come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// The name of the ledger.
    pub(crate) ledger: String,
    /// Chosen anew whenever somebody says that the ledger is what it is: who knows another one does not
    /// add to this head any more.
    pub(crate) term: i64,
    /// The highest number of a run.
    pub(crate) runs: i64,
    /// How far the write-ahead log had come on the disk.
    pub(crate) log: Option<Mark>,
    /// Runs that moved last, and how often each had moved.
    pub(crate) moved: Vec<(i64, i64)>,
}

/// What is beside a ledger.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    Head(Head),
    Nothing,
    /// Something that is no head, or not whole.
    Broken,
}

/// Where the head of a ledger is.
pub(crate) fn path(ledger: &Path) -> PathBuf {
    with_ending(ledger, "-head")
}

impl Head {
    /// The head of a ledger as it is.
    pub(crate) fn of(conn: &Connection, ledger: &str) -> rusqlite::Result<Self> {
        let text = "select coalesce(max(id), 0) from oncely_runs";
        let runs = conn.query_row(text, [], |row| row.get(0))?;
        let text = "select id, moves from oncely_runs order by changed desc, id desc limit ?1";
        let moved = conn
            .prepare(text)?
            .query_map([i64::try_from(MOVED).unwrap_or(i64::MAX)], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self {
            ledger: ledger.to_owned(),
            term: new_id(&boot_id()).0,
            runs,
            log: None,
            moved,
        })
    }

    /// Adds what another process knows, or this one knows now.
    pub(crate) fn add(&mut self, runs: i64, log: Option<Mark>, moved: Option<(i64, i64)>) {
        self.runs = self.runs.max(runs);
        let further = |log: &Mark| {
            let known = self.log.filter(|known| known.salts == log.salts);
            known.is_none_or(|known| known.frames < log.frames)
        };
        self.log = log.filter(further).or(self.log);
        let Some((run, moves)) = moved else { return };
        let known = self.moved.iter().position(|(id, _)| *id == run);
        let before = known.map_or(0, |place| self.moved.remove(place).1);
        self.moved.insert(0, (run, moves.max(before)));
        self.moved.truncate(MOVED);
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{FIRST}\nledger {}\nterm {}\nruns {}\n",
            self.ledger, self.term, self.runs
        );
        if let Some(Mark { salts, frames }) = self.log {
            let salts = u64::from_be_bytes(salts);
            text.push_str(&format!("log {salts:016x} {frames}\n"));
        }
        for (run, moves) in &self.moved {
            text.push_str(&format!("moved {run} {moves}\n"));
        }
        text.push_str(&format!("check {}\n", blake3::hash(text.as_bytes())));
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let (said, check) = text.strip_suffix('\n')?.rsplit_once("\ncheck ")?;
        let said = format!("{said}\n");
        if blake3::hash(said.as_bytes()).to_hex().as_str() != check {
            return None;
        }
        let mut lines = said.lines();
        if lines.next()? != FIRST {
            return None;
        }
        let mut word = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let ledger = word("ledger")?.to_owned();
        let term = word("term")?.parse().ok()?;
        let runs = word("runs")?.parse().ok()?;
        let mut lines = lines.peekable();
        let log = match lines.next_if(|line| line.starts_with("log ")) {
            Some(line) => Some(mark(line)?),
            None => None,
        };
        let moved = |line: &str| {
            let (run, moves) = line.strip_prefix("moved ")?.split_once(' ')?;
            Some((run.parse().ok()?, moves.parse().ok()?))
        };
        let moved = lines.map(moved).collect::<Option<_>>()?;
        Some(Self {
            ledger,
            term,
            runs,
            log,
            moved,
        })
    }
}

fn mark(line: &str) -> Option<Mark> {
    let (salts, frames) = line.strip_prefix("log ")?.split_once(' ')?;
    Some(Mark {
        salts: u64::from_str_radix(salts, 16).ok()?.to_be_bytes(),
        frames: frames.parse().ok()?,
    })
}

/// Reads the head of a ledger.
pub(crate) fn read(ledger: &Path) -> io::Result<Beside> {
    let path = path(ledger);
    let bytes = match std::fs::metadata(&path) {
        Ok(found) if found.len() > MOST => return Ok(Beside::Broken),
        Ok(_) => std::fs::read(&path),
        Err(error) => Err(error),
    };
    match bytes {
        Ok(bytes) => {
            let text = String::from_utf8(bytes).ok();
            let head = text.and_then(|text| Head::parse(&text));
            Ok(head.map_or(Beside::Broken, Beside::Head))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Beside::Nothing),
        Err(error) => Err(error),
    }
}

/// Changes the head of a ledger, one process after the other: what is there is given, and what is to be
/// there is asked for.
pub(crate) fn change(ledger: &Path, change: impl FnOnce(Beside) -> Option<Head>) -> io::Result<()> {
    let lock = private(&with_ending(ledger, "-head-lock"))?;
    loop {
        match flock(&lock, FlockOperation::LockExclusive) {
            Ok(()) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The lock is let go with the file.
    match change(read(ledger)?) {
        Some(head) => write(ledger, &head),
        None => Ok(()),
    }
}

/// Puts another head in the place of the one that is there, in one step.
fn write(ledger: &Path, head: &Head) -> io::Result<()> {
    let writing = with_ending(ledger, "-head-writing");
    let mut file = private(&writing)?;
    file.set_len(0)?;
    file.write_all(head.text().as_bytes())?;
    // It is never half there. Where its new name is lost with the power, the one before says less.
    file.sync_data()?;
    std::fs::rename(&writing, path(ledger))
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            ledger: "0123456789ab".into(),
            term: 7,
            runs: 512,
            log: Some(Mark {
                salts: [7; 8],
                frames: 40,
            }),
            moved: vec![(512, 3), (498, 12)],
        }
    }

    #[test]
    fn a_head_is_read_as_it_was_written_and_nothing_else_is_one() {
        let text = head().text();
        assert_eq!(Head::parse(&text), Some(head()));
        for place in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[place] ^= 1;
            let other = String::from_utf8(other).unwrap();
            assert_eq!(Head::parse(&other), None, "{other}");
            assert_eq!(Head::parse(&text[..place]), None, "{place}");
        }
    }

    fn log(salts: [u8; 8], frames: u32) -> Option<Mark> {
        Some(Mark { salts, frames })
    }

    #[test]
    fn nothing_of_a_head_goes_back() {
        let mut head = head();
        head.add(400, log([7; 8], 39), Some((498, 5)));
        assert_eq!((head.runs, head.moved[0]), (512, (498, 12)));
        assert_eq!(head.log, log([7; 8], 40));
        head.add(400, log([7; 8], 41), None);
        assert_eq!(head.log, log([7; 8], 41));
        // The next log in the same file begins anew.
        head.add(400, log([8; 8], 2), None);
        assert_eq!(head.log, log([8; 8], 2));
        for run in 1000..1100 {
            head.add(run, None, Some((run, 1)));
        }
        assert_eq!(head.log, log([8; 8], 2));
        assert_eq!((head.runs, head.moved.len()), (1099, MOVED));
        assert_eq!(head.moved[0], (1099, 1));
    }

    #[test]
    fn heads_are_changed_one_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger.db");
        std::thread::scope(|scope| {
            for thread in 0..8_i64 {
                let ledger = &ledger;
                scope.spawn(move || {
                    for run in 0..20 {
                        change(ledger, |found| {
                            let mut next = match found {
                                Beside::Head(head) => head,
                                Beside::Nothing => Head {
                                    runs: 0,
                                    log: None,
                                    moved: vec![],
                                    ..head()
                                },
                                Beside::Broken => panic!("half a head"),
                            };
                            next.add(20 * thread + run, None, Some((thread, run)));
                            Some(next)
                        })
                        .unwrap();
                    }
                });
            }
        });
        let Beside::Head(head) = read(&ledger).unwrap() else {
            panic!("no head");
        };
        assert_eq!(head.runs, 159);
        let mut moved = head.moved;
        moved.sort_unstable();
        let all: Vec<_> = (0..8).map(|thread| (thread, 19)).collect();
        assert_eq!(moved, all);
    }
}
