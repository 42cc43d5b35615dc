//! `oncely link RUN --for PERSON`: a link by which somebody answers who is at no shell.

use super::people::{people, who};
use crate::cli::Link;
use crate::config::Flags;
use crate::failure::{Exit, Failure};
use crate::house::House;
use crate::links;
use crate::output::{Voice, moment, rfc3339};
use oncely_core::ids::RunId;
use oncely_core::task::parse_duration;
use oncely_engine::Wanted;

pub(crate) fn run(voice: Voice, flags: &Flags, args: &Link) -> Result<Exit, Failure> {
    let house = House::open(flags, "oncely link", false)?;
    let base = links::base(&house.config)?;
    let key = links::key(&house.config)?.ok_or_else(|| {
        Failure::usage(
            "links are signed with the secret LINK_KEY, which every machine that shares this ledger \
             must have, and it is not given. No link was made.",
        )
    })?;
    let lasts_ms = parse_duration(&args.expires).filter(|ms| *ms > 0);
    let lasts_ms = lasts_ms.ok_or_else(|| {
        Failure::usage(format!(
            "--expires {:?} is not a duration. Write it like 4h or 2d. No link was made.",
            args.expires
        ))
    })?;
    let wanted = Wanted {
        person: &args.person,
        lasts_ms,
        by: &who(args.by.clone()),
    };
    house.block_on(async {
        let run = RunId(args.run);
        let (text, until) = people(&house).link(&key, run, &wanted).await?;
        let url = links::address(&base, &text);
        voice.record(&serde_json::json!({
            "run": run, "person": args.person, "url": url, "expires": rfc3339(until),
        }));
        voice.say(&url);
        voice.say(format!(
            "It answers run {run} as {}, once, until {} UTC. Give it to nobody else.",
            args.person,
            moment(until)
        ));
        Ok(Exit::Done)
    })
}
