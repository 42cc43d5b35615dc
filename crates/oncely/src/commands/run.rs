//! `oncely run`: every release task that has not been done in this environment, in order.

use super::baseline;
use super::chosen::Choice;
use super::drive::{self, Stands};
use super::first_run;
use super::quiet;
use crate::cli::{FirstRun, OnBusy, PhaseArg, Plan, Run};
use crate::config::{Config, Flags};
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, count};
use crate::project::{self, Loaded, TaskFile};
use oncely_core::ids::{Environment, TaskId};
use oncely_core::ledger::{
    Change, Claim, FileMark, Filter, Leased, LedgerError, Op, RunRow, Unit, What,
};
use oncely_core::run::RunStatus;
use oncely_core::task::{Phase, Task};
use oncely_core::time::Clock;
use oncely_engine::{Ask, Engine, Known, Offer, Offered, Stop};
use oncely_sources::release::{self, Release};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn run(voice: Voice, flags: &Flags, args: &Run) -> Result<Exit, Failure> {
    if args.dry_run {
        let chosen = args.chosen.clone();
        let (phase, release) = (args.phase, args.release.clone());
        let plan = Plan {
            phase,
            release,
            chosen,
        };
        return super::plan::run(voice, flags, &plan);
    }
    let house = House::open(flags, "oncely run", true)?;
    house.block_on(async {
        Releasing {
            house: &house,
            voice,
            args,
        }
        .run()
        .await
    })
}

/// The phase as the core names it.
pub(crate) fn phase(arg: Option<PhaseArg>) -> Option<Phase> {
    arg.map(|phase| match phase {
        PhaseArg::Before => Phase::Before,
        PhaseArg::After => Phase::After,
    })
}

struct Releasing<'a> {
    house: &'a House,
    voice: Voice,
    args: &'a Run,
}

