//! Each action and its options, as they are documented.

use super::actions::{ActionDoc, Group, Names, OptionKind, OptionSpec, Short, TableSpec, Take};
use super::model::ActionKind;
use crate::limits;
use crate::question::Via;

pub(super) const fn option(name: &'static str, kind: OptionKind, doc: &'static str) -> OptionSpec {
    OptionSpec {
        name,
        kind,
        doc,
        required: false,
    }
}

pub(super) const fn required(
    name: &'static str,
    kind: OptionKind,
    doc: &'static str,
) -> OptionSpec {
    OptionSpec {
        name,
        kind,
        doc,
        required: true,
    }
}

const NO_WAY: &str = "write it out: no data may choose it";

pub(super) const COMMAND: ActionDoc = ActionDoc {
    kind: ActionKind::Command,
    doc: "Runs a program or a shell text. The event, earlier outputs and the run stand as JSON on \
          its standard input.",
    table: TableSpec {
        options: &[
            option(
                "args",
                OptionKind::Args,
                "The program and its arguments. No shell reads them.",
            ),
            option(
                "shell",
                OptionKind::Fixed("hand it over with `env` or `stdin` and read it as \"$NAME\""),
                "A text for `sh -c`.",
            ),
            option(
                "env",
                OptionKind::Map(Names::Variable, &OptionKind::Secret),
                "Environment variables added to the program's.",
            ),
            option(
                "stdin",
                OptionKind::Any,
                "What the program reads instead of the event: a text as it is, else JSON.",
            ),
            option(
                "cwd",
                OptionKind::FixedPath,
                "The folder it runs in; the project's root unless given.",
            ),
            option(
                "output",
                OptionKind::Choice(&["auto", "text", "json"]),
                "How standard output is read: `auto` reads JSON where it is JSON.",
            ),
            option(
                "safe",
                OptionKind::Bool,
                "Running it twice is the same as running it once.",
            ),
            option(
                "key_honoured",
                OptionKind::Duration,
                "How long the program recognises `ONCELY_KEY` and does nothing the second time.",
            ),
        ],
        groups: &[Group {
            names: &["args", "shell"],
            take: Take::One,
        }],
    },
    short: &[
        Short {
            list: true,
            option: "args",
        },
        Short {
            list: false,
            option: "shell",
        },
    ],
    in_do: true,
    effect: true,
};

const AUTH: TableSpec = TableSpec {
    options: &[
        option("bearer", OptionKind::Secret, "A bearer token."),
        option(
            "basic",
            OptionKind::Table(&TableSpec {
                options: &[
                    required("user", OptionKind::Text, "The user."),
                    required("password", OptionKind::Secret, "The password."),
                ],
                groups: &[],
            }),
            "User and password.",
        ),
    ],
    groups: &[Group {
        names: &["bearer", "basic"],
        take: Take::One,
    }],
};

