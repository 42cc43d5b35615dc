//! The ledger as the configuration has it: opened, exported, migrated.

use crate::config::Config;
use crate::disk;
use crate::failure::Failure;
use crate::place::{self, Place, Url};
use crate::registry;
use oncely_core::ledger::{Ledger, LedgerError};
use oncely_ledger::{
    MemoryLedger, Moved, Options, PostgresLedger, PostgresOptions, SqliteLedger, Stats,
    SystemClock, Verified,
};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

/// The name of the secret that opens the ledger's database.
const PASSWORD: &str = "LEDGER_PASSWORD";

/// An open ledger.
pub(crate) enum Store {
    /// In memory: there is none yet, and a command only looks, or none is to be kept.
    Nothing(Arc<MemoryLedger>),
    /// In a file of this machine.
    Sqlite(Arc<SqliteLedger>),
    /// In a PostgreSQL database.
    Postgres(Arc<PostgresLedger>),
}

/// What became of the places where removed data was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wiped {
    /// All of the file was written anew.
    Anew,
    /// They were overwritten, and the write-ahead log is empty.
    Overwritten,
    /// They were overwritten, and are still in the write-ahead log.
    Later,
    /// The database does it.
    ByVacuum,
}

impl Store {
    /// Opens the ledger. Where there is none yet, a command that only looks finds an empty one, and
    /// makes nothing.
    pub(crate) fn open(config: &Config, role: &str, create: bool) -> Result<Self, Failure> {
        if let (Place::File(path), true) = (&config.ledger.value, create) {
            disk::lasts(config, path)?;
        }
        let opened = match &config.ledger.value {
            Place::File(path) => file(config, path, role, create).map(Self::Sqlite),
            Place::Postgres(url) => postgres(config, url, role, create).map(Self::Postgres),
        };
        match opened {
            Err(LedgerError::Absent(_)) if !create => {
                let empty = MemoryLedger::new(role, Arc::new(SystemClock))?;
                Ok(Self::Nothing(Arc::new(empty)))
            }
            opened => opened.map_err(|error| Failure::usage(error.to_string())),
        }
    }

    /// One that is gone with the process.
    pub(crate) fn in_memory(role: &str) -> Result<Self, Failure> {
        let store = MemoryLedger::new(role, Arc::new(SystemClock))?;
        Ok(Self::Nothing(Arc::new(store)))
    }

    /// The ledger as the engine sees it.
    pub(crate) fn ledger(&self) -> Arc<dyn Ledger> {
        match self {
            Self::Nothing(store) => Arc::clone(store) as Arc<dyn Ledger>,
            Self::Sqlite(store) => Arc::clone(store) as Arc<dyn Ledger>,
            Self::Postgres(store) => Arc::clone(store) as Arc<dyn Ledger>,
        }
    }

    /// Whether there is a ledger at all.
    pub(crate) fn exists(&self) -> bool {
        !matches!(self, Self::Nothing(_))
    }

    /// Counts what the ledger holds; nothing where there is none.
    pub(crate) fn stats(&self) -> Result<Option<Stats>, LedgerError> {
        match self {
            Self::Nothing(_) => Ok(None),
            Self::Sqlite(store) => store.stats().map(Some),
            Self::Postgres(store) => store.stats().map(Some),
        }
    }

    /// Looks the ledger over; nothing where there is none.
    pub(crate) fn verify(&self) -> Result<Option<Verified>, LedgerError> {
        match self {
            Self::Nothing(_) => Ok(None),
            Self::Sqlite(store) => store.verify().map(Some),
            Self::Postgres(store) => store.verify().map(Some),
        }
    }

    /// Takes what was overwritten out of the ledger's files.
    pub(crate) fn wipe(&self, anew: bool) -> Result<Wiped, LedgerError> {
        match self {
            Self::Nothing(_) => Ok(Wiped::Anew),
            Self::Postgres(_) => Ok(Wiped::ByVacuum),
            Self::Sqlite(store) => store.wipe(anew).map(|done| match (done, anew) {
                (false, _) => Wiped::Later,
                (true, true) => Wiped::Anew,
                (true, false) => Wiped::Overwritten,
            }),
        }
    }

