//! All kinds, two at a time, each in a project of its own.

use super::judge::{Evidence, Judge, Runs};
use super::kinds::{KINDS, Kind, Phase};
use super::lane::{Case, Lane};
use super::report::Report;
use super::stage::Stage;
use super::watched::{until, works_in};
use super::world::World;
use crate::check::{Broken, Export};
use crate::crash::{Oncely, Trouble};
use crate::dice::Dice;
use oncely_core::points::Point;
use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tokio::runtime::Handle;

/// What is played.
#[derive(Debug, Clone)]
pub struct Points {
    /// The binary.
    pub binary: PathBuf,
    /// What chance begins with.
    pub seed: u64,
    /// Only this point.
    pub point: Option<Point>,
    /// Only this kind.
    pub kind: Option<String>,
    /// Only this moment.
    pub phase: Option<String>,
    /// Not every kind at every point, but every point once and every moment of every kind once.
    pub part: bool,
    /// What is switched off in the binary.
    pub sabotage: Option<String>,
    /// Say how far it is.
    pub talk: bool,
}

/// Most times that a process comes to one point in one case.
const TIMES: u32 = 40;

/// Most tries to stop a process outside a transaction.
const TURNS: u32 = 10;

/// Kinds that are played at the same time.
const LANES: usize = 2;

/// What is tried: a kind, a moment of its life, and a point.
type Try = (Phase, Point);

/// Plays all that is asked for, and judges it.
///
/// # Errors
/// When the harness itself cannot work, or nothing is asked for. A broken promise is in the report.
pub fn run(points: &Points) -> Result<Report, Trouble> {
    let begun = Instant::now();
    let plan = plan(points)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let folder = tempfile::Builder::new()
        .prefix("oncely-points-")
        .tempdir()?;
    let queue = Mutex::new(plan);
    let lane = |_| played(points, folder.path(), &queue, runtime.handle());
    let done: Vec<Result<_, Trouble>> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|n| scope.spawn(move || lane(n))).collect();
        let over = lanes.into_iter().map(std::thread::ScopedJoinHandle::join);
        over.map(|lane| lane.unwrap_or_else(|_| Err(Trouble("a lane panicked".into()))))
            .collect()
    });
    let mut report = Report {
        seed: points.seed,
        ..Report::default()
    };
    let mut reached = BTreeSet::new();
    for lane in done {
        let (of_lane, its) = lane?;
        report.add(of_lane);
        reached.extend(its);
    }
    report.points = reached.len();
    report.seconds = begun.elapsed().as_secs_f64();
    report.broken.sort();
    Ok(report)
}

/// What is tried of each kind.
fn plan(points: &Points) -> Result<VecDeque<(&'static Kind, Vec<Try>)>, Trouble> {
    let mut plan = VecDeque::new();
    let mut dice = Dice::new(points.seed);
    let mut tried = BTreeSet::new();
    for kind in KINDS {
        if points.kind.as_deref().is_some_and(|name| name != kind.name) {
            continue;
        }
        let mut tries = Vec::new();
        for (phase, _) in kind.lives {
            let wanted = points
                .phase
                .as_deref()
                .is_none_or(|name| name == phase.name());
            let mut all = kind.points(*phase);
            all.retain(|p| wanted && points.point.is_none_or(|only| only == *p));
            if points.part && !all.is_empty() {
                let chosen = dice.between(0, all.len() as u64 - 1);
                let chosen = usize::try_from(chosen)
                    .ok()
                    .and_then(|n| all.get(n))
                    .copied();
                all.retain(|p| tried.insert(*p) || Some(*p) == chosen);
            }
            tries.extend(all.into_iter().map(|point| (*phase, point)));
        }
        if !tries.is_empty() {
            plan.push_back((kind, tries));
        }
    }
    match plan.is_empty() {
        false => Ok(plan),
        true => Err(Trouble(format!(
            "no kind comes to that point at that moment. Kinds: {}. Moments: first, again, retry, \
             answer, undo, stopped.",
            KINDS
                .iter()
                .map(|kind| kind.name)
                .collect::<Vec<_>>()
                .join(", ")
        ))),
    }
}

