//! The JSON Schema of task files agrees with the reader.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "world/texts.rs"]
mod texts;

use oncely_core::task::{json_schema, load};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

const GOOD: &[&str] = &[
    "on.schedule = { cron = \"0 9 * * MON-FRI\", timezone = \"Europe/Berlin\", missed = \"none\" }\n[[step]]\ncommand = \"x\"\n",
    "tags = [\"nightly\"]\nenvironments = [\"production\"]\non.call = {}\n[[step]]\ncommand = \"x\"\n",
    "on.schedule = { every = \"15m\" }\n[[step]]\ncommand = \"x\"\n",
    "on.webhook = { path = \"/hooks/a/b\", verify = \"none\", key = \"event.body.id\", when = \"event.query.a\" }\n[[step]]\ncommand = \"x\"\n",
    "on.webhook = { path = \"/hooks/a\", verify = { style = \"slack\", secret = [\"{{ secret.A }}\", \"{{secret.B}}\"], tolerance = \"2m\" } }\n[[step]]\ncommand = \"x\"\n",
    "on.webhook = { path = \"/hooks/a\", key = \"event.body.id\", verify = { style = \"hmac\", secret = \"{{ secret.A }}\", header = \"X-Own\", digest = \"sha512\", encoding = \"base64\", prefix = \"v1=\" } }\n[[step]]\ncommand = \"x\"\n",
    "on.call = {}\ncancel_on = { task = \"paid\", key = \"event.id\" }\n[[step]]\ncommand = \"x\"\n",
    "on.call = {}\n[[cancel_on]]\ntask = \"paid\"\nkey = \"event.id\"\n[[step]]\ncommand = \"x\"\n",
    "on.call = {}\n[[step]]\ncommand = \"x\"\nevery = \"14d\"\ntimes = 12\n",
    "on.call = {}\n[[step]]\ncommand = \"x\"\nevery = \"1h\"\nfor = \"7d\"\nuntil = \"check.rows\"\ncheck = { sql = { db = \"shop\", text = \"select 1\" } }\n",
    include_str!("tasks/score_census.toml"),
    include_str!("tasks/invoice.toml"),
    include_str!("tasks/every_option.toml"),
];

