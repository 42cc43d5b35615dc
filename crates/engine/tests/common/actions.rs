//! Actions that do as they are told, and count.

use oncely_core::Fut;
use oncely_core::action::{Action, Call, Done, Failure, Probe, Statement};
use oncely_core::fact::Repeat;
use oncely_core::task::ActionKind;
use oncely_engine::Actions;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// What a call does.
#[derive(Clone)]
pub(crate) enum Behaviour {
    Output(Value),
    /// In the commit of its record.
    Statement(&'static str),
    Retry(Option<Duration>),
    Permanent,
    Unknown,
    Panic,
    /// Waits until the gate is opened.
    Wait(Gate),
    /// Waits until the gate is opened, and fails so that it may be tried again.
    Fail(Gate),
    /// Never ends.
    Hang(Gate),
}

/// Counts who has come, and lets them go on together.
#[derive(Clone)]
pub(crate) struct Gate {
    state: Arc<watch::Sender<(usize, usize, usize, bool)>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            state: Arc::new(watch::Sender::new((0, 0, 0, false))),
        }
    }
}

impl Gate {
    async fn pass(&self) {
        self.state.send_modify(|(come, inside, most, _)| {
            *come += 1;
            *inside += 1;
            *most = (*most).max(*inside);
        });
        let _ = self.state.subscribe().wait_for(|s| s.3).await;
        self.state.send_modify(|s| s.1 -= 1);
    }
    pub(crate) fn open(&self) {
        self.state.send_modify(|s| s.3 = true);
    }
    pub(crate) async fn come(&self, count: usize) {
        let wait = self.state.clone();
        let mut wait = wait.subscribe();
        let come = wait.wait_for(|s| s.0 >= count);
        tokio::time::timeout(Duration::from_secs(20), come)
            .await
            .unwrap_or_else(|_| panic!("{} of {count} came", self.count()))
            .unwrap();
    }
    pub(crate) fn count(&self) -> usize {
        self.state.borrow().0
    }
    /// Most that were inside at the same time.
    pub(crate) fn most(&self) -> usize {
        self.state.borrow().2
    }
}

type Plan = Box<dyn Fn(&Call) -> Behaviour + Send + Sync>;

/// An action under the control of a test.
pub(crate) struct Fake {
    pub(crate) calls: Mutex<Vec<Call>>,
    repeat: Mutex<Repeat>,
    plan: Mutex<Arc<Plan>>,
    probe: Mutex<Probe>,
    pub(crate) probed: Mutex<u32>,
    /// The probe panics.
    pub(crate) rude: Mutex<bool>,
}

impl Fake {
    pub(crate) fn new(repeat: Repeat) -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::default(),
            repeat: Mutex::new(repeat),
            plan: Mutex::new(Arc::new(Box::new(|_| Behaviour::Output(json!({}))))),
            probe: Mutex::new(Probe::CannotTell("nobody there".into())),
            probed: Mutex::default(),
            rude: Mutex::default(),
        })
    }
    /// From now on calls do this.
    pub(crate) fn does(&self, plan: impl Fn(&Call) -> Behaviour + Send + Sync + 'static) {
        *self.plan.lock().unwrap() = Arc::new(Box::new(plan));
    }
    pub(crate) fn is(&self, repeat: Repeat) {
        *self.repeat.lock().unwrap() = repeat;
    }
    pub(crate) fn says(&self, probe: Probe) {
        *self.probe.lock().unwrap() = probe;
    }
    pub(crate) fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
    pub(crate) fn keys(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|call| call.key.0.clone()).collect()
    }
    /// The first argument of each call, in the order of the calls.
    pub(crate) fn args(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(argument).collect()
    }
}

/// The second word of the command of a call.
pub(crate) fn argument(call: &Call) -> String {
    let word = &call.options["args"][1];
    word.as_str()
        .map_or_else(|| word.to_string(), str::to_owned)
}

impl Action for Fake {
    fn repeat(&self, _call: &Call) -> Repeat {
        *self.repeat.lock().unwrap()
    }
    fn run<'a>(&'a self, call: &'a Call) -> Fut<'a, Result<Done, Failure>> {
        self.calls.lock().unwrap().push(call.clone());
        let plan = self.plan.lock().unwrap().clone();
        Box::pin(async move {
            match plan(call) {
                Behaviour::Output(output) => Ok(Done::Output(output)),
                Behaviour::Statement(text) => Ok(Done::InCommit {
                    statements: vec![Statement {
                        text: text.into(),
                        bind: vec![("key".into(), call.site.event.as_str().into())],
                    }],
                }),
                Behaviour::Retry(after) => Err(Failure::Retry {
                    error: "not now".into(),
                    after,
                }),
                Behaviour::Permanent => Err(Failure::permanent("never")),
                Behaviour::Unknown => Err(Failure::unknown("the line went dead")),
                Behaviour::Panic => panic!("a step's code panics on purpose"),
                Behaviour::Wait(gate) => {
                    gate.pass().await;
                    Ok(Done::Output(json!({})))
                }
                Behaviour::Fail(gate) => {
                    gate.pass().await;
                    Err(Failure::retry("not now"))
                }
                Behaviour::Hang(gate) => {
                    gate.pass().await;
                    std::future::pending().await
                }
            }
        })
    }
    fn probe<'a>(&'a self, _call: &'a Call) -> Fut<'a, Probe> {
        *self.probed.lock().unwrap() += 1;
        assert!(!*self.rude.lock().unwrap(), "a probe panics on purpose");
        Box::pin(std::future::ready(self.probe.lock().unwrap().clone()))
    }
}

/// The actions of a process.
#[derive(Clone)]
pub(crate) struct Kit {
    /// `command`: nobody recognises a key, unless told otherwise.
    pub(crate) command: Arc<Fake>,
    /// `sql`: an effect in the commit of its record, unless told otherwise.
    pub(crate) sql: Arc<Fake>,
    pub(crate) others: BTreeMap<ActionKind, Arc<dyn Action>>,
}

impl Default for Kit {
    fn default() -> Self {
        let sql = Fake::new(Repeat::Safe);
        sql.does(|_| {
            Behaviour::Statement("create table if not exists t (k); insert into t values (:key)")
        });
        let call: Arc<dyn Action> = Arc::new(oncely_actions::CallTask);
        Self {
            command: Fake::new(Repeat::AskFirst),
            sql,
            others: [(ActionKind::Call, call)].into(),
        }
    }
}

impl Actions for Kit {
    fn get(&self, kind: ActionKind) -> Option<Arc<dyn Action>> {
        if let Some(other) = self.others.get(&kind) {
            return Some(other.clone());
        }
        match kind {
            ActionKind::Command => Some(self.command.clone()),
            ActionKind::Sql => Some(self.sql.clone()),
            _ => None,
        }
    }
}
