//! Claims what is due, drives it, renews the lease, and stops within a grace time.

use crate::ask::Ask;
use crate::begin::Opened;
use crate::intake::{Intake, Offer, Offered, Seen};
use crate::job::{Rest, Suspicion};
use crate::room::Room;
use crate::runner::Runner;
use crate::tasks::{Actions, Tasks};
use futures_util::FutureExt;
use oncely_core::ids::{Environment, HolderId, RunId, TaskId};
use oncely_core::ledger::{
    Change, Claim, Guard, Held, Leased, Ledger, LedgerError, Op, RENEW_EVERY, RunRef, Unit, What,
};
use oncely_core::people::Roster;
use oncely_core::points::{self, Point};
use oncely_core::run::RunStatus;
use oncely_core::time::{Clock, Timestamp};
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

/// How an engine works.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Where its runs happen.
    pub environment: Environment,
    /// The project's root: files that tasks read lie below it.
    pub root: std::path::PathBuf,
    /// Steps that may act at the same time.
    pub acting: usize,
    /// Steps of one task that may act at the same time.
    pub acting_per_task: usize,
    /// Runs that may be held at the same time.
    pub held: usize,
    /// How long steps may go on once the process was told to stop.
    pub grace: Duration,
    /// Whom questions are put to.
    pub people: Arc<Roster>,
}

impl EngineConfig {
    /// The defaults for an environment.
    #[must_use]
    pub fn new(environment: Environment, root: std::path::PathBuf) -> Self {
        Self {
            environment,
            root,
            acting: 64,
            acting_per_task: 16,
            held: 2048,
            grace: Duration::from_secs(20),
            people: Arc::default(),
        }
    }
}

/// Tells an engine to stop, and steps that they are to.
#[derive(Clone)]
pub struct Stop {
    phase: Arc<watch::Sender<Phase>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Going,
    Stopping,
    Aborting,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            phase: Arc::new(watch::Sender::new(Phase::Going)),
        }
    }
}

impl Stop {
    /// Nothing new is begun; what acts may end within the grace time.
    pub fn stop(&self) {
        self.phase.send_if_modified(|p| {
            (*p < Phase::Stopping)
                .then(|| *p = Phase::Stopping)
                .is_some()
        });
    }

    /// What still acts is given up: its attempt is unknown.
    pub fn abort(&self) {
        self.phase.send_if_modified(|p| {
            (*p < Phase::Aborting)
                .then(|| *p = Phase::Aborting)
                .is_some()
        });
    }

    /// Whether nothing new is to be begun.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.phase.borrow() >= Phase::Stopping
    }

    /// Ends when nothing new is to be begun.
    pub async fn stopped(&self) {
        self.reached(Phase::Stopping).await;
    }

    /// Ends when what acts is given up.
    pub async fn aborted(&self) {
        self.reached(Phase::Aborting).await;
    }

    async fn reached(&self, phase: Phase) {
        let mut phases = self.phase.subscribe();
        // The sender lives as long as `self`, so this ends only when the phase is reached.
        let _ = phases.wait_for(|p| *p >= phase).await;
    }

    /// Waits; true when the time of what acts is over.
    pub(crate) async fn wait_at_most(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.aborted()).await.is_ok()
    }
}

/// How many steps act.
pub(crate) struct Slots {
    all: Arc<Semaphore>,
    per_task: usize,
    tasks: Mutex<HashMap<TaskId, Arc<Semaphore>>>,
}

/// Places that one acting step takes: among those of its task, and among all, where it does not stand
/// aside.
pub(crate) struct Place(
    #[allow(dead_code)] OwnedSemaphorePermit,
    Option<OwnedSemaphorePermit>,
);

impl Place {
    /// Lets others act, for a while.
    pub(crate) fn step_aside(&mut self) {
        self.1 = None;
    }
}

impl Slots {
    fn new(config: &EngineConfig) -> Self {
        Self {
            all: Arc::new(Semaphore::new(config.acting.max(1))),
            per_task: config.acting_per_task.max(1),
            tasks: Mutex::default(),
        }
    }

