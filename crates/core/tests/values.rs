//! The small values on which everything else relies say what they are.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use oncely_core::Value;
use oncely_core::action::Failure;
use oncely_core::backoff::Retry;
use oncely_core::ids::{ContentHash, RunId};
use oncely_core::items::{Cell, Rows};
use oncely_core::ledger::RunRow;
use oncely_core::limits;
use oncely_core::rows::cursor_name;
use oncely_core::run::RunStatus;
use oncely_core::template::{Context, Expr, Scope, Template};
use oncely_core::time::Timestamp;
use oncely_core::undo;
use serde_json::json;
use std::collections::BTreeSet;

#[test]
fn a_status_says_whether_anything_will_still_happen() {
    let ended = |status: &RunStatus| status.is_ended();
    let open: Vec<_> = RunStatus::ALL.into_iter().filter(|s| !ended(s)).collect();
    assert_eq!(
        open,
        [
            RunStatus::Pending,
            RunStatus::Running,
            RunStatus::Waiting,
            RunStatus::Unknown
        ]
    );
    for status in RunStatus::ALL {
        assert_eq!(RunStatus::parse(status.name()), Some(status));
    }
    assert_eq!(RunStatus::parse("dnoe"), None);
}

#[test]
fn a_failure_keeps_its_words() {
    for failure in [
        Failure::retry("busy"),
        Failure::permanent("busy"),
        Failure::unknown("busy"),
    ] {
        assert_eq!(failure.error(), "busy", "{failure:?}");
    }
}

#[test]
fn a_hash_is_the_same_after_it_was_written_down() {
    let hash = ContentHash::of(b"what was read");
    let written = serde_json::to_string(&hash).unwrap();
    assert_eq!(serde_json::from_str::<ContentHash>(&written).unwrap(), hash);
    assert!(serde_json::from_str::<ContentHash>("\"abc\"").is_err());
}

#[test]
fn a_run_takes_back_its_parent_only_if_it_is_an_undo() {
    let run = |trigger: &str, parent: Value| {
        let row = json!({
            "id": 2, "environment": "production", "task": "t", "key": "k", "generation": 0,
            "trigger": trigger, "event": "{}", "status": "pending", "seq": 0, "admitted": 1,
            "changed": 1, "due": null, "holder": null, "fence": 0, "claims": 0, "lane": null,
            "depth": 0, "parent": parent,
        });
        serde_json::from_value::<RunRow>(row).unwrap().undoes()
    };
    assert_eq!(run(undo::TRIGGER, json!(1)), Some(RunId(1)));
    assert_eq!(run("call", json!(1)), None, "it was called for");
    assert_eq!(run("call", Value::Null), None);
}

fn context<'a>(event: &'a Value, steps: &'a serde_json::Map<String, Value>) -> Context<'a> {
    Context::new(Scope {
        event,
        steps,
        run: &Value::Null,
        at: Timestamp(5),
    })
}

#[test]
fn what_is_not_there_is_named_as_it_was_written() {
    let (event, steps) = (json!({ "a": {} }), Default::default());
    let error = Expr::parse("event.a.b")
        .unwrap()
        .value(&context(&event, &steps))
        .unwrap_err();
    assert_eq!(error.source, "event.a.b");
    assert_eq!(error.message, "there is no `event.a.b` here");
    assert_eq!(
        error.to_string(),
        "cannot evaluate `event.a.b`: there is no `event.a.b` here"
    );
    assert_eq!(
        Template::parse("a {{ event.a }}").unwrap().source(),
        "a {{ event.a }}"
    );
}

#[test]
fn inside_a_do_block_the_steps_are_those_of_the_block() {
    let event = json!({ "a": 1 });
    let outer = json!({ "before": { "code": 0 } });
    let inner = json!({ "first": { "code": 7 } });
    let (Value::Object(outer), Value::Object(inner)) = (outer, inner) else {
        panic!("tables");
    };
    let item = json!({ "b": 2 });
    let whole = context(&event, &outer);
    let inside = whole.with_item(&item, 3, &inner);
    let read = |context: &Context<'_>, text: &str| Expr::parse(text).unwrap().value(context).ok();
    assert_eq!(read(&inside, "steps.first.code"), Some(json!(7)));
    assert_eq!(read(&inside, "steps.before.code"), None);
    assert_eq!(read(&inside, "item.b"), Some(json!(2)));
    assert_eq!(read(&inside, "loop.index"), Some(json!(3)));
    assert_eq!(read(&inside, "loop.index0"), Some(json!(2)));
    assert_eq!(read(&inside, "event.a"), Some(json!(1)));
    assert_eq!(read(&whole, "steps.before.code"), Some(json!(0)));
    assert_eq!(read(&whole, "item.b"), None);
}

