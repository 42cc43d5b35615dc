//! What keeps the harness itself from working. A broken promise is a result, not trouble.

use std::fmt;

/// Why the harness could not go on.
#[derive(Debug)]
pub struct Trouble(pub String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trouble {}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self(format!("input or output: {error}"))
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self(format!("a database: {error}"))
    }
}

impl From<serde_json::Error> for Trouble {
    fn from(error: serde_json::Error) -> Self {
        Self(format!("JSON: {error}"))
    }
}

impl From<oncely_core::ledger::LedgerError> for Trouble {
    fn from(error: oncely_core::ledger::LedgerError) -> Self {
        Self(format!("the ledger: {error}"))
    }
}
