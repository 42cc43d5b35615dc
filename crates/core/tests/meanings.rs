//! What is read out of a task file, and what is still read at the bounds.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/texts.rs"]
mod texts;

use oncely_core::event::{EventError, checked_json};
use oncely_core::fact::OnUnknown;
use oncely_core::ids::{EventKey, RunId};
use oncely_core::limits;
use oncely_core::pause::{Pause, name as pause_name};
use oncely_core::question::Remind;
use oncely_core::round::Round;
use oncely_core::run::RunStatus;
use oncely_core::task::{
    Digest, Encoding, Format, Items, Pace, Rate, Style, Task, Trigger, Work, load,
};
use oncely_core::template::{Context, Scope};
use oncely_core::time::Timestamp;
use serde_json::{Value, json};
use texts::task_file;

fn read(text: &str) -> Result<Task, String> {
    texts::read(&task_file(text))
}

fn step(step: &str) -> Result<Task, String> {
    read(&format!("on.call = {{}}\n[[step]]\nid = \"a\"\n{step}\n"))
}

#[test]
fn a_step_is_held_as_long_as_it_says_and_at_most_a_year() {
    let hold = |time: &str| {
        step(&format!("command = \"x\"\nhold = \"{time}\""))
            .map(|task| task.steps[0].policy.hold_ms)
    };
    assert_eq!(hold("10s"), Ok(Some(10_000)));
    assert_eq!(hold("366d"), Ok(Some(limits::HOLD_MS)));
    assert_eq!(
        hold("367d").unwrap_err(),
        "tasks/t.toml:5:8: `hold` is at most 366 days"
    );
    assert_eq!(
        step("command = \"x\"").unwrap().steps[0].policy.hold_ms,
        None
    );
}

#[test]
fn those_who_may_answer_are_a_list_however_they_are_written() {
    let by = |by: &str| {
        let text =
            format!("approve = {{ text = \"ok?\", by = {by}, tell = [\"email\", \"slack\"] }}");
        step(&text).map(|task| {
            let Work::Action(spec) = &task.steps[0].work else {
                panic!("an action");
            };
            let scope = Scope {
                event: &Value::Null,
                steps: &Default::default(),
                run: &Value::Null,
                at: Timestamp(0),
            };
            spec.options.render(&Context::new(scope)).unwrap()
        })
    };
    let one = by("\"lead\"").unwrap();
    assert_eq!(one["by"], json!(["lead"]));
    assert_eq!(one["tell"], json!(["email", "slack"]));
    assert_eq!(
        by("[\"lead\", \"ann\"]").unwrap()["by"],
        json!(["lead", "ann"])
    );
    assert_eq!(
        by("[\"lead\", \"ann\", \"lead\"]").unwrap_err(),
        "tasks/t.toml:4:48: `by` names `lead` twice"
    );
}

#[test]
fn as_many_tasks_cancel_as_there_may_be() {
    let with = |number: usize| {
        let one = "{ task = \"paid\", key = \"event.body.invoice\" }";
        let all = vec![one; number].join(", ");
        read(&format!(
            "on.call = {{}}\ncancel_on = [{all}]\n[[step]]\ncommand = \"x\"\n"
        ))
        .map(|task| task.cancel_on.len())
    };
    assert_eq!(with(1), Ok(1));
    assert_eq!(with(limits::CANCEL_ON), Ok(limits::CANCEL_ON));
    assert_eq!(
        with(limits::CANCEL_ON + 1).unwrap_err(),
        "tasks/t.toml:2:13: `cancel_on` names 1 to 8 tasks"
    );
}

#[test]
fn each_style_of_a_webhook_is_its_own() {
    let style = |verify: &str| {
        let text = format!(
            "on.webhook = {{ path = \"/hooks/a\", key = \"event.body.id\", verify = {{ secret = \"{{{{ secret.A }}}}\", {verify} }} }}\n[[step]]\ncommand = \"x\"\n"
        );
        match read(&text).unwrap().on {
            Trigger::Webhook(hook) => hook.verify.unwrap().style,
            _ => panic!("on.webhook"),
        }
    };
    let minutes = |n: i64| n * 60_000;
    assert_eq!(style("style = \"github\""), Style::Github);
    assert_eq!(style("style = \"shopify\""), Style::Shopify);
    let tolerance_ms = minutes(5);
    assert_eq!(style("style = \"stripe\""), Style::Stripe { tolerance_ms });
    assert_eq!(style("style = \"slack\""), Style::Slack { tolerance_ms });
    assert_eq!(
        style("style = \"slack\", tolerance = \"2m\""),
        Style::Slack {
            tolerance_ms: minutes(2)
        }
    );
    let header = "x-token".to_owned();
    assert_eq!(style("style = \"token\""), Style::Token { header });
    assert!(
        matches!(style("style = \"hmac\""), Style::Hmac(plain) if plain.header == "x-signature")
    );
    let plain = |more: &str| match style(&format!("style = \"hmac\", {more}")) {
        Style::Hmac(plain) => (plain.digest, plain.encoding),
        other => panic!("{other:?}"),
    };
    assert_eq!(plain("prefix = \"v1=\""), (Digest::Sha256, Encoding::Hex));
    assert_eq!(
        plain("digest = \"sha512\", encoding = \"base64\""),
        (Digest::Sha512, Encoding::Base64)
    );
}

