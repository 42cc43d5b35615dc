//! Round after round: strike some workers, wait until they are at work again. Then let everything
//! end, collect, and have it checked.

use super::audit;
use super::database::Database;
use super::evidence;
use super::fault::Fault;
use super::load::{Going, Load};
use super::place::Place;
use super::worker::Worker;
use crate::check::{Broken, Export, Promise, check};
use crate::crash::{Endpoint, Trouble, summed};
use crate::dice::Dice;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// How the nemesis is run.
#[derive(Debug, Clone)]
pub struct Nemesis {
    /// At least so many faults.
    pub faults: u32,
    /// At least so many runs.
    pub runs: usize,
    /// What chance begins with.
    pub seed: u64,
    /// The binary. It must have the switches, for its clock.
    pub binary: PathBuf,
    /// What is switched off in it: `unique`, `fence`.
    pub sabotage: Option<String>,
    /// The lease of the workers.
    pub lease: Duration,
    /// A worker must have recorded something again so long after a fault is over.
    pub within: Duration,
    /// Keep the project here; it must be an empty folder.
    pub folder: Option<PathBuf>,
    /// Say how far it is.
    pub talk: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// What chance began with.
    pub seed: u64,
    /// Faults, by kind.
    pub faults: BTreeMap<&'static str, u32>,
    /// Commits that could not be aimed at, since there was none.
    pub missed: u32,
    /// Seconds.
    pub seconds: f64,
    /// Events that were accepted.
    pub sent: usize,
    /// Runs in the ledger.
    pub runs: usize,
    /// Claims that the database saw.
    pub claims: usize,
    /// Commits of facts that went through the proxies.
    pub records: u64,
    /// Requests and lines that the other sides wrote down.
    pub effects: usize,
    /// Rows that were committed.
    pub rows: u64,
    /// Runs that wait as unknown.
    pub unknown: usize,
    /// Runs that were put off by a clock that was ahead, and done when that moment had come.
    pub put_off: i64,
    /// Runs that were set aside, and resumed as a person would.
    pub resumed: usize,
    /// The longest time after the end of a fault until its worker recorded something again.
    pub slowest_ms: u128,
    /// Promises that did not hold, each with one place where it shows, and in how many.
    pub broken: Vec<(String, String, usize)>,
}

impl Report {
    /// How many faults there were.
    #[must_use]
    pub fn struck(&self) -> u32 {
        self.faults.values().sum()
    }
}

/// Workers.
const WORKERS: usize = 3;
/// Once in so many rounds the database is restarted too.
const RESTART: u64 = 8;
/// Longest wait for everything to end.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(20);

/// Plays the nemesis and checks what is left.
///
/// # Errors
/// When the harness itself cannot work. A broken promise is in the report.
pub fn run(nemesis: &Nemesis) -> Result<Report, Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let handle = runtime.handle().clone();
    let temporary = tempfile::Builder::new().prefix("oncely-trial-").tempdir()?;
    let folder = nemesis.folder.clone();
    let folder = folder.unwrap_or_else(|| temporary.path().to_owned());
    let endpoint = handle.block_on(Endpoint::start(nemesis.seed))?;
    let binary = &nemesis.binary;
    let place = Place::make(&folder, endpoint.port, nemesis.lease, binary, &handle)?;
    let sabotage = nemesis.sabotage.as_deref();
    let workers = (0..WORKERS)
        .map(|number| Worker::start(number, &place, binary, sabotage, &handle))
        .collect::<Result<Vec<_>, _>>()?;
    let mut play = Play {
        nemesis,
        place,
        workers,
        handle,
        dice: Dice::new(nemesis.seed.wrapping_add(1)),
        report: Report {
            seed: nemesis.seed,
            ..Report::default()
        },
        broken: Vec::new(),
    };
    let sent = play.under_load()?;
    play.finish()?;
    play.judge(sent, &endpoint)
}

struct Play<'n> {
    nemesis: &'n Nemesis,
    place: Place,
    workers: Vec<Worker>,
    handle: Handle,
    dice: Dice,
    report: Report,
    broken: Vec<Broken>,
}

/// What was done to a worker, and when it was over; none where there was nothing to do it to.
type Struck = (usize, Fault, Option<Instant>);

