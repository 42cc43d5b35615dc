//! Does the work of the writer in an open transaction.

use super::db::{Db, Stop};
use super::doubt::Outcome;
use super::holders::Me;
use super::slice::Slice;
use super::statements::{Budget, Fault};
use super::work::{Came, Part, Work, statements_of};
use super::{claim, forget, load, prune, save, statements};
use crate::memory::apply::apply_with;
use oncely_core::action::Statement;
use oncely_core::ledger::{Leased, LedgerError, UnitResult, What};

type Results = Vec<Result<UnitResult, LedgerError>>;

/// Does the work in the open transaction.
pub(crate) async fn transaction(db: &mut Db, me: &Me, work: Work<'_>) -> Result<Outcome, Stop> {
    match work {
        Work::Units(parts) => together(db, me, parts).await,
        Work::Alone(part) => alone(db, me, part).await,
        Work::Lease(what, wanted) => {
            let (leased, slice) = claim::claim(db, me, what, wanted).await?;
            let holds = slice.state.holders.contains_key(&me.id());
            let taken = match &leased {
                Leased::Runs(_) => matches!(what, What::Present),
                Leased::Named(_) => true,
                Leased::Busy(_) => false,
            };
            // A run that is not whole is set aside also when none is taken beside it.
            if taken || slice.moves_a_run() {
                save::save(db, me, &slice).await?;
            }
            Ok(Outcome::nothing(Came::Leased(leased), holds))
        }
        Work::Forget(wanted) => {
            forget::forget(db, wanted).await?;
            Ok(Outcome {
                came: Came::Forgotten,
                holds: me.standing.registered(),
                counted: Some(save::change(db, me).await?),
            })
        }
        Work::Prune(part) => {
            let pruned = prune::prune(db, part).await?;
            let counted = match part.dry {
                true => None,
                false => Some(save::change(db, me).await?),
            };
            Ok(Outcome {
                came: Came::Pruned(pruned),
                holds: me.standing.registered(),
                counted,
            })
        }
        Work::Renew => Ok(Outcome::nothing(Came::Freed(me.renew(db).await?), false)),
    }
}

/// Decides on units by what is loaded and locked for them; nothing is written yet.
async fn decide(db: &mut Db, me: &Me, parts: &[Part<'_>]) -> Result<(Slice, Results), Stop> {
    let mut slice = load::load(db, me, parts).await?;
    let registration = me.registration();
    let mut results = Vec::with_capacity(parts.len());
    // After a unit that is wrong the others of its job are left.
    let mut wrong = None;
    for part in parts {
        let result = if wrong == Some(part.job) {
            Err(LedgerError::Closed)
        } else if slice.lost && part.claims {
            Err(LedgerError::LeaseLost)
        } else {
            apply_with(&mut slice.state, &registration, part.unit, || Ok(Ok(())))
        };
        if result.is_err() {
            wrong = Some(part.job);
        }
        results.push(result);
    }
    Ok((slice, results))
}

fn is_applied(result: &Result<UnitResult, LedgerError>) -> bool {
    matches!(result, Ok(UnitResult::Applied(_)))
}

/// Units in one transaction. Where they have statements, these wait a moment at most: what the
/// units touch is locked meanwhile, and others wait behind them.
async fn together(db: &mut Db, me: &Me, parts: &[Part<'_>]) -> Result<Outcome, Stop> {
    let (mut slice, results) = decide(db, me, parts).await?;
    if !results.iter().any(is_applied) {
        return Ok(Outcome::nothing(Came::Units(results), slice.registered));
    }
    let counted = write(db, me, &mut slice).await?;
    // The statements of a unit that was refused are not executed.
    let wanted = parts.iter().zip(&results).filter(|(_, r)| is_applied(r));
    let statements: Vec<_> = wanted.flat_map(|(p, _)| statements_of(p.unit)).collect();
    let budget = Budget::together(me.options.sql_budget);
    if !statements.is_empty()
        && let Err(fault) = statements::execute(db, &statements, budget).await?
    {
        again(db).await;
        let failed = sql_failed(Work::Units(parts), fault);
        return Ok(Outcome::nothing(failed, me.standing.registered()));
    }
    Ok(written(me, &slice, results, counted))
}

/// A unit by itself, its statements first: they may wait for locks of other programs, and nothing of
/// the ledger is locked before they have ended.
async fn alone(db: &mut Db, me: &Me, part: &Part<'_>) -> Result<Outcome, Stop> {
    let parts = std::slice::from_ref(part);
    let statements: Vec<&Statement> = statements_of(part.unit).collect();
    let budget = Budget::alone(me.options.sql_budget);
    if let Err(fault) = statements::execute(db, &statements, budget).await? {
        // What a guard refuses is refused, however its statements fare.
        again(db).await;
        let (slice, results) = decide(db, me, parts).await?;
        again(db).await;
        let came = match results.iter().any(is_applied) {
            true => sql_failed(Work::Alone(part), fault),
            false => Came::Units(results),
        };
        return Ok(Outcome::nothing(came, slice.registered));
    }
    statements::unbounded(db);
    let (mut slice, results) = decide(db, me, parts).await?;
    if !results.iter().any(is_applied) {
        again(db).await;
        return Ok(Outcome::nothing(Came::Units(results), slice.registered));
    }
    let counted = write(db, me, &mut slice).await?;
    Ok(written(me, &slice, results, counted))
}

/// Begins once more, as if nothing had been done.
async fn again(db: &mut Db) {
    db.roll_back().await;
    db.begin();
}

async fn write(db: &mut Db, me: &Me, slice: &mut Slice) -> Result<i64, Stop> {
    // A unit that speaks for its holder found it registered: nothing is written anew for it.
    slice.registered |= me.standing.registered();
    save::save(db, me, slice).await
}

fn written(me: &Me, slice: &Slice, results: Results, counted: i64) -> Outcome {
    Outcome {
        came: Came::Units(results),
        holds: slice.registered || slice.state.holders.contains_key(&me.id()),
        counted: Some(counted),
    }
}

/// What it means that a statement failed: it was that of the only unit, or fewer are tried.
pub(crate) fn sql_failed(work: Work<'_>, fault: Fault) -> Came {
    let failed = |result| Came::Units(vec![Ok(result)]);
    match (work, fault) {
        (Work::Units([_]) | Work::Alone(_), Fault::Statement(words)) => {
            failed(UnitResult::SqlFailed(words))
        }
        (Work::Alone(_), Fault::Slow(words)) => failed(UnitResult::SqlLate(words)),
        (Work::Units([_]), Fault::Slow(_)) => Came::Late,
        (_, Fault::Statement(_)) => Came::Fewer((work.parts().len() / 2).max(1)),
        // Each try of several costs as much time as that of the slow one.
        (_, Fault::Slow(_)) => Came::Fewer(1),
    }
}
