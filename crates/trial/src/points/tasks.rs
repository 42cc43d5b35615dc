//! The task of each kind. Every effect says `do` or `undo`, and of which event and item it is.

pub(super) const COMMAND: &str = r#"
[on.call]
key = "event.id"
[[step]]
id = "act"
@RETRY@
  [step.command]
  shell        = '@SAYS_do@'
  env          = { ID = "{{ event.id }}" }
  key_honoured = "24h"
  [step.undo.command]
  shell        = '@SAYS_undo@'
  env          = { ID = "{{ event.id }}" }
  key_honoured = "24h"
"#;

pub(super) const COMMAND_UNKEYED: &str = r#"
[on.call]
key = "event.id"
[[step]]
id = "act"
@RETRY@
  [step.command]
  shell = '@SAYS_do@'
  env   = { ID = "{{ event.id }}" }
  [step.undo.command]
  shell = '@SAYS_undo@'
  env   = { ID = "{{ event.id }}" }
"#;

pub(super) const HTTP: &str = r#"
[on.call]
key = "event.id"
[[step]]
id = "act"
@RETRY@
  [step.http]
  method       = "POST"
  url          = "http://127.0.0.1:@PORT@/do"
  json         = { id = "{{ event.id }}", at = "{{ now }}" }
  key_honoured = "24h"
  [step.undo.http]
  method       = "POST"
  url          = "http://127.0.0.1:@PORT@/undo"
  json         = { id = "{{ event.id }}" }
  key_honoured = "24h"
"#;

pub(super) const HTTP_UNKEYED: &str = r#"
[on.call]
key = "event.id"
[[step]]
id = "act"
@RETRY@
  [step.http]
  method = "POST"
  url    = "http://127.0.0.1:@PORT@/do"
  json   = { id = "{{ event.id }}", at = "{{ now }}" }
  [step.undo.http]
  method = "POST"
  url    = "http://127.0.0.1:@PORT@/undo"
  json   = { id = "{{ event.id }}" }
"#;

pub(super) const HTTP_LOOKED_UP: &str = r#"
[on.call]
key = "event.id"
[[step]]
id    = "act"
undo  = "never"
probe = { http = { url = "http://127.0.0.1:@PORT@/seen/{{ event.id }}" }, happened = "output.json.seen" }
  [step.http]
  method = "POST"
  url    = "http://127.0.0.1:@PORT@/do"
  json   = { id = "{{ event.id }}" }
"#;

pub(super) const SQL_LEDGER: &str = r#"
[on.call]
key = "event.id"
[[step]]
id = "act"
@RETRY@
  [step.sql]
  db   = "ledger"
  text = "insert into effects (what, id, item) values ('do', :id, '')"
  bind = { id = "{{ event.id }}" }
  [step.undo.sql]
  db   = "ledger"
  text = "insert into effects (what, id, item) values ('undo', :id, '')"
  bind = { id = "{{ event.id }}" }
"#;

pub(super) const SQL: &str = r#"
[on.call]
key = "event.id"
[[step]]
id = "act"
@RETRY@
  [step.sql]
  db   = "results"
  text = "insert into effects (what, id, item) values ('do', :id, '')"
  bind = { id = "{{ event.id }}" }
  [step.undo.sql]
  db   = "results"
  text = "insert into effects (what, id, item) values ('undo', :id, '')"
  bind = { id = "{{ event.id }}" }
"#;

pub(super) const PUT: &str = r#"
[on.call]
key = "event.id"
[[step]]
id = "act"
@RETRY@
  [step.put]
  to   = "out/{{ event.id }}.json"
  json = { id = "{{ event.id }}" }
"#;

pub(super) const EMAIL: &str = r#"
[on.call]
key = "event.id"
[[step]]
id = "act"
@RETRY@
  [step.email]
  to      = "somebody@example.com"
  subject = "do {{ event.id }}"
  text    = "It is done."
  [step.undo.email]
  to      = "somebody@example.com"
  subject = "undo {{ event.id }}"
  text    = "It is taken back."
"#;

pub(super) const SLACK: &str = r##"
[on.call]
key = "event.id"
[[step]]
id = "act"
@RETRY@
  [step.slack]
  channel = "#trial"
  text    = "do {{ event.id }}"
  [step.undo.slack]
  channel = "#trial"
  text    = "undo {{ event.id }}"
"##;

pub(super) const PREDICT: &str = r#"
[on.call]
key = "event.id"
[[step]]
id = "act"
@RETRY@
  [step.predict]
  model  = "shop"
  record = { age = "30", city = "Bern" }
"#;

pub(super) const REQUIRE: &str = r#"
[on.call]
key = "event.id"
[[step]]
id      = "may"
require = "event.id != ''"
[[step]]
id = "act"
@RETRY@
  [step.http]
  method       = "POST"
  url          = "http://127.0.0.1:@PORT@/do"
  json         = { id = "{{ event.id }}" }
  key_honoured = "24h"