#[test]
fn a_file_is_read_as_it_is_said_to_be() {
    let format = |word: &str| {
        let text = format!(
            "for_each = {{ read = \"in/x\", as = \"{word}\" }}\ndo = [{{ id = \"b\", command = \"x\" }}]"
        );
        match &step(&text).unwrap().steps[0].work {
            Work::Each(each) => match &each.items {
                Items::Read { format, .. } => *format,
                _ => panic!("{word}"),
            },
            Work::Action(_) => panic!("{word}"),
        }
    };
    assert_eq!(format("csv"), Format::Csv);
    assert_eq!(format("jsonl"), Format::Jsonl);
    assert_eq!(format("lines"), Format::Lines);
}

#[test]
fn a_task_has_as_many_steps_as_there_may_be() {
    let steps = |count: usize| {
        let step = |n| format!("[[step]]\nid = \"s{n}\"\ncommand = \"x\"\n");
        let steps: String = (0..count).map(step).collect();
        read(&format!("on.call = {{}}\n{steps}"))
    };
    assert_eq!(steps(limits::STEPS).unwrap().steps.len(), limits::STEPS);
    for more in 1..=2 {
        let told = steps(limits::STEPS + more).unwrap_err();
        assert!(told.contains("there are at most 100 steps"), "{told}");
    }
}

#[test]
fn what_is_said_of_how_fast_a_stream_goes_is_known() {
    let none = Pace::default();
    assert!(!none.is_given());
    let (rate, batch) = (
        Rate {
            items: 1,
            per_ms: 1,
        },
        7,
    );
    assert!(
        Pace {
            rate: Some(rate),
            ..Pace::default()
        }
        .is_given()
    );
    assert!(
        Pace {
            batch: Some(batch),
            ..Pace::default()
        }
        .is_given()
    );
}

#[test]
fn an_item_and_its_place_are_read_inside_a_do_block_only() {
    let read_in_a_step = |name: &str| step(&format!("command = [\"x\", \"{{{{ {name} }}}}\"]"));
    for name in ["item", "item.a", "loop.index"] {
        let root = name.split('.').next().unwrap();
        let word = format!("`{root}` can be read inside a `do` block only");
        assert!(read_in_a_step(name).unwrap_err().contains(&word), "{name}");
        let inside =
            format!("for_each = \"[1]\"\ndo = [{{ command = [\"x\", \"{{{{ {name} }}}}\"] }}]");
        step(&inside).unwrap();
    }
}

#[test]
fn the_reminders_of_a_question_come_one_after_the_other_and_end() {
    let remind = Remind {
        every_ms: 60_000,
        times: 2,
    };
    let due = |gone: i64| remind.due(Timestamp(1_000), Timestamp(1_000 + gone));
    let at = |gone: i64| Some(Timestamp(1_000 + gone));
    assert_eq!(due(0), (0, at(60_000)));
    assert_eq!(due(59_999), (0, at(60_000)));
    assert_eq!(due(60_000), (1, at(120_000)));
    assert_eq!(due(119_999), (1, at(120_000)));
    assert_eq!(due(120_000), (2, None), "the last one has none behind it");
    assert_eq!(due(9_000_000), (2, None));
    assert_eq!(due(-5), (0, at(60_000)), "a clock that was turned back");
}

#[test]
fn events_are_taken_up_to_the_bounds_and_refused_beyond() {
    let key = |bytes: usize| EventKey::new("k".repeat(bytes));
    let data = |bytes: usize| Value::from("d".repeat(bytes - 2));
    let most = limits::EVENT_BYTES;
    assert_eq!(
        checked_json(&key(limits::KEY_BYTES), &data(most)).map(|text| text.len()),
        Ok(most)
    );
    assert_eq!(checked_json(&key(0), &json!({})), Err(EventError::NoKey));
    let long = limits::KEY_BYTES + 1;
    assert_eq!(
        checked_json(&key(long), &json!({})),
        Err(EventError::KeyTooLong(long))
    );
    assert_eq!(
        checked_json(&key(1), &data(most + 1)),
        Err(EventError::TooLarge(most + 1))
    );
}

