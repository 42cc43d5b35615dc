//! Connections of the ledger.

use super::db::{Db, Stop, in_time};
use super::options::Patience;
use oncely_core::ledger::LedgerError;
use oncely_postgres::{Address, ConnectError};

/// Makes a connection, whose messages are carried by a task of the runtime at hand.
///
/// A transaction of a process that was stopped, or that cannot be reached any more, is ended by the
/// server: what it has locked would hold up everybody for hours.
pub(crate) async fn connect(address: &Address, patience: Patience) -> Result<Db, Stop> {
    in_time(patience.answer, async {
        let client = oncely_postgres::connect(address).await.map_err(stop)?;
        let idle = patience.idle.as_millis();
        client
            .batch_execute(&format!(
                "set default_transaction_isolation = 'read committed';
                 set idle_in_transaction_session_timeout = {idle}"
            ))
            .await?;
        Ok(Db::new(client))
    })
    .await
}

fn stop(error: ConnectError) -> Stop {
    match error {
        ConnectError::Server(error) => error.into(),
        ConnectError::Tls(words) => {
            LedgerError::Unusable(format!("TLS cannot be used: {words}.")).into()
        }
    }
}
