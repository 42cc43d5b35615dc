//! Handles on a ledger in memory: each is a holder of its own.

use super::state::{Registered, State};
use super::{answer, apply, claim, forget, prune};
use crate::clock::wants_renewal;
use crate::sql::TaskSql;
use oncely_core::Fut;
use oncely_core::forget::Forget;
use oncely_core::ids::HolderId;
use oncely_core::ledger::{
    Answer, Change, Claim, HolderInfo, LEASE, Leased, Ledger, LedgerError, Op, Query, Unit,
    UnitResult, What,
};
use oncely_core::prune::{Prune, Pruned};
use oncely_core::time::Clock;
use std::future::ready;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// A ledger that is gone when its last handle is: for tests, and to try things out.
pub struct MemoryLedger {
    shared: Arc<Shared>,
    me: Mutex<Me>,
}

struct Shared {
    inner: Mutex<(State, TaskSql)>,
    changes: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
    lease_ms: i64,
    /// What it held after each change, where that is watched.
    #[cfg(any(test, feature = "conformance"))]
    within: Mutex<Option<Vec<String>>>,
}

struct Me {
    holder: HolderId,
    role: String,
    /// It has claimed something under this number.
    registered: bool,
}

impl MemoryLedger {
    /// An empty ledger.
    ///
    /// # Errors
    /// When there is no memory for the tables that task statements work on.
    pub fn new(role: &str, clock: Arc<dyn Clock>) -> Result<Self, LedgerError> {
        Self::with_lease(role, clock, LEASE)
    }

    /// An empty ledger whose leases last so long.
    ///
    /// # Errors
    /// When there is no memory for the tables that task statements work on.
    pub fn with_lease(
        role: &str,
        clock: Arc<dyn Clock>,
        lease: Duration,
    ) -> Result<Self, LedgerError> {
        let sql = TaskSql::in_memory().map_err(|e| LedgerError::Unusable(e.to_string()))?;
        let shared = Shared {
            inner: Mutex::new((State::default(), sql)),
            changes: watch::channel(1).0,
            clock,
            lease_ms: i64::try_from(lease.as_millis()).unwrap_or(i64::MAX),
            #[cfg(any(test, feature = "conformance"))]
            within: Mutex::default(),
        };
        Ok(Self::on(Arc::new(shared), role))
    }

    /// Another holder on the same ledger.
    #[must_use]
    pub fn another(&self, role: &str) -> Self {
        Self::on(self.shared.clone(), role)
    }

    /// Ends this handle as if its process had been killed: what it holds is freed by others.
    pub fn kill(self) {
        let (me, mut inner) = (self.me(), self.inner());
        if let Some(registered) = inner.0.holders.get_mut(&me.holder) {
            registered.alive = false;
        }
        drop((me, inner));
        self.me().registered = false;
    }

    /// Loses the last fact of a run, as a disk may.
    #[cfg(any(test, feature = "conformance"))]
    pub fn lose_fact(&self, run: oncely_core::ids::RunId) {
        if let Some(run) = self.inner().0.runs.get_mut(&run) {
            run.facts.pop();
        }
    }

    /// Keeps from now on what the ledger holds after each unit that is applied and each part that is
    /// pruned, for [`within`](Self::within).
    #[cfg(any(test, feature = "conformance"))]
    pub fn watch(&self) {
        *lock(&self.shared.within) = Some(Vec::new());
    }

    /// Everything that the ledger held after each change since this was last asked, as JSON lines.
    #[cfg(any(test, feature = "conformance"))]
    pub fn within(&self) -> Vec<String> {
        lock(&self.shared.within)
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Writes everything as JSON lines: see [`crate::SqliteLedger::export`].
    ///
    /// # Errors
    /// When the writer does not take it.
    pub fn export(&self, out: &mut dyn io::Write) -> io::Result<()> {
        crate::export::memory(&self.inner().0, "memory", out)
    }

    fn on(shared: Arc<Shared>, role: &str) -> Self {
        let holder = lock(&shared.inner).0.new_holder();
        let me = Me {
            holder,
            role: role.to_owned(),
            registered: false,
        };
        Self {
            shared,
            me: Mutex::new(me),
        }
    }

    fn inner(&self) -> MutexGuard<'_, (State, TaskSql)> {
        lock(&self.shared.inner)
    }

