//! Reads `on.webhook`.

use super::actions::Names;
use super::confine;
use super::diagnostic::Problem;
use super::fields::{Shape, WEBHOOK as FIELDS};
use super::names::Scope;
use super::reader::{Reader, Span, Table, Val};
use super::webhook::{
    Digest, Encoding, HOOKS, Plain, STYLES, Style, VERIFY, Verify, WebhookTrigger,
};
use crate::limits;
use crate::template::Expr;
use toml::de::DeValue;

impl Reader<'_> {
    pub(super) fn webhook(&mut self, table: &Table<'_, '_>, span: Span) -> Option<WebhookTrigger> {
        let scope = Scope::event_only(Shape::Known(FIELDS), "webhook");
        let when = table
            .get("when")
            .and_then(|value| self.expr(value, "when", &scope));
        let key = table
            .get("key")
            .map(|value| self.expr(value, "key", &scope));
        let path = match table.get("path") {
            Some(value) => {
                let text = self.word(value, "path")?;
                self.keep(value.span(), hook(text))?
            }
            None => {
                let help = "path = \"/hooks/orders\"";
                self.missing(span, "path", "`on.webhook`", help);
                return None;
            }
        };
        let Some(value) = table.get("verify") else {
            let help = "verify = { style = \"github\", secret = \"{{ secret.GITHUB_HOOK }}\" }";
            self.missing(span, "verify", "`on.webhook`", help);
            return None;
        };
        let (verify, usual) = self.proof(value)?;
        let key = match (key, usual) {
            (Some(key), _) => key?,
            (None, Some(usual)) => Expr::parse(usual).ok()?,
            (None, None) => {
                let help =
                    "key = \"event.body.id\", or what else is the same when it is sent again";
                self.missing(span, "key", "`on.webhook`", help);
                return None;
            }
        };
        Some(WebhookTrigger {
            path,
            verify,
            key,
            when,
        })
    }

    /// How the sender proves who it is, and the usual key of that style.
    fn proof(&mut self, value: &Val<'_>) -> Option<(Option<Verify>, Option<&'static str>)> {
        if let DeValue::String(text) = value.get_ref()
            && text == "none"
        {
            return Some((None, None));
        }
        if !matches!(value.get_ref(), DeValue::Table(_)) {
            self.wrong(value, "verify", "a table or \"none\"");
            return None;
        }
        let table = self.table(value, "verify")?;
        let keys: Vec<_> = VERIFY.iter().map(|(key, _)| *key).collect();
        self.known(&table, &keys, "`verify`");
        let Some(style) = table.get("style") else {
            let help = "style = \"github\"";
            self.missing(table.span.clone(), "style", "`verify`", help);
            return None;
        };
        let names: Vec<_> = STYLES.iter().map(|(name, _)| *name).collect();
        let style = self.choice(style, "style", &names)?;
        let (_, usual) = STYLES.iter().find(|(name, _)| *name == style)?;
        let secrets = self.hook_secrets(&table);
        let style = self.style(style, &table)?;
        let secrets = secrets?;
        Some((Some(Verify { style, secrets }), *usual))
    }

    fn style(&mut self, name: &str, table: &Table<'_, '_>) -> Option<Style> {
        let own: &[&str] = match name {
            "stripe" | "slack" => &["tolerance"],
            "hmac" => &["header", "digest", "encoding", "prefix"],
            "token" => &["header"],
            _ => &[],
        };
        for (key, span, _) in table.each() {
            let known = VERIFY.iter().any(|(known, _)| *known == key);
            if known && !own.contains(&key) && !matches!(key, "style" | "secret") {
                let problem = Problem::new(format!("`{key}` is not for the style {name}"))
                    .label("this style knows its own");
                self.report(span, problem);
            }
        }
        Some(match name {
            "github" => Style::Github,
            "shopify" => Style::Shopify,
            "stripe" => Style::Stripe {
                tolerance_ms: self.tolerance(table)?,
            },
            "slack" => Style::Slack {
                tolerance_ms: self.tolerance(table)?,
            },
            "hmac" => Style::Hmac(self.plain(table)?),
            _ => Style::Token {
                header: self.hook_header(table, "x-token")?,
            },
        })
    }

    fn plain(&mut self, table: &Table<'_, '_>) -> Option<Plain> {
        let header = self.hook_header(table, "x-signature")?;
        let digest = table
            .get("digest")
            .and_then(|value| self.choice(value, "digest", &["sha256", "sha512"]));
        let encoding = table
            .get("encoding")
            .and_then(|value| self.choice(value, "encoding", &["hex", "base64"]));
        let prefix = table
            .get("prefix")
            .and_then(|value| self.text(value, "prefix"));
        Some(Plain {
            header,
            digest: match digest {
                Some("sha512") => Digest::Sha512,
                _ => Digest::Sha256,
            },
            encoding: match encoding {
                Some("base64") => Encoding::Base64,
                _ => Encoding::Hex,
            },
            prefix: prefix.unwrap_or_default().to_owned(),
        })
    }

    fn tolerance(&mut self, table: &Table<'_, '_>) -> Option<i64> {
        let Some(value) = table.get("tolerance") else {
            return Some(limits::HOOK_TOLERANCE_MS);
        };
        let millis = self.some_time(value, "tolerance")?;
        if millis > limits::HOOK_TOLERANCE_MOST_MS {
            let problem = Problem::new("`tolerance` is at most a day")
                .label("what is older may be something that was overheard");
            self.report(value.span(), problem);
            return None;
        }
        Some(millis)
    }

    fn hook_header(&mut self, table: &Table<'_, '_>, usual: &str) -> Option<String> {
        let Some(value) = table.get("header") else {
            return Some(usual.to_owned());
        };
        let text = self.word(value, "header")?;
        let found = confine::name(text, Names::Header);
        self.keep(value.span(), found)?;
        Some(text.to_ascii_lowercase())
    }

    fn hook_secrets(&mut self, table: &Table<'_, '_>) -> Option<Vec<String>> {
        let help = "secret = \"{{ secret.NAME }}\"";
        let Some(value) = table.get("secret") else {
            self.missing(table.span.clone(), "secret", "`verify`", help);
            return None;
        };
        let items = match value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => vec![value],
        };
        if items.is_empty() || items.len() > limits::HOOK_SECRETS {
            let most = limits::HOOK_SECRETS;
            let problem = Problem::new(format!("`secret` names 1 to {most} secrets")).help(help);
            self.report(value.span(), problem);
            return None;
        }
        let scope = Scope::event_only(Shape::Known(FIELDS), "webhook");
        let names: Vec<_> = items
            .into_iter()
            .map(|item| self.secret_name(item, "secret", &scope))
            .collect();
        names.into_iter().collect()
    }
}

/// Where requests of a task come in.
fn hook(text: &str) -> Result<String, Problem> {
    let help = "letters, digits, `_`, `-` and `.` below /hooks/: \"/hooks/orders\"";
    confine::fixed(text, "path", help)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let rest = text.strip_prefix(HOOKS).unwrap_or_default();
    let parts = rest.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if parts && text.chars().all(plain) && text.len() <= limits::NAME_BYTES {
        return Ok(text.to_owned());
    }
    Err(Problem::new(format!("`{text}` is no path of a webhook")).help(help))
}
