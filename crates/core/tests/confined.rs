//! Data never becomes code, an address or a name: which texts must be written out, and which may
//! be filled in.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/texts.rs"]
mod texts;

use oncely_core::task::load;
use texts::task_file as bundle;

/// What is wrong with a step; nothing where it is read.
fn told(step: &str) -> String {
    told_of("on.call = {}", step)
}

fn told_of(on: &str, step: &str) -> String {
    let bundle = bundle(&format!("{on}\n[[step]]\n{step}\n"));
    let errors = load(&bundle).err().unwrap_or_default();
    let lines: Vec<_> = errors.iter().map(|error| error.message.clone()).collect();
    lines.join("\n")
}

#[test]
fn what_an_interpreter_runs_is_written_out() {
    let code = "data never becomes code: this argument is written out";
    for args in [
        "\"sh\", \"-c\"",
        "\"/usr/bin/bash\", \"-euxc\"",
        "\"zsh\", \"-x\", \"-c\"",
        "\"python3\", \"-c\"",
        "\"python3.12\", \"-Ic\"",
        "\"pypy\", \"-c\"",
        "\"perl\", \"-ne\"",
        "\"ruby\", \"-e\"",
        "\"node\", \"-e\"",
        "\"lua5.4\", \"-e\"",
        "\"php\", \"-r\"",
    ] {
        let step = format!("command = [{args}, \"{{{{ event.x }}}}\"]");
        assert_eq!(told(&step), code, "{step}");
    }
    assert_eq!(told("command = [\"{{ event.x }}\", \"a\"]"), code);
    let label = |args: &str| {
        let text = format!("on.call = {{}}\n[[step]]\ncommand = [{args}]\n");
        let errors = load(&bundle(&text)).unwrap_err();
        errors
            .into_iter()
            .map(|error| error.label)
            .collect::<String>()
    };
    assert_eq!(label("\"{{ event.x }}\""), "this is the program");
    assert_eq!(
        label("\"sh\", \"-c\", \"{{ event.x }}\""),
        "this is run as code"
    );
}

#[test]
fn what_a_program_reads_as_data_may_be_filled_in() {
    for args in [
        "\"ls\", \"-c\"",
        "\"sh\", \"-x\"",
        "\"sh\", \"bin/look\"",
        "\"bash\", \"--rcfile\"",
        "\"python3\", \"--check-hash-based-pycs\"",
        "\"python3\", \"-m\"",
        "\"perl\", \"-c\"",
        "\"node\", \"run.js\", \"-c\"",
        "\"php\", \"-f\"",
        "\"mysh\", \"-c\"",
    ] {
        let step = format!("command = [{args}, \"{{{{ event.x }}}}\"]");
        assert_eq!(told(&step), "", "{step}");
    }
}

#[test]
fn a_url_has_a_host_that_is_written_out_and_no_user() {
    let url = |url: &str| told(&format!("http = {{ url = \"{url}\" }}"));
    for good in [
        "https://x.example",
        "https://x.example/{{ event.x }}",
        "https://x.example?a={{ event.x }}",
        "http://x.example#{{ event.x }}",
        "HTTPS://x.example:8443/a/{% if event.x %}b{% endif %}",
    ] {
        assert_eq!(url(good), "", "{good}");
    }
    let user = "a URL holds no user and no password";
    for bad in [
        "https://u@x.example/",
        "https://:p@x.example/",
        "https://u:p@x.example/",
    ] {
        assert_eq!(url(bad), user, "{bad}");
    }
    let host = "the host of a URL is written out: no data may choose it";
    for bad in [
        "https://x.example{{ event.x }}",
        "https://{{ event.x }}/a",
        "https://x.example{% if event.x %}:1{% endif %}/",
        "https://x.example{# a #}/",
    ] {
        assert_eq!(url(bad), host, "{bad}");
    }
    assert!(url("https:///a").starts_with("this is not a URL") || url("https:///a").is_empty());
    assert!(url("https://").starts_with("this is not a URL"));
    for bad in ["x.example", "file:///etc/passwd", "{{ event.x }}"] {
        assert!(url(bad).starts_with("a URL begins with"), "{bad}");
    }
}

