//! A ledger on a disk that is really full. Each test has a small disk of its own, which it mounts where nobody
//! else sees it, and fails where that cannot be done.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use oncely_core::fact::{Fact, Outcome};
use oncely_core::ledger::{
    Applied, Claim, Filter, Guard, Held, Ledger, LedgerError, Op, Unit, UnitResult, What,
};
use oncely_core::limits;
use oncely_core::run::RunStatus;
use oncely_ledger::conformance::stage::{
    admit, admitted, all, apply, began, claim, facts, intent, lease, recorded, run, stand, unit,
};
use oncely_ledger::{Options, SqliteLedger};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Tells a test where its disk is.
const PLACE: &str = "ONCELY_TEST_DISK";
/// The disk: large enough for the largest reserve.
const SIZE: &str = "160m";
/// What is free on a full disk before it is noticed.
const RESERVE: u64 = limits::RESERVE_BYTES;

/// Runs this test once more, with a small disk mounted.
fn on_small_disk(name: &str, promise: impl AsyncFnOnce(Disk)) {
    if let Some(place) = std::env::var_os(PLACE) {
        return run(promise(Disk(place.into())));
    }
    let folder = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o size={SIZE} small \"${PLACE}\" && exec \"$0\" \"$@\"");
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--mount", "--propagation", "private", "sh", "-c", &mount]);
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]);
    let ended = command.env(PLACE, folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    let complained = String::from_utf8_lossy(&ended.stderr);
    assert!(
        ended.status.success() && said.contains("1 passed"),
        "on a small disk, which takes root or a user namespace, and `unshare`: {said}{complained}"
    );
}

struct Disk(PathBuf);

impl Disk {
    fn path(&self) -> PathBuf {
        self.0.join("ledger.db")
    }

    fn open(&self, create: bool) -> SqliteLedger {
        self.try_open(create).unwrap()
    }

    fn try_open(&self, create: bool) -> Result<SqliteLedger, LedgerError> {
        let options = Options {
            create,
            // However slow the machine is.
            lease: Duration::from_secs(3600),
            ..Options::new("test")
        };
        SqliteLedger::open(&self.path(), options)
    }

    /// Leaves not one block.
    fn fill(&self) {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.0.join("fill"))
            .unwrap();
        for bytes in [1024 * 1024, 4096, 1] {
            let block = vec![1_u8; bytes];
            while file.write_all(&block).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("fill")).unwrap();
    }

    fn reserve(&self) -> u64 {
        let reserve = self.0.join("ledger.db-reserve");
        reserve.metadata().unwrap().len()
    }
}

fn everything() -> Claim {
    claim(i64::MAX / 2)
}

/// So many runs whose attempt acts.
async fn acting(ledger: &SqliteLedger, many: usize) -> Vec<Held> {
    for n in 0..many {
        admitted(ledger, admit(&format!("k{n}"))).await;
    }
    let claim = Claim {
        limit: many,
        ..everything()
    };
    let held = lease(ledger, claim).await;
    assert_eq!(held.len(), many);
    for held in &held {
        let begun = vec![began(), intent(held.fence)];
        let ops = vec![
            facts(held.row.id, 1, begun),
            stand(held.row.id, RunStatus::Running, None, true),
        ];
        apply(ledger, unit(vec![fence(held)], ops)).await;
    }
    held
}

fn fence(held: &Held) -> Guard {
    Guard::Fence(held.row.id, held.fence)
}

/// What became of it, with an output of this size.
fn ended(held: &Held, bytes: usize) -> Unit {
    let outcome = Fact::Outcome {
        step: "s".into(),
        attempt: 1,
        outcome: Outcome::Done {
            output: "x".repeat(bytes).into(),
        },
    };
    let ops = vec![
        facts(held.row.id, 2, vec![outcome]),
        stand(held.row.id, RunStatus::Running, None, true),
    ];
    unit(vec![fence(held)], ops)
}

async fn is_refused(ledger: &SqliteLedger, unit: Unit) -> bool {
    match ledger.commit(vec![unit]).await {
        Err(LedgerError::Full(_)) => true,
        Ok(results) => match results.as_slice() {
            [UnitResult::Applied(Applied { .. })] => false,
            other => panic!("{other:?}"),
        },
        Err(error) => panic!("{error}"),
    }
}