/// Bounds that are made of several numbers. They stand in the documentation, or people have met them.
#[test]
fn the_bounds_are_what_they_were() {
    use oncely_core::limits::*;
    #[allow(clippy::cast_possible_wrap)]
    let bytes = |bytes: usize| bytes as i64;
    for (bound, was) in [
        (bytes(EVENT_BYTES), 1_048_576),
        (bytes(TASK_FILE_BYTES), 1_048_576),
        (bytes(TASK_FILES_BYTES), 4_194_304),
        (bytes(OUTPUT_BYTES), 65_536),
        (bytes(ERROR_BYTES), 8_192),
        (bytes(RENDERED_BYTES), 1_048_576),
        (ATTACHMENT_BYTES.cast_signed(), 10_485_760),
        (bytes(RECORD_BYTES), 1_048_576),
        (bytes(RANGE_BYTES), 4_194_304),
        (bytes(SET_ASIDE_BYTES), 4_096),
        (RAKE_MS, 86_400_000),
        (RETRY_WAIT_MS, 604_800_000),
        (REMIND_EVERY_MS, 60_000),
        (LINK_MS, 1_209_600_000),
        (bytes(QUESTION_BYTES), 16_384),
        (bytes(NOTE_BYTES), 4_096),
        (HOLD_MS, 31_622_400_000),
        (ROUND_EVERY_MOST_MS, 31_622_400_000),
        (LOOKED_MS, 300_000),
        (RESERVE_BYTES.cast_signed(), 8_388_608),
        (bytes(GATEWAY_HEAD_BYTES), 32_768),
        (bytes(GATEWAY_PASSED_OVER_BYTES), 8_388_608),
        (HOOK_COMPLAIN_EVERY_MS, 60_000),
        (HOOK_TOLERANCE_MS, 300_000),
        (HOOK_TOLERANCE_MOST_MS, 86_400_000),
    ] {
        assert_eq!(bound, was);
    }
}

#[test]
fn a_wait_is_between_half_and_all_of_what_it_doubles_to() {
    let retry = Retry {
        attempts: 9,
        first_ms: 2,
        max_ms: 4,
    };
    let waits = |attempt| {
        let seeds = (0..64).map(|seed: u32| retry.wait_ms(attempt, &seed.to_string(), None));
        seeds
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    };
    assert_eq!(waits(1), [1, 2]);
    assert_eq!(waits(2), [2, 3, 4]);
    assert_eq!(waits(7), [2, 3, 4]);
    assert_eq!(Retry::NEVER.wait_ms(1, "a", None), 0);
}

#[test]
fn a_text_is_as_long_as_it_may_be() {
    let (steps, template) = (Default::default(), Template::parse("{{ event }}").unwrap());
    let long = |bytes: usize| {
        let event = json!("x".repeat(bytes));
        template
            .text(&context(&event, &steps))
            .map(|text| text.len())
    };
    assert_eq!(
        long(limits::RENDERED_BYTES).unwrap(),
        limits::RENDERED_BYTES
    );
    assert!(long(limits::RENDERED_BYTES + 1).is_err());
}

#[test]
fn where_a_step_stands_in_its_rows_is_kept_under_the_name_that_it_always_had() {
    assert_eq!(cursor_name(RunId(7), &"send".into()), "rows/7/send");
}

#[test]
fn a_row_of_three_cells_is_taken_out_and_the_others_stay_in_order() {
    let rows = |taken: &[usize]| {
        let mut rows = Rows::new(3);
        for cell in 0..9 {
            rows.push(Cell::Int(cell));
        }
        taken.iter().for_each(|row| rows.remove(*row));
        let first = rows.iter().map(|mut row| match row.next() {
            Some(Cell::Int(cell)) => cell,
            other => panic!("{other:?}"),
        });
        first.collect::<Vec<_>>()
    };
    assert_eq!(rows(&[0]), [3, 6]);
    assert_eq!(rows(&[1]), [0, 6]);
    assert_eq!(rows(&[2]), [0, 3]);
    assert!(rows(&[2, 1, 0]).is_empty());
    assert_eq!(rows(&[3]), [0, 3, 6], "there is none");
}