"#;

pub(super) const APPROVE: &str = r#"
[on.call]
key = "event.id"
[[step]]
id      = "ask"
approve = "Do {{ event.id }}?"
[[step]]
id = "act"
@RETRY@
  [step.http]
  method       = "POST"
  url          = "http://127.0.0.1:@PORT@/do"
  json         = { id = "{{ event.id }}" }
  key_honoured = "24h"
"#;

pub(super) const ROWS: &str = r#"
[on.call]
key = "event.id"
[[step]]
id       = "act"
for_each = { read = "things.csv", as = "csv" }
@RETRY@
  [[step.do]]
  id = "row"
    [step.do.sql]
    db   = "results"
    text = "insert into effects (what, id, item) values ('do', :id, :item)"
    bind = { id = "{{ event.id }}", item = "{{ item.n }}" }
"#;

pub(super) const EACH_SQL: &str = r#"
[on.call]
key = "event.id"
[[step]]
id       = "act"
for_each = "event.items"
@RETRY@
  [[step.do]]
  id = "row"
    [step.do.sql]
    db   = "results"
    text = "insert into effects (what, id, item) values ('do', :id, :item)"
    bind = { id = "{{ event.id }}", item = "{{ item }}" }
"#;

pub(super) const EACH: &str = r#"
[on.call]
key = "event.id"
[[step]]
id       = "act"
for_each = "event.items"
@RETRY@
  [[step.do]]
  id = "one"
  @RETRY@
    [step.do.http]
    method       = "POST"
    url          = "http://127.0.0.1:@PORT@/do"
    json         = { id = "{{ event.id }}", item = "{{ item }}" }
    key_honoured = "24h"
"#;

pub(super) const EACH_UNKEYED: &str = r#"
[on.call]
key = "event.id"
[[step]]
id       = "act"
for_each = "event.items"
  [[step.do]]
  id = "one"
    [step.do.http]
    method = "POST"
    url    = "http://127.0.0.1:@PORT@/do"
    json   = { id = "{{ event.id }}", item = "{{ item }}" }
"#;

pub(super) const TABLE: &str = r#"
[on.call]
key = "event.id"
[[step]]
id       = "act"
for_each = { rows = "select n from things", key = "n", db = "results" }
@RETRY@
  [[step.do]]
  id = "one"
    [step.do.http]
    method       = "POST"
    url          = "http://127.0.0.1:@PORT@/do"
    json         = { id = "{{ event.id }}", item = "{{ item.n }}" }
    key_honoured = "24h"
"#;

pub(super) const ROUNDS: &str = r#"
[on.call]
key = "event.id"
[[step]]
id    = "act"
every = "1s"
times = 2
@RETRY@
  [step.http]
  method       = "POST"
  url          = "http://127.0.0.1:@PORT@/do"
  json         = { id = "{{ event.id }}", item = "{{ round }}" }
  key_honoured = "24h"
"#;

pub(super) const CALL: &str = r#"
[on.call]
key = "event.id"
[[step]]
id   = "act"
call = { task = "http", key = "{{ event.id }}", event = { id = "{{ event.id }}" } }
"#;

pub(super) const FILE: &str = r#"
[on.object]
source   = "folder:inbox"
match    = "*.txt"
existing = "run"
[[step]]
id = "act"
@RETRY@
  [step.http]
  method       = "POST"
  url          = "http://127.0.0.1:@PORT@/do"
  json         = { id = "{{ event.name }}" }
  key_honoured = "24h"
"#;

pub(super) const HOOK: &str = r#"
[on.webhook]
path   = "/hooks/trial"
verify = "none"
key    = "event.body.id"
[[step]]
id = "act"
@RETRY@
  [step.http]
  method       = "POST"
  url          = "http://127.0.0.1:@PORT@/do"
  json         = { id = "{{ event.body.id }}" }
  key_honoured = "24h"
"#;

/// The table of a task's own in the ledger's file.
pub(super) const SETUP: &str = r#"
[on.call]
key = "event.id"
[[step]]
id  = "table"
sql = { db = "ledger", text = "create table if not exists effects (what text not null, id text not null, item text not null)" }
"#;

/// Known failures are tried again soon.
pub(super) const RETRY: &str = r#"retry = { attempts = 9, first = "20ms", max = "50ms" }"#;

/// What a program writes down; it says no at the first attempt of an event that is to be retried.
pub(super) fn says(what: &str) -> String {
    format!(
        "case \"$ID\" in retry*) [ \"$ONCELY_ATTEMPT\" = 1 ] && exit 75;; esac; \
         printf \"{what} %s %s %s\\n\" \"$ONCELY_KEY\" \"$ONCELY_ATTEMPT\" \"$ID\" >> commands.log"
    )
}
