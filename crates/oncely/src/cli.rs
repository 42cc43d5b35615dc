//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Work that must happen once, when something else happens.
#[derive(Debug, Parser)]
#[command(
    name = "oncely",
    version,
    about,
    max_term_width = 100,
    after_help = "Exit codes: 0 done, nothing to do, or waiting for a person; 1 a task failed; 2 a file or the\n\
                  command line is wrong and nothing was run; 3 waiting for a person, with --strict-exit;\n\
                  4 an attempt is unknown.\n\nStart with `oncely init`, or `oncely demo`."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The project's folder; default: where oncely.toml is, here or above
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) project: Option<PathBuf>,
    /// The environment, such as production; over ONCELY_ENV and oncely.toml
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// Speak JSON, a value a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a project: oncely.toml and a folder for tasks
    Init(Init),
    /// Write a new task file that works as it is
    #[command(visible_alias = "generate")]
    New(New),
    /// Read every task file and say all that is wrong
    Check(Check),
    /// Say what `run` would do and which effects it has, and do nothing
    Plan(Plan),
    /// Do every release task that has not been done in this environment
    Run(Run),
    /// Mark release tasks as skipped in this environment: they were done before oncely came
    Baseline(Baseline),
    /// Take over what after_party or data_migrate has recorded, without changing it
    Import(Import),
    /// Call a task by hand, once for each key
    Call(Call),
    /// Run a task with its effects caught and shown, for your own tests and CI; nothing is kept
    Test(Test),
    /// Show each task, its last run, and what needs a person
    Status(Status),
    /// List runs, newest first
    Runs(Runs),
    /// Show one run: its facts, outputs and items set aside
    Show(RunArg),
    /// Tell what happened, in the order it happened
    Logs(Logs),
    /// Say whether an event arrived, what it started, or why it did not
    Why(Why),
    /// Say yes to a run that waits for a person
    Approve(Answer),
    /// Say no to a run that waits for a person
    Reject(Answer),
    /// Make a link by which a person answers a run's question on a page
    Link(Link),
    /// Say what became of an attempt that nobody knows about, or have it looked up
    Settle(Settle),
    /// Go on without the step at which a run stands
    Skip(Skip),
    /// Go on with a failed or paused run from where it stopped
    Resume(Act),
    /// Do an ended run once more, on purpose: the next generation, with the task as it is now
    Rerun(Act),
    /// Take back what a run did: show what that is, ask, and do it in reverse order
    Undo(Undo),
    /// Take back the release tasks that ran first in releases after this one
    Rollback(Rollback),
    /// Hold a run at its next commit
    Pause(Act),
    /// End a run at its next commit
    Cancel(Act),
    /// Watch the sources and do what is due until told to stop
    Serve(Serve),
    /// Run tasks as their files are saved, with a ledger in memory, and catch mail, Slack and HTTP
    Dev(Dev),
    /// List the processes at work on the ledger, and what each of them holds
    Workers,
    /// See oncely predict a census, be killed twice, and lose nothing
    Demo(Demo),
    /// Train, evaluate and use models
    #[command(subcommand)]
    Model(Model),
    /// Print the JSON Schema of task files, for editors
    Schema,
    /// Print completions for a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Check configuration, ledger, disk, clock and permissions
    Doctor,
    /// Remove the data of the runs of a key for good: what was done stays, and the key as a hash
    Forget(Forget),
    /// Look after the ledger
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// The process that ends a step's program when its worker dies
    #[command(hide = true, name = "__supervise")]
    Supervise {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Also find what these files and those of a branch or commit get wrong only together
    #[arg(long, value_name = "REF")]
    pub(crate) against: Option<String>,
    /// Exit 2 when a release task is older than some that the other branch has already
    #[arg(long, requires = "against")]
    pub(crate) deny_late: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Where; default: here
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Lang {
    Toml,
    Sh,
    Py,
    Rb,
    Js,
    Sql,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum On {
    Release,
    Object,
    Schedule,
    Webhook,
    Call,
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// Its name, such as notify_issue_111
    pub(crate) name: String,
    /// What it does, for people
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// The language of the file
    #[arg(long, value_enum, default_value = "toml")]
    pub(crate) lang: Lang,
    /// What starts it
    #[arg(long, value_enum, default_value = "release")]
    pub(crate) on: On,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PhaseArg {
    Before,
    After,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Tasks of one phase only
    #[arg(long, value_enum)]
    pub(crate) phase: Option<PhaseArg>,
    /// What is released; default: from HEROKU_RELEASE_VERSION, KAMAL_VERSION, GITHUB_SHA or git
    #[arg(long, value_name = "ID")]
    pub(crate) release: Option<String>,
    #[command(flatten)]
    pub(crate) chosen: Chosen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnBusy {
    /// Wait until the other one is done
    Wait,
    /// Do nothing and exit 0
    Skip,
    /// Do nothing and exit 1
    Fail,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// What was released; default: from HEROKU_RELEASE_VERSION, KAMAL_VERSION, GITHUB_SHA or git
    #[arg(long, value_name = "ID")]
    pub(crate) release: Option<String>,
    /// Tasks of one phase only
    #[arg(long, value_enum)]
    pub(crate) phase: Option<PhaseArg>,
    /// When another process is running this environment's release tasks
    #[arg(long, value_enum, default_value = "wait")]
    pub(crate) on_busy: OnBusy,
    /// Only say what would run
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Go on with the next task when one has failed or is unknown
    #[arg(long)]
    pub(crate) keep_going: bool,
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// In an environment with nothing recorded and many tasks: do all, or skip what is there
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) first_run: Option<FirstRun>,
    /// Why what is there is skipped, with `--first-run baseline`. A protected environment needs it
    #[arg(
        long,
        value_name = "T",
        default_value = "",
        hide_default_value = true,
        requires = "first_run"
    )]
    pub(crate) reason: String,
    /// Exit 3 when a task waits for a person
    #[arg(long)]
    pub(crate) strict_exit: bool,
    /// Leave what is pending to a running `oncely serve`, in order
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) detach: bool,
    /// Wait for answers of people, and for what is detached; at most so long, such as `30m`. Exit 3 when
    /// not all is done then
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "",
        conflicts_with = "dry_run"
    )]
    pub(crate) wait: Option<String>,
    /// How it speaks: to people, in JSON as with --json, or in the workflow commands of GitHub Actions
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// To people
    Text,
    /// In JSON, a value a line
    Json,
    /// To GitHub Actions: a group for each task, and annotations
    Github,
}

