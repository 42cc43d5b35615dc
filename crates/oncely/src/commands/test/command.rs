//! The command: what it needs to know, what it says, and how it exits.

use super::event::{self, Happened};
use super::play::{Play, Played};
use super::transcript::Transcript;
use super::{cancels, expect, hints};
use crate::catch::{Answers, JumpClock};
use crate::cli::Test;
use crate::config::{Config, Flags};
use crate::failure::{Exit, Failure};
use crate::output::{Voice, print_line};
use crate::project;
use oncely_core::run::RunStatus;
use oncely_core::time::{Clock, Timestamp};
use std::sync::Arc;

/// The environment of a test, unless `--env` says another: that of this shell changes nothing.
const ENVIRONMENT: &str = "test";

pub(crate) fn run(voice: Voice, flags: &Flags, args: &Test) -> Result<Exit, Failure> {
    let named = flags.environment.as_deref().unwrap_or(ENVIRONMENT);
    let flags = Flags {
        environment: Some(named.to_owned()),
        ..flags.clone()
    };
    let config = Config::load(&flags)?;
    let loaded = project::load(&config)?;
    let known = match project::named(&loaded, &args.task) {
        Ok(known) => known,
        Err(_) if !loaded.problems.is_empty() => {
            return project::load_clean(&config, voice.colour).map(|_| Exit::Usage);
        }
        Err(failure) => return Err(failure),
    };
    let answers = Answers::read(args.answers.as_deref(), &known.task)?;
    let clock = Arc::new(JumpClock::at(moment(args.now.as_deref())?));
    let happened = event::happened(&known.task, args, &config, &clock)?;
    let mut transcript = Transcript::new(voice.json, project::label(&known.task), &config);
    let Happened::Event { key, data } = happened else {
        transcript.passed_over();
        return told(voice, args, &transcript, Exit::Done);
    };
    transcript.begins(&key);
    transcript.cancels(&cancels::by(
        &known.task.id,
        &data,
        clock.now(),
        &loaded.tasks,
    ));
    let play = Play::new(&config, known, answers, clock)?;
    let played = play.run(key, &data, args.undo, &mut transcript)?;
    let missing = hints::missing(known, &played, &data, args);
    let exit = told(voice, args, &transcript, exit(&played))?;
    match missing {
        None => Ok(exit),
        Some(missing) => Err(Failure::usage(missing)),
    }
}

/// Says what happened, or how it differs from what was expected.
fn told(voice: Voice, args: &Test, transcript: &Transcript, exit: Exit) -> Result<Exit, Failure> {
    let text = transcript.text();
    match &args.expect {
        Some(path) => expect::compare(voice, path, &text),
        None => {
            print_line(text.trim_end_matches('\n'));
            Ok(exit)
        }
    }
}

fn exit(played: &Played) -> Exit {
    match played.status {
        // Only the answers have a run cancelled.
        RunStatus::Done
        | RunStatus::Skipped
        | RunStatus::Imported
        | RunStatus::Undone
        | RunStatus::Cancelled => Exit::Done,
        RunStatus::Failed => Exit::Failed,
        RunStatus::Unknown => Exit::Unknown,
        RunStatus::Pending | RunStatus::Running | RunStatus::Waiting => Exit::Waiting,
    }
}

fn moment(text: Option<&str>) -> Result<Timestamp, Failure> {
    let Some(text) = text else {
        return Ok(JumpClock::START);
    };
    let moment: jiff::Timestamp = text.parse().map_err(|_| {
        Failure::usage(format!(
            "--now {text:?} is no moment: write it like 2026-01-05T09:00:00Z. Nothing was run."
        ))
    })?;
    Ok(Timestamp(moment.as_millisecond()))
}
