//! Forgets the data of runs, in one transaction. Items go after it, so many at a time: see `prune.rs`.

use super::db::{Db, Stop};
use super::slice::Slice;
use crate::chained;
use crate::forgetting::{self, Left};
use crate::rules;
use oncely_core::forget::Forget;
use oncely_core::ids::RunId;
use oncely_core::ledger::LedgerError;

/// Forgets all of them, or none.
pub(crate) async fn forget(db: &mut Db, wanted: &Forget) -> Result<(), Stop> {
    let ids: Vec<i64> = wanted.runs.iter().map(|id| id.0).collect();
    let mut slice = Slice::empty();
    slice.load_runs(db, &ids).await?;
    let mut readings = slice.read_facts(db, &ids).await?;
    let mut all = Vec::with_capacity(ids.len());
    for id in &wanted.runs {
        all.push(left(&slice, *id, readings.remove(id), wanted)?);
    }
    for left in &all {
        write(db, left, wanted).await?;
    }
    Ok(())
}

fn left(
    slice: &Slice,
    id: RunId,
    reading: Option<chained::Reading>,
    wanted: &Forget,
) -> Result<Left, LedgerError> {
    let run = slice.state.runs.get(&id).zip(reading);
    let (run, reading) = run.ok_or_else(|| rules::no_run(id))?;
    forgetting::forget(&run.row, reading, wanted)
}

async fn write(db: &mut Db, left: &Left, wanted: &Forget) -> Result<(), Stop> {
    let run = left.run.0;
    db.run("delete from oncely_facts where run = $1", &[&run])
        .await?;
    let (mut seqs, mut ats, mut bodies) = (vec![], vec![], vec![]);
    for (seq, recorded) in (0_i64..).zip(&left.facts) {
        seqs.push(seq);
        ats.push(recorded.at.0);
        bodies.push(chained::text(recorded).map_err(|error| {
            LedgerError::Invalid(format!("a fact cannot be written: {error}."))
        })?);
    }
    let text = "insert into oncely_facts (run, seq, at, body) select $1, n.seq, n.at, n.body
                from unnest($2::bigint[], $3::bigint[], $4::text[]) as n (seq, at, body)";
    db.run(text, &[&run, &seqs, &ats, &bodies]).await?;
    let text = "update oncely_admissions set key = $2, event = '' where run = $1";
    db.run(text, &[&run, &left.key.as_str()]).await?;
    let text = "update oncely_runs set seq = $2, changed = $3, chain = $4 where id = $1";
    let seq = i64::try_from(left.facts.len()).unwrap_or(i64::MAX);
    db.run(text, &[&run, &seq, &wanted.at.0, &&left.chain.0[..]])
        .await?;
    let text = "insert into oncely_leftovers (run) values ($1) on conflict (run) do nothing";
    db.run(text, &[&run]).await?;
    Ok(())
}
