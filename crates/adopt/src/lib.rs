//! What other tools recorded: `task_records` of the Ruby gem after_party and `data_migrations` of the
//! gem data_migrate, in the database of the application, which is SQLite, PostgreSQL or MySQL.
//!
//! [`read`] changes nothing, and has the database see to that. [`add`] adds one row, where it is not there.

mod error;
mod mysql;
mod postgres;
mod session;
mod sqlite;
mod table;
mod url;

pub use error::AdoptError;
pub use table::{Found, ROWS, Record, Tables, add, read};
pub use url::Database;
