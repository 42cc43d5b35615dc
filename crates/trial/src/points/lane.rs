//! One kind after the other: every case is prepared, ended at its point, and let end.

use super::kinds::{Kind, Phase, Start};
use super::stage::Stage;
use super::watched::{Ended, KILL, LOOK, PATIENCE, run, until};
use crate::crash::{Oncely, Server, Trouble};
use oncely_core::ledger::{Filter, Ledger, RunRow};
use oncely_core::points::Point;
use oncely_core::run::RunStatus;
use oncely_engine::Ask;
use oncely_ledger::{Options, SqliteLedger};
use std::fs;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;

/// One event, and where the process that works on it is ended.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) phase: Phase,
    pub(super) point: Point,
    pub(super) nth: u32,
    pub(super) id: String,
}

impl Case {
    pub(super) fn new(phase: Phase, point: Point, nth: u32) -> Self {
        Self {
            phase,
            point,
            nth,
            id: format!("{phase}-{}-{nth}", point.name()),
        }
    }

    /// The same with another event.
    pub(super) fn once_more(&self, turn: u32) -> Self {
        Self {
            id: format!("{}-{turn}", self.id),
            ..self.clone()
        }
    }

    fn aim(&self) -> String {
        format!("{}:{}", self.point.name(), self.nth)
    }
}

/// A kind, its project, and its ledger to look at.
pub(super) struct Lane {
    pub(super) kind: &'static Kind,
    pub(super) stage: Stage,
    ledger: Arc<SqliteLedger>,
    runtime: Handle,
}

impl Lane {
    pub(super) fn open(
        kind: &'static Kind,
        stage: Stage,
        runtime: Handle,
    ) -> Result<Self, Trouble> {
        let ledger = SqliteLedger::open(&stage.ledger(), Options::new("oncely-trial"))?;
        Ok(Self {
            kind,
            stage,
            ledger: Arc::new(ledger),
            runtime,
        })
    }

    fn oncely(&self) -> &Oncely {
        &self.stage.oncely
    }

    /// Plays a case to where its run rests; whether the process came to its point.
    pub(super) fn play(&self, case: &Case) -> Result<bool, Trouble> {
        self.prepare(case)?;
        let reached = match (case.phase, self.kind.start) {
            (Phase::Stopped, _) => return self.stopped(case),
            (_, Start::Call) => self.command(case)? == Ended::Killed,
            _ => self.served(case)?,
        };
        self.recover(case)?;
        Ok(reached)
    }

    /// Brings a run to the moment at which the case begins.
    fn prepare(&self, case: &Case) -> Result<(), Trouble> {
        self.send(case)?;
        match case.phase {
            Phase::First | Phase::Retry | Phase::Stopped => Ok(()),
            Phase::Answer => self.call(case, None).map(drop),
            Phase::Undo => {
                self.call(case, None)?;
                self.rest(case, false)
            }
            Phase::Again => self.cut_off(case),
        }
    }

    /// Cuts the first attempt off before anything happens; a doubt about it is found.
    fn cut_off(&self, case: &Case) -> Result<(), Trouble> {
        let aim = self.kind.cut.name();
        let cut = match self.kind.start {
            Start::Call => self.call(case, Some(aim))? == Ended::Killed,
            _ => self.serve_until(case, &[(KILL, aim.to_owned())])?,
        };
        if !cut {
            let what = format!(
                "{} {}: the first attempt was not cut off",
                self.kind.name, case.id
            );
            return Err(Trouble(what));
        }
        if self.kind.unkeyed && self.kind.cut == Point::EffectBefore {
            self.call(case, None)?;
        }
        Ok(())
    }

    /// What starts the run, without starting it.
    fn send(&self, case: &Case) -> Result<(), Trouble> {
        let items: Vec<u64> = (1..=self.kind.items).collect();
        let event = serde_json::json!({ "id": case.id, "items": items }).to_string();
        fs::write(self.stage.path("events").join(&case.id), event)?;
        match self.kind.start {
            Start::File => {
                let whole = self.stage.path(&format!(".{}", case.id));
                fs::write(&whole, &case.id)?;
                fs::rename(whole, self.stage.path(&format!("inbox/{}.txt", case.id)))?;
                Ok(())
            }
            Start::Left => self.call_left(case),
            Start::Call if case.phase == Phase::Stopped => self.call_left(case),
            Start::Call | Start::Hook => Ok(()),
        }
    }

