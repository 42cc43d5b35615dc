//! What an expression may read at its place, which names are meant by wrong ones, and what is
//! underlined.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/texts.rs"]
mod texts;

use oncely_core::task::{Bundle, Diagnostic, Problem, READ, load};

fn errors(path: &str, text: &str) -> Vec<Diagnostic> {
    let bundle = Bundle {
        files: [(
            "mails/a.txt".to_owned(),
            "Hello {{ event.nmae }}.\n".to_owned(),
        )]
        .into(),
        ..texts::script(path, text)
    };
    load(&bundle).err().unwrap_or_default()
}

fn called(steps: &str) -> Vec<Diagnostic> {
    errors("tasks/t.toml", &format!("on.call = {{}}\n{steps}\n"))
}

/// What is to be done about the one fault of these steps.
fn help(steps: &str) -> String {
    let mut errors = called(steps);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0).help.unwrap_or_default()
}

/// What each fault underlines.
fn marked(path: &str, text: &str) -> Vec<String> {
    let errors = errors(path, text);
    let pieces = errors
        .iter()
        .map(|error| text[error.span.clone()].to_owned());
    pieces.collect()
}

#[test]
fn what_can_be_read_is_named_and_no_more() {
    let first = "[[step]]\nid = \"a\"\ncommand = \"x\"\n";
    let every = "[[step]]\nevery = \"1d\"\ntimes = 2\n";
    let check = "check = { http = { url = \"https://x.example/\" } }\n";
    for (steps, names) in [
        (
            "[[step]]\ncommand = [\"x\", \"{{ zzzzzz }}\"]".to_owned(),
            "`event`, `run`, `now`",
        ),
        (
            format!("{first}[[step]]\nid = \"b\"\ncommand = [\"x\", \"{{{{ zzzzzz }}}}\"]"),
            "`event`, `steps`, `run`, `now`",
        ),
        (
            "[[step]]\nfor_each = \"[1]\"\ndo = [{ command = [\"x\", \"{{ zzzzzz }}\"] }]"
                .to_owned(),
            "`event`, `run`, `now`, `item`, `loop`",
        ),
        (
            format!("{first}until = \"zzzzzz\""),
            "`event`, `run`, `now`, `output`",
        ),
        (
            format!("{every}command = [\"x\", \"{{{{ zzzzzz }}}}\"]"),
            "`event`, `run`, `now`, `round`",
        ),
        (
            format!("{every}command = \"x\"\nuntil = \"zzzzzz\""),
            "`event`, `run`, `now`, `output`, `round`",
        ),
        (
            format!("{every}command = \"x\"\nuntil = \"zzzzzz\"\n{check}"),
            "`event`, `run`, `now`, `round`, `check`",
        ),
    ] {
        assert_eq!(help(&steps), format!("names: {names}"), "{steps}");
    }
    let key = errors(
        "tasks/t.toml",
        "on.call = { key = \"zzzzzz\" }\n[[step]]\ncommand = \"x\"\n",
    );
    assert_eq!(key[0].help.as_deref(), Some("names: `event`, `now`"));
}

#[test]
fn the_language_has_names_of_its_own() {
    for step in [
        "command = [\"x\", \"{{ range(3) | length }} {{ dict(a=1).a }}\"]",
        "for_each = \"range(3)\"\ndo = [{ command = [\"x\", \"{{ loop.index }} of {{ item }}\"] }]",
        "command = [\"x\", \"{% for a in event.list %}{{ loop.index }}{{ a }}{% endfor %}\"]",
    ] {
        assert_eq!(called(&format!("[[step]]\n{step}")), [], "{step}");
    }
}

