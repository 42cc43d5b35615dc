//! Bits that are no longer what was written, and files that lost their end: noticed before anything is
//! done, or without consequence.

use super::play::{Lines, block_on, play};
use super::stores::{Filed, Model};
use crate::crash::Trouble;
use crate::dice::Dice;
use oncely_core::ledger::{Admission, Claim, Leased, Ledger, Op, RunRow, Unit, UnitResult, What};
use oncely_core::time::Timestamp;
use oncely_ledger::SqliteLedger;
use oncely_ledger::conformance::fast_folder;
use serde::Serialize;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where files are cut.
const CUT: usize = 4096;
/// Sequences of commands that make the ledger.
const SEQUENCES: u32 = 12;

/// What was seen.
#[derive(Debug, Default, Serialize)]
pub struct Seen {
    /// Bits that were flipped.
    pub flips: u64,
    /// Places at which a file was cut.
    pub cuts: u64,
    /// Noticed before anything was done.
    pub noticed: u64,
    /// Without consequence: everything was there and answered as before.
    pub harmless: u64,
    /// The end of the log was lost, and the ledger was as it had been before that.
    pub lost_ends: u64,
    /// Seeds at which something was broken, and how; a cut has the seed of its ledger.
    pub broken: Vec<(u64, String)>,
}

/// The files of a ledger and what they hold.
struct Image {
    files: Vec<(&'static str, Vec<u8>)>,
    history: Vec<Lines>,
    runs: Vec<RunRow>,
    /// What is claimed first.
    claimed: Vec<(i64, i64)>,
}

/// What came of it.
enum Came {
    Noticed,
    Harmless,
    LostEnd,
    Broken(String),
}

/// Cuts the files of a ledger at every 4 KiB, and flips one bit of them for each seed.
///
/// # Errors
/// When the trial itself cannot work.
pub fn run(seed: u64, flips: impl IntoIterator<Item = u64>) -> Result<Seen, Trouble> {
    let mut seen = Seen::default();
    let images = block_on(images(seed))??;
    for image in &images {
        for (name, content) in &image.files {
            for at in (0..content.len()).step_by(CUT) {
                seen.cuts += 1;
                let changed = content.get(..at).unwrap_or_default().to_vec();
                seen.note(seed, image.come_of(name, changed)?);
            }
        }
    }
    for seed in flips {
        seen.flips += 1;
        let mut dice = Dice::new(seed);
        let Some(image) = pick(&images, &mut dice) else {
            continue;
        };
        let Some((name, content)) = pick(&image.files, &mut dice) else {
            continue;
        };
        let mut changed = content.clone();
        let bit = dice.between(0, content.len() as u64 * 8 - 1);
        if let Some(byte) = usize::try_from(bit / 8)
            .ok()
            .and_then(|at| changed.get_mut(at))
        {
            *byte ^= 1 << (bit % 8);
        }
        let came = image.come_of(name, changed)?;
        seen.note(seed, at(came, name, bit));
    }
    Ok(seen)
}

fn at(came: Came, name: &str, bit: u64) -> Came {
    match came {
        Came::Broken(why) => Came::Broken(format!("bit {bit} of {name}: {why}")),
        other => other,
    }
}

fn pick<'a, T>(from: &'a [T], dice: &mut Dice) -> Option<&'a T> {
    let place = dice.between(0, (from.len() as u64).saturating_sub(1));
    from.get(usize::try_from(place).ok()?)
}

impl Seen {
    fn note(&mut self, seed: u64, came: Came) {
        match came {
            Came::Noticed => self.noticed += 1,
            Came::Harmless => self.harmless += 1,
            Came::LostEnd => self.lost_ends += 1,
            Came::Broken(why) => self.broken.push((seed, why)),
        }
    }

    /// In words.
    #[must_use]
    pub fn say(&self) -> String {
        format!(
            "{} flipped bits and {} cut files: {} were noticed before anything was done, {} were \
             without consequence. {} times the end of the write-ahead log was lost, and the ledger was \
             as it had been before that.",
            self.flips, self.cuts, self.noticed, self.harmless, self.lost_ends
        )
    }
}

/// A ledger whose last commits are in the log, and the same with everything in the database.
async fn images(seed: u64) -> Result<[Image; 2], Trouble> {
    let folder = fast_folder();
    let model = Model::new()?;
    let filed = Filed::new(&folder.path().canonicalize()?, true, 30);
    let played = play(&model, &filed, &mut Dice::new(seed), SEQUENCES, || false).await;
    if let Some(said) = &played.said {
        return Err(Trouble(format!("the ledger cannot be made: {said}")));
    }
    let history: Vec<Lines> = played.history.iter().map(unheld).collect();
    let runs = played.pair.runs().await;
    Filed::there(folder.path()).try_open()?.mark_log()?;
    let read = |name: &str| std::fs::read(folder.path().join(name));
    let mut open = Image {
        files: vec![
            ("ledger.db", read("ledger.db")?),
            ("ledger.db-wal", read("ledger.db-wal")?),
            ("ledger.db-head", read("ledger.db-head")?),
        ],
        history,
        runs,
        claimed: Vec::new(),
    };
    open.claimed = claimed(&open).await?;
    let closed = fast_folder();
    open.write(closed.path())?;
    drop(Filed::there(closed.path()).try_open()?);
    let closed = Image {
        files: vec![
            ("ledger.db", std::fs::read(closed.path().join("ledger.db"))?),
            ("ledger.db-head", read("ledger.db-head")?),
        ],
        history: open.history.clone(),
        runs: open.runs.clone(),
        claimed: open.claimed.clone(),
    };
    Ok([open, closed])
}

