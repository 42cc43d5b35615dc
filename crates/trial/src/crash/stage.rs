//! The project of the crash test: a task for each way in which an effect can be made.

use super::trouble::Trouble;
use std::fs;
use std::path::{Path, PathBuf};

/// The project on disk.
pub(crate) struct Stage {
    pub(crate) root: PathBuf,
}

/// Where a stage's `http` steps go stands in place of this.
const PORT: &str = "@PORT@";

const RETRY: &str = "retry = { attempts = 50, first = \"50ms\", max = \"500ms\" }";

const TASKS: &[(&str, &str)] = &[
    (
        "rows",
        r#"title = "A row for each record, a summary under a key, a receipt"
[on.object]
source   = "folder:inbox"
match    = "*.csv"
existing = "run"
[[step]]
id       = "store"
for_each = { read = "{{ event.url }}", as = "csv" }
@RETRY@
  [[step.do]]
  id = "row"
    [step.do.sql]
    db   = "results"
    text = "insert into rows (object, item, word) values (:object, :item, :word)"
    bind = { object = "{{ event.name }}", item = "{{ item.n }}", word = "{{ item.word }}" }
[[step]]
id = "tell"
@RETRY@
  [step.http]
  method       = "POST"
  url          = "http://127.0.0.1:@PORT@/rows/tell"
  json         = { id = "{{ event.name }}", rows = "{{ steps.store.done }}", at = "{{ now }}" }
  key_honoured = "24h"
[[step]]
id = "receipt"
  [step.put]
  to   = "out/{{ event.name }}.json"
  json = { id = "{{ event.name }}", rows = "{{ steps.store.done }}" }
"#,
    ),
    (
        "slow",
        r#"title = "Rows whose words are worked out one by one"
[on.object]
source   = "folder:slow"
match    = "*.csv"
existing = "run"
[[step]]
id       = "store"
for_each = { read = "{{ event.url }}", as = "csv" }
@RETRY@
  [[step.do]]
  id = "row"
    [step.do.sql]
    db   = "results"
    text = "insert into rows (object, item, word) values (:object, :item, :word)"
    bind = { object = "{{ event.name }}", item = "{{ item.n }}", word = "{{ item.word ~ '-' ~ item.n }}" }
"#,
    ),
    (
        "orders",
        r#"title = "Four steps, each recognised when it is repeated"
[on.call]
key = "event.id"
[[step]]
id = "bill"
@RETRY@
  [step.http]
  method       = "POST"
  url          = "http://127.0.0.1:@PORT@/orders/bill"
  json         = { id = "{{ event.id }}", at = "{{ now }}" }
  key_honoured = "24h"
[[step]]
id = "book"
@RETRY@
  [step.sql]
  db   = "results"
  text = "insert into rows (object, item, word) values (:object, 1, 'order')"
  bind = { object = "{{ event.id }}" }
[[step]]
id = "paper"
  [step.put]
  to   = "out/{{ event.id }}.json"
  json = { id = "{{ event.id }}" }
[[step]]
id = "log"
@RETRY@
  [step.command]
  shell        = 'sleep 0.02; printf "log %s %s %s\n" "$ONCELY_KEY" "$ONCELY_ATTEMPT" "$ONCELY_EVENT_KEY" >> commands.log; sleep 0.02'
  key_honoured = "24h"
"#,
    ),
    (
        "letters",
        r#"title = "A request that nobody recognises when it comes again"
[on.call]
key = "event.id"
[[step]]
id = "send"
  [step.http]
  method = "POST"
  url    = "http://127.0.0.1:@PORT@/letters/send"
  json   = { id = "{{ event.id }}", at = "{{ now }}" }
"#,
    ),
    (
        "notes",
        r#"title = "A program that nobody recognises when it comes again"
[on.call]
key = "event.id"
[[step]]
id = "note"
  [step.command]
  shell = 'sleep 0.04; printf "note %s %s %s\n" "$ONCELY_KEY" "$ONCELY_ATTEMPT" "$ONCELY_EVENT_KEY" >> commands.log; sleep 0.03'
"#,
    ),
    (
        "chain",
        r#"title = "A harmless program, then another task"
[on.call]
key = "event.id"
[[step]]
id = "look"
@RETRY@
  [step.command]
  shell = 'printf "look %s %s %s\n" "$ONCELY_KEY" "$ONCELY_ATTEMPT" "$ONCELY_EVENT_KEY" >> commands.log'
  safe  = true
[[step]]
id   = "next"
call = { task = "tally", key = "{{ event.id }}", event = { id = "{{ event.id }}" } }
"#,
    ),
    (
        "tally",
        r#"title = "A row in the commit of its own record"
[on.call]
key = "event.id"
[[step]]
id = "count"
  [step.sql]
  db   = "ledger"
  text = "insert into tallies (id) values (:id)"
  bind = { id = "{{ event.id }}" }
"#,
    ),
    (
        "batch",
        r#"title = "A recognised request for each item"
[on.call]
key = "event.id"
[[step]]
id       = "each"
for_each = "event.items"
@RETRY@
  [[step.do]]
  id = "item"
    [step.do.http]
    method       = "POST"
    url          = "http://127.0.0.1:@PORT@/batch/item"
    json         = { id = "{{ event.id }}", item = "{{ item }}", at = "{{ now }}" }
    key_honoured = "24h"
"#,
    ),
    (
        "mails",
        r#"title = "A request for each item that nobody recognises when it comes again"
[on.call]
key = "event.id"
[[step]]
id       = "each"
for_each = "event.items"
  [[step.do]]
  id = "item"
    [step.do.http]
    method = "POST"
    url    = "http://127.0.0.1:@PORT@/mails/item"
    json   = { id = "{{ event.id }}", item = "{{ item }}" }
"#,
    ),
    (
        "pings",
        r#"title = "A recognised request, and no more"
[on.call]
key = "event.id"
[[step]]
id = "ping"
@RETRY@
  [step.http]
  method       = "POST"
  url          = "http://127.0.0.1:@PORT@/pings/ping"
  json         = { id = "{{ event.id }}", at = "{{ now }}" }
  key_honoured = "24h"
"#,
    ),
    (
        "papers",
        r#"title = "A file, and no more"
[on.call]
key = "event.id"
[[step]]
id = "paper"
  [step.put]
  to   = "out/{{ event.id }}.json"
  json = { id = "{{ event.id }}" }
"#,
    ),
    (
        "setup",
        r#"title = "The table of tallies, in the ledger's own file"
[on.call]
key = "event.id"
[[step]]
id  = "table"
sql = { db = "ledger", text = "create table tallies (id text not null)" }
"#,
    ),
];