impl Releasing<'_> {
    async fn run(&self) -> Result<Exit, Failure> {
        if self.args.chosen.is_all()
            && let Some(done) = self.known_done().await?
        {
            return Ok(self.nothing_to_do(done));
        }
        let loaded = project::load_clean(&self.house.config, self.voice.colour)?;
        let engine = self.house.engine(loaded.tasks.clone())?;
        let renewing = tokio::spawn(Arc::clone(&engine).renew());
        self.house.ledger().renew().await?;
        let outcome = match self.turn(&engine).await? {
            Some(name) => {
                let outcome = self.all(&engine, &loaded).await;
                self.give_back(name).await?;
                remember(self.house, loaded.marks).await?;
                outcome
            }
            None => Ok(Exit::Done),
        };
        renewing.abort();
        outcome
    }

    /// How many tasks are done, if that can be seen without reading them and nothing is left.
    async fn known_done(&self) -> Result<Option<usize>, Failure> {
        let files = project::files(&self.house.config)?;
        let release = release_id(self.args.release.as_deref(), &self.house.config);
        if let Some(done) = quiet::known(self.house, &files, &release).await? {
            return Ok(Some(done));
        }
        let done = nothing_new(self.house, &files, &release).await?;
        if let Some(done) = done {
            quiet::remember(self.house, &files, &release, done).await?;
        }
        Ok(done.map(|done| done.tasks))
    }

    fn nothing_to_do(&self, done: usize) -> Exit {
        self.voice
            .record(&serde_json::json!({ "ran": 0, "done_before": done }));
        self.voice.say(match done {
            0 => "Nothing to do: there are no release tasks here.".to_owned(),
            _ => format!("Nothing to do: {} already done here.", count(done, "task")),
        });
        Exit::Done
    }

    /// Waits for this environment's turn; none when somebody else has it and that is all right.
    async fn turn(&self, engine: &Arc<Engine>) -> Result<Option<Named>, Failure> {
        let name = format!("release/{}", self.house.config.environment.value);
        let mut said = false;
        let mut change = Change::default();
        let stop = engine.stopper();
        self.house.stop_on_signals(&stop);
        self.say_when_stopping(stop.clone());
        while !stop.is_stopping() {
            let claim = self.claim();
            match self
                .house
                .ledger()
                .lease(What::Named(name.clone()), claim)
                .await?
            {
                Leased::Named(fence) => return Ok(Some(Named { name, fence })),
                Leased::Runs(_) => {}
                Leased::Busy(holder) => {
                    let who = format!("process {} ({})", holder.pid, holder.role);
                    match self.args.on_busy {
                        OnBusy::Skip => {
                            self.voice
                                .say(format!("{who} is running the tasks; nothing was done."));
                            return Ok(None);
                        }
                        OnBusy::Fail => {
                            return Err(Failure::failed(format!(
                                "{who} is running the release tasks of this environment. Nothing was done here."
                            )));
                        }
                        OnBusy::Wait if !said => {
                            said = true;
                            self.voice
                                .say(format!("Waiting for {who}, which is running the tasks."));
                        }
                        OnBusy::Wait => {}
                    }
                }
            }
            tokio::select! {
                seen = self.house.ledger().watch(change) => change = seen,
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
                () = stop.stopped() => {}
            }
        }
        Err(Failure::failed("stopped while waiting; nothing was done."))
    }

    fn say_when_stopping(&self, stop: Stop) {
        let (voice, grace) = (self.voice, self.house.config.grace.value);
        tokio::spawn(async move {
            stop.stopped().await;
            let seconds = grace.as_secs();
            voice.record(&serde_json::json!({ "stopping": true, "grace_seconds": seconds }));
            voice.say(format!(
                "Stopping: the step at work has {seconds} s to end."
            ));
        });
    }

    fn claim(&self) -> Claim {
        Claim {
            environment: self.house.config.environment.value.clone(),
            now: self.house.clock.now(),
            limit: 1,
            caps: Vec::new(),
            except: Vec::new(),
            suspects: true,
        }
    }

    async fn give_back(&self, named: Named) -> Result<(), LedgerError> {
        let ops = vec![Op::ReleaseName(named.name, named.fence)];
        self.house
            .ledger()
            .commit(vec![Unit {
                guards: Vec::new(),
                ops,
            }])
            .await?;
        Ok(())
    }

    async fn all(&self, engine: &Arc<Engine>, loaded: &Loaded) -> Result<Exit, Failure> {
        let environment = &self.house.config.environment.value;
        let release = Release {
            id: release_id(self.args.release.as_deref(), &self.house.config),
            environment: environment.clone(),
            phase: phase(self.args.phase),
        };
        let rows = standing(self.house, &loaded.tasks, &release).await?;
        let choice = Choice::of(&self.args.chosen, loaded)?;
        let wanted = in_order(&loaded.tasks, &rows, &release);
        let (behind, mut pending): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .filter(|wanted| choice.has(&wanted.known.task))
            .partition(|wanted| {
                let row = rows.get(&wanted.known.task.id);
                row.is_some_and(|row| is_behind(row.status))
            });
        named_release(&pending, &release)?;
        let mut old = Vec::new();
        let is_every = |wanted: &Wanted<'_>| release::is_every(&wanted.known.task);
        let once = pending.iter().filter(|wanted| !is_every(wanted)).count();
        if first_run::decide(self.args.first_run, !rows.is_empty(), once)? == FirstRun::Baseline {
            (pending, old) = pending.into_iter().partition(is_every);
            self.skip_all(engine, &old, &release).await?;
        }
        let mut exit = Exit::Done;
        for (place, wanted) in pending.iter().enumerate() {
            let before = rows.get(&wanted.known.task.id);
            let stands = self.one(engine, wanted, before, &release).await?;
            drive::say(
                self.voice,
                &project::label(&wanted.known.task),
                &stands,
                environment,
            );
            exit = exit.worse(stands.exit(self.args.strict_exit));
            let left = pending.len() - place - 1;
            if engine.stopper().is_stopping() && (left > 0 || !stands.row.status.is_ended()) {
                return Err(Failure::failed(told_to_stop(left)));
            }
            if !is_behind(stands.row.status) && !self.goes_past(stands.row.status) {
                return Ok(exit);
            }
        }
        if pending.is_empty() && old.is_empty() {
            return Ok(self.nothing_to_do(behind.len()));
        }
        Ok(exit)
    }

    /// Whether the next task is done though this one did not end well.
    fn goes_past(&self, status: RunStatus) -> bool {
        let wrong = matches!(
            status,
            RunStatus::Failed | RunStatus::Cancelled | RunStatus::Unknown
        );
        self.args.keep_going && wrong
    }

    async fn skip_all(
        &self,
        engine: &Arc<Engine>,
        pending: &[Wanted<'_>],
        release: &Release,
    ) -> Result<(), Failure> {
        let tasks: Vec<&Known> = pending.iter().map(|wanted| wanted.known).collect();
        let reason = "it was there when this environment was new: --first-run baseline";
        baseline::mark(self.house, engine, &tasks, release, reason).await?;
        let skipped = count(tasks.len(), "task");
        self.voice
            .record(&serde_json::json!({ "skipped": tasks.len() }));
        self.voice.say(format!(
            "{skipped} skipped; new ones will be done from now on."
        ));
        Ok(())
    }

    /// Admits a task, or takes up its run, and drives it until it rests.
    async fn one(
        &self,
        engine: &Arc<Engine>,
        wanted: &Wanted<'_>,
        before: Option<&RunRow>,
        release: &Release,
    ) -> Result<Stands, Failure> {
        let task = &wanted.known.task;
        if let Some(row) = before {
            if row.status == RunStatus::Failed || row.status == RunStatus::Cancelled {
                return Stands::read(self.house, row.id).await;
            }
            return drive::to_rest(self.house, engine, row.id).await;
        }
        let event = release::event(task, release, wanted.late);
        let offer = Offer::new(task.id.clone(), release::key(task, release), event);
        match self.house.intake(engine).offer(vec![offer]).await?.pop() {
            Some(Offered::Admitted(run) | Offered::Duplicate(run)) => {
                drive::to_rest(self.house, engine, run).await
            }
            Some(Offered::Refused(why)) => Err(Failure::failed(why)),
            None => Err(Failure::failed(
                "the ledger did not say what became of the task.",
            )),
        }
    }
}

