//! `email`: sends a mail by the operator's mail server.
//!
//! A mail cannot be taken back, and a mail server recognises no key. Up to the moment at which the
//! server asked for the mail's text, everything that goes wrong is known not to have happened. From
//! the first byte of the text on, only the server's answer can say what became of it: without one
//! the attempt is unknown. Every attempt carries the same `Message-ID`, date and text, so that a
//! person who looks for the mail finds it, and one who reads it twice sees that it is one.

mod address;
mod attach;
mod caught;
mod connect;
mod guard;
mod message;
mod options;
mod outcome;
mod send;
mod server;

pub(crate) use caught::catch;
pub use server::{MailServer, Tls};

use crate::place::Ground;
use crate::secret::{Secrets, Veil};
use oncely_core::Fut;
use oncely_core::action::{Action, Call, Done, Failure};
use oncely_core::fact::Repeat;
use options::Options;
use std::path::PathBuf;
use std::sync::Arc;

/// What the `email` action needs to know.
#[derive(Clone)]
pub struct EmailConfig {
    /// The server that mails are handed to; none where the configuration names none.
    pub server: Option<MailServer>,
    /// Who sends mails whose step does not say.
    pub from: Option<String>,
    /// The project's root, where paths of attachments start.
    pub root: PathBuf,
    /// Folders besides, from which files may be attached, such as the spool.
    pub sources: Vec<PathBuf>,
    /// Where the password comes from.
    pub secrets: Arc<dyn Secrets>,
}

/// The `email` action.
pub struct Email {
    config: EmailConfig,
    ground: Arc<Ground>,
}

impl Email {
    /// The action. The server is spoken to when there is something to send.
    #[must_use]
    pub fn new(config: EmailConfig) -> Self {
        let ground = Ground {
            root: config.root.clone(),
            allowed: config.sources.clone(),
        };
        Self {
            config,
            ground: Arc::new(ground),
        }
    }

    async fn perform(&self, call: &Call, veil: &mut Veil) -> Result<Done, Failure> {
        let options: Options = crate::options::read(&call.options)?;
        let server = self.config.server.as_ref().ok_or_else(no_server)?;
        let people = address::people(&options, self.config.from.as_deref())?;
        let files = attach::read(&self.ground, &options.attachments).await?;
        let mail = message::compose(&options, &people, files, call)?;
        let password = server.password(self.config.secrets.as_ref(), veil)?;
        send::send(server, password, &people.envelope, &mail, call.timeout)
            .await
            .map(|response| Done::Output(mail.output(&people, &veil.text(&response))))
    }
}

fn no_server() -> Failure {
    Failure::permanent(
        "there is no mail server: name one in oncely.toml, such as [email] with \
         server = \"smtp://mail.example.com:587\"",
    )
}

impl Action for Email {
    fn repeat(&self, _call: &Call) -> Repeat {
        Repeat::AskFirst
    }

    fn run<'a>(&'a self, call: &'a Call) -> Fut<'a, Result<Done, Failure>> {
        Box::pin(async move {
            let mut veil = Veil::default();
            let done = self.perform(call, &mut veil).await;
            done.map_err(|failure| veil.failure(failure))
        })
    }
}
