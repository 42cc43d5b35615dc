//! Reads the table, and records what is new of it.

use super::sorted::{Fate, Sorted, Version};
use crate::adopt;
use crate::cli::{Import, Tool};
use crate::commands::people::who;
use crate::commands::run::newest;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::output::{Voice, moment};
use crate::project::{self, Loaded};
use oncely_adopt::{AdoptError, Database, Found, Tables};
use oncely_core::Value;
use oncely_core::fact::End;
use oncely_engine::{Offer, Offered};
use oncely_sources::release;

/// So many are recorded in one commit.
const AT_ONCE: usize = 1_000;

pub(crate) fn run(voice: Voice, flags: &Flags, args: Import) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely import", !args.dry_run)?;
    let loaded = project::load_clean(&house.config, voice.colour)?;
    house.block_on(async {
        let (place, found) = read(&house, &args).await.map_err(refused)?;
        let rows = newest(&house, &house.config.environment.value).await?;
        let sorted = Sorted::of(&found, &rows, &loaded);
        let import = Importing {
            voice,
            house: &house,
            table: &found.table,
            place,
            by: who(args.by),
        };
        import.tell(&sorted);
        if args.dry_run {
            import.end(&sorted, None);
        } else {
            let came = import.record(&sorted, &loaded).await?;
            import.end(&sorted, Some(came));
        }
        import.left(&sorted, &rows, &loaded);
        Ok(match sorted.has(Fate::Collides) {
            0 => Exit::Done,
            _ => Exit::Failed,
        })
    })
}

async fn read(house: &House, args: &Import) -> Result<(Database, Found), AdoptError> {
    let rake = house.config.rake.as_ref();
    let rake = rake.filter(|_| args.tool == Tool::AfterParty);
    let usual = rake.map_or(adopt::USUAL, |rake| rake.database.as_str());
    let database = args.database.as_deref().unwrap_or(usual);
    let place = adopt::place(database, &house.config.root)?;
    let tables = match (&args.table, args.tool, rake) {
        (Some(name), ..) => Tables::named(name)?,
        (None, Tool::AfterParty, Some(rake)) => rake.tables.clone(),
        (None, Tool::AfterParty, None) => Tables::after_party(),
        (None, Tool::DataMigrate, _) => Tables::data_migrate(),
    };
    let found = oncely_adopt::read(&place, &tables).await?;
    Ok((place, found))
}

fn refused(error: AdoptError) -> Failure {
    Failure::usage(format!("{error} Nothing was imported."))
}

/// An import that is under way.
pub(super) struct Importing<'a> {
    pub(super) voice: Voice,
    pub(super) house: &'a House,
    pub(super) table: &'a str,
    pub(super) place: Database,
    by: String,
}

impl Importing<'_> {
    /// Records them; how many are new. What was begun meanwhile is left as it is.
    async fn record(&self, sorted: &Sorted, loaded: &Loaded) -> Result<usize, Failure> {
        let engine = self.house.engine(loaded.tasks.clone())?;
        let wanted: Vec<&Version> = sorted.of_fate(Fate::Imported).collect();
        let mut came = 0;
        for part in wanted.chunks(AT_ONCE) {
            let offers = part.iter().map(|version| self.offer(version)).collect();
            for offered in self.house.intake(&engine).offer(offers).await? {
                match offered {
                    Offered::Admitted(_) => came += 1,
                    Offered::Duplicate(_) => {}
                    Offered::Refused(why) => return Err(Failure::failed(why)),
                }
            }
        }
        Ok(came)
    }

    fn offer(&self, version: &Version) -> Offer {
        let at = version.at.map(moment);
        let written = at.as_ref().map(|at| format!(" of {at} UTC"));
        let written = written.unwrap_or_default();
        let (table, place, by) = (self.table, &self.place, &self.by);
        let data: Value = serde_json::json!({
            "version": version.name, "environment": self.house.config.environment.value,
            "table": table, "database": place.to_string(), "recorded": version.at,
        });
        Offer {
            over: Some((
                End::Imported,
                format!("a row{written} in {table} of {place}, says {by}"),
            )),
            ..Offer::new(version.name.as_str().into(), release::for_ever(), data)
        }
    }
}
