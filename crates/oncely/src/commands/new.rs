//! `oncely new NAME`: a task file that works as it is.

use crate::cli::{Lang, New, On};
use crate::config::{Config, Flags};
use crate::failure::{Exit, Failure, io};
use crate::output::Voice;
use jiff::Timestamp;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub(crate) fn run(voice: Voice, flags: &Flags, args: &New) -> Result<Exit, Failure> {
    let config = Config::load(flags)?;
    let name = checked(&args.name)?;
    if args.on != On::Release && !matches!(args.lang, Lang::Toml) {
        return Err(Failure::usage(
            "a script is started by releases; --on object, schedule, webhook and call need --lang toml, whose \
             steps may run a script. Nothing was written.",
        ));
    }
    let folder = config.tasks_folder();
    fs::create_dir_all(&folder).map_err(io(&folder))?;
    let stem = match args.on {
        On::Release => format!("{}_{name}", version(&folder)?),
        On::Object | On::Schedule | On::Webhook | On::Call => name.clone(),
    };
    let file = format!("{stem}.{}", ending(args.lang));
    let path = folder.join(&file);
    let title = args
        .description
        .clone()
        .unwrap_or_else(|| name.replace('_', " "));
    let text = text(args, &name, &title, config.root.join("bin/rails").is_file());
    write(&path, &text, args.lang)?;
    let shown = format!("{}/{file}", config.tasks.value.display());
    voice.record(&serde_json::json!({ "made": shown }));
    voice.say(format!("Made {shown}."));
    voice.say(format!("Next: {}", next(args.on, &name)));
    Ok(Exit::Done)
}

/// What to do with a task that was made.
fn next(on: On, name: &str) -> String {
    match on {
        On::Release => "oncely plan".into(),
        On::Object | On::Schedule => "oncely check, then oncely serve".into(),
        On::Webhook => {
            "oncely check, `[gateway] listen` in oncely.toml, the secret, then oncely serve".into()
        }
        On::Call => {
            format!(r#"oncely check, then echo '{{"id": "1"}}' | oncely call {name} --event -"#)
        }
    }
}

fn checked(name: &str) -> Result<String, Failure> {
    let name = name.trim().replace(['-', ' '], "_").to_lowercase();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let begins = name.chars().next().is_some_and(|c| c.is_ascii_lowercase());
    if begins && name.chars().all(fits) && name.len() <= 100 {
        return Ok(name);
    }
    Err(Failure::usage(format!(
        "`{name}` is no name for a task: it begins with a letter and has letters, digits and _ \
         only, at most 100. Nothing was written."
    )))
}

/// The time, a second later as long as another task has it.
fn version(folder: &Path) -> Result<String, Failure> {
    let mut at = Timestamp::now();
    for _ in 0..3600 {
        let version = at.strftime("%Y%m%d%H%M%S").to_string();
        if !taken(folder, &version) {
            return Ok(version);
        }
        at = at
            .checked_add(jiff::SignedDuration::from_secs(1))
            .map_err(|e| Failure::failed(format!("the clock cannot be used: {e}")))?;
    }
    Err(Failure::failed(
        "every version of the next hour is taken; name the file by hand.",
    ))
}

fn taken(folder: &Path, version: &str) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries
        .flatten()
        .any(|e| e.file_name().to_string_lossy().starts_with(version))
}

fn ending(lang: Lang) -> &'static str {
    match lang {
        Lang::Toml => "toml",
        Lang::Sh => "sh",
        Lang::Py => "py",
        Lang::Rb => "rb",
        Lang::Js => "js",
        Lang::Sql => "sql",
    }
}

fn write(path: &Path, text: &str, lang: Lang) -> Result<(), Failure> {
    if path.exists() {
        let path = path.display();
        return Err(Failure::usage(format!(
            "{path} is there already; nothing was written."
        )));
    }
    fs::write(path, text).map_err(io(path))?;
    if !matches!(lang, Lang::Toml | Lang::Sql) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(io(path))?;
    }
    Ok(())
}

