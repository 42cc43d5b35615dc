//! Plays commands on a ledger whose disk fails at some moment, and compares what the file holds
//! afterwards with the model.

use super::stores::{Filed, Model};
use crate::crash::Trouble;
use crate::dice::Dice;
use oncely_core::ledger::LedgerError;
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
    /// What the model held after each command.
    pub(crate) history: Vec<Lines>,
    /// The commands, with the seeds of their sequences.
    commands: Vec<(u64, Command)>,
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
        commands: Vec::new(),
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
        self.commands.push((seed, command.clone()));
        let answered = self.pair.step(seed, command).await;
        let after = self.pair.model();
        self.history.push(after.clone());
        self.said = answered.err();
        // The end of a process has no answer.
        let ends = matches!(command, Command::Kill(_) | Command::Restart(_));
        if self.said.is_none() && ends && is_gone() {
            self.said = Some("it ended".into());
        }
        self.allowed = match self.said {
            None => vec![after],
            Some(_) => vec![before, after],
        };
    }

    /// Whether these lines are what may be there.
    pub(crate) async fn allows(&mut self, lines: &Lines) -> Result<bool, LedgerError> {
        if !self.allowed.contains(lines) && self.said.is_some() {
            let between = self.between().await?;
            self.allowed.splice(1..1, between);
        }
        Ok(self.allowed.contains(lines))
    }

    /// What is there when only the first units of the last command are: each is whole or not at all, and
    /// where one of them cannot be applied the store commits them one by one.
    async fn between(&self) -> Result<Vec<Lines>, LedgerError> {
        let Some(((seed, Command::Commit(handle, units)), before)) = self.commands.split_last()
        else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for count in 1..units.len() {
            let (model, same) = (Model::new()?, Model::new()?);
            let (mut pair, _) = Pair::begin(&model, &same).await;
            for (seed, command) in before {
                pair.step(*seed, command).await.ok();
            }
            let first = units.iter().take(count).cloned().collect();
            pair.step(*seed, &Command::Commit(*handle, first))
                .await
                .ok();
            found.push(pair.model());
        }
        Ok(found)
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
