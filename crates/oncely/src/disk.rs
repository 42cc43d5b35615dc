//! Whether the ledger's disk is thrown away with the release: then every release would find an empty
//! ledger, and do everything again.

use crate::config::Config;
use crate::failure::Failure;
use std::path::Path;

/// Says that a ledger on such a disk is meant.
const ALLOWED: &str = "ONCELY_EPHEMERAL";
/// The environment in which people try things out.
const TRYING: &str = "development";
/// What file systems call themselves: the top layer of a container, and memory.
const OVERLAY: i64 = 0x794c_7630;
const MEMORY: i64 = 0x0102_1994;

/// What is known of the surroundings.
#[derive(Debug, Default, Clone, Copy)]
struct Surroundings {
    heroku: bool,
    container: bool,
    file_system: i64,
}

/// Refuses to record anything on a disk that is thrown away.
pub(crate) fn lasts(config: &Config, ledger: &Path) -> Result<(), Failure> {
    let allowed = std::env::var(ALLOWED).is_ok_and(|value| value == "allow");
    if allowed || config.environment.value.as_str() == TRYING {
        return Ok(());
    }
    match thrown_away(look(ledger)) {
        Some(why) => Err(refusal(config, ledger, why)),
        None => Ok(()),
    }
}

fn look(ledger: &Path) -> Surroundings {
    let set = |name: &str| std::env::var_os(name).is_some();
    let marks = ["/.dockerenv", "/run/.containerenv"];
    // The folder that the ledger's own will be made in.
    let folder = ledger.ancestors().skip(1).find(|folder| folder.is_dir());
    let found = folder.and_then(|folder| rustix::fs::statfs(folder).ok());
    Surroundings {
        heroku: set("DYNO"),
        container: set("KUBERNETES_SERVICE_HOST") || marks.iter().any(|m| Path::new(m).exists()),
        #[allow(clippy::useless_conversion)] // The type differs between machines.
        file_system: found.map_or(0, |found| i64::from(found.f_type)),
    }
}

fn thrown_away(found: Surroundings) -> Option<&'static str> {
    let passing = matches!(found.file_system, OVERLAY | MEMORY);
    match found {
        Surroundings { heroku: true, .. } => Some("a Heroku dyno's disk is"),
        Surroundings {
            container: true, ..
        } if passing => Some("a container's disk without a volume is"),
        _ => None,
    }
}

fn refusal(config: &Config, ledger: &Path, why: &str) -> Failure {
    Failure::usage(format!(
        "the ledger {} would be thrown away with this machine, as {why}: the next release in {} would \
         do everything again. Nothing was run. Keep the ledger in PostgreSQL, ledger = \
         \"env:DATABASE_URL\" in oncely.toml, or on a volume. Where forgetting is meant, as in an \
         environment for one review: {ALLOWED}=allow.",
        ledger.display(),
        config.environment.value,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: i64 = 0xef53;

    #[test]
    fn the_disks_of_dynos_and_of_containers_are_thrown_away() {
        let at = |heroku, container, file_system| {
            let found = Surroundings {
                heroku,
                container,
                file_system,
            };
            thrown_away(found).is_some()
        };
        assert!(at(true, false, DISK));
        assert!(at(false, true, OVERLAY));
        assert!(at(false, true, MEMORY));
        assert!(!at(false, true, DISK), "a volume");
        assert!(!at(false, false, OVERLAY), "a live system");
        assert!(!at(false, false, DISK));
    }
}
