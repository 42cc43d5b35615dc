//! A ledger that is not as far as it had come is known before anything is done.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use insta::assert_snapshot;
use oncely_core::fact::{End, Fact};
use oncely_core::ids::RunId;
use oncely_core::items::Progress;
use oncely_core::ledger::{Ledger as _, LedgerError, Op, Unit};
use oncely_core::run::RunStatus;
use oncely_core::time::Timestamp;
use oncely_ledger::conformance::pruning::{part, whole};
use oncely_ledger::conformance::stage::{
    admit, admitted, apply, began, ended, facts, run, stand, unit,
};
use oncely_ledger::{Options, SqliteLedger, back_up, migrate, restore};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn options() -> Options {
    Options {
        create: true,
        ..Options::new("test")
    }
}

struct Place {
    folder: TempDir,
    ledger: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("ledger.db");
        Self { folder, ledger }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn head(&self) -> PathBuf {
        self.file("ledger.db-head")
    }

    fn open(&self) -> SqliteLedger {
        SqliteLedger::open(&self.ledger, options()).unwrap()
    }

    fn try_open(&self) -> Result<(), LedgerError> {
        SqliteLedger::open(&self.ledger, options()).map(drop)
    }

    /// Why it is not opened, without what differs from time to time.
    fn refused(&self) -> String {
        let said = self.try_open().unwrap_err().to_string();
        said.replace(&self.folder.path().display().to_string(), "FOLDER")
    }

    /// Applies units one after the other, and closes the ledger.
    fn applied(&self, units: Vec<Unit>) {
        let ledger = self.open();
        run(async {
            for unit in units {
                apply(&ledger, unit).await;
            }
        });
    }

    /// Copies the file by hand; it is closed.
    fn copied(&self, name: &str) -> PathBuf {
        let copy = self.file(name);
        std::fs::copy(&self.ledger, &copy).unwrap();
        copy
    }

    /// Puts a file into the ledger's place by hand.
    fn put(&self, copy: &Path) {
        std::fs::copy(copy, &self.ledger).unwrap();
    }
}

