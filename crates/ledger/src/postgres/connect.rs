//! Connections of the ledger.

use super::db::{Db, Stop};
use oncely_core::ledger::LedgerError;
use oncely_postgres::{Address, ConnectError};

/// Makes a connection, whose messages are carried by a task of the runtime at hand.
pub(crate) async fn connect(address: &Address) -> Result<Db, Stop> {
    let client = oncely_postgres::connect(address).await.map_err(stop)?;
    client
        .batch_execute("set default_transaction_isolation = 'read committed'")
        .await?;
    Ok(Db::new(client))
}

fn stop(error: ConnectError) -> Stop {
    match error {
        ConnectError::Server(error) => error.into(),
        ConnectError::Tls(words) => {
            LedgerError::Unusable(format!("TLS cannot be used: {words}.")).into()
        }
    }
}
