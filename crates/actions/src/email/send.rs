//! Hands a mail to the server, and knows at each moment how far it has come.

use super::connect::connect;
use super::message::Mail;
use super::outcome::{Stage, failed, silent, with_words};
use super::server::MailServer;
use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{Extension, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};
use oncely_core::action::Failure;
use oncely_core::points::{self, Point};
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// Longest wait for the server's farewell, after it took the mail.
const FAREWELL: Duration = Duration::from_secs(1);
/// Characters of the server's answer that are kept.
const ANSWER_CHARS: usize = 500;

/// Sends a mail. Gives the server's last word.
pub(crate) async fn send(
    server: &MailServer,
    password: Option<(String, String)>,
    envelope: &Envelope,
    mail: &Mail,
    total: Duration,
) -> Result<String, Failure> {
    let until = Instant::now() + total;
    let connecting = timeout_at(until, connect(server, password));
    let connection = match connecting.await {
        Ok(connected) => connected?,
        Err(_) => return Err(silent(Stage::Connect, server, total)),
    };
    let mut talk = Talk {
        connection,
        server,
        until,
        total,
    };
    talk.envelope(envelope).await?;
    let answer = talk.text(&mail.bytes).await;
    points::pass(Point::MailTaken);
    let answer = answer.map_err(|failure| to_be_looked_for(failure, &mail.id))?;
    // The mail is taken, whatever becomes of the connection now.
    let _ = timeout(FAREWELL, talk.connection.quit()).await;
    Ok(answer)
}

/// Who has to say what became of a mail is told what to look for.
fn to_be_looked_for(failure: Failure, id: &str) -> Failure {
    match failure {
        Failure::Unknown { .. } => with_words(
            failure,
            &format!("; look for the mail {id} in the server's log or in the mailbox"),
        ),
        known => known,
    }
}

/// A connection that a mail is being sent over.
struct Talk<'a> {
    connection: AsyncSmtpConnection,
    server: &'a MailServer,
    until: Instant,
    total: Duration,
}

impl Talk<'_> {
    /// Says who sends the mail and who gets it. Nothing of it is sent yet: one recipient who is
    /// refused is the end of it, for all.
    async fn envelope(&mut self, envelope: &Envelope) -> Result<(), Failure> {
        let sender = MailFrom::new(envelope.from().cloned(), self.parameters(envelope)?);
        self.say(Stage::From, sender).await?;
        for receiver in envelope.to() {
            let said = self.say(Stage::To, Rcpt::new(receiver.clone(), Vec::new()));
            let said = said.await;
            said.map_err(|failure| with_words(failure, &format!(" (to {receiver})")))?;
        }
        let ready = self.say(Stage::Ask, Data).await?;
        if ready.code().severity == Severity::PositiveIntermediate {
            return Ok(());
        }
        Err(Failure::retry(format!(
            "the mail server {} answered {} where it was to ask for the mail's text",
            self.server.host,
            ready.code()
        )))
    }

    /// Addresses in other letters than ASCII need a server that knows them.
    fn parameters(&self, envelope: &Envelope) -> Result<Vec<MailParameter>, Failure> {
        let mut all = envelope.from().into_iter().chain(envelope.to());
        let other = all.find(|address| !address.to_string().is_ascii());
        let knows = self.connection.server_info();
        match other {
            None => Ok(Vec::new()),
            Some(_) if knows.supports_feature(Extension::SmtpUtfEight) => {
                Ok(vec![MailParameter::SmtpUtfEight])
            }
            Some(address) => Err(Failure::permanent(format!(
                "the mail server {} takes only addresses in ASCII letters, and {address} is none",
                self.server.host
            ))),
        }
    }

    async fn say(
        &mut self,
        stage: Stage,
        command: impl std::fmt::Display,
    ) -> Result<Response, Failure> {
        let answer = timeout_at(self.until, self.connection.command(command)).await;
        self.judge(stage, answer)
    }

    /// From the first byte on, only an answer can say what became of the mail.
    async fn text(&mut self, bytes: &[u8]) -> Result<String, Failure> {
        let answer = timeout_at(self.until, self.connection.message(bytes)).await;
        let answer = self.judge(Stage::Text, answer)?;
        let lines: Vec<&str> = answer.message().collect();
        let text = format!("{} {}", answer.code(), lines.join(" "));
        Ok(crate::options::cut(text.trim(), ANSWER_CHARS))
    }

    fn judge(
        &self,
        stage: Stage,
        answer: Result<Result<Response, Error>, tokio::time::error::Elapsed>,
    ) -> Result<Response, Failure> {
        match answer {
            Ok(answer) => answer.map_err(|error| failed(stage, self.server, &error)),
            Err(_) => Err(silent(stage, self.server, self.total)),
        }
    }
}
