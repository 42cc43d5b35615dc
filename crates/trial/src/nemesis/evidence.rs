//! Collects what the other sides wrote down, without the ledger's code.

use super::audit;
use super::database::Database;
use super::place::Place;
use crate::check::{Audited, Evidence, Request, Row, Sent};
use crate::crash::{Trouble, files_in, lines_in};
use tokio::runtime::Handle;

/// Reads everything.
pub(super) fn collect(
    place: &Place,
    handle: &Handle,
    sent: Vec<Sent>,
    requests: Vec<Request>,
) -> Result<Evidence, Trouble> {
    let mut ledger = Database::new(&place.urls.0, handle);
    let mut results = Database::new(&place.urls.1, handle);
    let rows = results.rows("select object, item, count(*) from rows group by object, item")?;
    let rows = rows.iter().map(|row| Row {
        object: row.get(0),
        item: row.get(1),
        times: row.get::<_, i64>(2).unsigned_abs(),
    });
    let tallies = ledger.rows("select id, count(*) from tallies group by id")?;
    let tallies = tallies
        .iter()
        .map(|row| (row.get(0), row.get::<_, i64>(1).unsigned_abs()));
    let audited = ledger.rows(audit::READ)?;
    let audited = audited.iter().map(|row| Audited {
        what: row.get(0),
        run: row.get(1),
        fence: row.get(2),
        holder: row.get(3),
    });
    Ok(Evidence {
        sent,
        requests,
        lines: lines_in(&place.root.join("commands.log"))?,
        rows: rows.collect(),
        tallies: tallies.collect(),
        files: files_in(&place.root.join("out"))?,
        kills: Vec::new(),
        audited: audited.collect(),
        clocks_differ: true,
    })
}
