//! Recipes for deploy tools whose files are YAML: the commands in them, run with the real program.

use crate::deploy::{found, recipe, stand_in, two_phases};
use crate::packages::{done, repository};
use crate::project::{Ended, Project};
use oncely_ledger::conformance::Server;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The documents of a YAML file, read by Ruby.
fn documents(path: &Path) -> Vec<Value> {
    let mut ruby = Command::new("ruby");
    let text = "puts JSON.generate(YAML.load_stream(File.read(ARGV[0])))";
    let json = done(ruby.args(["-ryaml", "-rjson", "-e", text]).arg(path));
    serde_json::from_str(&json).unwrap()
}

fn words(command: &Value) -> Vec<String> {
    let words = command.as_array().unwrap();
    words
        .iter()
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}

/// Runs a command of a container in the project.
fn in_container(project: &Project, command: &Value) -> Ended {
    let words = words(command);
    let mut program = found(project, &words[0]);
    program.args(&words[1..]);
    project.ended(program)
}

/// A project whose ledger is in a database, in a container without a volume.
fn project(server: &Server) -> Project {
    let project = Project::empty()
        .variable("DATABASE_URL", &server.database())
        .variable("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        .variable("ONCELY_EPHEMERAL", "");
    project.write("oncely.toml", "ledger = \"env:DATABASE_URL\"\n");
    two_phases(&project);
    project
}

/// kubectl itself: it makes a Job by doing its command here, and tells what it was asked.
const KUBECTL: &str = r#"echo "kubectl $1 $2" | sed "s|$HERE/||" >> asked
case $1 in
create)
    set -- $(ruby -ryaml -e 'puts YAML.load_file(ARGV[0])["spec"]["template"]["spec"]["containers"][0]["command"]' "$3")
    "$@" > log 2>&1; echo $? > code
    echo job.batch/shop-x1 ;;
get) if [ "$(cat code)" = 0 ]; then echo SuccessCriteriaMet Complete; else echo FailureTarget Failed; fi ;;
logs) cat log ;;
esac"#;