/// Fills the disk, and the room that the log has left.
async fn full(disk: &Disk, ledger: &SqliteLedger) {
    disk.fill();
    let mut n = 0;
    let rows = all(ledger, Filter::default()).await.len();
    while !is_refused(ledger, admit(&format!("more{rows}-{n}"))).await {
        n += 1;
        assert!(n < 100_000, "a full disk took everything");
    }
    assert_eq!(ledger.is_full(), Some(true));
}

/// As many as act at a time, each with the largest output, and each in a commit of its own.
async fn outcomes_are_recorded(disk: &Disk, ledger: &SqliteLedger, held: &[Held]) {
    for held in held {
        apply(ledger, ended(held, limits::OUTPUT_BYTES - 1024)).await;
        assert_eq!(recorded(ledger, held.row.id).await.len(), 3);
        // Nobody else gets anything of what was given back.
        disk.fill();
        assert!(is_refused(ledger, admit("late")).await);
    }
}

#[test]
fn the_outcomes_of_all_that_acts_are_recorded_on_a_full_disk() {
    let name = "the_outcomes_of_all_that_acts_are_recorded_on_a_full_disk";
    on_small_disk(name, async |disk| {
        let ledger = disk.open(true);
        let held = acting(&ledger, 64).await;
        assert_eq!(disk.reserve(), RESERVE);
        full(&disk, &ledger).await;
        assert_eq!(disk.reserve(), RESERVE - 4096, "nothing was needed yet");
        outcomes_are_recorded(&disk, &ledger, &held).await;
        println!("of {RESERVE} bytes {} are left", disk.reserve());
    });
}

#[test]
fn outcomes_are_recorded_on_a_full_disk_also_while_somebody_reads_an_old_state() {
    let name = "outcomes_are_recorded_on_a_full_disk_also_while_somebody_reads_an_old_state";
    on_small_disk(name, async |disk| {
        let ledger = disk.open(true);
        let held = acting(&ledger, 64).await;
        let reader = rusqlite::Connection::open(disk.path()).unwrap();
        reader.execute_batch("begin").unwrap();
        let read = || {
            let text = "select count(*) from oncely_facts";
            reader
                .query_row(text, [], |row| row.get::<_, i64>(0))
                .unwrap()
        };
        let before = read();
        full(&disk, &ledger).await;
        for held in &held {
            apply(&ledger, ended(held, limits::OUTPUT_BYTES - 1024)).await;
        }
        assert_eq!(read(), before);
        println!("of {RESERVE} bytes {} are left", disk.reserve());
    });
}

#[test]
fn what_happens_is_recorded_however_long_the_disk_is_full() {
    let name = "what_happens_is_recorded_however_long_the_disk_is_full";
    on_small_disk(name, async |disk| {
        let ledger = disk.open(true);
        let held = acting(&ledger, 800).await;
        full(&disk, &ledger).await;
        // Together they are more pages than the reserve has, and most of them the same ones.
        for held in &held {
            apply(&ledger, ended(held, 10)).await;
        }
        assert!(disk.reserve() > RESERVE / 2, "{} are left", disk.reserve());
    });
}

#[test]
fn on_a_full_disk_nobody_begins_anything_and_what_is_held_is_kept_or_given_back() {
    let name = "on_a_full_disk_nobody_begins_anything_and_what_is_held_is_kept_or_given_back";
    on_small_disk(name, async |disk| {
        let (one, two) = (disk.open(true), disk.open(false));
        let held = acting(&one, 3).await;
        full(&disk, &two).await;
        for ledger in [&one, &two] {
            assert_eq!(ledger.is_full(), Some(true));
            assert!(is_refused(ledger, admit("late")).await);
            let leased = ledger.lease(What::Runs, everything()).await;
            assert!(matches!(leased, Err(LedgerError::Full(_))), "{leased:?}");
        }
        let [done, back, other] = held.as_slice() else {
            panic!("{held:?}");
        };
        // What is begun together with an outcome keeps it from being recorded, and nothing of it is there.
        let mut both = ended(done, 10);
        let next = facts(done.row.id, 3, vec![intent(done.fence)]);
        both.ops.push(next);
        assert!(is_refused(&one, both).await);
        assert_eq!(recorded(&one, done.row.id).await.len(), 2);
        apply(&one, ended(done, 10)).await;
        let release = Op::Release(back.row.id, oncely_core::time::Timestamp(3));
        apply(&one, unit(vec![fence(back)], vec![release])).await;
        // One unit of a request that begins something turns the whole of it away.
        let mixed = one.commit(vec![ended(other, 10), admit("late")]).await;
        assert!(matches!(mixed, Err(LedgerError::Full(_))), "{mixed:?}");
        for _ in 0..200 {
            one.renew().await.unwrap();
        }
        assert_eq!(
            all(&one, Filter::default()).await.len(),
            all(&two, Filter::default()).await.len()
        );
    });
}

