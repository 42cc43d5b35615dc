//! Loads what units touch, with locks, in one journey to the server.

use super::db::{Db, Stop};
use super::holders::Me;
use super::kept::{self, Hashes, KNOWN};
use super::slice::{ME, NAMES, Slice, TURN};
use super::text::{self, RUN, STANDING};
use super::touched::Touched;
use super::volley::{Reply, Volley, first_number, value};
use super::work::Part;
use oncely_core::chain::key_hash;
use oncely_core::ids::{Environment, EventKey, Generation, RunId, TaskId};
use oncely_core::ledger::{Guard, Op};
use oncely_core::source::Cursor;
use std::collections::BTreeMap;
use tokio_postgres::Row;

/// A key that may have been admitted.
type Key<'a> = (&'a Environment, &'a TaskId, &'a EventKey, Generation);

/// What an answer is about.
enum About<'a> {
    Turn,
    Me,
    /// The highest generation of a key.
    Highest(Key<'a>),
    Keys,
    Cursors,
    Names,
    Runs,
}

/// Loads what units touch.
pub(crate) async fn load(db: &mut Db, me: &Me, parts: &[Part<'_>]) -> Result<Slice, Stop> {
    let touched = Touched::of(parts);
    let (keys, highest) = keys(parts);
    let mut volley = Volley::default();
    let mut about = Vec::new();
    if touched.turn {
        volley.ask(TURN, vec![]);
        about.push(About::Turn);
    }
    if touched.holder {
        volley.ask(ME, vec![value(me.id().0)]);
        about.push(About::Me);
    }
    for (hash, key) in highest {
        let text = "select highest from oncely_generations where hash = $1";
        volley.ask(text, vec![value(hash.to_vec())]);
        about.push(About::Highest(key));
    }
    if !keys.is_empty() {
        let hashes = Hashes::of(keys.keys().map(|hash| &hash[..]).collect());
        let Hashes {
            hashes,
            prefixes,
            rests,
        } = hashes;
        volley.ask(KNOWN, vec![value(hashes), value(prefixes), value(rests)]);
        about.push(About::Keys);
    }
    if !touched.sources.is_empty() {
        let text = "select source, cursor from oncely_cursors where source = any($1)";
        let sources: Vec<String> = touched.sources.into_iter().collect();
        volley.ask(text, vec![value(sources)]);
        about.push(About::Cursors);
    }
    if !touched.names.is_empty() {
        let names: Vec<String> = touched.names.into_iter().collect();
        volley.ask(NAMES, vec![value(names)]);
        about.push(About::Names);
    }
    let runs: Vec<i64> = touched.runs.into_iter().collect();
    if !runs.is_empty() {
        // Facts are checked against the whole row.
        let columns = if me.options.check_facts {
            RUN
        } else {
            STANDING
        };
        let text = format!("{columns} where r.id = any($1) order by r.id for update of r");
        volley.ask(text, vec![value(runs.clone())]);
        about.push(About::Runs);
    }
    let replies = db.all(volley).await?;
    let mut slice = Slice::empty();
    slice.state.unchecked = !me.options.check_facts;
    for (about, reply) in about.into_iter().zip(replies) {
        take(&mut slice, me, &keys, about, &reply)?;
    }
    if me.options.check_facts && !runs.is_empty() {
        slice.load_facts(db, &runs).await?;
    }
    Ok(slice)
}

type Keys<'a> = BTreeMap<[u8; 16], Key<'a>>;

/// The keys that units ask for by their hashes, in whose order the index is read; and those whose
/// highest generation is asked for.
fn keys<'a>(parts: &[Part<'a>]) -> (Keys<'a>, Vec<([u8; 16], Key<'a>)>) {
    let (mut keys, mut highest) = (BTreeMap::new(), Vec::new());
    for Part { unit, .. } in parts {
        if let Some(Op::Admit(a)) = unit.ops.first() {
            let key = (&a.environment, &a.task, &a.key, a.generation);
            keys.insert(key_hash(key.0, key.1, key.2, Some(key.3)), key);
        }
        for guard in &unit.guards {
            if let Guard::Generation(e, t, k, _) = guard {
                let first = (e, t, k, Generation::FIRST);
                keys.insert(key_hash(e, t, k, Some(first.3)), first);
                highest.push((key_hash(e, t, k, None), first));
            }
        }
    }
    (keys, highest)
}

fn take(
    slice: &mut Slice,
    me: &Me,
    keys: &Keys<'_>,
    about: About<'_>,
    reply: &Reply,
) -> Result<(), Stop> {
    let rows = &reply.rows;
    match about {
        About::Turn => slice.state.runs_before = first_number(rows)?,
        About::Me => slice.add_me(me, !rows.is_empty()),
        About::Highest(key) => {
            if let Some(row) = rows.first() {
                add_key(slice, key, Generation(text::small(row, 0)?), RunId(0));
            }
        }
        About::Keys => {
            for row in rows {
                let Some((hash, run)) = kept::known(row)? else {
                    continue;
                };
                let hash = <[u8; 16]>::try_from(hash).ok();
                if let Some(key) = hash.and_then(|hash| keys.get(&hash)) {
                    add_key(slice, *key, key.3, run);
                }
            }
        }
        About::Cursors => {
            for row in rows {
                let cursor = Cursor(row.try_get(1)?);
                slice.state.cursors.insert(row.try_get(0)?, cursor);
            }
        }
        About::Names => slice.add_names(rows)?,
        About::Runs if me.options.check_facts => slice.add_rows(rows)?,
        About::Runs => standing(slice, rows)?,
    }
    Ok(())
}

fn add_key(slice: &mut Slice, key: Key<'_>, generation: Generation, run: RunId) {
    let (environment, task, key, _) = key;
    let key = (environment.clone(), task.clone(), key.clone(), generation);
    slice.state.keys.insert(key, run);
}

/// Where runs stand. What was admitted is not asked for: units do not look at it.
fn standing(slice: &mut Slice, rows: &[Row]) -> Result<(), Stop> {
    let blank = text::blank_run();
    for row in rows {
        slice.add_run(text::standing(row, &blank)?);
    }
    Ok(())
}
