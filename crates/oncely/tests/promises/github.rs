//! `oncely run --format github` speaks to GitHub Actions, and nothing else does.

use crate::project::Project;

/// What the runner of GitHub Actions acts on: commands at the beginning of a line, and the older kind
/// anywhere in it, unless it was told to stop.
fn acted_on(said: &str) -> Vec<String> {
    let mut end: Option<String> = None;
    let mut found = Vec::new();
    for line in said.lines().map(str::trim_start) {
        match &end {
            Some(word) if line == word => end = None,
            Some(_) => {}
            None => match line.strip_prefix("::stop-commands::") {
                Some(word) => end = Some(format!("::{word}::")),
                None if line.starts_with("::") || line.contains("##[") => {
                    found.push(line.to_owned());
                }
                None => {}
            },
        }
    }
    assert_eq!(end, None, "it was never told to go on:\n{said}");
    found
}

#[test]
fn each_task_is_a_group_and_what_is_wrong_stands_at_its_file() {
    let project = Project::new();
    project.release_task(1, "good", "true");
    let fails = "[on.release]\n[[step]]\nid = \"a\"\ncommand = \"echo 50% >&2; false\"\nretry = { attempts = 1 }\n";
    project.write("tasks/2_bad.toml", fails);
    let unknown =
        "[on.release]\n[[step]]\nid = \"a\"\ntimeout = \"100ms\"\ncommand = \"sleep 60\"\n";
    project.write("tasks/3_doubt.toml", unknown);
    project.write(
        "tasks/4_ask.toml",
        "[on.release]\n[[step]]\napprove = \"Go, or: not?\"\n",
    );
    let ended = project.run(&["run", "--keep-going", "--format", "github"]);
    assert_eq!(ended.code, 1);
    insta::assert_snapshot!(ended.all(), @r#"
    ::group::1_good
    done 1_good  [span]
    ::endgroup::
    ::group::2_bad
    failed 2_bad: step `a`: exited with 1: 50%
           Look: oncely show 2   Go on from there: oncely resume 2
           With the file as it is now: oncely rerun 2 --reason "…"
    ::endgroup::
    ::error file=tasks/2_bad.toml,title=2_bad failed::step `a`: exited with 1: 50%25%0ALook: oncely show 2   Go on from there: oncely resume 2%0A       With the file as it is now: oncely rerun 2 --reason "…"
    ::group::3_doubt
    unknown 3_doubt: step `a`: was stopped because it took longer than [span]
           Nothing is repeated before you say what became of it: oncely settle 3 done|not-done --reason "…"
    ::endgroup::
    ::error file=tasks/3_doubt.toml,title=3_doubt is unknown::step `a`: was stopped because it took longer than [span]%0ASay what became of it: oncely settle 3 done|not-done --reason "…"
    ::group::4_ask
    waiting 4_ask: Go, or: not?
            Answer: oncely approve 4   or: oncely reject 4
    ::endgroup::
    ::notice file=tasks/4_ask.toml,title=4_ask waits::Go, or: not?%0Aoncely approve 4   or: oncely reject 4
    [exit 1]
    "#);
}

#[test]
fn a_wrong_task_file_is_marked_at_its_place() {
    let project = Project::new();
    project.write(
        "tasks/1_a.toml",
        "[on.release]\n[[step]]\ncomand = \"true\"\n",
    );
    let ended = project.run(&["run", "--format", "github"]);
    assert_eq!(ended.code, 2);
    let acted = acted_on(&ended.out);
    assert!(
        acted[0].starts_with("::error file=tasks/1_a.toml,line=3,col=1::"),
        "{acted:?}"
    );
    assert_eq!(ended.err, "");
    // A project may be a folder of the repository.
    let above = project.root.parent().unwrap().display().to_string();
    let name = project
        .root
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let project = project.variable("GITHUB_WORKSPACE", &above);
    let acted = acted_on(&project.run(&["run", "--format", "github"]).out);
    assert!(
        acted[0].starts_with(&format!("::error file={name}/tasks/1_a.toml,")),
        "{acted:?}"
    );
}

#[test]
fn what_others_wrote_makes_no_command() {
    let project = Project::new();
    let text = "[on.release]\n[[step]]\nid = \"a\"\ncommand = \"echo 'a ##[error]b' >&2; false\"\nretry = { attempts = 1 }\n";
    project.write("tasks/1_a.toml", text);
    // Whoever may add a file may give it any name.
    project.write("tasks/2_b\n::add-mask::x.toml", text);
    let ended = project.run(&["run", "--keep-going", "--format", "github"]);
    let said = format!("{}{}", ended.out, ended.err);
    assert_eq!(ended.code, 1, "{said}");
    for evil in ["\n::add-mask::x", "##[error]b"] {
        assert!(said.contains(evil), "it was not said at all:\n{said}");
    }
    let acted = acted_on(&said);
    let names = acted.iter().map(|line| line[2..].split([':', ' ']).next());
    let names: Vec<&str> = names.flatten().collect();
    let each = ["group", "endgroup", "error"];
    assert_eq!(names, [each, each].concat(), "{said}");
}

#[test]
fn json_is_json_whichever_way_it_is_asked_for() {
    let project = Project::new();
    project.release_task(1, "a", "true");
    project.run(&["run"]).says(0, &["done"]);
    let one = project.run(&["--json", "run"]).out;
    assert_eq!(project.run(&["run", "--format", "json"]).out, one);
    assert_eq!(project.run(&["--json", "run", "--format", "json"]).out, one);
    project
        .run(&["--json", "run", "--format", "github"])
        .says(2, &["exclude one another"]);
    project
        .run(&["run", "--format", "text"])
        .says(0, &["Nothing to do"]);
}
