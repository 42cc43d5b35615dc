//! What `decide` and the fold of facts promise, under worlds that crash, fail and change their mind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod world;

use oncely_core::decide::{Next, Now, Subject, decide};
use oncely_core::fact::{End, Fact, Recorded, Repeat, Request};
use oncely_core::ids::Fence;
use oncely_core::run::RunState;
use oncely_core::time::Timestamp;
use proptest::prelude::*;
use world::{World, facts, steps, task};

fn choices() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// The world asserts at each turn: no act without a committed intent of the same fence, no
    /// repeat of an unknown attempt unless it is declared harmless or settled, the same answer to
    /// the same question, every recorded fact legal.
    #[test]
    fn every_run_ends_in_a_fair_world_and_does_nothing_twice(
        steps in steps(), choices in choices(), flag in any::<bool>(),
    ) {
        let task = task(&steps);
        let mut world = World::new(&task, choices, flag);
        world.run();
        prop_assert!(world.state.ended.is_some());
        for step in &task.steps {
            let times = world.times_done(&step.id);
            prop_assert!(times <= 1 || world.may_repeat(step), "{} {times} times", step.id);
        }
        for step in task.steps.iter().filter(|step| step.policy.rounds.is_some()) {
            for (round, times) in world.rounds_done(&step.id) {
                prop_assert!(times <= 1 || world.may_repeat(step), "{round:?} {times} times");
            }
            let said = world.state.outputs.get(step.id.as_str()).map(|o| o["rounds"].as_u64());
            let done = world.state.rounds.get(&step.id).map(|done| Some(u64::from(done.count)));
            prop_assert_eq!(said.flatten().unwrap_or(0), done.flatten().unwrap_or(0));
        }
        for (message, times) in world.messages() {
            prop_assert!(times <= 1, "{message} {times} times");
        }
    }

    #[test]
    fn every_prefix_of_a_history_folds_to_the_state_of_its_time(
        steps in steps(), choices in choices(), flag in any::<bool>(),
    ) {
        let task = task(&steps);
        let mut world = World::new(&task, choices, flag);
        world.run();
        let mut state = RunState::default();
        for (n, recorded) in world.facts.iter().enumerate() {
            state.apply(recorded.at, &recorded.fact).unwrap();
            prop_assert_eq!(&RunState::fold(&world.facts[..=n]).unwrap(), &state);
            prop_assert_eq!(state.seq, n as u64 + 1);
        }
        prop_assert_eq!(&state, &world.state);
    }

    #[test]
    fn a_damaged_history_is_refused_or_read_and_never_a_panic(
        steps in steps(), choices in choices(), flag in any::<bool>(),
        place in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(), how in 0..3,
    ) {
        let task = task(&steps);
        let mut world = World::new(&task, choices, flag);
        world.run();
        let mut facts = world.facts.clone();
        let (place, other) = (place.index(facts.len()), other.index(facts.len()));
        match how {
            0 => drop(facts.remove(place)),
            1 => facts.insert(other, facts[place].clone()),
            _ => facts.swap(place, other),
        }
        if let Ok(state) = RunState::fold(&facts) {
            let subject = Subject { event: &world.event, run: &world.run_value, people: &world.people };
            let now = Now { at: world.now, fence: Fence(99) };
            prop_assert_eq!(
                decide(&task, subject, &state, now),
                decide(&task, subject, &state, now)
            );
        }
    }

    #[test]
    fn nothing_follows_the_end_but_the_resume_of_a_failed_run(
        steps in steps(), choices in choices(), flag in any::<bool>(),
    ) {
        let task = task(&steps);
        let mut world = World::new(&task, choices, flag);
        world.run();
        prop_assert_eq!(world.decide(), Next::Over);
        let failed = matches!(world.state.ended, Some((End::Failed, _)));
        for Recorded { fact, .. } in world.facts.clone() {
            let resume = matches!(&fact, Fact::Requested { what: Request::Resume, .. });
            let before = world.state.clone();
            let mut after = before.clone();
            let legal = after.apply(world.now, &fact).is_ok();
            prop_assert_eq!(legal, resume && failed);
            if !legal {
                prop_assert_eq!(after, before, "an illegal fact leaves no trace");
            }
        }
    }
}