fn told_to_stop(left: usize) -> String {
    let left = match left {
        0 => "the last task is not done".to_owned(),
        1 => "1 task was not begun".to_owned(),
        left => format!("{left} tasks were not begun"),
    };
    format!("told to stop: {left}. What was done is recorded; `oncely run` goes on there.")
}

struct Named {
    name: String,
    fence: oncely_core::ids::Fence,
}

/// A release task of this environment and phase.
pub(crate) struct Wanted<'t> {
    pub(crate) known: &'t Known,
    pub(crate) late: bool,
}

/// The release tasks that concern this release, in order, those done before included.
pub(crate) fn in_order<'t>(
    tasks: &'t [Known],
    rows: &BTreeMap<TaskId, RunRow>,
    release: &Release,
) -> Vec<Wanted<'t>> {
    let admitted: BTreeSet<TaskId> = rows
        .values()
        .filter(|row| row.trigger == "release")
        .map(|row| row.task.clone())
        .collect();
    let due = release::due(tasks.iter().map(|k| &*k.task), &BTreeSet::new(), release);
    let newest = admitted
        .iter()
        .map(TaskId::as_str)
        .max()
        .unwrap_or_default();
    due.iter()
        .filter_map(|due| {
            let known = tasks.iter().find(|known| known.task.id == due.task)?;
            let late = !admitted.contains(&due.task) && due.task.as_str() < newest;
            let late = late && !release::is_every(&known.task);
            Some(Wanted { known, late })
        })
        .collect()
}

/// Whether the tasks after it may be done.
pub(crate) fn is_behind(status: RunStatus) -> bool {
    matches!(
        status,
        RunStatus::Done | RunStatus::Skipped | RunStatus::Imported | RunStatus::Undone
    )
}

/// The newest run of each task of the environment.
pub(crate) async fn newest(
    house: &House,
    environment: &Environment,
) -> Result<BTreeMap<TaskId, RunRow>, Failure> {
    let rows = Ask(house.ledger()).newest(environment.clone()).await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.task.clone(), row))
        .collect())
}

/// The run of each task that counts at this release: of a task that runs at every release that of
/// this one, of the others the newest.
pub(crate) async fn standing(
    house: &House,
    tasks: &[Known],
    release: &Release,
) -> Result<BTreeMap<TaskId, RunRow>, Failure> {
    let mut rows = newest(house, &release.environment).await?;
    for known in tasks.iter().filter(|known| release::is_every(&known.task)) {
        let id = &known.task.id;
        if rows.remove(id).is_none() {
            continue;
        }
        let filter = Filter {
            environment: Some(release.environment.clone()),
            task: Some(id.clone()),
            key: Some(release::key(&known.task, release)),
            limit: 1,
            ..Filter::default()
        };
        let row = Ask(house.ledger()).runs(filter).await?.pop();
        rows.extend(row.map(|row| (id.clone(), row)));
    }
    Ok(rows)
}

