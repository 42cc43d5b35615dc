//! Services that steps speak to, as the operator configures them: `[email]` and `[slack]`.

use crate::config::{FILE, Sourced};
use crate::failure::Failure;
use oncely_actions::{MailServer, SlackApi};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// `[email]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmailSection {
    server: Option<String>,
    tls: Option<String>,
    from: Option<String>,
    user: Option<String>,
    ca: Option<PathBuf>,
}

/// `[slack]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SlackSection {
    api: Option<String>,
}

impl SlackSection {
    /// Where Slack's methods are, and whether the file says so.
    pub(crate) fn api(self) -> Result<Sourced<SlackApi>, Failure> {
        let from = if self.api.is_some() { FILE } else { "default" };
        let text = self.api.as_deref().unwrap_or(SlackApi::USUAL);
        let value = SlackApi::parse(text)
            .map_err(|why| Failure::usage(format!("{FILE}, slack.api: {why}. Nothing was run.")))?;
        Ok(Sourced {
            value,
            from: from.into(),
        })
    }
}

/// What `email` steps need.
#[derive(Debug, Clone, Default)]
pub(crate) struct EmailSettings {
    pub(crate) server: Option<MailServer>,
    pub(crate) from: Option<String>,
}

impl EmailSection {
    /// What it means.
    pub(crate) fn settings(self, root: &Path) -> Result<EmailSettings, Failure> {
        let Some(text) = &self.server else {
            let lonely = [
                ("tls", self.tls.is_some()),
                ("user", self.user.is_some()),
                ("ca", self.ca.is_some()),
            ];
            return match lonely.iter().find(|(_, given)| *given) {
                Some((key, _)) => Err(Failure::usage(format!(
                    "{FILE}: email.{key} is given without email.server. Write it like server = \
                     \"smtp://mail.example.com:587\". Nothing was run."
                ))),
                None => Ok(EmailSettings {
                    server: None,
                    from: self.from,
                }),
            };
        };
        let server = MailServer::parse(text, self.tls.as_deref());
        let server = server.map_err(|why| {
            Failure::usage(format!("{FILE}, email.server: {why}. Nothing was run."))
        })?;
        Ok(EmailSettings {
            server: Some(MailServer {
                user: self.user,
                ca: self.ca.map(|path| root.join(path)),
                ..server
            }),
            from: self.from,
        })
    }
}

impl EmailSettings {
    /// What `oncely doctor` shows: names and values.
    pub(crate) fn rows(&self) -> Vec<(&'static str, String)> {
        let Some(server) = &self.server else {
            return vec![("email.server", "none: `email` steps fail".into())];
        };
        let host = match server.host.contains(':') {
            true => format!("[{}]", server.host),
            false => server.host.clone(),
        };
        let from = self.from.as_deref().unwrap_or("each step says it");
        let user = server.user.as_deref().unwrap_or("none");
        let mut rows = vec![
            (
                "email.server",
                format!("{host}:{}, tls {}", server.port, server.tls),
            ),
            ("email.from", from.to_owned()),
            ("email.user", user.to_owned()),
        ];
        if let Some(ca) = &server.ca {
            rows.push(("email.ca", ca.display().to_string()));
        }
        rows
    }

    /// The secret without which no mail is sent.
    pub(crate) fn secret(&self) -> Option<&'static str> {
        self.server.as_ref()?.user.as_ref()?;
        Some("EMAIL_PASSWORD")
    }
}
