//! Writes what has changed in a slice of the ledger, each table in one statement.

use super::db::{Db, Stop};
use super::holders::{Me, lanes_of};
use super::slice::Slice;
use super::text::to_json;
use crate::memory::state::{Run, State};
use crate::sqlite::rows::number;
use oncely_core::chain::key_hash;
use oncely_core::ids::Generation;
use oncely_core::sabotage::{self, Switch};

/// Writes what has changed; says how many changes this handle has counted then.
pub(crate) async fn save(db: &mut Db, me: &Me, slice: &Slice) -> Result<i64, Stop> {
    let state = &slice.state;
    let is_new = |run: &&Run| !slice.before.contains_key(&run.row.id);
    let new: Vec<&Run> = state.runs.values().filter(is_new).collect();
    let old: Vec<&Run> = state
        .runs
        .values()
        .filter(|run| slice.before.get(&run.row.id).is_some_and(|b| *b != run.row))
        .collect();
    if !slice.registered && state.holders.contains_key(&me.id()) {
        me.insert(db).await?;
    }
    if !new.is_empty() {
        keys(db, &new).await?;
        admissions(db, &new).await?;
        insert(db, &new).await?;
        generations(db, &new).await?;
    }
    if !old.is_empty() {
        update(db, &old).await?;
    }
    facts(db, slice).await?;
    items(db, state).await?;
    rest(db, state).await?;
    change(db, me).await
}

/// Others see that something has changed; says how many changes this handle has counted.
pub(crate) async fn change(db: &mut Db, me: &Me) -> Result<i64, Stop> {
    count(db, me, 1).await
}

/// How many changes this handle has counted, once every transaction that counts one has ended: one
/// whose commit was on its way is waited for.
pub(crate) async fn counted(db: &mut Db, me: &Me) -> Result<i64, Stop> {
    count(db, me, 0).await
}

async fn count(db: &mut Db, me: &Me, more: i64) -> Result<i64, Stop> {
    let text = "insert into oncely_changes (handle, count) values ($1, $2)
                on conflict (handle) do update
                set count = oncely_changes.count + excluded.count returning count";
    let rows = db.rows(text, &[&me.handle, &more]).await?;
    Ok(match rows.first() {
        Some(row) => row.try_get(0)?,
        None => 0,
    })
}

/// Adds the counts of handles that are gone, with those of all their lanes, to one row: their sum
/// stays what it is.
pub(crate) async fn fold_changes(db: &mut Db, gone: &[i64]) -> Result<(), Stop> {
    let gone: Vec<i64> = gone.iter().flat_map(|handle| lanes_of(*handle)).collect();
    let text = "with gone as (delete from oncely_changes where handle = any($1) returning count)
                insert into oncely_changes (handle, count)
                select 0, coalesce(sum(count), 0)::bigint from gone
                on conflict (handle) do update
                set count = oncely_changes.count + excluded.count";
    db.run(text, &[&gone]).await?;
    Ok(())
}

/// Keys are unique whatever else happens: who comes second looks again.
async fn keys(db: &mut Db, new: &[&Run]) -> Result<(), Stop> {
    let hash = |run: &&Run| {
        let row = &run.row;
        key_hash(&row.environment, &row.task, &row.key, Some(row.generation)).to_vec()
    };
    let hashes: Vec<Vec<u8>> = new.iter().map(hash).collect();
    let runs: Vec<i64> = new.iter().map(|run| run.row.id.0).collect();
    let text = "insert into oncely_keys (hash, run) select * from unnest($1::bytea[], $2::bigint[])
                on conflict (hash) do nothing";
    let fresh = db.run(text, &[&hashes, &runs]).await?;
    if fresh < new.len() as u64 && !sabotage::is_off(Switch::Unique) {
        return Err(Stop::Overtaken);
    }
    let last = runs.last().copied().unwrap_or_default();
    let text = "update oncely_turn set runs = $1 where one = 1";
    db.run(text, &[&last]).await?;
    Ok(())
}

async fn generations(db: &mut Db, new: &[&Run]) -> Result<(), Stop> {
    let raised = new.iter().filter(|r| r.row.generation > Generation::FIRST);
    for run in raised {
        let row = &run.row;
        let hash = key_hash(&row.environment, &row.task, &row.key, None).to_vec();
        let text = "insert into oncely_generations (hash, highest) values ($1, $2)
                    on conflict (hash) do update
                    set highest = greatest(oncely_generations.highest, excluded.highest)";
        db.run(text, &[&hash, &i64::from(row.generation.0)]).await?;
    }
    Ok(())
}

