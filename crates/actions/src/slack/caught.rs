//! A message to Slack that is not sent.

use super::options::Options;
use crate::caught::{ByName, Caught, Given, Lines, over};
use crate::secret::Veil;
use oncely_core::Value;
use oncely_core::action::{Call, Failure};
use serde_json::json;

pub(crate) fn catch(call: &Call, given: &Given) -> Result<Caught, Failure> {
    let options: Options = crate::options::read(&call.options)?;
    let message = options.message()?;
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    let by_name = |secret: &crate::secret::SecretText| secret.reveal(&ByName, &mut Veil::default());
    let mut lines = Lines::default();
    lines.named("channel", text("channel"));
    lines.named(
        "webhook",
        options.webhook.as_ref().map(by_name).transpose()?,
    );
    lines.named("token", options.token.as_ref().map(by_name).transpose()?);
    lines.named("thread", text("thread_ts"));
    lines.body(text("text").unwrap_or_default());
    if let Some(blocks) = message.get("blocks") {
        lines.json(blocks);
    }
    let usual = match options.webhook {
        Some(_) => json!({ "ts": null, "channel": null }),
        None => json!({ "ts": "1.000001", "channel": text("channel") }),
    };
    Ok(Caught {
        text: lines.text(),
        result: Ok(over(usual, given)),
    })
}
