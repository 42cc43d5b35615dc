//! Takes what was overwritten out of the files of a ledger.

use super::turn::Turn;
use super::words;
use oncely_core::ledger::LedgerError;
use rusqlite::OpenFlags;
use std::path::Path;
use std::time::Duration;

/// How long it waits for those who read.
const PATIENCE: Duration = Duration::from_secs(10);

/// Copies the write-ahead log into the file and empties it; says whether nobody was in the way.
/// With `anew` the file is written anew before, while others wait for their turn.
pub(crate) fn wipe(path: &Path, anew: bool) -> Result<bool, LedgerError> {
    let known = |error| words::database(path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = oncely_vfs::open(path, flags).map_err(known)?;
    conn.busy_timeout(PATIENCE).map_err(known)?;
    let mut turn = Turn::open(path)?;
    turn.enter()?;
    let done = (|| {
        if anew {
            conn.execute_batch("vacuum")?;
        }
        let busy: i64 = conn.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get(0))?;
        Ok(busy == 0)
    })();
    turn.leave();
    done.map_err(known)
}
