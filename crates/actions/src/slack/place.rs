//! Where a message is sent, and who sends it.

use super::options::Options;
use crate::http::{Allowed, Auth};
use crate::secret::{SecretText, Secrets, Veil};
use oncely_core::action::Failure;
use url::{Host, Url};

/// The secret that holds the token, unless the step says otherwise.
const TOKEN: &str = "SLACK_TOKEN";

/// Where Slack's methods are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlackApi {
    base: Url,
}

impl SlackApi {
    /// Slack itself.
    pub const USUAL: &'static str = "https://slack.com/api";

    /// Reads an address such as `https://slack.com/api`.
    ///
    /// # Errors
    /// In words, when it is none, or would show the token to a network.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains(['@', '?', '#']) {
            return Err("an address without user, password and query is wanted".into());
        }
        let url = Url::parse(text).ok().filter(|url| url.host().is_some());
        match url {
            Some(base) if base.scheme() == "https" => Ok(Self { base }),
            Some(base) if base.scheme() == "http" && is_here(&base) => Ok(Self { base }),
            Some(url) if url.scheme() == "http" => Err(format!(
                "{text:?} would show the token to the network: use https"
            )),
            _ => Err(format!(
                "{text:?} is no address: write it like {:?}",
                Self::USUAL
            )),
        }
    }

    fn method(&self, name: &str) -> String {
        format!("{}/{name}", self.base.as_str().trim_end_matches('/'))
    }

    /// Its host and port, as an address that may be reached.
    pub(crate) fn allowed(&self) -> Allowed {
        let port = self.base.port_or_known_default();
        match self.base.host() {
            Some(Host::Ipv4(ip)) => Allowed::Net {
                address: ip.into(),
                prefix: 32,
                port,
            },
            Some(Host::Ipv6(ip)) => Allowed::Net {
                address: ip.into(),
                prefix: 128,
                port,
            },
            Some(Host::Domain(name)) => Allowed::Host {
                name: name.to_owned(),
                port,
            },
            None => Allowed::Host {
                name: String::new(),
                port,
            },
        }
    }
}

impl std::fmt::Display for SlackApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.base.as_str().trim_end_matches('/'))
    }
}

fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Where one message goes.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) auth: Option<Auth>,
    pub(crate) webhook: bool,
}

impl Place {
    pub(crate) fn of(
        options: Options,
        api: &SlackApi,
        secrets: &dyn Secrets,
        veil: &mut Veil,
    ) -> Result<Self, Failure> {
        if let Some(webhook) = &options.webhook {
            let url = webhook.reveal(secrets, veil)?;
            return Ok(Self {
                url: whole(&url, veil)?,
                auth: None,
                webhook: true,
            });
        }
        let token = options.token.unwrap_or_else(|| SecretText::named(TOKEN));
        Ok(Self {
            url: api.method("chat.postMessage"),
            auth: Some(Auth::Bearer(token)),
            webhook: false,
        })
    }
}

/// The address of a webhook: whoever knows it may write to its channel, so that no part of it that
/// tells it from others may be shown.
fn whole(text: &str, veil: &mut Veil) -> Result<String, Failure> {
    let url = Url::parse(text.trim()).ok();
    let good = |url: &Url| url.scheme() == "https" || (url.scheme() == "http" && is_here(url));
    let url = url.filter(good).ok_or_else(|| {
        Failure::permanent(
            "the secret of `webhook` is no address that could be used: it begins with https://",
        )
    })?;
    veil.hide(url.as_str());
    let segments = url.path_segments().into_iter().flatten();
    for part in segments.chain([url.path()]) {
        // Short ones such as `services` are the same for everybody, or words of their own.
        if part.len() > "services".len() {
            veil.hide(part);
        }
    }
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        SlackApi::parse(text).map_or_else(|e| e, |api| api.method("chat.postMessage"))
    }

    #[test]
    fn the_api_is_read_with_and_without_a_slash() {
        let usual = "https://slack.com/api/chat.postMessage";
        assert_eq!(read(SlackApi::USUAL), usual);
        assert_eq!(read("https://slack.com/api/"), usual);
        let local = "http://127.0.0.1:8080/api/chat.postMessage";
        assert_eq!(read("http://127.0.0.1:8080/api"), local);
    }

    #[test]
    fn what_is_no_api_is_said() {
        insta::assert_snapshot!(read("slack.com"), @r#""slack.com" is no address: write it like "https://slack.com/api""#);
        insta::assert_snapshot!(read("http://slack.example.com"), @r#""http://slack.example.com" would show the token to the network: use https"#);
        insta::assert_snapshot!(read("https://me:hush@slack.com"), @"an address without user, password and query is wanted");
    }

    #[test]
    fn no_part_of_a_webhook_is_shown() {
        let mut veil = Veil::default();
        let hook = "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXX";
        assert_eq!(whole(&format!("{hook}\n"), &mut veil).unwrap(), hook);
        for text in [
            hook,
            "at /services/T00000000/B00000000/XXXXXXXXXXXXXXXX",
            "XXXXXXXXXXXXXXXX",
        ] {
            assert!(!veil.text(text).contains("XXXX"), "{}", veil.text(text));
        }
        for wrong in ["", "hush", "http://hooks.slack.com/x", "ftp://x/y"] {
            let error = whole(wrong, &mut veil).unwrap_err();
            assert!(error.error().contains("begins with https://"), "{wrong}");
        }
    }
}
