//! Claims runs and names. Due runs that another process is claiming are passed over.

use super::db::{Db, Stop};
use super::holders::Me;
use super::slice::{Slice, take_turn};
use super::text::{self, RUN};
use crate::memory::claim;
use crate::memory::state::Registered;
use oncely_core::ids::RunId;
use oncely_core::ledger::{Claim, Leased, LedgerError, What};
use std::collections::BTreeSet;

/// Fewest due runs that are looked at together.
const PAGE: usize = 64;

/// Claims what is asked for; the slice is what is to be written.
pub(crate) async fn claim(
    db: &mut Db,
    me: &Me,
    what: &What,
    wanted: &Claim,
) -> Result<(Leased, Slice), Stop> {
    let mut slice = Slice::empty();
    let turn = match what {
        What::Runs => !wanted.caps.is_empty() || has_lanes(db, wanted).await?,
        What::Run(_) | What::Named(_) => true,
        What::Present => false,
    };
    if turn {
        slice.state.runs_before = take_turn(db).await?;
    }
    slice.find_me(db, me).await?;
    if slice.lost {
        return Err(LedgerError::LeaseLost.into());
    }
    let registration = me.registration();
    let ids = match what {
        What::Runs => choose(db, &mut slice, wanted, turn).await?,
        What::Run(id) => {
            slice.load_runs(db, &[id.0]).await?;
            load_lanes(db, &mut slice, wanted).await?;
            let free = claim::can_be_claimed(&slice.state, *id, wanted);
            Some(*id).filter(|_| free).into_iter().collect()
        }
        What::Named(name) => {
            slice.load_names(db, BTreeSet::from([name.clone()])).await?;
            load_holder(db, &mut slice, name).await?;
            let leased = claim::named(&mut slice.state, &registration, name);
            return Ok((leased, slice));
        }
        What::Present => {
            claim::register(&mut slice.state, &registration);
            return Ok((Leased::Runs(Vec::new()), slice));
        }
    };
    let held = claim::take(&mut slice.state, &registration, &ids, wanted.now, |run| {
        !run.broken
    });
    Ok((Leased::Runs(held), slice))
}

async fn has_lanes(db: &mut Db, wanted: &Claim) -> Result<bool, Stop> {
    let text = "select id from oncely_runs where environment = $1 and holder is null
                and due <= $2 and lane is not null limit 1";
    let rows = db
        .rows(text, &[&wanted.environment.as_str(), &wanted.now.0])
        .await?;
    Ok(!rows.is_empty())
}

/// Chooses among due runs, page after page, until there are enough.
async fn choose(
    db: &mut Db,
    slice: &mut Slice,
    wanted: &Claim,
    turn: bool,
) -> Result<Vec<RunId>, Stop> {
    load_held(db, slice, wanted).await?;
    let mut locked = BTreeSet::new();
    let mut after = (i64::MIN, i64::MIN);
    let room = PAGE.max(wanted.limit.saturating_mul(2));
    loop {
        let page = due(db, wanted, turn, after, room).await?;
        slice.add_rows(&page)?;
        for row in &page {
            after = (row.try_get(11)?, row.try_get(0)?);
            locked.insert(RunId(after.1));
        }
        if turn {
            load_lanes(db, slice, wanted).await?;
        }
        let mut chosen = claim::choose(&slice.state, wanted);
        chosen.retain(|id| locked.contains(id));
        if chosen.len() >= wanted.limit || page.len() < room {
            let ids: Vec<i64> = chosen.iter().map(|id| id.0).collect();
            slice.load_facts(db, &ids).await?;
            return Ok(chosen);
        }
    }
}

async fn due(
    db: &mut Db,
    wanted: &Claim,
    turn: bool,
    after: (i64, i64),
    room: usize,
) -> Result<Vec<tokio_postgres::Row>, Stop> {
    // Whether a lane's run has its turn can only be said while the turn is held.
    let text = format!(
        "{RUN} where r.environment = $1 and r.holder is null and r.due <= $2
         and r.task <> all($3) and (r.due, r.id) > ($4, $5)
         and ($6 or r.claims = 0) and ($7 or r.lane is null)
         order by r.due, r.id limit $8 for update of r skip locked"
    );
    let except: Vec<&str> = wanted.except.iter().map(|task| task.as_str()).collect();
    let room = i64::try_from(room).unwrap_or(i64::MAX);
    let environment = wanted.environment.as_str();
    Ok(db
        .rows(
            &text,
            &[
                &environment,
                &wanted.now.0,
                &except,
                &after.0,
                &after.1,
                &wanted.suspects,
                &turn,
                &room,
            ],
        )
        .await?)
}

/// Runs that are held of tasks that only so many runs may be held of.
async fn load_held(db: &mut Db, slice: &mut Slice, wanted: &Claim) -> Result<(), Stop> {
    if wanted.caps.is_empty() {
        return Ok(());
    }
    let text =
        format!("{RUN} where r.environment = $1 and r.task = any($2) and r.holder is not null");
    let tasks: Vec<&str> = wanted.caps.iter().map(|(task, _)| task.as_str()).collect();
    let rows = db
        .rows(&text, &[&wanted.environment.as_str(), &tasks])
        .await?;
    slice.add_rows(&rows)
}

/// The other runs of the lanes of those that are loaded.
async fn load_lanes(db: &mut Db, slice: &mut Slice, wanted: &Claim) -> Result<(), Stop> {
    let runs = slice.state.runs.values();
    let lanes: BTreeSet<String> = runs.filter_map(|run| run.row.lane.clone()).collect();
    if lanes.is_empty() {
        return Ok(());
    }
    let lanes: Vec<String> = lanes.into_iter().collect();
    let text = format!(
        "{RUN} where r.environment = $1 and r.lane = any($2) and r.lane is not null
         and r.status < 4"
    );
    let rows = db
        .rows(&text, &[&wanted.environment.as_str(), &lanes])
        .await?;
    slice.add_rows(&rows)
}

/// Who has a name.
async fn load_holder(db: &mut Db, slice: &mut Slice, name: &str) -> Result<(), Stop> {
    let text = "select h.id, h.pid, h.role, h.since from oncely_names n
                join oncely_holders h on h.id = n.holder where n.name = $1";
    for row in db.rows(text, &[&name]).await? {
        let info = text::holder(&row, 0)?;
        let registered = Registered {
            info,
            renewed: 0,
            alive: true,
        };
        let id = registered.info.id;
        slice.state.holders.insert(id, registered);
    }
    Ok(())
}
