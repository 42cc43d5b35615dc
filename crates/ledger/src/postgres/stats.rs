//! The numbers of a ledger in PostgreSQL.

use super::db::{Db, Stop};
use super::{schema, text};
use crate::stats::{Stats, Table};
use oncely_core::time::Timestamp;

/// Counts everything.
pub(crate) async fn stats(db: &mut Db) -> Result<Stats, Stop> {
    let mut stats = Stats {
        name: schema::name(db).await?,
        schema: schema::version(db).await?,
        ..Stats::default()
    };
    let text = "select status, count(*) from oncely_runs group by status order by status";
    for row in db.rows(text, &[]).await? {
        let found = (text::status(&row, 0)?, text::unsigned(&row, 1)?);
        stats.runs.push(found);
    }
    let text = "select (select count(*) from oncely_facts), (select count(*) from oncely_item_facts),
                (select count(*) from oncely_set_aside), (select count(*) from oncely_keys),
                (select min(admitted) from oncely_admissions), (select max(changed) from oncely_runs)";
    if let Some(row) = db.rows(text, &[]).await?.first() {
        stats.facts = text::unsigned(row, 0)?;
        stats.item_facts = text::unsigned(row, 1)?;
        stats.set_aside = text::unsigned(row, 2)?;
        stats.keys = text::unsigned(row, 3)?;
        stats.oldest = row.try_get::<_, Option<i64>>(4)?.map(Timestamp);
        stats.newest = row.try_get::<_, Option<i64>>(5)?.map(Timestamp);
    }
    // Not every database that speaks PostgreSQL says how large its tables are.
    stats.tables = tables(db).await.unwrap_or_default();
    stats.bytes = stats.tables.iter().map(|table| table.bytes).sum();
    Ok(stats)
}

async fn tables(db: &mut Db) -> Result<Vec<Table>, Stop> {
    let text = "select c.relname::text, pg_total_relation_size(c.oid) as bytes from pg_class c
                join pg_namespace n on n.oid = c.relnamespace
                where n.nspname = current_schema() and c.relkind = 'r'
                and c.relname like 'oncely\\_%' order by bytes desc, c.relname";
    let mut tables = Vec::new();
    for row in db.rows(text, &[]).await? {
        tables.push(Table {
            name: row.try_get(0)?,
            bytes: text::unsigned(&row, 1)?,
        });
    }
    Ok(tables)
}
