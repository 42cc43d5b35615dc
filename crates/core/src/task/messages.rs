//! The actions that tell people something, and their options, as they are documented.

use super::actions::{ActionDoc, Group, OptionKind, TableSpec, Take};
use super::catalogue::{option, required};
use super::model::ActionKind;
use crate::template::Markup;

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
            option(
                "html",
                OptionKind::Markup(Markup::Html),
                "The text in HTML.",
            ),
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

pub(super) const SLACK: ActionDoc = ActionDoc {
    kind: ActionKind::Slack,
    doc: "Sends a message to a channel of Slack.",
    table: TableSpec {
        options: &[
            option(
                "channel",
                OptionKind::Text,
                "The channel, such as `#orders` or its id.",
            ),
            option(
                "webhook",
                OptionKind::OneSecret,
                "In place of `channel`: the URL of an incoming webhook, which has its channel.",
            ),
            option(
                "token",
                OptionKind::OneSecret,
                "The token of the app that sends it; the secret `SLACK_TOKEN` unless given.",
            ),
            option(
                "text",
                OptionKind::Markup(Markup::Slack),
                "The message in Slack's own markup; with `blocks` what notifications show.",
            ),
            option(
                "blocks",
                OptionKind::Any,
                "The message as a list of Slack's blocks. Data belongs into texts of the type \
                 `plain_text`: in others Slack reads it as markup.",
            ),
            option(
                "thread_ts",
                OptionKind::Text,
                "The `ts` of the message that it answers.",
            ),
        ],
        groups: &[
            Group {
                names: &["channel", "webhook"],
                take: Take::One,
            },
            Group {
                names: &["token", "webhook"],
                take: Take::AtMostOne,
            },
            Group {
                names: &["text", "blocks"],
                take: Take::AtLeastOne,
            },
        ],
    },
    short: &[],
    in_do: true,
    effect: true,
};
