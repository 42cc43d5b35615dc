//! Why a command ends without having done what it was asked, and the exit code that says so.

use oncely_core::ledger::LedgerError;
use std::process::ExitCode;

/// What the exit code of a command means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, nothing to do, or waiting for a person.
    Done,
    /// A task failed, or what was asked could not be done.
    Failed,
    /// A file or the command line is wrong, and nothing was run.
    Usage,
    /// It waits for a person, for those who asked to hear of it.
    Waiting,
    /// An attempt is unknown.
    Unknown,
}

impl Exit {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Waiting => 3,
            Self::Unknown => 4,
        }
    }

    /// What a code of another process of this program means.
    pub(crate) fn of(code: i32) -> Self {
        [Self::Done, Self::Usage, Self::Waiting, Self::Unknown]
            .into_iter()
            .find(|exit| i32::from(exit.code()) == code)
            .unwrap_or(Self::Failed)
    }

    /// When several things are wrong the code is the first of 2, 1, 4, 3.
    pub(crate) fn worse(self, other: Self) -> Self {
        let order = [Self::Usage, Self::Failed, Self::Unknown, Self::Waiting];
        order
            .into_iter()
            .find(|exit| *exit == self || *exit == other)
            .unwrap_or(Self::Done)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A text for the person at the terminal, and an exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl Failure {
    /// A file or the command line is wrong; nothing was run.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.into(),
        }
    }

    /// What was asked could not be done.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            message: message.into(),
        }
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<oncely_engine::PeopleError> for Failure {
    fn from(error: oncely_engine::PeopleError) -> Self {
        let message = error.to_string();
        match error {
            oncely_engine::PeopleError::NoRun(_)
            | oncely_engine::PeopleError::Pruned(..)
            | oncely_engine::PeopleError::Forgotten(_) => Self::usage(message),
            _ => Self::failed(message),
        }
    }
}

/// Says an input or output error with what it was about.
pub(crate) fn io(about: &std::path::Path) -> impl Fn(std::io::Error) -> Failure + '_ {
    move |error| Failure::failed(format!("{}: {error}", about.display()))
}
