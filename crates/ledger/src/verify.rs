//! What a ledger is looked over for, run by run, whatever store it is in.

use crate::memory::state::Run;
use oncely_core::ids::RunId;

/// Most findings that are kept in words; all are counted.
const FINDINGS: usize = 1_000;

/// What was looked at, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// Runs whose chain and facts were compared.
    pub runs: u64,
    /// Facts of them.
    pub facts: u64,
    /// Keys that were looked up.
    pub keys: u64,
    /// Steps whose progress was compared with what they have set aside.
    pub steps: u64,
    /// Whether the database itself was checked from end to end.
    pub database: bool,
    /// Whether its pages have checksums, where it is a file.
    pub checksums: Option<bool>,
    /// What is wrong, in words.
    pub findings: Vec<String>,
    /// How many things are wrong.
    pub wrong: u64,
}

/// How far a step has come, and what there is of it.
pub(crate) struct Come {
    pub(crate) run: i64,
    pub(crate) step: String,
    pub(crate) next: i64,
    pub(crate) done: i64,
    pub(crate) set_aside: i64,
    /// Items of it that lie set aside.
    pub(crate) found: i64,
    /// Its run is there.
    pub(crate) has_run: bool,
}

/// What both stores ask for each step, in the order of [`Come`].
pub(crate) const COME: &str = "
select p.run, p.step, p.next, p.done, p.set_aside,
  case when exists (select 1 from oncely_admissions a where a.run = p.run and a.event = '')
    then p.set_aside
    else (select count(*) from oncely_set_aside s where s.run = p.run and s.step = p.step) end,
  exists (select 1 from oncely_runs r where r.id = p.run)
from oncely_progress p order by p.run, p.step";

impl Verified {
    /// How far a step has come.
    pub(crate) fn step(&mut self, come: &Come) {
        self.steps += 1;
        let Come {
            run,
            step,
            next,
            done,
            set_aside,
            found,
            ..
        } = come;
        if !come.has_run {
            self.found(format!(
                "run {run}: step {step} has come to item {next}, and the run is lost"
            ));
        }
        if done + set_aside > *next {
            self.found(format!(
                "run {run}: step {step} has come to item {next}, and says that it did {done} and set \
                 {set_aside} aside"
            ));
        }
        if found < set_aside {
            self.found(format!(
                "run {run}: step {step} says that it set aside {set_aside}, and {found} are there"
            ));
        }
    }

    /// Something is wrong.
    pub(crate) fn found(&mut self, words: String) {
        self.wrong += 1;
        if self.findings.len() < FINDINGS {
            self.findings.push(words);
        }
    }

    /// A run with its facts, and whose key leads to which run.
    pub(crate) fn run(&mut self, run: &Run, keyed: Option<RunId>) {
        let row = &run.row;
        let (id, task) = (row.id, &row.task);
        self.runs += 1;
        self.facts += run.facts.len() as u64;
        self.keys += u64::from(keyed.is_some());
        if run.broken {
            self.found(format!(
                "run {id} of {task}: its facts or its event are not those that were recorded: some were \
                 changed or lost"
            ));
        } else if let Some((end, _)) = run.state.ended.as_ref().filter(|_| !row.status.is_ended()) {
            self.found(format!(
                "run {id} of {task}: its facts say that it has ended ({end:?}), and its row that it \
                 is {}",
                row.status
            ));
        }
        match keyed {
            Some(other) if other == id => {}
            Some(other) => self.found(format!(
                "run {id} of {task}: its key {} leads to run {other}",
                row.key
            )),
            None => self.found(format!(
                "run {id} of {task}: its key {} is not known any more: should the event arrive \
                 again, it would be done again",
                row.key
            )),
        }
    }
}