#[test]
fn a_rule_that_repeats_is_bounded_and_waits() {
    let task = task(&[world::step(
        "command = [\"x\"]\non_unknown = \"repeat\"\nretry = { attempts = 3, first = \"2s\" }",
    )]);
    let mut world = World::always_unknown(&task);
    let begun = world.now;
    world.run();
    assert!(matches!(world.state.ended, Some((End::Failed, _))));
    assert_eq!(world.acts, 3);
    assert!(
        world.now.millis_since(begun) >= 1000,
        "it waits between its tries"
    );
}

#[test]
fn what_was_repeated_as_often_as_it_may_be_stays_in_doubt() {
    let task = task(&[world::step(
        "command = { args = [\"x\"], key_honoured = \"1h\" }\nretry = { attempts = 2, first = \"2s\" }",
    )]);
    let mut world = World::always_unknown(&task);
    world.run_until_parked();
    assert_eq!(world.acts, 2);
    assert!(
        world.state.ended.is_none(),
        "a person says what became of it"
    );
}

#[test]
fn a_later_failure_does_not_clear_the_doubt_about_an_earlier_attempt() {
    let task = task(&[world::step(
        "command = { args = [\"x\"], key_honoured = \"1m\" }\nretry = { attempts = 9, first = \"50s\", max = \"50s\" }",
    )]);
    let mut world = World::first_unknown_then_failing(&task);
    world.run_until_parked();
    let step = &world.state.steps[&task.steps[0].id];
    assert!(step.attempts > 1, "it was repeated inside the window");
    let first = step.first_intent.unwrap();
    assert!(
        world.last_act.millis_since(first) < 60_000,
        "and not outside of it"
    );
    assert!(world.state.ended.is_none());
}

#[test]
fn a_resumed_run_asks_again_and_tries_again() {
    let expiring = task(&[world::step(
        "approve = { text = \"ok?\", expires = \"1m\" }",
    )]);
    let mut world = World::silent(&expiring);
    world.run_to_the_end();
    assert!(matches!(world.state.ended, Some((End::Failed, _))));
    world.resume();
    assert!(matches!(world.decide(), Next::Record(Fact::Asked { .. })));

    let safe = task(&[world::step(
        "command = { args = [\"x\"], safe = true }\nretry = { attempts = 1 }",
    )]);
    let mut world = World::always_unknown(&safe);
    world.run_to_the_end();
    assert!(matches!(world.state.ended, Some((End::Failed, _))));
    world.resume();
    assert!(matches!(world.decide(), Next::Start { attempt: 2, .. }));
}

#[test]
fn a_resume_after_the_end_also_ends_a_pause() {
    let task = task(&[world::step(
        "approve = { text = \"ok?\", expires = \"1m\" }",
    )]);
    let mut world = World::silent(&task);
    world.turn();
    world.turn();
    world.request(Request::Pause);
    world.run_to_the_end();
    assert!(world.state.paused);
    world.resume();
    assert!(!world.state.paused);
}

#[test]
fn an_answer_after_the_expiry_counts_as_none() {
    let task = task(&[world::step(
        "approve = { text = \"ok?\", expires = \"1m\" }",
    )]);
    let mut world = World::silent(&task);
    world.turn();
    world.turn();
    let answer = world.answer(&task.steps[0].id, true);
    let mut late = world.state.clone();
    assert!(late.apply(world.now.plus_millis(60_000), &answer).is_err());
    assert!(late.apply(world.now.plus_millis(59_999), &answer).is_ok());
}

#[test]
fn a_condition_is_not_judged_in_a_hot_loop() {
    let task = task(&[world::step(
        "require = { that = \"event.flag\", else = \"retry\", every = \"1ms\", for = \"10s\" }",
    )]);
    let mut world = World::new(&task, Vec::new(), false);
    world.run();
    assert!(world.facts.len() < 20, "{} facts", world.facts.len());
}

