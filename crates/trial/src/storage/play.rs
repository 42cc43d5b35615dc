//! Plays commands on a ledger whose disk fails at some moment, and compares what the file holds
//! afterwards with the model.

use super::stores::{Filed, Model};
use crate::crash::Trouble;
use crate::dice::Dice;
use oncely_ledger::conformance::compare::Pair;
use oncely_ledger::conformance::random::{Command, sequence};
use serde_json::Value;

/// Everything that a ledger holds, line by line.
pub(crate) type Lines = Vec<Value>;

/// How far a play came.
pub(crate) struct Played<'s> {
    pub(crate) pair: Pair<'s, Model, Filed>,
    /// What the ledger may hold now: what was answered, and where the last command was not answered
    /// also what was there before it.
    pub(crate) allowed: Vec<Lines>,
    /// What the command said that was the last; none when all were answered.
    pub(crate) said: Option<String>,
    /// What the model held after each command and, where it is committed in pieces, within it: after each
    /// unit, for they are committed one by one where one of them cannot be applied.
    pub(crate) history: Vec<Lines>,
    /// Commands that were played.
    pub(crate) commands: u64,
}

/// Plays so many sequences, until one command fails or the disk is gone.
pub(crate) async fn play<'s>(
    model: &'s Model,
    filed: &'s Filed,
    dice: &mut Dice,
    sequences: u32,
    is_gone: impl Fn() -> bool,
) -> Played<'s> {
    let (pair, begun) = Pair::begin(model, filed).await;
    let lines = pair.model();
    let mut played = Played {
        pair,
        allowed: vec![lines.clone()],
        said: begun.err(),
        history: vec![lines],
        commands: 0,
    };
    for _ in 0..sequences {
        let seed = dice.roll() >> 1;
        for command in sequence(seed) {
            if played.said.is_some() {
                return played;
            }
            played.step(seed, &command, &is_gone).await;
        }
    }
    played
}

impl Played<'_> {
    async fn step(&mut self, seed: u64, command: &Command, is_gone: &impl Fn() -> bool) {
        let before = self.history.last().cloned().unwrap_or_default();
        self.commands += 1;
        let (answered, mut within) = self.pair.step(seed, command).await;
        let after = self.pair.model();
        within.retain(|lines| *lines != after);
        self.history.extend(within.iter().cloned());
        self.history.push(after.clone());
        self.said = answered.err();
        // The end of a process has no answer.
        let ends = matches!(command, Command::Kill(_) | Command::Restart(_));
        if self.said.is_none() && ends && is_gone() {
            self.said = Some("it ended".into());
        }
        self.allowed = match self.said {
            None => vec![after],
            Some(_) => [vec![before], within, vec![after]].concat(),
        };
    }

    /// Whether these lines are what may be there.
    pub(crate) fn allows(&self, lines: &Lines) -> bool {
        self.allowed.contains(lines)
    }

    /// The first difference to the last state that may be there.
    pub(crate) fn difference(&self, lines: &Lines) -> String {
        let expected = self.allowed.last().cloned().unwrap_or_default();
        let differs = |(a, b): &(&Value, &Value)| a != b;
        match expected.iter().zip(lines).find(differs) {
            Some((a, b)) => format!("expected {a}, found {b}"),
            None => format!("expected {} lines, found {}", expected.len(), lines.len()),
        }
    }
}

/// Runs to its end.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}
