//! Statements of tasks go their own ways, so that no lock which they wait for stalls what has none.
//!
//! Units with statements are committed on a second connection, many at a time, and wait a moment at
//! most. Those that want more time go to one of a few more connections, made for as long as they are
//! needed, each by itself and for as long as statements may take.

use super::holders::Me;
use super::store::{Job, Shared};
use super::work::statements_of;
use super::writer::Writer;
use oncely_core::limits;
use std::collections::HashMap;
use std::sync::{Arc, Mutex as Locked, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// For so long units with the same statement as one that was late are not tried beside others.
const REST: Duration = Duration::from_secs(2);

/// Which of the writing connections of a process this is.
pub(crate) enum Lane {
    /// Everything but statements of tasks.
    Main,
    /// Statements of tasks, many in a transaction.
    Statements(Late),
    /// Statements that want time.
    Late,
}

/// The ways of statements, as the main writer sees them.
pub(crate) struct Lanes {
    statements: UnboundedSender<Job>,
    ends: Vec<JoinHandle<()>>,
}

impl Lanes {
    /// Starts them. No connection is made before there is something to do.
    pub(crate) fn start(shared: &Arc<Shared>, me: &Me) -> Self {
        let (statements, inbox) = unbounded_channel();
        let (jobs, late) = unbounded_channel();
        let writer = |number, lane| Writer {
            db: None,
            me: me.of_lane(number),
            shared: shared.clone(),
            lane,
        };
        let many = writer(
            1,
            Lane::Statements(Late {
                jobs,
                rest: Locked::default(),
            }),
        );
        let mut ends = vec![tokio::spawn(together(many, inbox))];
        let late = Arc::new(Mutex::new(late));
        for number in (2..).take(limits::STATEMENTS_APART) {
            ends.push(tokio::spawn(apart(
                writer(number, Lane::Late),
                late.clone(),
            )));
        }
        Self { statements, ends }
    }

    /// Takes a job with statements; gives back every other. One that claims what it admits stays
    /// where this holder's row is written.
    pub(crate) fn take(&self, job: Job) -> Option<Job> {
        if !job.has_sql() || job.claims() {
            return Some(job);
        }
        self.statements.send(job).err().map(|left| left.0)
    }

    /// Waits until everything that was taken is done.
    pub(crate) async fn close(self) {
        drop(self.statements);
        for end in self.ends {
            end.await.ok();
        }
    }
}

/// Where statements go that want more time than there is beside others.
pub(crate) struct Late {
    jobs: UnboundedSender<Job>,
    /// Until when a statement is not tried beside others.
    rest: Locked<HashMap<Arc<str>, Instant>>,
}

impl Late {
    /// Takes those jobs that hold a statement which was late; gives back the others.
    pub(crate) fn take(&self, jobs: Vec<Job>) -> Vec<Job> {
        let now = Instant::now();
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        rest.retain(|_, until| *until > now);
        if rest.is_empty() {
            return jobs;
        }
        let rests = |job: &Job| texts(job).any(|text| rest.contains_key(text));
        let (late, others): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(rests);
        for job in late {
            // When nobody is there any more, the job is dropped, and who asked hears that.
            self.jobs.send(job).ok();
        }
        others
    }

    /// The first unit of a job that is left was late.
    pub(crate) fn note(&self, job: &Job) {
        let until = Instant::now() + REST;
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let statements = job.left().first().into_iter().flat_map(statements_of);
        rest.extend(statements.map(|statement| (statement.text.clone(), until)));
    }
}

fn texts(job: &Job) -> impl Iterator<Item = &Arc<str>> {
    let statements = job.left().iter().flat_map(statements_of);
    statements.map(|statement| &statement.text)
}

async fn together(mut writer: Writer, mut inbox: UnboundedReceiver<Job>) {
    while let Some(first) = inbox.recv().await {
        let mut jobs = vec![first];
        while let Ok(job) = inbox.try_recv() {
            jobs.push(job);
        }
        if let Lane::Statements(late) = &writer.lane {
            jobs = late.take(jobs);
        }
        writer.group(jobs).await;
    }
}

async fn apart(mut writer: Writer, inbox: Arc<Mutex<UnboundedReceiver<Job>>>) {
    loop {
        let waiting = inbox.try_lock().ok().and_then(|mut q| q.try_recv().ok());
        let job = if waiting.is_some() {
            waiting
        } else {
            // Connections are few: one that is not needed is let go.
            writer.db = None;
            inbox.lock().await.recv().await
        };
        let Some(job) = job else { return };
        writer.group(vec![job]).await;
    }
}
