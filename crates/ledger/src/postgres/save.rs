//! Writes what has changed in a slice of the ledger, each table in one statement.

use super::db::{Db, Stop};
use super::holders::{Me, lanes_of};
use super::slice::Slice;
use super::text::to_json;
use super::volley::{Value, Volley, first_number, value};
use crate::chained;
use crate::memory::state::{Run, State};
use crate::sqlite::rows::number;
use oncely_core::chain::key_hash;
use oncely_core::ids::Generation;
use oncely_core::ledger::LedgerError;
use oncely_core::sabotage::{self, Switch};
use tokio_postgres::types::ToSql;

/// Raises the count of changes of a handle, and gives it.
const COUNT: &str = "insert into oncely_changes (handle, count) values ($1, $2)
     on conflict (handle) do update
     set count = oncely_changes.count + excluded.count returning count";

/// Writes what has changed, in one journey to the server; says how many changes this handle has
/// counted then.
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
    let mut volley = Volley::default();
    let keys = (!new.is_empty()).then(|| keys(&mut volley, &new));
    if !new.is_empty() {
        admissions(&mut volley, &new);
        insert(&mut volley, &new);
        generations(&mut volley, &new);
    }
    if !old.is_empty() {
        update(&mut volley, &old);
    }
    facts(&mut volley, slice)?;
    items(&mut volley, state)?;
    rest(&mut volley, state)?;
    let counted = volley.ask(COUNT, vec![value(me.handle), value(1_i64)]);
    let replies = db.all(volley).await?;
    let changed = keys.and_then(|place| replies.get(place)).map(|r| r.changed);
    // Keys are unique whatever else happens: who comes second looks again.
    if changed.is_some_and(|fresh| fresh < new.len() as u64) && !sabotage::is_off(Switch::Unique) {
        return Err(Stop::Overtaken);
    }
    first_number(replies.get(counted).map_or(&[], |r| &r.rows))
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
    first_number(&db.rows(COUNT, &[&me.handle, &more]).await?)
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

/// Gives the place of the answer that says how many keys were fresh. They are written in the order of
/// their index.
fn keys(volley: &mut Volley<'_>, new: &[&Run]) -> usize {
    let hash = |run: &&Run| {
        let row = &run.row;
        (row.known_by().to_vec(), row.id.0)
    };
    let last = new.last().map_or(0, |run| run.row.id.0);
    let mut keys: Vec<(Vec<u8>, i64)> = new.iter().map(hash).collect();
    keys.sort_unstable();
    let (hashes, runs): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
    let text = "insert into oncely_keys (hash, run) select * from unnest($1::bytea[], $2::bigint[])
                on conflict (hash) do nothing";
    let place = volley.ask(text, vec![value(hashes), value(runs)]);
    let text = "update oncely_turn set runs = $1 where one = 1";
    volley.ask(text, vec![value(last)]);
    place
}

fn generations(volley: &mut Volley<'_>, new: &[&Run]) {
    // A key that was forgotten comes with what it is known by: see `kept.rs`.
    let raised = new
        .iter()
        .filter(|r| r.row.generation > Generation::FIRST && !r.row.is_forgotten());
    for run in raised {
        let row = &run.row;
        let hash = key_hash(&row.environment, &row.task, &row.key, None).to_vec();
        let text = "insert into oncely_generations (hash, highest) values ($1, $2)
                    on conflict (hash) do update
                    set highest = greatest(oncely_generations.highest, excluded.highest)";
        let generation = i64::from(row.generation.0);
        volley.ask(text, vec![value(hash), value(generation)]);
    }
}

fn admissions<'a>(volley: &mut Volley<'a>, new: &[&'a Run]) {
    let rows = || new.iter().map(|run| &run.row);
    let text = "insert into oncely_admissions
         (run, key, generation, trigger_name, admitted, depth, parent, event, event_hash)
         select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bigint[],
         $6::bigint[], $7::bigint[], $8::text[], $9::bytea[])";
    volley.ask(
        text,
        vec![
            each(rows().map(|r| r.id.0)),
            each(rows().map(|r| r.key.as_str())),
            each(rows().map(|r| i64::from(r.generation.0))),
            each(rows().map(|r| r.trigger.as_str())),
            each(rows().map(|r| r.admitted.0)),
            each(rows().map(|r| i64::from(r.depth))),
            each(rows().map(|r| r.parent.map(|p| p.0))),
            each(rows().map(|r| &*r.event)),
            each(rows().map(|r| &r.event_hash.0[..])),
        ],
    );
}

/// A column of values.
fn each<'a, T: ToSql + Sync + Send + 'a>(column: impl Iterator<Item = T>) -> Value<'a> {
    value(column.collect::<Vec<T>>())
}

/// The columns of runs that change.
fn columns<'a>(runs: &[&'a Run]) -> Vec<Value<'a>> {
    let rows = || runs.iter().map(|run| &run.row);
    vec![
        each(rows().map(|r| r.id.0)),
        each(rows().map(|r| number(r.status))),
        each(rows().map(|r| r.seq.cast_signed())),
        each(rows().map(|r| r.changed.0)),
        each(rows().map(|r| r.due.map(|at| at.0))),
        each(rows().map(|r| r.holder.map(|h| h.0))),
        each(rows().map(|r| r.fence.0)),
        each(rows().map(|r| i64::from(r.claims))),
        each(rows().map(|r| &r.chain.0[..])),
    ]
}