    /// Writes everything in the ledger as JSON lines.
    pub(crate) fn export(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Nothing(_) => Ok(()),
            Self::Sqlite(store) => store.export(out),
            Self::Postgres(store) => store.export(out),
        }
    }
}

fn file(
    config: &Config,
    path: &Path,
    role: &str,
    create: bool,
) -> Result<Arc<SqliteLedger>, LedgerError> {
    let options = Options {
        create,
        lease: config.lease.value,
        // What is about the ledger itself looks at one whose end was lost, too.
        may_be_behind: role.starts_with("oncely ledger "),
        may_be_short: role == "oncely ledger repair",
        ..Options::new(role)
    };
    // A folder that is missing has no ledger either.
    if !create && !path.exists() {
        return Err(LedgerError::Absent(path.display().to_string()));
    }
    SqliteLedger::open(path, options).map(Arc::new)
}

fn postgres(
    config: &Config,
    url: &Url,
    role: &str,
    create: bool,
) -> Result<Arc<PostgresLedger>, LedgerError> {
    let options = postgres_options(config, url, role, create);
    PostgresLedger::open(&url.text, options).map(Arc::new)
}

fn postgres_options(config: &Config, url: &Url, role: &str, create: bool) -> PostgresOptions {
    let own = registry::secrets(config).get(PASSWORD);
    PostgresOptions {
        create,
        password: own.or_else(|| std::env::var("PGPASSWORD").ok()),
        secret_url: url.secret,
        lease: config.lease.value,
        // Processes of many machines work on it.
        ..PostgresOptions::new(&format!("{role} on {}", machine()))
    }
}

/// Takes the ledger from its file to a database.
pub(crate) fn move_to(config: &Config, to: &str) -> Result<Moved, Failure> {
    let to = place::understand(to, "--to", &config.root)?.value;
    let (Place::File(from), Place::Postgres(url)) = (&config.ledger.value, &to) else {
        return Err(Failure::usage(
            "a ledger moves from a file to a PostgreSQL database: `oncely ledger move --to \
             postgres://user@host:5432/database`. Nothing was moved.",
        ));
    };
    let options = postgres_options(config, url, "oncely ledger move", true);
    let moved = oncely_ledger::move_to_postgres(from, &url.text, options);
    Ok(runtime()?.block_on(moved)?)
}

fn migrate_database(config: &Config, url: &Url) -> Result<String, Failure> {
    let options = postgres_options(config, url, "oncely ledger migrate", false);
    let migrated = runtime()?.block_on(oncely_ledger::migrate_postgres(&url.text, options));
    Ok(match migrated {
        Ok(Some(_)) => "Migrated, in one transaction.".into(),
        Ok(None) => "The ledger is at this version already; nothing was changed.".into(),
        Err(LedgerError::Absent(_)) => "There is no ledger yet; the first run makes it.".into(),
        Err(error) => return Err(error.into()),
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(format!("the runtime cannot start: {e}")))
}

/// The name of this machine.
pub(crate) fn machine() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

/// Brings the ledger to this version, after a backup; says what was done.
pub(crate) fn migrate(config: &Config) -> Result<String, Failure> {
    let path = match &config.ledger.value {
        Place::File(path) => path,
        Place::Postgres(url) => return migrate_database(config, url),
    };
    let done = oncely_ledger::migrate(path)?;
    let checksums = match done.sealed {
        true => " Its pages have checksums now.",
        false => "",
    };
    Ok(match done.copy {
        Some(copy) => format!(
            "Migrated.{checksums} The ledger as it was is in {}.",
            copy.display()
        ),
        None => "The ledger is at this version already; nothing was changed.".into(),
    })
}
