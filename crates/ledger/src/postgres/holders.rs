//! This process as a holder, its lease, and those who are gone.

use super::db::{Db, Stop};
use super::options::PostgresOptions;
use super::{save, slice};
use crate::SystemClock;
use crate::clock::{boot_id, is_over, wants_renewal};
use crate::memory::state::Registered;
use oncely_core::ids::HolderId;
use oncely_core::ledger::HolderInfo;
use oncely_core::sabotage::{self, Switch};
use oncely_core::time::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// The database's clock, where none is given.
const NOW: &str = "coalesce($1::bigint, (extract(epoch from clock_timestamp()) * 1000)::bigint)";

/// A number that no other holder has.
pub(crate) fn new_id() -> HolderId {
    crate::sqlite::holders::new_id(&boot_id())
}

/// How many connections of a process count changes, at most: see [`Me::of_lane`].
pub(crate) const LANES: i64 = 8;
/// Where the number of a lane stands in a handle: numbers of holders are shorter.
const LANE: u32 = 48;

/// A handle and those of its lanes.
pub(crate) fn lanes_of(handle: i64) -> impl Iterator<Item = i64> {
    (0..LANES).map(move |lane| handle | (lane << LANE))
}

/// Where this process stands as a holder: what all of its connections must know.
#[derive(Debug)]
pub(crate) struct Standing {
    id: AtomicI64,
    /// Its row is committed.
    registered: AtomicBool,
    /// It must give everything up at the next renewal: it was late, or does not know what it holds.
    gave_up: AtomicBool,
    /// When its lease was last written, by this machine's own clock.
    renewed: AtomicI64,
    /// Changes may have been counted under its handles.
    counted: AtomicBool,
}

impl Standing {
    /// Who it is at the moment.
    pub(crate) fn id(&self) -> HolderId {
        HolderId(self.id.load(Ordering::Acquire))
    }

    /// Whether its row is committed.
    pub(crate) fn registered(&self) -> bool {
        self.registered.load(Ordering::Acquire)
    }

    /// Its lease was written at that time.
    pub(crate) fn written(&self, at: i64) {
        self.renewed.store(at, Ordering::Release);
    }

    /// Its row is committed, or was before.
    pub(crate) fn register(&self, holds: bool) {
        self.registered.fetch_or(holds, Ordering::AcqRel);
    }

    /// A change was counted.
    pub(crate) fn count(&self) {
        self.counted.store(true, Ordering::Release);
    }

    /// Whether changes may have been counted.
    pub(crate) fn counted(&self) -> bool {
        self.counted.load(Ordering::Acquire)
    }

    /// Everything must be given up at the next renewal.
    pub(crate) fn give_up(&self) {
        self.gave_up.store(true, Ordering::Release);
    }

    /// Whether everything must be given up at the next renewal.
    pub(crate) fn gave_up(&self) -> bool {
        self.gave_up.load(Ordering::Acquire)
    }

    /// From now on it is another holder, which holds nothing.
    pub(crate) fn start_anew(&self) {
        self.id.store(new_id().0, Ordering::Release);
        self.registered.store(false, Ordering::Release);
        self.gave_up.store(false, Ordering::Release);
    }
}

/// This process as a holder, as one of its connections sees it.
pub(crate) struct Me {
    /// The same for all connections of the process.
    pub(crate) standing: Arc<Standing>,
    /// Stays the same when the holder starts anew: changes are counted under it.
    pub(crate) handle: i64,
    pub(crate) options: PostgresOptions,
    /// When it last looked for those who are gone, by this machine's own clock.
    pub(crate) looked: Option<i64>,
}

impl Me {
    /// A holder that holds nothing yet.
    pub(crate) fn new(options: PostgresOptions) -> Self {
        let id = new_id();
        Self {
            standing: Arc::new(Standing {
                id: AtomicI64::new(id.0),
                registered: AtomicBool::new(false),
                gave_up: AtomicBool::new(false),
                renewed: AtomicI64::new(0),
                counted: AtomicBool::new(false),
            }),
            handle: id.0,
            options,
            looked: None,
        }
    }

    /// The same holder on another connection: it counts its changes by itself, so that neither waits
    /// for the other's row.
    pub(crate) fn of_lane(&self, lane: i64) -> Self {
        Self {
            standing: self.standing.clone(),
            handle: self.handle | (lane << LANE),
            options: self.options.clone(),
            looked: None,
        }
    }

    /// Who this is at the moment.
    pub(crate) fn id(&self) -> HolderId {
        self.standing.id()
    }

    /// What is written when this holder first claims something.
    pub(crate) fn registration(&self) -> Registered {
        let info = HolderInfo {
            id: self.id(),
            pid: std::process::id(),
            role: self.options.role.clone(),
            since: self.options.clock.now(),
        };
        Registered {
            info,
            renewed: 0,
            alive: true,
        }
    }

