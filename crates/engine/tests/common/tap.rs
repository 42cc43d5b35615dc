//! A ledger with a tap: commits are counted, can be refused, and a process can be cut off from it
//! before or after one of them, as if it had been killed at that moment.

use oncely_core::Fut;
use oncely_core::ids::HolderId;
use oncely_core::ledger::{
    Answer, Change, Claim, Leased, Ledger, LedgerError, Query, Unit, UnitResult, What,
};
use oncely_ledger::{MemoryLedger, SqliteLedger};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// What becomes of a commit.
pub(crate) enum Fate {
    Pass,
    /// The process dies before it reaches the ledger.
    CutBefore,
    /// It reaches the ledger, and the process dies before it hears of it.
    CutAfter,
    /// The ledger answers with this error.
    Fail(LedgerError),
}

type Hook = Box<dyn FnMut(&[Unit]) -> Fate + Send>;

pub(crate) enum Inner {
    Memory(MemoryLedger),
    Sqlite(SqliteLedger),
}

impl Inner {
    fn as_dyn(&self) -> &dyn Ledger {
        match self {
            Self::Memory(ledger) => ledger,
            Self::Sqlite(ledger) => ledger,
        }
    }
    fn kill(self) {
        match self {
            Self::Memory(ledger) => ledger.kill(),
            Self::Sqlite(ledger) => ledger.kill(),
        }
    }
}

pub(crate) struct Tap {
    inner: Mutex<Option<Arc<Inner>>>,
    holder: HolderId,
    name: String,
    cut: watch::Sender<bool>,
    hook: Mutex<Option<Hook>>,
    commits: Mutex<Vec<Vec<Unit>>>,
}

impl Tap {
    pub(crate) fn on(inner: Inner) -> Arc<Self> {
        let (holder, name) = (inner.as_dyn().holder(), inner.as_dyn().name());
        Arc::new(Self {
            inner: Mutex::new(Some(Arc::new(inner))),
            holder,
            name,
            cut: watch::Sender::new(false),
            hook: Mutex::default(),
            commits: Mutex::default(),
        })
    }

    /// Decides the fate of each commit from now on.
    pub(crate) fn fate(&self, hook: impl FnMut(&[Unit]) -> Fate + Send + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }

    /// Commits so far.
    pub(crate) fn commits(&self) -> Vec<Vec<Unit>> {
        self.commits.lock().unwrap().clone()
    }

    pub(crate) fn forget_commits(&self) {
        self.commits.lock().unwrap().clear();
    }

    pub(crate) fn is_cut(&self) -> bool {
        *self.cut.borrow()
    }

    /// Ends when the process has been cut off.
    pub(crate) async fn was_cut(&self) {
        let _ = self.cut.subscribe().wait_for(|cut| *cut).await;
    }

    /// Ends the process: nothing of it reaches the ledger any more, and what it held is free.
    pub(crate) async fn kill(&self) {
        self.cut.send_replace(true);
        let mut inner = self.inner.lock().unwrap().take().expect("killed twice");
        loop {
            match Arc::try_unwrap(inner) {
                Ok(inner) => return inner.kill(),
                Err(shared) => inner = shared,
            }
            tokio::task::yield_now().await;
        }
    }

    fn fated(&self, units: &[Unit]) -> Fate {
        let mut hook = self.hook.lock().unwrap();
        hook.as_mut().map_or(Fate::Pass, |hook| hook(units))
    }

    /// Asks the ledger, unless the process is cut off: the dead hear nothing.
    async fn ask<T>(
        &self,
        question: impl for<'l> FnOnce(&'l dyn Ledger) -> Fut<'l, T> + Send,
    ) -> T {
        let inner = self.inner.lock().unwrap().clone();
        let answer = async {
            match &inner {
                Some(inner) => question(inner.as_dyn()).await,
                None => std::future::pending().await,
            }
        };
        let answer = tokio::select! {
            biased;
            () = self.was_cut() => None,
            answer = answer => Some(answer),
        };
        drop(inner);
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    async fn commit_now(&self, units: Vec<Unit>) -> Result<Vec<UnitResult>, LedgerError> {
        let fate = if self.is_cut() {
            Fate::Pass
        } else {
            self.fated(&units)
        };
        match fate {
            Fate::Fail(error) => return Err(error),
            Fate::CutBefore => {
                self.cut.send_replace(true);
            }
            Fate::Pass | Fate::CutAfter => {}
        }
        self.commits.lock().unwrap().push(units.clone());
        let result = self.ask(move |ledger| ledger.commit(units)).await;
        if matches!(fate, Fate::CutAfter) {
            self.cut.send_replace(true);
            std::future::pending::<()>().await;
        }
        result
    }
}

impl Ledger for Tap {
    fn holder(&self) -> HolderId {
        self.holder
    }
    fn name(&self) -> String {
        self.name.clone()
    }
    fn commit(&self, units: Vec<Unit>) -> Fut<'_, Result<Vec<UnitResult>, LedgerError>> {
        Box::pin(self.commit_now(units))
    }
    fn lease(&self, what: What, claim: Claim) -> Fut<'_, Result<Leased, LedgerError>> {
        Box::pin(self.ask(move |ledger| ledger.lease(what, claim)))
    }
    fn renew(&self) -> Fut<'_, Result<u64, LedgerError>> {
        Box::pin(self.ask(move |ledger| ledger.renew()))
    }
    fn prune(
        &self,
        part: oncely_core::prune::Prune,
    ) -> Fut<'_, Result<oncely_core::prune::Pruned, LedgerError>> {
        Box::pin(self.ask(move |ledger| ledger.prune(part)))
    }
    fn forget(&self, wanted: oncely_core::forget::Forget) -> Fut<'_, Result<(), LedgerError>> {
        Box::pin(self.ask(move |ledger| ledger.forget(wanted)))
    }
    fn read(&self, query: Query) -> Fut<'_, Result<Answer, LedgerError>> {
        Box::pin(self.ask(move |ledger| ledger.read(query)))
    }
    fn watch(&self, after: Change) -> Fut<'_, Change> {
        Box::pin(self.ask(move |ledger| ledger.watch(after)))
    }
}
