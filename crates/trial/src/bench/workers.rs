//! Events a second of 1, 2, 4 and 8 workers on one ledger in PostgreSQL, each a process of its own as
//! `oncely serve --workers` starts them: of work that is a row in the commit of its record, and of work
//! that is done elsewhere, where a request is answered after a while.

use super::measure::{Bound, Measured};
use super::rig::{Rig, folder, median, runtime};
use crate::crash::{Oncely, Trouble};
use oncely_core::ids::Environment;
use oncely_core::run::RunStatus;
use oncely_engine::{Ask, Offer};
use oncely_ledger::conformance::Server;
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Workers.
const WORKERS: [usize; 4] = [1, 2, 4, 8];
/// Times that each is measured, in turn.
const TURNS: usize = 3;
/// How long the other side takes for an answer.
const ELSEWHERE: Duration = Duration::from_millis(100);
/// How often the ledger is asked how many are done.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Longest time for all events of a turn.
const PATIENCE: Duration = Duration::from_secs(300);

/// A kind of work: what is measured of 1, 2, 4 and 8 workers, and how many events.
struct Kind {
    name: &'static str,
    each: [&'static str; WORKERS.len()],
    events: [usize; WORKERS.len()],
}

const ROWS: Kind = Kind {
    name: "rows",
    each: [
        "rows, 1 worker",
        "rows, 2 workers",
        "rows, 4 workers",
        "rows, 8 workers",
    ],
    events: [20_000; WORKERS.len()],
};

const REQUESTS: Kind = Kind {
    name: "requests",
    each: [
        "requests of 100 ms, 1 worker",
        "requests of 100 ms, 2 workers",
        "requests of 100 ms, 4 workers",
        "requests of 100 ms, 8 workers",
    ],
    events: [800, 1600, 3200, 6400],
};

fn task(kind: &str, port: u16) -> String {
    let step = match kind {
        "rows" => {
            "[step.sql]\n  db = \"ledger\"\n  text = \"insert into tallies (id) values (:id)\"\n  \
                   bind = { id = \"{{ event.id }}\" }\n"
                .to_owned()
        }
        _ => format!(
            "[step.http]\n  method = \"POST\"\n  url = \"http://127.0.0.1:{port}/work\"\n  \
             json = {{ id = \"{{{{ event.id }}}}\" }}\n"
        ),
    };
    format!("title = \"Work\"\n[on.call]\nkey = \"event.id\"\n[[step]]\nid = \"work\"\n  {step}")
}

pub(crate) fn run(binary: &Path) -> Result<Measured, Trouble> {
    let runtime = runtime()?;
    let port = runtime.block_on(elsewhere())?;
    let server = Server::start_in(folder()?, &["max_connections=200"]);
    let mut rates = [(); 2 * WORKERS.len()].map(|()| Vec::new());
    for _ in 0..TURNS {
        let mut rates = rates.iter_mut();
        for kind in [&ROWS, &REQUESTS] {
            for (at, workers) in WORKERS.into_iter().enumerate() {
                let stage = Stage::make(&server, kind, port, binary, &runtime)?;
                let events = kind.events.get(at).copied().unwrap_or_default();
                let rate = stage.measure(workers, events, &runtime)?;
                rates.next().into_iter().for_each(|all| all.push(rate));
            }
        }
    }
    let names = ROWS.each.into_iter().chain(REQUESTS.each);
    let number = |(name, rates)| Bound::plain(name, median(rates), "events/s");
    let numbers: Vec<Bound> = names.zip(rates).map(number).collect();
    let settings = format!(
        "a process for each worker, full sync, PostgreSQL on the same machine, from a tenth of the \
         events done to all, medians of {TURNS} turns"
    );
    Ok(Measured::new("workers", settings, numbers))
}

/// Answers every request after a while.
async fn elsewhere() -> Result<u16, Trouble> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let work = axum::routing::post(|| async {
        tokio::time::sleep(ELSEWHERE).await;
        "{}"
    });
    let router = axum::Router::new().route("/work", work);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(port)
}

/// A project on a database of its own.
struct Stage {
    rig: Rig,
    kind: &'static str,
    oncely: Oncely,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn make(
        server: &Server,
        kind: &Kind,
        port: u16,
        binary: &Path,
        runtime: &Runtime,
    ) -> Result<Self, Trouble> {
        let folder = folder()?;
        let root = folder.path().canonicalize()?;
        let url = server.database();
        std::fs::create_dir(root.join("tasks"))?;
        let config = format!(
            "environment = \"bench\"\nledger = \"env:LEDGER_URL\"\n\
             [http]\nallow = [\"127.0.0.1:{port}\"]\n"
        );
        std::fs::write(root.join("oncely.toml"), config)?;
        let text = task(kind.name, port);
        std::fs::write(root.join(format!("tasks/{}.toml", kind.name)), &text)?;
        let rig = Rig::postgres(&url, &root, kind.name, &text)?;
        runtime.block_on(super::events::tallies(&rig))?;
        let oncely = Oncely {
            binary: binary.to_owned(),
            root,
            sabotage: None,
            variables: vec![("LEDGER_URL".into(), url)],
        };
        Ok(Self {
            rig,
            kind: kind.name,
            oncely,
            _folder: folder,
        })
    }

    /// Events a second, once a tenth of them are done.
    #[allow(clippy::cast_precision_loss)]
    fn measure(&self, workers: usize, events: usize, runtime: &Runtime) -> Result<f64, Trouble> {
        runtime.block_on(self.offer(events))?;
        let mut command = self.oncely.command()?;
        let mut crew = Crew(
            command
                .args(["serve", "--workers", &workers.to_string()])
                .spawn()?,
        );
        let (first, at) = runtime.block_on(self.done(events / 10))?;
        let (all, end) = runtime.block_on(self.done(events))?;
        crew.end()?;
        Ok((all - first) as f64 / (end - at).as_secs_f64())
    }

    /// Admits events that nobody holds.
    async fn offer(&self, events: usize) -> Result<(), Trouble> {
        for first in (0..events).step_by(1000) {
            let offer = |id: usize| {
                let data = serde_json::json!({ "id": id });
                Offer::new(self.kind.into(), id.to_string().into(), data)
            };
            let offers = (first..events.min(first + 1000)).map(offer).collect();
            self.rig.engine.intake().offer(offers).await?;
        }
        Ok(())
    }

    /// Waits until so many are done; says how many are, and when that was.
    async fn done(&self, wanted: usize) -> Result<(usize, Instant), Trouble> {
        let since = Instant::now();
        loop {
            let counts = Ask(&*self.rig.ledger)
                .counts(Environment::from("bench"))
                .await?;
            let now = Instant::now();
            let of = |wanted| counts.iter().find(|(status, _)| *status == wanted);
            let done = of(RunStatus::Done).map_or(0, |(_, count)| *count);
            let done = usize::try_from(done).unwrap_or_default();
            if done >= wanted {
                return Ok((done, now));
            }
            if since.elapsed() > PATIENCE {
                let log = self.oncely.root.join("stderr.log");
                let said = std::fs::read_to_string(log).unwrap_or_default();
                return Err(Trouble(format!("{counts:?}, and no more: {said}")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// `oncely serve --workers`, which ends with this value.
struct Crew(Child);

impl Crew {
    fn end(&mut self) -> Result<(), Trouble> {
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).map_err(std::io::Error::from)?;
        }
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        if self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.end().ok();
        }
    }
}
