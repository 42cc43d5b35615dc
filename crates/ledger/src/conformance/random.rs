//! Random sequences of commands, each reproducible from its seed, and cut down when they fail.

use super::compare::{Pair, play};
use super::stage::Stores;

/// A small generator of numbers: the same seed gives the same sequence on every machine.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    /// True `n` times in a hundred.
    pub fn percent(&mut self, n: u64) -> bool {
        self.below(100) < n
    }

    fn millis(&mut self) -> i64 {
        i64::try_from(self.below(40)).unwrap()
    }
}

/// What a unit is guarded by. The numbers are looked up when it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarding {
    Nothing,
    Fence,
    StaleFence,
    Seq,
    WrongSeq,
    FenceAndSeq,
    Cursor(bool),
    Generation(bool),
    Named,
}

/// Facts to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adding {
    /// What can come next in the run.
    Next,
    Two,
    Failed,
    Cancel,
    Resume,
    Pause,
    Interrupted,
    Nothing,
}

/// A statement of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stating {
    Insert(u64),
    InsertOrRollback(u64),
    Wrong,
    Forbidden,
}

/// An operation. The run is the unit's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    Admit {
        key: u64,
        generation: u32,
        task: u64,
        lane: Option<u64>,
        claimed: bool,
        skipped: bool,
    },
    Facts(Adding),
    Stand {
        status: usize,
        due: Option<i64>,
        keep: bool,
    },
    Wake(i64),
    Release(i64),
    Items(u64),
    ItemFacts(u64, bool),
    Cursor(u64),
    Store(u64),
    Sql(Stating),
    ReleaseName,
}

/// A unit in the rough.
#[derive(Debug, Clone)]
pub struct Rough {
    pub guard: Guarding,
    pub run: u64,
    pub ops: Vec<Doing>,
}

/// A command.
#[derive(Debug, Clone)]
pub enum Command {
    Commit(usize, Vec<Rough>),
    Lease {
        handle: usize,
        limit: usize,
        cap: Option<u32>,
        except: bool,
        suspects: bool,
        early: i64,
    },
    LeaseRun(usize, u64),
    LeaseName(usize),
    Renew(usize),
    /// Removes runs that ended so long ago, in parts of so many.
    Prune {
        handle: usize,
        age: i64,
        failed: bool,
        runs: usize,
    },
    /// Removes the data of this run, and of the one after it.
    Forget {
        handle: usize,
        run: u64,
        both: bool,
    },
    Advance(i64),
    /// The process is killed, and another one starts.
    Kill(usize),
    /// The process ends, and another one starts.
    Restart(usize),
}

fn doing(dice: &mut Dice) -> Doing {
    match dice.below(13) {
        0..=3 => Doing::Facts(adding(dice)),
        4 | 5 => Doing::Stand {
            status: usize::try_from(dice.below(6)).unwrap(),
            due: dice.percent(60).then(|| dice.millis()),
            keep: dice.percent(50),
        },
        6 => Doing::Wake(dice.millis()),
        7 => Doing::Release(dice.millis()),
        8 => Doing::Items(dice.below(5)),
        9 => Doing::ItemFacts(dice.below(5), dice.percent(50)),
        10 => Doing::Cursor(dice.below(3)),
        11 => Doing::Sql(match dice.below(8) {
            0 => Stating::InsertOrRollback(dice.below(4)),
            1 => Stating::Wrong,
            2 => Stating::Forbidden,
            _ => Stating::Insert(dice.below(4)),
        }),
        _ if dice.percent(50) => Doing::Store(dice.below(3)),
        _ => Doing::ReleaseName,
    }
}

fn adding(dice: &mut Dice) -> Adding {
    match dice.below(16) {
        0..=7 => Adding::Next,
        8 | 9 => Adding::Two,
        10 => Adding::Failed,
        11 => Adding::Cancel,
        12 => Adding::Resume,
        13 => Adding::Pause,
        14 => Adding::Interrupted,
        _ => Adding::Nothing,
    }
}

