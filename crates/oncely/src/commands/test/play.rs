//! Plays a run on a ledger in memory: time jumps to what is due next, and people answer at once.

use super::transcript::Transcript;
use crate::catch::{Answers, CatchRegistry, Catcher, Effect, JumpClock, NoLinks, Says, catching};
use crate::config::Config;
use crate::failure::Failure;
use crate::registry::Registry;
use oncely_core::Value;
use oncely_core::fact::{Recorded, Request};
use oncely_core::ids::{EventKey, RunId, StepId};
use oncely_core::items::SetAside;
use oncely_core::ledger::Ledger;
use oncely_core::question::{Identity, Question};
use oncely_core::run::{RunState, RunStatus};
use oncely_core::task::{Step, Task, Work};
use oncely_core::time::{Clock, Timestamp};
use oncely_engine::{
    Ask, Engine, EngineConfig, Known, Offer, Offered, People, Reply, Rest, Tasks, question,
};
use oncely_ledger::MemoryLedger;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How often a run is looked at again before it is given up: each time it waited for something.
const TURNS: usize = 10_000;
/// Effects that are kept to be shown; others are counted.
const EFFECTS: usize = 1_000;
/// Items set aside that are shown.
const SET_ASIDE: usize = 100;
/// Who answers where everybody may.
const SOMEBODY: &str = "somebody";

/// A project in which nothing is done.
pub(super) struct Play {
    engine: Arc<Engine>,
    ledger: Arc<MemoryLedger>,
    clock: Arc<JumpClock>,
    people: People,
    config: Config,
    catcher: Arc<Catcher>,
    task: Arc<Task>,
    heard: Arc<Mutex<Heard>>,
    /// The moment at which another task cancels the run, until it has come.
    cancel_at: Mutex<Option<Timestamp>>,
    runtime: tokio::runtime::Runtime,
    _models: Models,
}

/// Effects in the order in which they were caught.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) effects: Vec<Effect>,
    pub(super) more: usize,
}

/// How a run ended.
pub(super) struct Played {
    pub(super) status: RunStatus,
    pub(super) state: RunState,
    pub(super) facts: Vec<Recorded>,
    pub(super) set_aside: Vec<(StepId, SetAside)>,
}