    fn call(&self, case: &Case, aim: Option<&str>) -> Result<Ended, Trouble> {
        let event = self
            .stage
            .path("events")
            .join(&case.id)
            .display()
            .to_string();
        run(
            self.oncely(),
            &["call", self.kind.name, "--event", &event],
            aim,
        )
    }

    fn call_left(&self, case: &Case) -> Result<(), Trouble> {
        let event = self
            .stage
            .path("events")
            .join(&case.id)
            .display()
            .to_string();
        self.oncely()
            .must(&["call", self.kind.name, "--detach", "--event", &event])
    }

    /// The command whose process is ended.
    fn command(&self, case: &Case) -> Result<Ended, Trouble> {
        let aim = case.aim();
        let settles = self.kind.unkeyed && self.kind.cut == Point::EffectBefore;
        match case.phase {
            Phase::Undo => self.about(case, &["undo"], &["--yes"], Some(&aim)),
            Phase::Answer => self.about(case, &["approve"], &[], Some(&aim)),
            Phase::Again if settles => {
                let how = ["not-done", "--reason", "it was cut off before"];
                self.about(case, &["settle"], &how, Some(&aim))
            }
            _ => self.call(case, Some(&aim)),
        }
    }

    /// A command about the run of a case.
    fn about(
        &self,
        case: &Case,
        before: &[&str],
        after: &[&str],
        aim: Option<&str>,
    ) -> Result<Ended, Trouble> {
        let row = self.row(case)?;
        let row = row.ok_or_else(|| Trouble(format!("{} has no run", case.id)))?;
        let number = row.id.to_string();
        let words: Vec<&str> = before
            .iter()
            .copied()
            .chain([number.as_str()])
            .chain(after.iter().copied())
            .collect();
        run(self.oncely(), &words, aim)
    }

    /// A server that is ended at the point; whether it came there.
    fn served(&self, case: &Case) -> Result<bool, Trouble> {
        self.serve_until(case, &[(KILL, case.aim())])
    }

    /// A server until it is ended, or the run of the case rests.
    fn serve_until(&self, case: &Case, aim: &[(&str, String)]) -> Result<bool, Trouble> {
        let mut server = Server::start_aimed(self.oncely(), aim)?;
        if self.kind.start == Start::Hook {
            self.knock(case, &mut server)?;
        }
        let mut killed = false;
        until(&format!("{} {}", self.kind.name, case.id), || {
            killed = server.was_killed()?;
            Ok(killed || self.rests(case)?)
        })?;
        // The last thing that a server does to an event is to tell its source.
        Ok(killed || server.ended()?)
    }

    /// Sends the request of a case, if the server comes to the point of hearing it.
    fn knock(&self, case: &Case, server: &mut Server) -> Result<(), Trouble> {
        let said = match server.heard_serving() {
            Ok(said) => said,
            Err(_) if server.was_killed()? => return Ok(()),
            Err(trouble) => return Err(trouble),
        };
        let address = said
            .get("listening")
            .and_then(|a| a.as_str())
            .unwrap_or_default();
        let body = serde_json::json!({ "id": case.id }).to_string();
        // Whoever hears nothing sends it again, to the server that is there then.
        let _ = post(address, &body);
        Ok(())
    }

    /// Sends again what may not have arrived, and lets the run come to rest.
    fn recover(&self, case: &Case) -> Result<(), Trouble> {
        let undoes = case.phase == Phase::Undo;
        match self.kind.start {
            Start::Call if undoes && self.undo_row(case)?.is_none() => {
                self.about(case, &["undo"], &["--yes"], None)?;
            }
            Start::Call if !self.rests(case)? => {
                self.call(case, None)?;
            }
            _ => {}
        }
        self.rest(case, undoes)?;
        if self.kind.name == "approve" && self.waits(case)? {
            self.about(case, &["approve"], &[], None)?;
            self.rest(case, false)?;
        }
        Ok(())
    }

    /// Lets a server work until the run of a case rests, if it does not.
    fn rest(&self, case: &Case, undoes: bool) -> Result<(), Trouble> {
        let rests = || match undoes {
            true => Ok(self.undo_row(case)?.is_some_and(|row| rested(&row))),
            false => self.rests(case),
        };
        if rests()? {
            return Ok(());
        }
        let mut server = Server::start_aimed(self.oncely(), &[])?;
        match self.kind.start {
            Start::Hook => self.knock(case, &mut server)?,
            _ => server.serving()?,
        }
        until(&format!("{} {}", self.kind.name, case.id), rests)?;
        server.end()
    }

