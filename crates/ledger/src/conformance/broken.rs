//! Playing on a store whose disk fails: step by step, with what the model holds after each.

use super::compare::{Check, Pair};
use super::names::lines;
use super::random::Command;
use super::stage::{Stores, sql, unit};
use oncely_core::ids::RunId;
use oncely_core::ledger::{Answer, Ledger, Query, RunRow};

impl<'s, A: Stores, B: Stores> Pair<'s, A, B> {
    /// Two fresh ledgers with a table for the statements of tasks, the second of which may have failed.
    pub async fn begin(a: &'s A, b: &'s B) -> (Self, Check) {
        let mut pair = Self::opened(a, b);
        pair.learn_names();
        let text = "create table t (a text primary key)";
        let table = || vec![unit(vec![], vec![sql(text, &[])])];
        pair.handles[0].0.commit(table()).await.unwrap();
        let made = pair.handles[0].1.commit(table()).await;
        let made = made.map(drop).map_err(|error| error.to_string());
        (pair, made)
    }

    /// Plays one command of a sequence.
    pub async fn step(&mut self, seed: u64, command: &Command) -> Check {
        self.environment = format!("e{seed}").into();
        self.command(command).await
    }

    /// Everything that the model holds, line by line.
    pub fn model(&self) -> Vec<serde_json::Value> {
        lines(&self.a.export(&self.handles[0].0), &self.names.0)
    }

    /// An export of the store as lines that can be compared with those of the model.
    pub fn as_model(&self, export: &str) -> Vec<serde_json::Value> {
        lines(export, &self.names.1)
    }

    /// The runs that the model holds.
    pub async fn runs(&self) -> Vec<RunRow> {
        let model = &self.handles[0].0;
        let mut rows = Vec::new();
        let mut number = 1;
        while let Ok(Answer::Run(Some(row))) = model.read(Query::Run(RunId(number))).await {
            rows.push(row);
            number += 1;
        }
        rows
    }
}
