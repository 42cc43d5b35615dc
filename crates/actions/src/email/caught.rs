//! A mail that is not sent.

use super::address;
use super::message::compose;
use super::options::{Names, Options};
use crate::caught::{Catching, Caught, Given, Lines, over};
use crate::place::Ground;
use oncely_core::Value;
use oncely_core::action::{Call, Failure};

pub(crate) fn catch(catching: &Catching, call: &Call, given: &Given) -> Result<Caught, Failure> {
    let options: Options = crate::options::read(&call.options)?;
    let people = address::people(&options, catching.from.as_deref())?;
    let ground = Ground {
        root: catching.root.clone(),
        allowed: catching.allowed.clone(),
    };
    for path in &options.attachments {
        ground.place(path)?;
    }
    let mail = compose(&options, &people, Vec::new(), call)?;
    let mut lines = Lines::default();
    lines.named("From", Some(&people.from));
    lines.named("To", listed(&options.to));
    lines.named("Cc", listed(&options.cc));
    lines.named("Bcc", listed(&options.bcc));
    lines.named("Reply-To", people.reply_to.as_ref());
    lines.named("In-Reply-To", options.in_reply_to.as_ref());
    lines.named("Subject", Some(&options.subject));
    for path in &options.attachments {
        lines.named("Attached", Some(path));
    }
    lines.body(options.plain().unwrap_or_default());
    if let Some(html) = options.html() {
        lines.line("");
        lines.line("HTML:");
        lines.body(html);
    }
    let mut usual = mail.output(&people, "caught, and not sent");
    if let (Some(table), false) = (usual.as_object_mut(), options.attachments.is_empty()) {
        // What is attached is not read.
        table.insert("bytes".into(), Value::Null);
    }
    Ok(Caught {
        text: lines.text(),
        result: Ok(over(usual, given)),
    })
}

fn listed(names: &Names) -> Option<String> {
    (!names.0.is_empty()).then(|| names.0.join(", "))
}