impl Play {
    pub(super) fn new(
        config: &Config,
        known: &Known,
        answers: Answers,
        clock: Arc<JumpClock>,
    ) -> Result<Self, Failure> {
        let models = Models::new();
        let cancel = answers.cancelled.as_ref();
        let cancel_at = cancel.map(|c| clock.now().plus_millis(c.after_ms));
        let heard = Arc::new(Mutex::new(Heard::default()));
        let ears = Arc::clone(&heard);
        let catcher = Arc::new(Catcher {
            catching: catching(config),
            answers,
            hear: Box::new(move |effect| hear(&ears, effect)),
            undoing: AtomicBool::new(false),
        });
        let real = Registry::keeping_models_in(config, models.0.clone())?;
        let actions = CatchRegistry::new(
            config,
            real,
            CatchRegistry::ALL,
            Arc::clone(&catcher),
            Arc::new(NoLinks),
        )?;
        let shared: Arc<dyn Clock> = Arc::<JumpClock>::clone(&clock);
        let ledger = Arc::new(MemoryLedger::new("oncely test", Arc::clone(&shared))?);
        let task = Arc::new(at_once(&known.task));
        let tasks = Tasks::new([Known::new(Arc::clone(&task), Arc::clone(&known.bundle))]);
        let environment = config.environment.value.clone();
        let engine = Engine::new(
            Arc::<MemoryLedger>::clone(&ledger),
            Arc::new(actions),
            Arc::new(tasks),
            Arc::clone(&shared),
            EngineConfig {
                people: Arc::clone(&config.people.value),
                ..EngineConfig::new(environment, config.root.clone())
            },
        );
        let people = People::new(
            Arc::<MemoryLedger>::clone(&ledger),
            shared,
            Arc::clone(&config.people.value),
        );
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Failure::failed(format!("the runtime cannot start: {e}")))?;
        Ok(Self {
            engine,
            ledger,
            clock,
            people,
            config: config.clone(),
            catcher,
            task,
            heard,
            cancel_at: Mutex::new(cancel_at),
            runtime,
            _models: models,
        })
    }

    /// Plays the run of an event, and takes it back where that is asked for. How it ended last is
    /// what counts.
    pub(super) fn run(
        &self,
        key: EventKey,
        data: &Value,
        undo: bool,
        transcript: &mut Transcript,
    ) -> Result<Played, Failure> {
        self.runtime.block_on(async {
            let offer = Offer::new(self.task.id.clone(), key, data.clone());
            let offered = self.engine.intake().offer(vec![offer]).await?.pop();
            let run = match offered {
                Some(Offered::Admitted(run)) => run,
                Some(Offered::Refused(why)) => return Err(Failure::usage(why)),
                Some(Offered::Duplicate(_)) | None => {
                    return Err(Failure::failed("the ledger did not take the event."));
                }
            };
            let played = self.to_rest(run).await?;
            transcript.played(&played, &self.taken(), &self.task);
            if !undo || !played.status.is_ended() {
                return Ok(played);
            }
            self.catcher.undoing.store(true, Ordering::SeqCst);
            let undone = self.people.undo(run, "oncely test", "", false).await?;
            transcript.undoes();
            let undone = self.to_rest(undone).await?;
            transcript.played(&undone, &self.taken(), &self.task);
            Ok(undone)
        })
    }

    fn taken(&self) -> Heard {
        std::mem::take(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Drives a run until it ends, or nothing but a person's act could go on.
    async fn to_rest(&self, run: RunId) -> Result<Played, Failure> {
        for _ in 0..TURNS {
            let rest = self.engine.drive_one(run).await?;
            let played = self.played(run).await?;
            let over = played.status.is_ended() || played.status == RunStatus::Unknown;
            if over || !self.goes_on(run, &played, rest).await? {
                return Ok(played);
            }
        }
        Err(Failure::failed(format!(
            "the run of {} waited {TURNS} times and has not ended: look at its conditions and \
             their times. Nothing was kept.",
            self.task.id
        )))
    }

    /// Does what the run waits for; false when nobody does.
    async fn goes_on(
        &self,
        run: RunId,
        played: &Played,
        rest: Option<Rest>,
    ) -> Result<bool, Failure> {
        if let Some((step, asked)) = question(&played.state) {
            let person = self.catcher.answers.person(step.as_str());
            if person.says != Says::Nothing {
                let question = &asked.question;
                let reply = Reply {
                    approved: person.says == Says::Yes,
                    by: person.by.unwrap_or_else(|| self.somebody(question)),
                    identity: Identity::Claimed,
                    note: person.note,
                    ticked: question.tick.clone(),
                    shown: Some(question.hash),
                    question: Some(asked.seq),
                };
                let answered = self.people.answer(run, &reply).await;
                let refused = |error| Failure::usage(format!("the answer to `{step}`: {error}"));
                return answered.map(|_| true).map_err(refused);
            }
        }
        let until = match rest {
            Some(Rest::Waiting { until, .. }) => until,
            _ => return Ok(false),
        };
        if let Some(at) = self.cancelled_before(until) {
            self.clock.jump(at);
            self.cancel(run).await?;
            return Ok(true);
        }
        if let Some(until) = until {
            self.clock.jump(until);
        }
        Ok(until.is_some())
    }

    /// When another task cancels the run, if that is before what it waits for.
    fn cancelled_before(&self, until: Option<Timestamp>) -> Option<Timestamp> {
        let mut left = self
            .cancel_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let comes = left.is_some_and(|at| until.is_none_or(|until| at <= until));
        if comes { left.take() } else { None }
    }

    /// Asks the run to end, as the engine does for `cancel_on`.
    async fn cancel(&self, run: RunId) -> Result<(), Failure> {
        let Some(cancelled) = &self.catcher.answers.cancelled else {
            return Ok(());
        };
        let by = format!("task {}", cancelled.by);
        let asked = self
            .people
            .request(run, Request::Cancel, &by, "as cancel_on says");
        asked.await.map_err(|e| Failure::failed(e.to_string()))
    }

    /// The first of those who may answer.
    fn somebody(&self, question: &Question) -> String {
        let roster = &self.config.people.value;
        let first = roster.named(&question.by).next();
        let named = first.map(|(name, _)| name.to_owned());
        named
            .or_else(|| question.by.first().cloned())
            .unwrap_or_else(|| SOMEBODY.into())
    }

    async fn played(&self, run: RunId) -> Result<Played, Failure> {
        let ledger: &dyn Ledger = &*self.ledger;
        let ask = Ask(ledger);
        let row = ask.run(run).await?;
        let facts = ask.facts(run).await?;
        let state = RunState::fold(&facts)
            .map_err(|error| Failure::failed(format!("the run cannot be read: {error}")))?;
        Ok(Played {
            status: row.map_or(RunStatus::Failed, |row| row.status),
            state,
            facts,
            set_aside: ask.set_aside(run, 0, SET_ASIDE).await?,
        })
    }
}

fn hear(heard: &Mutex<Heard>, effect: Effect) {
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    if heard.effects.len() < EFFECTS {
        heard.effects.push(effect);
    } else {
        heard.more += 1;
    }
}

/// The task, whose items are tried again at once and come at no rate: waits inside a `for_each` are no
/// waits of the run, which jumps in time.
fn at_once(task: &Task) -> Task {
    let mut task = task.clone();
    let no_wait = |step: &mut Step| {
        step.policy.retry.first_ms = 0;
        step.policy.retry.max_ms = 0;
    };
    for step in &mut task.steps {
        if let Work::Each(each) = &mut step.work {
            each.steps.iter_mut().for_each(no_wait);
            each.pace.rate = None;
            each.pace.check = None;
        }
    }
    task
}

/// A folder for copies of models, outside of the project, which goes with the test.
struct Models(PathBuf);

impl Models {
    fn new() -> Self {
        let name = format!("oncely-test-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Models {
    fn drop(&mut self) {
        // Most tests predict nothing, and made none.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
