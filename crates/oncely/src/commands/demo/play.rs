//! What happens in the demo, scene after scene, and the sums at its end.

use super::receiver::Receiver;
use super::stage::Stage;
use super::worker::Worker;
use crate::cli::Demo;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, count, thousands};
use indicatif::{ProgressBar, ProgressStyle};
use oncely_core::fact::Fact;
use oncely_core::items::Progress;
use oncely_core::ledger::{Filter, RunRow};
use oncely_core::run::RunStatus;
use oncely_engine::Ask;
use rusqlite::{Connection, OpenFlags};
use std::time::{Duration, Instant};

/// The large file repeats the unseen records so many times.
const REPEATS: usize = 40;
/// Records of the file with broken rows.
const MIXED: usize = 1000;
/// Longest wait for a file to be done.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// Rows that are broken in ways that files are.
const BROKEN: [&str; 5] = [
    "39,State-gov,77516",
    "52,Self-emp-inc,\"287927,HS-grad,9,Married-civ-spouse,Exec-managerial,Wife,White,Female,15024,0,40,United-States",
    "28,Private,338409,Bachelors,13,Married-civ-spouse,Prof-specialty,Wife,Black,Female,0,0,40,Cuba,one,two,three",
    "31,Pri\"vate,45781,Masters,14,Never-married,Prof-specialty,Not-in-family,White,Female,14084,0,50,United-States",
    "?,?,?,?,?,?,?,?,?,?,?,?,?,?",
];

/// Plays the demo.
pub(crate) fn run(voice: Voice, args: Demo) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(format!("the runtime cannot start: {e}")))?;
    let (receiver, port) = runtime.block_on(Receiver::start())?;
    let stage = Stage::make(args.folder, port)?;
    voice.say(format!("A project in {}\n", stage.root.display()));
    learn(voice, &stage)?;
    let worker = Worker::start(&stage.root)?;
    let flags = Flags {
        project: Some(stage.root.clone()),
        environment: None,
    };
    let house = House::open(&flags, "oncely demo", false)?;
    let mut play = Play {
        voice,
        stage: &stage,
        house,
        receiver,
        worker: Some(worker),
        kills: 0,
    };
    let first = play.first_file()?;
    let duplicates = play.same_file_again()?;
    let aside = play.broken_rows()?;
    play.large_file()?;
    play.end(&first, duplicates, aside)
}

fn learn(voice: Voice, stage: &Stage) -> Result<(), Failure> {
    let begun = Instant::now();
    let model = stage.train(voice)?;
    voice.say(format!(
        "1  Learned from {} census records in {:.1} s: {} features",
        thousands(stage.learning() as u64),
        begun.elapsed().as_secs_f64(),
        model.features()
    ));
    Ok(())
}

struct Play<'s> {
    voice: Voice,
    stage: &'s Stage,
    house: House,
    receiver: Receiver,
    worker: Option<Worker>,
    kills: u32,
}

/// A file that is done.
struct Finished {
    row: RunRow,
    done: u64,
    set_aside: u64,
    per_second: f64,
}

