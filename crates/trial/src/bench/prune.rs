//! What ten million keys take on the disk when everything else of them was pruned.

use super::Store;
use super::measure::{Bound, Measured};
use super::rig::folder;
use crate::crash::Trouble;
use oncely_core::ledger::Ledger;
use oncely_core::prune::{Old, Place, Prune};
use oncely_core::time::Timestamp;
use oncely_ledger::conformance::Server;
use oncely_ledger::{Options, PostgresLedger, PostgresOptions, SqliteLedger};
use std::path::Path;

/// Keys.
const KEYS: i64 = 10_000_000;
/// Runs whose numbers one commit of a prune removes: each leaves a row.
const TOGETHER: i64 = 500;
/// Most bytes of the whole ledger, for each key.
const MOST: f64 = 48.0;

/// Measures a ledger that holds nothing but keys.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn run(store: Store) -> Result<Measured, Trouble> {
    let bytes = match store {
        Store::Sqlite => sqlite(folder()?.path(), KEYS)?,
        Store::Postgres => postgres(&Server::start_in(folder()?, &[]), KEYS)?,
    };
    let each = bytes as f64 / KEYS as f64;
    let settings = format!(
        "{KEYS} keys of pruned runs in random order, {}, everything of the ledger",
        match store {
            Store::Sqlite => "pages of the file",
            Store::Postgres => "packed by a prune, after `vacuum full`",
        }
    );
    let numbers = vec![Bound::plain("on disk", each, "bytes a key").at_most(MOST)];
    Ok(Measured::new("prune", settings, numbers))
}

/// The same hash for the same number, and no order in them.
fn hash(number: i64) -> [u8; 16] {
    let mut state = number.cast_unsigned();
    let mut half = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).to_be_bytes()
    };
    let mut hash = [0; 16];
    for (place, byte) in half().into_iter().chain(half()).enumerate() {
        if let Some(there) = hash.get_mut(place) {
            *there = byte;
        }
    }
    hash
}

fn sqlite(folder: &Path, keys: i64) -> Result<i64, Trouble> {
    let path = folder.join("ledger.db");
    let options = Options {
        create: true,
        ..Options::new("oncely-trial bench")
    };
    drop(SqliteLedger::open(&path, options)?);
    let failed = |error: rusqlite::Error| Trouble(error.to_string());
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let conn = oncely_vfs::open(&path, flags).map_err(failed)?;
    conn.execute_batch("pragma synchronous = off; pragma cache_size = -1000000")
        .map_err(failed)?;
    let mut done = 0;
    while done < keys {
        let tx = conn.unchecked_transaction().map_err(failed)?;
        fill(&tx, done + 1, (done + 200_000).min(keys)).map_err(failed)?;
        tx.commit().map_err(failed)?;
        done += 200_000;
    }
    let bytes = "select page_size * page_count from pragma_page_size, pragma_page_count";
    conn.query_row(bytes, [], |row| row.get(0)).map_err(failed)
}

fn fill(conn: &rusqlite::Connection, from: i64, to: i64) -> rusqlite::Result<()> {
    let mut key = conn.prepare_cached("insert into oncely_keys (hash, run) values (?1, ?2)")?;
    for number in from..=to {
        key.execute(rusqlite::params![hash(number), number])?;
    }
    let text = "insert into oncely_pruned (last, first, prune) values (?1, ?2, 1)";
    let mut gone = conn.prepare_cached(text)?;
    let mut first = from;
    while first <= to {
        gone.execute([(first + TOGETHER - 1).min(to), first])?;
        first += TOGETHER;
    }
    Ok(())
}

fn postgres(server: &Server, keys: i64) -> Result<i64, Trouble> {
    let url = server.database();
    let options = PostgresOptions {
        create: true,
        ..PostgresOptions::new("oncely-trial bench")
    };
    let ledger = PostgresLedger::open(&url, options)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Trouble(error.to_string()))?;
    runtime.block_on(async {
        let failed = |error: tokio_postgres::Error| Trouble(error.to_string());
        let (client, carrier) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .map_err(failed)?;
        let carrier = tokio::spawn(carrier);
        let mut done = 0;
        while done < keys {
            let (first, last) = (done + 1, (done + 1_000_000).min(keys));
            let text = format!(
                "insert into oncely_keys (hash, run)
                 select decode(md5(n::text), 'hex'), n from generate_series({first}, {last}) as n;
                 insert into oncely_pruned (last, first, prune)
                 select least(n + {TOGETHER} - 1, {last}), n, 1
                 from generate_series({first}, {last}, {TOGETHER}) as n"
            );
            client.batch_execute(&text).await.map_err(failed)?;
            done = last;
        }
        pack(&ledger).await?;
        client.batch_execute("vacuum full").await.map_err(failed)?;
        let text = "select sum(pg_total_relation_size(c.oid))::bigint from pg_class c
                    where c.relkind = 'r' and c.relname like 'oncely\\_%'";
        let bytes = client.query_one(text, &[]).await.map_err(failed)?;
        carrier.abort();
        bytes.try_get(0).map_err(failed)
    })
}

/// Packs them as a prune does.
async fn pack(ledger: &dyn Ledger) -> Result<(), Trouble> {
    let mut part = Prune {
        old: Old {
            environment: "bench".into(),
            task: None,
            except: Vec::new(),
            before: Timestamp(0),
            failed: false,
        },
        by: "oncely-trial bench".into(),
        reason: String::new(),
        at: Timestamp(0),
        number: None,
        from: Place::Keys(0),
        runs: 1,
        rows: 1,
        dry: false,
    };
    while let Some(next) = ledger.prune(part.clone()).await?.next {
        part.from = next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::cast_precision_loss)]
    fn the_keys_of_pruned_runs_take_few_bytes() {
        let keys = 50_000;
        for bytes in [
            sqlite(folder().unwrap().path(), keys).unwrap(),
            postgres(&Server::start(&[]), 10 * keys).unwrap() / 10,
        ] {
            let each = bytes as f64 / keys as f64;
            // Empty tables and half a page here and there count for more in fewer keys.
            assert!(each < 60.0, "{each} bytes a key");
        }
    }
}
