//! Tells a person that a run asks them something: by the `email` or the `slack` action, as an attempt
//! of its own. Nothing else carries a message out, so that it is doubted and recorded like them.

use oncely_core::action::{Action, Call, Done, Failure};
use oncely_core::fact::Repeat;
use oncely_core::ids::{ContentHash, StepId};
use oncely_core::link::{Link, Place};
use oncely_core::people::Roster;
use oncely_core::question::Via;
use oncely_core::time::Timestamp;
use oncely_core::{Fut, Value};
use serde::Deserialize;
use std::fmt::Write;
use std::sync::Arc;

/// Makes the links of messages.
pub trait Links: Send + Sync {
    /// The URL at which this link answers; none where no page can be reached, or nothing signs it.
    fn url(&self, link: &Link, place: Place<'_>) -> Option<String>;
}

/// What it takes to tell people.
pub struct Tell {
    /// Makes the link by which somebody may answer who is at no shell.
    pub links: Arc<dyn Links>,
    /// Where they are reached.
    pub people: Arc<Roster>,
    /// Sends mails.
    pub email: Arc<dyn Action>,
    /// Sends messages in Slack.
    pub slack: Arc<dyn Action>,
}

/// What the run asks, and of whom.
#[derive(Debug, Deserialize)]
struct Message {
    to: String,
    via: Via,
    nth: u32,
    text: String,
    tick: Vec<String>,
    expires: Option<Timestamp>,
    step: StepId,
    question: u64,
    hash: ContentHash,
    link_until: Timestamp,
}

impl Tell {
    async fn perform(&self, call: &Call) -> Result<Done, Failure> {
        let message: Message = serde_json::from_value(call.options.clone())
            .map_err(|e| Failure::permanent(format!("the message cannot be read: {e}")))?;
        let person = self.people.get(&message.to);
        let address = person.and_then(|p| p.address(message.via)).ok_or_else(|| {
            Failure::permanent(format!(
                "{} has no `{}` in [people] of oncely.toml",
                message.to,
                message.via.name()
            ))
        })?;
        let text = text(&message, call, self.link(&message, call));
        let (action, options) = match message.via {
            Via::Email => (&self.email, mail(&message, &text, address)),
            Via::Slack => (&self.slack, note(&text, address)),
        };
        let call = Call {
            options,
            ..call.clone()
        };
        action.run(&call).await
    }

    fn link(&self, message: &Message, call: &Call) -> Option<String> {
        let link = Link {
            run: call.site.run,
            question: message.question,
            person: message.to.clone(),
            expires: message.link_until,
        };
        let place = Place {
            ledger: &call.site.ledger,
            environment: &call.site.environment,
            step: &message.step,
            hash: &message.hash,
        };
        self.links.url(&link, place)
    }
}

impl Action for Tell {
    fn repeat(&self, _call: &Call) -> Repeat {
        Repeat::AskFirst
    }

    fn run<'a>(&'a self, call: &'a Call) -> Fut<'a, Result<Done, Failure>> {
        Box::pin(self.perform(call))
    }
}

fn mail(message: &Message, text: &str, address: &str) -> Value {
    let first = message.text.lines().next().unwrap_or_default();
    let subject: String = first
        .chars()
        .filter(|c| !c.is_control())
        .take(120)
        .collect();
    let again = if message.nth > 0 { "Reminder: " } else { "" };
    serde_json::json!({
        "to": address,
        "subject": format!("{again}{subject}"),
        "text": text,
    })
}

fn note(text: &str, address: &str) -> Value {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    serde_json::json!({ "channel": address, "text": text })
}

/// The question, and how it is answered.
fn text(message: &Message, call: &Call, link: Option<String>) -> String {
    let (site, run) = (&call.site, call.site.run);
    let mut text = format!("{}\n\n", message.text);
    for (place, thing) in message.tick.iter().enumerate() {
        let _ = writeln!(text, "[{}] {thing}", place + 1);
    }
    if !message.tick.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "Run {run} of {} in {} asks you this, {}.",
        site.task, site.environment, message.to
    );
    if let Some(until) = message.expires.and_then(moment) {
        let _ = writeln!(text, "No answer by {until} counts as no.");
    }
    let tick = if message.tick.is_empty() {
        ""
    } else {
        " --tick all"
    };
    if let Some(link) = link {
        let until = moment(message.link_until).unwrap_or_default();
        let _ = write!(
            text,
            "\nAnswer, in your name and until {until}: {link}\nAt a shell:"
        );
    }
    let _ = write!(
        text,
        "\nYes: oncely approve {run}{tick}\nNo:  oncely reject {run} --note \"why\"\n"
    );
    text
}

fn moment(at: Timestamp) -> Option<String> {
    let moment = jiff::Timestamp::from_millisecond(at.0).ok()?;
    Some(moment.strftime("%Y-%m-%d %H:%M UTC").to_string())
}
