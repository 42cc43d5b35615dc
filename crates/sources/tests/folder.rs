//! What a watched folder promises: whole files, once for each name and content.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use oncely_core::source::{Batch, Cursor, Room, Source, SourceError, Verdict};
use oncely_core::task::Existing;
use oncely_core::time::{Clock, Timestamp};
use oncely_sources::{Folder, FolderConfig, Spool};
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

#[derive(Default)]
struct Turned(AtomicI64);

impl Clock for Turned {
    fn now(&self) -> Timestamp {
        Timestamp(self.boot_millis())
    }
    fn boot_millis(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

struct Rig {
    home: TempDir,
    clock: Arc<Turned>,
    folder: Folder,
    cursor: Option<Cursor>,
}

impl Rig {
    fn new(pattern: &str) -> Self {
        let home = TempDir::new().unwrap();
        fs::create_dir(home.path().join("inbox")).unwrap();
        Self::at(home, pattern)
    }

    fn at(home: TempDir, pattern: &str) -> Self {
        let clock = Arc::new(Turned::default());
        let folder = Folder::new(FolderConfig {
            folder: home.path().join("inbox"),
            pattern: pattern.into(),
            existing: Some(Existing::Run),
            spool: Spool::new(home.path().join("spool")),
            settle: Duration::from_secs(1),
            clock: clock.clone(),
        });
        Self {
            folder: folder.unwrap(),
            home,
            clock,
            cursor: None,
        }
    }

    fn inbox(&self, name: &str) -> PathBuf {
        self.home.path().join("inbox").join(name)
    }

    async fn poll(&mut self) -> Result<Batch, SourceError> {
        let batch = self
            .folder
            .poll(self.cursor.as_ref(), Room { events: 100 })
            .await?;
        if batch.cursor.is_some() {
            self.cursor.clone_from(&batch.cursor);
        }
        let verdicts = batch
            .events
            .iter()
            .map(|e| (e.receipt.clone(), Verdict::Admitted));
        self.folder.acknowledge(verdicts.collect()).await.unwrap();
        Ok(batch)
    }

    /// Polls until files have settled: the clock is turned, nobody sleeps.
    async fn settled(&mut self) -> Batch {
        let mut first = self.poll().await.unwrap();
        self.clock.0.fetch_add(1000, Ordering::SeqCst);
        let second = self.poll().await.unwrap();
        first.events.extend(second.events);
        first.problems.extend(second.problems);
        first
    }

    /// Polls until the system has told of an event.
    async fn told(&mut self) -> Batch {
        for _ in 0..100 {
            let batch = self.poll().await.unwrap();
            if !batch.events.is_empty() {
                return batch;
            }
            let _ = tokio::time::timeout(Duration::from_millis(100), self.folder.changed()).await;
        }
        panic!("the file is never taken")
    }
}

fn names(batch: &Batch) -> Vec<String> {
    let names = batch
        .events
        .iter()
        .map(|e| e.event.data["name"].as_str().unwrap().to_owned());
    names.collect()
}

fn content(batch: &Batch) -> String {
    fs::read_to_string(batch.events[0].event.data["path"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_closed_file_and_one_renamed_in_are_taken_at_once() {
    let mut rig = Rig::new("*.csv");
    rig.poll().await.unwrap();
    fs::write(rig.inbox("a.csv"), "one").unwrap();
    assert_eq!(content(&rig.told().await), "one");
    fs::write(rig.inbox("b.part"), "two").unwrap();
    fs::rename(rig.inbox("b.part"), rig.inbox("b.csv")).unwrap();
    let batch = rig.told().await;
    assert_eq!(
        (names(&batch), content(&batch)),
        (vec!["b.csv".to_owned()], "two".to_owned())
    );
    assert!(!batch.events[0].existing);
}

#[tokio::test]
async fn files_there_at_the_start_are_existing_ones() {
    let mut rig = Rig::new("*.csv");
    fs::write(rig.inbox("a.csv"), "one").unwrap();
    fs::write(rig.inbox("b.txt"), "no").unwrap();
    let home = std::mem::replace(&mut rig.home, TempDir::new().unwrap());
    let mut rig = Rig::at(home, "*.csv");
    rig.clock.0.fetch_add(5000, Ordering::SeqCst);
    let first = rig.folder.poll(None, Room { events: 9 }).await.unwrap();
    assert!(first.events.is_empty(), "it may still be written");
    rig.clock.0.fetch_add(1000, Ordering::SeqCst);
    let batch = rig.folder.poll(None, Room { events: 9 }).await.unwrap();
    assert_eq!(names(&batch), ["a.csv"]);
    assert!(batch.events[0].existing);
}

#[tokio::test]
async fn a_file_that_its_writer_holds_open_is_waited_for() {
    let mut rig = Rig::new("*.csv");
    rig.poll().await.unwrap();
    let mut file = fs::File::create(rig.inbox("a.csv")).unwrap();
    for part in 0..4 {
        write!(file, "part {part};").unwrap();
        assert!(rig.poll().await.unwrap().events.is_empty());
        rig.clock.0.fetch_add(999, Ordering::SeqCst);
        assert!(rig.poll().await.unwrap().events.is_empty());
    }
    drop(file);
    assert_eq!(content(&rig.told().await), "part 0;part 1;part 2;part 3;");
}

#[tokio::test]
async fn the_same_content_has_the_same_key_and_a_change_a_new_one() {
    let mut rig = Rig::new("*.csv");
    rig.poll().await.unwrap();
    let mut keys = Vec::new();
    for text in ["one", "one", "two"] {
        fs::write(rig.inbox("a.csv"), text).unwrap();
        let batch = rig.told().await;
        assert_eq!(
            batch.events[0].event.key.as_str(),
            batch.events[0].event.data["key"]
        );
        keys.push(batch.events[0].event.key.clone());
    }
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
    rig.clock.0.fetch_add(5000, Ordering::SeqCst);
    assert!(
        rig.settled().await.events.is_empty(),
        "what was dealt with is left alone"
    );
}

#[tokio::test]
async fn links_are_followed_inside_and_refused_outside_which_is_said_once() {
    let mut rig = Rig::new("*.csv");
    fs::write(rig.home.path().join("secret"), "secret").unwrap();
    fs::write(rig.inbox("target"), "inside").unwrap();
    symlink(rig.home.path().join("secret"), rig.inbox("out.csv")).unwrap();
    symlink(rig.inbox("target"), rig.inbox("in.csv")).unwrap();
    symlink(rig.home.path().join("nowhere"), rig.inbox("dangling.csv")).unwrap();
    let batch = rig.settled().await;
    assert_eq!(
        (names(&batch), content(&batch)),
        (vec!["in.csv".to_owned()], "inside".to_owned())
    );
    assert_eq!(batch.problems.len(), 1);
    assert!(batch.problems[0].about.ends_with("out.csv"));
    assert!(rig.settled().await.problems.is_empty());
}

#[tokio::test]
async fn hidden_files_and_deeper_folders_are_left_alone() {
    let mut rig = Rig::new("*.csv");
    fs::create_dir(rig.inbox("deep")).unwrap();
    fs::write(rig.inbox("deep/a.csv"), "x").unwrap();
    fs::write(rig.inbox(".hidden.csv"), "x").unwrap();
    assert!(rig.settled().await.events.is_empty());
    let home = std::mem::replace(&mut rig.home, TempDir::new().unwrap());
    let mut rig = Rig::at(home, "**/*.csv");
    assert_eq!(names(&rig.settled().await), ["deep/a.csv"]);
    assert!(
        oncely_sources::matches("*.csv", "a.csv") && !oncely_sources::matches("*.csv", "b/a.csv")
    );
}

#[tokio::test]
async fn a_name_that_is_not_utf_8_is_said_once() {
    let mut rig = Rig::new("*.csv");
    fs::write(
        rig.home
            .path()
            .join("inbox")
            .join(OsStr::from_bytes(b"\xff.csv")),
        "x",
    )
    .unwrap();
    let batch = rig.settled().await;
    assert_eq!((batch.events.len(), batch.problems.len()), (0, 1));
    assert!(batch.problems[0].message.contains("not UTF-8"));
}

#[tokio::test]
async fn a_missing_folder_is_an_error_in_words_and_found_later() {
    let mut rig = Rig::at(TempDir::new().unwrap(), "*.csv");
    let error = rig.poll().await.unwrap_err();
    assert!(
        error.message.contains("inbox cannot be read: No such file"),
        "{error}"
    );
    fs::write(rig.home.path().join("inbox"), "a file").unwrap();
    let error = rig.poll().await.unwrap_err();
    assert!(error.message.contains("Not a directory"), "{error}");
    fs::remove_file(rig.home.path().join("inbox")).unwrap();
    fs::create_dir(rig.home.path().join("inbox")).unwrap();
    fs::write(rig.inbox("a.csv"), "one").unwrap();
    assert_eq!(names(&rig.settled().await), ["a.csv"]);
}

#[tokio::test]
async fn the_spool_is_private_and_keeps_content_once() {
    let mut rig = Rig::new("*.csv");
    fs::write(rig.inbox("a.csv"), "same").unwrap();
    fs::write(rig.inbox("b.csv"), "same").unwrap();
    let batch = rig.settled().await;
    assert_eq!(
        batch.events[0].event.data["path"],
        batch.events[1].event.data["path"]
    );
    let mut folders = vec![rig.home.path().join("spool")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        assert_eq!(
            folder.metadata().unwrap().permissions().mode() & 0o777,
            0o700
        );
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files += 1;
                assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            }
        }
    }
    assert_eq!(files, 1);
}

/// Yields zeros, and remembers the largest piece that was asked for.
struct Zeros {
    left: usize,
    most: usize,
}

impl Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.most = self.most.max(buffer.len());
        let read = buffer.len().min(self.left);
        buffer[..read].fill(0);
        self.left -= read;
        Ok(read)
    }
}

#[test]
fn a_large_file_is_copied_in_small_pieces() {
    let home = TempDir::new().unwrap();
    let mut zeros = Zeros {
        left: 64 << 20,
        most: 0,
    };
    let kept = Spool::new(home.path()).keep(&mut zeros).unwrap();
    assert_eq!(
        (kept.size, kept.path.metadata().unwrap().len()),
        (64 << 20, 64 << 20)
    );
    assert!(zeros.most <= 1 << 20, "{}", zeros.most);
}

/// Breaks off in the middle.
struct Torn(bool);

impl Read for Torn {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if std::mem::replace(&mut self.0, true) {
            return Err(std::io::Error::other("torn"));
        }
        Ok(buffer.len().min(10))
    }
}

#[test]
fn a_copy_that_breaks_off_leaves_nothing() {
    let home = TempDir::new().unwrap();
    Spool::new(home.path()).keep(&mut Torn(false)).unwrap_err();
    assert_eq!(
        fs::read_dir(home.path().join("incoming")).unwrap().count(),
        0
    );
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_file_replaced_again_and_again_is_never_taken_half() {
    let mut rig = Rig::new("*.csv");
    rig.poll().await.unwrap();
    let (path, part) = (rig.inbox("a.csv"), rig.inbox(".part"));
    let writing = std::thread::spawn(move || {
        for round in 0..100_u8 {
            fs::write(&part, vec![b'a' + round % 26; 300_000]).unwrap();
            fs::rename(&part, &path).unwrap();
        }
    });
    let mut taken = 0;
    while !writing.is_finished() || taken == 0 {
        let batch = rig.poll().await.unwrap();
        for event in &batch.events {
            let bytes = fs::read(event.event.data["path"].as_str().unwrap()).unwrap();
            assert!(bytes.len() == 300_000 && bytes.iter().all(|b| *b == bytes[0]));
            taken += 1;
        }
    }
    writing.join().unwrap();
}
