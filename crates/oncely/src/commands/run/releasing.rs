//! Does what is pending, one task after another, and says how each stands.

use super::annotate;
use super::marks;
use super::older;
use super::quiet;
use super::releases;
use super::turn::Turn;
use super::waiting;
use super::wanted::Wanted;
use super::wanted::is_behind;
use super::{in_order, is_done, named_release, release_id, standing};
use crate::adopt;
use crate::cli::{FirstRun, PhaseArg, Plan, Run};
use crate::commands::chosen::Choice;
use crate::commands::drive::{self, Stands};
use crate::commands::{baseline, first_run, strangers, terminal};
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, count};
use crate::project::{self, Loaded};
use oncely_core::ids::{RunId, TaskId};
use oncely_core::ledger::RunRow;
use oncely_core::run::RunStatus;
use oncely_core::task::{Phase, Task, Trigger};
use oncely_core::time::Timestamp;
use oncely_engine::{Engine, Known, Offer, Offered};
use oncely_sources::release::{self, Release};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) fn run(voice: Voice, flags: &Flags, args: &Run) -> Result<Exit, Failure> {
    if args.dry_run {
        let chosen = args.chosen.clone();
        let (phase, release) = (args.phase, args.release.clone());
        let plan = Plan {
            phase,
            release,
            chosen,
        };
        return crate::commands::plan::run(voice, flags, &plan);
    }
    let house = House::open(flags, "oncely run", true)?;
    house.block_on(async {
        let releasing = Releasing {
            house: &house,
            voice,
            args,
            serving: false,
            rests: Cell::new(None),
            until: waiting::until(&house, args.wait.as_deref())?,
        };
        match args.detach {
            true => releasing.detach().await,
            false => releasing.run().await,
        }
    })
}

/// The phase as the core names it.
pub(crate) fn phase(arg: Option<PhaseArg>) -> Option<Phase> {
    arg.map(|phase| match phase {
        PhaseArg::Before => Phase::Before,
        PhaseArg::After => Phase::After,
    })
}

pub(super) struct Releasing<'a> {
    pub(super) house: &'a House,
    pub(super) voice: Voice,
    pub(super) args: &'a Run,
    /// Whether a server does it: nobody is asked at its terminal.
    pub(super) serving: bool,
    /// The run that the rest waits for, with how many facts it has, where it does.
    pub(super) rests: Cell<Option<(RunId, u64)>>,
    /// Until when answers are waited for, if they are.
    pub(super) until: Option<Timestamp>,
}

