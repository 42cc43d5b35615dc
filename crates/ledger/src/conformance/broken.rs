//! Playing on a store whose disk fails: step by step, with what the model holds after each.

use super::compare::{Check, Pair};
use super::names::lines;
use super::random::Command;
use super::stage::{Stores, sql, unit};
use oncely_core::ledger::{Answer, Filter, Ledger, Query, RunRow};
use serde_json::Value;

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

    /// Plays one command of a sequence. The second value is what the model held within it: after each
    /// unit of a commit, and after each part of what is pruned.
    pub async fn step(&mut self, seed: u64, command: &Command) -> (Check, Vec<Vec<Value>>) {
        self.environment = format!("e{seed}").into();
        let done = self.command(command).await;
        let within = self.a.within();
        let within = within.iter().map(|export| lines(export, &self.names.0));
        (done, within.collect())
    }

    /// Everything that the model holds, line by line.
    pub fn model(&self) -> Vec<Value> {
        lines(&self.a.export(&self.handles[0].0), &self.names.0)
    }

    /// An export of the store as lines that can be compared with those of the model.
    pub fn as_model(&self, export: &str) -> Vec<Value> {
        lines(export, &self.names.1)
    }

    /// The runs that the model holds.
    pub async fn runs(&self) -> Vec<RunRow> {
        let any = Filter {
            limit: usize::MAX,
            ..Filter::default()
        };
        match self.handles[0].0.read(Query::Runs(any)).await {
            Ok(Answer::Runs(rows)) => rows,
            other => panic!("{other:?}"),
        }
    }
}