#[test]
fn the_time_and_the_number_of_a_round_have_nothing_below_them() {
    for step in [
        "command = [\"x\", \"{{ now.year }}\"]",
        "every = \"1d\"\ntimes = 2\ncommand = [\"x\", \"{{ round.first }}\"]",
        "for_each = \"[1]\"\ndo = [{ command = [\"x\", \"{{ loop.index.a }}\"] }]",
    ] {
        assert_eq!(called(&format!("[[step]]\n{step}")).len(), 1, "{step}");
    }
}

#[test]
fn a_name_that_is_nearly_right_says_which_is_meant() {
    let block = |name: &str| {
        help(&format!(
            "[[step]]\nfor_each = \"[1]\"\ndo = [{{ command = [\"x\", \"{{{{ {name} }}}}\"] }}]"
        ))
    };
    assert_eq!(block("itme.a"), "did you mean `item`?");
    assert_eq!(block("lop.index"), "did you mean `loop`?");
    assert_eq!(block("loop.idnex"), "did you mean `loop.index`?");
    let key = |key: &str| help(&format!("[[step]]\ncommand = \"x\"\n{key} = \"1d\""));
    assert_eq!(key("retrie"), "did you mean `retry`?", "two of six letters");
    assert_eq!(key("tiemeout"), "did you mean `timeout`?");
    assert!(key("patience").starts_with("actions: command, "));
}

#[test]
fn a_long_list_of_names_is_cut_short() {
    let many = |count: usize| {
        let steps = (0..count).map(|n| format!("[[step]]\nid = \"s{n}\"\ncommand = \"x\"\n"));
        let steps: String = steps.collect();
        help(&format!(
            "{steps}[[step]]\ncommand = [\"x\", \"{{{{ steps.zzzzzzzz.code }}}}\"]"
        ))
    };
    let twenty: Vec<_> = (0..20).map(|n| format!("`s{n}`")).collect();
    let twenty = format!("steps before this one: {}", twenty.join(", "));
    assert_eq!(many(20), twenty);
    assert_eq!(many(22), format!("{twenty}, and 2 more"));
}

#[test]
fn a_step_that_is_not_whole_is_told_once() {
    let told: Vec<_> = called(
        "[[step]]\nid = \"a\"\nfor_each = \"[1]\"\n[[step]]\nfor_each = \"[1]\"\n[[step]]\n\
         command = [\"x\", \"{{ steps.a.done }} {{ steps.for_each.total }}\"]",
    )
    .iter()
    .map(ToString::to_string)
    .collect();
    let missing = "a `for_each` step needs `do` (say under [[step.do]] what is done for each item)";
    assert_eq!(
        told,
        [
            format!("tasks/t.toml:4:1: {missing}"),
            format!("tasks/t.toml:6:1: {missing}")
        ]
    );
}

#[test]
fn a_step_with_rounds_and_no_block_is_told_both() {
    let told: Vec<_> = called("[[step]]\nfor_each = \"[1]\"\nevery = \"1d\"\ntimes = 2")
        .into_iter()
        .map(|error| error.message)
        .collect();
    assert_eq!(
        told,
        [
            "a `for_each` step needs `do`",
            "a `for_each` step is not done in rounds"
        ]
    );
}

#[test]
fn a_check_that_may_do_more_than_look_says_why() {
    let label = |check: &str| {
        let step = "[[step]]\ncommand = \"x\"\nevery = \"1d\"\ntimes = 2\nuntil = \"check\"";
        let mut errors = called(&format!("{step}\ncheck = {check}"));
        errors.remove(0).label
    };
    assert_eq!(
        label("{ command = [\"look\"] }"),
        "nothing says that it only looks"
    );
    assert_eq!(
        label("{ put = { to = \"a/b\", text = \"\" } }"),
        "it does more than look"
    );
    assert_eq!(
        label("{ sql = { text = \"select 1\" } }"),
        "what it selects in the ledger is not given back"
    );
}

