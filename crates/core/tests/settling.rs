//! What is known of a step that was in doubt, once somebody said what became of it or had it looked up.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/step.rs"]
mod step;

use oncely_core::fact::{BY_PROBE, BY_RULE, Fact, ItemsBecame, Repeat, Settlement};
use oncely_core::ids::Fence;
use oncely_core::run::Stage;
use serde_json::json;
use step::facts::{ASK, NOW, begun_and, done, held, probed, settled};
use step::{failed, intent, interrupted, known, not_done, refused, unknown};

#[test]
fn what_was_settled_as_not_done_is_done_again_until_an_attempt_has_ended() {
    let settled = [intent(1, ASK), unknown(1), not_done(1)];
    let step = known(&settled);
    assert!(step.redo && step.redo_from.is_none() && !step.in_doubt);
    match &step.stage {
        Stage::Failed { error, again, .. } => {
            assert!(again);
            assert_eq!(error, "settled as not done: I looked");
        }
        other => panic!("{other:?}"),
    }
    let and = |more: &[Fact]| known(&[&settled[..], more].concat());
    let begun = and(&[intent(2, ASK)]);
    assert_eq!((begun.redo, begun.redo_from), (true, Some(Fence(2))));
    let crashed = and(&[intent(2, ASK), interrupted(2)]);
    assert_eq!((crashed.redo, crashed.redo_from), (true, Some(Fence(2))));
    let ended = and(&[intent(2, ASK), failed(2)]);
    assert!(!ended.redo, "it has ended");
    let never = known(&[intent(1, Repeat::Safe), interrupted(1)]);
    assert!(!never.redo, "nobody said so");
    let plain = known(&[intent(1, ASK), failed(1), intent(2, ASK)]);
    assert_eq!(plain.redo_from, None);
}

#[test]
fn what_was_said_of_items_holds_until_an_attempt_has_ended() {
    let said = Fact::ItemsSettled {
        step: "a".into(),
        attempt: 1,
        items: vec![3, 5],
        became: ItemsBecame::DidNotHappen,
        by: "ann".into(),
        reason: "I looked".into(),
    };
    let settled = [intent(1, Repeat::Safe), unknown(1), said.clone()];
    let step = known(&settled);
    let items = step.items.unwrap();
    assert_eq!(items.became, ItemsBecame::DidNotHappen);
    assert!(items.items.iter().eq(&[3, 5]));
    assert_eq!((step.tries, step.in_doubt), (0, false));
    let and = |more: &[Fact]| known(&[&settled[..], more].concat());
    let safe = |attempt| intent(attempt, Repeat::Safe);
    let begun = and(&[safe(2)]);
    assert!(begun.items.is_some());
    assert_eq!(begun.redo_from, Some(Fence(2)));
    assert!(and(&[safe(2), interrupted(2)]).items.is_some());
    assert!(and(&[safe(2), failed(2)]).items.is_none());
    assert_eq!(
        refused(&[intent(1, ASK), failed(1)], &said),
        "attempt 1 of step `a` is not unknown"
    );
}

#[test]
fn what_is_in_doubt_is_looked_up_once_unless_a_person_has_it_looked_up_again() {
    let again = Fact::ProbeAsked {
        step: "a".into(),
        attempt: 1,
        by: "ann".into(),
        reason: String::new(),
    };
    let doubt = [intent(1, Repeat::Safe), unknown(1)];
    assert!(!known(&doubt).probed);
    let [a, b] = doubt.clone();
    let looked = [a, b, probed(1)];
    assert!(known(&looked).probed);
    let [a, b, c] = looked.clone();
    let anew = known(&[a, b, c, again]);
    assert_eq!((anew.probed, anew.tries), (false, 0));
    let [a, b, c] = looked;
    let next = known(&[a, b, c, intent(2, Repeat::Safe)]);
    assert!(!next.probed, "another attempt is looked up for itself");
    assert_eq!(
        refused(&doubt, &probed(2)),
        "attempt 2 of step `a` is not unknown"
    );
}

#[test]
fn what_was_settled_as_done_gives_what_was_said_of_it() {
    for by in ["ann", BY_PROBE, BY_RULE] {
        let happened = Settlement::Happened {
            output: json!({ "code": 0 }),
        };
        let settled = settled(1, happened, by, "");
        let facts = [intent(1, ASK), unknown(1), settled.clone()];
        assert_eq!(known(&facts).stage, Stage::Done);
        assert!(!known(&facts).in_doubt);
        assert_eq!(begun_and(&facts).outputs["a"]["code"], 0, "{by}");
        assert_eq!(
            refused(&facts, &settled),
            "attempt 1 of step `a` is not unknown"
        );
    }
}

#[test]
fn what_is_said_of_a_question_or_of_a_wait_settles_nothing() {
    for facts in [
        Vec::new(),
        vec![held("a", NOW)],
        vec![intent(1, ASK), done("a")],
    ] {
        assert_eq!(
            refused(&facts, &not_done(1)),
            "attempt 1 of step `a` is not unknown"
        );
    }
}
