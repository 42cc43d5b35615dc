//! Where a stream stands: how far it has come, and for rows of a table behind which of them.

use super::run::Work;
use crate::ask::Ask;
use oncely_core::items::{Progress, SetAside};
use oncely_core::ledger::{LedgerError, Op};
use oncely_core::rows::{RowKey, RowsAt, cursor_name};
use oncely_core::source::Cursor;

/// Where a stream stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Point {
    pub(crate) progress: Progress,
    /// None where the items are no rows of a table.
    pub(crate) rows: Option<RowsAt>,
}

impl Point {
    /// The key of the last row that was dealt with.
    pub(crate) fn key(&self) -> Option<&RowKey> {
        self.rows.as_ref().and_then(|at| at.key.as_ref())
    }
}

impl Work<'_> {
    /// Where the ledger says that the stream stands.
    pub(crate) async fn point(&self, is_rows: bool) -> Result<Point, LedgerError> {
        let ask = Ask(&*self.runner.ledger);
        let (run, step) = (self.job.row.id, &self.step.id);
        let progress = ask.progress(run, step.clone()).await?.unwrap_or_default();
        let rows = match is_rows {
            false => None,
            true => match ask.cursor(cursor_name(run, step)).await? {
                None => Some(RowsAt::default()),
                Some(Cursor(text)) => Some(serde_json::from_str(&text).map_err(|error| {
                    LedgerError::Invalid(format!(
                        "where step `{step}` of run {run} stands cannot be read: {error}"
                    ))
                })?),
            },
        };
        Ok(Point { progress, rows })
    }

    /// What moves the stream in the ledger.
    pub(crate) fn items_ops(&self, point: &Point, set_aside: Vec<SetAside>) -> Vec<Op> {
        let mut ops = vec![Op::Items {
            run: self.job.row.id,
            step: self.step.id.clone(),
            progress: point.progress.clone(),
            set_aside,
        }];
        ops.extend(point.rows.as_ref().map(|at| self.rows_op(at)));
        ops
    }

    /// What says behind which row the stream stands.
    pub(crate) fn rows_op(&self, at: &RowsAt) -> Op {
        let text = serde_json::to_string(at).unwrap_or_default();
        Op::Cursor(cursor_name(self.job.row.id, &self.step.id), Cursor(text))
    }
}
