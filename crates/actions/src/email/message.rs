//! From options to the bytes of a mail: the same bytes for every attempt.

use super::address::People;
use super::attach::File;
use super::options::Options;
use lettre::Message;
use lettre::message::header::{Cc, ContentTransferEncoding, ContentType, To};
use lettre::message::{Mailbox, Mailboxes, MessageBuilder, MultiPart, SinglePart};
use oncely_core::Value;
use oncely_core::action::{Call, Failure};
use serde_json::json;
use std::time::{Duration, UNIX_EPOCH};

/// A mail that is ready to be sent.
pub(crate) struct Mail {
    pub(crate) bytes: Vec<u8>,
    pub(crate) id: String,
}

impl Mail {
    /// What later steps read.
    pub(crate) fn output(&self, people: &People, response: &str) -> Value {
        json!({
            "message_id": self.id,
            "recipients": people.envelope.to().len(),
            "bytes": self.bytes.len(),
            "response": response,
        })
    }
}

/// Puts the mail together.
pub(crate) fn compose(
    options: &Options,
    people: &People,
    files: Vec<File>,
    call: &Call,
) -> Result<Mail, Failure> {
    let id = message_id(people, call);
    let head = head(options, people, call, &id)?;
    let key = &call.key.0;
    let message = match (body(options, key)?, files.is_empty()) {
        (Body::One(part), true) => head.singlepart(part),
        (Body::Two(parts), true) => head.multipart(parts),
        (body, false) => {
            let mixed = MultiPart::mixed().boundary(boundary(key, "mixed"));
            let mixed = match body {
                Body::One(part) => mixed.singlepart(part),
                Body::Two(parts) => mixed.multipart(parts),
            };
            let add = |mixed: MultiPart, file: File| mixed.singlepart(file.part());
            head.multipart(files.into_iter().fold(mixed, add))
        }
    };
    let message = message
        .map_err(|error| Failure::permanent(format!("the mail cannot be put together: {error}")))?;
    Ok(Mail {
        bytes: message.formatted(),
        id,
    })
}

/// The effect key, at the sender's domain.
fn message_id(people: &People, call: &Call) -> String {
    format!("<{}@{}>", call.key, people.from.email.domain())
}

fn head(
    options: &Options,
    people: &People,
    call: &Call,
    id: &str,
) -> Result<MessageBuilder, Failure> {
    let mut head = Message::builder()
        .message_id(Some(id.to_owned()))
        .date(date(call))
        .from(people.from.clone())
        .subject(one_line("subject", &options.subject)?)
        .envelope(people.envelope.clone());
    if !people.to.is_empty() {
        head = head.mailbox(To::from(list(&people.to)));
    }
    if !people.cc.is_empty() {
        head = head.mailbox(Cc::from(list(&people.cc)));
    }
    if let Some(reply_to) = &people.reply_to {
        head = head.reply_to(reply_to.clone());
    }
    if let Some(answered) = &options.in_reply_to {
        let answered = message_id_of(answered)?;
        head = head.in_reply_to(answered.clone()).references(answered);
    }
    Ok(head)
}

fn list(mailboxes: &[Mailbox]) -> Mailboxes {
    mailboxes.iter().cloned().collect()
}

/// When the first attempt was about to be made: a repeat says the same.
fn date(call: &Call) -> std::time::SystemTime {
    let millis = u64::try_from(call.first_intent.0).unwrap_or_default();
    UNIX_EPOCH + Duration::from_millis(millis)
}

enum Body {
    One(SinglePart),
    Two(MultiPart),
}

fn body(options: &Options, key: &str) -> Result<Body, Failure> {
    let plain = |text: &str| part(ContentType::TEXT_PLAIN, text);
    let html = |text: &str| part(ContentType::TEXT_HTML, text);
    Ok(match (options.plain(), options.html()) {
        (Some(text), Some(page)) => Body::Two(
            MultiPart::alternative()
                .boundary(boundary(key, "either"))
                .singlepart(plain(text))
                .singlepart(html(page)),
        ),
        (Some(text), None) => Body::One(plain(text)),
        (None, Some(page)) => Body::One(html(page)),
        (None, None) => {
            return Err(Failure::permanent(
                "the mail says nothing: give it `text`, `template`, `html` or `html_template`",
            ));
        }
    })
}

fn part(kind: ContentType, text: &str) -> SinglePart {
    let part = SinglePart::builder().header(kind);
    // One kind of line end, which becomes that of mails: a server that takes another for one could
    // read a second mail out of this one.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    // Other control characters have no place in a mail as they are.
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    match text.contains(odd) {
        true => part
            .header(ContentTransferEncoding::QuotedPrintable)
            .body(text),
        false => part.body(text),
    }
}

/// What parts a mail: made of the effect key, so that it is the same each time, and so that no text
/// that was written before the run can hold it.
fn boundary(key: &str, what: &str) -> String {
    format!("oncely-{what}-{key}")
}

/// A text that is one line of a header.
fn one_line<'t>(name: &str, text: &'t str) -> Result<&'t str, Failure> {
    match text.chars().any(char::is_control) {
        false => Ok(text),
        true => Err(Failure::permanent(format!(
            "`{name}` of a mail is one line, and {text:?} has a line break or another control \
             character in it: look at what its template gave"
        ))),
    }
}

/// The id of another mail, in its angle brackets.
fn message_id_of(text: &str) -> Result<String, Failure> {
    let inner = one_line("in_reply_to", text)?.trim();
    let inner = inner.strip_prefix('<').unwrap_or(inner);
    let inner = inner.strip_suffix('>').unwrap_or(inner);
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>');
    if inner.contains('@') && inner.chars().all(plain) {
        return Ok(format!("<{inner}>"));
    }
    Err(Failure::permanent(format!(
        "{text:?} in `in_reply_to` is no Message-ID: it looks like <id@example.com>"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_one_line() {
        let error = one_line("subject", "Hello\r\nBcc: eve@example.com").unwrap_err();
        insta::assert_snapshot!(error.error(), @r#"`subject` of a mail is one line, and "Hello\r\nBcc: eve@example.com" has a line break or another control character in it: look at what its template gave"#);
        assert_eq!(one_line("subject", "Grüße").unwrap(), "Grüße");
    }

    #[test]
    fn ids_of_other_mails_are_read_with_and_without_brackets() {
        assert_eq!(message_id_of("<a.1@b.example>").unwrap(), "<a.1@b.example>");
        assert_eq!(message_id_of("a.1@b.example").unwrap(), "<a.1@b.example>");
        for text in ["", "a", "<a b@c>", "a@b\r\nBcc: x", "<a@b> <c@d>"] {
            assert!(message_id_of(text).is_err(), "{text:?}");
        }
        let error = message_id_of("a").unwrap_err();
        insta::assert_snapshot!(error.error(), @r#""a" in `in_reply_to` is no Message-ID: it looks like <id@example.com>"#);
    }
}