#[test]
fn what_a_stream_waits_for_is_kept_as_a_text_and_read_again() {
    let pause = Pause {
        since: Timestamp(5),
        every_ms: 1_000,
        why: "the database is behind".into(),
    };
    let text = Pause::text(Some(&pause));
    assert_eq!(Pause::read(&text), Some(pause));
    assert_eq!(Pause::text(None), "");
    assert_eq!(Pause::read(""), None, "it is over");
    assert_eq!(pause_name(RunId(7), &"a".into()), "while/7/a");
}

#[test]
fn a_fault_inside_a_template_is_underlined_as_far_as_it_goes() {
    let text = "on.call = {}\n[[step]]\ncommand = [\"x\", \"a {{ evnt.key }} b\"]\n";
    let errors = load(&task_file(text)).unwrap_err();
    insta::assert_snapshot!(errors[0].render(text, false), @r#"
error: there is no `evnt` to read here
 --> tasks/t.toml:3:23
  |
3 | command = ["x", "a {{ evnt.key }} b"]
  |                       ^^^^^^^^ unknown name
  |
  = help: did you mean `event`?
"#);
}

#[test]
fn the_functions_that_expressions_may_call_are_no_unknown_names() {
    for when in ["range(2) | length == 2", "dict(a=1).a == 1"] {
        step(&format!("command = \"x\"\nwhen = \"{when}\"")).unwrap();
    }
    assert!(step("command = \"x\"\nwhen = \"rang(2)\"").is_err());
}

#[test]
fn a_round_is_a_step_of_its_own_without_what_is_said_of_all_rounds() {
    let task = step(
        "command = [\"x\"]\nevery = \"1d\"\ntimes = 3\nwhen = \"event.a\"\nuntil = \"check.json.ok\"\n\
         check = { command = { args = [\"look\"], safe = true } }\nhold = \"1h\"\non_unknown = \"skip\"\n\
         undo = { command = [\"y\"] }\nretry = { attempts = 7 }\n\
         probe = { command = { args = [\"z\"], safe = true }, happened = \"output.code == 0\" }",
    )
    .unwrap();
    let whole = &task.steps[0];
    let round = whole.round(&Round::of(&whole.id, 2)).unwrap();
    let look = whole.round(&Round::look(&whole.id, 2, 1)).unwrap();
    for (one, id) in [(&round, "a#2"), (&look, "a#2.check1")] {
        assert_eq!(one.id.as_str(), id);
        let policy = &one.policy;
        assert!(policy.when.is_none() && policy.until.is_none() && policy.rounds.is_none());
        assert!(policy.hold_ms.is_none() && policy.undo.is_none());
        assert_eq!(policy.retry.attempts, 7);
    }
    assert!(round.policy.probe.is_some() && look.policy.probe.is_none());
    assert_eq!(round.policy.on_unknown, OnUnknown::Skip);
    assert_eq!(
        look.policy.on_unknown,
        OnUnknown::Repeat,
        "to look twice does no harm"
    );
    let once = step("command = \"x\"").unwrap();
    assert!(once.steps[0].round(&Round::of(&"a".into(), 1)).is_none());
}

#[test]
fn a_status_is_told_in_a_column() {
    let told = |status: RunStatus| format!("{status:<9}|");
    assert_eq!(told(RunStatus::Done), "done     |");
    assert_eq!(told(RunStatus::Cancelled), "cancelled|");
}

#[test]
fn what_stands_in_place_of_something_else_is_named() {
    for (written, found) in [
        ("3", "this is an integer"),
        ("0.5", "this is a number"),
        ("\"3\"", "this is a text"),
        ("true", "this is true or false"),
        ("2026-01-01", "this is a date or time"),
        ("[]", "this is a list"),
    ] {
        let text = format!("on.call = {{}}\n[[step]]\ncommand = \"x\"\nretry = {written}\n");
        let told = load(&task_file(&text)).unwrap_err()[0].render(&text, false);
        assert!(told.contains(found), "{told}");
    }
}

#[test]
fn values_are_as_deep_as_they_may_be() {
    let nested: fn(usize) -> Result<Task, String> = |depth| {
        let list = "[".repeat(depth) + "1" + &"]".repeat(depth);
        step(&format!(
            "http = {{ url = \"https://x.example/\", json = {list} }}"
        ))
    };
    let table: fn(usize) -> Result<Task, String> = |depth| {
        let table = "{ a = ".repeat(depth) + "1" + &" }".repeat(depth);
        step(&format!(
            "http = {{ url = \"https://x.example/\", json = {table} }}"
        ))
    };
    for nested in [nested, table] {
        assert!(nested(limits::NODE_DEPTH - 2).is_ok());
        assert!(nested(limits::NODE_DEPTH + 2).is_err());
    }
}
