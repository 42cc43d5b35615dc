//! Keys of runs that were removed, packed: a row of `oncely_keys` with its index takes more than a
//! hundred bytes, and these are kept for ever.
//!
//! A key is known by 16 bytes of a hash. The first two say in which rows of `oncely_kept` it is; the
//! others stand there, each followed by the number of its run. A key is in one of the two tables at any
//! moment, whoever looks.

use super::db::{Db, Stop};
use crate::memory::state::State;
use oncely_core::chain::key_hash;
use oncely_core::ids::{Environment, EventKey, Generation, RunId, TaskId};
use oncely_core::ledger::LedgerError;
use oncely_core::prune::{Gone, PruneRecord};
use std::collections::BTreeMap;
use tokio_postgres::Row;

/// The table.
pub(crate) const TABLES: &str = "
create table oncely_kept (
  prefix integer not null, part integer not null, keys bytea not null, primary key (prefix, part));
";

/// What stands of one key: the rest of its hash, and the number of its run.
const ENTRY: usize = 22;
/// The bytes of a hash in it.
const REST: usize = 14;
/// Entries of a full row: four rows fill a page, and none is put elsewhere for its length.
const FULL: usize = 90;
/// In so many parts all keys are packed, by their first byte.
const PARTS: u32 = 256;

/// A key, and the run that was admitted under it.
pub(crate) type Known = (Vec<u8>, RunId);

/// The runs that were admitted under these hashes, wherever they are kept: see [`Hashes`].
pub(crate) const KNOWN: &str = "select hash, run, null::bytea from oncely_keys where hash = any($1)
    union all select n.hash, null, k.keys
    from unnest($1::bytea[], $2::integer[], $3::bytea[]) as n (hash, prefix, rest)
    join oncely_kept k on k.prefix = n.prefix where position(n.rest in k.keys) > 0";

/// What [`KNOWN`] is asked with.
pub(crate) struct Hashes<'a> {
    pub(crate) hashes: Vec<&'a [u8]>,
    pub(crate) prefixes: Vec<i32>,
    pub(crate) rests: Vec<&'a [u8]>,
}

impl<'a> Hashes<'a> {
    /// About these.
    pub(crate) fn of(hashes: Vec<&'a [u8]>) -> Self {
        let rest = |hash: &&'a [u8]| hash.get(2..).unwrap_or_default();
        Self {
            prefixes: hashes.iter().map(|hash| prefix(hash)).collect(),
            rests: hashes.iter().map(rest).collect(),
            hashes,
        }
    }
}

/// What a row of the answer says.
pub(crate) fn known(row: &Row) -> Result<Option<Known>, Stop> {
    let hash: Vec<u8> = row.try_get(0)?;
    let run = match row.try_get::<_, Option<i64>>(1)? {
        Some(run) => Some(RunId(run)),
        None => find(row.try_get(2)?, &hash),
    };
    Ok(run.map(|run| (hash, run)))
}

/// The runs that were admitted under a key, generation after generation.
pub(crate) async fn admitted(
    db: &mut Db,
    environment: &Environment,
    task: &TaskId,
    key: &EventKey,
) -> Result<Vec<RunId>, Stop> {
    let hash = key_hash(environment, task, key, None).to_vec();
    let text = "select highest from oncely_generations where hash = $1";
    let highest = match db.rows(text, &[&hash]).await?.first() {
        Some(row) => super::text::small(row, 0)?,
        None => 1,
    };
    let hashes: Vec<Vec<u8>> = (1..=highest)
        .map(|n| key_hash(environment, task, key, Some(Generation(n))).to_vec())
        .collect();
    let asked = Hashes::of(hashes.iter().map(Vec::as_slice).collect());
    let mut found = Vec::new();
    for row in db
        .rows(KNOWN, &[&asked.hashes, &asked.prefixes, &asked.rests])
        .await?
    {
        found.extend(known(&row)?);
    }
    let of = |hash: &Vec<u8>| {
        found
            .iter()
            .find(|(known, _)| known == hash)
            .map(|(_, run)| *run)
    };
    Ok(hashes.iter().filter_map(of).collect())
}

fn prefix(hash: &[u8]) -> i32 {
    let byte = |place| i32::from(hash.get(place).copied().unwrap_or_default());
    byte(0) * 256 + byte(1)
}