fn insert<'a>(volley: &mut Volley<'a>, new: &[&'a Run]) {
    let rows = || new.iter().map(|run| &run.row);
    let mut values = columns(new);
    values.push(each(rows().map(|r| r.environment.as_str())));
    values.push(each(rows().map(|r| r.task.as_str())));
    values.push(each(rows().map(|r| r.lane.as_deref())));
    let text = "insert into oncely_runs
         (id, status, seq, changed, due, holder, fence, claims, chain, environment, task, lane)
         select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
         $6::bigint[], $7::bigint[], $8::bigint[], $9::bytea[], $10::text[], $11::text[],
         $12::text[])";
    volley.ask(text, values);
}

fn update<'a>(volley: &mut Volley<'a>, old: &[&'a Run]) {
    let text = "update oncely_runs r set status = n.status, seq = n.seq, changed = n.changed,
         due = n.due, holder = n.holder, fence = n.fence, claims = n.claims, chain = n.chain
         from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
         $6::bigint[], $7::bigint[], $8::bigint[], $9::bytea[])
         as n (id, status, seq, changed, due, holder, fence, claims, chain) where r.id = n.id";
    volley.ask(text, columns(old));
}

fn facts(volley: &mut Volley<'_>, slice: &Slice) -> Result<(), Stop> {
    let (mut runs, mut seqs, mut ats, mut bodies) = (vec![], vec![], vec![], vec![]);
    for (id, run) in &slice.state.runs {
        let known = slice.before.get(id).map_or(0, |row| row.seq);
        // What is new stands last, also where others were lost or not asked for.
        let new = usize::try_from(run.row.seq.saturating_sub(known)).unwrap_or(usize::MAX);
        let old = run.facts.len().saturating_sub(new);
        for (seq, recorded) in (known..).zip(run.facts.iter().skip(old)) {
            runs.push(id.0);
            seqs.push(seq.cast_signed());
            ats.push(recorded.at.0);
            let body = chained::text(recorded)
                .map_err(|error| LedgerError::Invalid(format!("it cannot be written: {error}.")))?;
            bodies.push(body);
        }
    }
    if runs.is_empty() {
        return Ok(());
    }
    let text = "insert into oncely_facts (run, seq, at, body)
         select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])";
    volley.ask(
        text,
        vec![value(runs), value(seqs), value(ats), value(bodies)],
    );
    Ok(())
}

fn items<'a>(volley: &mut Volley<'a>, state: &'a State) -> Result<(), Stop> {
    for ((run, step), p) in &state.progress {
        let text = "insert into oncely_progress
             (run, step, next, byte_offset, line, done, set_aside, unseen)
             values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (run, step) do update
             set next = excluded.next, byte_offset = excluded.byte_offset, line = excluded.line,
             done = excluded.done, set_aside = excluded.set_aside, unseen = excluded.unseen";
        let mut values = vec![value(run.0), value(step.as_str())];
        let numbers = [p.next, p.offset, p.line, p.done, p.set_aside, p.unseen];
        values.extend(numbers.map(|number| value(number.cast_signed())));
        volley.ask(text, values);
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
        volley.ask(
            text,
            vec![value(runs), value(steps), value(numbers), value(bodies)],
        );
    }
    item_facts(volley, state)
}

/// Facts about items go behind those that are there; the runs are locked.
fn item_facts<'a>(volley: &mut Volley<'a>, state: &'a State) -> Result<(), Stop> {
    for ((run, step), facts) in &state.item_facts {
        let numbers: Vec<i64> = facts.iter().map(|f| f.item.cast_signed()).collect();
        let places: Vec<i64> = (1..).take(facts.len()).collect();
        let bodies = facts.iter().map(to_json).collect::<Result<Vec<_>, _>>()?;
        let text = "insert into oncely_item_facts (run, step, item, place, body)
             select $1, $2, n.item, n.place + (select coalesce(max(place), -1)
             from oncely_item_facts where run = $1 and step = $2), n.body
             from unnest($3::bigint[], $4::bigint[], $5::text[]) as n (item, place, body)";
        let step = value(step.as_str());
        volley.ask(
            text,
            vec![
                value(run.0),
                step,
                value(numbers),
                value(places),
                value(bodies),
            ],
        );
    }
    Ok(())
}

fn rest<'a>(volley: &mut Volley<'a>, state: &'a State) -> Result<(), Stop> {
    for (source, cursor) in &state.cursors {
        let text = "insert into oncely_cursors (source, cursor) values ($1, $2)
             on conflict (source) do update set cursor = excluded.cursor";
        volley.ask(text, vec![value(source.as_str()), value(cursor.0.as_str())]);
    }
    for (hash, content) in &state.store {
        let text = "insert into oncely_store (hash, content) values ($1, $2)
             on conflict (hash) do nothing";
        volley.ask(text, vec![value(&hash.0[..]), value(&content[..])]);
    }
    for (path, mark) in &state.files {
        let text = "insert into oncely_files (path, body) values ($1, $2)
             on conflict (path) do update set body = excluded.body";
        volley.ask(text, vec![value(path.as_str()), value(to_json(mark)?)]);
    }
    for (name, found) in &state.names {
        let text = "insert into oncely_names (name, holder, fence) values ($1, $2, $3)
             on conflict (name) do update set holder = excluded.holder, fence = excluded.fence";
        let holder = found.holder.map(|holder| holder.0);
        volley.ask(
            text,
            vec![value(name.as_str()), value(holder), value(found.fence.0)],
        );
    }
    Ok(())
}