async fn admissions(db: &mut Db, new: &[&Run]) -> Result<(), Stop> {
    let ids: Vec<i64> = new.iter().map(|r| r.row.id.0).collect();
    let keys: Vec<&str> = new.iter().map(|r| r.row.key.as_str()).collect();
    let generations: Vec<i64> = new.iter().map(|r| r.row.generation.0.into()).collect();
    let triggers: Vec<&str> = new.iter().map(|r| r.row.trigger.as_str()).collect();
    let admitted: Vec<i64> = new.iter().map(|r| r.row.admitted.0).collect();
    let depths: Vec<i64> = new.iter().map(|r| r.row.depth.into()).collect();
    let parents: Vec<Option<i64>> = new.iter().map(|r| r.row.parent.map(|p| p.0)).collect();
    let events: Vec<&str> = new.iter().map(|r| &*r.row.event).collect();
    let hashes: Vec<&[u8]> = new.iter().map(|r| &r.row.event_hash.0[..]).collect();
    let text = "insert into oncely_admissions
         (run, key, generation, trigger_name, admitted, depth, parent, event, event_hash)
         select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bigint[],
         $6::bigint[], $7::bigint[], $8::text[], $9::bytea[])";
    db.run(
        text,
        &[
            &ids,
            &keys,
            &generations,
            &triggers,
            &admitted,
            &depths,
            &parents,
            &events,
            &hashes,
        ],
    )
    .await?;
    Ok(())
}

/// The columns of runs that change.
struct Columns<'a> {
    ids: Vec<i64>,
    statuses: Vec<i64>,
    seqs: Vec<i64>,
    changed: Vec<i64>,
    due: Vec<Option<i64>>,
    holders: Vec<Option<i64>>,
    fences: Vec<i64>,
    claims: Vec<i64>,
    chains: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(runs: &[&'a Run]) -> Self {
        let rows = || runs.iter().map(|run| &run.row);
        Self {
            ids: rows().map(|r| r.id.0).collect(),
            statuses: rows().map(|r| number(r.status)).collect(),
            seqs: rows().map(|r| r.seq.cast_signed()).collect(),
            changed: rows().map(|r| r.changed.0).collect(),
            due: rows().map(|r| r.due.map(|at| at.0)).collect(),
            holders: rows().map(|r| r.holder.map(|h| h.0)).collect(),
            fences: rows().map(|r| r.fence.0).collect(),
            claims: rows().map(|r| r.claims.into()).collect(),
            chains: rows().map(|r| &r.chain.0[..]).collect(),
        }
    }
}

async fn insert(db: &mut Db, new: &[&Run]) -> Result<(), Stop> {
    let c = Columns::of(new);
    let environments: Vec<&str> = new.iter().map(|r| r.row.environment.as_str()).collect();
    let tasks: Vec<&str> = new.iter().map(|r| r.row.task.as_str()).collect();
    let lanes: Vec<Option<&str>> = new.iter().map(|r| r.row.lane.as_deref()).collect();
    let text = "insert into oncely_runs
         (id, status, seq, changed, due, holder, fence, claims, environment, task, lane, chain)
         select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
         $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], $10::text[], $11::text[],
         $12::bytea[])";
    db.run(
        text,
        &[
            &c.ids,
            &c.statuses,
            &c.seqs,
            &c.changed,
            &c.due,
            &c.holders,
            &c.fences,
            &c.claims,
            &environments,
            &tasks,
            &lanes,
            &c.chains,
        ],
    )
    .await?;
    Ok(())
}

async fn update(db: &mut Db, old: &[&Run]) -> Result<(), Stop> {
    let c = Columns::of(old);
    let text = "update oncely_runs r set status = n.status, seq = n.seq, changed = n.changed,
         due = n.due, holder = n.holder, fence = n.fence, claims = n.claims, chain = n.chain
         from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
         $6::bigint[], $7::bigint[], $8::bigint[], $9::bytea[])
         as n (id, status, seq, changed, due, holder, fence, claims, chain) where r.id = n.id";
    db.run(
        text,
        &[
            &c.ids,
            &c.statuses,
            &c.seqs,
            &c.changed,
            &c.due,
            &c.holders,
            &c.fences,
            &c.claims,
            &c.chains,
        ],
    )
    .await?;
    Ok(())
}

