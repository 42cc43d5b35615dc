//! `mirror = true`: what `oncely run` has done is recorded in after_party's table too, so that a team
//! can go back. Each row is the one step of a run of its own, which is known by the version.

use super::mirror::DATABASE;
use crate::commands::drive::{Stands, to_rest};
use crate::config::Config;
use crate::failure::Failure;
use crate::house::House;
use crate::output::{Voice, count};
use oncely_core::fact::Request;
use oncely_core::ids::{RunId, TaskId};
use oncely_core::ledger::{Filter, RunRow};
use oncely_core::run::RunStatus;
use oncely_core::task::{Bundle, Task};
use oncely_engine::{Ask, Engine, Known, Offer, Offered, People};
use oncely_sources::release;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The task of those runs.
pub(crate) const MIRROR: &str = "after_party.mirror";

/// Whether the rows are asked for.
pub(crate) fn is_on(config: &Config) -> bool {
    config.rake.as_ref().is_some_and(|rake| rake.mirror)
}

/// Tasks as an engine knows them: with that of the rows, where they are asked for. It has no file.
pub(crate) fn with_mirror(config: &Config, mut tasks: Vec<Known>) -> Vec<Known> {
    if is_on(config) {
        tasks.extend(task());
    }
    tasks
}

/// The task of those runs.
fn task() -> Option<Known> {
    let text = format!(
        "id = {MIRROR:?}\ntitle = \"Record a task in after_party's table\"\n\n[on.call]\n\n[[step]]\n\
         id = \"row\"\nretry = {{ attempts = 1 }}\nundo = \"never\"\n\n  [step.sql]\n  db = {DATABASE:?}\n  \
         text = \"add the version where it is not there\"\n  \
         bind = {{ version = \"{{{{ event.version }}}}\" }}\n"
    );
    let bundle = Bundle {
        path: format!("tasks/{MIRROR}.toml"),
        text,
        executable: false,
        files: BTreeMap::new(),
    };
    let read = Known::read(bundle);
    read.inspect_err(|error| tracing::error!("{MIRROR}: {error}"))
        .ok()
}

/// Records what is done and has no row of ours yet; whether there is nothing that has none. What goes wrong
/// is said, and tried again by the next `oncely run`.
pub(crate) async fn catch_up(
    house: &House,
    voice: Voice,
    engine: &Arc<Engine>,
    done: impl Iterator<Item = TaskId>,
) -> Result<bool, Failure> {
    let before = mirrored(house).await?;
    let is_left = |id: &TaskId| {
        let row = before.get(id.as_str());
        row.is_none_or(|row| row.status != RunStatus::Done && row.status != RunStatus::Cancelled)
    };
    let left: Vec<TaskId> = done.filter(is_left).collect();
    for (place, version) in left.iter().enumerate() {
        let stands = one(house, engine, version, before.get(version.as_str())).await?;
        let is_done = stands.row.status == RunStatus::Done;
        voice.record(&serde_json::json!({
            "mirrored": version, "run": stands.row.id, "status": stands.row.status,
        }));
        if !is_done {
            let open = count(left.len() - place, "task");
            voice.say(format!(
                "The rows of {open} are not in after_party's table yet (mirror = true): {} The next \
                 `oncely run` tries again.",
                stands.reason()
            ));
            return Ok(false);
        }
    }
    if !left.is_empty() {
        let rows = count(left.len(), "row");
        voice.say(format!("{rows} in after_party's table (mirror = true)."));
    }
    Ok(true)
}

/// Versions of release tasks that count there: 14 digits, once for ever, and not a `.rake` file, which
/// writes its own row.
pub(crate) fn concerns(task: &Task) -> bool {
    let version = release::version(task);
    version.is_some_and(|version| version.len() == 14) && !release::is_repeated(task)
}

/// The run of each version.
async fn mirrored(house: &House) -> Result<BTreeMap<String, RunRow>, Failure> {
    let filter = Filter {
        environment: Some(house.config.environment.value.clone()),
        task: Some(MIRROR.into()),
        ..Filter::default()
    };
    let rows = Ask(house.ledger()).runs(filter).await?.into_iter();
    Ok(rows.map(|row| (row.key.to_string(), row)).collect())
}

async fn one(
    house: &House,
    engine: &Arc<Engine>,
    version: &TaskId,
    before: Option<&RunRow>,
) -> Result<Stands, Failure> {
    let run = match before {
        None => admitted(engine, version).await?,
        Some(row) => {
            if row.status == RunStatus::Failed {
                let roster = Arc::clone(&house.config.people.value);
                let people = People::new(house.shared_ledger(), house.shared_clock(), roster);
                let asked = people.request(row.id, Request::Resume, "oncely run", "mirror = true");
                asked.await.map_err(|e| Failure::failed(e.to_string()))?;
            }
            row.id
        }
    };
    to_rest(house, engine, run).await
}

/// A new run, which begins in the commit that admits it.
async fn admitted(engine: &Arc<Engine>, version: &TaskId) -> Result<RunId, Failure> {
    let data = serde_json::json!({ "version": version });
    let offer = Offer::new(MIRROR.into(), version.as_str().into(), data);
    match engine.offer(vec![offer], None).await?.pop() {
        Some(Offered::Admitted(run) | Offered::Duplicate(run)) => Ok(run),
        Some(Offered::Refused(why)) => Err(Failure::failed(why)),
        None => Err(Failure::failed(
            "the ledger did not say what became of the row.",
        )),
    }
}