#[test]
fn a_later_declaration_does_not_make_an_earlier_attempt_harmless() {
    let task = task(&[world::step("command = [\"x\"]")]);
    let mut world = World::always_unknown(&task);
    world.run_until_parked();
    let intent = |repeat| facts::begins("s0", 2, world.fence, repeat);
    for repeat in [
        Repeat::Safe,
        Repeat::WithKey {
            window_ms: 1_000_000,
        },
    ] {
        assert!(
            world
                .state
                .clone()
                .apply(world.now, &intent(repeat))
                .is_err()
        );
    }
}

#[test]
fn time_is_only_what_is_handed_in() {
    let task = task(&[world::step("command = [\"x\"]")]);
    let world = World::new(&task, Vec::new(), true);
    let subject = Subject {
        event: &world.event,
        run: &world.run_value,
        people: &world.people,
    };
    let now = Now {
        at: Timestamp(5),
        fence: Fence(1),
    };
    let state = RunState::default();
    assert_eq!(decide(&task, subject, &state, now), Next::Begin);
}

#[test]
fn moments_that_nobody_saw_bring_one_round() {
    let task = task(&[world::step(
        "command = [\"x\"]\nevery = \"14d\"\ntimes = 12",
    )]);
    let mut world = World::new(&task, Vec::new(), true);
    let rounds = |world: &World| world.rounds_done(&task.steps[0].id).count();
    let until_it_waits = |world: &mut World| {
        while !matches!(world.decide(), Next::Wait { .. }) {
            world.turn();
        }
    };
    until_it_waits(&mut world);
    assert_eq!(rounds(&world), 1);
    let day = 24 * 3600 * 1000;
    world.now = world.now.plus_millis(60 * day);
    let late = world.now;
    until_it_waits(&mut world);
    assert_eq!(rounds(&world), 2, "sixty days bring one");
    let Next::Wait { until, why } = world.decide() else {
        panic!("it waits");
    };
    assert_eq!(until, Some(late.plus_millis(14 * day)));
    assert_eq!(why, "step `s0` waits for round 3");
}

#[test]
fn what_was_looked_at_long_ago_is_looked_at_again() {
    let task = task(&[world::step(
        "command = [\"x\"]\nevery = \"14d\"\ntimes = 12\nuntil = \"check.json.ok\"\n\
         check = { command = { args = [\"look\"], safe = true } }",
    )]);
    // The look says: not yet. Then the process is away for an hour.
    let mut world = World::new(&task, Vec::new(), true);
    world.says_not_yet();
    while world
        .state
        .rounds
        .values()
        .all(|done| done.looked.is_none())
    {
        world.turn();
    }
    assert!(matches!(world.decide(), Next::Start { step, .. } if step.as_str() == "s0#1"));
    world.now = world.now.plus_millis(3_600_000);
    assert!(matches!(world.decide(), Next::Start { step, .. } if step.as_str() == "s0#1.check2"));
}

#[test]
fn a_round_is_begun_after_the_one_before_it_and_once() {
    let task = task(&[world::step(
        "command = [\"x\"]\nevery = \"14d\"\ntimes = 12",
    )]);
    let mut world = World::new(&task, Vec::new(), true);
    while !matches!(world.decide(), Next::Wait { .. }) {
        world.turn();
    }
    let intent = |step: &str| facts::begins(step, 1, world.fence, facts::ASK);
    let legal = |fact: &Fact| world.state.clone().apply(world.now, fact).is_ok();
    assert!(legal(&intent("s0#2")) && legal(&intent("s0#2.check1")));
    for step in ["s0#1", "s0#3", "s0#1.check1", "s0#2.check2"] {
        assert!(!legal(&intent(step)), "{step}");
    }
    let over = |rounds| Fact::RoundsOver {
        step: "s0".into(),
        rounds,
        held: false,
    };
    assert!(legal(&over(1)) && !legal(&over(0)) && !legal(&over(2)));
}