#[test]
fn a_path_stays_below_the_project_whatever_is_filled_in() {
    let path = |path: &str| told(&format!("put = {{ to = '{path}', text = \"\" }}"));
    for good in [
        "a",
        "out/{{ event.x }}",
        "out/{{ event.x }}/{{ event.y }}.txt",
        "out/a..b",
        "a/b:c",
    ] {
        assert_eq!(path(good), "", "{good}");
    }
    let first = "the first folder of a path is written out: no data may choose it";
    assert_eq!(path("{{ event.x }}"), first);
    assert_eq!(path("out{{ event.x }}/a"), first);
    let only = "a path takes `{{ }}` only, no `{% %}` and no `{# #}`";
    assert_eq!(path("out/{% if event.x %}..{% endif %}/a"), only);
    assert_eq!(path("out/{# a #}a"), only);
    let below =
        |what: &str| format!("a path starts at the project's root and stays below it: {what}");
    for bad in ["/a", "~/a", "C:/a", "c:"] {
        assert_eq!(path(bad), below("it is not relative"), "{bad}");
    }
    for bad in [
        "a/../b",
        "../a",
        "./a",
        "a//b",
        "a/..",
        "out/{{ event.x }}/../b",
    ] {
        assert_eq!(
            path(bad),
            below("no part of it is empty, `.` or `..`"),
            "{bad}"
        );
    }
    assert_eq!(path("a\\b"), below("folders are parted by `/`"));
    let nul = told("put = { to = \"a\\u0000b\", text = \"\" }");
    assert_eq!(nul, below("folders are parted by `/`"));
}

#[test]
fn a_file_that_is_read_is_one_that_the_task_was_given_or_wrote() {
    let put = "id = \"made\"\nput = { to = \"out/a\", text = \"\" }\n[[step]]\n";
    let read = |on: &str, from: &str| {
        told_of(
            on,
            &format!(
                "{put}for_each = {{ read = \"{from}\", as = \"csv\" }}\ndo = [{{ command = [\"x\"] }}]"
            ),
        )
    };
    let object = "on.object = { source = \"folder:in\" }";
    let first = "the first folder of a path is written out: no data may choose it";
    for (on, from, words) in [
        (object, "{{ event.url }}", ""),
        (object, "{{ event.name }}", first),
        (object, "{{ event.url }}x", first),
        ("on.call = {}", "{{ event.url }}", first),
        ("on.call = {}", "{{ steps.made.path }}", ""),
        (object, "{{ steps.made.path }}", ""),
        (object, "{{ steps.made.hash }}", first),
        (object, "{{ run.key }}", first),
        ("on.call = {}", "in/{{ event.x }}.csv", ""),
    ] {
        assert_eq!(read(on, from), words, "{on} {from}");
    }
}

#[test]
fn names_are_made_of_what_the_other_side_takes_as_names() {
    let env = |name: &str| {
        told(&format!(
            "command = {{ args = [\"x\"], env = {{ \"{name}\" = \"a\" }} }}"
        ))
    };
    let http = |what: &str, name: &str| {
        told(&format!(
            "http = {{ url = \"https://x.example/\", {what} = {{ \"{name}\" = \"a\" }} }}"
        ))
    };
    for good in ["A", "_a9", "a_B"] {
        assert_eq!(env(good), "", "{good}");
    }
    for bad in ["", "9A", "A-B", "A B", "Ä", "{{ event.x }}"] {
        assert_eq!(env(bad), format!("`{bad}` cannot be a name here"));
    }
    for good in ["X-Trace", "x_trace", "A!#$%&'*+-.^_`|~9"] {
        assert_eq!(http("headers", good), "", "{good}");
    }
    for bad in ["", "A B", "A:B", "Ä", "A\\nB: C"] {
        assert!(
            http("headers", bad).ends_with("cannot be a name here"),
            "{bad}"
        );
    }
    assert_eq!(http("form", "any name: é"), "");
    assert_eq!(http("form", ""), "`` cannot be a name here");
}

#[test]
fn steps_are_named_in_small_letters() {
    let id = |id: &str| told(&format!("id = \"{id}\"\ncommand = \"x\""));
    for good in ["a", "a_1", "9", "_"] {
        assert_eq!(id(good), "", "{good}");
    }
    for bad in ["A", "a-b", "a b", "é", "a.b", "a#1"] {
        assert_eq!(id(bad), format!("`{bad}` cannot be the id of a step"));
    }
}
