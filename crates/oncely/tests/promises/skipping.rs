//! `oncely skip`: a run goes on without the step at which it stands.

use crate::project::Project;

/// A release task whose second step fails, and another one after it.
fn failed() -> Project {
    let project = Project::new();
    project.write(
        "tasks/1_move.toml",
        "[on.release]\n\n[[step]]\nid = \"copy\"\ncommand = \"echo copy >> out\"\n\n[[step]]\nid = \"warm\"\nretry = { attempts = 1 }\ncommand = \"exit 7\"\n\n[[step]]\nid = \"tell\"\ncommand = \"echo tell >> out\"\n",
    );
    project.release_task(2, "next", "echo next >> out");
    project
        .run(&["run", "--release", "v1"])
        .says(1, &["failed 1_move"]);
    project
}

#[test]
fn a_person_skips_the_step_at_which_a_run_stands_and_the_rest_is_done() {
    let project = failed();
    let text = project.session(&[
        &["skip", "1", "copy", "--reason", "x"],
        &["skip", "1", "tell"],
        &["skip", "1", "wram"],
        &[
            "skip",
            "1",
            "warm",
            "--reason",
            "warmed by hand",
            "--by",
            "bob",
        ],
        &["skip", "1"],
        &["logs", "1"],
        &["run", "--release", "v1"],
    ]);
    insta::assert_snapshot!(text, @r##"
    $ oncely skip 1 copy --reason x
    oncely: step `copy` of run 1 is done, and what is done is not skipped. `oncely undo 1` takes back what a run did, once it has ended. Nothing was changed.
    [exit 1]
    $ oncely skip 1 tell
    oncely: run 1 stands at step `warm` and not at `tell`. Only the step at which a run stands is skipped. Nothing was changed.
    [exit 1]
    $ oncely skip 1 wram
    oncely: run 1 has no step `wram`. Its steps: copy, warm, tell. Nothing was changed.
    [exit 1]
    $ oncely skip 1 warm --reason "warmed by hand" --by bob
    Asked to skip step `warm` of run 1.
    done 1_move  [span]
    $ oncely skip 1
    oncely: run 1 is done already. Nothing was changed.
    [exit 1]
    $ oncely logs 1
    [time]  run 1 1_move  started by ann (release v1)
    [time]  run 1 1_move  began with text a1d955add4ad
    [time]  run 1 1_move  `copy` about to act
    [time]  run 1 1_move  `copy` done
    [time]  run 1 1_move  `warm` about to act
    [time]  run 1 1_move  `warm` failed, may be tried again: exited with 7
    [time]  run 1 1_move  ended: failed (step `warm`: exited with 7)
    [time]  run 1 1_move  `warm` is to be skipped, says bob (warmed by hand)
    [time]  run 1 1_move  `warm` skipped: bob said so: warmed by hand
    [time]  run 1 1_move  `tell` about to act
    [time]  run 1 1_move  `tell` done
    [time]  run 1 1_move  ended: done
    $ oncely run --release v1
    done 2_next  [span]
    "##);
    assert_eq!(project.text("out"), "copy\ntell\nnext\n");
}

#[test]
fn what_is_in_doubt_is_skipped_once_it_was_settled() {
    let project = Project::new();
    project.write(
        "tasks/slow.toml",
        "[on.call]\n\n[[step]]\nid = \"a\"\ntimeout = \"200ms\"\ncommand = \"echo a >> out; sleep 60\"\n\n[[step]]\nid = \"b\"\ncommand = \"echo b >> out\"\n",
    );
    project
        .run(&["call", "slow", "--key", "k"])
        .says(4, &["unknown slow"]);
    let text = project.session(&[
        &["skip", "1", "--reason", "not worth it"],
        &["settle", "1", "not-done", "--reason", "looked"],
        &["logs", "1"],
    ]);
    insta::assert_snapshot!(text, @r##"
    $ oncely skip 1 --reason "not worth it"
    Asked to skip step `a` of run 1.
    Nobody knows whether it happened. Where it did not, it is passed over once you say so:
            oncely settle 1 done|not-done --reason "…"
    [exit 4]
    $ oncely settle 1 not-done --reason looked
    Settled step `a` of run 1.
    done slow  [span]
    $ oncely logs 1
    [time]  run 1 slow  started by ann (oncely call)
    [time]  run 1 slow  began with text 8134b71f02a9
    [time]  run 1 slow  `a` about to act
    [time]  run 1 slow  `a` unknown: was stopped because it took longer than [span]
    [time]  run 1 slow  `a` looked up without an answer: this kind of step has nobody to ask
    [time]  run 1 slow  `a` is to be skipped, says ann (not worth it)
    [time]  run 1 slow  `a` settled by ann: it did not happen (looked)
    [time]  run 1 slow  `a` skipped: ann said so: not worth it
    [time]  run 1 slow  `b` about to act
    [time]  run 1 slow  `b` done
    [time]  run 1 slow  ended: done
    "##);
    assert_eq!(project.text("out"), "a\nb\n");
}

#[test]
fn what_has_no_run_is_skipped_by_a_baseline() {
    let project = Project::new();
    project.release_task(1, "open", "echo open >> out");
    project.run(&["call", "nothing"]);
    insta::assert_snapshot!(project.session(&[
        &["skip", "1"],
        &["skip", "1_open"],
    ]), @r##"
    $ oncely skip 1
    oncely: there is no run 1 in this ledger. `oncely runs` lists them. A release task that has no run yet is recorded as skipped by `oncely baseline`.
    [exit 2]
    $ oncely skip 1_open
    error: invalid value '1_open' for '<RUN>': a run has a number, which `oncely runs` shows. A release task that has no run yet is recorded as skipped by `oncely baseline`

    For more information, try '--help'.
    [exit 2]
    "##);
}
