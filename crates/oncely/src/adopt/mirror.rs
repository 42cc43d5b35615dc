//! The `sql` action, which also adds rows to after_party's table where `mirror = true` asks for it.

use super::settings::Rake;
use oncely_adopt::AdoptError;
use oncely_core::action::{Action, Call, Done, Failure};
use oncely_core::fact::Repeat;
use oncely_core::items::RowSink;
use oncely_core::rows::RowSource;
use oncely_core::{Fut, Value};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What the step of a mirror names for its database.
pub(super) const DATABASE: &str = "adopt.rake";

/// The `sql` action of the project, and after_party's table beside its databases.
pub(crate) struct WithMirror {
    /// Every other statement.
    pub(crate) sql: Arc<dyn Action>,
    /// Where the table is.
    pub(crate) rake: Rake,
    /// The project's root.
    pub(crate) root: PathBuf,
}

impl WithMirror {
    async fn add(&self, call: &Call) -> Result<Done, Failure> {
        let version = call.options["bind"]["version"].as_str();
        let version =
            version.ok_or_else(|| Failure::permanent("there is no version to be added"))?;
        let place = self.rake.place(&self.root).map_err(failure)?;
        let added = oncely_adopt::add(&place, &self.rake.tables, version).await;
        let (table, added) = added.map_err(failure)?;
        Ok(Done::Output(serde_json::json!({
            "changed": u8::from(added), "rows": [], "truncated": false,
            "table": table, "database": place.to_string(),
        })))
    }
}

/// Whatever became of it, it may be done again: a row that is there is not added.
fn failure(error: AdoptError) -> Failure {
    match error {
        AdoptError::NotAdded { .. } => Failure::unknown(error.to_string()),
        _ => Failure::permanent(error.to_string()),
    }
}

fn is_mirror(options: &Value) -> bool {
    options.get("db").and_then(Value::as_str) == Some(DATABASE)
}

impl Action for WithMirror {
    fn repeat(&self, call: &Call) -> Repeat {
        match is_mirror(&call.options) {
            true => Repeat::Safe,
            false => self.sql.repeat(call),
        }
    }

    fn run<'a>(&'a self, call: &'a Call) -> Fut<'a, Result<Done, Failure>> {
        match is_mirror(&call.options) {
            true => Box::pin(self.add(call)),
            false => self.sql.run(call),
        }
    }

    fn rows(&self, call: &Call) -> Option<Result<Box<dyn RowSink>, Failure>> {
        self.sql.rows(call)
    }

    fn items(
        &self,
        options: &Value,
        page_within: Duration,
    ) -> Option<Result<Box<dyn RowSource>, Failure>> {
        self.sql.items(options, page_within)
    }
}
