//! What the statements of a task may not do: end the transaction, open other files, change how the
//! database works, or touch the marks.

use crate::sql::mark::TABLE;
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, Authorization};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether statements are a task's own at the moment.
///
/// SQLite asks while it prepares a statement, which it also does anew whenever the schema changed.
/// Hence the guard is up around everything that belongs to the task and down around the rest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard(Arc<AtomicBool>);

impl Guard {
    /// Puts a guard on a connection.
    pub(crate) fn on(connection: &mut Connection) -> rusqlite::Result<Self> {
        let guard = Self::default();
        let up = Arc::clone(&guard.0);
        connection.authorizer(Some(
            move |context: rusqlite::hooks::AuthContext<'_>| match up.load(Ordering::Relaxed)
                && forbidden(context.action)
            {
                true => Authorization::Deny,
                false => Authorization::Allow,
            },
        ))?;
        Ok(guard)
    }

    /// The guard is up until the returned value is dropped.
    pub(crate) fn up(&self) -> Up<'_> {
        self.0.store(true, Ordering::Relaxed);
        Up(&self.0)
    }
}

/// A guard that is up.
pub(crate) struct Up<'a>(&'a AtomicBool);

impl Drop for Up<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn forbidden(action: AuthAction<'_>) -> bool {
    match action {
        AuthAction::Transaction { .. }
        | AuthAction::Savepoint { .. }
        | AuthAction::Attach { .. }
        | AuthAction::Detach { .. }
        | AuthAction::Pragma { .. }
        | AuthAction::Unknown { .. } => true,
        AuthAction::Function { function_name } => {
            function_name.eq_ignore_ascii_case("load_extension")
        }
        other => table(other).is_some_and(|table| table.eq_ignore_ascii_case(TABLE)),
    }
}

/// The table that an action is about.
fn table(action: AuthAction<'_>) -> Option<&str> {
    use AuthAction as A;
    match action {
        A::CreateIndex { table_name, .. }
        | A::CreateTable { table_name }
        | A::CreateTempIndex { table_name, .. }
        | A::CreateTempTable { table_name }
        | A::CreateTempTrigger { table_name, .. }
        | A::CreateTrigger { table_name, .. }
        | A::Delete { table_name }
        | A::DropIndex { table_name, .. }
        | A::DropTable { table_name }
        | A::DropTempIndex { table_name, .. }
        | A::DropTempTable { table_name }
        | A::DropTempTrigger { table_name, .. }
        | A::DropTrigger { table_name, .. }
        | A::Insert { table_name }
        | A::Read { table_name, .. }
        | A::Update { table_name, .. }
        | A::AlterTable { table_name, .. }
        | A::Analyze { table_name }
        | A::CreateVtable { table_name, .. }
        | A::DropVtable { table_name, .. } => Some(table_name),
        A::CreateTempView { view_name } | A::CreateView { view_name } => Some(view_name),
        _ => None,
    }
}
