//! What is unsure is said, and settled by three answers: it happened, it did not, look it up.

use crate::project::Project;

/// Run 1 is in doubt: its first step was stopped in the middle.
fn in_doubt(probe: &str) -> Project {
    let project = Project::new();
    project.write(
        "tasks/charge.toml",
        format!(
            "[on.call]\n\n[[step]]\nid = \"charge\"\ntimeout = \"200ms\"\ncommand = \"echo charged >> out; sleep 60\"\n{probe}\n[[step]]\nid = \"tell\"\ncommand = \"echo told >> out\"\n"
        ),
    );
    project
        .run(&["call", "charge", "--key", "k"])
        .says(4, &["unknown charge"]);
    project
}

const PROBE: &str = "probe = { command = { shell = \"cat answer\", safe = true }, happened = \"output.stdout | trim == 'yes'\" }\n";

#[test]
fn a_person_has_it_looked_up_and_what_cannot_be_told_stays_unknown() {
    let project = in_doubt(PROBE);
    let mut text = project.session(&[
        &["settle", "1", "charge", "probe"],
        &["settle", "1", "tell", "done", "--reason", "x"],
    ]);
    project.write("answer", "yes\n");
    text += &project.session(&[
        &["settle", "1", "probe", "--reason", "they answer again"],
        &["logs", "1"],
    ]);
    insta::assert_snapshot!(text, @r##"
    $ oncely settle 1 charge probe
    Asked to look step `charge` of run 1 up.
    unknown charge: step `charge`: was stopped because it took longer than [span]
           Nothing is repeated before you say what became of it: oncely settle 1 done|not-done --reason "…"
           The look-up could not tell: `probe`: exited with 1: cat: answer: No such file or directory.
    [exit 4]
    $ oncely settle 1 tell done --reason x
    oncely: it is step `charge` of run 1 that nobody knows about, and not `tell`. Nothing was changed.
    [exit 1]
    $ oncely settle 1 probe --reason "they answer again"
    Asked to look step `charge` of run 1 up.
    done charge  [span]
           The look-up says that it happened.
    $ oncely logs 1
    [time]  run 1 charge  started by ann (oncely call)
    [time]  run 1 charge  began with text 0bac8004705f
    [time]  run 1 charge  `charge` about to act
    [time]  run 1 charge  `charge` unknown: was stopped because it took longer than [span]
    [time]  run 1 charge  `charge` looked up without an answer: `probe`: exited with 1: cat: answer: No such file or directory
    [time]  run 1 charge  `charge` is to be looked up, says ann
    [time]  run 1 charge  `charge` looked up without an answer: `probe`: exited with 1: cat: answer: No such file or directory
    [time]  run 1 charge  `charge` is to be looked up, says ann (they answer again)
    [time]  run 1 charge  `charge` settled by probe: it happened (the other side was asked)
    [time]  run 1 charge  `tell` about to act
    [time]  run 1 charge  `tell` done
    [time]  run 1 charge  ended: done
    "##);
    assert_eq!(project.text("out"), "charged\ntold\n");
}

#[test]
fn without_anybody_to_ask_nothing_is_changed() {
    let project = in_doubt("");
    insta::assert_snapshot!(project.session(&[
        &["settle", "1", "probe"],
        &["settle", "1", "charge"],
        &["settle", "1", "charge", "doen", "--reason", "x"],
        &["settle", "1", "charge", "done"],
        &["settle", "1", "charge", "done", "--reason", "it is in their list"],
        &["settle", "1", "probe"],
    ]), @r##"
    $ oncely settle 1 probe
    oncely: nothing can look step `charge` of run 1 up: its task file has no `probe` for it. Nothing was changed. Look yourself, and say what became of it:
            oncely settle 1 charge done|not-done --reason "…"
    [exit 1]
    $ oncely settle 1 charge
    oncely: say what became of it: `done`, `not-done`, or `probe` to look it up. Nothing was changed.
            oncely settle 1 charge done|not-done|probe --reason "…"
    [exit 2]
    $ oncely settle 1 charge doen --reason x
    oncely: say what became of it: `done`, `not-done`, or `probe` to look it up. Nothing was changed.
            oncely settle 1 charge done|not-done|probe --reason "…"
    [exit 2]
    $ oncely settle 1 charge done
    oncely: say with --reason how you know. Nothing was changed.
            oncely settle 1 charge done --reason "…"
    [exit 2]
    $ oncely settle 1 charge done --reason "it is in their list"
    Settled step `charge` of run 1.
    done charge  [span]
    $ oncely settle 1 probe
    oncely: no attempt of run 1 is unknown: there is nothing to settle.
    [exit 1]
    "##);
    assert_eq!(project.text("out"), "charged\ntold\n");
}
