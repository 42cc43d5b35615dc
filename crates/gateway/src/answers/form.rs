//! What the form of a question sends.

use oncely_core::limits;

/// An answer as the form has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) approved: bool,
    pub(super) note: String,
    pub(super) ticked: Vec<String>,
}

impl Form {
    /// Reads the form of a question with these things to be ticked.
    ///
    /// # Errors
    /// When it says neither yes nor no, or ticks what is not there.
    pub(super) fn read(body: &[u8], tick: &[String]) -> Result<Self, String> {
        let (mut approved, mut note, mut ticked) = (None, String::new(), Vec::new());
        for (name, value) in url::form_urlencoded::parse(body) {
            match (&*name, &*value) {
                ("answer", "yes") => approved = Some(true),
                ("answer", "no") => approved = Some(false),
                ("answer", _) => approved = None,
                ("note", text) if text.len() <= limits::NOTE_BYTES => note = text.trim().to_owned(),
                ("note", _) => {
                    let most = limits::NOTE_BYTES;
                    return Err(format!("The note has more than {most} bytes."));
                }
                ("tick", number) => ticked.push(thing(number, tick)?),
                _ => return Err("The form holds what was not asked.".into()),
            }
        }
        let approved = approved.ok_or("The form says neither yes nor no.")?;
        Ok(Self {
            approved,
            note,
            ticked,
        })
    }
}

fn thing(number: &str, tick: &[String]) -> Result<String, String> {
    let place = number.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
    let thing = place.and_then(|place| tick.get(place)).cloned();
    thing.ok_or_else(|| "The form ticks what is not there.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Form, String> {
        Form::read(body.as_bytes(), &["a & b".to_owned(), "c".to_owned()])
    }

    #[test]
    fn what_was_ticked_and_said_is_read() {
        let form = read("tick=1&tick=2&note=all+good%21+&answer=yes").unwrap();
        assert!(form.approved);
        assert_eq!(form.note, "all good!");
        assert_eq!(form.ticked, ["a & b", "c"]);
        assert!(!read("answer=no").unwrap().approved);
    }

    #[test]
    fn what_is_unclear_is_no_answer() {
        for body in [
            "",
            "answer=",
            "answer=maybe",
            "note=x",
            "answer=yes&tick=3",
            "answer=yes&tick=0",
            "answer=yes&by=bob",
            "\u{fffd}",
        ] {
            assert!(read(body).is_err(), "{body:?}");
        }
        let long = format!("answer=yes&note={}", "x".repeat(limits::NOTE_BYTES + 1));
        assert!(read(&long).is_err());
    }
}
