//! The whole ledger, for the export: read in one transaction.

use super::db::{Db, Stop};
use super::slice::Slice;
use super::text::{self, RUN};
use crate::memory::state::Name;
use oncely_core::ids::{Fence, HolderId, RunId};
use oncely_core::items::SetAside;
use oncely_core::source::Cursor;

/// Everything, as JSON lines.
pub(crate) async fn export(db: &mut Db, name: &str) -> Result<Vec<u8>, Stop> {
    db.begin_at_length("isolation level repeatable read read only")
        .await?;
    let written = export_inside(db, name).await;
    db.roll_back().await;
    written
}

/// Everything as the open transaction sees it.
pub(crate) async fn export_inside(db: &mut Db, name: &str) -> Result<Vec<u8>, Stop> {
    let loaded = load(db).await?;
    let mut out = Vec::new();
    crate::export::memory(&loaded.state, name, &mut out)
        .map_err(|error| oncely_core::ledger::LedgerError::Unusable(error.to_string()))?;
    Ok(out)
}

async fn load(db: &mut Db) -> Result<Slice, Stop> {
    let mut slice = Slice::empty();
    let rows = db.rows(RUN, &[]).await?;
    slice.add_rows(&rows)?;
    let ids: Vec<i64> = slice.state.runs.keys().map(|id| id.0).collect();
    slice.load_facts(db, &ids).await?;
    let state = &mut slice.state;
    let text = "select run, step, next, byte_offset, line, done, set_aside, unseen
                from oncely_progress";
    for row in db.rows(text, &[]).await? {
        let place = (RunId(row.try_get(0)?), row.try_get::<_, String>(1)?.into());
        state.progress.insert(place, text::progress(&row, 2)?);
    }
    let text = "select run, step, body from oncely_set_aside";
    for row in db.rows(text, &[]).await? {
        let item: SetAside = text::json(&row, 2)?;
        let step = row.try_get::<_, String>(1)?.into();
        let place = (RunId(row.try_get(0)?), step, item.item);
        state.set_aside.insert(place, item);
    }
    let text = "select run, step, body from oncely_item_facts order by run, step, item, place";
    for row in db.rows(text, &[]).await? {
        let place = (RunId(row.try_get(0)?), row.try_get::<_, String>(1)?.into());
        let facts = state.item_facts.entry(place).or_default();
        facts.push(text::json(&row, 2)?);
    }
    for row in db
        .rows("select source, cursor from oncely_cursors", &[])
        .await?
    {
        let cursor = Cursor(row.try_get(1)?);
        state.cursors.insert(row.try_get(0)?, cursor);
    }
    for row in db
        .rows("select name, holder, fence from oncely_names", &[])
        .await?
    {
        let name = Name {
            holder: row.try_get::<_, Option<i64>>(1)?.map(HolderId),
            fence: Fence(row.try_get(2)?),
        };
        state.names.insert(row.try_get(0)?, name);
    }
    super::kept::load(db, state).await?;
    Ok(slice)
}
