//! Recipes for deploy tools whose files are shell, Ruby and units: the real files of `deploy/`, run
//! with the real program.

use crate::packages::{done, repository};
use crate::project::{ONCELY, Project, Running, wait};
use oncely_ledger::conformance::Server;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of a recipe.
pub(crate) fn recipe(name: &str) -> PathBuf {
    let path = repository().join("deploy").join(name);
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// A program that finds `oncely`, and before it what the project has in `bin`.
pub(crate) fn found(project: &Project, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = project.program(program);
    let folder = Path::new(ONCELY).parent().unwrap().display();
    let own = project.path("bin");
    let path = format!("{}:{folder}:/usr/local/bin:/usr/bin:/bin", own.display());
    command.env("PATH", path).env("ONCELY_ENV", "production");
    command
}

/// A program of the project's own, for what is not on a machine that tests.
pub(crate) fn stand_in(project: &Project, name: &str, shell: &str) {
    let path = project.write(&format!("bin/{name}"), format!("#!/bin/sh\n{shell}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Two release tasks, of before and of after, each adding a line to `out`. The first fails as long as
/// the file `broken` is there.
pub(crate) fn two_phases(project: &Project) {
    for (version, phase, shell) in [
        (1, "before", "test ! -e broken && echo before >> out"),
        (2, "after", "echo after >> out"),
    ] {
        let text = format!(
            "[on.release]\nphase = \"{phase}\"\n\n[[step]]\nid = \"act\"\n\
             retry = {{ attempts = 1 }}\ncommand = \"{shell}\"\n"
        );
        project.write(&format!("tasks/{version}_{phase}.toml"), text);
    }
}

#[test]
fn a_release_by_hand_does_before_then_the_command_then_after() {
    let project = Project::new();
    two_phases(&project);
    let release = |words: &[&str]| {
        let mut command = found(&project, recipe("shell/release.sh"));
        command.args(words);
        project.ended(command)
    };
    project.write("broken", "");
    release(&["v1", "sh", "-c", "echo v1 >> out"]).says(1, &["failed 1_before"]);
    assert_eq!(project.text("out"), "", "the old version stays");
    std::fs::remove_file(project.path("broken")).unwrap();
    let mut resume = found(&project, "oncely");
    resume.args(["resume", "1"]);
    project.ended(resume).says(0, &["done"]);
    release(&["v1", "sh", "-c", "echo v1 >> out"]).says(0, &["done 2_after"]);
    release(&["v2", "sh", "-c", "echo v2 >> out"]).says(0, &["Nothing to do"]);
    assert_eq!(project.text("out"), "before\nv1\nafter\nv2\n");
    release(&["v3", "false"]).says(1, &[]);
    release(&["v3"]).says(2, &["RELEASE COMMAND"]);
}

/// A project on Heroku, with a database.
fn on_heroku(server: &Server) -> Project {
    let project = Project::empty()
        .variable("DATABASE_URL", &server.database())
        .variable("DYNO", "release.1")
        .variable("ONCELY_EPHEMERAL", "")
        .variable("HEROKU_RELEASE_VERSION", "v42");
    project.write("oncely.toml", "ledger = \"env:DATABASE_URL\"\n");
    two_phases(&project);
    project
}

/// What the Procfile says of a process.
fn of_procfile(process: &str) -> String {
    let text = std::fs::read_to_string(recipe("heroku/Procfile")).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(name, _)| *name == process));
    line.unwrap().1.to_owned()
}

#[test]
fn heroku_does_before_in_its_release_phase_and_after_in_a_dyno_of_its_own() {
    let server = Server::start(&[]);
    let project = on_heroku(&server);
    let mut release = found(&project, "sh");
    release.args(["-c", &of_procfile("release")]);
    project.ended(release).says(0, &["done 1_before"]);

    assert_eq!(of_procfile("oncely"), "sh deploy/heroku/oncely.sh");
    let dyno = |project: &Project| {
        let mut dyno = found(project, "sh");
        dyno.arg(recipe("heroku/oncely.sh"));
        Running::new(dyno)
    };
    let serving = |project: &Project| {
        wait("the dyno to serve", || {
            let mut workers = found(project, ONCELY);
            workers.args(["--json", "workers"]);
            done(&mut workers).contains("serve")
        });
    };
    let first = dyno(&project);
    serving(&project);
    assert_eq!(project.text("out"), "before\nafter\n");
    first.stop().says(0, &["done 2_after", "Stopped"]);
    // Heroku starts it anew each day.
    let second = dyno(&project);
    serving(&project);
    second.stop().says(0, &["Nothing to do", "Stopped"]);
    let runs = project.path("runs");
    let mut listed = found(&project, ONCELY);
    listed.args(["--json", "show", "1"]);
    assert!(done(&mut listed).contains("v42"), "{}", runs.display());
}

#[test]
fn a_dyno_serves_though_a_task_of_after_failed() {
    let server = Server::start(&[]);
    let project = on_heroku(&server);
    project.write(
        "tasks/3_broken.toml",
        "[on.release]\n[[step]]\nid = \"a\"\nretry = { attempts = 1 }\ncommand = \"false\"\n",
    );
    let mut dyno = found(&project, "sh");
    dyno.arg(recipe("heroku/oncely.sh"));
    let dyno = Running::new(dyno);
    wait("the dyno to serve", || {
        let mut workers = found(&project, ONCELY);
        workers.args(["--json", "workers"]);
        done(&mut workers).contains("serve")
    });
    dyno.stop().says(0, &["not all done (exit 1)", "Stopped"]);
}

#[test]
fn kamal_runs_each_phase_in_a_container_of_the_new_version_on_one_server() {
    let project = Project::new();
    two_phases(&project);
    // Kamal itself: it tells what it was asked, and does the command where it is.
    stand_in(
        &project,
        "kamal",
        "echo \"kamal $*\" >> asked; for last; do :; done; exec sh -c \"$last\"",
    );
    let hook = |name: &str, destination: Option<&str>| {
        let mut hook = found(&project, recipe(&format!("kamal/hooks/{name}")));
        hook.env("KAMAL_VERSION", "abc123");
        hook.envs(destination.map(|to| ("KAMAL_DESTINATION", to)));
        project.ended(hook)
    };
    project.write("broken", "");
    hook("pre-deploy", None).says(1, &["failed 1_before"]);
    std::fs::remove_file(project.path("broken")).unwrap();
    let mut resume = found(&project, "oncely");
    resume.args(["resume", "1"]);
    done(&mut resume);
    hook("pre-deploy", None).says(0, &["Nothing to do: 1 task"]);
    hook("post-deploy", Some("staging")).says(0, &["done 2_after"]);
    insta::assert_snapshot!(project.text("asked"), @r#"
    kamal app exec --primary --roles web --version abc123 oncely run --phase before --release abc123
    kamal app exec --primary --roles web --version abc123 oncely run --phase before --release abc123
    kamal app exec --primary --roles web --version abc123 --destination staging oncely run --phase after --release abc123
    "#);
}

/// A project that Capistrano deploys to a folder of this machine.
fn capistrano(project: &Project) -> Project {
    let desk = Project::empty();
    let rake = std::fs::read(recipe("capistrano/oncely.rake")).unwrap();
    desk.write("lib/capistrano/tasks/oncely.rake", rake);
    desk.write(
        "Capfile",
        "require \"capistrano/setup\"\nrequire \"capistrano/deploy\"\nrequire \"capistrano/scm/git\"\n\
         install_plugin Capistrano::SCM::Git\nDir.glob(\"lib/capistrano/tasks/*.rake\").each { |r| import r }\n",
    );
    let text = format!(
        "set :application, \"shop\"\nset :repo_url, \"{}\"\nset :branch, \"main\"\n\
         set :deploy_to, \"{}\"\nset :tmp_dir, \"{}\"\nset :sshkit_backend, SSHKit::Backend::Local\n\
         SSHKit.config.command_map.prefix[:oncely].push(\"bundle exec\")\n",
        project.root.display(),
        desk.path("www").display(),
        desk.root.display(),
    );
    desk.write("config/deploy.rb", text);
    desk.write(
        "config/deploy/production.rb",
        "server \"localhost\", roles: %w[app]\n",
    );
    desk
}

fn committed(project: &Project, message: &str) {
    for args in [
        vec!["init", "-q", "-b", "main"],
        vec!["add", "-A"],
        vec![
            "-c",
            "user.email=a@example.com",
            "-c",
            "user.name=a",
            "commit",
            "-q",
            "-m",
            message,
        ],
    ] {
        done(project.program("git").args(args));
    }
}

#[test]
fn capistrano_does_before_ahead_of_the_new_version_and_after_behind_it() {
    let project = Project::new();
    for phase in ["before", "after"] {
        let current = "$(basename \\\"$(readlink ../../current)\\\")";
        let text = format!(
            "[on.release]\nphase = \"{phase}\"\n[[step]]\nid = \"a\"\nretry = {{ attempts = 1 }}\n\
             command = \"test ! -e ../../broken && echo {phase} {current} >> ../../out\"\n"
        );
        project.write(&format!("tasks/{}_{phase}.toml", phase.len()), text);
    }
    committed(&project, "first");
    let desk = capistrano(&project);
    // The way to it that the recipe shows for the gem.
    let asked = format!(
        "echo $* >> {}; shift; exec \"$@\"",
        desk.path("asked").display()
    );
    stand_in(&desk, "bundle", &asked);
    let deploy = || {
        let mut cap = found(&desk, "cap");
        cap.args(["production", "deploy"]).env("NO_COLOR", "1");
        cap.output().unwrap()
    };
    desk.write("www/broken", "");
    assert!(!deploy().status.success(), "a task of before failed");
    assert!(
        !desk.path("www/current").exists(),
        "and no version is current"
    );
    std::fs::remove_file(desk.path("www/broken")).unwrap();
    let release = std::fs::read_dir(desk.path("www/releases"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let mut resume = found(&desk, "oncely");
    done(resume.args(["resume", "1"]).current_dir(release.path()));
    assert_eq!(desk.text("www/out"), "before\n");
    let output = deploy();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let current = std::fs::read_link(desk.path("www/current")).unwrap();
    let current = current.file_name().unwrap().to_str().unwrap();
    assert_eq!(desk.text("www/out"), format!("before\nafter {current}\n"));
    let asked = desk.text("asked");
    assert_eq!(
        asked.matches("exec oncely run --phase").count(),
        3,
        "{asked}"
    );
}

/// The unit with the program of this test, in a folder of its own.
fn unit(project: &Project, name: &str) -> (PathBuf, String) {
    let text = std::fs::read_to_string(recipe(&format!("systemd/{name}"))).unwrap();
    let text = text.replace("/usr/local/bin/oncely", ONCELY);
    (project.write(&format!("units/{name}"), &text), text)
}

fn setting<'t>(unit: &'t str, key: &str) -> &'t str {
    let mut lines = unit.lines().filter_map(|line| line.split_once('='));
    lines.find(|(name, _)| *name == key).unwrap().1
}

#[test]
fn systemd_understands_the_units() {
    let project = Project::empty();
    let service = unit(&project, "oncely.service").0;
    let release = unit(&project, "oncely-release@.service").0;
    let before = project.path("units/oncely-release@before.service");
    std::fs::copy(&release, &before).unwrap();
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no", "--recursive-errors=no"]);
    let output = verify.arg(service).arg(before).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("units/"), "{said}");
}

#[test]
fn the_units_do_what_they_say_with_a_secret_that_systemd_hands_over() {
    let project = Project::empty();
    // As the recipe asks: what is written is elsewhere, behind a link.
    std::fs::create_dir(project.path("state")).unwrap();
    std::os::unix::fs::symlink(project.path("state"), project.path(".oncely")).unwrap();
    project.write("oncely.toml", "");
    two_phases(&project);
    project.write("credentials/CRM_TOKEN", "s3cret\n");
    project.write(
        "tasks/tell.toml",
        "[on.schedule]\nevery = \"1s\"\n[[step]]\nid = \"a\"\n\
         command = { shell = \"echo $TOKEN > told\", env = { TOKEN = \"{{ secret.CRM_TOKEN }}\" } }\n",
    );
    let start = |text: &str, phase: &str| {
        let words = setting(text, "ExecStart").replace("%i", phase);
        let mut words = words.split_whitespace();
        let mut command = project.program(words.next().unwrap());
        let (name, value) = setting(text, "Environment").split_once('=').unwrap();
        command.args(words).env(name, value);
        command.env("CREDENTIALS_DIRECTORY", project.path("credentials"));
        command
    };
    let (_, release) = unit(&project, "oncely-release@.service");
    for phase in ["before", "after"] {
        project
            .ended(start(&release, phase))
            .says(0, &["done", phase]);
    }
    let (_, service) = unit(&project, "oncely.service");
    let serving = Running::new(start(&service, ""));
    project.wait_text("told", |text| text == "s3cret\n");
    serving.stop().says(0, &["Stopped"]);
    assert!(project.path("state/ledger.db").is_file());
    for text in [&release, &service] {
        let stop: u64 = setting(text, "TimeoutStopSec").parse().unwrap();
        assert!(stop > 20, "longer than the grace");
    }
}
