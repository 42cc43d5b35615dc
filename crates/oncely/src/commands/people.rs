//! What people do to runs: approve, reject, resume, pause, cancel.

use super::drive;
use super::servers;
use super::terminal;
use crate::cli::{Act, Answer};
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::Voice;
use crate::project;
use oncely_core::fact::Request;
use oncely_core::ids::RunId;
use oncely_core::question::Identity;
use oncely_core::run::{Asked, RunStatus};
use oncely_engine::{Ask, Offer, Offered, People, Reply, question};
use std::sync::Arc;

pub(crate) fn answer(
    voice: Voice,
    flags: &Flags,
    args: Answer,
    approved: bool,
) -> Result<Exit, Failure> {
    let role = if approved {
        "oncely approve"
    } else {
        "oncely reject"
    };
    let house = House::open(flags, role, false)?;
    house.block_on(async {
        let run = RunId(args.run);
        let stands = drive::Stands::read(&house, run).await?;
        let asked = question(&stands.state).map(|(_, asked)| asked);
        let reply = Reply {
            approved,
            by: who(args.by),
            identity: Identity::Claimed,
            ticked: ticked(asked, &args.tick)?,
            note: args.note,
            shown: asked.map(|asked| asked.question.hash),
            question: asked.map(|asked| asked.seq),
        };
        people(&house).answer(run, &reply).await?;
        voice.say(if approved {
            format!("Approved run {run}.")
        } else {
            format!("Rejected run {run}.")
        });
        go_on(voice, &house, run, args.detach).await
    })
}

pub(crate) fn resume(voice: Voice, flags: &Flags, args: Act) -> Result<Exit, Failure> {
    request(voice, flags, args, Request::Resume, "oncely resume")
}

pub(crate) fn rerun(voice: Voice, flags: &Flags, args: Act) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely rerun", false)?;
    if args.reason.trim().is_empty() {
        return Err(Failure::usage(format!(
            "a rerun does again what was done before: say why with --reason. Nothing was \
                 changed.\n        oncely rerun {} --reason \"…\"",
            args.run
        )));
    }
    house.block_on(async {
        let id = RunId(args.run);
        let drive::Stands {
            mut row,
            state,
            broken,
            ..
        } = drive::Stands::read(&house, id).await?;
        if !row.has_its_event() {
            return Err(Failure::usage(format!(
                "run {id} cannot be done once more: {}. Nothing was started. A backup may know the \
                 event; what brought it can bring it again under another key.",
                drive::NOT_ITS_EVENT
            )));
        }
        if broken {
            // Nothing more is done of it, as of one that has failed.
            row.status = RunStatus::Failed;
        }
        let offer =
            Offer::again(&row, &state, &who(args.by), &args.reason).map_err(Failure::usage)?;
        let loaded = project::load(&house.config)?;
        let engine = house.engine(loaded.tasks)?;
        match house.intake(&engine).offer(vec![offer]).await?.pop() {
            Some(Offered::Admitted(run)) => {
                voice.say(format!("Run {run} does run {id} once more."));
                go_on(voice, &house, run, args.detach).await
            }
            Some(Offered::Duplicate(run)) => Err(Failure::failed(format!(
                "run {id} was done once more already, as run {run}. Nothing was started."
            ))),
            Some(Offered::Refused(why)) => Err(Failure::failed(why)),
            None => Err(Failure::failed("the ledger did not say what became of it.")),
        }
    })
}

pub(crate) fn pause(voice: Voice, flags: &Flags, args: Act) -> Result<Exit, Failure> {
    request(voice, flags, args, Request::Pause, "oncely pause")
}

pub(crate) fn cancel(voice: Voice, flags: &Flags, args: Act) -> Result<Exit, Failure> {
    request(voice, flags, args, Request::Cancel, "oncely cancel")
}

fn request(
    voice: Voice,
    flags: &Flags,
    args: Act,
    what: Request,
    role: &str,
) -> Result<Exit, Failure> {
    let house = House::open(flags, role, false)?;
    house.block_on(async {
        let run = RunId(args.run);
        let word = role.trim_start_matches("oncely ");
        say_why(&house, run, &args.reason, &format!("{word} {run}")).await?;
        people(&house)
            .request(run, what, &who(args.by), &args.reason)
            .await?;
        let asked = match what {
            Request::Resume => "Resumed",
            Request::Pause => "Asked to hold",
            Request::Cancel => "Asked to end",
            Request::Rerun => "Asked to do once more",
            Request::Start => "Started",
            Request::Undo => "Asked to take back",
        };
        voice.say(format!("{asked} run {run}."));
        go_on(voice, &house, run, args.detach).await
    })
}

/// Refuses what is done without a reason to a run of a protected environment.
pub(super) async fn say_why(
    house: &House,
    run: RunId,
    reason: &str,
    command: &str,
) -> Result<(), Failure> {
    let row = Ask(house.ledger()).run(run).await?;
    let protected = &house.config.protected;
    row.map_or(Ok(()), |row| {
        protected.reason(&row.environment, reason, command)
    })
}

pub(super) fn people(house: &House) -> People {
    let roster = Arc::clone(&house.config.people.value);
    People::new(house.shared_ledger(), house.shared_clock(), roster)
}

/// What `--tick` means of a question: things by their numbers, or all of them.
fn ticked(asked: Option<&Asked>, marks: &[String]) -> Result<Vec<String>, Failure> {
    let things = asked.map_or(&[][..], |asked| &asked.question.tick);
    let mut ticked = Vec::new();
    for mark in marks {
        if mark == "all" {
            return Ok(things.to_vec());
        }
        let place = mark.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        let thing = place.and_then(|place| things.get(place)).ok_or_else(|| {
            let there = match things.len() {
                0 => "Nothing is to be ticked.".to_owned(),
                1 => "There is 1.".to_owned(),
                many => format!("There are 1 to {many}."),
            };
            Failure::usage(format!(
                "--tick {mark}: there is no such thing to be ticked. {there} Nothing was changed."
            ))
        })?;
        ticked.push(thing.clone());
    }
    Ok(ticked)
}

/// With no server alive the command carries the run on itself.
pub(super) async fn go_on(
    voice: Voice,
    house: &House,
    run: RunId,
    detach: bool,
) -> Result<Exit, Failure> {
    if detach {
        let server = servers::alive(house).await?.map(|server| server.pid);
        voice.record(&serde_json::json!({ "run": run, "detached": true, "server": server }));
        voice.say(servers::who_does_it(house).await?);
        return Ok(Exit::Done);
    }
    let loaded = project::load(&house.config)?;
    let engine = house.engine(loaded.tasks)?;
    let renewing = tokio::spawn(Arc::clone(&engine).renew());
    house.stop_on_signals(&engine.stopper());
    let stands = terminal::to_rest(voice, house, &engine, run).await?;
    renewing.abort();
    drive::say(
        voice,
        &house.label(&stands.row.task),
        &stands,
        &house.config.environment.value,
    );
    let asked_to_end = stands.state.cancel;
    Ok(if asked_to_end {
        Exit::Done
    } else {
        stands.exit(false)
    })
}

/// The user of this shell: claimed, not proved.
pub(crate) fn who(by: Option<String>) -> String {
    by.or_else(|| std::env::var("ONCELY_USER").ok())
        .or_else(|| std::env::var("USER").ok())
        .unwrap_or_else(|| "somebody".into())
}
