//! What the writer does on a full disk: it turns away whoever would begin something, makes room for those
//! who record what has happened, and says when new things may be begun again.

use super::jobs::{Job, Request};
use super::writer::Writer;
use oncely_core::fact::Fact;
use oncely_core::ledger::{Guard, ItemEvent, LedgerError, Op, Unit};
use std::collections::VecDeque;
use std::path::Path;

impl Writer {
    /// Turns away whoever would begin something, where the disk was found full and there is no room yet.
    pub(crate) fn mind_the_room(&mut self, queue: &mut VecDeque<Job>) {
        if !self.has_room() {
            turn_away(queue, &self.shared.path);
        }
    }

    /// Whether new things may be begun: there is room again once the reserve can be whole.
    pub(crate) fn has_room(&self) -> bool {
        if !self.reserve.is_short() {
            return true;
        }
        let room = self.reserve.take();
        if room {
            // Whoever waits looks again.
            self.shared.changed();
        }
        room
    }

    /// Answers everybody that it cannot be done. On a full disk those who record what has happened stay,
    /// as long as room can be made for them.
    pub(crate) fn failed(&mut self, queue: &mut VecDeque<Job>, error: &LedgerError) {
        if matches!(error, LedgerError::Full(_)) {
            self.reserve.mark();
            turn_away(queue, &self.shared.path);
            if queue.is_empty() || self.make_room() {
                return;
            }
        }
        self.tried = 0;
        queue.drain(..).for_each(|job| job.fail(error.clone()));
    }

    /// Makes room for one more try; false when there is none left to make.
    ///
    /// First the log is copied back, if the file can grow by what that takes: then the log begins anew in
    /// the room that it has. Else a piece of the reserve is given back, and the log grows.
    pub(crate) fn make_room(&mut self) -> bool {
        self.reserve.mark();
        let tried = self.tried;
        self.tried += 1;
        match tried {
            0 if self.copy_back() => true,
            0 => self.make_room(),
            _ => self.reserve.give_piece(tried - 1),
        }
    }

    /// Copies the log back, with what the file has to grow by taken from the reserve. False when that is
    /// more than there is.
    fn copy_back(&self) -> bool {
        let grows = match self.grows() {
            Ok(grows) if grows <= self.reserve.within_reach() => grows,
            _ => return false,
        };
        if grows > 0 {
            self.reserve.give(grows);
        }
        // As far as nobody reads it; that it cannot be is no matter.
        let copied = self
            .conn
            .query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()));
        if let Err(error) = &copied {
            tracing::debug!(%error, "the log of the ledger could not be copied back");
        }
        copied.is_ok()
    }

    /// Bytes that the file grows by when the log is copied back.
    fn grows(&self) -> rusqlite::Result<u64> {
        let asked = |text| self.conn.query_row(text, [], |row| row.get::<_, i64>(0));
        let bytes = asked("pragma page_count")?.saturating_mul(asked("pragma page_size")?);
        let bytes = u64::try_from(bytes).unwrap_or(0);
        let there = self.shared.path.metadata().map_or(0, |found| found.len());
        Ok(bytes.saturating_sub(there))
    }
}

/// Answers everybody who would begin something; those who record what has happened stay.
fn turn_away(queue: &mut VecDeque<Job>, ledger: &Path) {
    if queue.iter().all(only_records) {
        return;
    }
    let (kept, refused): (VecDeque<Job>, VecDeque<Job>) =
        std::mem::take(queue).into_iter().partition(only_records);
    *queue = kept;
    for job in refused {
        job.fail(LedgerError::Full(ledger.display().to_string()));
    }
}

fn only_records(job: &Job) -> bool {
    match &job.request {
        Request::Commit(units) => units.iter().all(records),
        // A prune makes room, but not before its own commit is written.
        Request::Lease(..) | Request::Prune(_) | Request::Forget(_) => false,
        Request::Renew => true,
    }
}

/// A unit of whoever holds a run, which says what became of an attempt or gives the run back, and begins
/// nothing. What an item range has come to is known to its results; it waits.
fn records(unit: &Unit) -> bool {
    let gives_back = |op: &Op| match op {
        Op::Release(..) | Op::ReleaseName(..) => true,
        Op::Run { keep, .. } => !keep,
        _ => false,
    };
    if unit.ops.iter().all(gives_back) {
        return true;
    }
    let held = |guard: &Guard| matches!(guard, Guard::Fence(..));
    unit.guards.iter().any(held)
        && unit.ops.iter().any(tells_an_outcome)
        && unit.ops.iter().all(begins_nothing)
}

