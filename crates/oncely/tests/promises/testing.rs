//! `oncely test`: a task's effects are caught and shown, and nothing of the project is touched.

use crate::project::{ONCELY, Project};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A task with an effect of each kind.
const ORDER: &str = r##"title = "Take an order"

[on.call]
key = "event.id"

[[step]]
id = "charge"
undo = { http = { url = "https://pay.example.com/refunds", json = { charge = "{{ steps.charge.json.id }}" } } }

  [step.http]
  url  = "https://pay.example.com/charges"
  json = { amount = "{{ event.amount }}" }
  auth = { bearer = "{{ secret.PAY }}" }

[[step]]
id = "small"
require = "event.amount < 10000"

[[step]]
id = "ok"
approve = { text = "Ship {{ event.id }}?", tick = ["it was paid"], by = ["ann"], tell = ["email"] }

[[step]]
id = "mail"
hold = "2d"
when = "steps.charge.json.paid"
email = { to = "{{ event.to }}", bcc = "log@example.com", subject = "Order {{ event.id }}", text = "Paid: {{ steps.charge.json.id }}\n", attachments = ["terms.pdf"] }
undo = "never"

[[step]]
id = "row"
sql = { db = "shop", text = "insert into orders values (:id)", bind = { id = "{{ event.id }}" } }
undo = "never"

[[step]]
id = "pack"
command = { args = ["touch", "ran", "two words"], env = { KEY = "{{ secret.PACK }}" } }
undo = "never"

[[step]]
id = "slip"
put = { to = "slips/{{ event.id }}.txt", text = "{{ steps.pack.stdout }}" }

[[step]]
id = "next"
call = { task = "restock", event = { id = "x" } }
undo = "never"

[[step]]
id = "lines"
for_each = "event.lines"
undo = "never"

  [[step.do]]
  id = "stock"
  http = { method = "PUT", url = "https://stock.example.com/{{ item }}", json = {} }

  [[step.do]]
  id = "tell"
  slack = { channel = "#stock", text = "{{ item }}: {{ steps.stock.json.left }} left" }
"##;

const CONFIG: &str = r#"
[email]
server = "smtp://127.0.0.1:1"
tls    = "none"
from   = "Shop <shop@example.com>"

[db.shop]
sqlite = "shop.db"

[people.ann]
email = "ann@example.com"
"#;

const EVENT: &str =
    r#"{"id": "o-7", "amount": 4200, "to": "bob@example.com", "lines": ["nut", "bolt"]}"#;

const ANSWERS: &str = r#"[steps.charge]
json = { id = "ch_1", paid = true }

[steps.pack]
stdout = "box 3\n"

[steps.stock]
json = { left = 9 }

[steps.stock.items.2]
json = { left = 0 }

[steps.ok]
note = "seen"
"#;

fn shop() -> Project {
    let project = Project::new()
        .variable("ONCELY_SECRET_PAY", "hush-pay")
        .variable("ONCELY_SECRET_PACK", "hush-pack");
    let config = project.text("oncely.toml") + CONFIG;
    project.write("oncely.toml", config);
    project.write("tasks/order.toml", ORDER);
    project.call_task("restock", "touch restocked");
    project.write("order.json", EVENT);
    project.write("answers.toml", ANSWERS);
    project
}

/// Every file below a folder, and what it holds.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.insert(path.display().to_string(), Vec::new());
            all.extend(files(&path));
        } else {
            all.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    all
}

const WHOLE: [&str; 7] = [
    "test",
    "order",
    "--event",
    "order.json",
    "--answers",
    "answers.toml",
    "--undo",
];

#[test]
fn each_effect_is_shown_as_it_would_be_and_nothing_of_the_project_is_touched() {
    let project = shop();
    let before = files(&project.root);
    let test = project.run(&WHOLE);
    assert_eq!(files(&project.root), before, "something was written");
    assert!(!test.out.contains("hush"), "{}", test.out);
    insta::assert_snapshot!(test.all());
}

