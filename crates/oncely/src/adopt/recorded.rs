//! What after_party's table says of the tasks that are adopted: a row means done for ever, no row
//! means that the task runs at every release.

use super::settings::Rake;
use crate::commands::run::concerns;
use crate::failure::Failure;
use crate::house::House;
use oncely_adopt::{AdoptError, Database, Record};
use oncely_core::fact::End;
use oncely_core::ids::TaskId;
use oncely_core::ledger::RunRow;
use oncely_core::run::RunStatus;
use oncely_core::task::Task;
use oncely_engine::{Engine, Known, Offer, Offered};
use oncely_sources::release;
use std::collections::{BTreeMap, BTreeSet};

/// Tasks of which the table has a row, and the ledger does not know that yet.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    /// Their versions, which are their ids.
    pub(crate) tasks: BTreeSet<TaskId>,
    table: String,
    place: Option<Database>,
}

/// Looks into the table for tasks that have no run which counts for ever among these. Without such
/// tasks the database is left alone.
pub(crate) async fn look(
    house: &House,
    tasks: &[Known],
    rows: &BTreeMap<TaskId, RunRow>,
) -> Result<Recorded, AdoptError> {
    let environment = &house.config.environment.value;
    let is_open = |task: &Task| {
        let row = rows.get(&task.id);
        release::is_until_recorded(task)
            && concerns(task, environment)
            && !row.is_some_and(|row| release::is_once(&row.key))
    };
    let open = tasks.iter().map(|known| &known.task);
    let open: BTreeSet<&TaskId> = open.filter(|t| is_open(t)).map(|t| &t.id).collect();
    match &house.config.rake {
        Some(rake) if !open.is_empty() => {
            let (place, table, records) = read(house, rake).await?;
            let versions = records.into_iter().filter_map(|record| record.version);
            let versions = versions.map(TaskId::from);
            Ok(Recorded {
                tasks: versions.filter(|id| open.contains(id)).collect(),
                table,
                place: Some(place),
            })
        }
        _ => Ok(Recorded::default()),
    }
}

async fn read(house: &House, rake: &Rake) -> Result<(Database, String, Vec<Record>), AdoptError> {
    let place = rake.place(&house.config.root)?;
    let found = oncely_adopt::read(&place, &rake.tables).await?;
    Ok((place, found.table, found.rows))
}

/// Without the table nobody knows what is done.
pub(crate) fn refused(error: AdoptError) -> Failure {
    Failure::usage(format!(
        "{error} Whether a .rake file is done, after_party's table says. Nothing was run."
    ))
}

/// Writes into the ledger that these are done for ever: by oncely, where a run of it is done, else by
/// somebody else.
pub(crate) async fn keep(
    house: &House,
    engine: &Engine,
    recorded: &Recorded,
    rows: &BTreeMap<TaskId, RunRow>,
) -> Result<(), Failure> {
    let offers = recorded
        .tasks
        .iter()
        .map(|id| offer(house, recorded, id, rows.get(id)));
    for offered in house.intake(engine).offer(offers.collect()).await? {
        if let Offered::Refused(why) = offered {
            return Err(Failure::failed(why));
        }
    }
    Ok(())
}

fn offer(house: &House, recorded: &Recorded, id: &TaskId, row: Option<&RunRow>) -> Offer {
    let table = &recorded.table;
    let place = recorded.place.as_ref().map(ToString::to_string);
    let place = place.unwrap_or_default();
    let over = match row.filter(|row| row.status == RunStatus::Done) {
        Some(row) => (
            End::Done,
            format!("by run {}: its row stands in {table} of {place}", row.id),
        ),
        None => (End::Imported, format!("a row in {table} of {place}")),
    };
    let data = serde_json::json!({
        "version": id, "environment": house.config.environment.value,
        "table": table, "database": place,
    });
    Offer {
        over: Some(over),
        ..Offer::new(id.clone(), release::for_ever(), data)
    }
}