fn rough(dice: &mut Dice) -> Rough {
    let guard = match dice.below(16) {
        0..=6 => Guarding::Fence,
        7 => Guarding::StaleFence,
        8 => Guarding::Seq,
        9 => Guarding::WrongSeq,
        10 | 11 => Guarding::FenceAndSeq,
        12 => Guarding::Cursor(dice.percent(70)),
        13 => Guarding::Generation(dice.percent(70)),
        14 => Guarding::Named,
        _ => Guarding::Nothing,
    };
    let mut ops: Vec<Doing> = (0..=dice.below(3)).map(|_| doing(dice)).collect();
    let admits = dice.percent(30);
    if admits {
        ops.insert(0, admitting(dice));
    }
    Rough {
        guard: if admits && dice.percent(80) {
            Guarding::Nothing
        } else {
            guard
        },
        run: dice.below(6),
        ops,
    }
}

fn admitting(dice: &mut Dice) -> Doing {
    Doing::Admit {
        key: dice.below(5),
        generation: u32::try_from(1 + dice.below(8) / 6).unwrap(),
        task: dice.below(2),
        lane: dice.percent(40).then(|| dice.below(2)),
        claimed: dice.percent(30),
        skipped: dice.percent(8),
    }
}

fn command(dice: &mut Dice) -> Command {
    let handle = usize::try_from(dice.below(2)).unwrap();
    match dice.below(100) {
        0..=54 => Command::Commit(handle, (0..=dice.below(3)).map(|_| rough(dice)).collect()),
        55..=74 => Command::Lease {
            handle,
            limit: usize::try_from(dice.below(4)).unwrap(),
            cap: dice
                .percent(30)
                .then(|| u32::try_from(dice.below(3)).unwrap()),
            except: dice.percent(15),
            suspects: dice.percent(60),
            early: i64::try_from(dice.below(20)).unwrap(),
        },
        75..=80 => Command::LeaseRun(handle, dice.below(6)),
        81..=84 => Command::LeaseName(handle),
        85..=88 => Command::Renew(handle),
        89 | 90 => Command::Prune {
            handle,
            age: dice.millis() / 4,
            failed: dice.percent(50),
            runs: usize::try_from(1 + dice.below(200)).unwrap(),
        },
        91 => Command::Forget {
            handle,
            run: dice.below(6),
            both: dice.percent(30),
        },
        92..=96 => Command::Advance(match dice.below(4) {
            0 => 16_000,
            1 => 7_000,
            _ => dice.millis(),
        }),
        97 | 98 => Command::Kill(handle),
        _ => Command::Restart(handle),
    }
}

/// The commands of a seed. The first admits, so that the others are about something.
pub fn sequence(seed: u64) -> Vec<Command> {
    let mut dice = Dice::new(seed);
    let n = 5 + dice.below(12);
    let first = (0..3)
        .map(|_| Rough {
            guard: Guarding::Nothing,
            run: 0,
            ops: vec![admitting(&mut dice)],
        })
        .collect();
    let mut commands = vec![Command::Commit(0, first)];
    commands.extend((0..n).map(|_| command(&mut dice)));
    commands
}

/// Plays the sequences of `seeds` on both kinds of stores, fresh ones after every `each`.
pub async fn sequences<A: Stores, B: Stores>(
    model: impl Fn() -> A,
    tried: impl Fn() -> B,
    seeds: std::ops::Range<u64>,
    each: u64,
) {
    let mut seed = seeds.start;
    while seed < seeds.end {
        let (a, b) = (model(), tried());
        let mut pair = Pair::new(&a, &b).await;
        for _ in 0..each.min(seeds.end - seed) {
            let commands = sequence(seed);
            if let Err(why) = play(&mut pair, seed, &commands).await {
                drop(pair);
                panic!("{}", explain(&model, &tried, seed, commands, why).await);
            }
            seed += 1;
        }
        if let Err(why) = pair.compare_exports() {
            panic!("seed {seed}: {why}");
        }
    }
}

/// Cuts a failing sequence down to what is needed for it to fail.
async fn explain<A: Stores, B: Stores>(
    model: &impl Fn() -> A,
    tried: &impl Fn() -> B,
    seed: u64,
    mut commands: Vec<Command>,
    why: String,
) -> String {
    let mut last = why;
    let mut place = 0;
    while place < commands.len() {
        let mut fewer = commands.clone();
        fewer.remove(place);
        let (a, b) = (model(), tried());
        let mut pair = Pair::new(&a, &b).await;
        match play(&mut pair, seed, &fewer).await {
            Err(why) => (commands, last) = (fewer, why),
            Ok(()) => place += 1,
        }
    }
    let list: Vec<String> = commands.iter().map(|c| format!("  {c:?}")).collect();
    format!(
        "seed {seed}: {last}\nwith only these commands:\n{}",
        list.join("\n")
    )
}
