//! The person at the terminal answers what a run asks, while a command waits for the run.

use super::drive::{self, Stands};
use super::people::{people, who};
use super::progress;
use crate::failure::Failure;
use crate::house::House;
use crate::output::{Voice, plain};
use oncely_core::ids::RunId;
use oncely_core::ledger::Change;
use oncely_core::question::{Identity, Question};
use oncely_core::run::Asked;
use oncely_core::time::Clock;
use oncely_engine::{Engine, Reply, Stop};
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

/// Drives a run until it rests; what it asks meanwhile is asked here, where somebody is there who may
/// answer.
pub(crate) async fn to_rest(
    voice: Voice,
    house: &House,
    engine: &Arc<Engine>,
    run: RunId,
) -> Result<Stands, Failure> {
    let mut stands = rest(voice, house, engine, run).await?;
    if voice.json || !somebody_is_there() {
        return Ok(stands);
    }
    let lines = Lines {
        house,
        run,
        stop: engine.stopper(),
    };
    while may_answer(house, &stands) {
        let Some(reply) = ask(house, &lines, &stands).await else {
            // Somebody else may have answered meanwhile.
            return rest(voice, house, engine, run).await;
        };
        if let Err(refused) = people(house).answer(run, &reply).await {
            write(&format!("{refused}\n"));
            return rest(voice, house, engine, run).await;
        }
        stands = rest(voice, house, engine, run).await?;
    }
    Ok(stands)
}

/// Drives a run until it rests, and shows meanwhile how far its stream is.
async fn rest(
    voice: Voice,
    house: &House,
    engine: &Arc<Engine>,
    run: RunId,
) -> Result<Stands, Failure> {
    let driven = drive::to_rest(house, engine, run);
    progress::beside(voice, house, run, driven).await
}

pub(super) fn somebody_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Whether there is something that the person at the terminal may answer.
fn may_answer(house: &House, stands: &Stands) -> bool {
    let open = stands.waits_for_person() && !stands.question_is_over(house.clock.now());
    stands.asked().filter(|_| open).is_some_and(|asked| {
        let may = people(house).may_answer(&stands.state, asked, &name(house));
        may.is_ok()
    })
}

/// The person at the terminal: claimed, not proved.
pub(super) fn name(house: &House) -> String {
    let user = who(None);
    house.config.people.value.name_of(&user).to_owned()
}

/// Asks the person at the terminal, in the name of somebody who may answer; none when nobody is
/// there, or they do not answer now.
pub(super) async fn ask_as(
    house: &House,
    stop: Stop,
    stands: &Stands,
    by: String,
) -> Option<Reply> {
    let lines = Lines {
        house,
        run: stands.row.id,
        stop,
    };
    answered(house, &lines, stands, by).await
}

/// The answer of the person at the terminal; none when they do not answer now.
async fn ask(house: &House, lines: &Lines<'_>, stands: &Stands) -> Option<Reply> {
    answered(house, lines, stands, name(house)).await
}

async fn answered(house: &House, lines: &Lines<'_>, stands: &Stands, by: String) -> Option<Reply> {
    let asked = stands.asked()?;
    write(&shown(&house.label(&stands.row.task), asked));
    let answer = Answering {
        lines,
        seq: asked.seq,
    }
    .answer(&asked.question, &by)
    .await?;
    Some(Reply {
        approved: answer.approved,
        by,
        identity: Identity::Claimed,
        note: answer.note,
        ticked: answer.ticked,
        shown: Some(asked.question.hash),
        question: Some(asked.seq),
    })
}

fn shown(label: &str, asked: &Asked) -> String {
    let mut text = format!("{label} asks: {}\n", plain(&asked.question.text));
    for line in drive::asking(&asked.question) {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

/// What somebody said.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    approved: bool,
    note: String,
    ticked: Vec<String>,
}

/// Asks until the answer is clear.
struct Answering<'a, L> {
    lines: &'a L,
    seq: u64,
}