#[test]
fn the_same_test_says_the_same_wherever_and_whenever_it_runs() {
    let project = shop();
    let first = project.run(&WHOLE);
    let mut elsewhere = project.command(&WHOLE);
    elsewhere.env("ONCELY_ENV", "staging").env("USER", "bob");
    elsewhere.env("TZ", "Asia/Tokyo");
    let second = project.ended(elsewhere);
    assert_eq!(first.code, 0, "{}", first.err);
    assert_eq!(first.out, second.out);

    project.write("expected.txt", &first.out);
    let mut args = WHOLE.to_vec();
    args.extend(["--expect", "expected.txt"]);
    project.run(&args).says(0, &["As expected.txt says."]);
    project.write("answers.toml", ANSWERS.replace("box 3", "box 4"));
    let differs = project.run(&args);
    insta::assert_snapshot!(differs.all());
    args.pop();
    args.push("nowhere.txt");
    project
        .run(&args)
        .says(2, &["nowhere.txt cannot be read", "`> nowhere.txt`"]);
}

#[test]
fn what_no_answer_gives_is_named_with_what_to_write() {
    let project = shop();
    let sparse = project.run(&["test", "order", "--event", "order.json"]);
    assert_eq!(sparse.code, 2, "{}", sparse.all());
    assert!(
        sparse.out.contains("`mail` skipped")
            && sparse
                .out
                .contains("`charge` gives no `json.paid` unless --answers FILE says so"),
        "{}",
        sparse.out
    );
    insta::assert_snapshot!(sparse.err);
    project.write("answers.toml", "[steps.charge]\njson = { paid = true }\n");
    let next = project.run(&[
        "test",
        "order",
        "--event",
        "order.json",
        "--answers",
        "answers.toml",
    ]);
    insta::assert_snapshot!(next.err);
    project.write("order.json", r#"{"id": "o-7", "amount": 1, "lines": []}"#);
    let event = project.run(&[
        "test",
        "order",
        "--event",
        "order.json",
        "--answers",
        "answers.toml",
    ]);
    assert_eq!(event.code, 2, "{}", event.all());
    insta::assert_snapshot!(event.err);
}

#[test]
fn answers_that_no_step_could_give_are_refused() {
    let project = shop();
    let mut text = String::new();
    for answers in [
        "[steps.chrage]\njson = {}\n",
        "[steps.charge]\njsn = {}\n",
        "[steps.charge]\nstatus = 9000\n",
        "[steps.charge]\nfail = \"no\"\nstatus = 200\n",
        "[steps.charge]\nfail = 3\n",
        "[steps.small]\nheld = true\n",
        "[steps.lines]\ndone = 3\n",
        "[steps.stock.items.0]\nstatus = 200\n",
        "[steps.ok]\nanswer = \"perhaps\"\n",
        "[steps.ok]\nby = \"eve\"\n",
        "[undo.mail]\nbytes = 3\n",
        "[stesp.charge]\nstatus = 200\n",
        "steps = 3\n",
        "[steps.charge\n",
    ] {
        project.write("answers.toml", answers);
        let ended = project.run(&[
            "test",
            "order",
            "--event",
            "order.json",
            "--answers",
            "answers.toml",
        ]);
        text.push_str(&format!("{answers}{}[exit {}]\n\n", ended.err, ended.code));
    }
    insta::assert_snapshot!(text);
}

/// A task whose steps go wrong in each way.
const FRAIL: &str = r#"[on.release]

[[step]]
id = "again"
retry = { attempts = 3, first = "1h", max = "1h" }
http = { url = "https://a.example.com/", json = {} }

[[step]]
id = "ready"
require = { that = "now > 1767614000000", else = "retry", every = "1h", for = "6h" }

[[step]]
id = "ask"
approve = { text = "Go on?", expires = "3d" }

[[step]]
id = "last"
command = { args = ["bin/last"] }
"#;

#[test]
fn failures_are_tried_again_held_and_doubted_as_in_earnest_and_nobody_waits() {
    let project = Project::new();
    project.write("tasks/1_frail.toml", FRAIL);
    let mut text = String::new();
    for answers in [
        "[[steps.again]]\nretry = \"busy\"\n[[steps.again]]\nstatus = 429\n[[steps.again]]\nstatus = 201\n",
        "[steps.again]\nstatus = 404\n",
        "[steps.again]\nunknown = \"cut off\"\n",
        "[steps.ask]\nanswer = \"no\"\nby = \"bob\"\n",
        "[steps.ask]\nanswer = \"none\"\n",
        "[steps.last]\ncode = 3\nstderr = \"no disk\"\n",
        "[steps.last]\nfail = \"not today\"\n",
    ] {
        project.write("answers.toml", answers);
        let ended = project.run(&["test", "1_frail", "--answers", "answers.toml"]);
        let facts: Vec<&str> = ended.out.lines().filter(|l| l.starts_with("  `")).collect();
        let end = ended.out.lines().rev().nth(1).unwrap_or_default();
        text.push_str(&format!(
            "{answers}{}\n{end}\n[exit {}]\n\n",
            facts.join("\n"),
            ended.code
        ));
    }
    insta::assert_snapshot!(text);
}

/// Reminders until an invoice is paid, and the task that says so.
const REMIND: &str = r##"[on.call]
key = "event.invoice"

[cancel_on]
task = "paid"
key  = "event.invoice"

[[step]]
id    = "remind"
every = "14d"
until = "check.rows[0].paid"
times = 3
undo  = "never"

  [step.check.sql]
  db   = "shop"
  text = "select paid from invoices where id = :id"
  bind = { id = "{{ event.invoice }}" }

  [step.slack]
  channel = "#invoices"
  text    = "{{ event.invoice }} is open, {{ round }}"

[[step]]
id   = "give_up"
when = "not steps.remind.held"
put  = { to = "letters/lawyer.txt", text = "{{ steps.remind.rounds }} reminders\n" }
"##;

fn reminding() -> Project {
    let project = shop();
    project.write("tasks/remind.toml", REMIND);
    project.write(
        "tasks/paid.toml",
        "[on.call]\nkey = \"event.id\"\n\n[[step]]\nid = \"thank\"\nput = { to = \"thanks.txt\", text = \"thanks\" }\n",
    );
    project.write("invoice.json", r#"{"invoice": "i-7"}"#);
    project.write("paid.json", r#"{"id": "p-1", "invoice": "i-7"}"#);
    project.write("other.json", r#"{"id": "p-2"}"#);
    project
}

fn reminded(project: &Project, answers: &str) -> String {
    project.write("answers.toml", answers);
    let with = ["--event", "invoice.json", "--answers", "answers.toml"];
    let ended = project.run(&[&["test", "remind"][..], &with].concat());
    format!("{answers}----\n{}\n", ended.all())
}

#[test]
fn rounds_are_played_and_each_look_and_round_is_answered_by_its_number() {
    let project = reminding();
    let before = files(&project.root);
    let mut text = String::new();
    for answers in [
        // Paid before the third.
        "[steps.remind.check]\nrows = [{ paid = false }]\n[steps.remind.check.rounds.3]\nrows = [{ paid = true }]\n",
        // Never paid; the second does not go through at once, and what nobody knows stops it.
        "[steps.remind.check]\nrows = [{ paid = false }]\n[[steps.remind.rounds.2]]\nretry = \"busy\"\n[[steps.remind.rounds.2]]\nts = \"7\"\n[steps.remind.rounds.3]\nunknown = \"cut off\"\n",
        "[steps.remind.check]\nrows = [{ paid = false }]\n",
    ] {
        text.push_str(&reminded(&project, answers));
    }
    insta::assert_snapshot!(text);
    fs::remove_file(project.path("answers.toml")).unwrap();
    project.write("answers.toml", ANSWERS);
    assert_eq!(files(&project.root), before, "something was done");
}

#[test]
fn answers_that_no_round_could_give_are_refused_and_what_a_look_lacks_is_named() {
    let project = reminding();
    let mut text = String::new();
    for answers in [
        "[steps.remind]\nts = \"1\"\n",
        "[steps.remind.rounds.0]\nts = \"1\"\n",
        "[steps.remind.check]\nstatus = 200\n",
        "[steps.give_up.check]\nrows = []\n",
        "[steps.give_up.rounds.1]\nbytes = 1\n",
        "[steps.remind.items.1]\nts = \"1\"\n",
    ] {
        text.push_str(&reminded(&project, answers));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_task_that_cancels_says_which_runs_and_one_that_is_cancelled_ends() {
    let project = reminding();
    let open = "[steps.remind.check]\nrows = [{ paid = false }]\n";
    let mut text = project.session(&[
        &["test", "paid", "--event", "paid.json"],
        &["test", "paid", "--event", "other.json"],
        &["--json", "test", "paid", "--event", "paid.json"],
    ]);
    for cancelled in [
        "[cancelled]\nafter = \"20d\"\n",
        "[cancelled]\nafter = \"20d\"\nby = \"order\"\n",
        "[cancelled]\nby = \"paid\"\n",
        "[cancelled]\nwhen = \"20d\"\n",
    ] {
        text.push_str(&reminded(&project, &format!("{open}{cancelled}")));
    }
    project.write("answers.toml", "[cancelled]\nafter = \"1d\"\n");
    text.push_str(&project.session(&[&["test", "restock", "--answers", "answers.toml"]]));
    insta::assert_snapshot!(text);
}

#[test]
fn the_event_is_checked_against_what_the_trigger_gives() {
    let project = Project::new();
    let step = "\n[[step]]\nid = \"note\"\nput = { to = \"out/a.txt\", text = \"TEXT\" }\n";
    let task = |name: &str, on: &str, text: &str| {
        project.write(
            &format!("tasks/{name}.toml"),
            format!("{on}{}", step.replace("TEXT", text)),
        );
    };
    task(
        "1_out",
        "[on.release]\n",
        "{{ event.release }} {{ event.phase }}",
    );
    task(
        "daily",
        "[on.schedule]\ncron = \"0 9 * * mon-fri\"\ntimezone = \"Europe/Berlin\"\n",
        "{{ event.time }}",
    );
    task(
        "paid",
        "[on.webhook]\npath = \"/hooks/paid\"\nkey = \"event.body.id\"\nwhen = \"event.body.kind == 'paid'\"\nverify = { style = \"github\", secret = \"{{ secret.HOOK }}\" }\n",
        "{{ event.body.id }} {{ event.headers.x }}",
    );
    project.write(
        "tasks/rows.toml",
        "[on.object]\nsource = \"folder:inbox\"\nexisting = \"skip\"\n\n[[step]]\nid = \"each\"\nfor_each = { read = \"{{ event.url }}\", as = \"csv\" }\n\n  [[step.do]]\n  id = \"row\"\n  sql = { text = \"insert into t values (:a)\", bind = { a = \"{{ item.a }}\" } }\n",
    );
    project.write("inbox/a.csv", "a,b\n1,2\n3,4\n");
    let write = |name: &str, text: &str| {
        project.write(name, text);
    };
    write(
        "paid.json",
        r#"{"body": {"id": "p-1", "kind": "paid"}, "headers": {"x": "y"}}"#,
    );
    write("seen.json", r#"{"body": {"id": "p-1", "kind": "seen"}}"#);
    write("bare.json", r#"{"id": "p-1", "kind": "paid"}"#);
    write("keyless.json", r#"{"body": {"kind": "paid"}}"#);
    write("late.json", r#"{"releese": "v3"}"#);
    write("v3.json", r#"{"release": "v3"}"#);
    write("broken.json", "{");
    write(
        "large.json",
        &format!("{{\"body\": \"{}\"}}", "x".repeat(2_000_000)),
    );
    fs::write("/tmp/oncely-test-outside.csv", "a\n1\n").unwrap();
    let text = project.session(&[
        &["test", "1_out"],
        &["test", "1_out", "--event", "v3.json"],
        &["test", "1_out", "--event", "late.json"],
        &["test", "daily"],
        &["test", "daily", "--now", "2026-07-04T00:00:00Z"],
        &["test", "daily", "--now", "yesterday"],
        &["test", "paid", "--event", "paid.json"],
        &["test", "paid", "--event", "seen.json"],
        &["test", "paid", "--event", "bare.json"],
        &["test", "paid", "--event", "keyless.json"],
        &["test", "paid", "--event", "broken.json"],
        &["test", "paid", "--event", "large.json"],
        &["test", "paid", "--file", "inbox/a.csv"],
        &["test", "rows", "--file", "inbox/a.csv"],
        &["test", "rows", "--file", "/tmp/oncely-test-outside.csv"],
        &["test", "rows"],
    ]);
    fs::remove_file("/tmp/oncely-test-outside.csv").unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn rows_of_a_table_are_those_of_the_answers() {
    let project = Project::new();
    project.write(
        "tasks/1_fill.toml",
        "[on.release]\n\n[[step]]\nid = \"fill\"\nrate = \"1/h\"\nwhile = { http = { url = \"http://127.0.0.1:9/\" } }\nfor_each = { rows = \"select id, name from parts\", key = \"id\" }\n\n  [[step.do]]\n  id = \"tell\"\n  command = [\"tell\", \"{{ item.name }}\"]\n",
    );
    let mut text = project.session(&[&["test", "1_fill"]]);
    for answers in [
        "rows = [{ id = 10, name = \"bolt\" }, { id = 9, name = \"nut\" }]",
        "rows = [{ name = \"bolt\" }]",
        "done = 3",
    ] {
        project.write("answers.toml", format!("[steps.fill]\n{answers}\n"));
        text += &format!("# {answers}\n");
        text += &project.session(&[&["test", "1_fill", "--answers", "answers.toml"]]);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn programs_read_a_line_for_each_effect_and_one_for_the_end() {
    let project = shop();
    let lines = project.json(&[
        "test",
        "order",
        "--event",
        "order.json",
        "--answers",
        "answers.toml",
    ]);
    let (end, effects) = lines.split_last().unwrap();
    assert_eq!(effects.len(), 11, "{lines:#?}");
    assert_eq!(effects[0]["kind"], "http");
    assert_eq!(effects[0]["call"]["auth"]["bearer"], "<secret PAY>");
    assert_eq!(effects[0]["key"].as_str().map(str::len), Some(32));
    assert_eq!(effects[9]["item"], 2);
    assert_eq!(end["end"], "done");
    assert_eq!(end["effects"], 11);
    assert_eq!(end["outputs"]["charge"]["json"]["id"], "ch_1");
}

#[test]
fn a_model_really_predicts_and_leaves_no_copy_in_the_project() {
    let project = Project::new();
    let mut data = String::from("size,kind\n");
    for n in 0..400 {
        data.push_str(if n % 2 == 0 {
            "small,cat\n"
        } else {
            "large,horse\n"
        });
    }
    project.write("animals.csv", data);
    project
        .run(&[
            "model",
            "train",
            "animal",
            "--data",
            "animals.csv",
            "--target",
            "kind",
        ])
        .says(0, &[]);
    project.write(
        "tasks/guess.toml",
        "[on.call]\n\n[[step]]\nid = \"guess\"\npredict = { model = \"animal\", record = { size = \"{{ event.size }}\" } }\n\n[[step]]\nid = \"say\"\ncommand = [\"say\", \"{{ steps.guess.label }}\"]\n",
    );
    project.write("large.json", r#"{"size": "large"}"#);
    let before = files(&project.root);
    let test = project.run(&["test", "guess", "--event", "large.json"]);
    test.says(0, &["say horse"]);
    assert_eq!(files(&project.root), before, "something was written");
}

#[test]
fn the_example_of_the_webhook_is_tested_as_its_readme_says() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/webhook");
    let readme = fs::read_to_string(example.join("README.md")).unwrap();
    let output = std::process::Command::new(ONCELY)
        .args(["test", "order_paid", "--event", "order-7.json"])
        .current_dir(&example)
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{out}");
    assert!(
        readme.contains(out.trim()),
        "the README says otherwise than:\n{out}"
    );
}