impl Play<'_> {
    /// Strikes while the load goes on; gives back what was sent.
    fn under_load(&mut self) -> Result<Vec<crate::check::Sent>, Trouble> {
        let binaries = self.workers.iter().map(|w| w.oncely.clone()).collect();
        let load = Load::new(&self.place, binaries, &self.handle, self.nemesis.seed)?;
        let going = Going::default();
        let begun = Instant::now();
        let sent = std::thread::scope(|scope| {
            let sending = scope.spawn(|| load.run(&going));
            let struck = self.strike(&going, &sending);
            going.stop.store(true, Ordering::SeqCst);
            let sent = sending.join();
            struck?;
            sent.unwrap_or_else(|_| Err(Trouble("the load broke".into())))
        })?;
        self.report.seconds = begun.elapsed().as_secs_f64();
        Ok(sent)
    }

    fn strike<T>(
        &mut self,
        going: &Going,
        sending: &std::thread::ScopedJoinHandle<'_, T>,
    ) -> Result<(), Trouble> {
        // Every worker is at work before the first fault.
        let begun = Instant::now();
        for number in 0..WORKERS {
            self.at_work(number, Fault::Kill, begun)?;
        }
        let mut round = 0;
        while self.report.struck() < self.nemesis.faults
            || going.sent.load(Ordering::SeqCst) < self.nemesis.runs
        {
            if sending.is_finished() {
                return Ok(());
            }
            round += 1;
            self.round()?;
            if self.nemesis.talk && round % 25 == 0 {
                let sent = going.sent.load(Ordering::SeqCst);
                eprintln!("{} faults, {sent} sent", self.report.struck());
            }
        }
        Ok(())
    }

    /// Strikes one worker or more at the same time, and the database now and then.
    fn round(&mut self) -> Result<(), Trouble> {
        let most = WORKERS as u64;
        let many = usize::try_from(self.dice.between(1, most)).unwrap_or(1);
        let first = usize::try_from(self.dice.between(0, most - 1)).unwrap_or(0);
        let chosen: Vec<usize> = (first..first + many).map(|n| n % WORKERS).collect();
        let restart = self.dice.once_in(RESTART);
        let pause = Duration::from_millis(self.dice.between(0, 500));
        let lease = self.nemesis.lease;
        let mut plans = Vec::new();
        for worker in &mut self.workers {
            let plan = (Fault::any(&mut self.dice), Dice::new(self.dice.roll()));
            if chosen.contains(&worker.number) {
                plans.push((worker, plan));
            }
        }
        let postgres = &mut self.place.postgres;
        let struck = std::thread::scope(|scope| {
            let each = plans.into_iter().map(|(worker, (fault, mut dice))| {
                scope.spawn(move || -> Result<Struck, Trouble> {
                    let ended = fault.strike(worker, &mut dice, lease)?;
                    Ok((worker.number, fault, ended))
                })
            });
            let each: Vec<_> = each.collect();
            if restart {
                std::thread::sleep(pause);
                postgres.crash();
                postgres.go_on();
            }
            let broke = |_| Err(Trouble("a fault broke".into()));
            let each = each.into_iter().map(|one| one.join().unwrap_or_else(broke));
            each.collect::<Result<Vec<Struck>, Trouble>>()
        })?;
        let over = Instant::now();
        if restart {
            self.count(Fault::Restart);
        }
        for (number, fault, ended) in struck {
            match ended {
                Some(ended) => {
                    self.count(fault);
                    let ended = if restart { over } else { ended };
                    self.at_work(number, fault, ended)?;
                }
                None => self.report.missed += 1,
            }
        }
        for number in 0..WORKERS {
            if restart {
                self.at_work(number, Fault::Restart, over)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, fault: Fault) {
        *self.report.faults.entry(fault.name()).or_default() += 1;
    }

    /// Waits until a worker has recorded something after a moment. One that does not in time is
    /// replaced, so that the others are not judged by it.
    fn at_work(&mut self, number: usize, fault: Fault, since: Instant) -> Result<(), Trouble> {
        let Some(worker) = self.workers.get_mut(number) else {
            return Ok(());
        };
        let what = loop {
            if worker.proxy.recorded_after(since) {
                let took = since.elapsed().as_millis();
                self.report.slowest_ms = self.report.slowest_ms.max(took);
                return Ok(());
            }
            if worker.is_gone() {
                break "ended by itself";
            }
            if since.elapsed() > self.nemesis.within {
                break "recorded nothing";
            }
            std::thread::sleep(LOOK);
        };
        let within = self.nemesis.within.as_secs();
        let fault = fault.name();
        let what = format!("worker {number} {what} within {within} s after it was {fault}");
        if self.nemesis.talk {
            eprintln!("{what}");
        }
        self.broken.push(Broken {
            promise: Promise::GoesOn,
            what,
        });
        self.tell_waits()?;
        let worker = self.workers.get_mut(number);
        worker.map_or(Ok(()), Worker::replace)
    }

    /// Keeps what the database waits for, for whoever looks for the reason.
    fn tell_waits(&self) -> Result<(), Trouble> {
        let mut ledger = Database::new(&self.place.urls.0, &self.handle);
        let text = "select pid::text || ' ' || coalesce(state, '-') || ' for '
            || coalesce(now() - state_change, '0')::text || ', waits for '
            || coalesce(wait_event, 'nothing') || ', held up by '
            || pg_blocking_pids(pid)::text || ': ' || left(query, 300)
            from pg_stat_activity where backend_type = 'client backend' order by pid";
        let lines = ledger.rows(text)?;
        let lines: Vec<String> = lines.iter().map(|row| row.get(0)).collect();
        let path = self.place.root.join(format!("waits-{}", self.broken.len()));
        std::fs::write(path, lines.join("\n"))?;
        Ok(())
    }

    /// Lets everything end; what was put off by a wrong clock is done by one that is ahead, and what
    /// was set aside is resumed, as a person would.
    fn finish(&mut self) -> Result<(), Trouble> {
        let mut ledger = Database::new(&self.place.urls.0, &self.handle);
        self.idle(&mut ledger, audit::SOON)?;
        let far = "select count(*) from oncely_runs where status < 3 and holder is null";
        self.report.put_off = number(&mut ledger, far)?;
        if self.report.put_off > 0 {
            for worker in &self.workers {
                worker.set_clock(2 * 3_600_000)?;
            }
            self.idle(&mut ledger, audit::OPEN)?;
        }
        let failed = ledger.rows("select id from oncely_runs where status = 5")?;
        let oncely = self.place.oncely(&self.nemesis.binary, None);
        for run in &failed {
            let run: i64 = run.get(0);
            oncely.must(&["resume", &run.to_string(), "--detach"])?;
        }
        self.report.resumed = failed.len();
        if !failed.is_empty() {
            self.idle(&mut ledger, audit::OPEN)?;
        }
        for worker in &mut self.workers {
            // One that cannot end is for the checker.
            if let Err(trouble) = worker.end() {
                self.broken.push(Broken {
                    promise: Promise::GoesOn,
                    what: format!("worker {}: {trouble}", worker.number),
                });
            }
        }
        Ok(())
    }

    /// Waits until nothing is left of what is counted. What is not done by then is found by the
    /// checker.
    fn idle(&self, ledger: &mut Database, left: &str) -> Result<(), Trouble> {
        let patience = match self.nemesis.sabotage {
            Some(_) => PATIENCE / 10,
            None => PATIENCE,
        };
        let deadline = Instant::now() + patience;
        let mut quiet = 0;
        while quiet < 3 && Instant::now() < deadline {
            let busy = number(ledger, left)? > 0;
            quiet = if busy { 0 } else { quiet + 1 };
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn judge(
        mut self,
        sent: Vec<crate::check::Sent>,
        endpoint: &Endpoint,
    ) -> Result<Report, Trouble> {
        let path = self.place.root.join("export.jsonl");
        self.place
            .oncely(&self.nemesis.binary, None)
            .export(&path)?;
        let export = read(&path)?;
        let evidence = evidence::collect(&self.place, &self.handle, sent, endpoint.requests())?;
        let mut report = self.report;
        report.sent = evidence.sent.len();
        report.runs = export.runs();
        report.claims = evidence
            .audited
            .iter()
            .filter(|a| a.what == "claimed")
            .count();
        report.records = self.workers.iter().map(|w| w.proxy.records()).sum();
        report.effects = evidence.requests.len() + evidence.lines.len();
        report.rows = evidence.rows.iter().map(|r| r.times).sum();
        report.rows += evidence.tallies.values().sum::<u64>();
        report.unknown = export.unknown();
        self.broken.extend(check(&evidence, &export));
        report.broken = summed(self.broken);
        Ok(report)
    }
}

fn number(ledger: &mut Database, text: &str) -> Result<i64, Trouble> {
    let rows = ledger.rows(text)?;
    Ok(rows.first().map_or(0, |row| row.get(0)))
}

fn read(path: &Path) -> Result<Export, Trouble> {
    Export::read(&std::fs::read_to_string(path)?).map_err(Trouble)
}