    /// A process is stopped at the point, another one does its work, and it wakes. Whether it came
    /// to the point.
    fn stopped(&self, case: &Case) -> Result<bool, Trouble> {
        let aim = [("ONCELY_STOP_AT", case.aim())];
        let first = Server::start_aimed(self.oncely(), &aim)?;
        let mut there = false;
        until(&format!("{} {}", self.kind.name, case.id), || {
            there = first.is_stopped();
            Ok(there || self.rests(case)?)
        })?;
        // Stopped inside a transaction it would keep everybody out, which no lease ends.
        if there && self.is_free()? {
            let mut second = Server::start_aimed(self.oncely(), &[])?;
            second.serving()?;
            let deadline = Instant::now() + PATIENCE / 2;
            while !self.rests(case)? && Instant::now() < deadline {
                std::thread::sleep(LOOK);
            }
            first.wake();
            first.end()?;
            second.end()?;
        } else {
            first.wake();
            until(&case.id, || self.rests(case))?;
            first.end()?;
            there = false;
        }
        self.rest(case, false)?;
        Ok(there)
    }

    /// Whether transactions could be begun at once.
    fn is_free(&self) -> Result<bool, Trouble> {
        for path in [self.stage.ledger(), self.stage.results()] {
            let database = rusqlite::Connection::open(path)?;
            database.busy_timeout(std::time::Duration::ZERO)?;
            if database.execute_batch("begin immediate; rollback").is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Says what became of an attempt that nobody knows about, and lets the run go on.
    pub(super) fn settle(&self, run_id: i64, happened: bool) -> Result<(), Trouble> {
        let (number, word) = (
            run_id.to_string(),
            if happened { "done" } else { "not-done" },
        );
        let reason = "the other side was asked";
        run(
            self.oncely(),
            &["settle", &number, word, "--reason", reason],
            None,
        )
        .map(drop)
    }

    /// Lets a server do what was called by others and left.
    pub(super) fn finish(&self) -> Result<(), Trouble> {
        let mut server = Server::start(self.oncely())?;
        server.serving()?;
        until(&format!("{}: everything", self.kind.name), || {
            let ledger: &dyn Ledger = &*self.ledger;
            let counts = self.runtime.block_on(Ask(ledger).counts("trial".into()))?;
            let open = |status: &RunStatus| !status.is_ended() && *status != RunStatus::Unknown;
            Ok(counts.iter().all(|(status, n)| *n == 0 || !open(status)))
        })?;
        server.end()
    }

    fn rests(&self, case: &Case) -> Result<bool, Trouble> {
        let Some(row) = self.row(case)? else {
            return Ok(false);
        };
        Ok(rested(&row) || self.asks(&row))
    }

    fn waits(&self, case: &Case) -> Result<bool, Trouble> {
        Ok(self.row(case)?.is_some_and(|row| self.asks(&row)))
    }

    /// It waits for a person, and for no moment.
    fn asks(&self, row: &RunRow) -> bool {
        self.kind.name == "approve"
            && row.status == RunStatus::Waiting
            && row.due.is_none()
            && row.holder.is_none()
    }

    fn row(&self, case: &Case) -> Result<Option<RunRow>, Trouble> {
        let of_case =
            |row: &RunRow| row.trigger != "undo" && row.event.contains(&name(self.kind, case));
        Ok(self.rows()?.into_iter().find(of_case))
    }

    /// The run that takes the run of a case back.
    fn undo_row(&self, case: &Case) -> Result<Option<RunRow>, Trouble> {
        let of_case =
            |row: &RunRow| row.trigger == "undo" && row.event.contains(&name(self.kind, case));
        Ok(self.rows()?.into_iter().find(of_case))
    }

    fn rows(&self) -> Result<Vec<RunRow>, Trouble> {
        let filter = Filter {
            task: Some(self.kind.name.into()),
            ..Filter::default()
        };
        let ledger: &dyn Ledger = &*self.ledger;
        Ok(self.runtime.block_on(Ask(ledger).runs(filter))?)
    }
}

/// How an event names its case.
fn name(kind: &Kind, case: &Case) -> String {
    match kind.start {
        Start::File => format!("\"{}.txt\"", case.id),
        _ => format!("\"{}\"", case.id),
    }
}

fn rested(row: &RunRow) -> bool {
    row.status.is_ended() || row.status == RunStatus::Unknown
}

/// Sends a request and reads the answer; how it went is of no matter.
fn post(address: &str, body: &str) -> std::io::Result<()> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST /hooks/trial HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    stream.read_to_string(&mut String::new()).map(drop)
}