fn text(args: &New, name: &str, title: &str, rails: bool) -> String {
    let quoted = toml_text(title);
    match (args.lang, args.on) {
        (Lang::Toml, On::Release) => release(&quoted),
        (Lang::Toml, On::Object) => object(&quoted),
        (Lang::Toml, On::Schedule) => schedule(&quoted),
        (Lang::Toml, On::Webhook) => webhook(&quoted, &name.replace('_', "-")),
        (Lang::Toml, On::Call) => call(&quoted),
        (Lang::Sh, _) => script(
            "#!/bin/sh -e",
            "#",
            &quoted,
            "echo \"Hello from $ONCELY_TASK in $ONCELY_ENVIRONMENT\"",
        ),
        (Lang::Py, _) => script(
            "#!/usr/bin/env python3",
            "#",
            &quoted,
            "import os\n\nprint(\"Hello from\", os.environ[\"ONCELY_TASK\"])",
        ),
        (Lang::Rb, _) => {
            let first = if rails {
                "#!/usr/bin/env -S bin/rails runner"
            } else {
                "#!/usr/bin/env ruby"
            };
            script(
                first,
                "#",
                &quoted,
                "puts \"Hello from #{ENV[\"ONCELY_TASK\"]}\"",
            )
        }
        (Lang::Js, _) => script(
            "#!/usr/bin/env node",
            "//",
            &quoted,
            "console.log(\"Hello from\", process.env.ONCELY_TASK);",
        ),
        (Lang::Sql, _) => sql(&quoted),
    }
}

fn toml_text(text: &str) -> String {
    toml::Value::String(text.replace(['\n', '\r'], " ")).to_string()
}

fn release(title: &str) -> String {
    format!(
        r#"title = {title}

[on.release]
phase = "after"                       # before | after the new version takes traffic

[[step]]
id      = "hello"
command = ["echo", "Hello from {{{{ event.environment }}}}"]
"#
    )
}

fn object(title: &str) -> String {
    format!(
        r#"title = {title}

[on.object]
source   = "folder:inbox"
match    = "*.csv"
existing = "run"                      # run | skip what is there already

[[step]]
id      = "look"
command = ["wc", "-l", "{{{{ event.path }}}}"]
"#
    )
}

fn schedule(title: &str) -> String {
    format!(
        r#"title = {title}

[on.schedule]
cron     = "0 9 * * MON-FRI"          # or every = "15m"
timezone = "UTC"                      # such as "Europe/Berlin"
missed   = "last"                     # all | last | none: ticks while no server was running

[[step]]
id      = "hello"
command = ["echo", "It is {{{{ event.time }}}}"]
"#
    )
}

fn webhook(title: &str, path: &str) -> String {
    format!(
        r#"title = {title}

[on.webhook]
path = "/hooks/{path}"
key  = "event.body.id"                # the same when it is sent again

  [on.webhook.verify]
  style  = "hmac"                     # or github, stripe, slack, shopify, token
  header = "X-Signature"
  secret = "{{{{ secret.HOOK }}}}"        # a list while one is replaced by another

[[step]]
id      = "hello"
command = ["echo", "Hello {{{{ event.body.id }}}}"]
"#
    )
}

fn call(title: &str) -> String {
    format!(
        r#"title = {title}

[on.call]
key = "event.id"

[[step]]
id      = "hello"
command = ["echo", "Hello {{{{ event.id }}}}"]
"#
    )
}

fn script(first: &str, comment: &str, title: &str, body: &str) -> String {
    format!("{first}\n{comment} /// oncely\n{comment} title = {title}\n{comment} ///\n\n{body}\n")
}

fn sql(title: &str) -> String {
    format!(
        "-- /// oncely\n-- title = {title}\n-- db = \"ledger\"\n-- ///\n\n\
         create table if not exists greetings (text text not null);\n\
         insert into greetings (text) values ('hello');\n"
    )
}
