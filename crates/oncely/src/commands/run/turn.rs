//! Whose turn it is: one process at a time does the release tasks of an environment.

use crate::cli::OnBusy;
use crate::failure::Failure;
use crate::house::House;
use crate::output::Voice;
use oncely_core::ids::Fence;
use oncely_core::ledger::{Change, Claim, HolderInfo, Leased, LedgerError, Op, Unit, What};
use oncely_core::time::Clock;
use oncely_engine::{Engine, Stop};
use std::sync::Arc;
use std::time::Duration;

/// Whose turn it is to do the release tasks of an environment.
pub(crate) struct Turn<'a> {
    pub(crate) house: &'a House,
    pub(crate) voice: Voice,
    pub(crate) on_busy: OnBusy,
}

/// The turn, taken.
pub(crate) struct Named {
    name: String,
    fence: Fence,
}

impl Turn<'_> {
    /// Waits for this environment's turn; none when somebody else has it and that is all right.
    pub(crate) async fn take(&self, engine: &Arc<Engine>) -> Result<Option<Named>, Failure> {
        let name = format!("release/{}", self.house.config.environment.value);
        let mut said = false;
        let mut change = Change::default();
        let stop = engine.stopper();
        self.house.stop_on_signals(&stop);
        self.say_when_stopping(stop.clone());
        while !stop.is_stopping() {
            let claim = self.claim();
            let what = What::Named(name.clone());
            match self.house.ledger().lease(what, claim).await? {
                Leased::Named(fence) => return Ok(Some(Named { name, fence })),
                Leased::Runs(_) => {}
                Leased::Busy(holder) if self.waits_for(&holder, said)? => said = true,
                Leased::Busy(_) => return Ok(None),
            }
            tokio::select! {
                seen = self.house.ledger().watch(change) => change = seen,
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
                () = stop.stopped() => {}
            }
        }
        Err(Failure::failed("stopped while waiting; nothing was done."))
    }

    /// The turn, if nobody has it.
    pub(crate) async fn now(&self) -> Result<Option<Named>, Failure> {
        let name = format!("release/{}", self.house.config.environment.value);
        let what = What::Named(name.clone());
        let leased = self.house.ledger().lease(what, self.claim()).await?;
        Ok(match leased {
            Leased::Named(fence) => Some(Named { name, fence }),
            Leased::Busy(_) | Leased::Runs(_) => None,
        })
    }

    /// Whether to wait for the process whose turn it is.
    fn waits_for(&self, holder: &HolderInfo, said: bool) -> Result<bool, Failure> {
        let who = format!("process {} ({})", holder.pid, holder.role);
        match self.on_busy {
            OnBusy::Skip => {
                self.voice
                    .say(format!("{who} is running the tasks; nothing was done."));
                return Ok(false);
            }
            OnBusy::Fail => {
                return Err(Failure::failed(format!(
                    "{who} is running the release tasks of this environment. Nothing was done here."
                )));
            }
            OnBusy::Wait if !said => self
                .voice
                .say(format!("Waiting for {who}, which is running the tasks.")),
            OnBusy::Wait => {}
        }
        Ok(true)
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

    pub(crate) async fn give_back(&self, named: Named) -> Result<(), LedgerError> {
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
}
