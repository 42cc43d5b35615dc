//! What Slack answers: in a word what was wrong, and what helps.

use crate::http::{Answer, Options as Request, judge, patience};
use crate::secret::Veil;
use oncely_core::Value;
use oncely_core::action::Failure;
use oncely_core::fact::Repeat;
use serde_json::json;

/// The answer of a method: JSON that says whether it was done.
pub(crate) fn of_method(answer: Answer, request: &Request, veil: &Veil) -> Result<Value, Failure> {
    if answer.status != 200 {
        return judge(answer, request, Repeat::AskFirst, veil).map(|_| Value::Null);
    }
    let json = answer.json(veil).unwrap_or_default();
    match json.get("ok") {
        Some(Value::Bool(true)) => Ok(json!({ "ts": json["ts"], "channel": json["channel"] })),
        Some(Value::Bool(false)) => Err(refused(&answer, &json)),
        _ => Err(Failure::unknown(
            "the answer was 200, and not in Slack's words: whether the message was sent is not \
             known; look at `[slack] api` in oncely.toml and into the channel",
        )),
    }
}

/// The answer of a webhook: `ok`, or a word and a status.
pub(crate) fn of_webhook(answer: Answer, request: &Request, veil: &Veil) -> Result<Value, Failure> {
    let word = answer.text(veil).trim().to_owned();
    let done = judge(answer, request, Repeat::AskFirst, veil);
    match done {
        Ok(_) => Ok(json!({ "ts": null, "channel": null })),
        Err(Failure::Permanent { error }) => {
            Err(Failure::permanent(format!("{error}{}", hint(&word))))
        }
        Err(other) => Err(other),
    }
}

fn refused(answer: &Answer, json: &Value) -> Failure {
    let word = json["error"].as_str().unwrap_or("no reason");
    let more = details(json);
    let error = format!("Slack answered {word}{more}{}", hint(word));
    match word {
        "ratelimited" | "rate_limited" => {
            let after = answer.wait();
            Failure::Retry {
                error: format!("{error}{}", patience(after)),
                after,
            }
        }
        "service_unavailable" | "team_added_to_org" | "accesslimited" => Failure::retry(error),
        // Slack says that a part of it may have been done before.
        "fatal_error" | "internal_error" | "request_timeout" => Failure::unknown(error),
        _ => Failure::permanent(error),
    }
}

/// What Slack says beside its word.
fn details(json: &Value) -> String {
    let needed = json["needed"]
        .as_str()
        .map(|scope| format!(" (needed: {scope})"));
    let messages = json["response_metadata"]["messages"].as_array();
    let first = messages.and_then(|all| all.first()?.as_str());
    let first = first.map(|text| format!(" ({})", crate::options::cut(text, 200)));
    needed.or(first).unwrap_or_default()
}

/// What helps, for the words that come up.
fn hint(word: &str) -> &'static str {
    match word {
        "not_in_channel" => ": invite the app into the channel with /invite",
        "channel_not_found" => {
            ": look at `channel`; a private channel is found only by apps that were invited into it"
        }
        "is_archived" | "channel_is_archived" => ": the channel is archived",
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive"
        | "no_permission" => {
            ": look at the token, which is the secret SLACK_TOKEN unless `token` says another"
        }
        "missing_scope" => {
            ": give the app the scope that is needed, such as chat:write, and install it again"
        }
        "no_text" => ": `text` gave nothing, or only blanks",
        "msg_too_long" | "msg_blocks_too_long" => ": send less, or a link",
        "invalid_blocks" | "invalid_blocks_format" | "invalid_payload" => {
            ": try the blocks in Slack's Block Kit Builder"
        }
        "thread_not_found" | "cannot_reply_to_message" => ": look at `thread_ts`",
        "no_service" | "no_service_id" | "no_team" | "invalid_token" | "no_active_hooks" => {
            ": the webhook is not there any more; make a new one and change the secret"
        }
        "restricted_action" | "action_prohibited" | "posting_to_general_channel_denied" => {
            ": an administrator of the workspace has restricted who may write there"
        }
        _ => "",
    }
}