/// Each with one fault that a schema can see.
const BAD: &[&str] = &[
    "on.call = {}\n",
    "title = 3\non.call = {}\n[[step]]\ncommand = \"x\"\n",
    "tags = \"x\"\non.call = {}\n[[step]]\ncommand = \"x\"\n",
    "titel = \"x\"\non.call = {}\n[[step]]\ncommand = \"x\"\n",
    "on.mail = {}\n[[step]]\ncommand = \"x\"\n",
    "on.call = {}\non.object = { source = \"folder:x\" }\n[[step]]\ncommand = \"x\"\n",
    "on.schedule = {}\n[[step]]\ncommand = \"x\"\n",
    "on.schedule = { cron = \"0 9 * * *\", every = \"1h\" }\n[[step]]\ncommand = \"x\"\n",
    "on.schedule = { every = \"1h\", missed = \"some\" }\n[[step]]\ncommand = \"x\"\n",
    "on.webhook = { verify = \"none\", key = \"1\" }\n[[step]]\ncommand = \"x\"\n",
    "on.webhook = { path = \"/hooks/a\", key = \"1\" }\n[[step]]\ncommand = \"x\"\n",
    "on.webhook = { path = \"/a\", verify = \"none\", key = \"1\" }\n[[step]]\ncommand = \"x\"\n",
    "on.webhook = { path = \"/hooks/a\", verify = \"never\", key = \"1\" }\n[[step]]\ncommand = \"x\"\n",
    "on.webhook = { path = \"/hooks/a\", verify = { style = \"github\" } }\n[[step]]\ncommand = \"x\"\n",
    "on.webhook = { path = \"/hooks/a\", verify = { style = \"github\", secret = \"abc\" } }\n[[step]]\ncommand = \"x\"\n",
    "on.webhook = { path = \"/hooks/a\", verify = { style = \"gitlab\", secret = \"{{ secret.A }}\" } }\n[[step]]\ncommand = \"x\"\n",
    "on.webhook = { path = \"/hooks/a\", key = \"1\", verify = { style = \"hmac\", secret = \"{{ secret.A }}\", header = \"a b\" } }\n[[step]]\ncommand = \"x\"\n",
    "on.webhook = { path = \"/hooks/a\", key = \"1\", verify = { style = \"hmac\", secret = \"{{ secret.A }}\", digest = \"md5\" } }\n[[step]]\ncommand = \"x\"\n",
    "on.webhook = { path = \"/hooks/a\", key = \"1\", verify = { style = \"hmac\", secret = \"{{ secret.A }}\", encoding = \"utf8\" } }\n[[step]]\ncommand = \"x\"\n",
    "on.object = {}\n[[step]]\ncommand = \"x\"\n",
    "on.object = { source = \"s3://x\" }\n[[step]]\ncommand = \"x\"\n",
    "on.object = { source = \"folder:x\", existing = \"runn\" }\n[[step]]\ncommand = \"x\"\n",
    "on.schedule = { every = \"15 minutes\" }\n[[step]]\ncommand = \"x\"\n",
    "on.webhook = { path = \"/hooks/a\", verify = { style = \"slack\", secret = \"{{ secret.A }}\", tolerance = \"2 minutes\" } }\n[[step]]\ncommand = \"x\"\n",
    "on.call = {}\nlimits = { running = 0 }\n[[step]]\ncommand = \"x\"\n",
    "on.call = {}\nid = \"a b\"\n[[step]]\ncommand = \"x\"\n",
    "on.call = {}\nenvironments = []\n[[step]]\ncommand = \"x\"\n",
    "on.call = {}\n[[step]]\ncommand = \"x\"\non_unknown = \"retry\"\n",
    "on.call = {}\n[[step]]\ncommand = \"x\"\nprobe = { command = { args = [\"y\"], safe = true } }\n",
    "on.call = {}\n[[step]]\ncommand = \"x\"\nretry = { attempts = 0 }\n",
    "on.call = {}\n[[step]]\ncommand = \"x\"\nretry = { first = \"soon\" }\n",
    "on.call = {}\n[[step]]\napprove = { text = \"x\", by = \"a\", tell = \"sms\" }\n",
    "on.call = {}\n[[step]]\napprove = { text = \"x\", by = [\"a\", \"a\"] }\n",
    "on.call = {}\n[[step]]\nfor_each = \"event.a\"\nbatch = 0\ndo = [{ command = \"x\" }]\n",
    "on.call = {}\n[[step]]\nfor_each = \"event.a\"\nwhile = { command = \"x\" }\ndo = [{ command = \"x\" }]\n",
    "on.call = {}\n[[step]]\nfor_each = { read = \"in/x\", as = \"csv\", columns = [\"a\", \"a\"] }\ndo = [{ command = \"x\" }]\n",
    "on.call = {}\n[[step]]\ncommand = \"x\"\nretry = 3\n",
    "on.call = {}\n[[step]]\ncommand = \"x\"\nrate = \"5/s\"\n",
    "on.call = {}\n[[step]]\nfor_each = \"event.a\"\nrate = \"5/d\"\ndo = [{ command = \"x\" }]\n",
    "on.call = {}\n[[step]]\nfor_each = { rows = \"select 1\" }\ndo = [{ command = \"x\" }]\n",
    "on.call = {}\n[[step]]\nfor_each = { rows = \"select {{ event.a }}\", key = \"id\" }\ndo = [{ command = \"x\" }]\n",
    "on.call = {}\n[[step]]\ncommand = \"x\"\ntimeout = \"5 minutes\"\n",
    "on.call = {}\n[[step]]\ncommand = \"x\"\nundo = \"nevr\"\n",
    "on.call = {}\n[[step]]\ncommand = \"x\"\nundo = { approve = \"x\" }\n",
    "on.call = {}\n[[step]]\ncommand = \"echo {{ event.x }}\"\n",
    "on.call = {}\n[[step]]\ncommand = { args = [\"x\"], shell = \"x\" }\n",
    "on.call = {}\n[[step]]\ncommand = { cwd = \"x\" }\n",
    "on.call = {}\n[[step]]\ncommand = { args = [\"x\"], env = { \"a-b\" = \"\" } }\n",
    "on.call = {}\n[[step]]\ncommand = \"x\"\nrequire = \"true\"\n",
    "on.call = {}\n[[step]]\nid = \"A\"\ncommand = \"x\"\n",
    "on.call = {}\n[[step]]\nhttp = { url = \"https://x.example/\", method = \"post\" }\n",
    "on.call = {}\n[[step]]\nhttp = { url = \"https://{{ event.x }}/\" }\n",
    "on.call = {}\n[[step]]\nhttp = { url = \"https://x.example/\", json = 1, body = \"x\" }\n",
    "on.call = {}\n[[step]]\nhttp = { json = 1 }\n",
    "on.call = {}\n[[step]]\nemail = { to = \"a\", subject = \"x\" }\n",
    "on.call = {}\n[[step]]\nemail = { to = \"a\", subject = \"x\", text = \"x\", template = \"mails/x\" }\n",
    "on.call = {}\n[[step]]\nemail = { to = [1], subject = \"x\", text = \"x\" }\n",
    "on.call = {}\n[[step]]\nslack = { text = \"x\" }\n",
    "on.call = {}\n[[step]]\nslack = { channel = \"x\" }\n",
    "on.call = {}\n[[step]]\nslack = { text = \"x\", webhook = \"https://x.example/\" }\n",
    "on.call = {}\n[[step]]\nput = { to = \"/etc/x\", text = \"x\" }\n",
    "on.call = {}\ncancel_on = []\n[[step]]\ncommand = \"x\"\n",
    "on.call = {}\ncancel_on = { task = \"paid\" }\n[[step]]\ncommand = \"x\"\n",
    "on.call = {}\n[[step]]\ncommand = \"x\"\ntimes = 12\n",
    "on.call = {}\n[[step]]\ncommand = \"x\"\nevery = \"1h\"\ntimes = 0\n",
    "on.call = {}\n[[step]]\ncommand = \"x\"\nevery = \"1h\"\ntimes = 2\nuntil = \"round\"\ncheck = { put = { to = \"a/b\", text = \"\" } }\n",
    "on.call = {}\n[[step]]\nfor_each = \"event.x\"\n",
    "on.call = {}\n[[step]]\ndo = [{ command = \"x\" }]\n",
    "on.call = {}\n[[step]]\nfor_each = \"event.x\"\ndo = [{ approve = \"x\" }]\n",
    "on.call = {}\n[[step]]\nfor_each = { read = \"in/x\", as = \"xml\" }\ndo = [{ command = \"x\" }]\n",
];

