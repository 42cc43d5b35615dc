//! What promises are played on: stores, a clock turned by hand, and short words for commands.

use oncely_core::Value;
use oncely_core::action::Statement;
use oncely_core::effect::EffectKey;
use oncely_core::fact::{End, Fact, Outcome, Recorded, Repeat};
use oncely_core::ids::{ContentHash, Environment, Fence, Generation, RunId, TaskId};
use oncely_core::ledger::{
    Admission, Answer, Applied, Claim, Filter, Guard, Held, Leased, Ledger, LedgerError, Op, Query,
    RunRef, RunRow, Unit, UnitResult, What,
};
use oncely_core::run::RunStatus;
use oncely_core::time::{Clock, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A ledger, as tests get at it: each handle is a process of its own.
pub trait Stores {
    /// A handle.
    type Handle: Ledger;
    /// Opens another handle on the same ledger.
    fn open(&self) -> Self::Handle;
    /// Ends a handle as if its process had been killed.
    fn kill(&self, handle: Self::Handle);
    /// The clock that all handles read.
    fn clock(&self) -> Arc<TurnedClock>;
    /// Everything, as JSON lines.
    fn export(&self, handle: &Self::Handle) -> String;
    /// Everything that it held after each unit and each part of what was pruned since this was last
    /// asked, as JSON lines: of the model, where it is watched.
    fn within(&self) -> Vec<String> {
        Vec::new()
    }
    /// Whether statements of tasks may be in SQLite's dialect, and fail in its words.
    fn speaks_sqlite(&self) -> bool {
        true
    }
}

/// A clock that only tests turn.
#[derive(Debug)]
pub struct TurnedClock {
    now: AtomicI64,
    boot: AtomicI64,
}

impl Default for TurnedClock {
    fn default() -> Self {
        Self {
            now: AtomicI64::new(1_000_000),
            boot: AtomicI64::new(50_000),
        }
    }
}

impl TurnedClock {
    /// Lets time pass.
    pub fn advance(&self, millis: i64) {
        self.now.fetch_add(millis, Ordering::SeqCst);
        self.boot.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for TurnedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }
    fn boot_millis(&self) -> i64 {
        self.boot.load(Ordering::SeqCst)
    }
}

/// Runs a promise to its end.
pub fn run(promise: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(promise);
}

pub const ENVIRONMENT: &str = "test";
pub const TASK: &str = "task";

pub fn environment() -> Environment {
    ENVIRONMENT.into()
}

/// A pending run of this key, admitted at time 0.
pub fn admission(key: &str) -> Admission {
    Admission {
        environment: environment(),
        task: TASK.into(),
        key: key.into(),
        generation: Generation::FIRST,
        trigger: "call",
        event: "{}".into(),
        lane: None,
        depth: 0,
        parent: None,
        at: Timestamp(0),
        claimed: false,
        status: RunStatus::Pending,
    }
}

pub fn unit(guards: Vec<Guard>, ops: Vec<Op>) -> Unit {
    Unit { guards, ops }
}

pub fn admit(key: &str) -> Unit {
    unit(vec![], vec![Op::Admit(admission(key))])
}

pub fn in_lane(key: &str, lane: &str) -> Unit {
    let mut a = admission(key);
    a.lane = Some(lane.into());
    unit(vec![], vec![Op::Admit(a)])
}

pub fn began() -> Fact {
    Fact::Began {
        text: ContentHash([7; 32]),
        models: std::collections::BTreeMap::new(),
    }
}

pub fn intent(fence: Fence) -> Fact {
    Fact::Intent {
        step: "s".into(),
        attempt: 1,
        fence,
        call: Some(serde_json::json!({"to": "x"})),
        repeat: Repeat::Safe,
        key: EffectKey("k".into()),
    }
}

pub fn outcome() -> Fact {
    Fact::Outcome {
        step: "s".into(),
        attempt: 1,
        outcome: Outcome::Done {
            output: Value::Null,
        },
    }
}

pub fn ended(end: End) -> Fact {
    Fact::Ended {
        end,
        reason: String::new(),
    }
}

pub fn facts(run: RunId, at: i64, facts: Vec<Fact>) -> Op {
    Op::Facts {
        run: RunRef::Id(run),
        at: Timestamp(at),
        facts,
    }
}

pub fn stand(run: RunId, status: RunStatus, due: Option<i64>, keep: bool) -> Op {
    Op::Run {
        run: RunRef::Id(run),
        status,
        due: due.map(Timestamp),
        keep,
    }
}

/// A claim of everything that is due at `now`.
pub fn claim(now: i64) -> Claim {
    Claim {
        environment: environment(),
        now: Timestamp(now),
        limit: 100,
        caps: Vec::new(),
        except: Vec::new(),
        suspects: true,
    }
}

pub fn sql(text: &str, bind: &[(&str, Value)]) -> Op {
    Op::Sql(vec![Statement {
        text: text.into(),
        bind: bind
            .iter()
            .map(|(name, value)| (Arc::from(*name), value.clone()))
            .collect(),
    }])
}

/// Applies one unit.
pub async fn one<L: Ledger>(ledger: &L, unit: Unit) -> UnitResult {
    let mut results = ledger.commit(vec![unit]).await.unwrap();
    assert_eq!(results.len(), 1);
    results.remove(0)
}

/// Applies one unit that must be applied.
pub async fn apply<L: Ledger>(ledger: &L, unit: Unit) -> Applied {
    match one(ledger, unit).await {
        UnitResult::Applied(applied) => applied,
        other => panic!("not applied: {other:?}"),
    }
}

/// Admits a run.
pub async fn admitted<L: Ledger>(ledger: &L, unit: Unit) -> RunId {
    apply(ledger, unit).await.run.unwrap()
}

/// Applies one unit that must be invalid.
pub async fn invalid<L: Ledger>(ledger: &L, unit: Unit) -> String {
    match ledger.commit(vec![unit]).await {
        Err(LedgerError::Invalid(why)) => why,
        other => panic!("not invalid: {other:?}"),
    }
}

pub async fn lease<L: Ledger>(ledger: &L, claim: Claim) -> Vec<Held> {
    runs(ledger.lease(What::Runs, claim).await.unwrap())
}

pub fn runs(leased: Leased) -> Vec<Held> {
    match leased {
        Leased::Runs(runs) => runs,
        other => panic!("no runs: {other:?}"),
    }
}

/// Claims exactly one run.
pub async fn lease_one<L: Ledger>(ledger: &L, now: i64) -> Held {
    let mut held = lease(ledger, claim(now)).await;
    assert_eq!(held.len(), 1);
    held.remove(0)
}

pub fn ids(held: &[Held]) -> Vec<i64> {
    held.iter().map(|h| h.row.id.0).collect()
}

pub async fn row<L: Ledger>(ledger: &L, id: RunId) -> RunRow {
    match ledger.read(Query::Run(id)).await.unwrap() {
        Answer::Run(Some(row)) => row,
        other => panic!("no run {id}: {other:?}"),
    }
}

pub async fn recorded<L: Ledger>(ledger: &L, id: RunId) -> Vec<Recorded> {
    match ledger.read(Query::Facts(id, 0)).await.unwrap() {
        Answer::Facts(facts) => facts,
        other => panic!("{other:?}"),
    }
}

pub async fn all<L: Ledger>(ledger: &L, filter: Filter) -> Vec<RunRow> {
    match ledger.read(Query::Runs(filter)).await.unwrap() {
        Answer::Runs(rows) => rows,
        other => panic!("{other:?}"),
    }
}

pub fn task(name: &str) -> TaskId {
    name.into()
}
