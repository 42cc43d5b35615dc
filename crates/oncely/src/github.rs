//! How oncely speaks to GitHub Actions: by workflow commands, lines that its runner acts on. The runner
//! reads all that a step prints, so that nothing else may look like one.

use std::borrow::Cow;
use std::io::Write;
use std::sync::OnceLock;

/// The word that ends a stretch in which the runner acts on nothing; there once oncely speaks to it.
static WORD: OnceLock<String> = OnceLock::new();

/// From now on what is printed is read by the runner of GitHub Actions.
pub(crate) fn speak() {
    WORD.get_or_init(word);
}

/// A word that nobody can have guessed.
fn word() -> String {
    let mut chance = [0; 16];
    // Without chance the time and the process make a word that is not in any text yet.
    if rustix::rand::getrandom(&mut chance, rustix::rand::GetRandomFlags::empty()).is_err() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        chance = now.unwrap_or_default().as_nanos().to_le_bytes();
    }
    let digits: String = chance.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("oncely-{digits}")
}

/// A workflow command.
pub(crate) fn command(name: &str, properties: &[(&str, &str)], text: &str) -> String {
    let pairs = properties.iter();
    let pairs: Vec<String> = pairs
        .map(|(name, value)| format!("{name}={}", property(value)))
        .collect();
    let gap = if pairs.is_empty() { "" } else { " " };
    format!("::{name}{gap}{}::{}", pairs.join(","), data(text))
}

/// What follows the second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// What follows a `=`.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A text for people, which the runner is told not to act on where it could.
pub(crate) fn text(line: &str) -> Cow<'_, str> {
    match WORD.get() {
        Some(word) if line.contains("::") || line.contains("##[") => quoted(line, word).into(),
        _ => line.into(),
    }
}

fn quoted(line: &str, word: &str) -> String {
    format!("::stop-commands::{word}\n{line}\n::{word}::")
}

/// Standard error for warnings, which the runner reads too.
#[derive(Debug, Default)]
pub(crate) struct Trouble;

impl Write for Trouble {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let words = String::from_utf8_lossy(bytes);
        let mut err = std::io::stderr().lock();
        match text(words.trim_end_matches('\n')) {
            Cow::Owned(quoted) => writeln!(err, "{quoted}")?,
            Cow::Borrowed(_) => err.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_as_github_says() {
        let said = command(
            "error",
            &[("file", "a,b:c%.toml"), ("title", "x\ny")],
            "50%: one\r\n::error::two",
        );
        assert_eq!(
            said,
            "::error file=a%2Cb%3Ac%25.toml,title=x%0Ay::50%25: one%0D%0A::error::two"
        );
        assert_eq!(command("endgroup", &[], ""), "::endgroup::");
        assert_eq!(command("group", &[], "1_a"), "::group::1_a");
    }

    #[test]
    fn text_that_could_be_a_command_is_quoted() {
        let said = quoted("x\n::add-mask::y", "w");
        assert_eq!(said, "::stop-commands::w\nx\n::add-mask::y\n::w::");
        assert_ne!(word(), word());
    }
}