/// The headers of release tasks that are read, and some with one fault that a schema can see.
const RELEASES: &[(&str, bool)] = &[
    ("", true),
    ("on.release = {}\n", true),
    (
        "on.release = { phase = \"before\", every = true, independent = true }\n",
        true,
    ),
    ("on.release = { phase = \"befor\" }\n", false),
    ("on.release = { every = \"1d\" }\n", false),
    ("on.release = { independent = \"yes\" }\n", false),
    ("on.release = { path = \"/hooks/a\" }\n", false),
];

fn json(text: &str) -> Value {
    serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap()
}

fn loads(text: &str) -> Result<(), String> {
    loads_at("tasks/t.toml", text)
}

fn loads_at(path: &str, text: &str) -> Result<(), String> {
    texts::read(&texts::bundle(path, text)).map(drop)
}

#[test]
fn the_schema_is_a_schema() {
    assert!(jsonschema::meta::is_valid(&json_schema()));
}

#[test]
fn what_the_reader_takes_the_schema_takes() {
    let schema = jsonschema::validator_for(&json_schema()).unwrap();
    for text in GOOD {
        loads(text).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        let errors: Vec<_> = schema
            .iter_errors(&json(text))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:?}\n{text}");
    }
}

#[test]
fn what_the_schema_refuses_the_reader_refuses() {
    let schema = jsonschema::validator_for(&json_schema()).unwrap();
    for text in BAD {
        assert!(loads(text).is_err(), "the reader takes:\n{text}");
        assert!(!schema.is_valid(&json(text)), "the schema takes:\n{text}");
    }
}

#[test]
fn what_a_release_task_may_say_is_the_same_to_both() {
    let schema = jsonschema::validator_for(&json_schema()).unwrap();
    for (head, good) in RELEASES {
        let text = format!("{head}[[step]]\ncommand = \"x\"\n");
        let read = loads_at("tasks/20261122101500_x.toml", &text);
        assert_eq!(read.is_ok(), *good, "the reader: {read:?}\n{text}");
        assert_eq!(schema.is_valid(&json(&text)), *good, "the schema:\n{text}");
    }
}

#[test]
fn everything_in_the_schema_is_explained() {
    let schema = json_schema();
    for (name, action) in schema["$defs"].as_object().unwrap() {
        let tables = action["anyOf"].as_array().into_iter().flatten();
        for (key, option) in tables
            .filter_map(|form| form["properties"].as_object())
            .flatten()
        {
            let explained = option.get("description").is_some() || option.get("$ref").is_some();
            assert!(explained, "{name}.{key}");
        }
    }
}

proptest! {
    /// Whatever stands in a file: it is read, or every fault can be shown at its place.
    #[test]
    fn no_damage_to_a_file_is_a_panic(
        which in 0..GOOD.len(), cuts in prop::collection::vec((any::<Index>(), 0_usize..12), 0..4),
        put in "[\\[\\]{}\"'=.,#é\n a-c0-9]{0,6}", place in any::<Index>(), script in any::<bool>(),
    ) {
        let mut chars: Vec<char> = GOOD[which].chars().collect();
        for (at, length) in cuts {
            let at = at.index(chars.len());
            chars.drain(at..(at + length).min(chars.len()));
        }
        let place = place.index(chars.len());
        chars.splice(place..place, put.chars());
        let mut text: String = chars.into_iter().collect();
        if script {
            text = format!("#!/bin/sh\n# /// oncely\n# {}\n# ///\n", text.replace('\n', "\n# "));
        }
        let path = if script { "tasks/t.sh" } else { "tasks/t.toml" };
        let bundle = texts::script(path, &text);
        for error in load(&bundle).err().unwrap_or_default() {
            prop_assert!(!error.render(&bundle.text, false).is_empty());
            prop_assert!(bundle.text.get(error.span.clone()).is_some());
        }
    }
}