    /// Whether it has not renewed its lease for so long that others may be about to take over: it
    /// stops by its own clock, a fifth of the lease before they do. Where tests turn the clock of
    /// leases, the time that they take means nothing.
    pub(crate) fn is_late(&self) -> bool {
        let turned = self.options.leases.given().is_some();
        !turned && self.is_late_at(SystemClock.boot_millis())
    }

    fn is_late_at(&self, now: i64) -> bool {
        let lease = self.options.lease_ms();
        let margin = match sabotage::is_off(Switch::Margin) {
            true => 0,
            false => lease / 5,
        };
        let renewed = self.standing.renewed.load(Ordering::Acquire);
        self.standing.registered() && is_over(renewed, lease - margin, now)
    }

    /// Whether there is nothing to renew yet and nobody to look for: the engine asks four times a
    /// second, and each renewal is a commit of the server. A clock that tests turn is always asked.
    pub(crate) fn may_wait(&self) -> bool {
        let now = SystemClock.boot_millis();
        let lease = self.options.lease_ms();
        let renewed = !self.standing.registered() || !self.wants_renewal(now);
        let looked = self
            .looked
            .is_some_and(|at| now.saturating_sub(at) < lease / 10);
        self.options.leases.given().is_none() && !self.standing.gave_up() && renewed && looked
    }

    fn wants_renewal(&self, now: i64) -> bool {
        let renewed = self.standing.renewed.load(Ordering::Acquire);
        wants_renewal(renewed, self.options.lease_ms(), now)
    }

    /// Whether the lease must be renewed soon, where nobody turns the clock.
    pub(crate) fn is_renewal_due(&self) -> bool {
        let due = self.wants_renewal(SystemClock.boot_millis());
        self.standing.registered() && due && self.options.leases.given().is_none()
    }

    /// Writes this holder's row.
    pub(crate) async fn insert(&self, db: &mut Db) -> Result<(), Stop> {
        let text = format!(
            "insert into oncely_holders (renewed, id, pid, role, since, lease_ms)
             values ({NOW}, $2, $3, $4, $5, $6)"
        );
        let given = self.options.leases.given();
        let info = self.registration().info;
        let (pid, lease) = (i64::from(info.pid), self.options.lease_ms());
        db.run(
            &text,
            &[&given, &info.id.0, &pid, &info.role, &info.since.0, &lease],
        )
        .await?;
        Ok(())
    }

    /// Renews the own lease and frees those who are gone. None when this holder was freed itself.
    pub(crate) async fn renew(&self, db: &mut Db) -> Result<Option<u64>, Stop> {
        let given = self.options.leases.given();
        let id = self.id();
        if self.standing.gave_up() {
            slice::take_turn(db).await?;
            self.free(db, &[id.0]).await?;
            return Ok(None);
        }
        if self.standing.registered() {
            let text = format!("update oncely_holders set renewed = {NOW} where id = $2");
            if db.run(&text, &[&given, &id.0]).await? == 0 {
                return Ok(None);
            }
        }
        let text =
            format!("select id from oncely_holders where id <> $2 and {NOW} - renewed >= lease_ms");
        if db.rows(&text, &[&given, &id.0]).await?.is_empty() {
            return Ok(Some(0));
        }
        // Those who are gone are looked for again under the locks: one may have come back.
        slice::take_turn(db).await?;
        let text = format!("{text} order by id for update");
        let mut gone: Vec<i64> = Vec::new();
        for row in db.rows(&text, &[&given, &id.0]).await? {
            gone.push(row.try_get(0)?);
        }
        Ok(Some(self.free(db, &gone).await?))
    }

    /// Gives back everything that holders hold and forgets them; says how many runs that were.
    pub(crate) async fn free(&self, db: &mut Db, gone: &[i64]) -> Result<u64, Stop> {
        if gone.is_empty() {
            return Ok(0);
        }
        db.run("delete from oncely_holders where id = any($1)", &[&gone])
            .await?;
        // What was being worked on is due at once: `rules::due_when_freed`.
        let text = "update oncely_runs set holder = null, due = case when status in (0, 1)
                    then least(coalesce(due, $2), $2) else due end where holder = any($1)";
        let freed = db.run(text, &[&gone, &self.options.clock.now().0]).await?;
        let text = "update oncely_names set holder = null where holder = any($1)";
        db.run(text, &[&gone]).await?;
        save::change(db, self).await?;
        // The own counts are still needed: a commit of another connection may be in doubt.
        let others: Vec<i64> = gone
            .iter()
            .copied()
            .filter(|id| *id != self.handle)
            .collect();
        if !others.is_empty() {
            save::fold_changes(db, &others).await?;
        }
        Ok(freed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_stops_before_others_may_take_over() {
        let me = Me::new(PostgresOptions::new("test"));
        let lease = me.options.lease_ms();
        let renewed = 1_000_000;
        me.standing.register(true);
        me.standing.written(renewed);
        assert!(!me.is_late_at(renewed + lease / 2));
        // Its own clock may be a little slower than that of the database.
        assert!(me.is_late_at(renewed + lease - lease / 10));
        assert!(me.is_late_at(renewed + lease));
    }
}
