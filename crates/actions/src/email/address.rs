//! Addresses: each is read on its own, and a bad one is named.
//!
//! Nothing here may become a second line of a header or of a command to the server: what has a
//! control character in it is refused, whatever it is.

use super::options::Options;
use lettre::Address;
use lettre::address::Envelope;
use lettre::message::Mailbox;
use oncely_core::action::Failure;
use oncely_core::limits::MAIL_RECIPIENTS;

/// Everybody that a mail has to do with.
pub(crate) struct People {
    pub(crate) from: Mailbox,
    pub(crate) reply_to: Option<Mailbox>,
    pub(crate) to: Vec<Mailbox>,
    pub(crate) cc: Vec<Mailbox>,
    /// Who sends it and who gets it, as the server is told: also those whom no header names.
    pub(crate) envelope: Envelope,
}

/// Reads all addresses of a step.
pub(crate) fn people(options: &Options, usual: Option<&str>) -> Result<People, Failure> {
    let from = options.from.as_deref().or(usual).ok_or_else(|| {
        Failure::permanent(
            "nobody sends this mail: give the step a `from`, or [email] in oncely.toml",
        )
    })?;
    let from = mailbox("from", from)?;
    let (to, cc, bcc) = (
        mailboxes("to", &options.to.0)?,
        mailboxes("cc", &options.cc.0)?,
        mailboxes("bcc", &options.bcc.0)?,
    );
    let mut receivers = Vec::new();
    for one in to.iter().chain(&cc).chain(&bcc) {
        // A server may send a mail twice to who is named twice.
        if !receivers.contains(&one.email) {
            receivers.push(one.email.clone());
        }
    }
    bounded(receivers.len())?;
    let envelope = Envelope::new(Some(from.email.clone()), receivers)
        .map_err(|_| Failure::permanent(NOBODY))?;
    Ok(People {
        reply_to: match &options.reply_to {
            Some(text) => Some(mailbox("reply_to", text)?),
            None => None,
        },
        from,
        to,
        cc,
        envelope,
    })
}

const NOBODY: &str = "`to`, `cc` and `bcc` name nobody: look at what their templates gave";

fn bounded(receivers: usize) -> Result<(), Failure> {
    match receivers {
        0 => Err(Failure::permanent(NOBODY)),
        1..=MAIL_RECIPIENTS => Ok(()),
        _ => Err(Failure::permanent(format!(
            "the mail goes to {receivers} addresses, and at most {MAIL_RECIPIENTS} are taken: use \
             `for_each` with a mail for each, or the address of a list"
        ))),
    }
}

fn mailboxes(name: &str, texts: &[String]) -> Result<Vec<Mailbox>, Failure> {
    texts.iter().map(|text| mailbox(name, text)).collect()
}

fn mailbox(name: &str, text: &str) -> Result<Mailbox, Failure> {
    let plain = (!text.chars().any(char::is_control)).then_some(text);
    let read = plain.and_then(|text| text.trim().parse::<Mailbox>().ok());
    // A parser of quoted names may let through what a line of a command may not hold.
    let one_line = |mailbox: &Mailbox| !mailbox.to_string().chars().any(char::is_control);
    read.filter(one_line).and_then(in_ascii).ok_or_else(|| {
        let several = match text.matches('@').count() > 1 {
            true => "; several addresses are written as a list: [\"a@example.com\", …]",
            false => "",
        };
        Failure::permanent(format!(
            "{text:?} in `{name}` is no mail address: write one like ann@example.com or \
             Ann <ann@example.com>{several}"
        ))
    })
}

/// A domain of other letters as every server knows it.
fn in_ascii(mut mailbox: Mailbox) -> Option<Mailbox> {
    let domain = mailbox.email.domain();
    if !domain.is_ascii() {
        let domain = url::Host::parse(domain).ok()?.to_string();
        mailbox.email = Address::new(mailbox.email.user(), domain).ok()?;
    }
    Some(mailbox)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        mailbox("to", text).unwrap_err().error().to_owned()
    }

    #[test]
    fn addresses_with_and_without_names_are_read() {
        for text in [
            "ann@example.com",
            "Ann <ann@example.com>",
            "\"Ann, the boss\" <ann@example.com>",
            " ann+tag@sub.example.com ",
            "Änne <aenne@example.com>",
            "ann@bücher.example",
        ] {
            assert!(mailbox("to", text).is_ok(), "{text}");
        }
    }

    #[test]
    fn nothing_becomes_a_second_line() {
        for text in [
            "ann@example.com\r\nBcc: eve@example.com",
            "ann@example.com\nRCPT TO:<eve@example.com>",
            "\"Ann\r\nBcc: eve@example.com\" <ann@example.com>",
            "Ann\u{0} <ann@example.com>",
            "\"a\r\nb\"@example.com",
        ] {
            assert!(mailbox("to", text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_bad_address_is_named_with_what_to_write() {
        insta::assert_snapshot!(error("nobody"), @r#""nobody" in `to` is no mail address: write one like ann@example.com or Ann <ann@example.com>"#);
        insta::assert_snapshot!(error("a@example.com, b@example.com"), @r#""a@example.com, b@example.com" in `to` is no mail address: write one like ann@example.com or Ann <ann@example.com>; several addresses are written as a list: ["a@example.com", …]"#);
        insta::assert_snapshot!(error("a@example.com\r\nBcc: b"), @r#""a@example.com\r\nBcc: b" in `to` is no mail address: write one like ann@example.com or Ann <ann@example.com>"#);
    }
}
