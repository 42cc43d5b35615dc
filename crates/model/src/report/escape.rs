//! Data as text of a page, never as markup.

use std::fmt;

/// Shows a text with the characters that mean something in HTML and in quoted attributes replaced.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                _ => "&#39;",
            })?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        let text = Escaped("<b title=\"x\">é & 'y'</b>").to_string();
        assert_eq!(
            text,
            "&lt;b title=&quot;x&quot;&gt;é &amp; &#39;y&#39;&lt;/b&gt;"
        );
    }
}
