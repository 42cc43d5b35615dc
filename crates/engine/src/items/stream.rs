//! Items that become rows: one thread reads and computes, one writes ranges.

use super::input::{Entry, Input, Origin, aside};
use super::pace::{Leave, Pace};
use super::point::Point;
use super::program::{Block, Fields, Program};
use super::run::{Over, Told, Work};
use oncely_core::action::Failure;
use oncely_core::items::{Progress, Range, RowError, RowSink, Rows, SetAside};
use oncely_core::ledger::LedgerError;
use oncely_core::limits;
use oncely_core::records::Scratch;
use oncely_core::rows::{RowKey, RowsAt};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// A range that was read and computed, and not yet written.
struct Chunk {
    to: Point,
    rows: Rows,
    /// For each row: its item, its line, and where its input lies in `raw`.
    origins: Vec<RowOrigin>,
    raw: String,
    set_aside: Vec<SetAside>,
    last: bool,
}

#[derive(Clone, Copy)]
struct RowOrigin {
    item: u64,
    line: u64,
    start: usize,
    end: usize,
}

/// What the writing thread tells the ledger's side.
enum Report {
    /// A range is committed; these items are to be copied to the ledger before the next, which waits
    /// for the word that they are: its mark forgets them.
    Range(Point, Vec<SetAside>, oneshot::Sender<()>),
    /// The next range is about to be read, and waits for leave.
    Leave(oneshot::Sender<()>),
    /// Everything is.
    All(Point),
    /// It was told to stop at this place.
    Stopped,
    /// Another claim owns the mark.
    Lost,
    /// The attempt failed at this place.
    Failed(Failure),
}

/// The ledger hears of progress at least so often.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Ranges that are read ahead of the one that is written.
const AHEAD: usize = 2;

pub(super) async fn run(
    work: &Work<'_>,
    origin: Origin,
    program: Program,
    begun: Point,
    pace: Pace,
) -> Result<Over, LedgerError> {
    let halt = Arc::new(AtomicBool::new(false));
    let (reports, mut inbox) = mpsc::channel(1);
    let writer = Writer {
        recorded: begun.progress.next,
        total: begun.rows.as_ref().and_then(|at| at.total),
        fence: work.job.fence,
        halt: Arc::clone(&halt),
        reports,
        told: None,
        batch: pace.batch,
        asks: Pace::asks(work),
    };
    let writing = tokio::task::spawn_blocking(move || writer.run(origin, program));
    let over = listen(work, &mut inbox, &halt, begun, pace).await;
    halt.store(true, Ordering::Release);
    // Reports that nobody reads any more would keep the writer waiting.
    inbox.close();
    let _ = writing.await;
    over
}

/// Tells the ledger what was committed, and the writer what people asked.
async fn listen(
    work: &Work<'_>,
    inbox: &mut mpsc::Receiver<Report>,
    halt: &AtomicBool,
    begun: Point,
    mut pace: Pace,
) -> Result<Over, LedgerError> {
    let mut progress = begun;
    let mut asked = false;
    // Dropped, it says that there is no leave.
    let mut waits: Option<oneshot::Sender<()>> = None;
    loop {
        let report = tokio::select! {
            report = inbox.recv() => report,
            () = work.runner.stop.stopped(), if !halt.load(Ordering::Acquire) => {
                halt.store(true, Ordering::Release);
                waits = None;
                continue;
            }
            leave = pace.leave(work), if waits.is_some() => {
                let waiting = waits.take();
                match leave? {
                    // The reader is gone only when it has its own reason to end.
                    Leave::Go => drop(waiting.map(|waiting| waiting.send(()))),
                    Leave::Stopping => halt.store(true, Ordering::Release),
                    Leave::Asked => {
                        asked = true;
                        halt.store(true, Ordering::Release);
                    }
                }
                continue;
            }
        };
        match report {
            Some(Report::Leave(_)) if halt.load(Ordering::Acquire) => {}
            Some(Report::Leave(waiting)) => waits = Some(waiting),
            Some(Report::Range(to, set_aside, recorded)) => {
                progress = to;
                match work.tell(work.items_ops(&progress, set_aside)).await? {
                    Told::Recorded => {}
                    Told::Lost => return Ok(Over::Lost),
                    Told::Asked => {
                        asked = true;
                        halt.store(true, Ordering::Release);
                    }
                }
                // The writer is gone only when it has its own reason to end.
                let _ = recorded.send(());
            }
            Some(Report::All(to)) => return Ok(work.done(&to)),
            Some(Report::Stopped) if asked => return Ok(work.held(&progress)),
            Some(Report::Stopped) => return Ok(Over::Released),
            Some(Report::Lost) => return Ok(Over::Lost),
            Some(Report::Failed(failure)) => return Ok(Over::Ended(Err(failure), Vec::new())),
            None => {
                let why = "the code that works the items panicked";
                return Ok(Over::Ended(Err(Failure::retry(why)), Vec::new()));
            }
        }
    }
}