impl<L: Listen> Answering<'_, L> {
    async fn answer(&self, question: &Question, by: &str) -> Option<Said> {
        let approved = self
            .yes_or_no(&format!("Answer as {by}: yes, no, or Enter for later: "))
            .await?;
        let mut ticked = Vec::new();
        for thing in question.tick.iter().filter(|_| approved) {
            let prompt = format!("  Is this done: {}? yes or no: ", plain(thing));
            if self.yes_or_no(&prompt).await != Some(true) {
                write("A yes needs everything ticked. It is left for later.\n");
                return None;
            }
            ticked.push(thing.clone());
        }
        let note = self
            .lines
            .next("Note, or Enter for none: ", self.seq)
            .await?;
        Some(Said {
            approved,
            note,
            ticked,
        })
    }

    /// An empty line, and no line, say neither.
    async fn yes_or_no(&self, prompt: &str) -> Option<bool> {
        loop {
            match self.lines.next(prompt, self.seq).await?.as_str() {
                "yes" => return Some(true),
                "no" => return Some(false),
                "" => return None,
                _ => write("Say yes or no in full, or press Enter.\n"),
            }
        }
    }
}

/// Where lines come from.
trait Listen {
    /// The next line that somebody types, without its end; none when nobody does, or the question
    /// is open no more.
    async fn next(&self, prompt: &str, seq: u64) -> Option<String>;
}

/// The lines of the terminal.
struct Lines<'a> {
    house: &'a House,
    run: RunId,
    stop: Stop,
}

impl Listen for Lines<'_> {
    async fn next(&self, prompt: &str, seq: u64) -> Option<String> {
        write(prompt);
        tokio::select! {
            line = typed() => line,
            () = self.stop.stopped() => {
                write("\n");
                None
            }
            () = self.closed(seq) => {
                write("\nThis is asked no more.\n");
                None
            }
        }
    }
}

impl Lines<'_> {
    /// Waits until the question is answered by somebody else, or its time is over.
    async fn closed(&self, seq: u64) {
        let mut change = Change::default();
        loop {
            let Ok(stands) = Stands::read(self.house, self.run).await else {
                return;
            };
            let open = stands.asked().is_some_and(|asked| asked.seq == seq);
            if !open || stands.question_is_over(self.house.clock.now()) {
                return;
            }
            tokio::select! {
                seen = self.house.ledger().watch(change) => change = seen,
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    }
}

/// A line that is typed. The thread that reads it has no part in the runtime: a command that is told
/// to stop does not wait for somebody to press Enter.
async fn typed() -> Option<String> {
    let (give, line) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        let _ = give.send(read.ok().filter(|bytes| *bytes > 0).map(|_| line));
    });
    line.await.ok().flatten().map(|line| line.trim().to_owned())
}

/// Where it cannot be written nobody can read it, and nobody answers.
fn write(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use super::*;
    use oncely_core::ids::ContentHash;
    use std::cell::RefCell;
    use std::collections::VecDeque;

    struct Script(RefCell<VecDeque<&'static str>>);

    impl Listen for Script {
        async fn next(&self, _prompt: &str, _seq: u64) -> Option<String> {
            self.0.borrow_mut().pop_front().map(str::to_owned)
        }
    }

    fn question(tick: &[&str]) -> Question {
        Question {
            text: "Go?".into(),
            tick: tick.iter().map(|&t| t.to_owned()).collect(),
            hash: ContentHash::of(b"Go?"),
            expires: None,
            by: Vec::new(),
            not_by: None,
            tell: Vec::new(),
            remind: None,
        }
    }

    fn said(lines: &[&'static str], tick: &[&str]) -> Option<(bool, String, usize)> {
        let script = Script(RefCell::new(lines.iter().copied().collect()));
        let answering = Answering {
            lines: &script,
            seq: 1,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().ok()?;
        let said = runtime.block_on(answering.answer(&question(tick), "ann"))?;
        Some((said.approved, said.note, said.ticked.len()))
    }

    #[test]
    fn only_a_clear_answer_counts() {
        assert_eq!(said(&["yes", ""], &[]), Some((true, String::new(), 0)));
        assert_eq!(
            said(&["no", "not yet"], &[]),
            Some((false, "not yet".into(), 0))
        );
        assert_eq!(
            said(&["y", "YES", "yes", ""], &[]),
            Some((true, String::new(), 0))
        );
        for nothing in [&[][..], &[""], &["yes"], &["maybe"]] {
            assert_eq!(said(nothing, &[]), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_yes_is_given_only_when_all_is_ticked() {
        let tick = ["a", "b"];
        assert_eq!(
            said(&["yes", "yes", "yes", "ok"], &tick),
            Some((true, "ok".into(), 2))
        );
        assert_eq!(said(&["yes", "yes", "no", "ok"], &tick), None);
        assert_eq!(said(&["yes", "", "yes", "ok"], &tick), None);
        assert_eq!(said(&["no", "ok"], &tick), Some((false, "ok".into(), 0)));
    }
}