impl Releasing<'_> {
    async fn run(&self) -> Result<Exit, Failure> {
        let older = older::Older::of(self.house, self.args.release.as_deref()).await?;
        if older.is_none()
            && self.args.chosen.is_all()
            && let Some(done) =
                quiet::nothing_left(self.house, self.args.release.as_deref()).await?
        {
            return Ok(self.nothing_to_do(done));
        }
        let loaded = project::load(&self.house.config)?;
        annotate::problems(self.voice, &self.house.config, &loaded.problems);
        let loaded = project::clean(loaded, self.voice.colour)?;
        let engine = self.house.engine(loaded.tasks.clone())?;
        let renewing = tokio::spawn(Arc::clone(&engine).renew());
        self.house.ledger().renew().await?;
        let turn = Turn {
            house: self.house,
            voice: self.voice,
            on_busy: self.args.on_busy,
        };
        let outcome = match turn.take(&engine).await? {
            Some(named) => {
                if let Some(older) = older {
                    older.cancel_held(self.voice, self.house, &engine).await?;
                }
                let outcome = self.all(&engine, &loaded).await;
                self.mirror(&engine, &loaded).await;
                turn.give_back(named).await?;
                marks::remember(self.house, loaded.marks).await?;
                outcome
            }
            None => Ok(Exit::Done),
        };
        renewing.abort();
        outcome
    }

    pub(super) fn nothing_to_do(&self, done: usize) -> Exit {
        self.voice
            .record(&serde_json::json!({ "ran": 0, "done_before": done }));
        self.voice.say(match done {
            0 => "Nothing to do: there are no release tasks here.".to_owned(),
            _ => format!("Nothing to do: {} already done here.", count(done, "task")),
        });
        Exit::Done
    }

    pub(super) async fn all(&self, engine: &Arc<Engine>, loaded: &Loaded) -> Result<Exit, Failure> {
        let environment = &self.house.config.environment.value;
        let release = Release {
            id: release_id(self.args.release.as_deref(), &self.house.config),
            environment: environment.clone(),
            phase: phase(self.args.phase),
        };
        let rows = self.standing(engine, loaded, &release).await?;
        let choice = Choice::of(&self.args.chosen, loaded)?;
        let wanted = in_order(&loaded.tasks, &rows, &release);
        let (behind, mut pending): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .filter(|wanted| choice.has(&wanted.known.task))
            .partition(|wanted| {
                let row = rows.get(&wanted.known.task.id);
                row.is_some_and(|row| is_done(&wanted.known.task, row.status))
            });
        named_release(&pending, &release)?;
        let mut old = Vec::new();
        let is_every = |wanted: &Wanted<'_>| release::is_every(&wanted.known.task);
        if first_run_of(self.args.first_run, &rows, &pending)? == FirstRun::Baseline {
            (pending, old) = pending.into_iter().partition(is_every);
        }
        if !old.is_empty() {
            self.has_reason_to_skip()?;
        }
        self.refuse_strangers(loaded, &pending, &rows)?;
        releases::record(self.house, &release.id).await?;
        if !old.is_empty() {
            self.skip_all(engine, &old, &release).await?;
        }
        let mut exit = Exit::Done;
        let mut waiting = false;
        for (place, wanted) in pending.iter().enumerate() {
            if waiting && !is_independent(&wanted.known.task) {
                continue;
            }
            let before = rows.get(&wanted.known.task.id);
            let label = project::label(&wanted.known.task);
            self.voice.command("group", &[], &label);
            let stands = match self.one(engine, wanted, before, &release).await {
                Ok(stands) => self.answered(engine, &label, stands).await,
                Err(failure) => Err(failure),
            };
            if let Ok(stands) = &stands {
                drive::say(self.voice, &label, stands, environment);
            }
            self.voice.command("endgroup", &[], "");
            let stands = stands?;
            annotate::task(self.voice, &self.house.config, &wanted.known.task, &stands);
            self.look_up(engine, wanted.known, &stands.row).await?;
            let strict = self.args.strict_exit || self.args.wait.is_some();
            exit = exit.worse(stands.exit(strict));
            let left = pending.len() - place - 1;
            if engine.stopper().is_stopping() && (left > 0 || !stands.row.status.is_ended()) {
                return Err(Failure::failed(told_to_stop(left)));
            }
            if is_behind(stands.row.status) || self.goes_past(stands.row.status) {
                continue;
            }
            if self.rests.get().is_none() && !stands.row.status.is_ended() {
                self.rests.set(Some((stands.row.id, stands.row.seq)));
            }
            if stands.row.status != RunStatus::Waiting {
                return Ok(exit);
            }
            waiting = true;
        }
        if pending.is_empty() && old.is_empty() {
            return Ok(self.nothing_to_do(behind.len()));
        }
        Ok(exit)
    }

    /// A question that nobody could answer is an error of its file.
    fn refuse_strangers(
        &self,
        loaded: &Loaded,
        pending: &[Wanted<'_>],
        rows: &BTreeMap<TaskId, RunRow>,
    ) -> Result<(), Failure> {
        let problems = strangers::among_new(&self.house.config, loaded, pending, rows);
        annotate::problems(self.voice, &self.house.config, &problems);
        project::none_wrong(&problems, self.voice.colour)
    }

    /// The run of each task that counts at this release, with what another tool's table has.
    async fn standing(
        &self,
        engine: &Engine,
        loaded: &Loaded,
        release: &Release,
    ) -> Result<BTreeMap<TaskId, RunRow>, Failure> {
        let rows = standing(self.house, &loaded.tasks, release).await?;
        let recorded = adopt::look(self.house, &loaded.tasks, &rows).await;
        let recorded = recorded.map_err(adopt::refused)?;
        if recorded.tasks.is_empty() {
            return Ok(rows);
        }
        adopt::keep(self.house, engine, &recorded, &rows).await?;
        standing(self.house, &loaded.tasks, release).await
    }

    /// Whether a task that is done now is done for ever: the table of the tool that it comes from
    /// says so.
    async fn look_up(&self, engine: &Engine, known: &Known, row: &RunRow) -> Result<(), Failure> {
        if row.status != RunStatus::Done || !release::is_until_recorded(&known.task) {
            return Ok(());
        }
        let rows = BTreeMap::from([(row.task.clone(), row.clone())]);
        let tasks = std::slice::from_ref(known);
        let recorded = match adopt::look(self.house, tasks, &rows).await {
            Ok(recorded) => recorded,
            Err(error) => {
                self.voice.say(format!(
                    "     whether it wrote its row is not known: {error} The next release looks again"
                ));
                return Ok(());
            }
        };
        let is_recorded = !recorded.tasks.is_empty();
        let fact = serde_json::json!({ "task": row.task, "run": row.id, "recorded": is_recorded });
        self.voice.record(&fact);
        if is_recorded {
            return adopt::keep(self.house, engine, &recorded, &rows).await;
        }
        self.voice.say(
            "     it wrote no row into after_party's table, and runs at the next release again",
        );
        Ok(())
    }

    /// Whether the next task is done though this one did not end well.
    fn goes_past(&self, status: RunStatus) -> bool {
        let wrong = matches!(
            status,
            RunStatus::Failed | RunStatus::Cancelled | RunStatus::Unknown
        );
        self.args.keep_going && wrong
    }

    /// Refuses to pass old tasks over without a reason in a protected environment.
    fn has_reason_to_skip(&self) -> Result<(), Failure> {
        let config = &self.house.config;
        let environment = &config.environment.value;
        let named = match config.environment.from.as_str() {
            "--env" => format!("--env {environment} "),
            _ => String::new(),
        };
        let command = format!("{named}run --first-run baseline");
        let protected = &config.protected;
        protected.reason(environment, &self.args.reason, &command)
    }

    async fn skip_all(
        &self,
        engine: &Arc<Engine>,
        pending: &[Wanted<'_>],
        release: &Release,
    ) -> Result<(), Failure> {
        let tasks: Vec<&Known> = pending.iter().map(|wanted| wanted.known).collect();
        let reason = match self.args.reason.trim() {
            "" => "it was there when this environment was new: --first-run baseline".to_owned(),
            said => format!("{said}, says {}", crate::commands::people::who(None)),
        };
        baseline::mark(self.house, engine, &tasks, release, &reason).await?;
        let skipped = count(tasks.len(), "task");
        self.voice
            .record(&serde_json::json!({ "skipped": tasks.len() }));
        self.voice.say(format!(
            "{skipped} skipped; new ones will be done from now on."
        ));
        Ok(())
    }

    /// Drives a run until it rests, and asks at the terminal what it asks.
    async fn to_rest(&self, engine: &Arc<Engine>, run: RunId) -> Result<Stands, Failure> {
        match self.serving {
            true => drive::to_rest(self.house, engine, run).await,
            false => terminal::to_rest(self.voice, self.house, engine, run).await,
        }
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
        let mut again = before.filter(|row| row.status == RunStatus::Undone);
        if let Some(row) = before
            && older::was_cancelled(self.house, row, &release.id).await?
        {
            again = Some(row);
        }
        if let (Some(row), None) = (before, again) {
            if row.status == RunStatus::Failed || row.status == RunStatus::Cancelled {
                return Stands::read(self.house, row.id).await;
            }
            return self.to_rest(engine, row.id).await;
        }
        let event = release::event(task, release, wanted.late);
        let first = Offer::new(task.id.clone(), release::key(task, release), event);
        let offer = match again {
            Some(row) => first.forward_again(row, &release.id),
            None => first,
        };
        let by = crate::commands::people::who(None);
        let starter = self.house.config.people.value.name_of(&by);
        let offer = offer.started_by(starter, &format!("release {}", release.id));
        match self.house.intake(engine).offer(vec![offer]).await?.pop() {
            Some(Offered::Admitted(run) | Offered::Duplicate(run)) => {
                self.to_rest(engine, run).await
            }
            Some(Offered::Refused(why)) => Err(Failure::failed(why)),
            None => Err(Failure::failed(
                "the ledger did not say what became of the task.",
            )),
        }
    }
}

/// What is done with pending tasks where nothing is recorded.
pub(super) fn first_run_of(
    said: Option<FirstRun>,
    rows: &BTreeMap<TaskId, RunRow>,
    pending: &[Wanted<'_>],
) -> Result<FirstRun, Failure> {
    let once = pending
        .iter()
        .filter(|wanted| !release::is_every(&wanted.known.task));
    first_run::decide(said, !rows.is_empty(), once.count())
}

/// Whether a task does not wait for those before it that wait.
fn is_independent(task: &Task) -> bool {
    matches!(&task.on, Trigger::Release(release) if release.independent)
}

fn told_to_stop(left: usize) -> String {
    let left = match left {
        0 => "the last task is not done".to_owned(),
        1 => "1 task was not begun".to_owned(),
        left => format!("{left} tasks were not begun"),
    };
    format!("told to stop: {left}. What was done is recorded; `oncely run` goes on there.")
}
