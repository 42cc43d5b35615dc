//! What a transaction of the writer is for, and what came of it.

use super::slice::claims;
use super::store::Job;
use oncely_core::action::Statement;
use oncely_core::forget::Forget;
use oncely_core::ledger::{Claim, Guard, Leased, LedgerError, Op, Unit, UnitResult, What};
use oncely_core::limits;
use oncely_core::prune::{Prune, Pruned};

/// A unit, and what it is a part of.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) unit: &'a Unit,
    /// The place of its job.
    pub(crate) job: usize,
    /// Its job claims: it is refused whole where its holder is gone.
    pub(crate) claims: bool,
}

/// What one transaction is for.
#[derive(Clone, Copy)]
pub(crate) enum Work<'a> {
    Units(&'a [Part<'a>]),
    /// One unit with statements that may wait for locks: nothing of the ledger is locked meanwhile.
    Alone(&'a Part<'a>),
    Lease(&'a What, &'a Claim),
    Renew,
    Prune(&'a Prune),
    Forget(&'a Forget),
}

/// What came of it.
pub(crate) enum Came {
    /// An answer for each unit.
    Units(Vec<Result<UnitResult, LedgerError>>),
    Leased(Leased),
    /// None when others have freed this holder.
    Freed(Option<u64>),
    Pruned(Pruned),
    Forgotten,
    /// A statement of one of several units failed: at most so many of them at a time.
    Fewer(usize),
    /// The statements of the only unit want more time than there is beside others.
    Late,
}

impl<'a> Work<'a> {
    pub(crate) fn parts(self) -> &'a [Part<'a>] {
        match self {
            Self::Units(parts) => parts,
            Self::Alone(part) => std::slice::from_ref(part),
            Self::Lease(..) | Self::Renew | Self::Prune(_) | Self::Forget(_) => &[],
        }
    }

    pub(crate) fn claims(self) -> bool {
        matches!(self, Self::Lease(..)) || self.parts().iter().any(|part| claims(part.unit))
    }

    /// Whether it speaks for a holder.
    pub(crate) fn needs_lease(self) -> bool {
        let others = matches!(self, Self::Lease(..) | Self::Renew);
        others || self.parts().iter().any(|part| needs_lease(part.unit))
    }

    pub(crate) fn has_sql(self) -> bool {
        self.parts().iter().any(|part| has_sql(part.unit))
    }
}

/// The next units that may share a transaction. With statements of tasks at most so many.
pub(crate) fn next_parts(jobs: &[Job], most: usize) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let first = jobs.iter().find_map(|job| job.left().first());
    let sql = first.is_some_and(has_sql);
    let most = if sql { most } else { limits::GROUP_UNITS };
    // The units of a job keep their order; jobs do not depend on one another.
    for (place, job) in jobs.iter().enumerate() {
        let claims = job.claims();
        for unit in job.left().iter().take_while(|unit| has_sql(unit) == sql) {
            if parts.len() >= most {
                return parts;
            }
            parts.push(Part {
                unit,
                job: place,
                claims,
            });
        }
    }
    parts
}

/// The statements of a unit.
pub(crate) fn statements_of(unit: &Unit) -> impl Iterator<Item = &Statement> {
    unit.ops.iter().flat_map(|op| match op {
        Op::Sql(statements) => statements.as_slice(),
        _ => &[],
    })
}

/// Whether a unit has statements of a task.
pub(crate) fn has_sql(unit: &Unit) -> bool {
    unit.ops.iter().any(|op| matches!(op, Op::Sql(_)))
}

/// Whether a unit speaks for a holder.
pub(crate) fn needs_lease(unit: &Unit) -> bool {
    let fenced = |guard: &Guard| matches!(guard, Guard::Fence(..) | Guard::Named(..));
    claims(unit) || unit.guards.iter().any(fenced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::stage;
    use oncely_core::ids::{Fence, RunId};

    fn needs(unit: &Unit) -> [bool; 2] {
        let part = Part {
            unit,
            job: 0,
            claims: claims(unit),
        };
        let parts = [part];
        [Work::Units(&parts), Work::Alone(&part)].map(Work::needs_lease)
    }

    #[test]
    fn only_what_speaks_for_a_holder_is_lost_with_its_lease() {
        let run = RunId(1);
        let mut claimed = stage::admission("k");
        claimed.claimed = true;
        for holders in [
            stage::unit(vec![Guard::Fence(run, Fence(1))], vec![]),
            stage::unit(vec![Guard::Named("name".into(), Fence(1))], vec![]),
            stage::unit(
                vec![Guard::RunSeq(run, 0), Guard::Fence(run, Fence(1))],
                vec![],
            ),
            stage::unit(vec![], vec![Op::Admit(claimed)]),
        ] {
            assert_eq!(needs(&holders), [true, true], "{holders:?}");
        }
        for nobodys in [
            stage::admit("k"),
            stage::unit(vec![Guard::RunSeq(run, 0)], vec![]),
            stage::unit(vec![], vec![stage::sql("select 1", &[])]),
        ] {
            assert_eq!(needs(&nobodys), [false, false], "{nobodys:?}");
        }
        let claim = stage::claim(9);
        assert!(Work::Lease(&What::Runs, &claim).needs_lease() && Work::Renew.needs_lease());
        assert!(!Work::Units(&[]).needs_lease());
    }
}