/// The run of a key in a row. What looks like it across two entries is none.
fn find(keys: &[u8], hash: &[u8]) -> Option<RunId> {
    let rest = hash.get(2..)?;
    let mut entries = keys
        .chunks_exact(ENTRY)
        .filter_map(|e| e.split_at_checked(REST));
    let (_, run) = entries.find(|(known, _)| *known == rest)?;
    Some(RunId(i64::from_be_bytes(run.try_into().ok()?)))
}

fn entry(hash: &[u8], run: i64) -> impl Iterator<Item = u8> {
    let rest = hash.get(2..).unwrap_or_default().to_vec();
    rest.into_iter().chain(run.to_be_bytes())
}

/// Packs the keys of removed runs that begin with this byte; says which byte comes next.
pub(crate) async fn pack(db: &mut Db, place: u32) -> Result<Option<u32>, Stop> {
    let place = u8::try_from(place).unwrap_or(u8::MAX);
    let from = vec![place];
    let to = place.checked_add(1).map(|next| vec![next]);
    let text = "delete from oncely_keys k where k.hash >= $1 and ($2::bytea is null or k.hash < $2)
        and not exists (select 1 from oncely_runs r where r.id = k.run) returning k.hash, k.run";
    let mut groups: BTreeMap<i32, Vec<u8>> = BTreeMap::new();
    for row in db.rows(text, &[&from, &to]).await? {
        let hash: &[u8] = row.try_get(0)?;
        if hash.len() != REST + 2 {
            return Err(strange());
        }
        let group = groups.entry(prefix(hash)).or_default();
        group.extend(entry(hash, row.try_get(1)?));
    }
    if !groups.is_empty() {
        add(db, groups).await?;
    }
    let next = u32::from(place) + 1;
    Ok((next < PARTS).then_some(next))
}

fn strange() -> Stop {
    Stop::Ledger(LedgerError::Unusable(
        "the ledger holds a key that this program cannot read. Nothing was removed. Use the program \
         that wrote it."
            .into(),
    ))
}

/// Adds entries behind those that are there: the last row of each prefix is filled up first.
async fn add(db: &mut Db, mut groups: BTreeMap<i32, Vec<u8>>) -> Result<(), Stop> {
    let prefixes: Vec<i32> = groups.keys().copied().collect();
    let text = "select k.prefix, k.part, k.keys from oncely_kept k
        join (select prefix, max(part) as part from oncely_kept where prefix = any($1) group by prefix)
        l on l.prefix = k.prefix and l.part = k.part";
    let mut last: BTreeMap<i32, i32> = BTreeMap::new();
    for row in db.rows(text, &[&prefixes]).await? {
        let (prefix, part, keys): (i32, i32, &[u8]) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        last.insert(prefix, part);
        if let Some(group) = groups.get_mut(&prefix) {
            group.splice(0..0, keys.iter().copied());
        }
    }
    let (mut of, mut parts, mut bodies) = (vec![], vec![], vec![]);
    for (prefix, group) in &groups {
        let first = last.get(prefix).copied().unwrap_or_default();
        for (part, body) in (first..).zip(group.chunks(FULL * ENTRY)) {
            of.push(*prefix);
            parts.push(part);
            bodies.push(body);
        }
    }
    let text = "insert into oncely_kept (prefix, part, keys)
        select * from unnest($1::integer[], $2::integer[], $3::bytea[])
        on conflict (prefix, part) do update set keys = excluded.keys";
    db.run(text, &[&of, &parts, &bodies]).await?;
    Ok(())
}

/// What is kept of pruned runs, read into the model.
pub(crate) async fn load(db: &mut Db, state: &mut State) -> Result<(), Stop> {
    let text = "select k.hash, k.run from oncely_keys k
        where not exists (select 1 from oncely_runs r where r.id = k.run)";
    for row in db.rows(text, &[]).await? {
        let hash = row.try_get::<_, &[u8]>(0)?.try_into();
        let hash = hash.map_err(|_| strange())?;
        state.kept.insert(hash, RunId(row.try_get(1)?));
    }
    for row in db.rows("select prefix, keys from oncely_kept", &[]).await? {
        unpack(row.try_get(0)?, row.try_get(1)?, state)?;
    }
    for row in db
        .rows("select hash, highest from oncely_generations", &[])
        .await?
    {
        let hash = row.try_get::<_, &[u8]>(0)?.try_into();
        let hash = hash.map_err(|_| strange())?;
        state
            .raised
            .insert(hash, Generation(super::text::small(&row, 1)?));
    }
    for prune in super::prune::newest_prunes(db, usize::MAX).await? {
        state.prunes.insert(prune.number, prune);
    }
    for row in db
        .rows("select first, last, prune from oncely_pruned", &[])
        .await?
    {
        state.gone.push(Gone {
            first: RunId(row.try_get(0)?),
            last: RunId(row.try_get(1)?),
            prune: super::text::unsigned(&row, 2)?,
        });
    }
    Ok(())
}

