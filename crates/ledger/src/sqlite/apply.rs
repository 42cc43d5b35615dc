//! Operations that write a row and ask nothing.

use super::batch::Tx;
use super::rows::{signed, to_json};
use crate::chained;
use oncely_core::chain::{Chain, key_hash};
use oncely_core::fact::Fact;
use oncely_core::ids::{ContentHash, RunId, StepId};
use oncely_core::items::{Progress, SetAside};
use oncely_core::ledger::{Admission, FileMark, ItemFact, Op};
use oncely_core::time::Timestamp;
use rusqlite::{Connection, params};

impl Tx<'_> {
    /// Applies an operation that is not about a run's own row.
    pub(crate) fn plain(&self, op: &Op) -> rusqlite::Result<()> {
        let conn = self.conn;
        match op {
            Op::Items {
                run,
                step,
                progress,
                set_aside,
            } => {
                write_progress(conn, *run, step, progress)?;
                set_aside
                    .iter()
                    .try_for_each(|item| write_set_aside(conn, *run, step, item))
            }
            Op::ItemFacts { run, step, facts } => facts
                .iter()
                .try_for_each(|fact| write_item_fact(conn, *run, step, fact)),
            Op::Cursor(source, cursor) => write(
                conn,
                "insert into oncely_cursors (source, cursor) values (?1, ?2)
                 on conflict do update set cursor = excluded.cursor",
                params![source, cursor.0],
            ),
            Op::Store(hash, content) => write(
                conn,
                "insert into oncely_store (hash, content) values (?1, ?2) on conflict do nothing",
                params![hash.0, &content[..]],
            ),
            Op::Files(marks) => marks.iter().try_for_each(|mark| write_file(conn, mark)),
            Op::ReleaseName(name, fence) => write(
                conn,
                "update oncely_names set holder = null
                 where name = ?1 and holder = ?2 and fence = ?3",
                params![name, self.me.id.0, fence.0],
            ),
            Op::Admit(_)
            | Op::Facts { .. }
            | Op::Run { .. }
            | Op::Wake(..)
            | Op::Release(..)
            | Op::Sql(_) => Ok(()),
        }
    }

    /// Facts of one operation are one row. Gives the chain with them.
    pub(crate) fn write_facts(
        &self,
        run: RunId,
        first: u64,
        at: Timestamp,
        facts: &[Fact],
        chain: Chain,
    ) -> rusqlite::Result<Chain> {
        if facts.is_empty() {
            return Ok(chain);
        }
        let written = chained::write(chain, first, at, facts)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        write(
            self.conn,
            "insert into oncely_facts (run, first, count, at, body) values (?1, ?2, ?3, ?4, ?5)",
            params![
                run.0,
                signed(first),
                signed(facts.len() as u64),
                at.0,
                written.body
            ],
        )?;
        Ok(written.chain)
    }

    /// What was admitted, once and for ever.
    pub(crate) fn write_admission(
        &self,
        run: RunId,
        a: &Admission,
        event: &ContentHash,
    ) -> rusqlite::Result<()> {
        write(
            self.conn,
            "insert into oncely_admissions
             (run, key, generation, trigger_name, admitted, depth, parent, event, event_hash)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                run.0,
                a.key.as_str(),
                a.generation.0,
                a.trigger,
                a.at.0,
                a.depth,
                a.parent.map(|run| run.0),
                &*a.event,
                event.0,
            ],
        )
    }

    /// Remembers that a key went past its first generation.
    pub(crate) fn raise_generation(&self, a: &Admission) -> rusqlite::Result<()> {
        write(
            self.conn,
            "insert into oncely_generations (hash, highest) values (?1, ?2)
             on conflict do update set highest = max(highest, excluded.highest)",
            params![
                key_hash(&a.environment, &a.task, &a.key, None),
                a.generation.0
            ],
        )
    }
}

fn write(conn: &Connection, text: &str, values: impl rusqlite::Params) -> rusqlite::Result<()> {
    conn.prepare_cached(text)?.execute(values).map(drop)
}

fn write_progress(
    conn: &Connection,
    run: RunId,
    step: &StepId,
    progress: &Progress,
) -> rusqlite::Result<()> {
    write(
        conn,
        "insert into oncely_progress
         (run, step, next, byte_offset, line, done, set_aside, unseen)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         on conflict do update set next = excluded.next, byte_offset = excluded.byte_offset,
         line = excluded.line, done = excluded.done, set_aside = excluded.set_aside,
         unseen = excluded.unseen",
        params![
            run.0,
            step.as_str(),
            signed(progress.next),
            signed(progress.offset),
            signed(progress.line),
            signed(progress.done),
            signed(progress.set_aside),
            signed(progress.unseen),
        ],
    )
}

fn write_set_aside(
    conn: &Connection,
    run: RunId,
    step: &StepId,
    item: &SetAside,
) -> rusqlite::Result<()> {
    write(
        conn,
        "insert into oncely_set_aside (run, step, item, line, input, reason)
         values (?1, ?2, ?3, ?4, ?5, ?6) on conflict do nothing",
        params![
            run.0,
            step.as_str(),
            signed(item.item),
            item.line.map(signed),
            item.input,
            item.reason,
        ],
    )
}

fn write_item_fact(
    conn: &Connection,
    run: RunId,
    step: &StepId,
    fact: &ItemFact,
) -> rusqlite::Result<()> {
    write(
        conn,
        "insert into oncely_item_facts (run, step, item, place, body) values (?1, ?2, ?3,
         (select coalesce(max(place) + 1, 0) from oncely_item_facts
          where run = ?1 and step = ?2 and item = ?3), ?4)",
        params![run.0, step.as_str(), signed(fact.item), to_json(fact)?],
    )
}

fn write_file(conn: &Connection, mark: &FileMark) -> rusqlite::Result<()> {
    write(
        conn,
        "insert into oncely_files (path, size, modified, file, task, text_hash)
         values (?1, ?2, ?3, ?4, ?5, ?6)
         on conflict do update set size = excluded.size, modified = excluded.modified,
         file = excluded.file, task = excluded.task, text_hash = excluded.text_hash",
        params![
            mark.path,
            signed(mark.stat.0),
            mark.stat.1,
            signed(mark.stat.2),
            mark.task.as_str(),
            mark.text.0,
        ],
    )
}
