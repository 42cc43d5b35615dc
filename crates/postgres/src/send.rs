//! Statements sent one behind the other, without waiting for each answer.

use crate::Bound;
use futures_util::future::maybe_done;
use std::future::{Future, poll_fn};
use std::task::Poll;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

/// So many are under way at once: what is on its way is held in memory at both ends.
pub const AT_ONCE: usize = 1000;

/// Begins each in its order, and waits for all of them. What a client of PostgreSQL sends, it sends
/// when it is first polled; the answers come in the same order.
pub async fn begun_in_order<F: Future>(all: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all
        .into_iter()
        .map(|one| Box::pin(maybe_done(one)))
        .collect();
    poll_fn(|cx| {
        for one in &mut all {
            // Whether it is over is asked for below.
            let _ = one.as_mut().poll(cx);
        }
        Poll::Ready(())
    })
    .await;
    let mut done = Vec::with_capacity(all.len());
    for mut one in all {
        one.as_mut().await;
        done.extend(one.as_mut().take_output());
    }
    done
}

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
        begun_in_order(sent)
            .await
            .into_iter()
            .collect::<Result<(), _>>()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    /// Ready when it is polled for the second time, and writes down when it was polled first.
    async fn noted(number: usize, begun: &RefCell<Vec<usize>>) -> usize {
        let first = Cell::new(true);
        poll_fn(|cx| {
            if !first.replace(false) {
                return Poll::Ready(());
            }
            begun.borrow_mut().push(number);
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        number
    }

    #[tokio::test]
    async fn many_are_begun_and_answered_in_their_order() {
        let begun = RefCell::new(Vec::new());
        let done = begun_in_order((0..AT_ONCE).map(|number| noted(number, &begun))).await;
        let expected: Vec<usize> = (0..AT_ONCE).collect();
        assert_eq!(*begun.borrow(), expected);
        assert_eq!(done, expected);
    }
}