struct Writer {
    /// The first item that the ledger does not know to be dealt with.
    recorded: u64,
    /// How many rows there were when the step began, as the ledger knows it.
    total: Option<u64>,
    fence: oncely_core::ids::Fence,
    halt: Arc<AtomicBool>,
    reports: mpsc::Sender<Report>,
    told: Option<Instant>,
    /// Items of a range.
    batch: usize,
    /// Whether there is to be leave for each range.
    asks: bool,
}

impl Writer {
    fn run(mut self, origin: Origin, program: Program) {
        let report = match self.work(origin, program) {
            Ok(report) => report,
            Err(RowError::Lost) => Report::Lost,
            Err(RowError::Failed(failure)) => Report::Failed(failure),
            Err(RowError::Rows(refused)) => Report::Failed(Failure::permanent(format!(
                "the database refused {} rows and then would not say which",
                refused.len()
            ))),
        };
        // The other side is gone only when it has its own reason to end.
        let _ = self.reports.blocking_send(report);
    }

    fn work(&mut self, origin: Origin, program: Program) -> Result<Report, RowError> {
        let Program { block, mut sink } = program;
        let marked = sink.open(self.fence).map_err(RowError::Failed)?;
        let mut from = self.point(&origin, marked.progress, marked.key);
        // Telling what the ledger knows would count as progress, and a run that kills its process
        // in the next range would never be quarantined.
        if from.progress.next > self.recorded && !self.report(from.clone(), marked.last_set_aside) {
            return Ok(Report::Stopped);
        }
        let input = Input::open(origin, &from, self.batch).map_err(RowError::Failed)?;
        let (chunks, ready) = std::sync::mpsc::sync_channel(AHEAD);
        let (recycle, used) = std::sync::mpsc::channel();
        let halt = Arc::clone(&self.halt);
        let batch = self.batch;
        let leave = self.asks.then(|| self.reports.clone());
        let width = sink.columns().len();
        std::thread::scope(|scope| {
            // It goes when this ends, so that the reader does not wait for room for ever.
            let ready = ready;
            let unseen = from.progress.unseen;
            scope.spawn(move || {
                let scratch = Scratch::default();
                let reader = Reader {
                    block,
                    halt,
                    chunks,
                    used,
                    width,
                    scratch,
                    batch,
                    leave,
                };
                reader.run(input, unseen);
            });
            while let Ok(chunk) = ready.recv() {
                let chunk = chunk.map_err(RowError::Failed)?;
                if self.halt.load(Ordering::Acquire) {
                    return Ok(Report::Stopped);
                }
                let (chunk, to) = self.write(&mut *sink, &from, chunk)?;
                from = to;
                if chunk.last {
                    return Ok(self.finish(from, chunk.set_aside));
                }
                if !self.tell(&from, &chunk.set_aside) {
                    return Ok(Report::Stopped);
                }
                // The reader is gone only when it has reached the end.
                let _ = recycle.send(chunk);
            }
            Ok(Report::Stopped)
        })
    }

    /// Writes a range; rows that the database refuses are set aside and the rest written again.
    fn write(
        &self,
        sink: &mut dyn RowSink,
        from: &Point,
        mut chunk: Chunk,
    ) -> Result<(Chunk, Point), RowError> {
        loop {
            let mut to = chunk.to.clone();
            to.progress.done = from.progress.done + chunk.rows.len() as u64;
            to.progress.set_aside = from.progress.set_aside + chunk.set_aside.len() as u64;
            let range = Range {
                from: &from.progress,
                to: &to.progress,
                rows: &chunk.rows,
                set_aside: &chunk.set_aside,
                fence: self.fence,
                key: to.key(),
            };
            match sink.commit(&range) {
                Ok(()) => return Ok((chunk, to)),
                Err(RowError::Rows(refused)) => chunk.refuse(refused)?,
                Err(other) => return Err(other),
            }
        }
    }

    /// Where the mark says that the rows stand.
    fn point(&self, origin: &Origin, progress: Progress, key: Option<RowKey>) -> Point {
        let rows = origin.is_rows().then(|| RowsAt {
            key,
            total: self.total,
            taken: Vec::new(),
        });
        Point { progress, rows }
    }

    fn tell(&mut self, progress: &Point, set_aside: &[SetAside]) -> bool {
        let lately = self.told.is_some_and(|told| told.elapsed() < TELL_EVERY);
        if set_aside.is_empty() && lately {
            return true;
        }
        self.told = Some(Instant::now());
        self.report(progress.clone(), set_aside.to_vec())
    }

    fn finish(&self, progress: Point, set_aside: Vec<SetAside>) -> Report {
        if !set_aside.is_empty() && !self.report(progress.clone(), set_aside) {
            return Report::Stopped;
        }
        Report::All(progress)
    }

