//! `oncely ledger prune`: removes what is kept of runs that ended long ago, in small commits.

use super::people::who;
use crate::adopt::MIRROR;
use crate::cli::Prune as Args;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, moment, rfc3339, table, thousands};
use oncely_core::Value;
use oncely_core::ids::RunId;
use oncely_core::limits;
use oncely_core::prune::{Old, Place, Prune, PruneRecord, Pruned};
use oncely_core::task::parse_duration;
use oncely_core::time::Clock;
use serde_json::json;

pub(crate) fn run(voice: Voice, flags: &Flags, args: &Args) -> Result<Exit, Failure> {
    let age = parse_duration(&args.older_than).ok_or_else(|| {
        Failure::usage(format!(
            "--older-than {}: not a length of time; write 90d, 36h or 15m. Nothing was removed.",
            args.older_than
        ))
    })?;
    let house = House::open(flags, "oncely ledger prune", false)?;
    let environment = house.config.environment.value.clone();
    if !args.dry_run {
        let command = format!(
            "{}ledger prune --older-than {}",
            flags.env(),
            args.older_than
        );
        let protected = &house.config.protected;
        protected.reason(&environment, &args.reason, &command)?;
    }
    let now = house.clock.now();
    let part = Prune {
        old: Old {
            environment,
            task: args.task.as_deref().map(|name| house.task_named(name)),
            // Its runs say which rows stand in another tool's table.
            except: vec![MIRROR.into()],
            before: now.plus_millis(age.saturating_neg()),
            failed: args.failed,
        },
        by: who(args.by.clone()),
        reason: args.reason.clone(),
        at: now,
        number: None,
        from: Place::Newest,
        runs: limits::PRUNE_RUNS,
        rows: limits::PRUNE_ROWS,
        dry: args.dry_run,
    };
    let pruned = house.block_on(whole(&house, part.clone()))?;
    voice.record(&json!({
        "prune": pruned.number, "runs": pruned.runs, "facts": pruned.facts,
        "before": rfc3339(part.old.before), "dry_run": args.dry_run,
    }));
    say(voice, &part, &pruned);
    Ok(Exit::Done)
}

/// Does part after part. Others work between them; who is killed leaves the rest to the next prune.
async fn whole(house: &House, mut part: Prune) -> Result<Pruned, Failure> {
    let mut sum = Pruned::default();
    loop {
        let done = house.ledger().prune(part.clone()).await?;
        sum.runs += done.runs;
        sum.facts += done.facts;
        (sum.number, part.number) = (done.number, done.number);
        match done.next {
            Some(next) => part.from = next,
            None => return Ok(sum),
        }
    }
}

fn say(voice: Voice, part: &Prune, pruned: &Pruned) {
    let before = moment(part.old.before);
    let runs = match pruned.runs {
        1 => "1 run".to_owned(),
        many => format!("{} runs", thousands(many)),
    };
    let facts = thousands(pruned.facts);
    voice.say(match (pruned.runs, part.dry) {
        (0, _) => format!(
            "No run of {} that ended before {before} UTC can be pruned. Nothing was removed.",
            part.old.environment
        ),
        (_, true) => format!(
            "Would remove {runs} of {} that ended before {before} UTC, with {facts} facts. Their keys \
             would stay. Nothing was removed.",
            part.old.environment
        ),
        (_, false) => format!(
            "Removed {runs} of {} that ended before {before} UTC, with {facts} facts. Their keys stay: \
             what comes again starts nothing. The room is used again by what comes.",
            part.old.environment
        ),
    });
}

/// Says of a run that it was pruned.
pub(super) fn say_gone(voice: Voice, run: RunId, prune: &PruneRecord) {
    voice.record(&json!({ "run": run, "pruned": as_json(prune) }));
    voice.say(format!(
        "Run {run} was pruned on {} UTC by {}{}: what had ended before {} UTC was removed. Its key stays.",
        moment(prune.at),
        prune.by,
        because(prune),
        moment(prune.before)
    ));
}

fn because(prune: &PruneRecord) -> String {
    match prune.reason.is_empty() {
        true => String::new(),
        false => format!(" ({})", prune.reason),
    }
}

/// A prune for machines.
pub(super) fn as_json(prune: &PruneRecord) -> Value {
    json!({
        "number": prune.number, "at": rfc3339(prune.at), "by": prune.by, "reason": prune.reason,
        "environment": prune.environment, "task": prune.task, "before": rfc3339(prune.before),
        "runs": prune.runs,
    })
}

/// Prunes for people.
pub(super) fn listed(prunes: &[PruneRecord]) -> String {
    let row = |prune: &PruneRecord| {
        let task = prune.task.as_ref().map(|task| format!(" of {task}"));
        vec![
            moment(prune.at),
            format!("{}{}", prune.by, because(prune)),
            format!("{}{}", prune.environment, task.unwrap_or_default()),
            moment(prune.before),
            thousands(prune.runs),
        ]
    };
    let rows: Vec<Vec<String>> = prunes.iter().map(row).collect();
    table(&["pruned", "by", "of", "ended before", "runs"], &rows)
}