#[test]
fn kubernetes_jobs_do_before_then_the_deployment_then_after() {
    let server = Server::start(&[]);
    let project = project(&server);
    stand_in(&project, "kubectl", KUBECTL);
    let release = || {
        let script = recipe("kubernetes/release.sh");
        let mut command = found(&project, &script);
        command.env("HERE", script.parent().unwrap());
        project.ended(command)
    };
    project.write("broken", "");
    release().says(1, &["failed 1_before", "job.batch/shop-x1 failed."]);
    assert_eq!(
        project.text("asked"),
        "kubectl create -f\nkubectl get job.batch/shop-x1\nkubectl logs job.batch/shop-x1\n"
    );
    std::fs::remove_file(project.path("broken")).unwrap();
    let mut resume = found(&project, "oncely");
    done(resume.args(["resume", "1"]));
    std::fs::remove_file(project.path("asked")).unwrap();
    release().says(0, &["done 2_after"]);
    insta::assert_snapshot!(project.text("asked"), @r#"
    kubectl create -f
    kubectl get job.batch/shop-x1
    kubectl logs job.batch/shop-x1
    kubectl apply -f
    kubectl rollout status
    kubectl create -f
    kubectl get job.batch/shop-x1
    kubectl logs job.batch/shop-x1
    "#);
    assert_eq!(project.text("out"), "before\nafter\n");
}

#[test]
fn any_number_of_pods_may_have_the_init_container() {
    let server = Server::start(&[]);
    let project = project(&server);
    let all = documents(&recipe("kubernetes/deployment.yaml"));
    let pod = &all[0]["spec"]["template"]["spec"];
    let command = words(&pod["initContainers"][0]["command"]);
    let pods: Vec<_> = (0..5)
        .map(|_| {
            found(&project, &command[0])
                .args(&command[1..])
                .spawn()
                .unwrap()
        })
        .collect();
    for pod in pods {
        let ended = pod.wait_with_output().unwrap();
        assert!(
            ended.status.success(),
            "{}",
            String::from_utf8_lossy(&ended.stderr)
        );
    }
    assert_eq!(project.text("out"), "before\n");
    for deployment in &all {
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(grace > 20, "longer than the grace of oncely");
    }
    assert_eq!(
        words(&all[1]["spec"]["template"]["spec"]["containers"][0]["command"]),
        ["oncely", "serve"]
    );
}

#[test]
fn a_pod_that_oncely_ended_is_not_started_again() {
    for phase in ["before", "after"] {
        let job = &documents(&recipe(&format!("kubernetes/job-{phase}.yaml")))[0];
        let rule = &job["spec"]["podFailurePolicy"]["rules"][0];
        assert_eq!(rule["action"], "FailJob");
        assert_eq!(
            rule["onExitCodes"]["values"],
            serde_json::json!([1, 2, 3, 4])
        );
        let pod = &job["spec"]["template"]["spec"];
        assert_eq!(pod["restartPolicy"], "Never");
        assert_eq!(
            pod["containers"][0]["name"],
            rule["onExitCodes"]["containerName"]
        );
        assert!(words(&pod["containers"][0]["command"]).contains(&phase.to_owned()));
    }
}

#[test]
fn compose_starts_the_application_when_before_is_done() {
    let compose = &documents(&recipe("compose/compose.yaml"))[0]["services"];
    let condition =
        |service: &str, of: &str| compose[service]["depends_on"][of]["condition"].clone();
    assert_eq!(condition("before", "db"), "service_healthy");
    assert_eq!(condition("web", "before"), "service_completed_successfully");
    assert_eq!(
        condition("oncely", "before"),
        "service_completed_successfully"
    );
    assert_eq!(condition("after", "web"), "service_started");
    let server = Server::start(&[]);
    let project = project(&server);
    in_container(&project, &compose["before"]["command"]).says(0, &["done 1_before"]);
    in_container(&project, &compose["after"]["command"]).says(0, &["done 2_after"]);
    assert_eq!(words(&compose["oncely"]["command"]), ["oncely", "serve"]);
}

/// What GitHub does with the steps of a job: each `run` by bash, with the PATH that steps before it
/// added to; the first that fails ends the job.
fn workflow(project: &Project, job: &str, event: &str) -> Ended {
    let all = documents(&recipe("github/release.yml"));
    let job = &all[0]["jobs"][job];
    let added = project.write("runner/path", "");
    let mut ended = project.run(&["--version"]);
    for step in job["steps"].as_array().unwrap() {
        let skipped = step["if"]
            .as_str()
            .is_some_and(|condition| !condition.contains(&format!("'{event}'")));
        let Some(run) = step["run"].as_str().filter(|_| !skipped) else {
            continue;
        };
        let mut shell = project.program("bash");
        let path = project.text("runner/path").replace('\n', ":");
        shell.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", run]);
        shell.env("PATH", format!("{path}/usr/local/bin:/usr/bin:/bin"));
        shell
            .env("GITHUB_PATH", &added)
            .env("RUNNER_TEMP", project.path("runner"));
        shell
            .env("GITHUB_SHA", "0123456789")
            .env("GITHUB_BASE_REF", "main");
        shell.env("ONCELY_ENV", "production");
        ended = project.ended(shell);
        if ended.code != 0 {
            break;
        }
    }
    ended
}

#[test]
fn the_workflow_checks_the_archive_and_releases() {
    let project = Project::new();
    two_phases(&project);
    stand_in(&project, "deploy", "echo deployed >> out");
    let install = std::fs::read(recipe("github/install.sh")).unwrap();
    project.write("deploy/github/install.sh", install);
    workflow(&project, "check", "push").says(1, &["vendor"]);

    let oncely = format!("#!/bin/sh\nexec {} \"$@\"\n", crate::project::ONCELY);
    let oncely = project.write("oncely-script", oncely);
    let mut build = Command::new(repository().join("dist/build"));
    done(
        build
            .arg("--binary")
            .arg(oncely)
            .arg("--out")
            .arg(project.path("vendor")),
    );
    workflow(&project, "check", "push").says(0, &["2 tasks, no errors"]);
    project.write("broken", "");
    workflow(&project, "release", "push").says(1, &["failed 1_before"]);
    assert_eq!(project.text("out"), "");
    std::fs::remove_file(project.path("broken")).unwrap();
    let mut resume = found(&project, "oncely");
    done(resume.args(["resume", "1"]));
    workflow(&project, "release", "push").says(0, &["done 2_after"]);
    assert_eq!(project.text("out"), "before\ndeployed\nafter\n");

    // An archive that somebody changed is not unpacked.
    let archive = std::fs::read_dir(project.path("vendor"))
        .unwrap()
        .map(|e| e.unwrap().path());
    let archive = archive
        .into_iter()
        .find(|p| p.extension().is_some_and(|e| e == "gz"))
        .unwrap();
    std::fs::write(archive, "changed").unwrap();
    let refused = workflow(&project, "release", "push");
    assert_eq!(refused.code, 1, "{}", refused.all());
    assert!(refused.all().contains("FAILED"), "{}", refused.all());
}

#[test]
fn the_image_runs_oncely_alone_and_not_as_root() {
    let text = std::fs::read_to_string(repository().join("Dockerfile")).unwrap();
    let user = text
        .lines()
        .filter_map(|line| line.strip_prefix("USER "))
        .next_back();
    assert_eq!(user, Some("10001:10001"));
    assert!(text.contains("ENTRYPOINT [\"oncely\"]"));
    let volume = text.lines().any(|line| line.starts_with("VOLUME"));
    assert!(!volume, "each container would have an empty ledger");
    let version = format!("ARG VERSION={}", env!("CARGO_PKG_VERSION"));
    assert!(
        text.contains(&version),
        "the Dockerfile names another version"
    );
}
