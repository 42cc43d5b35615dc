//! A statement that is not executed.

use super::Options;
use crate::caught::{Catching, Caught, Given, Lines, over};
use oncely_core::action::{Call, Failure};
use serde_json::json;

pub(crate) fn catch(catching: &Catching, call: &Call, given: &Given) -> Result<Caught, Failure> {
    let options: Options = crate::options::read(&call.options)?;
    let own = options.db == super::own();
    if !own && !catching.databases.contains(&options.db) {
        return Err(Failure::permanent(format!(
            "there is no database named {0:?}: add [db.{0}] to oncely.toml",
            options.db
        )));
    }
    let mut lines = Lines::default();
    lines.named("db", Some(&options.db));
    lines.line(options.text.trim());
    for (name, value) in &options.bind {
        lines.line(format_args!(":{name} = {value}"));
    }
    // What shares a commit with its record gives nothing to later steps.
    let usual = match own {
        true => json!({}),
        false => json!({ "changed": 1, "rows": [], "truncated": false }),
    };
    Ok(Caught {
        text: lines.text(),
        result: Ok(over(usual, given)),
    })
}