/// Takes one kind after the other until none is left.
fn played(
    points: &Points,
    folder: &Path,
    queue: &Mutex<VecDeque<(&'static Kind, Vec<Try>)>>,
    runtime: &Handle,
) -> Result<(Report, BTreeSet<Point>), Trouble> {
    let (mut report, mut reached) = (Report::default(), BTreeSet::new());
    loop {
        let next = queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        let Some((kind, tries)) = next else {
            return Ok((report, reached));
        };
        let (of_kind, its) = of_kind(points, folder, kind, &tries, runtime)?;
        if points.talk {
            eprintln!(
                "{}: {} kills, {} stops",
                kind.name, of_kind.kills, of_kind.stops
            );
        }
        report.add(of_kind);
        reached.extend(its);
    }
}

fn of_kind(
    points: &Points,
    folder: &Path,
    kind: &'static Kind,
    tries: &[Try],
    runtime: &Handle,
) -> Result<(Report, BTreeSet<Point>), Trouble> {
    let root = folder.join(kind.name);
    std::fs::create_dir(&root)?;
    let (world, ports) = runtime.block_on(World::start())?;
    let oncely = Oncely {
        variables: Vec::new(),
        binary: points.binary.clone(),
        root: root.clone(),
        sabotage: points.sabotage.clone(),
    };
    let stage = Stage::make(&root, kind, ports, &oncely)?;
    let lane = Lane::open(kind, stage, runtime.clone())?;
    let mut kind_report = Report {
        kinds: 1,
        ..Report::default()
    };
    let (mut cases, mut reached) = (Vec::new(), BTreeSet::new());
    for (phase, point) in tries {
        if every_time(
            points,
            &lane,
            (*phase, *point),
            &mut cases,
            &mut kind_report,
        )? {
            reached.insert(*point);
        } else {
            let what = format!("{}, {phase}, {}", kind.name, point.name());
            kind_report.unreached.push(what);
        }
    }
    lane.finish()?;
    kind_report.events = cases.len();
    kind_report.broken = settled(&lane, &world, &cases, &mut kind_report.settled)?;
    Ok((kind_report, reached))
}

/// Ends processes at the first, second, third time that they come to a point, until one does not come
/// there any more.
fn every_time(
    points: &Points,
    lane: &Lane,
    (phase, point): Try,
    cases: &mut Vec<Case>,
    report: &mut Report,
) -> Result<bool, Trouble> {
    if phase == Phase::Stopped {
        return stopped(lane, &Case::new(phase, point, 1), cases, report);
    }
    let mut any = false;
    for nth in 1..=TIMES {
        let case = Case::new(phase, point, nth);
        let reached = lane.play(&case)?;
        cases.push(case);
        any |= reached;
        report.kills += u64::from(reached);
        if !reached || points.part {
            break;
        }
    }
    Ok(any)
}

/// A stop takes as long as a lease: the first time says it. It is tried again where it fell into a
/// transaction of something else.
fn stopped(
    lane: &Lane,
    case: &Case,
    cases: &mut Vec<Case>,
    report: &mut Report,
) -> Result<bool, Trouble> {
    for turn in 1..=TURNS {
        let case = case.once_more(turn);
        let reached = lane.play(&case)?;
        cases.push(case);
        if reached {
            report.stops += 1;
            return Ok(true);
        }
    }
    Ok(false)
}

/// When all rests: every doubt is listed. Then it is said what became of each, as the other side has
/// it, and everything is compared.
fn settled(
    lane: &Lane,
    world: &World,
    cases: &[Case],
    settled: &mut u64,
) -> Result<Vec<(String, String)>, Trouble> {
    let root = &lane.stage.oncely.root;
    until("programs of killed processes", || Ok(!works_in(root)))?;
    let mut broken: Vec<Broken> = Vec::new();
    let export = export(lane)?;
    let evidence = Evidence::collect(&lane.stage, world)?;
    for case in cases {
        let mut judge = judge(lane, case, &export, &evidence);
        judge.doubts();
        broken.extend(judge.broken);
        for (run, what) in Runs::of(&export, lane.kind, case).in_doubt() {
            *settled += 1;
            lane.settle(run.id, evidence.happened(what, &case.id))?;
        }
    }
    let export = self::export(lane)?;
    let evidence = Evidence::collect(&lane.stage, world)?;
    for case in cases {
        let mut judge = judge(lane, case, &export, &evidence);
        judge.all();
        broken.extend(judge.broken);
    }
    Ok(broken
        .into_iter()
        .map(|broken| (broken.promise.to_string(), broken.what))
        .collect())
}

fn judge<'e>(
    lane: &'e Lane,
    case: &'e Case,
    export: &'e Export,
    evidence: &'e Evidence,
) -> Judge<'e> {
    Judge {
        kind: lane.kind,
        case,
        stage: &lane.stage,
        export,
        evidence,
        broken: Vec::new(),
    }
}

fn export(lane: &Lane) -> Result<Export, Trouble> {
    let path = lane.stage.path("export.jsonl");
    lane.stage.oncely.export(&path)?;
    Export::read(&std::fs::read_to_string(path)?).map_err(Trouble)
}