/// What runs at every release needs to know which one this is.
pub(crate) fn named_release(pending: &[Wanted<'_>], release: &Release) -> Result<(), Failure> {
    let mut every = pending.iter().filter(|w| release::is_every(&w.known.task));
    match every.next() {
        Some(wanted) if release.id == UNKNOWN => Err(Failure::usage(format!(
            "{} runs at every release, and which one this is is not known. Nothing was run. Name \
             it with --release ID; HEROKU_RELEASE_VERSION, KAMAL_VERSION, GITHUB_SHA or a git \
             checkout name it too.",
            wanted.known.task.path
        ))),
        _ => Ok(()),
    }
}

/// How many tasks are done, when every task file is as it was last read and nothing is left to do.
/// Unchanged files are known by their size, time and number, and are not read again.
async fn nothing_new(
    house: &House,
    files: &[TaskFile],
    release: &str,
) -> Result<Option<quiet::Done>, Failure> {
    let kept = Ask(house.ledger()).files().await?;
    let marks: BTreeMap<&str, &FileMark> = kept.iter().map(|m| (m.path.as_str(), m)).collect();
    if !gone(&marks, files).is_empty() {
        return Ok(None);
    }
    let rows = newest(house, &house.config.environment.value).await?;
    let mut done = quiet::Done::default();
    for file in files {
        let unchanged = marks
            .get(file.path.as_str())
            .filter(|mark| mark.stat == file.stat);
        let Some(mark) = unchanged else {
            return Ok(None);
        };
        if project::version_of(&file.path).is_none() {
            continue;
        }
        match rows.get(&mark.task) {
            Some(row) if is_behind(row.status) && release::answers(&row.key, release) => {
                done.tasks += 1;
                done.at_this_release |= !release::answers(&row.key, "");
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(done))
}

/// What is remembered of a file that is not there any more.
const GONE: (u64, i64, u64) = (0, 0, 0);

/// Files that were there when they were last looked at, and are not now.
fn gone<'m>(marks: &BTreeMap<&str, &'m FileMark>, files: &[TaskFile]) -> Vec<&'m FileMark> {
    let there: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let missing = |mark: &&&FileMark| mark.stat != GONE && !there.contains(mark.path.as_str());
    marks.values().filter(missing).copied().collect()
}

/// Remembers what the task files look like now.
async fn remember(house: &House, mut marks: Vec<FileMark>) -> Result<(), Failure> {
    let kept = Ask(house.ledger()).files().await?;
    let kept: BTreeMap<&str, &FileMark> = kept.iter().map(|m| (m.path.as_str(), m)).collect();
    let gone = gone(&kept, &project::files(&house.config)?);
    marks.extend(gone.into_iter().map(|mark| FileMark {
        stat: GONE,
        ..mark.clone()
    }));
    let ops = vec![Op::Files(marks)];
    house
        .ledger()
        .commit(vec![Unit {
            guards: Vec::new(),
            ops,
        }])
        .await?;
    Ok(())
}

/// What a release is called that nobody named.
const UNKNOWN: &str = "unknown";

/// What was released, as far as the surroundings say.
pub(crate) fn release_id(flag: Option<&str>, config: &Config) -> String {
    let variables = ["HEROKU_RELEASE_VERSION", "KAMAL_VERSION", "GITHUB_SHA"];
    let from_environment = variables.iter().find_map(|name| std::env::var(name).ok());
    flag.map(str::to_owned)
        .or(from_environment)
        .or_else(|| git_head(config))
        .unwrap_or_else(|| UNKNOWN.into())
}

/// The commit that is checked out, read from git's own files.
fn git_head(config: &Config) -> Option<String> {
    let git = config
        .root
        .ancestors()
        .map(|f| f.join(".git"))
        .find(|f| f.is_dir())?;
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    let hash = match head.trim().strip_prefix("ref: ") {
        None => head.trim().to_owned(),
        Some(reference) => match std::fs::read_to_string(git.join(reference)) {
            Ok(hash) => hash.trim().to_owned(),
            Err(_) => packed(&git, reference)?,
        },
    };
    Some(hash.chars().take(12).collect())
}

/// Where git has packed its references, they are lines of one file.
fn packed(git: &Path, reference: &str) -> Option<String> {
    let all = std::fs::read_to_string(git.join("packed-refs")).ok()?;
    let mut pairs = all.lines().filter_map(|line| line.split_once(' '));
    let found = pairs.find(|(_, name)| *name == reference)?;
    Some(found.0.to_owned())
}

/// The tasks' own view of a task, for commands that list them.
pub(crate) fn concerns(task: &Task, environment: &Environment) -> bool {
    task.environments.is_empty() || task.environments.contains(environment)
}