    fn of_task(&self, task: &TaskId) -> Arc<Semaphore> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = tasks
            .entry(task.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(self.per_task)));
        Arc::clone(slots)
    }

    /// A place, if there is one at once.
    pub(crate) fn place_now(&self, task: &TaskId) -> Option<Place> {
        let first = self.of_task(task).try_acquire_owned().ok()?;
        let second = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Place(first, Some(second)))
    }

    /// Waits for a place among the steps of the task, then among all.
    pub(crate) async fn place(&self, task: &TaskId) -> Result<Place, LedgerError> {
        let closed = |_| LedgerError::Closed;
        let first = self.of_task(task).acquire_owned().await.map_err(closed)?;
        let second = Arc::clone(&self.all)
            .acquire_owned()
            .await
            .map_err(closed)?;
        Ok(Place(first, Some(second)))
    }

    /// Waits for a place among all for a step that stood aside; false when the process is to stop.
    pub(crate) async fn come_back(
        &self,
        place: &mut Place,
        stop: &Stop,
    ) -> Result<bool, LedgerError> {
        if place.1.is_none() {
            let all = Arc::clone(&self.all).acquire_owned();
            tokio::select! {
                biased;
                () = stop.stopped() => return Ok(false),
                found = all => place.1 = Some(found.map_err(|_| LedgerError::Closed)?),
            }
        }
        Ok(!stop.is_stopping())
    }
}

/// Whether the ledger will answer again by itself: space is made, others finish, and who lost its
/// lease has a new one as soon as it renews.
pub(crate) fn passes(error: &LedgerError) -> bool {
    matches!(
        error,
        LedgerError::Full(_) | LedgerError::Busy { .. } | LedgerError::LeaseLost
    )
}

/// When a ledger that did not answer is asked again what is due.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Drives the runs of one environment.
pub struct Engine {
    runner: Arc<Runner>,
    intake: Arc<Intake>,
    tasks: Arc<Tasks>,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    config: EngineConfig,
    stop: Stop,
    room: Arc<Room>,
    held: AtomicUsize,
    /// Taken while a run is held that may be what its last process died of.
    suspect: Arc<AtomicBool>,
    ended: Notify,
}

impl Engine {
    /// An engine over a ledger.
    #[must_use]
    pub fn new(
        ledger: Arc<dyn Ledger>,
        actions: Arc<dyn Actions>,
        tasks: Arc<Tasks>,
        clock: Arc<dyn Clock>,
        config: EngineConfig,
    ) -> Arc<Self> {
        let stop = Stop::default();
        let intake = Arc::new(Intake::new(
            Arc::clone(&ledger),
            Arc::clone(&tasks),
            config.environment.clone(),
            Arc::clone(&clock),
        ));
        let room = Arc::new(Room::default());
        let runner = Arc::new(Runner {
            ledger: Arc::clone(&ledger),
            actions,
            tasks: Arc::clone(&tasks),
            clock: Arc::clone(&clock),
            intake: Arc::clone(&intake),
            stop: stop.clone(),
            slots: Slots::new(&config),
            root: config.root.clone(),
            people: Arc::clone(&config.people),
            room: Arc::clone(&room),
        });
        Arc::new(Self {
            runner,
            intake,
            tasks,
            ledger,
            clock,
            config,
            stop,
            room,
            held: AtomicUsize::new(0),
            suspect: Arc::default(),
            ended: Notify::new(),
        })
    }

    /// How it is told to stop.
    #[must_use]
    pub fn stopper(&self) -> Stop {
        self.stop.clone()
    }

    /// The tasks it knows.
    #[must_use]
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// What drives its runs.
    pub(crate) fn runner(&self) -> &Runner {
        &self.runner
    }

    /// Whether its ledger has room.
    pub(crate) fn room(&self) -> &Room {
        &self.room
    }

    /// Its ledger.
    #[must_use]
    pub fn ledger(&self) -> &dyn Ledger {
        &*self.ledger
    }

    /// Where its events come in.
    #[must_use]
    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// When the next run is due that nobody holds.
    ///
    /// # Errors
    /// When the ledger does not answer.
    pub async fn next_due(&self) -> Result<Option<oncely_core::time::Timestamp>, LedgerError> {
        Ask(&*self.ledger)
            .next_due(self.config.environment.clone())
            .await
    }