impl Stage {
    /// Makes the project in a folder that is there and empty.
    pub(crate) fn make(root: &Path, port: u16, lease: &str) -> Result<Self, Trouble> {
        let root = root.canonicalize()?;
        for folder in ["inbox", "slow", "tasks", "out", "events"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let config = format!(
            "environment = \"trial\"\n[db.results]\nsqlite = \"results.db\"\n\
             [http]\nallow = [\"127.0.0.1:{port}\"]\n[limits]\nlease = \"{lease}\"\n"
        );
        fs::write(root.join("oncely.toml"), config)?;
        write_tasks(&root, port, &[])?;
        // No unique index: a row that is written twice is there twice, and is counted.
        let database = rusqlite::Connection::open(root.join("results.db"))?;
        database.pragma_update(None, "journal_mode", "wal")?;
        database.execute_batch(
            "create table rows (object text not null, item integer not null, word text not null)",
        )?;
        Ok(Self { root })
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.root.join(".oncely/ledger.db")
    }

    pub(crate) fn results(&self) -> PathBuf {
        self.root.join("results.db")
    }
}

/// Writes the task files, but for some.
pub(crate) fn write_tasks(root: &Path, port: u16, except: &[&str]) -> Result<(), Trouble> {
    for (name, text) in TASKS.iter().filter(|(name, _)| !except.contains(name)) {
        let text = text
            .replace("@RETRY@", RETRY)
            .replace(PORT, &port.to_string());
        fs::write(root.join(format!("tasks/{name}.toml")), text)?;
    }
    Ok(())
}