    /// Tells of progress. Items set aside are in the ledger when this returns: a crash after the
    /// next range finds only that range's items in the mark.
    fn report(&self, progress: Point, set_aside: Vec<SetAside>) -> bool {
        let waits = !set_aside.is_empty();
        let (recorded, word) = oneshot::channel();
        let report = Report::Range(progress, set_aside, recorded);
        self.reports.blocking_send(report).is_ok() && (!waits || word.blocking_recv().is_ok())
    }
}

impl Chunk {
    fn new(width: usize) -> Self {
        Self {
            to: Point::default(),
            rows: Rows::new(width),
            origins: Vec::new(),
            raw: String::new(),
            set_aside: Vec::new(),
            last: false,
        }
    }

    fn clear(&mut self) {
        self.rows.clear();
        self.origins.clear();
        self.raw.clear();
        self.set_aside.clear();
        self.last = false;
    }

    fn is_full(&self, batch: usize) -> bool {
        self.rows.len() + self.set_aside.len() >= batch || self.raw.len() >= limits::RANGE_BYTES
    }

    fn refuse(&mut self, refused: Vec<(usize, String)>) -> Result<(), RowError> {
        if refused
            .last()
            .is_none_or(|(row, _)| *row >= self.origins.len())
        {
            return Err(RowError::Rows(refused));
        }
        for (taken, (row, reason)) in refused.into_iter().enumerate() {
            let row = row - taken;
            let origin = self.origins.remove(row);
            self.rows.remove(row);
            let input = self.raw.get(origin.start..origin.end).unwrap_or_default();
            self.set_aside
                .push(aside(origin.item, line(origin.line), input, reason));
        }
        Ok(())
    }
}

/// A line, where there are lines.
fn line(line: u64) -> Option<u64> {
    Some(line).filter(|line| *line > 0)
}

/// Reads records and computes their rows, ahead of the writer.
struct Reader {
    block: Block,
    halt: Arc<AtomicBool>,
    chunks: std::sync::mpsc::SyncSender<Result<Chunk, Failure>>,
    used: std::sync::mpsc::Receiver<Chunk>,
    width: usize,
    scratch: Scratch,
    batch: usize,
    /// Whom to ask before each range, where somebody is to be asked.
    leave: Option<mpsc::Sender<Report>>,
}

impl Reader {
    /// Waits for leave to read the next range; false when there is none.
    fn may_go_on(&self) -> bool {
        let Some(ask) = &self.leave else {
            return true;
        };
        let (word, leave) = oneshot::channel();
        ask.blocking_send(Report::Leave(word)).is_ok() && leave.blocking_recv().is_ok()
    }

    fn run(mut self, mut input: Input, unseen_before: u64) {
        while !self.halt.load(Ordering::Acquire) && self.may_go_on() {
            let mut chunk = self
                .used
                .try_recv()
                .unwrap_or_else(|_| Chunk::new(self.width));
            chunk.clear();
            let filled = self.fill(&mut input, &mut chunk);
            chunk.to.progress.unseen = unseen_before + self.block.unseen();
            let last = chunk.last;
            let failed = filled.is_err();
            if self.chunks.send(filled.map(|()| chunk)).is_err() || last || failed {
                return;
            }
        }
    }

    fn fill(&mut self, input: &mut Input, chunk: &mut Chunk) -> Result<(), Failure> {
        while !chunk.is_full(self.batch) {
            match input.next()? {
                None => {
                    chunk.last = true;
                    break;
                }
                Some(Entry::Bad(bad)) => chunk.set_aside.push(bad),
                Some(Entry::Good(record)) => {
                    let done = chunk.rows.len();
                    let rows = &mut chunk.rows;
                    let block = &mut self.block;
                    let computed = match record.table_row() {
                        None => {
                            let cells = record.record();
                            let cells = cells.iter().flat_map(|record| record.cells());
                            self.scratch.with(cells, |texts| {
                                let fields = Fields { texts, typed: None };
                                block.row(fields, record.index, |cell| rows.push(cell))
                            })
                        }
                        Some(row) => {
                            let cells = row.texts.iter().map(String::as_str);
                            self.scratch.with(cells, |texts| {
                                let typed = Some(row.cells);
                                let fields = Fields { texts, typed };
                                block.row(fields, record.index, |cell| rows.push(cell))
                            })
                        }
                    };
                    match computed {
                        Ok(()) => {
                            let start = chunk.raw.len();
                            chunk.raw.push_str(record.raw);
                            let (item, line) = (record.index, record.line);
                            chunk.origins.push(RowOrigin {
                                item,
                                line,
                                start,
                                end: chunk.raw.len(),
                            });
                        }
                        Err(reason) => {
                            chunk.rows.drop_partial(done);
                            let line = line(record.line);
                            chunk
                                .set_aside
                                .push(aside(record.index, line, record.raw, reason));
                        }
                    }
                }
            }
        }
        input.place(&mut chunk.to);
        Ok(())
    }
}
