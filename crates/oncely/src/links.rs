//! Links to questions: what they are signed with, and where they lead.

use crate::config::{Config, FILE};
use crate::failure::Failure;
use crate::place::Place;
use crate::registry;
use oncely_actions::Links;
use oncely_core::link::{self, Link, LinkKey};
use oncely_gateway::ANSWER;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;

/// The name of the secret that links are signed with.
const SECRET: &str = "LINK_KEY";
/// Where the key is kept that is made when nobody gave one. A ledger in a file is used on one machine.
const KEY_FILE: &str = "link.key";
/// Bytes of randomness in it.
const KEY_BYTES: usize = 32;

/// What links of this project are signed with; none where the ledger is shared by machines and no key
/// was given to all of them.
///
/// # Errors
/// When the secret is too short, or the file of the key cannot be read or made.
pub(crate) fn key(config: &Config) -> Result<Option<LinkKey>, Failure> {
    if let Some(secret) = registry::secrets(config).get(SECRET) {
        let key = LinkKey::of(&secret);
        return key
            .map(Some)
            .ok_or_else(|| too_short(&format!("the secret {SECRET}")));
    }
    if !matches!(config.ledger.value, Place::File(_)) {
        return Ok(None);
    }
    let path = config.data().join(KEY_FILE);
    let shown = path.display();
    let cannot = |error| {
        Failure::failed(format!(
            "the key of links, {shown}, cannot be read or made: {error}. No link was made or opened."
        ))
    };
    let text = kept(&path).map_err(cannot)?;
    let key = LinkKey::of(text.trim());
    key.map(Some).ok_or_else(|| too_short(&shown.to_string()))
}

fn too_short(what: &str) -> Failure {
    let fewest = LinkKey::FEWEST;
    Failure::usage(format!(
        "{what} has fewer than {fewest} characters, so that links could be forged. Nothing was run."
    ))
}

/// The key in this file, which is made when there is none. Of several processes that make it at once
/// one wins, and all have its key.
fn kept(path: &Path) -> std::io::Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        read => return read,
    }
    let key = random()?;
    let own = path.with_extension(format!("{}.new", &key[..16]));
    write_private(&own, &key)?;
    let made = std::fs::hard_link(&own, path);
    std::fs::remove_file(&own)?;
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => std::fs::read_to_string(path),
    }
}

fn random() -> std::io::Result<String> {
    let mut bytes = [0; KEY_BYTES];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

/// The address of a link's page.
pub(crate) fn address(base: &str, text: &str) -> String {
    format!("{base}{ANSWER}{text}")
}

/// The links in messages. The key is looked for when the first message is sent: most commands send
/// none.
pub(crate) struct MessageLinks {
    config: Config,
    key: OnceLock<Option<LinkKey>>,
}

impl MessageLinks {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            key: OnceLock::new(),
        }
    }

    fn key(&self) -> Option<&LinkKey> {
        let found = self.key.get_or_init(|| {
            key(&self.config).unwrap_or_else(|failure| {
                tracing::warn!("messages carry no links: {}", failure.message);
                None
            })
        });
        found.as_ref()
    }
}

impl Links for MessageLinks {
    fn url(&self, link: &Link, place: link::Place<'_>) -> Option<String> {
        let base = self.config.gateway.value.url.as_deref()?;
        Some(address(base, &self.key()?.sign(link, place)))
    }
}

/// Where pages are reached: the address that the configuration names for others, else the one that
/// this machine listens on.
///
/// # Errors
/// When there is neither.
pub(crate) fn base(config: &Config) -> Result<String, Failure> {
    let settings = &config.gateway.value;
    let listen = settings.listen.filter(|listen| listen.port() != 0);
    let own = listen.map(|listen| format!("http://{listen}"));
    settings.url.clone().or(own).ok_or_else(|| {
        Failure::usage(format!(
            "no address leads to a page: set `listen` under [gateway] of {FILE}, and `url` where \
             others reach it by another address. No link was made."
        ))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_key_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(KEY_FILE);
        let keys: Vec<String> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| kept(&path).unwrap()))
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(keys[0].trim().len(), 2 * KEY_BYTES);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