#[test]
fn an_older_copy_in_its_place_is_refused_and_the_right_one_is_taken() {
    let place = Place::new();
    place.applied(vec![admit("a")]);
    let older = place.copied("older");
    place.applied(vec![admit("b"), admit("c")]);
    let newer = place.copied("newer");
    place.put(&older);
    assert_snapshot!(place.refused(), @r#"the ledger FOLDER/ledger.db is not as far as it had come: run 3 was admitted, and the last one that it knows of is 1. An older copy was put in its place, or its end was lost. Nothing was run, and nothing was changed. If the right file is at hand, put it back. To go on with this one all the same: `oncely ledger repair --reason "…"`, which says what that means."#);
    assert_eq!(
        std::fs::read(&place.ledger).unwrap(),
        std::fs::read(&older).unwrap()
    );
    place.put(&newer);
    place.try_open().unwrap();
    // What is older than the head says no more than the ledger knows.
    place.applied(vec![admit("d")]);
    place.put(&newer);
    assert!(
        place
            .refused()
            .contains("run 4 was admitted, and the last one that it knows of is 3")
    );
}

#[test]
fn whatever_was_recorded_of_a_run_since_is_missed() {
    let items = Op::Items {
        run: RunId(1),
        step: "score".into(),
        progress: Progress {
            next: 7,
            done: 7,
            ..Progress::default()
        },
        set_aside: vec![],
    };
    for more in [facts(RunId(1), 1, vec![began()]), items] {
        let place = Place::new();
        place.applied(vec![admit("a")]);
        let older = place.copied("older");
        place.applied(vec![unit(vec![], vec![more])]);
        place.put(&older);
        let said = place.refused();
        assert!(
            said.contains("run 1 had come further than it knows of"),
            "{said}"
        );
    }
}

#[test]
fn what_has_gone_or_is_another_is_refused_too() {
    let place = Place::new();
    place.applied(vec![admit("a")]);
    let other = Place::new();
    other.applied(vec![admit("a"), admit("b")]);
    place.put(&other.ledger);
    let said = place.refused();
    assert!(
        said.contains("the ledger here was ") && said.contains(", and this one is "),
        "{said}"
    );
    std::fs::write(&place.ledger, "").unwrap();
    assert!(place.refused().contains("ledger.db is gone"));
    std::fs::remove_file(&place.ledger).unwrap();
    assert_snapshot!(place.refused(), @"the ledger FOLDER/ledger.db is gone: FOLDER/ledger.db-head says that one with runs up to 1 was here. Nothing was run, and no other was made, which would do everything again. Put it back, from a backup with `oncely ledger restore FILE`; or delete FOLDER/ledger.db-head to begin with nothing known.");
    assert!(!place.ledger.exists());
    std::fs::remove_file(place.head()).unwrap();
    place.try_open().unwrap();
}

#[test]
fn a_head_that_is_missing_or_broken_is_made_anew() {
    let place = Place::new();
    place.applied(vec![admit("a")]);
    for broken in [None, Some("nonsense"), Some("")] {
        match broken {
            Some(text) => std::fs::write(place.head(), text).unwrap(),
            None => std::fs::remove_file(place.head()).unwrap(),
        }
        place.try_open().unwrap();
        let head = std::fs::read_to_string(place.head()).unwrap();
        assert!(head.contains("\nruns 1\nmoved 1 1\ncheck "), "{head}");
        let mode = place.head().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_head_is_written_while_the_ledger_is_open() {
    let place = Place::new();
    let ledger = place.open();
    run(async {
        admitted(&ledger, admit("a")).await;
        let since = Instant::now();
        while !std::fs::read_to_string(place.head())
            .unwrap()
            .contains("\nruns 1\n")
        {
            assert!(since.elapsed() < Duration::from_secs(60), "no head");
            std::thread::yield_now();
        }
    });
}

#[test]
fn of_several_that_close_at_different_times_none_takes_the_head_back() {
    let place = Place::new();
    let (first, second) = (place.open(), place.open());
    run(async {
        admitted(&first, admit("a")).await;
        admitted(&second, admit("b")).await;
    });
    drop(second);
    drop(first);
    let head = std::fs::read_to_string(place.head()).unwrap();
    assert!(
        head.contains("\nruns 2\n") && head.contains("moved 2 1\n"),
        "{head}"
    );
}

#[test]
fn restoring_and_migrating_keep_it_right() {
    let place = Place::new();
    place.applied(vec![admit("a")]);
    let backup = place.file("backup.db");
    back_up(&place.ledger, &backup, false).unwrap();
    place.applied(vec![admit("b")]);
    let restored = restore(&place.ledger, &backup, Timestamp(9)).unwrap();
    assert!(restored.behind);
    assert_snapshot!(place.refused(), @r#"the ledger FOLDER/ledger.db was restored from FOLDER/backup.db, and what was done since that was made is not known. Nothing was run, and nothing was changed. To go on with it: `oncely ledger repair --reason "…"`, which says what that means."#);
    // The one that was there is put back, and is right again.
    let back = restore(&place.ledger, &restored.kept.unwrap(), Timestamp(9)).unwrap();
    assert!(!back.behind);
    place.applied(vec![admit("d")]);
    migrate(&place.ledger).unwrap();
    place.try_open().unwrap();
}

#[test]
fn a_restored_ledger_is_refused_until_somebody_takes_it_as_it_is() {
    let place = Place::new();
    place.applied(vec![admit("a")]);
    let backup = place.file("backup.db");
    back_up(&place.ledger, &backup, false).unwrap();
    // As far as it had come, it is what it was; without a head nobody knows.
    assert!(
        !restore(&place.ledger, &backup, Timestamp(9))
            .unwrap()
            .behind
    );
    place.try_open().unwrap();
    std::fs::remove_file(place.head()).unwrap();
    assert!(
        restore(&place.ledger, &backup, Timestamp(9))
            .unwrap()
            .behind
    );
    for _ in 0..2 {
        assert!(
            place
                .refused()
                .contains("was restored from FOLDER/backup.db")
        );
    }
    let looks = Options {
        may_be_behind: true,
        ..options()
    };
    let ledger = SqliteLedger::open(&place.ledger, looks).unwrap();
    assert!(ledger.behind().unwrap().is_some());
    ledger.take_as_it_is().unwrap();
    drop(ledger);
    place.applied(vec![admit("b")]);
}

#[test]
fn what_the_head_has_not_seen_yet_is_seen_by_a_restore() {
    let place = Place::new();
    place.applied(vec![admit("a")]);
    let (backup, head) = (
        place.file("backup.db"),
        std::fs::read(place.head()).unwrap(),
    );
    back_up(&place.ledger, &backup, false).unwrap();
    place.applied(vec![admit("b")]);
    // The process was killed within a second after it.
    std::fs::write(place.head(), head).unwrap();
    assert!(
        restore(&place.ledger, &backup, Timestamp(9))
            .unwrap()
            .behind
    );
}

#[test]
fn what_is_pruned_since_the_backup_hides_nothing_that_was_done_since() {
    for since in [false, true] {
        let place = Place::new();
        place.applied(vec![
            admit("a"),
            recorded(1, vec![began(), ended(End::Done)]),
            unit(vec![], vec![stand(RunId(1), RunStatus::Done, None, false)]),
            admit("b"),
        ]);
        let (backup, head) = (
            place.file("backup.db"),
            std::fs::read(place.head()).unwrap(),
        );
        back_up(&place.ledger, &backup, false).unwrap();
        let ledger = place.open();
        run(async { assert_eq!(whole(&ledger, part()).await.runs, 1) });
        drop(ledger);
        if since {
            place.applied(vec![recorded(2, vec![began()])]);
        }
        // The process was killed within a second after it.
        std::fs::write(place.head(), head).unwrap();
        // Of a run that is only in the backup nothing is unknown: it had ended.
        let restored = restore(&place.ledger, &backup, Timestamp(9)).unwrap();
        assert_eq!(restored.behind, since);
    }
}

/// Facts of a run.
fn recorded(run: i64, of: Vec<Fact>) -> Unit {
    unit(vec![], vec![facts(RunId(run), 5, of)])
}

#[test]
fn who_takes_it_as_it_is_can_go_on() {
    let place = Place::new();
    place.applied(vec![admit("a")]);
    let older = place.copied("older");
    place.applied(vec![admit("b")]);
    place.put(&older);
    let looks = Options {
        may_be_behind: true,
        ..options()
    };
    let ledger = SqliteLedger::open(&place.ledger, looks).unwrap();
    assert!(ledger.behind().unwrap().is_some());
    run(async {
        admitted(&ledger, admit("c")).await;
    });
    let before = ledger.name();
    ledger.take_as_it_is().unwrap();
    assert_eq!(ledger.behind().unwrap(), None);
    drop(ledger);
    // Numbers that were given since are given again: marks and links that hold them are another's.
    assert_ne!(place.open().name(), before);
    place.applied(vec![admit("e")]);
}