/// Who held what is of no matter: they are all dead.
fn unheld(lines: &Lines) -> Lines {
    let mut lines = lines.clone();
    for line in &mut lines {
        if let Some(holder) = line.get_mut("holder") {
            *holder = serde_json::Value::Bool(holder.is_i64());
        }
        if line["kind"] == "ledger" {
            line["name"] = "same".into();
        }
    }
    lines
}

async fn claimed(image: &Image) -> Result<Vec<(i64, i64)>, Trouble> {
    let folder = fast_folder();
    image.write(folder.path())?;
    let ledger = Filed::there(folder.path()).try_open()?;
    claim(&ledger, image).await.map_err(Trouble)
}

/// Claims what is due in each environment: the runs and their fences.
async fn claim(ledger: &SqliteLedger, image: &Image) -> Result<Vec<(i64, i64)>, String> {
    ledger.renew().await.map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for environment in image
        .runs
        .iter()
        .map(|run| &run.environment)
        .collect::<std::collections::BTreeSet<_>>()
    {
        let claim = Claim {
            environment: environment.clone(),
            now: Timestamp(i64::MAX / 4),
            limit: 100,
            caps: Vec::new(),
            except: Vec::new(),
            suspects: true,
        };
        let leased = ledger.lease(What::Runs, claim).await;
        if let Leased::Runs(held) = leased.map_err(|error| error.to_string())? {
            found.extend(held.iter().map(|held| (held.row.id.0, held.row.fence.0)));
        }
    }
    Ok(found)
}

impl Image {
    fn write(&self, folder: &Path) -> std::io::Result<()> {
        self.files
            .iter()
            .try_for_each(|(name, content)| std::fs::write(folder.join(name), content))
    }

    /// What comes of it when one file is this instead.
    fn come_of(&self, name: &str, changed: Vec<u8>) -> Result<Came, Trouble> {
        let before = panics();
        let folder = fast_folder();
        self.write(folder.path())?;
        std::fs::write(folder.path().join(name), changed)?;
        let came = self.judge(folder.path(), name)?;
        match panics() == before {
            true => Ok(came),
            false => Ok(Came::Broken("it panicked".into())),
        }
    }

    fn judge(&self, folder: &Path, name: &str) -> Result<Came, Trouble> {
        let Ok(ledger) = Filed::there(folder).try_open() else {
            return Ok(Came::Noticed);
        };
        let mut out = Vec::new();
        if ledger.export(&mut out).is_err() {
            return Ok(Came::Noticed);
        }
        let lines: Result<Lines, _> = String::from_utf8_lossy(&out)
            .lines()
            .map(serde_json::from_str)
            .collect();
        let lines = unheld(&lines?);
        if self.history.last() == Some(&lines) {
            return block_on(self.works(&ledger));
        }
        let earlier = self.history.contains(&lines);
        Ok(match earlier && name.ends_with("-wal") {
            true => Came::LostEnd,
            false => Came::Broken("it holds something else, and nobody noticed".into()),
        })
    }

    /// Everything is there; now it must also be known as there, and claimed as before.
    async fn works(&self, ledger: &SqliteLedger) -> Came {
        for run in &self.runs {
            match ledger.commit(vec![again(run)]).await.as_deref() {
                Ok([UnitResult::Duplicate(id)]) if *id == run.id => {}
                Ok(other) => return Came::Broken(format!("{} again: {other:?}", run.key)),
                Err(_) => return Came::Noticed,
            }
        }
        match claim(ledger, self).await {
            Ok(found) if found == self.claimed => Came::Harmless,
            Ok(found) => Came::Broken(format!("claimed {found:?}, not {:?}", self.claimed)),
            Err(_) => Came::Noticed,
        }
    }
}

/// The same event once more.
fn again(run: &RunRow) -> Unit {
    let admission = Admission {
        environment: run.environment.clone(),
        task: run.task.clone(),
        key: run.key.clone(),
        generation: run.generation,
        trigger: "call",
        event: run.event.clone(),
        lane: None,
        depth: 0,
        parent: None,
        at: Timestamp(0),
        claimed: false,
        status: oncely_core::run::RunStatus::Pending,
    };
    Unit {
        guards: Vec::new(),
        ops: vec![Op::Admit(admission)],
    }
}

/// How often anything has panicked.
fn panics() -> u64 {
    static COUNTED: AtomicU64 = AtomicU64::new(0);
    static HOOKED: OnceLock<()> = OnceLock::new();
    HOOKED.get_or_init(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            COUNTED.fetch_add(1, Ordering::Relaxed);
            before(info);
        }));
    });
    COUNTED.load(Ordering::Relaxed)
}