/// Which release tasks a command is about.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Chosen {
    /// Only these tasks, by version or file name
    #[arg(long, value_name = "TASK")]
    pub(crate) only: Vec<String>,
    /// All but these tasks
    #[arg(long, value_name = "TASK", conflicts_with = "only")]
    pub(crate) except: Vec<String>,
    /// Only tasks with one of these tags
    #[arg(long, value_name = "WORD")]
    pub(crate) tag: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FirstRun {
    /// Do every task, old ones too
    All,
    /// Mark every task as skipped and do none
    Baseline,
}

#[derive(Debug, Args)]
pub(crate) struct Baseline {
    /// Only tasks whose version is lower than this one; as texts, as they are ordered
    #[arg(long, value_name = "VERSION")]
    pub(crate) before: Option<String>,
    /// Why, for those who ask later; default: done before oncely came. A protected environment needs it
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// Who says so; default: ONCELY_USER or USER
    #[arg(long)]
    pub(crate) by: Option<String>,
    /// Only say which
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// As another tool prints it, for what reads that
    #[arg(long, value_enum)]
    pub(crate) style: Option<Style>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Style {
    /// As `rake after_party:status` does: up is done for ever, down is not
    #[value(name = "after_party", alias = "after-party")]
    AfterParty,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tool {
    /// The Ruby gem after_party: the table task_records, or task_record
    #[value(name = "after_party", alias = "after-party")]
    AfterParty,
    /// The Ruby gem data_migrate: the table data_migrations
    #[value(name = "data_migrate", alias = "data-migrate")]
    DataMigrate,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Who recorded it
    #[arg(value_enum)]
    pub(crate) tool: Tool,
    /// The application's database: a URL without a password, an SQLite file, or env:NAME; default:
    /// that of [adopt.rake], else env:DATABASE_URL
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// The table, where it has another name
    #[arg(long, value_name = "NAME")]
    pub(crate) table: Option<String>,
    /// Who says so; default: ONCELY_USER or USER
    #[arg(long)]
    pub(crate) by: Option<String>,
    /// Only say what would be imported
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Call {
    /// The task
    pub(crate) task: String,
    /// The event, a JSON object in a file; - reads standard input; default: {}
    #[arg(long, value_name = "FILE")]
    pub(crate) event: Option<PathBuf>,
    /// The event's key: the same key starts the task only once
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Only admit it, for a running `oncely serve` to do
    #[arg(long)]
    pub(crate) detach: bool,
    /// Start it in the `oncely dev` that is at work in this project
    #[arg(long, conflicts_with_all = ["detach", "strict_exit"])]
    pub(crate) dev: bool,
    /// Exit 3 when it waits for a person
    #[arg(long)]
    pub(crate) strict_exit: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The task
    pub(crate) task: String,
    /// The event, a JSON object in a file; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) event: Option<PathBuf>,
    /// For a task that watches a folder: the object that lands, a file of the project
    #[arg(long, value_name = "FILE", conflicts_with = "event")]
    pub(crate) file: Option<PathBuf>,
    /// What steps are said to have given, a TOML file: [steps.charge] with json = { id = "ch_1" }
    #[arg(long, value_name = "FILE")]
    pub(crate) answers: Option<PathBuf>,
    /// The event's key; default: what the task says of the event
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// When it begins, such as 2026-01-05T09:00:00Z, which is the default
    #[arg(long, value_name = "TIME")]
    pub(crate) now: Option<String>,
    /// Take the run back afterwards, and show that too
    #[arg(long)]
    pub(crate) undo: bool,
    /// Exit 0 when this file says the same as what is shown, else 1 with the difference
    #[arg(long, value_name = "FILE")]
    pub(crate) expect: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Runs {
    /// Of one task
    #[arg(long)]
    pub(crate) task: Option<String>,
    /// In one state: pending, running, waiting, done, failed, unknown, cancelled, skipped
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct RunArg {
    /// The run's number
    pub(crate) run: i64,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The run's number; default: every run
    pub(crate) run: Option<i64>,
    /// Go on telling
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The newest so many runs
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    /// An event's key, or the beginning of one
    pub(crate) key: String,
}

#[derive(Debug, Args)]
pub(crate) struct Answer {
    /// The run's number
    pub(crate) run: i64,
    /// What is to be remembered with the answer
    #[arg(long, default_value = "")]
    pub(crate) note: String,
    /// Tick a thing of the question, by its number, or `all`; a yes needs all of them
    #[arg(long, value_name = "N")]
    pub(crate) tick: Vec<String>,
    /// Who answers; default: the user of this shell. It is claimed, not proved
    #[arg(long)]
    pub(crate) by: Option<String>,
    /// Leave the rest to a running `oncely serve`
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Link {
    /// The run's number
    pub(crate) run: i64,
    /// In whose name it answers: a person of `[people]`
    #[arg(long = "for", value_name = "PERSON")]
    pub(crate) person: String,
    /// How long it lasts, such as `4h`, at most two weeks and not longer than the question
    #[arg(long, default_value = "1d", value_name = "TIME")]
    pub(crate) expires: String,
    /// Who makes it; default: the user of this shell
    #[arg(long)]
    pub(crate) by: Option<String>,
}

#[derive(Debug, Args)]
#[command(override_usage = "oncely settle [OPTIONS] <RUN> [STEP] <done|not-done|probe>")]
pub(crate) struct Settle {
    /// The run's number
    pub(crate) run: i64,
    /// The step in doubt, to be sure; and `done`: it happened; `not-done`: it did not, and is to be
    /// done; or `probe`: look it up
    #[arg(required = true, num_args = 1..=2, value_names = ["STEP", "done|not-done|probe"])]
    pub(crate) words: Vec<String>,
    /// One item of a `for_each` step, by its number; several where it is said several times
    #[arg(long, value_name = "N")]
    pub(crate) item: Vec<u64>,
    /// How you know; `done` and `not-done` need it
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    /// Who says so; default: the user of this shell
    #[arg(long)]
    pub(crate) by: Option<String>,
    /// Leave the rest to a running `oncely serve`
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Skip {
    /// The run's number
    #[arg(value_parser = run_to_skip)]
    pub(crate) run: i64,
    /// The step at which it stands, to be sure
    pub(crate) step: Option<String>,
    /// Why; a protected environment needs it
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    /// Who says so; default: the user of this shell
    #[arg(long)]
    pub(crate) by: Option<String>,
    /// Leave the rest to a running `oncely serve`
    #[arg(long)]
    pub(crate) detach: bool,
}

fn run_to_skip(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| {
        "a run has a number, which `oncely runs` shows. A release task that has no run yet is \
         recorded as skipped by `oncely baseline`"
            .to_owned()
    })
}

#[derive(Debug, Args)]
pub(crate) struct Act {
    /// The run's number
    pub(crate) run: i64,
    /// Why; a protected environment needs it
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    /// Who asks; default: the user of this shell
    #[arg(long)]
    pub(crate) by: Option<String>,
    /// Leave the rest to a running `oncely serve`
    #[arg(long)]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Undo {
    /// The run's number
    pub(crate) run: i64,
    #[command(flatten)]
    pub(crate) how: Taking,
    /// Leave the rest to a running `oncely serve`
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) detach: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The release that the environment goes back to
    #[arg(long, value_name = "RELEASE")]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) how: Taking,
}

/// How something is taken back.
#[derive(Debug, Args)]
pub(crate) struct Taking {
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Leave effects as they are that no task says how to take back
    #[arg(long)]
    pub(crate) partly: bool,
    /// Only say what would be taken back
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Why; a protected environment needs it
    #[arg(long, default_value = "")]
    pub(crate) reason: String,
    /// Who asks; default: the user of this shell
    #[arg(long)]
    pub(crate) by: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Stop once everything that is there has been dealt with
    #[arg(long)]
    pub(crate) until_idle: bool,
    /// So many processes, each a worker, and another in the place of one that is gone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) workers: Option<u16>,
    /// Stop when standard input ends: a worker of `--workers` goes with the process that started it
    #[arg(long, hide = true, conflicts_with = "workers")]
    pub(crate) until_eof: bool,
}

/// A kind of effect that can be caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CatchArg {
    Command,
    Sql,
    Put,
    /// Everything with an effect
    All,
}

#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Catch these too, which are really done otherwise
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    pub(crate) catch: Vec<CatchArg>,
    /// Say yes to every question, with everything ticked
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where the demo's folder is made; it must not exist. Default: a new temporary folder
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Model {
    /// Learn from a file of records
    Train(Train),
    /// Measure a model on records whose answers are known
    Evaluate(Evaluate),
    /// Predict the records of a file
    Predict(Predict),
    /// List the project's models
    List,
    /// Show a model: schema, recipe, metrics, checksum
    Show {
        /// The model
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Train {
    /// The model's name
    pub(crate) name: String,
    /// Records, CSV with a header
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// The column to be predicted; default: from the schema
    #[arg(long)]
    pub(crate) target: Option<String>,
    /// A data schema; default: derived from the data
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Option<PathBuf>,
    /// A recipe; default: derived from the schema
    #[arg(long, value_name = "FILE")]
    pub(crate) recipe: Option<PathBuf>,
    /// Share of the rows, from the first on, to learn from; the rest evaluates the model
    #[arg(long, default_value_t = 0.7)]
    pub(crate) split: f64,
    /// Strength of L1 regularisation; default: chosen on training rows
    #[arg(long)]
    pub(crate) l1: Option<f64>,
    /// Strength of L2 regularisation; default: chosen on training rows
    #[arg(long)]
    pub(crate) l2: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    /// The model
    pub(crate) name: String,
    /// Records whose answers are known, CSV with a header
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// Only the last rows: this share of them, from the first on, is left out
    #[arg(long, default_value_t = 0.0)]
    pub(crate) skip: f64,
    /// Write a self-contained page with the curves drawn
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write the score and the truth of each row as CSV
    #[arg(long, value_name = "FILE")]
    pub(crate) scores: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Predict {
    /// The model
    pub(crate) name: String,
    /// Records, CSV with a header; - reads standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Write everything in the ledger as JSON lines
    Export,
    /// Bring the ledger to this version, after a backup
    Migrate,
    /// Take the ledger from its file to a PostgreSQL database, with nothing lost
    Move(MoveTo),
    /// Copy the ledger to a file while others work on it, and look the copy over
    Backup(Backup),
    /// Put a backup in the place of the ledger, and keep the one that was there
    Restore(Restore),
    /// Count what the ledger holds, and what it takes on the disk
    Stats,
    /// Look over whether the ledger is what was written: the database, and each run
    Verify,
    /// Go on with a ledger of which the end was lost, and hold what may have gone on since
    Repair(Repair),
    /// Remove what is kept of runs that ended long ago; their keys stay, so that nothing starts twice
    Prune(Prune),
}

#[derive(Debug, Args)]
pub(crate) struct Forget {
    /// The key of the event, as `oncely runs` shows it
    pub(crate) key: String,
    /// Only runs of this task
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// Why, for those who ask later: without the data itself
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    /// Who says so; default: ONCELY_USER or USER
    #[arg(long)]
    pub(crate) by: Option<String>,
    /// Also write the ledger's file anew, so that no free part of it holds anything; others wait meanwhile
    #[arg(long)]
    pub(crate) rewrite: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Runs that ended, and last changed so long ago: `90d`, `36h`
    #[arg(long, value_name = "TIME")]
    pub(crate) older_than: String,
    /// Only runs of this task
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// Failed runs too; they can be resumed no more then
    #[arg(long)]
    pub(crate) failed: bool,
    /// Only say how many
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Why, for those who ask later. A protected environment needs it
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    /// Who says so; default: ONCELY_USER or USER
    #[arg(long)]
    pub(crate) by: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The file to write
    pub(crate) file: PathBuf,
    /// Replace the file where it is there already
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Repair {
    /// What happened to the ledger, and why it is gone on with
    #[arg(long)]
    pub(crate) reason: String,
    /// Hold every run that had not ended, also where it could go on by itself
    #[arg(long, conflicts_with = "go_on")]
    pub(crate) hold_all: bool,
    /// After the repair: let every run of this task go on that is held because of it
    #[arg(long, value_name = "TASK")]
    pub(crate) go_on: Option<String>,
    /// Who says so; default: the user of this shell
    #[arg(long)]
    pub(crate) by: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The backup
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct MoveTo {
    /// The database: a URL without a password, or env:NAME for the variable that holds it
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
}
