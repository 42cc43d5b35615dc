//! The actions that tell people something, and their options, as they are documented.

use super::actions::{ActionDoc, Group, OptionKind, TableSpec, Take};
use super::catalogue::{option, required};
use super::model::ActionKind;

pub(super) const EMAIL: ActionDoc = ActionDoc {
    kind: ActionKind::Email,
    doc: "Sends a mail by the server of `[email]` in `oncely.toml`. Every attempt has the same \
          `Message-ID` and the same text.",
    table: TableSpec {
        options: &[
            required(
                "to",
                OptionKind::Texts,
                "Whom it is for: addresses such as `cs@example.com` or `Ann <ann@example.com>`.",
            ),
            option("cc", OptionKind::Texts, "Who gets a copy."),
            option(
                "bcc",
                OptionKind::Texts,
                "Who gets a copy that the others do not see.",
            ),
            option(
                "from",
                OptionKind::Text,
                "Who sends it; `from` of `[email]` unless given.",
            ),
            option("reply_to", OptionKind::Text, "Where answers go."),
            required(
                "subject",
                OptionKind::Text,
                "What it is about, in one line.",
            ),
            option("text", OptionKind::Text, "The text."),
            option(
                "template",
                OptionKind::TextFile { html: false },
                "The text: a file below the project's root, as it is when the run begins.",
            ),
            option("html", OptionKind::Html, "The text in HTML."),
            option(
                "html_template",
                OptionKind::TextFile { html: true },
                "The text in HTML: a file below the project's root, as it is when the run begins.",
            ),
            option(
                "attachments",
                OptionKind::List(&OptionKind::File),
                "Files that are sent with it, as they are when it is sent; at most 20, and 10 MiB \
                 together.",
            ),
            option(
                "in_reply_to",
                OptionKind::Text,
                "The `Message-ID` of the mail that it answers.",
            ),
        ],
        groups: &[
            Group {
                names: &["text", "template"],
                take: Take::AtMostOne,
            },
            Group {
                names: &["html", "html_template"],
                take: Take::AtMostOne,
            },
            Group {
                names: &["text", "template", "html", "html_template"],
                take: Take::AtLeastOne,
            },
        ],
    },
    short: &[],
    in_do: true,
    effect: true,
};