fn unpack(prefix: i32, keys: &[u8], state: &mut State) -> Result<(), Stop> {
    for entry in keys.chunks(ENTRY) {
        let (rest, run) = entry.split_at_checked(REST).ok_or_else(strange)?;
        let mut hash = [0; REST + 2];
        let [_, _, high, low] = prefix.to_be_bytes();
        for (place, byte) in [high, low].iter().chain(rest).enumerate() {
            if let Some(there) = hash.get_mut(place) {
                *there = *byte;
            }
        }
        let run = run.try_into().map_err(|_| strange())?;
        state.kept.insert(hash, RunId(i64::from_be_bytes(run)));
    }
    Ok(())
}

/// Writes what is kept of pruned runs into a ledger that has nothing of it yet.
pub(crate) async fn write(db: &mut Db, state: &State) -> Result<(), Stop> {
    let hashes: Vec<&[u8]> = state.kept.keys().map(|hash| &hash[..]).collect();
    let runs: Vec<i64> = state.kept.values().map(|run| run.0).collect();
    if let Some(last) = runs.iter().max() {
        let text = "insert into oncely_keys (hash, run)
                    select * from unnest($1::bytea[], $2::bigint[])";
        db.run(text, &[&hashes, &runs]).await?;
        let text = "update oncely_turn set runs = greatest(runs, $1) where one = 1";
        db.run(text, &[last]).await?;
        let text = "update oncely_meta set value = 'keys' where name = 'pruning'";
        db.run(text, &[]).await?;
    }
    for (hash, highest) in &state.raised {
        let text = "insert into oncely_generations (hash, highest) values ($1, $2)
                    on conflict (hash) do update set highest = excluded.highest";
        db.run(text, &[&&hash[..], &i64::from(highest.0)]).await?;
    }
    for prune in state.prunes.values() {
        write_prune(db, prune).await?;
    }
    for gone in &state.gone {
        let text = "insert into oncely_pruned (first, last, prune) values ($1, $2, $3)";
        let prune = gone.prune.cast_signed();
        db.run(text, &[&gone.first.0, &gone.last.0, &prune]).await?;
    }
    Ok(())
}

async fn write_prune(db: &mut Db, prune: &PruneRecord) -> Result<(), Stop> {
    let text = "insert into oncely_prunes
        (number, at, by_whom, reason, environment, task, before, runs)
        values ($1, $2, $3, $4, $5, $6, $7, $8)";
    let task = prune.task.as_ref().map(|task| task.as_str());
    db.run(
        text,
        &[
            &prune.number.cast_signed(),
            &prune.at.0,
            &prune.by,
            &prune.reason,
            &prune.environment.as_str(),
            &task,
            &prune.before.0,
            &prune.runs.cast_signed(),
        ],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_where_it_was_packed_and_nowhere_else() {
        let hash: Vec<u8> = (0..16).collect();
        let mut keys: Vec<u8> = entry(&[7; 16], 5).collect();
        keys.extend(entry(&hash, 0x0102_0304_0506_0708));
        assert_eq!(find(&keys, &hash), Some(RunId(0x0102_0304_0506_0708)));
        assert_eq!(find(&keys, &[8; 16]), None);
        // What stands across two entries is no key.
        let across: Vec<u8> = [0, 0]
            .into_iter()
            .chain(keys[3..17].iter().copied())
            .collect();
        assert_eq!(find(&keys, &across), None);
        let mut state = State::default();
        unpack(prefix(&hash), &keys[ENTRY..], &mut state).unwrap();
        let known: Vec<_> = state.kept.into_iter().collect();
        assert_eq!(known.len(), 1);
        assert_eq!(known[0].0[..], hash[..]);
    }
}