fn tells_an_outcome(op: &Op) -> bool {
    match op {
        Op::Facts { facts, .. } => facts.iter().any(|f| matches!(f, Fact::Outcome { .. })),
        Op::ItemFacts { facts, .. } => {
            let outcome = |what: &ItemEvent| matches!(what, ItemEvent::Outcome { .. });
            facts.iter().any(|fact| outcome(&fact.what))
        }
        _ => false,
    }
}

fn begins_nothing(op: &Op) -> bool {
    match op {
        Op::Facts { facts, .. } => !facts.iter().any(|f| matches!(f, Fact::Intent { .. })),
        Op::ItemFacts { facts, .. } => {
            let intent = |what: &ItemEvent| matches!(what, ItemEvent::Intent { .. });
            !facts.iter().any(|fact| intent(&fact.what))
        }
        Op::Admit(_) | Op::Sql(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oncely_core::effect::EffectKey;
    use oncely_core::fact::{Outcome, Repeat};
    use oncely_core::ids::{Fence, RunId};
    use oncely_core::ledger::{ItemFact, RunRef};
    use oncely_core::run::RunStatus;
    use oncely_core::time::Timestamp;
    use serde_json::json;

    const NOW: Timestamp = Timestamp(1);

    fn unit(held: bool, ops: Vec<Op>) -> Unit {
        let guards = match held {
            true => vec![Guard::Fence(RunId(1), Fence(1))],
            false => Vec::new(),
        };
        Unit { guards, ops }
    }

    fn facts(fact: Fact) -> Op {
        Op::Facts {
            run: RunRef::Id(RunId(1)),
            at: NOW,
            facts: vec![fact],
        }
    }

    fn done() -> Outcome {
        Outcome::Done { output: json!({}) }
    }

    fn outcome() -> Op {
        facts(Fact::Outcome {
            step: "a".into(),
            attempt: 1,
            outcome: done(),
        })
    }

    fn intent() -> Op {
        facts(Fact::Intent {
            step: "b".into(),
            attempt: 1,
            fence: Fence(1),
            call: None,
            repeat: Repeat::Safe,
            key: EffectKey("key".into()),
        })
    }

    fn item(what: ItemEvent) -> Op {
        let fact = ItemFact {
            item: 0,
            sub: "do".into(),
            attempt: 1,
            at: NOW,
            what,
        };
        Op::ItemFacts {
            run: RunId(1),
            step: "a".into(),
            facts: vec![fact],
        }
    }

    fn item_outcome() -> Op {
        item(ItemEvent::Outcome { outcome: done() })
    }

    fn item_intent() -> Op {
        item(ItemEvent::Intent {
            fence: Fence(1),
            call: json!({}),
            repeat: Repeat::Safe,
            key: EffectKey("key".into()),
        })
    }

    fn stands(keep: bool) -> Op {
        Op::Run {
            run: RunRef::Id(RunId(1)),
            status: RunStatus::Running,
            due: None,
            keep,
        }
    }

    #[test]
    fn on_a_full_disk_a_holder_says_what_became_of_its_attempts() {
        for ops in [
            vec![outcome()],
            vec![outcome(), stands(true)],
            vec![item_outcome()],
            vec![Op::Release(RunId(1), NOW)],
            vec![stands(false)],
        ] {
            assert!(records(&unit(true, ops.clone())), "{ops:?}");
        }
        assert!(records(&unit(false, vec![stands(false)])), "it gives back");
    }

    #[test]
    fn on_a_full_disk_nothing_is_begun_beside_what_is_recorded() {
        for ops in [
            vec![stands(true)],
            vec![intent()],
            vec![outcome(), intent()],
            vec![item_intent()],
            vec![item_outcome(), item_intent()],
            vec![outcome(), item_intent()],
            vec![item_outcome(), intent()],
            vec![outcome(), Op::Sql(Vec::new())],
        ] {
            assert!(!records(&unit(true, ops.clone())), "{ops:?}");
        }
        assert!(!records(&unit(false, vec![outcome()])), "nobody holds it");
        let both = vec![unit(true, vec![outcome()]), unit(true, vec![intent()])];
        let begins = Request::Commit(both);
        assert!(!only_records(&Job::new(begins).0), "one of them begins");
        assert!(only_records(&Job::new(Request::Renew).0));
    }
}