    /// Runs that it holds at this moment.
    #[must_use]
    pub fn holding(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    /// Ends when it holds nothing.
    pub async fn idle(&self) {
        loop {
            let ended = self.ended.notified();
            if self.holding() == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Admits offers, holding and driving as many of them as there is room for.
    ///
    /// # Errors
    /// When the ledger does not answer.
    pub async fn offer(
        self: &Arc<Self>,
        offers: Vec<Offer>,
        seen: Option<Seen>,
    ) -> Result<Vec<Offered>, LedgerError> {
        let room = self.config.held.saturating_sub(self.holding());
        let opened = AtomicUsize::new(0);
        let open = |held: Held, event, known: &crate::tasks::Known| {
            let place = opened.fetch_add(1, Ordering::Relaxed);
            (place < room)
                .then(|| self.runner.open(held, event, known))
                .flatten()
        };
        let (offered, held) = self.intake.admit(offers, seen, &open).await?;
        self.room.is_there();
        for opened in held {
            self.spawn_opened(opened);
        }
        Ok(offered)
    }

    /// Claims and drives what is due until it is told to stop; then ends or parks what it holds.
    ///
    /// # Errors
    /// When the ledger cannot be used any more.
    pub async fn serve(self: &Arc<Self>) -> Result<(), LedgerError> {
        let renewing = tokio::spawn(Arc::clone(self).renew_present());
        let outcome = self.claim_all().await;
        self.stop.stop();
        if tokio::time::timeout(self.config.grace, self.idle())
            .await
            .is_err()
        {
            self.stop.abort();
            // Given up steps still record that they are unknown.
            let _ = tokio::time::timeout(Duration::from_secs(10), self.idle()).await;
        }
        renewing.abort();
        outcome
    }

    /// Stands among the processes at work, also while there is none.
    async fn attend(&self) -> Option<HolderId> {
        let claim = self.claim_of(self.clock.now(), 0);
        match self.ledger.lease(What::Present, claim).await {
            Ok(_) => Some(self.ledger.holder()),
            Err(error) => {
                self.room.hears(&error);
                None
            }
        }
    }

    /// Renews the lease of a server. One that was stopped for too long is another holder from then
    /// on, and stands among the processes at work again.
    async fn renew_present(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(RENEW_EVERY);
        let mut present = None;
        loop {
            ticks.tick().await;
            self.renew_once().await;
            if present != Some(self.ledger.holder()) {
                present = self.attend().await;
            }
        }
    }

    /// Renews the lease until the process ends; for commands that drive single runs.
    pub async fn renew(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(RENEW_EVERY);
        loop {
            ticks.tick().await;
            self.renew_once().await;
        }
    }

    async fn renew_once(&self) {
        match self.ledger.renew().await {
            Ok(0) | Err(LedgerError::Closed) => {}
            Ok(freed) => tracing::info!("{freed} runs of a process that ended go on here"),
            Err(error) => self.room.hears(&error),
        }
        self.room.look(&*self.ledger);
    }

    async fn claim_all(self: &Arc<Self>) -> Result<(), LedgerError> {
        let mut change = Change::default();
        while !self.stop.is_stopping() {
            let mut again = None;
            match self.claim_due().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) if passes(&error) => {
                    self.room.hears(&error);
                    again = matches!(error, LedgerError::Full(_)).then_some(LOOK_AGAIN);
                }
                Err(error) => return Err(error),
            }
            let due = match self.time_to_next().await {
                Err(error) if passes(&error) => {
                    self.room.hears(&error);
                    LOOK_AGAIN
                }
                other => other?,
            };
            let due = again.map_or(due, |again| due.max(again));
            tokio::select! {
                seen = self.ledger.watch(change) => change = seen,
                () = tokio::time::sleep(due) => {}
                () = self.ended.notified() => {}
                () = self.stop.stopped() => break,
            }
        }
        Ok(())
    }

    /// Claims what is due; true when there may be more.
    async fn claim_due(self: &Arc<Self>) -> Result<bool, LedgerError> {
        let room = self.config.held.saturating_sub(self.holding());
        let now = self.clock.now();
        let next = Ask(&*self.ledger)
            .next_due(self.config.environment.clone())
            .await?;
        if room == 0 || next.is_none_or(|due| due > now) {
            return Ok(false);
        }
        let claim = Claim {
            caps: self.caps(),
            suspects: !self.suspect.load(Ordering::SeqCst),
            ..self.claim_of(now, room.min(256))
        };
        let leased = self.ledger.lease(What::Runs, claim).await?;
        self.room.is_there();
        match leased {
            Leased::Runs(runs) => {
                let any = !runs.is_empty();
                for held in runs {
                    points::pass_in(Point::ClaimAfter, held.row.task.as_str(), "");
                    self.spawn(held);
                }
                Ok(any)
            }
            Leased::Named(_) | Leased::Busy(_) => Ok(false),
        }
    }

    fn claim_of(&self, now: Timestamp, limit: usize) -> Claim {
        Claim {
            environment: self.config.environment.clone(),
            now,
            limit,
            caps: Vec::new(),
            except: Vec::new(),
            suspects: false,
        }
    }

    /// The claim of a name, which none of the conditions of runs concerns.
    pub(crate) fn claim_of_name(&self) -> Claim {
        self.claim_of(self.clock.now(), 1)
    }

    fn caps(&self) -> Vec<(TaskId, u32)> {
        let tasks = self.tasks.all();
        let caps = tasks.iter().filter_map(|known| {
            let most = known.task.limits.running?;
            Some((known.task.id.clone(), most))
        });
        caps.collect()
    }

    /// How long until the next run is due; what is due but passed over is looked at again soon.
    async fn time_to_next(&self) -> Result<Duration, LedgerError> {
        let next = Ask(&*self.ledger)
            .next_due(self.config.environment.clone())
            .await?;
        let wait = next.map_or(60_000, |due| due.millis_since(self.clock.now()));
        Ok(Duration::from_millis(
            u64::try_from(wait.clamp(100, 60_000)).unwrap_or(100),
        ))
    }

    fn spawn(self: &Arc<Self>, held: Held) {
        let suspicion = match held.claims > 1 {
            true => Suspicion::taking(&self.suspect),
            false => Suspicion::default(),
        };
        let (run, fence, claims) = (held.row.id, held.fence, held.claims);
        self.held.fetch_add(1, Ordering::SeqCst);
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            engine
                .watched(run, fence, claims, engine.runner.drive(held, suspicion))
                .await;
            engine.left();
        });
    }

    fn spawn_opened(self: &Arc<Self>, opened: Opened) {
        let (run, fence) = (opened.job.row.id, opened.job.fence);
        self.held.fetch_add(1, Ordering::SeqCst);
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            engine
                .watched(run, fence, 1, engine.runner.drive_opened(opened))
                .await;
            engine.left();
        });
    }

    fn left(&self) {
        self.held.fetch_sub(1, Ordering::SeqCst);
        self.ended.notify_waiters();
    }

    /// Drives a run; when that breaks, the run is given back and the claim stays counted. One that
    /// breaks each time is looked at less and less often.
    async fn watched(
        &self,
        run: RunId,
        fence: oncely_core::ids::Fence,
        claims: u32,
        drive: impl Future<Output = Result<Rest, LedgerError>>,
    ) -> Option<Rest> {
        let error = match AssertUnwindSafe(drive).catch_unwind().await {
            Ok(Ok(rest)) => return Some(rest),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the engine's code panicked".to_owned(),
        };
        tracing::error!(%run, "{error}");
        let due = self.clock.now().plus_millis(pause_ms(claims));
        let give_back = Unit {
            guards: vec![Guard::Fence(run, fence)],
            ops: vec![Op::Run {
                run: RunRef::Id(run),
                status: RunStatus::Pending,
                due: Some(due),
                keep: false,
            }],
        };
        // It is held, and its lease renewed, until this is known to be recorded.
        let give_back = || vec![give_back.clone()];
        if let Err(error) = self.runner.commit_patiently(give_back).await {
            tracing::error!(%run, "it could not be given back: {error}");
        }
        None
    }

    /// Claims one run and drives it until it rests; none when somebody else has it.
    ///
    /// # Errors
    /// When the ledger does not answer.
    pub async fn drive_one(self: &Arc<Self>, run: RunId) -> Result<Option<Rest>, LedgerError> {
        let claim = Claim {
            suspects: true,
            ..self.claim_of(self.clock.now(), 1)
        };
        let Leased::Runs(mut runs) = self.ledger.lease(What::Run(run), claim).await? else {
            return Ok(None);
        };
        let Some(held) = runs.pop() else {
            return Ok(None);
        };
        points::pass_in(Point::ClaimAfter, held.row.task.as_str(), "");
        self.held.fetch_add(1, Ordering::SeqCst);
        let (fence, claims) = (held.fence, held.claims);
        let rest = self
            .watched(
                run,
                fence,
                claims,
                self.runner.drive(held, Suspicion::default()),
            )
            .await;
        self.left();
        Ok(rest)
    }
}

/// How long a run is left alone after driving it broke: a second, and twice as long each time.
fn pause_ms(claims: u32) -> i64 {
    1000_i64 << claims.saturating_sub(1).min(12)
}