pub(super) const HTTP: ActionDoc = ActionDoc {
    kind: ActionKind::Http,
    doc: "Sends a request.",
    table: TableSpec {
        options: &[
            option(
                "method",
                OptionKind::Choice(&["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "POST", "PATCH"]),
                "The method; without it `POST` where there is a body, else `GET`.",
            ),
            required(
                "url",
                OptionKind::Url,
                "Where to. Scheme and host are written out.",
            ),
            option(
                "headers",
                OptionKind::Map(Names::Header, &OptionKind::Secret),
                "Headers.",
            ),
            option(
                "auth",
                OptionKind::Table(&AUTH),
                "Who asks: a bearer token, or user and password.",
            ),
            option("json", OptionKind::Any, "A body of JSON."),
            option(
                "form",
                OptionKind::Map(Names::Any, &OptionKind::Text),
                "A body of form fields.",
            ),
            option("body", OptionKind::Text, "A body of text."),
            option(
                "key_honoured",
                OptionKind::Duration,
                "How long the other side recognises `Idempotency-Key`. Without it a POST that was \
                 cut off is unknown.",
            ),
            option(
                "redirects",
                OptionKind::Int(0, 10),
                "Redirects that are followed; 0 unless given.",
            ),
            option(
                "expect",
                OptionKind::List(&OptionKind::Int(100, 599)),
                "Status codes that count as done; 200 to 299 unless given.",
            ),
            option(
                "connect_timeout",
                OptionKind::Duration,
                "Longest time until the connection stands.",
            ),
            option(
                "first_byte_timeout",
                OptionKind::Duration,
                "Longest time until the answer begins.",
            ),
        ],
        groups: &[Group {
            names: &["json", "form", "body"],
            take: Take::AtMostOne,
        }],
    },
    short: &[],
    in_do: true,
    effect: true,
};

pub(super) const SQL: ActionDoc = ActionDoc {
    kind: ActionKind::Sql,
    doc: "Executes a statement. Its effect shares a commit with its record, or with a mark.",
    table: TableSpec {
        options: &[
            option(
                "db",
                OptionKind::Fixed(NO_WAY),
                "A database of `oncely.toml`; `ledger` unless given.",
            ),
            required(
                "text",
                OptionKind::Fixed("write `:name` in the statement and give it in `bind`"),
                "The statement, with `:name` for data.",
            ),
            option(
                "bind",
                OptionKind::Map(Names::Variable, &OptionKind::Any),
                "The values of the statement's names.",
            ),
        ],
        groups: &[],
    },
    short: &[],
    in_do: true,
    effect: true,
};

pub(super) const PUT: ActionDoc = ActionDoc {
    kind: ActionKind::Put,
    doc: "Writes a file, whole or not at all.",
    table: TableSpec {
        options: &[
            required(
                "to",
                OptionKind::Path,
                "The file, below the project's root. Its first folder is written out.",
            ),
            option("text", OptionKind::Text, "Its content."),
            option("json", OptionKind::Any, "Its content, as JSON."),
            option("copy", OptionKind::Text, "A file whose content it gets."),
            option(
                "if_absent",
                OptionKind::Bool,
                "An existing file is left as it is.",
            ),
        ],
        groups: &[Group {
            names: &["text", "json", "copy"],
            take: Take::One,
        }],
    },
    short: &[],
    in_do: true,
    effect: true,
};

pub(super) const PREDICT: ActionDoc = ActionDoc {
    kind: ActionKind::Predict,
    doc: "Predicts a value for a record with a trained model.",
    table: TableSpec {
        options: &[
            required(
                "model",
                OptionKind::Fixed(NO_WAY),
                "The model's name. The run is pinned to its version.",
            ),
            required("record", OptionKind::Any, "The record: a table by column."),
        ],
        groups: &[],
    },
    short: &[],
    in_do: true,
    effect: true,
};

pub(super) const REQUIRE: ActionDoc = ActionDoc {
    kind: ActionKind::Require,
    doc: "Goes on only when a condition holds.",
    table: TableSpec {
        options: &[
            required("that", OptionKind::Expr, "The condition."),
            option(
                "else",
                OptionKind::Choice(&["fail", "end", "retry"]),
                "What happens when it does not hold: the run fails, ends as skipped, or waits.",
            ),
            option(
                "every",
                OptionKind::Duration,
                "With `else = \"retry\"`: how often it is judged; 30s unless given.",
            ),
            option(
                "for",
                OptionKind::Duration,
                "With `else = \"retry\"`: how long; 1h unless given.",
            ),
            option(
                "message",
                OptionKind::Fixed(NO_WAY),
                "What people read when it does not hold.",
            ),
        ],
        groups: &[],
    },
    short: &[Short {
        list: false,
        option: "that",
    }],
    in_do: false,
    effect: false,
};

pub(super) const APPROVE: ActionDoc = ActionDoc {
    kind: ActionKind::Approve,
    doc: "Waits for a person.",
    table: TableSpec {
        options: &[
            required("text", OptionKind::Text, "What the person is asked."),
            option(
                "tick",
                OptionKind::List(&OptionKind::Text),
                "What they must tick one by one before they can say yes; at most 20 things.",
            ),
            option(
                "by",
                OptionKind::People,
                "Who may answer; everybody unless given.",
            ),
            option(
                "not_by",
                OptionKind::Choice(&["starter"]),
                "Who may not: the one who started the run.",
            ),
            option(
                "expires",
                OptionKind::Duration,
                "How long the question stands; no answer by then counts as no.",
            ),
            option(
                "tell",
                OptionKind::Choices(&Via::WORDS),
                "How those of `by` are told of it, each by a message of their own.",
            ),
            option(
                "remind",
                OptionKind::Duration,
                "With `tell`: how often they are told again while nobody has answered, at least a \
                 minute.",
            ),
            option(
                "reminders",
                OptionKind::Int(1, limits::REMINDERS as i64),
                "With `remind`: how often at most; 5 unless given.",
            ),
        ],
        groups: &[],
    },
    short: &[Short {
        list: false,
        option: "text",
    }],
    in_do: false,
    effect: false,
};

pub(super) const CALL: ActionDoc = ActionDoc {
    kind: ActionKind::Call,
    doc: "Calls another task, in the commit of this step's record.",
    table: TableSpec {
        options: &[
            required(
                "task",
                OptionKind::Fixed(NO_WAY),
                "The id of the task; it has `on.call`.",
            ),
            option("event", OptionKind::Any, "What it reads under `event`."),
            option(
                "key",
                OptionKind::Text,
                "The event's key; the effect key unless given.",
            ),
        ],
        groups: &[],
    },
    short: &[],
    in_do: false,
    effect: true,
};