impl Play<'_> {
    fn first_file(&mut self) -> Result<Finished, Failure> {
        self.stage
            .drop_file("unseen.csv", self.stage.unseen.iter().map(String::as_str))?;
        let done = self.finish("unseen.csv", self.stage.unseen.len())?;
        self.voice.say(format!(
            "2  unseen.csv: {} records predicted, a row for each, {} records/s",
            thousands(done.done),
            thousands(whole(done.per_second))
        ));
        let summaries = self.receiver.requests();
        if let Some(summary) = summaries.first() {
            self.voice.say(format!(
                "   one summary sent: {} under the key {}",
                summary.body, summary.key
            ));
        }
        Ok(done)
    }

    fn same_file_again(&mut self) -> Result<u64, Failure> {
        self.stage
            .drop_file("unseen.csv", self.stage.unseen.iter().map(String::as_str))?;
        self.worker()?.hear("duplicate")?;
        self.voice
            .say("3  unseen.csv again: the same name and content, so nothing was started");
        Ok(1)
    }

    fn broken_rows(&mut self) -> Result<u64, Failure> {
        let good = self.stage.unseen.iter().take(MIXED).map(String::as_str);
        let lines = BROKEN.iter().copied().chain(good);
        self.stage.drop_file("broken.csv", lines)?;
        let done = self.finish("broken.csv", MIXED + BROKEN.len())?;
        self.voice.say(format!(
            "4  broken.csv: {} records predicted, {} set aside with the reason:",
            thousands(done.done),
            done.set_aside
        ));
        let run = done.row.id;
        let aside =
            self.house
                .block_on(Ask(self.house.ledger()).set_aside(run, 0, BROKEN.len()))?;
        for (_, item) in aside {
            self.voice.say(format!(
                "   line {}: {}",
                item.line.unwrap_or_default(),
                item.reason
            ));
        }
        Ok(done.set_aside)
    }

    fn large_file(&mut self) -> Result<(), Failure> {
        let total = self.stage.unseen.len() * REPEATS;
        let lines = (0..REPEATS).flat_map(|_| self.stage.unseen.iter().map(String::as_str));
        self.stage.drop_file("large.csv", lines)?;
        self.voice
            .say(format!("5  large.csv: {} records", thousands(total as u64)));
        let early = self.kill_when(total, |done, _| done > 0)?;
        let late = self.kill_when(total, |done, total| done > total / 2)?;
        let done = self.finish("large.csv", total)?;
        self.voice.say(format!(
            "   went on both times: {} records predicted (killed at {} and {})",
            thousands(done.done),
            thousands(early),
            thousands(late)
        ));
        Ok(())
    }

    /// Kills the worker once the committed rows of the large file fulfil the condition, and starts
    /// another.
    fn kill_when(&mut self, total: usize, when: impl Fn(i64, i64) -> bool) -> Result<u64, Failure> {
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        let results = self.results()?;
        let begun = Instant::now();
        while !when(committed(&results)?, total) && begun.elapsed() < PATIENCE {
            std::thread::sleep(LOOK);
        }
        let Some(worker) = self.worker.take() else {
            return Err(Failure::failed("the demo has no worker"));
        };
        let pid = worker.pid();
        worker.kill()?;
        let at = committed(&results)?;
        self.kills += 1;
        if at == 0 || at >= total {
            return Err(Failure::failed(format!(
                "the worker was killed at {at} of {total} records: not in the middle. Run the demo again."
            )));
        }
        let (at, total) = (at.unsigned_abs(), total.unsigned_abs());
        self.voice.say(format!(
            "   killed the worker (SIGKILL, process {pid}) at {} of {} committed",
            thousands(at),
            thousands(total)
        ));
        self.worker = Some(Worker::start(&self.stage.root)?);
        Ok(at)
    }

    fn worker(&mut self) -> Result<&mut Worker, Failure> {
        self.worker
            .as_mut()
            .ok_or_else(|| Failure::failed("the demo has no worker"))
    }

    fn results(&self) -> Result<Connection, Failure> {
        Connection::open_with_flags(self.stage.results(), OpenFlags::SQLITE_OPEN_READ_ONLY)
            .map_err(|e| sql(&e))
    }

    /// Waits until the run of a file has ended, showing how far it is.
    fn finish(&self, name: &str, total: usize) -> Result<Finished, Failure> {
        let bar = self.bar(name, total);
        let begun = Instant::now();
        let row = loop {
            let row = self.run_of(name)?;
            if let Some(row) = &row {
                let progress = self.progress(row)?;
                bar.set_position(progress.next);
            }
            match row {
                Some(row) if row.status == RunStatus::Done => break row,
                Some(row) if row.status.is_ended() || row.status == RunStatus::Unknown => {
                    return Err(Failure::failed(format!(
                        "run {} of {name} is {}",
                        row.id, row.status
                    )));
                }
                _ if begun.elapsed() > PATIENCE => {
                    return Err(Failure::failed(format!("{name} was not done in time")));
                }
                _ => std::thread::sleep(LOOK),
            }
        };
        bar.finish_and_clear();
        self.measured(row)
    }

    fn progress(&self, row: &RunRow) -> Result<Progress, Failure> {
        let ask = Ask(self.house.ledger());
        let progress = self.house.block_on(ask.progress(row.id, "score".into()))?;
        Ok(progress.unwrap_or_default())
    }

    fn bar(&self, name: &str, total: usize) -> ProgressBar {
        if !self.voice.terminal || self.voice.json {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(total as u64);
        if let Ok(style) =
            ProgressStyle::with_template("   {msg} {bar:40} {human_pos}/{human_len} {per_sec}")
        {
            bar.set_style(style);
        }
        bar.set_message(name.to_owned());
        bar
    }

    fn run_of(&self, name: &str) -> Result<Option<RunRow>, Failure> {
        let rows = self
            .house
            .block_on(Ask(self.house.ledger()).runs(Filter::default()))?;
        Ok(rows
            .into_iter()
            .find(|row| row.key.as_str().starts_with(&format!("{name}#"))))
    }

    fn measured(&self, row: RunRow) -> Result<Finished, Failure> {
        let progress = self.progress(&row)?;
        let facts = self
            .house
            .block_on(Ask(self.house.ledger()).facts(row.id))?;
        let score = |fact: &Fact| match fact {
            Fact::Intent { step, .. } | Fact::Outcome { step, .. } => step.as_str() == "score",
            _ => false,
        };
        let times: Vec<i64> = facts
            .iter()
            .filter(|f| score(&f.fact))
            .map(|f| f.at.0)
            .collect();
        let millis = times
            .last()
            .zip(times.first())
            .map_or(1, |(last, first)| (last - first).max(1));
        #[allow(clippy::cast_precision_loss)]
        let per_second = progress.done as f64 * 1000.0 / millis as f64;
        let (done, set_aside) = (progress.done, progress.set_aside);
        Ok(Finished {
            row,
            done,
            set_aside,
            per_second,
        })
    }

    fn end(mut self, first: &Finished, duplicates: u64, aside: u64) -> Result<Exit, Failure> {
        if let Some(worker) = self.worker.take() {
            worker.stop()?;
        }
        let large = self.stage.unseen.len() * REPEATS;
        let expected = (self.stage.unseen.len() + MIXED + large) as u64;
        let results = self.results()?;
        let sums = Sums::read(&results)?;
        let (rows, distinct) = (sums.rows.unsigned_abs(), sums.distinct.unsigned_abs());
        let missing = expected.saturating_sub(distinct);
        let doubled = rows.saturating_sub(distinct);
        let (accuracy, auc) = self.graded(&results, first)?;
        let records = expected + BROKEN.len() as u64;
        self.voice.record(&serde_json::json!({
            "records": records, "predicted": rows, "set_aside": aside,
            "duplicate_files_ignored": duplicates, "rows_missing": missing,
            "rows_doubled": doubled, "accuracy": rounded(accuracy), "auc": rounded(auc),
            "records_per_second": whole(first.per_second), "kills": self.kills,
        }));
        self.voice.say(format!(
            "\nCounted by SQL over object and line: {} rows, {} missing, {} doubled. {} survived.",
            thousands(rows),
            missing,
            doubled,
            count(self.kills as usize, "kill")
        ));
        self.voice.say(format!(
            "Against the known answers: accuracy {accuracy:.4}, AUC {auc:.4}. Summaries sent: {}.",
            self.receiver.requests().len()
        ));
        let root = self.stage.root.display();
        self.voice.say(format!(
            "\nLook around:\n  oncely --project {root} status\n  oncely --project {root} show {}\n  oncely --project {root} why unseen.csv",
            first.row.id
        ));
        let clean = missing == 0 && doubled == 0;
        Ok(if clean { Exit::Done } else { Exit::Failed })
    }

    /// How good the predictions of the first file were.
    fn graded(&self, results: &Connection, first: &Finished) -> Result<(f64, f64), Failure> {
        let text = "select line, label, score from predictions where object = ?1";
        let mut statement = results.prepare(text).map_err(|e| sql(&e))?;
        let rows = statement.query_map([first.row.key.as_str()], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, f64>(2)?,
            ))
        });
        let mut right = 0_u32;
        let mut scored = Vec::with_capacity(self.stage.answers.len());
        for row in rows.map_err(|e| sql(&e))? {
            let (line, label, score) = row.map_err(|e| sql(&e))?;
            let place = usize::try_from(line - 1).unwrap_or(usize::MAX);
            let truth = self.stage.answers.get(place).copied().unwrap_or_default();
            right += u32::from((label == "1") == truth);
            scored.push((score, truth));
        }
        #[allow(clippy::cast_precision_loss)]
        let accuracy = f64::from(right) / scored.len().max(1) as f64;
        Ok((accuracy, oncely_model::auc(&scored)))
    }
}

struct Sums {
    rows: i64,
    distinct: i64,
}

impl Sums {
    fn read(results: &Connection) -> Result<Self, Failure> {
        let text = "select count(*), (select count(*) from (select distinct object, line from \
                    predictions)) from predictions";
        results
            .query_row(text, [], |row| {
                Ok(Self {
                    rows: row.get(0)?,
                    distinct: row.get(1)?,
                })
            })
            .map_err(|e| sql(&e))
    }
}

/// Committed rows of the large file.
fn committed(results: &Connection) -> Result<i64, Failure> {
    let text = "select coalesce(max(line), 0) from predictions where rowid = \
                (select max(rowid) from predictions) and object like 'large.csv#%'";
    results
        .query_row(text, [], |row| row.get(0))
        .map_err(|e| sql(&e))
}

fn sql(error: &rusqlite::Error) -> Failure {
    Failure::failed(format!("results.db: {error}"))
}

fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}
