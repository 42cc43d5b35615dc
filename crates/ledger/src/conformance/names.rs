//! Holders under numbers that both ledgers share: each ledger gives its own.

use oncely_core::ids::HolderId;
use oncely_core::ledger::{Answer, Held, HolderInfo, Leased, RunRow};
use serde_json::json;
use std::collections::HashMap;

/// Shared numbers by holder.
pub(super) type Names = HashMap<HolderId, i64>;

fn named(holder: HolderId, names: &Names) -> HolderId {
    HolderId(names.get(&holder).copied().unwrap_or(-1))
}

fn row_by_name(mut row: RunRow, names: &Names) -> RunRow {
    row.holder = row.holder.map(|holder| named(holder, names));
    row
}

fn info_by_name(info: HolderInfo, names: &Names) -> HolderInfo {
    HolderInfo {
        id: named(info.id, names),
        ..info
    }
}

/// What was leased.
pub(super) fn leased_by_name(leased: Leased, names: &Names) -> Leased {
    match leased {
        Leased::Runs(held) => Leased::Runs(
            held.into_iter()
                .map(|held| Held {
                    row: row_by_name(held.row, names),
                    ..held
                })
                .collect(),
        ),
        Leased::Busy(info) => Leased::Busy(info_by_name(info, names)),
        Leased::Named(fence) => Leased::Named(fence),
    }
}

/// An answer.
pub(super) fn answer_by_name(answer: Answer, names: &Names) -> Answer {
    match answer {
        Answer::Run(row) => Answer::Run(row.map(|row| row_by_name(row, names))),
        Answer::Runs(rows) => Answer::Runs(
            rows.into_iter()
                .map(|row| row_by_name(row, names))
                .collect(),
        ),
        Answer::Holders(all) => {
            let mut all: Vec<_> = all
                .into_iter()
                .map(|info| info_by_name(info, names))
                .collect();
            all.sort_by_key(|info| info.id);
            Answer::Holders(all)
        }
        Answer::NameHolder(info) => Answer::NameHolder(info.map(|info| info_by_name(info, names))),
        Answer::Names(held) => {
            let by_name = held.into_iter().map(|(name, by)| (name, named(by, names)));
            Answer::Names(by_name.collect())
        }
        other => other,
    }
}

/// The lines of an export.
pub(super) fn lines(export: &str, names: &Names) -> Vec<serde_json::Value> {
    let mut all: Vec<serde_json::Value> = Vec::new();
    for line in export.lines() {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        if line["kind"] == "ledger" {
            line["name"] = json!("same");
        }
        if let Some(holder) = line["holder"].as_i64() {
            line["holder"] = json!(named(HolderId(holder), names).0);
        }
        all.push(line);
    }
    all
}
