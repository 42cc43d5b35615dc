//! Every bound of oncely, with its unit in its name. What has no bound here has a bug.

/// Largest event, in bytes of JSON. Larger things are files, and events name them.
pub const EVENT_BYTES: usize = 1024 * 1024;
/// Longest event key, in bytes.
pub const KEY_BYTES: usize = 1024;
/// Longest task or step name, in bytes.
pub const NAME_BYTES: usize = 200;
/// Largest task file, template or script that a run is pinned to, in bytes.
pub const TASK_FILE_BYTES: usize = 1024 * 1024;
/// Most bytes of all files together that a task file names and that its text includes.
pub const TASK_FILES_BYTES: usize = 4 * 1024 * 1024;
/// Most task files in a folder.
pub const TASK_FILES: usize = 10_000;
/// Most steps in a task, and most steps in a `do` block.
pub const STEPS: usize = 100;
/// Largest recorded output of a step, in bytes of JSON.
pub const OUTPUT_BYTES: usize = 64 * 1024;
/// Longest recorded error text, in bytes.
pub const ERROR_BYTES: usize = 8 * 1024;
/// Most instructions of the expression language in one evaluation.
pub const TEMPLATE_FUEL: u64 = 200_000;
/// Largest text that a template may render to, in bytes.
pub const RENDERED_BYTES: usize = 1024 * 1024;
/// Deepest nesting of a value in a task file.
pub const NODE_DEPTH: usize = 32;
/// Most bytes of all attachments of a mail together, before they are encoded.
pub const ATTACHMENT_BYTES: u64 = 10 * 1024 * 1024;
/// Most attachments of a mail.
pub const ATTACHMENTS: usize = 20;
/// Most addresses that one mail is sent to.
pub const MAIL_RECIPIENTS: usize = 100;
/// Longest line of a record file, in bytes.
pub const RECORD_BYTES: usize = 1024 * 1024;
/// Most columns of a record.
pub const RECORD_COLUMNS: usize = 4096;
/// Items in one range of a `for_each` step, committed together.
pub const RANGE_ITEMS: usize = 1000;
/// Most items of a `rate` of a `for_each` step.
pub const RATE_ITEMS: u32 = 1_000_000_000;
/// Most files of a folder that a `for_each` step goes through.
pub const FOLDER_FILES: usize = 100_000;
/// Longest time of a look that says whether a `for_each` step goes on, in milliseconds.
pub const LOOK_MS: u64 = 10_000;
/// Bytes of raw input in one range of a `for_each` step: wide records make shorter ranges.
pub const RANGE_BYTES: usize = 4 * 1024 * 1024;
/// Longest input of a set-aside item that is kept, in bytes.
pub const SET_ASIDE_BYTES: usize = 4 * 1024;
/// Most tries of one step, whatever a task file says.
pub const ATTEMPTS: u32 = 1000;
/// Longest time of a rake file, in milliseconds, where it does not say: after_party has no limit.
pub const RAKE_MS: i64 = 24 * 3600 * 1000;
/// Longest wait between two tries, in milliseconds (seven days), whatever a server asks for.
pub const RETRY_WAIT_MS: i64 = 7 * 24 * 3600 * 1000;
/// Shortest time between two judgements of a condition, in milliseconds, whatever a task file says.
pub const JUDGE_EVERY_MS: i64 = 1000;
/// Most releases of an environment that are left to servers at a time.
pub const RELEASES_ASKED: usize = 100;
/// Most releases of an environment whose order is remembered.
pub const RELEASES: usize = 1000;
/// Shortest time between two messages about one question, in milliseconds.
pub const REMIND_EVERY_MS: i64 = 60 * 1000;
/// Most reminders of one question to one person.
pub const REMINDERS: u32 = 20;
/// Longest time that a link to a question lasts, in milliseconds (two weeks).
pub const LINK_MS: i64 = 14 * 24 * 3600 * 1000;
/// Most people who are told of one question.
pub const TOLD: usize = 50;
/// Most things to be ticked in one question.
pub const TICKS: usize = 20;
/// Longest text of a question, and of a thing to be ticked, in bytes.
pub const QUESTION_BYTES: usize = 16 * 1024;
/// Longest note or reason that a person gives, in bytes.
pub const NOTE_BYTES: usize = 4 * 1024;
/// Most people of a project.
pub const PEOPLE: usize = 1000;
/// Longest time that a step is held, in milliseconds (a year).
pub const HOLD_MS: i64 = 366 * 24 * 3600 * 1000;
/// Most tasks that cancel the runs of one.
pub const CANCEL_ON: usize = 8;
/// Most rounds of one step.
pub const ROUNDS: u32 = 1000;
/// Shortest time between two rounds of a step, in milliseconds.
pub const ROUND_EVERY_MS: i64 = 1000;
/// Longest time between two rounds of a step, in milliseconds (a year).
pub const ROUND_EVERY_MOST_MS: i64 = 366 * 24 * 3600 * 1000;
/// How long a round may be begun after the look before it, in milliseconds: then it is looked again.
pub const LOOKED_MS: i64 = 5 * 60 * 1000;
/// Shortest time between two ticks of `every`, in milliseconds.
pub const TICK_EVERY_MS: i64 = 1000;
/// Claims without progress after which a run is quarantined.
pub const CLAIMS_WITHOUT_PROGRESS: u32 = 5;
/// Most bytes of its disk that a ledger in a file sets apart for a full one: the outputs of as many attempts as
/// act at a time, and as much again for what is written beside them.
pub const RESERVE_BYTES: u64 = 2 * 64 * OUTPUT_BYTES as u64;
/// What part of a small disk that is at most: one in so many.
pub const RESERVE_PART: u64 = 16;
/// Units that the ledger's writer applies in one transaction.
pub const GROUP_UNITS: usize = 1000;
/// Runs that one commit of a prune looks at.
pub const PRUNE_RUNS: usize = 500;
/// Rows about items that one commit of a prune removes at most.
pub const PRUNE_ROWS: usize = 10_000;
/// Units whose statements may wait for locks at the same time in one process, with a ledger in
/// PostgreSQL: each takes a connection.
pub const STATEMENTS_APART: usize = 4;
/// Depth of task calls: a task that calls a task that calls a task ….
pub const CALL_DEPTH: u32 = 16;
/// Connections that the gateway serves at the same time, unless the operator says another number.
pub const GATEWAY_CONNECTIONS: usize = 256;
/// Connections above that which are told so before they are closed; the others are just closed.
pub const GATEWAY_TURNED_AWAY: usize = 64;
/// Longest head of a request to the gateway, in bytes: its first line and its headers.
pub const GATEWAY_HEAD_BYTES: usize = 32 * 1024;
/// Most headers of a request to the gateway.
pub const GATEWAY_HEADERS: usize = 100;
/// Largest body of a request to the gateway, in bytes.
pub const GATEWAY_BODY_BYTES: usize = EVENT_BYTES;
/// Most bytes of a body that are read and let go of, so that its sender hears that it is too large.
pub const GATEWAY_PASSED_OVER_BYTES: usize = 8 * EVENT_BYTES;
/// Longest time for a head, and for a body, to arrive, in milliseconds, unless the operator says
/// another.
pub const GATEWAY_READ_MS: u64 = 10_000;
/// Longest time for an answer to be made, in milliseconds.
pub const GATEWAY_ANSWER_MS: u64 = 30_000;
/// Requests to one webhook that wait for the ledger at the same time; others are to come again.
pub const HOOK_WAITING: usize = 1024;
/// Shortest time between two lines of the log about refused requests to one webhook, in
/// milliseconds.
pub const HOOK_COMPLAIN_EVERY_MS: i64 = 60 * 1000;
/// Most secrets of a webhook, of which any will do.
pub const HOOK_SECRETS: usize = 8;
/// How far the time that a sender signed may be from now, in milliseconds, unless the task says.
pub const HOOK_TOLERANCE_MS: i64 = 5 * 60 * 1000;
/// The longest such time, in milliseconds.
pub const HOOK_TOLERANCE_MOST_MS: i64 = 24 * 3600 * 1000;
/// Longest wait for connections to end when the process is told to stop, in milliseconds.
pub const GATEWAY_FAREWELL_MS: u64 = 5_000;

/// Items that a person settles at once.
pub const ITEMS_SETTLED: usize = 1000;
