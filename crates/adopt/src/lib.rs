//! What other tools recorded: `task_records` of the Ruby gem after_party and `data_migrations` of the
//! gem data_migrate, in the database of the application, which is SQLite, PostgreSQL or MySQL.
//!
//! [`read`] changes nothing, and has the database see to that.

mod error;
mod mysql;
mod postgres;
mod session;
mod sqlite;
mod table;
mod url;

pub use error::AdoptError;
pub use table::{Found, ROWS, Record, Tables, read};
pub use url::Database;