async fn facts(db: &mut Db, slice: &Slice) -> Result<(), Stop> {
    let (mut runs, mut seqs, mut ats, mut bodies) = (vec![], vec![], vec![], vec![]);
    for (id, run) in &slice.state.runs {
        let known = slice.before.get(id).map_or(0, |row| row.seq);
        // What is new stands last, also where others were lost.
        let new = usize::try_from(run.row.seq.saturating_sub(known)).unwrap_or(usize::MAX);
        let old = run.facts.len().saturating_sub(new);
        for (seq, recorded) in (known..).zip(run.facts.iter().skip(old)) {
            runs.push(id.0);
            seqs.push(seq.cast_signed());
            ats.push(recorded.at.0);
            bodies.push(to_json(&recorded.fact)?);
        }
    }
    if runs.is_empty() {
        return Ok(());
    }
    let text = "insert into oncely_facts (run, seq, at, body)
         select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])";
    db.run(text, &[&runs, &seqs, &ats, &bodies]).await?;
    Ok(())
}

async fn items(db: &mut Db, state: &State) -> Result<(), Stop> {
    for ((run, step), p) in &state.progress {
        let n = [p.next, p.offset, p.line, p.done, p.set_aside, p.unseen].map(u64::cast_signed);
        let [next, offset, line, done, aside, unseen] = &n;
        let text = "insert into oncely_progress
             (run, step, next, byte_offset, line, done, set_aside, unseen)
             values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (run, step) do update
             set next = excluded.next, byte_offset = excluded.byte_offset, line = excluded.line,
             done = excluded.done, set_aside = excluded.set_aside, unseen = excluded.unseen";
        let step = step.as_str();
        db.run(
            text,
            &[&run.0, &step, next, offset, line, done, aside, unseen],
        )
        .await?;
    }
    let (mut runs, mut steps, mut numbers, mut bodies) = (vec![], vec![], vec![], vec![]);
    for ((run, step, item), aside) in &state.set_aside {
        runs.push(run.0);
        steps.push(step.as_str());
        numbers.push(item.cast_signed());
        bodies.push(to_json(aside)?);
    }
    if !runs.is_empty() {
        let text = "insert into oncely_set_aside (run, step, item, body)
             select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[])
             on conflict (run, step, item) do nothing";
        db.run(text, &[&runs, &steps, &numbers, &bodies]).await?;
    }
    item_facts(db, state).await
}

/// Facts about items go behind those that are there; the runs are locked.
async fn item_facts(db: &mut Db, state: &State) -> Result<(), Stop> {
    for ((run, step), facts) in &state.item_facts {
        let step = step.as_str();
        let text = "select coalesce(max(place), -1) from oncely_item_facts
                    where run = $1 and step = $2";
        let last = db.rows(text, &[&run.0, &step]).await?;
        let last: i64 = match last.first() {
            Some(row) => row.try_get(0)?,
            None => -1,
        };
        let numbers: Vec<i64> = facts.iter().map(|f| f.item.cast_signed()).collect();
        let places: Vec<i64> = (last + 1..).take(facts.len()).collect();
        let bodies = facts.iter().map(to_json).collect::<Result<Vec<_>, _>>()?;
        let text = "insert into oncely_item_facts (run, step, item, place, body)
             select $1, $2, n.item, n.place, n.body
             from unnest($3::bigint[], $4::bigint[], $5::text[]) as n (item, place, body)";
        db.run(text, &[&run.0, &step, &numbers, &places, &bodies])
            .await?;
    }
    Ok(())
}

async fn rest(db: &mut Db, state: &State) -> Result<(), Stop> {
    for (source, cursor) in &state.cursors {
        let text = "insert into oncely_cursors (source, cursor) values ($1, $2)
             on conflict (source) do update set cursor = excluded.cursor";
        db.run(text, &[source, &cursor.0]).await?;
    }
    for (hash, content) in &state.store {
        let text = "insert into oncely_store (hash, content) values ($1, $2)
             on conflict (hash) do nothing";
        db.run(text, &[&&hash.0[..], &&content[..]]).await?;
    }
    for (path, mark) in &state.files {
        let text = "insert into oncely_files (path, body) values ($1, $2)
             on conflict (path) do update set body = excluded.body";
        db.run(text, &[path, &to_json(mark)?]).await?;
    }
    names(db, state).await
}

/// Writes names; the turn is held.
pub(crate) async fn names(db: &mut Db, state: &State) -> Result<(), Stop> {
    for (name, found) in &state.names {
        let text = "insert into oncely_names (name, holder, fence) values ($1, $2, $3)
             on conflict (name) do update set holder = excluded.holder, fence = excluded.fence";
        let holder = found.holder.map(|holder| holder.0);
        db.run(text, &[name, &holder, &found.fence.0]).await?;
    }
    Ok(())
}