#[test]
fn work_goes_on_by_itself_as_soon_as_there_is_room() {
    let name = "work_goes_on_by_itself_as_soon_as_there_is_room";
    on_small_disk(name, async |disk| {
        let (one, two) = (disk.open(true), disk.open(false));
        let held = acting(&one, 8).await;
        for (turn, held) in held.iter().take(5).enumerate() {
            full(&disk, &one).await;
            apply(&one, ended(held, 20_000)).await;
            assert!(disk.reserve() < RESERVE);
            disk.free();
            // Anybody sees it, and whoever comes first takes the reserve again.
            assert_eq!((one.is_full(), two.is_full()), (Some(false), Some(false)));
            let first = if turn % 2 == 0 { &one } else { &two };
            first.renew().await.unwrap();
            assert_eq!(disk.reserve(), RESERVE);
            assert!(!is_refused(&two, admit(&format!("after{turn}"))).await);
        }
    });
}

#[test]
fn a_ledger_on_a_full_disk_can_be_opened_and_looked_at() {
    let name = "a_ledger_on_a_full_disk_can_be_opened_and_looked_at";
    on_small_disk(name, async |disk| {
        let ledger = disk.open(true);
        let held = acting(&ledger, 3).await;
        ledger.kill();
        for _ in 0..20 {
            disk.fill();
            let ledger = disk.open(false);
            assert_eq!(all(&ledger, Filter::default()).await.len(), held.len());
            assert!(is_refused(&ledger, admit("late")).await);
            assert_eq!(ledger.is_full(), Some(true));
        }
        disk.free();
        let ledger = disk.open(false);
        // What the dead one held is free.
        ledger.renew().await.unwrap();
        assert!(!lease(&ledger, everything()).await.is_empty());
    });
}

#[test]
fn a_disk_that_is_too_full_for_a_reserve_is_worked_on_without_one() {
    let name = "a_disk_that_is_too_full_for_a_reserve_is_worked_on_without_one";
    on_small_disk(name, async |disk| {
        drop(disk.open(true));
        disk.fill();
        let fill = disk.0.join("fill");
        let file = File::options().write(true).open(fill).unwrap();
        let long = file.metadata().unwrap().len();
        file.set_len(long - RESERVE).unwrap();
        drop(file);
        let ledger = disk.open(false);
        let held = acting(&ledger, 3).await;
        assert!(!disk.0.join("ledger.db-reserve").exists());
        full(&disk, &ledger).await;
        disk.free();
        apply(&ledger, ended(&held[0], 10)).await;
        ledger.renew().await.unwrap();
        assert_eq!((ledger.is_full(), disk.reserve()), (Some(false), RESERVE));
    });
}

#[test]
fn who_ends_on_a_full_disk_gives_back_what_it_holds() {
    let name = "who_ends_on_a_full_disk_gives_back_what_it_holds";
    on_small_disk(name, async |disk| {
        let (one, two) = (disk.open(true), disk.open(false));
        acting(&one, 3).await;
        full(&disk, &one).await;
        drop(one);
        let since = Instant::now();
        while let Some(row) = all(&two, Filter::default())
            .await
            .iter()
            .find(|row| row.holder.is_some())
        {
            assert!(since.elapsed() < Duration::from_secs(60), "{row:?}");
        }
        assert_eq!(two.renew().await, Ok(0), "nobody has to see to it");
    });
}