#[test]
fn what_is_missing_says_what_it_would_mean() {
    let told: Vec<_> = called("[[step]]\nfor_each = {}\ndo = [{ command = \"x\" }]")
        .iter()
        .map(ToString::to_string)
        .collect();
    let help = |key: &str| READ.iter().find(|(name, _)| *name == key).unwrap().1;
    assert_eq!(
        told,
        [
            format!(
                "tasks/t.toml:3:12: `for_each` needs `read` ({})",
                help("read")
            ),
            format!("tasks/t.toml:3:12: `for_each` needs `as` ({})", help("as")),
        ]
    );
}

#[test]
fn what_is_wrong_is_underlined_and_nothing_around_it() {
    let step = |step: &str| {
        marked(
            "tasks/t.toml",
            &format!("on.call = {{}}\n[[step]]\n{step}\n"),
        )
    };
    assert_eq!(
        step("command = [\"x\", \"a {{ evnt.a.b }} b\"]"),
        ["evnt.a.b"]
    );
    assert_eq!(
        step("command = [\"x\", \"{{ evnt.a }} {{ run.idd }}\"]"),
        ["evnt.a", "run.idd"]
    );
    assert_eq!(
        step("command = \"x\"\nwhen = \"run.idd == 3\""),
        ["run.idd"]
    );
    assert_eq!(step("command = \"x\"\nwhen = \"1 + + 2\""), ["+"]);
    assert_eq!(
        step("command = [\"x\", \"a\\t{{ evnt.a }}\"]"),
        ["\"a\\t{{ evnt.a }}\""],
        "where a text is not written as it is meant, all of it"
    );
    assert_eq!(step("comand = \"x\""), ["comand"]);
    assert_eq!(step("command = \"x\"\ntimeout = 30"), ["30"]);
    assert_eq!(
        step("http = { url = \"https://x.example/\", json = \"{{ secret.A | upper }}\" }"),
        ["secret"]
    );
}

#[test]
fn lines_of_a_header_are_underlined_to_their_ends() {
    let path = "tasks/20261122101500_x.sh";
    assert_eq!(
        marked(path, "#!/bin/sh\n# /// oncely\n# title = \"a\"\n"),
        ["# /// oncely"]
    );
    assert_eq!(
        marked(
            path,
            "#!/bin/sh\n# /// oncely\n# title = \"a\"\necho a\n# ///\necho b\n"
        ),
        ["echo a"]
    );
    assert_eq!(
        marked(path, "#!/bin/sh\n# /// oncely\n# timeout = 3\n# ///\n"),
        ["3"]
    );
}

#[test]
fn what_is_wrong_with_a_file_that_a_task_names_is_underlined_there() {
    let errors = called(
        "cancel_on = { task = \"a\", key = \"event.id\" }\n[[step]]\nemail = { to = \"a\", \
         subject = \"x\", template = \"mails/a.txt\" }\nwhen = \"event.a\"\n[[step]]\n\
         require = \"steps.email.idd\"",
    );
    let places: Vec<_> = errors
        .iter()
        .map(|error| (error.path.as_str(), error.span.clone()))
        .collect();
    assert_eq!(places.len(), 1, "{errors:?}");
    assert_eq!(places[0].0, "tasks/t.toml");
    let object = "on.object = { source = \"folder:in\" }\n[[step]]\nemail = { to = \"a\", subject = \"x\", template = \"mails/a.txt\" }\n";
    let found = self::errors("tasks/t.toml", object);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].path.as_str(), found[0].span.clone()),
        ("mails/a.txt", 9..19)
    );
}

#[test]
fn a_place_within_a_letter_or_behind_the_end_is_held_inside_the_text() {
    let source = "a é b";
    for (place, held) in [(3..3, 2..2), (2..3, 2..2), (3..4, 2..4), (6..9, 6..6)] {
        let told = Diagnostic::new("a", source, place.clone(), Problem::new("x"));
        assert_eq!(told.span, held, "{place:?}");
        assert!(told.render(source, false).contains("--> a:1:"));
    }
}
