//! A write-ahead log that lost what was on the disk is known before SQLite looks at it: what was copied
//! back of the lost part would stand beside what was there before it.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use insta::assert_snapshot;
use oncely_core::ids::RunId;
use oncely_core::ledger::LedgerError;
use oncely_ledger::conformance::stage::{admit, apply, began, facts, run, unit};
use oncely_ledger::{Options, SqliteLedger, back_up};
use std::path::Path;
use tempfile::TempDir;

const FILES: [&str; 3] = ["ledger.db", "ledger.db-wal", "ledger.db-head"];

/// A ledger of a killed process: its last commits were copied back from the log, which is still there.
struct Killed {
    files: Vec<Vec<u8>>,
    /// Bytes of a frame.
    frame: usize,
}

impl Killed {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let ledger = folder.path().join("ledger.db");
        let options = Options {
            create: true,
            checkpoint: 30,
            ..Options::new("test")
        };
        let ledger_open = SqliteLedger::open(&ledger, options).unwrap();
        let database = || std::fs::read(&ledger).unwrap();
        run(async {
            apply(&ledger_open, admit("first")).await;
            let begun = facts(RunId(1), 1, vec![began()]);
            let before = database();
            let mut more = 0;
            while database() == before {
                apply(&ledger_open, admit(&format!("{more}"))).await;
                more += 1;
                if more == 3 {
                    apply(&ledger_open, unit(vec![], vec![begun.clone()])).await;
                }
            }
            assert!(more > 3, "{more}");
        });
        ledger_open.mark_log().unwrap();
        let read = |name| std::fs::read(folder.path().join(name)).unwrap();
        let files: Vec<Vec<u8>> = FILES.into_iter().map(read).collect();
        let page = u32::from_be_bytes(*files[1][8..].first_chunk().unwrap());
        Self {
            files,
            frame: usize::try_from(page).unwrap() + 24,
        }
    }

    /// The frames of the log that its last commit ended with.
    fn frames(&self) -> usize {
        let head = String::from_utf8(self.files[2].clone()).unwrap();
        let line = head.lines().find(|line| line.starts_with("log ")).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// The same files elsewhere, with a log that is this instead.
    fn with_log(&self, log: &[u8]) -> TempDir {
        let folder = TempDir::new().unwrap();
        for (name, content) in FILES.iter().zip(&self.files) {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        std::fs::write(folder.path().join(FILES[1]), log).unwrap();
        folder
    }

    /// Each log that has lost one of its frames, by a bit or at its end.
    fn damaged(&self) -> Vec<Vec<u8>> {
        let log = &self.files[1];
        let places = (0..self.frames()).map(|frame| 32 + frame * self.frame);
        let flipped = |at: usize| {
            let mut log = log.clone();
            log[at + 24 + 100] ^= 4;
            log
        };
        places
            .flat_map(|at| [flipped(at), log[..at].to_vec(), log[..at + 200].to_vec()])
            .collect()
    }
}

fn open(folder: &Path, may_be_short: bool) -> Result<SqliteLedger, LedgerError> {
    let options = Options {
        may_be_behind: may_be_short,
        may_be_short,
        checkpoint: 30,
        ..Options::new("test")
    };
    SqliteLedger::open(&folder.join("ledger.db"), options)
}

fn without_numbers(said: &str, folder: &Path) -> String {
    let said = said.replace(&folder.display().to_string(), "FOLDER");
    let mut words = String::new();
    for letter in said.chars() {
        match letter.is_ascii_digit() {
            false => words.push(letter),
            true if words.ends_with('N') => {}
            true => words.push('N'),
        }
    }
    words
}

#[test]
fn a_log_that_lost_any_page_of_a_commit_is_refused_and_left_as_it_is() {
    let killed = Killed::new();
    let whole = killed.with_log(&killed.files[1]);
    open(whole.path(), false).unwrap();
    let mut said = String::new();
    for log in killed.damaged() {
        let folder = killed.with_log(&log);
        said = open(folder.path(), false).err().unwrap().to_string();
        let copy = folder.path().join("copy.db");
        let backed_up = back_up(&folder.path().join("ledger.db"), &copy, false);
        assert_eq!(backed_up.unwrap_err().to_string(), said);
        said = without_numbers(&said, folder.path());
        for (name, before) in [(FILES[0], &killed.files[0]), (FILES[1], &log)] {
            assert!(&std::fs::read(folder.path().join(name)).unwrap() == before);
        }
    }
    assert_snapshot!(said);
}

#[test]
fn who_goes_on_with_it_all_the_same_gets_a_ledger_that_is_whole_or_hears_that_it_is_not() {
    let killed = Killed::new();
    let (mut mixtures, mut said, mut behind) = (0, String::new(), 0);
    for log in killed.damaged() {
        let folder = killed.with_log(&log);
        match open(folder.path(), true) {
            Err(error) => {
                mixtures += 1;
                said = without_numbers(&error.to_string(), folder.path());
                assert!(std::fs::read(folder.path().join(FILES[1])).unwrap() == log);
                assert!(open(folder.path(), false).is_err());
            }
            Ok(ledger) => {
                assert!(ledger.behind().unwrap().is_some());
                assert_eq!(ledger.verify().unwrap().findings, [""; 0]);
                ledger.take_as_it_is().unwrap();
                assert_eq!(ledger.behind().unwrap(), None);
                drop(ledger);
                open(folder.path(), false).unwrap();
                behind += 1;
            }
        }
    }
    assert!(mixtures > 3 && behind > 3, "{mixtures} {behind}");
    assert_snapshot!(said.split(':').next().unwrap());
}

#[test]
fn the_next_log_in_the_same_file_and_one_that_was_copied_back_are_not_missed() {
    let killed = Killed::new();
    // Copied back and cut by who closed it last, without this program.
    let folder = killed.with_log(&[]);
    open(folder.path(), false).unwrap();
    // The head is of the log before.
    let folder = killed.with_log(&killed.files[1]);
    let ledger = open(folder.path(), false).unwrap();
    let head = std::fs::read(folder.path().join(FILES[2])).unwrap();
    run(async {
        for n in 0..30 {
            apply(&ledger, admit(&format!("later {n}"))).await;
        }
    });
    let log = std::fs::read(folder.path().join(FILES[1])).unwrap();
    assert!(log[16..24] != killed.files[1][16..24]);
    let copy = killed.with_log(&log);
    std::fs::write(copy.path().join(FILES[2]), head).unwrap();
    let database = std::fs::read(folder.path().join(FILES[0])).unwrap();
    std::fs::write(copy.path().join(FILES[0]), database).unwrap();
    open(copy.path(), false).unwrap();
}
