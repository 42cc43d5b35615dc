//! The next minor version of the schema, rehearsed: what a migration does, and what this program makes
//! of a ledger that a later one has brought further, is tried before there is one. Only debug builds
//! and those with the feature `sabotage` can be told to be that version.

use super::schema::{Step, VERSION};
use rusqlite::Connection;

/// A table, a column, an index and triggers more, as a minor version may add. The triggers write for
/// the programs that do not know of the table.
const NEXT: &str = "alter table oncely_runs add column urgency integer not null default 0;
     create index oncely_runs_urgent on oncely_runs (urgency) where urgency > 0;
     create table oncely_standing (run integer primary key, status integer not null);
     insert into oncely_standing (run, status) select id, status from oncely_runs;
     create trigger oncely_standing_new after insert on oncely_runs begin
       insert into oncely_standing (run, status) values (new.id, new.status); end;
     create trigger oncely_standing_moves after update of status on oncely_runs begin
       update oncely_standing set status = new.status where run = new.id; end;";

fn next(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch(NEXT)
}

/// The step to the next version, where this program was told to be that one.
#[cfg(any(debug_assertions, feature = "sabotage"))]
pub(crate) fn step() -> Option<(i32, Step)> {
    static IS_NEXT: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        std::env::var("ONCELY_SABOTAGE_SCHEMA").is_ok_and(|version| version == "next")
    });
    IS_NEXT.then_some((VERSION + 1, next))
}

/// There is none.
#[cfg(not(any(debug_assertions, feature = "sabotage")))]
pub(crate) const fn step() -> Option<(i32, Step)> {
    let _: (Step, i32) = (next, VERSION);
    None
}
