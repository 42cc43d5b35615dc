//! What an error of the mail server, or of the way to it, means for the step.

use super::server::MailServer;
use crate::options::{cut, spoken};
use lettre::transport::smtp::Error;
use oncely_core::action::Failure;
use std::time::Duration;

/// Characters of the server's answer that an error shows.
const ANSWER_CHARS: usize = 300;

/// How far a mail had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The connection did not stand yet.
    Connect,
    /// We said who we are.
    Login,
    /// The server was told who sends it.
    From,
    /// The server was told who gets it.
    To,
    /// The server was asked to take its text.
    Ask,
    /// Its text was on the way: without an answer nobody knows.
    Text,
}

impl Stage {
    /// What was being done, after "while".
    fn words(self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::Login => "logging in",
            Self::From => "naming the sender",
            Self::To => "naming a recipient",
            Self::Ask => "asking to send the text",
            Self::Text => "sending the text",
        }
    }

    /// What helps, beside the server's own words.
    fn advice(self) -> &'static str {
        match self {
            Self::Login => {
                "; look at `user` of [email] in oncely.toml and at the secret EMAIL_PASSWORD"
            }
            Self::From => "; look at `from`: the server may allow only addresses of its own",
            _ => "",
        }
    }
}

/// What an error at this stage means.
pub(crate) fn failed(stage: Stage, server: &MailServer, error: &Error) -> Failure {
    match (error.status(), stage) {
        (Some(_), _) if error.is_permanent() => Failure::permanent(refused(stage, server, error)),
        (Some(_), _) => Failure::retry(refused(stage, server, error)),
        // Its answer came, and it is none that says that the mail was taken.
        (None, Stage::Text) => Failure::unknown(lost(&words(error))),
        (None, _) if error.is_client() => Failure::permanent(format!(
            "the mail server {} cannot be used while {}: {}",
            place(server),
            stage.words(),
            words(error)
        )),
        (None, Stage::Connect) => nobody(server, &words(error)),
        (None, _) => Failure::retry(format!(
            "the connection to the mail server {} was lost while {}: {}",
            place(server),
            stage.words(),
            words(error)
        )),
    }
}

/// No connection stands.
pub(crate) fn nobody(server: &MailServer, why: &str) -> Failure {
    let place = place(server);
    Failure::retry(format!("no connection to the mail server {place}: {why}"))
}

/// The server did not answer in time.
pub(crate) fn silent(stage: Stage, server: &MailServer, total: Duration) -> Failure {
    let total = spoken(total);
    match stage {
        Stage::Text => Failure::unknown(lost(&format!("no answer came within {total}"))),
        _ => Failure::retry(format!(
            "the mail server {} did not answer within {total}, while {}",
            place(server),
            stage.words()
        )),
    }
}

fn lost(why: &str) -> String {
    format!(
        "the text of the mail was on its way when the connection was lost ({why}): whether the \
         server took it is not known"
    )
}

fn refused(stage: Stage, server: &MailServer, error: &Error) -> String {
    let code = error.status().map(|code| code.to_string());
    let answer = words(error);
    let words: Vec<&str> = answer.split_whitespace().collect();
    format!(
        "the mail server {} refused while {}: {} {}{}",
        place(server),
        stage.words(),
        code.unwrap_or_default(),
        cut(&words.join(" "), ANSWER_CHARS),
        stage.advice()
    )
}

fn place(server: &MailServer) -> String {
    match server.host.contains(':') {
        true => format!("[{}]:{}", server.host, server.port),
        false => format!("{}:{}", server.host, server.port),
    }
}

/// The innermost words of an error, which say what really happened.
fn words(error: &Error) -> String {
    match crate::http::words(error).as_str() {
        "incomplete response" => "the server closed it".into(),
        other => other.to_owned(),
    }
}

/// The failure with more words at its end.
pub(crate) fn with_words(failure: Failure, more: &str) -> Failure {
    let longer = |error: String| format!("{error}{more}");
    match failure {
        Failure::Retry { error, after } => Failure::Retry {
            error: longer(error),
            after,
        },
        Failure::Permanent { error } => Failure::permanent(longer(error)),
        Failure::Unknown { error } => Failure::unknown(longer(error)),
    }
}
