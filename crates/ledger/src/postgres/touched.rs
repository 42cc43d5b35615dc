//! What units touch: what must be loaded and locked before they are decided on.

use super::work::Part;
use oncely_core::ledger::{Guard, Op, RunRef};
use std::collections::BTreeSet;

/// What units touch.
#[derive(Default)]
pub(crate) struct Touched {
    pub(crate) turn: bool,
    pub(crate) holder: bool,
    pub(crate) runs: BTreeSet<i64>,
    pub(crate) sources: BTreeSet<String>,
    pub(crate) names: BTreeSet<String>,
}

impl Touched {
    /// What these units touch.
    pub(crate) fn of(parts: &[Part<'_>]) -> Self {
        let mut touched = Self::default();
        for Part { unit, claims, .. } in parts {
            unit.guards.iter().for_each(|guard| touched.guard(guard));
            unit.ops.iter().for_each(|op| touched.op(op));
            touched.holder |= claims;
        }
        touched.turn |= !touched.sources.is_empty() || !touched.names.is_empty();
        touched
    }

    fn guard(&mut self, guard: &Guard) {
        match guard {
            Guard::Fence(run, _) | Guard::RunSeq(run, _) => {
                self.runs.insert(run.0);
            }
            Guard::Cursor(source, _) => {
                self.sources.insert(source.clone());
            }
            Guard::Generation(..) => self.turn = true,
            Guard::Named(name, _) => {
                self.names.insert(name.clone());
            }
        }
    }

    fn op(&mut self, op: &Op) {
        let run = match op {
            Op::Admit(_) => {
                self.turn = true;
                return;
            }
            Op::Facts { run, .. } | Op::Run { run, .. } => match run {
                RunRef::Id(id) => id,
                RunRef::New => return,
            },
            Op::Wake(run, _)
            | Op::Release(run, _)
            | Op::Items { run, .. }
            | Op::ItemFacts { run, .. } => run,
            Op::Cursor(source, _) => {
                self.sources.insert(source.clone());
                return;
            }
            Op::ReleaseName(name, _) => {
                self.names.insert(name.clone());
                return;
            }
            Op::Store(..) | Op::Sql(_) | Op::Files(_) => return,
        };
        self.runs.insert(run.0);
    }
}
