//! The kinds of steps, the moments of their lives, and the points that each comes to.

use super::tasks;
use oncely_core::points::Point::{self, *};
use std::fmt;

/// When in the life of a run the process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// While the run is done for the first time.
    First,
    /// While the attempt is made that follows on one which was cut off.
    Again,
    /// While the other side says no at first and yes later.
    Retry,
    /// While somebody answers a question, and what follows is done.
    Answer,
    /// While what was done is taken back.
    Undo,
    /// The process is not ended but stopped beyond its lease, and wakes when another one has done its
    /// work.
    Stopped,
}

impl Phase {
    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Again => "again",
            Self::Retry => "retry",
            Self::Answer => "answer",
            Self::Undo => "undo",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a run is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// By `oncely call`, which also does it.
    Call,
    /// By `oncely call --detach`; a server does it.
    Left,
    /// By a file in a folder that a server watches.
    File,
    /// By a request to a server.
    Hook,
}

/// Where its effects are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Medium {
    /// By somebody who hears of them: an endpoint, a program, a mail server.
    Told,
    /// As rows of a database of the application, or of the ledger's own.
    Rows,
    /// As a file.
    File,
    /// It has none.
    Nothing,
}

/// A kind of step.
#[derive(Debug)]
pub struct Kind {
    /// Its name, and that of its task.
    pub name: &'static str,
    pub(crate) task: &'static str,
    pub(crate) start: Start,
    pub(crate) medium: Medium,
    /// Nobody recognises its effect when it comes again.
    pub(crate) unkeyed: bool,
    /// Items of its event; none where it has no items.
    pub(crate) items: u64,
    /// How often its effect is made for one event or item.
    pub(crate) times: u64,
    /// The moments of its life, each with the points that it must come to.
    pub(crate) lives: &'static [(Phase, &'static [&'static [Point]])],
    /// Where its first attempt is cut off before anything happens.
    pub(crate) cut: Point,
}

impl Kind {
    /// The points that it must come to.
    pub(crate) fn points(&self, phase: Phase) -> Vec<Point> {
        let lives = self.lives.iter().filter(|(of, _)| *of == phase);
        lives
            .flat_map(|(_, lists)| lists.iter().copied().flatten().copied())
            .collect()
    }
}

const ADMIT: &[Point] = &[AdmitBefore, AdmitAfter];
const TRY: &[Point] = &[
    ClaimAfter,
    IntentBefore,
    IntentAfter,
    OutcomeBefore,
    OutcomeAfter,
];
const ACT: &[Point] = &[EffectBefore, EffectAfter];
const END: &[Point] = &[EndBefore, EndAfter];
const REST: &[Point] = &[RestBefore, RestAfter];
const LEDGER: &[Point] = &[LedgerBegun, LedgerApplied, LedgerCommitted, LedgerAnswered];
const UNDO: &[Point] = &[UndoAskedBefore, UndoAskedAfter, UndoneBefore, UndoneAfter];
const PERSON: &[Point] = &[PersonBefore, PersonAfter];
const ITEMS: &[Point] = &[
    ItemIntentBefore,
    ItemIntentAfter,
    ItemOutcomeBefore,
    ItemOutcomeAfter,
    ItemsToldBefore,
    ItemsToldAfter,
];
const TAKEN: &[Point] = &[ItemsTakenBefore, ItemsTakenAfter];
const ROWS: &[Point] = &[RowsOpened, RowsBefore, RowsApplied, RowsCommitted];
const SQL: &[Point] = &[SqlApplied, SqlCommitted];
const COMMAND: &[Point] = &[CommandStarted, CommandEnded];
const HTTP: &[Point] = &[HttpAnswered];
const MAIL: &[Point] = &[MailTaken];
const PUT: &[Point] = &[PutWritten, PutPlaced];
const REMOVE: &[Point] = &[InverseBefore, InverseAfter, PutRemoved];
const LOOK: &[Point] = &[LookBefore, LookAfter];
const SPOOL: &[Point] = &[SpoolCopied, SpoolMoved, SpoolKept];
const SOURCE: &[Point] = &[SourcePolled, AcknowledgeBefore, AcknowledgeAfter];
const HOOK: &[Point] = &[HookTaken, HookKnown];

const PLAIN: Kind = Kind {
    name: "",
    task: "",
    start: Start::Call,
    medium: Medium::Told,
    unkeyed: false,
    items: 0,
    times: 1,
    lives: &[],
    cut: EffectBefore,
};

/// Every kind of step that has an effect or decides one, and every way in.
pub static KINDS: &[Kind] = &[
    Kind {
        name: "command",
        task: tasks::COMMAND,
        lives: &[
            (Phase::First, &[ADMIT, TRY, ACT, COMMAND, END, LEDGER]),
            (Phase::Again, &[TRY, ACT, COMMAND, END, LEDGER]),
            (Phase::Retry, &[TRY, ACT, COMMAND, REST, END, LEDGER]),
            (Phase::Undo, &[UNDO, TRY, ACT, COMMAND, END, LEDGER]),
        ],
        ..PLAIN
    },
    Kind {
        name: "command-unkeyed",
        task: tasks::COMMAND_UNKEYED,
        unkeyed: true,
        lives: &[
            (Phase::First, &[ADMIT, TRY, ACT, COMMAND, END, LEDGER]),
            (Phase::Again, &[PERSON, TRY, ACT, COMMAND, END, LEDGER]),
            (Phase::Retry, &[TRY, ACT, COMMAND, REST, END, LEDGER]),
            (Phase::Undo, &[UNDO, TRY, ACT, COMMAND, END, LEDGER]),
        ],
        ..PLAIN
    },
    Kind {
        name: "http",
        task: tasks::HTTP,
        lives: &[
            (Phase::First, &[ADMIT, TRY, ACT, HTTP, END, LEDGER]),
            (Phase::Again, &[TRY, ACT, HTTP, END, LEDGER]),
            (Phase::Retry, &[TRY, ACT, HTTP, REST, END, LEDGER]),
            (Phase::Undo, &[UNDO, TRY, ACT, HTTP, END, LEDGER]),
            (
                Phase::Stopped,
                &[&[ClaimAfter, EffectBefore, EffectAfter, OutcomeBefore]],
            ),
        ],
        ..PLAIN
    },
    Kind {
        name: "http-unkeyed",
        task: tasks::HTTP_UNKEYED,
        unkeyed: true,
        lives: &[
            (Phase::First, &[ADMIT, TRY, ACT, HTTP, END, LEDGER]),
            (Phase::Again, &[PERSON, TRY, ACT, HTTP, END, LEDGER]),
            (Phase::Retry, &[TRY, ACT, HTTP, REST, END, LEDGER]),
            (Phase::Undo, &[UNDO, TRY, ACT, HTTP, END, LEDGER]),
        ],
        ..PLAIN
    },
    Kind {
        name: "http-looked-up",
        task: tasks::HTTP_LOOKED_UP,
        unkeyed: true,
        // It did happen, which a look-up finds.
        cut: EffectAfter,
        lives: &[(Phase::Again, &[LOOK, END, LEDGER])],
        ..PLAIN
    },
    Kind {
        name: "sql-ledger",
        task: tasks::SQL_LEDGER,
        medium: Medium::Rows,
        lives: &[
            (Phase::First, &[ADMIT, TRY, ACT, END, LEDGER]),
            (Phase::Again, &[TRY, ACT, END, LEDGER]),
            (Phase::Undo, &[UNDO, TRY, ACT, END, LEDGER]),
        ],
        ..PLAIN
    },
    Kind {
        name: "sql",
        task: tasks::SQL,
        medium: Medium::Rows,
        lives: &[
            (Phase::First, &[ADMIT, TRY, ACT, SQL, END, LEDGER]),
            (Phase::Again, &[TRY, ACT, SQL, END, LEDGER]),
            (Phase::Undo, &[UNDO, TRY, ACT, SQL, END, LEDGER]),
        ],
        ..PLAIN
    },
    Kind {
        name: "put",
        task: tasks::PUT,
        medium: Medium::File,
        lives: &[
            (Phase::First, &[ADMIT, TRY, ACT, PUT, END, LEDGER]),
            (Phase::Again, &[TRY, ACT, PUT, END, LEDGER]),
            (Phase::Undo, &[UNDO, TRY, REMOVE, END, LEDGER]),
        ],
        ..PLAIN
    },
    Kind {
        name: "email",
        task: tasks::EMAIL,
        unkeyed: true,
        lives: &[
            (Phase::First, &[ADMIT, TRY, ACT, MAIL, END, LEDGER]),
            (Phase::Again, &[PERSON, TRY, ACT, MAIL, END, LEDGER]),
            (Phase::Retry, &[TRY, ACT, MAIL, REST, END, LEDGER]),
            (Phase::Undo, &[UNDO, TRY, ACT, MAIL, END, LEDGER]),
        ],
        ..PLAIN
    },
    Kind {
        name: "slack",
        task: tasks::SLACK,
        unkeyed: true,
        lives: &[
            (Phase::First, &[ADMIT, TRY, ACT, END, LEDGER]),
            (Phase::Again, &[PERSON, TRY, ACT, END, LEDGER]),
            (Phase::Retry, &[TRY, ACT, REST, END, LEDGER]),
            (Phase::Undo, &[UNDO, TRY, ACT, END, LEDGER]),
        ],
        ..PLAIN
    },
    Kind {
        name: "predict",
        task: tasks::PREDICT,
        medium: Medium::Nothing,
        lives: &[
            (Phase::First, &[ADMIT, TRY, ACT, END, LEDGER]),
            (Phase::Again, &[TRY, ACT, END, LEDGER]),
        ],
        ..PLAIN
    },
    Kind {
        name: "require",
        task: tasks::REQUIRE,
        lives: &[(Phase::First, &[ADMIT, TRY, ACT, HTTP, END, LEDGER])],
        ..PLAIN
    },
    Kind {
        name: "approve",
        task: tasks::APPROVE,
        lives: &[
            (Phase::First, &[ADMIT, &[ClaimAfter], REST, LEDGER]),
            (Phase::Answer, &[PERSON, TRY, ACT, HTTP, END, LEDGER]),
        ],
        ..PLAIN
    },
    Kind {
        name: "rows",
        task: tasks::ROWS,
        medium: Medium::Rows,
        items: 3,
        cut: RowsBefore,
        lives: &[
            (Phase::First, &[ADMIT, TRY, ROWS, END, LEDGER]),
            (Phase::Again, &[TRY, ROWS, END, LEDGER]),
            (Phase::Stopped, &[&[RowsOpened, RowsBefore, OutcomeBefore]]),
        ],
        ..PLAIN
    },
    Kind {
        name: "items-sql",
        task: tasks::EACH_SQL,
        medium: Medium::Rows,
        items: 3,
        lives: &[
            (Phase::First, &[ADMIT, TRY, ITEMS, ACT, SQL, END, LEDGER]),
            (Phase::Again, &[TRY, ITEMS, ACT, SQL, END, LEDGER]),
        ],
        ..PLAIN
    },
    Kind {
        name: "items",
        task: tasks::EACH,
        items: 3,
        lives: &[
            (Phase::First, &[ADMIT, TRY, ITEMS, ACT, HTTP, END, LEDGER]),
            (Phase::Again, &[TRY, ITEMS, ACT, HTTP, END, LEDGER]),
            (Phase::Retry, &[TRY, ITEMS, ACT, HTTP, END, LEDGER]),
            (
                Phase::Stopped,
                &[&[ItemIntentBefore, EffectBefore, ItemOutcomeBefore]],
            ),
        ],
        ..PLAIN
    },
    Kind {
        name: "items-unkeyed",
        task: tasks::EACH_UNKEYED,
        unkeyed: true,
        // A person settles the step as a whole: of several items some could have happened.
        items: 1,
        lives: &[
            (Phase::First, &[ADMIT, TRY, ITEMS, ACT, HTTP, END, LEDGER]),
            (Phase::Again, &[PERSON, TRY, ITEMS, ACT, HTTP, END, LEDGER]),
        ],
        ..PLAIN
    },
    Kind {
        name: "table",
        task: tasks::TABLE,
        items: 3,
        lives: &[
            (
                Phase::First,
                &[ADMIT, TRY, TAKEN, ITEMS, ACT, HTTP, END, LEDGER],
            ),
            (Phase::Again, &[TRY, ITEMS, ACT, HTTP, END, LEDGER]),
        ],
        ..PLAIN
    },
    Kind {
        name: "rounds",
        task: tasks::ROUNDS,
        start: Start::Left,
        times: 2,
        lives: &[
            (Phase::First, &[TRY, ACT, HTTP, REST, END, LEDGER]),
            (Phase::Again, &[TRY, ACT, HTTP, REST, END, LEDGER]),
        ],
        ..PLAIN
    },
    Kind {
        name: "call",
        task: tasks::CALL,
        lives: &[
            (Phase::First, &[ADMIT, TRY, ACT, END, LEDGER]),
            (Phase::Again, &[TRY, ACT, END, LEDGER]),
        ],
        ..PLAIN
    },
    Kind {
        name: "file",
        task: tasks::FILE,
        start: Start::File,
        lives: &[(
            Phase::First,
            &[
                SOURCE,
                SPOOL,
                ADMIT,
                &[IntentAfter, OutcomeBefore],
                ACT,
                END,
                LEDGER,
            ],
        )],
        ..PLAIN
    },
    Kind {
        name: "hook",
        task: tasks::HOOK,
        start: Start::Hook,
        lives: &[(
            Phase::First,
            &[SOURCE, HOOK, ADMIT, &[IntentAfter, OutcomeBefore], ACT, END],
        )],
        ..PLAIN
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_point_is_to_be_reached_by_some_kind() {
        let tried: BTreeSet<Point> = KINDS
            .iter()
            .flat_map(|kind| kind.lives.iter().flat_map(|(phase, _)| kind.points(*phase)))
            .collect();
        let left: Vec<_> = Point::ALL.iter().filter(|p| !tried.contains(p)).collect();
        assert!(left.is_empty(), "no kind is to come to {left:?}");
    }
}
