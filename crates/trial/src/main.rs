//! `oncely-trial`: tries to break the promises, and measures.

use clap::{Args, Parser, Subcommand};
use oncely_core::points::Point;
use oncely_trial::bench;
use oncely_trial::crash::{self, Campaign, Crash, Report, Trouble};
use oncely_trial::disk::{self, Disk};
use oncely_trial::nemesis::{self, Nemesis};
use oncely_trial::points::{self, Points};
use oncely_trial::sabotage;
use oncely_trial::storage::{self, anomalies, power, rot};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What the real binary has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Tries to break oncely's promises, and measures it.
#[derive(Debug, Parser)]
#[command(name = "oncely-trial", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Kill the real binary at random moments and compare what everybody wrote down
    Crash(CrashArgs),
    /// Kill the real binary at every named point, for every kind of step, and compare
    Points(PointsArgs),
    /// Strike three real workers on one PostgreSQL with every fault, and compare what everybody wrote
    /// down
    Nemesis(NemesisArgs),
    /// Fill a small disk, hold it full and free it, while the real binary works on it; it mounts one
    Disk(DiskArgs),
    /// Cut the power of the ledger's disk, again and again, and compare what it holds
    Power(PowerArgs),
    /// Let the disk refuse one thing after the other
    Anomalies(AnomaliesArgs),
    /// Flip bits of the ledger's files and cut their ends
    Rot(RotArgs),
    /// Switch one mechanism off after the other, and see which tests turn red
    Sabotage(SabotageArgs),
    /// Measure, beside what it is measured against; exit 1 when a bound does not hold
    Bench(BenchArgs),
}

