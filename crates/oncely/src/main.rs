//! The oncely binary: configuration, the registry of actions and sources, and commands.

mod adopt;
mod catch;
mod cli;
mod commands;
mod config;
mod databases;
mod disk;
mod failure;
mod gateway;
mod github;
mod house;
mod links;
mod output;
mod overview;
mod place;
mod points;
mod project;
mod protected;
mod registry;
mod services;
mod store;

use clap::Parser;
use cli::{Cli, Command, Style};
use failure::{Exit, Failure};
use output::Voice;
use std::process::ExitCode;

/// Requests are rendered on one thread and let go of on another, which the C library's allocator
/// does under a lock.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What clap has to say: help, the version, or why the command line cannot be read.
fn misread(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A closed pipe is nobody's error.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if std::env::args_os().any(|argument| argument == "--json") {
        let words = error.render().to_string();
        let words = words.trim_start_matches("error: ").trim_end();
        output::complain(Voice::new(true), &Failure::usage(words));
    } else {
        let _ = error.print();
    }
    Exit::Usage.into()
}

fn main() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|a| a == registry::SUPERVISE)
    {
        return oncely_actions::supervisor_main(std::env::args_os().skip(2));
    }
    oncely_names::look_up_without_modules();
    if let Err(why) = points::watch() {
        output::complain(Voice::new(false), &Failure::usage(why));
        return Exit::Usage.into();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            return misread(&error);
        }
    };
    let voice = Voice::new(cli.global.json);
    let voice = match &cli.command {
        Command::Run(args) => match voice.in_format(args.format) {
            Ok(voice) => voice,
            Err(failure) => {
                output::complain(voice, &failure);
                return failure.exit.into();
            }
        },
        _ => voice,
    };
    match dispatch(cli, voice) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::complain(voice, &failure);
            failure.exit.into()
        }
    }
}

fn dispatch(cli: Cli, voice: Voice) -> Result<Exit, Failure> {
    let flags = config::Flags {
        project: cli.global.project,
        environment: cli.global.env,
    };
    match cli.command {
        Command::Init(args) => commands::init::run(voice, &flags, &args),
        Command::New(args) => commands::new::run(voice, &flags, &args),
        Command::Check(args) => commands::check::run(voice, &flags, &args),
        Command::Plan(args) => commands::plan::run(voice, &flags, &args),
        Command::Run(args) => commands::run::run(voice, &flags, &args),
        Command::Baseline(args) => commands::baseline::run(voice, &flags, args),
        Command::Import(args) => commands::import::run(voice, &flags, args),
        Command::Call(args) => commands::call::run(voice, &flags, args),
        Command::Test(args) => commands::test::run(voice, &flags, &args),
        Command::Status(args) => match args.style {
            Some(Style::AfterParty) => commands::up_or_down::run(voice, &flags),
            None => commands::status::run(voice, &flags),
        },
        Command::Runs(args) => commands::runs::run(voice, &flags, &args),
        Command::Show(args) => commands::show::run(voice, &flags, &args),
        Command::Logs(args) => commands::logs::run(voice, &flags, &args),
        Command::Why(args) => commands::why::run(voice, &flags, &args),
        Command::Approve(args) => commands::people::answer(voice, &flags, args, true),
        Command::Reject(args) => commands::people::answer(voice, &flags, args, false),
        Command::Link(args) => commands::link::run(voice, &flags, &args),
        Command::Settle(args) => commands::settle::run(voice, &flags, args),
        Command::Skip(args) => commands::skip::run(voice, &flags, args),
        Command::Resume(args) => commands::people::resume(voice, &flags, args),
        Command::Rerun(args) => commands::people::rerun(voice, &flags, args),
        Command::Undo(args) => commands::undo::run(voice, &flags, args),
        Command::Rollback(args) => commands::rollback::run(voice, &flags, args),
        Command::Pause(args) => commands::people::pause(voice, &flags, args),
        Command::Cancel(args) => commands::people::cancel(voice, &flags, args),
        Command::Serve(args) => commands::serve::run(voice, &flags, &args),
        Command::Dev(args) => commands::dev::run(voice, &flags, &args),
        Command::Workers => commands::workers::run(voice, &flags),
        Command::Demo(args) => commands::demo::run(voice, args),
        Command::Model(args) => commands::model::run(voice, &flags, args),
        Command::Schema => commands::schema::run(),
        Command::Completion { shell } => commands::completion::run(shell),
        Command::Doctor => commands::doctor::run(voice, &flags),
        Command::Forget(args) => commands::forget::run(voice, &flags, &args),
        Command::Ledger(args) => commands::ledger::run(voice, &flags, &args),
        Command::Supervise { args } => Err(Failure::usage(format!(
            "{} is for oncely itself ({} arguments)",
            registry::SUPERVISE,
            args.len()
        ))),
    }
}
