//! Statements sent one behind the other, without waiting for each answer.

use crate::Bound;
use futures_util::future::join_all;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

/// So many are under way at once. Up to 30, `join_all` polls them in their order.
pub const AT_ONCE: usize = 30;

/// Executes prepared statements in their order; the first error counts, and what was sent behind it
/// is refused by the server, where a transaction is open.
///
/// # Errors
/// That of the first statement that did not go through.
pub async fn in_order(client: &Client, all: &[(Statement, Vec<Bound<'_>>)]) -> Result<(), Error> {
    for some in all.chunks(AT_ONCE) {
        let sent = some.iter().map(|(statement, values)| async move {
            let values: Vec<_> = values.iter().map(|v| v as &(dyn ToSql + Sync)).collect();
            client.query(statement, &values).await.map(drop)
        });
        join_all(sent)
            .await
            .into_iter()
            .collect::<Result<(), _>>()?;
    }
    Ok(())
}