    fn me(&self) -> MutexGuard<'_, Me> {
        lock(&self.me)
    }

    fn changed(&self, state: &State) {
        self.shared.changes.send_modify(|n| *n += 1);
        self.note(state);
    }

    #[cfg(any(test, feature = "conformance"))]
    fn note(&self, state: &State) {
        if let Some(within) = lock(&self.shared.within).as_mut() {
            let mut out = Vec::new();
            if crate::export::memory(state, "memory", &mut out).is_ok() {
                within.push(String::from_utf8_lossy(&out).into_owned());
            }
        }
    }

    #[cfg(not(any(test, feature = "conformance")))]
    fn note(&self, _: &State) {}

    /// What is written when this holder first claims something.
    fn registration(&self, me: &Me) -> Registered {
        Registered {
            info: HolderInfo {
                id: me.holder,
                pid: std::process::id(),
                role: me.role.clone(),
                since: self.shared.clock.now(),
            },
            renewed: self.shared.clock.boot_millis(),
            alive: true,
        }
    }

    fn commit_now(&self, units: &[Unit]) -> Result<Vec<UnitResult>, LedgerError> {
        let (mut me, mut inner) = (self.me(), self.inner());
        let (state, sql) = &mut *inner;
        if units.iter().any(claims) && me.is_lost(state) {
            return Err(LedgerError::LeaseLost);
        }
        let registration = self.registration(&me);
        let mut results = Vec::with_capacity(units.len());
        for unit in units {
            let result = apply::apply(state, sql, &registration, unit);
            me.registered |= state.holders.contains_key(&me.holder);
            results.push(result?);
            self.changed(state);
        }
        Ok(results)
    }

    fn lease_now(&self, what: &What, wanted: &Claim) -> Result<Leased, LedgerError> {
        let (mut me, mut inner) = (self.me(), self.inner());
        if me.is_lost(&inner.0) {
            return Err(LedgerError::LeaseLost);
        }
        let leased = claim::claim(&mut inner.0, &self.registration(&me), what, wanted);
        me.registered |= inner.0.holders.contains_key(&me.holder);
        self.changed(&inner.0);
        Ok(leased)
    }

    fn prune_now(&self, part: &Prune) -> Pruned {
        let mut inner = self.inner();
        let pruned = prune::prune(&mut inner.0, part);
        self.changed(&inner.0);
        pruned
    }

    fn renew_now(&self) -> Result<u64, LedgerError> {
        let (mut me, mut inner) = (self.me(), self.inner());
        let state = &mut inner.0;
        if me.is_lost(state) {
            me.holder = state.new_holder();
            me.registered = false;
            return Err(LedgerError::LeaseLost);
        }
        let boot_now = self.shared.clock.boot_millis();
        if let Some(own) = state.holders.get_mut(&me.holder)
            && wants_renewal(own.renewed, self.shared.lease_ms, boot_now)
        {
            own.renewed = boot_now;
        }
        let gone = state.gone(me.holder, self.shared.lease_ms, boot_now);
        let now = self.shared.clock.now();
        let freed = gone.iter().map(|id| state.free(*id, now)).sum();
        if !gone.is_empty() {
            self.changed(state);
        }
        Ok(freed)
    }
}

impl Me {
    /// It had claimed something, and others have freed it.
    fn is_lost(&self, state: &State) -> bool {
        self.registered && !state.holders.contains_key(&self.holder)
    }
}

fn claims(unit: &Unit) -> bool {
    matches!(unit.ops.first(), Some(Op::Admit(admission)) if admission.claimed)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for MemoryLedger {
    fn drop(&mut self) {
        let (me, mut inner) = (self.me(), self.inner());
        if me.registered {
            inner.0.free(me.holder, self.shared.clock.now());
            self.changed(&inner.0);
        }
    }
}

impl Ledger for MemoryLedger {
    fn holder(&self) -> HolderId {
        self.me().holder
    }

    fn name(&self) -> String {
        "memory".into()
    }

    fn commit(&self, units: Vec<Unit>) -> Fut<'_, Result<Vec<UnitResult>, LedgerError>> {
        Box::pin(ready(self.commit_now(&units)))
    }

    fn lease(&self, what: What, claim: Claim) -> Fut<'_, Result<Leased, LedgerError>> {
        Box::pin(ready(self.lease_now(&what, &claim)))
    }

    fn renew(&self) -> Fut<'_, Result<u64, LedgerError>> {
        Box::pin(ready(self.renew_now()))
    }

    fn prune(&self, part: Prune) -> Fut<'_, Result<Pruned, LedgerError>> {
        Box::pin(ready(Ok(self.prune_now(&part))))
    }

    fn forget(&self, wanted: Forget) -> Fut<'_, Result<(), LedgerError>> {
        let mut inner = self.inner();
        let done = forget::forget(&mut inner.0, &wanted);
        self.changed(&inner.0);
        Box::pin(ready(done))
    }

    fn read(&self, query: Query) -> Fut<'_, Result<Answer, LedgerError>> {
        Box::pin(ready(Ok(answer::answer(&self.inner().0, &query))))
    }

    fn watch(&self, after: Change) -> Fut<'_, Change> {
        let changes = self.shared.changes.subscribe();
        Box::pin(crate::sqlite::next_change(changes, after))
    }
}