#[derive(Debug, Args)]
struct BenchArgs {
    /// What is measured
    #[arg(value_enum)]
    what: bench::What,
    /// The binary; default: `oncely` beside this one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Where the ledger is: `postgres` starts a server of its own, for `events` and `callers`
    #[arg(long, value_enum, default_value_t = bench::Store::Sqlite)]
    ledger: bench::Store,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct PointsArgs {
    /// Only this point, such as `intent.after`; `--list` prints all
    #[arg(long, value_name = "NAME")]
    point: Option<String>,
    /// Only this kind of step, such as `http-unkeyed`
    #[arg(long, value_name = "STEP")]
    kind: Option<String>,
    /// Only this moment of its life: first, again, retry, answer, undo, stopped
    #[arg(long, value_name = "MOMENT")]
    phase: Option<String>,
    /// Every point once and every moment of every kind once, as `./check` does it
    #[arg(long)]
    part: bool,
    /// What chance begins with: it chooses what belongs to the part
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the points and end
    #[arg(long)]
    list: bool,
    /// The binary, built for debugging or with the feature `sabotage`; default: `oncely` beside this
    /// one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Switch a promise off: intent, unique, mark, fence
    #[arg(long, value_name = "PROMISE")]
    sabotage: Option<String>,
    /// Exit 0 when a promise is broken, and 1 when none is
    #[arg(long)]
    expect_broken: bool,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct DiskArgs {
    /// How often it is filled
    #[arg(long, default_value_t = 100)]
    fills: u32,
    /// What chance begins with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// An event must have its effect so many seconds after there is room
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    within: u64,
    /// The binary; default: `oncely` beside this one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
    /// The folder that a small disk is mounted on: for this program itself
    #[arg(long, value_name = "DIR", hide = true)]
    inside: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct PowerArgs {
    /// How often
    #[arg(long, default_value_t = 200)]
    cuts: u64,
    /// What chance begins with: each cut has the next seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Do not wait for the disk: shows that a promise then breaks
    #[arg(long)]
    unsynced: bool,
}

#[derive(Debug, Args)]
struct AnomaliesArgs {
    /// What chance begins with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Refuse every so manyth only
    #[arg(long, default_value_t = 1)]
    every: u64,
}

#[derive(Debug, Args)]
struct RotArgs {
    /// How many bits are flipped, one at a time
    #[arg(long, default_value_t = 500)]
    flips: u64,
    /// What chance begins with: each flip has the next seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Debug, Args)]
struct SabotageArgs {
    /// Only this switch; default: every one
    name: Option<String>,
    /// Only say whether this program has the switches; exit 1 when it has
    #[arg(long, value_name = "FILE")]
    none_in: Option<PathBuf>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct CrashArgs {
    /// How many servers are killed
    #[arg(long, default_value_t = 50)]
    kills: u32,
    /// Send at least so many small events beside everything else
    #[arg(long, default_value_t = 0)]
    events: u64,
    /// Begin a new project after so many kills, with the next seed, and compare
    #[arg(long, default_value_t = 1000)]
    each: u32,
    /// So many projects at the same time
    #[arg(long, default_value_t = 1)]
    lanes: u64,
    /// What chance begins with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The binary; default: `oncely` beside this one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Switch a promise off: intent, unique, mark, fence. Needs a binary built with the feature
    /// `sabotage`
    #[arg(long, value_name = "PROMISE")]
    sabotage: Option<String>,
    /// Exit 0 when a promise is broken, and 1 when none is
    #[arg(long)]
    expect_broken: bool,
    /// Keep the project in this empty folder
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct NemesisArgs {
    /// At least so many faults
    #[arg(long, default_value_t = 50)]
    faults: u32,
    /// At least so many runs
    #[arg(long, default_value_t = 5000)]
    runs: usize,
    /// What chance begins with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The lease of the workers, in seconds
    #[arg(long, default_value_t = 5)]
    lease: u64,
    /// A worker must have recorded something so many seconds after a fault; default: two leases
    #[arg(long, value_name = "SECONDS")]
    within: Option<u64>,
    /// The binary; default: `oncely` beside this one. Built with the feature `sabotage`, which has the
    /// switch for its clock
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Switch a promise off: unique, fence
    #[arg(long, value_name = "PROMISE")]
    sabotage: Option<String>,
    /// Exit 0 when a promise is broken, and 1 when none is
    #[arg(long)]
    expect_broken: bool,
    /// Keep the project in this empty folder
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Crash(args) => crash(&args),
        Command::Points(args) => points(&args),
        Command::Nemesis(args) => strike(&args),
        Command::Disk(args) => full_disk(&args),
        Command::Power(args) => cut(&args),
        Command::Anomalies(args) => refuse(&args),
        Command::Rot(args) => spoil(&args),
        Command::Sabotage(args) => switch_off(&args),
        Command::Bench(args) => measure(&args),
    };
    done.unwrap_or_else(|trouble| {
        eprintln!("oncely-trial: {trouble}");
        ExitCode::from(2)
    })
}

fn crash(args: &CrashArgs) -> Result<ExitCode, Trouble> {
    let crash = Crash {
        kills: args.kills,
        events: args.events,
        seed: args.seed,
        binary: binary(args.binary.clone())?,
        sabotage: args.sabotage.clone(),
        folder: args.folder.clone(),
        talk: !args.json,
    };
    let report = crash::campaign(&Campaign {
        crash,
        each: args.each,
        lanes: args.lanes,
    })?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("Seed {}.", args.seed);
        say(&report);
    }
    let as_expected = report.broken.is_empty() != args.expect_broken;
    Ok(ExitCode::from(u8::from(!as_expected)))
}

fn points(args: &PointsArgs) -> Result<ExitCode, Trouble> {
    if args.list {
        for point in Point::ALL {
            println!("{:<20}  {}", point.name(), point.what());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let named = |name: &String| {
        Point::named(name).ok_or_else(|| {
            Trouble(format!(
                "there is no point {name:?}: --list prints them all"
            ))
        })
    };
    let report = points::run(&Points {
        binary: binary(args.binary.clone())?,
        seed: args.seed,
        point: args.point.as_ref().map(named).transpose()?,
        kind: args.kind.clone(),
        phase: args.phase.clone(),
        part: args.part,
        sabotage: args.sabotage.clone(),
        talk: !args.json,
    })?;
    match args.json {
        true => println!("{}", serde_json::to_string(&report)?),
        false => println!("{}", points::say(&report)),
    }
    let as_expected = match args.expect_broken {
        true => !report.broken.is_empty(),
        false => report.holds(),
    };
    Ok(ExitCode::from(u8::from(!as_expected)))
}

fn strike(args: &NemesisArgs) -> Result<ExitCode, Trouble> {
    let report = nemesis::run(&Nemesis {
        faults: args.faults,
        runs: args.runs,
        seed: args.seed,
        binary: binary(args.binary.clone())?,
        sabotage: args.sabotage.clone(),
        lease: Duration::from_secs(args.lease),
        within: Duration::from_secs(args.within.unwrap_or(2 * args.lease)),
        folder: args.folder.clone(),
        talk: !args.json,
    })?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    let as_expected = report.broken.is_empty() != args.expect_broken;
    Ok(ExitCode::from(u8::from(!as_expected)))
}

fn full_disk(args: &DiskArgs) -> Result<ExitCode, Trouble> {
    let binary = binary(args.binary.clone())?;
    let Some(folder) = args.inside.clone() else {
        // Once more, where the disk is mounted.
        let folder = tempfile::Builder::new().prefix("oncely-disk-").tempdir()?;
        let mut words = std::env::args().skip(1).collect::<Vec<_>>();
        words.extend(["--inside".into(), folder.path().display().to_string()]);
        return disk::on_small_disk(folder.path(), &words);
    };
    let report = disk::run(&Disk {
        binary,
        folder,
        fills: args.fills,
        seed: args.seed,
        within: Duration::from_secs(args.within),
        talk: !args.json,
    })?;
    match args.json {
        true => println!("{}", serde_json::to_string(&report)?),
        false => print!("{report}"),
    }
    Ok(ExitCode::from(u8::from(!report.broken.is_empty())))
}

fn cut(args: &PowerArgs) -> Result<ExitCode, Trouble> {
    let seen = power::run(args.seed..args.seed + args.cuts, !args.unsynced)?;
    println!("Seed {}. {}", args.seed, seen.say());
    if !args.unsynced {
        keep("power.txt", &seen.broken)?;
    }
    Ok(end(seen
        .broken
        .iter()
        .map(|(seed, why)| format!("seed {seed}: {why}"))))
}

fn refuse(args: &AnomaliesArgs) -> Result<ExitCode, Trouble> {
    let seen = anomalies::run(args.seed, args.every)?;
    println!("Seed {}. {}", args.seed, seen.say());
    Ok(end(seen.broken))
}

fn spoil(args: &RotArgs) -> Result<ExitCode, Trouble> {
    let seen = rot::run(args.seed, args.seed..args.seed + args.flips)?;
    println!("Seed {}. {}", args.seed, seen.say());
    keep("rot.txt", &seen.broken)?;
    Ok(end(seen
        .broken
        .iter()
        .map(|(seed, why)| format!("seed {seed}: {why}"))))
}

fn keep(file: &str, broken: &[(u64, String)]) -> Result<(), Trouble> {
    broken
        .iter()
        .try_for_each(|(seed, why)| storage::keep(file, *seed, why))
}

fn end(broken: impl IntoIterator<Item = String>) -> ExitCode {
    let broken: Vec<String> = broken.into_iter().collect();
    for why in &broken {
        println!("BROKEN: {why}");
    }
    if broken.is_empty() {
        println!("Every promise held.");
    }
    ExitCode::from(u8::from(!broken.is_empty()))
}

fn switch_off(args: &SabotageArgs) -> Result<ExitCode, Trouble> {
    if let Some(program) = &args.none_in {
        let has = sabotage::has_switches(program)?;
        let word = if has { "has the" } else { "has no" };
        println!("{} {word} switches.", program.display());
        return Ok(ExitCode::from(u8::from(has)));
    }
    let found = sabotage::run(args.name.as_deref(), !args.json)?;
    let noticed = found.iter().filter(|missed| missed.is_noticed()).count();
    match args.json {
        true => println!("{}", serde_json::to_string(&found)?),
        false => println!("{noticed} of {} switches are noticed.", found.len()),
    }
    Ok(ExitCode::from(u8::from(noticed < found.len())))
}

fn measure(args: &BenchArgs) -> Result<ExitCode, Trouble> {
    let measured = bench::run(args.what, args.ledger, &binary(args.binary.clone())?)?;
    if args.json {
        println!("{}", serde_json::to_string(&measured)?);
    } else {
        measured.iter().for_each(|m| println!("{}", bench::say(m)));
    }
    let holds = measured.iter().all(bench::Measured::holds);
    Ok(ExitCode::from(u8::from(!holds)))
}

fn binary(given: Option<PathBuf>) -> Result<PathBuf, Trouble> {
    let path = match given {
        Some(path) => path,
        None => std::env::current_exe()?.with_file_name("oncely"),
    };
    path.canonicalize().map_err(|e| {
        Trouble(format!(
            "{}: {e}. `cargo build -p oncely` makes it.",
            path.display()
        ))
    })
}

fn say(report: &Report) {
    let w = &report.windows;
    println!(
        "{} kills in {:.0} s ({} servers stopped beyond their lease): {} files and events, {} rows, {} requests and \
         lines.",
        report.kills, report.seconds, report.stopped, report.sent, report.rows, report.effects
    );
    println!(
        "In flight at the kills: {}. Kills between intent and effect: {}, effect and outcome: {}, \
         mark and ledger: {}.",
        w.in_flight, w.intent_to_effect, w.effect_to_outcome, report.mark_to_ledger
    );
    println!(
        "Unknown: {}. Quarantined and resumed: {}.",
        report.unknown, w.quarantined
    );
    for (promise, what, times) in &report.broken {
        println!("BROKEN: {promise}: {what} ({times} places)");
    }
    if report.broken.is_empty() {
        println!("Every promise held.");
    }
}
