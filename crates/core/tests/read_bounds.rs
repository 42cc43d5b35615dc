//! What a task file may say is bounded: a bound itself is still read, and one more is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "world/texts.rs"]
mod texts;

use oncely_core::limits;
use oncely_core::task::{Task, Work, read_text};

fn read(path: &str, text: String) -> Result<Task, String> {
    texts::read(&texts::script(path, &text))
}

/// A called task with these lines before its step.
fn top(lines: &str) -> Result<Task, String> {
    read(
        "tasks/t.toml",
        format!("{lines}\n[[step]]\ncommand = \"x\"\n"),
    )
}

/// A called task with one step.
fn step(lines: &str) -> Result<Task, String> {
    read(
        "tasks/t.toml",
        format!("on.call = {{}}\n[[step]]\n{lines}\n"),
    )
}

/// The first is read, and the second refused in these words.
fn bound(good: Result<Task, String>, bad: Result<Task, String>, words: &str) {
    good.unwrap_or_else(|told| panic!("the bound itself is refused: {told}"));
    let told = bad.expect_err("more than the bound is read");
    assert!(told.contains(words), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn numbers_beside_a_step_reach_to_their_bounds() {
    let command = |more: &str| step(&format!("command = \"x\"\n{more}"));
    for (good, bad, words) in [
        (
            "retry = { attempts = 1000 }",
            "retry = { attempts = 1001 }",
            "from 1 to 1000",
        ),
        (
            "retry = { attempts = 1 }",
            "retry = { attempts = 0 }",
            "from 1 to 1000",
        ),
        (
            "hold = \"366d\"",
            "hold = \"367d\"",
            "`hold` is at most 366 days",
        ),
        (
            "every = \"1s\"\ntimes = 1000",
            "every = \"1s\"\ntimes = 1001",
            "from 1 to 1000",
        ),
        (
            "every = \"1000ms\"\ntimes = 2",
            "every = \"999ms\"\ntimes = 2",
            "from a second to 366 days",
        ),
        (
            "every = \"366d\"\ntimes = 2",
            "every = \"367d\"\ntimes = 2",
            "from a second to 366 days",
        ),
        (
            "every = \"30d\"\nfor = \"3660d\"",
            "every = \"30d\"\nfor = \"3661d\"",
            "from a second to 3660 days",
        ),
        (
            "every = \"1s\"\nfor = \"999s\"",
            "every = \"1s\"\nfor = \"1000s\"",
            "at most 1000 rounds",
        ),
        (
            "every = \"1s\"\nfor = \"1d\"\ntimes = 1000",
            "every = \"1s\"\nfor = \"1d\"",
            "at most 1000 rounds",
        ),
        (
            "timeout = \"1ms\"",
            "timeout = \"0ms\"",
            "longer than nothing",
        ),
    ] {
        bound(command(good), command(bad), words);
    }
}

#[test]
fn options_of_actions_reach_to_their_bounds() {
    let http = |more: &str| {
        step(&format!(
            "http = {{ url = \"https://x.example/\", {more} }}"
        ))
    };
    for (good, bad, words) in [
        ("redirects = 10", "redirects = 11", "from 0 to 10"),
        ("redirects = 0", "redirects = -1", "from 0 to 10"),
        (
            "expect = [100, 599]",
            "expect = [100, 600]",
            "from 100 to 599",
        ),
        (
            "expect = [100, 599]",
            "expect = [99, 599]",
            "from 100 to 599",
        ),
    ] {
        bound(http(good), http(bad), words);
    }
    let each = |more: &str| {
        step(&format!(
            "for_each = \"[1]\"\ndo = [{{ command = [\"x\"] }}]\n{more}"
        ))
    };
    for (good, bad, words) in [
        ("batch = 1000", "batch = 1001", "from 1 to 1000"),
        ("batch = 1", "batch = 0", "from 1 to 1000"),
        (
            "rate = \"1000000000/s\"",
            "rate = \"1000000001/s\"",
            "a number of items in a time",
        ),
    ] {
        bound(each(good), each(bad), words);
    }
}

#[test]
fn a_look_is_not_asked_more_often_than_every_second() {
    let every = |more: &str| {
        let look = format!("while = {{ http = {{ url = \"https://x.example/\" }}{more} }}");
        let task = step(&format!(
            "for_each = \"[1]\"\ndo = [{{ command = [\"x\"] }}]\n{look}"
        ));
        let Work::Each(each) = task.unwrap().steps.remove(0).work else {
            panic!("no for_each")
        };
        each.pace.check.expect("a look").every_ms
    };
    assert_eq!(every(""), 10_000);
    assert_eq!(every(", every = \"30s\""), 30_000);
    assert_eq!(every(", every = \"20ms\""), 1000);
}

#[test]
fn a_task_and_a_block_have_at_most_a_hundred_steps() {
    let many = |count: usize| {
        let steps = (0..count).map(|n| format!("[[step]]\nid = \"s{n}\"\ncommand = \"x\"\n"));
        read(
            "tasks/t.toml",
            format!("on.call = {{}}\n{}", steps.collect::<String>()),
        )
    };
    bound(
        many(100),
        many(101),
        "tasks/t.toml:302:1: there are at most 100 steps",
    );
    let block = |count: usize| {
        let steps = (0..count).map(|n| format!("{{ id = \"s{n}\", command = \"x\" }},\n"));
        let steps: String = steps.collect();
        step(&format!("for_each = \"[1]\"\ndo = [\n{steps}]"))
    };
    bound(
        block(100),
        block(101),
        "tasks/t.toml:105:1: there are at most 100 steps",
    );
}

#[test]
fn names_have_at_most_two_hundred_bytes() {
    let long = "a".repeat(limits::NAME_BYTES);
    for (before, after, words) in [
        (
            "on.call = {}\nid = \"",
            "\"",
            "cannot be the name of a task",
        ),
        (
            "on.call = {}\ntags = [\"",
            "\"]",
            "cannot be the name of a tag",
        ),
        (
            "on.call = {}\nenvironments = [\"",
            "\"]",
            "cannot be the name of an environment",
        ),
    ] {
        let named = |name: &str| top(&format!("{before}{name}{after}"));
        bound(named(&long), named(&format!("{long}a")), words);
    }
    let id = |id: &str| step(&format!("id = \"{id}\"\ncommand = \"x\""));
    bound(
        id(&long),
        id(&format!("{long}a")),
        "cannot be the id of a step",
    );
    let hook = |name: &str| {
        top(&format!(
            "on.webhook = {{ path = \"/hooks/{name}\", verify = \"none\", key = \"event.body.id\" }}"
        ))
    };
    let long = "a".repeat(limits::NAME_BYTES - "/hooks/".len());
    bound(
        hook(&long),
        hook(&format!("{long}a")),
        "is no path of a webhook",
    );
}

#[test]
fn lists_of_a_trigger_and_of_what_cancels_have_at_most_eight() {
    let secrets = |count: usize| {
        let names = vec!["\"{{ secret.A }}\""; count].join(", ");
        top(&format!(
            "on.webhook = {{ path = \"/hooks/a\", verify = {{ style = \"github\", secret = [{names}] }} }}"
        ))
    };
    bound(secrets(8), secrets(9), "`secret` names 1 to 8 secrets");
    let cancels = |count: usize| {
        let one = vec!["{ task = \"paid\", key = \"event.id\" }"; count].join(", ");
        top(&format!("on.call = {{}}\ncancel_on = [{one}]"))
    };
    bound(cancels(8), cancels(9), "`cancel_on` names 1 to 8 tasks");
}

#[test]
fn times_of_a_trigger_reach_to_their_bounds() {
    let tolerance = |time: &str| {
        top(&format!(
            "on.webhook = {{ path = \"/hooks/a\", verify = {{ style = \"slack\", secret = \"{{{{ secret.A }}}}\", tolerance = \"{time}\" }} }}"
        ))
    };
    bound(
        tolerance("24h"),
        tolerance("86401s"),
        "`tolerance` is at most a day",
    );
    let every = |time: &str| top(&format!("on.schedule = {{ every = \"{time}\" }}"));
    bound(every("1s"), every("999ms"), "`every` is at least a second");
    let running = |count: i64| top(&format!("on.call = {{}}\nlimits = {{ running = {count} }}"));
    bound(
        running(4_294_967_295),
        running(4_294_967_296),
        "from 1 to 4294967295",
    );
}

#[test]
fn values_nest_at_most_thirty_two_deep() {
    let deep = |open: &str, depth: usize, close: &str| {
        step(&format!(
            "http = {{ url = \"https://x.example/\", json = {}1{} }}",
            open.repeat(depth),
            close.repeat(depth)
        ))
    };
    let words = "values nest at most 32 deep";
    bound(deep("[", 32, "]"), deep("[", 33, "]"), words);
    bound(deep("{ a = ", 32, " }"), deep("{ a = ", 33, " }"), words);
}

#[test]
fn a_file_of_the_most_bytes_is_read_whole() {
    let file = |bytes: usize| {
        let mut text = "on.call = {}\n[[step]]\ncommand = \"x\"\n#".to_owned();
        text.extend(std::iter::repeat_n('x', bytes - text.len()));
        text
    };
    let (good, bad) = (
        file(limits::TASK_FILE_BYTES),
        file(limits::TASK_FILE_BYTES + 1),
    );
    assert_eq!(read_text("tasks/t.toml", good.as_bytes()).unwrap(), good);
    assert!(read_text("tasks/t.toml", bad.as_bytes()).is_err());
    bound(
        read("tasks/t.toml", good),
        read("tasks/t.toml", bad),
        "the file has 1048577 bytes; at most 1048576 are read",
    );
}
