//! The project of one kind: its task, its databases, and where the others listen.

use super::kinds::{Kind, Medium, Start};
use super::tasks;
use super::world::{Heard, Name, Ports};
use crate::crash::{Oncely, Trouble, look};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The project on disk.
pub(super) struct Stage {
    pub(super) oncely: Oncely,
}

/// The lease of the trial's processes: one that is stopped is given up after it.
const LEASE: &str = "1s";

const EFFECTS: &str =
    "create table if not exists effects (what text not null, id text not null, item text not null);
    create table if not exists things (n integer primary key);
    insert or ignore into things values (1), (2), (3);";

impl Stage {
    /// Makes it in a folder of its own.
    pub(super) fn make(
        root: &Path,
        kind: &Kind,
        ports: Ports,
        oncely: &Oncely,
    ) -> Result<Self, Trouble> {
        let oncely = Oncely {
            root: root.canonicalize()?,
            ..oncely.clone()
        };
        let stage = Self { oncely };
        for folder in ["tasks", "events", "inbox", "out", "models"] {
            fs::create_dir_all(stage.path(folder))?;
        }
        stage.configure(kind, ports)?;
        stage.task("setup", tasks::SETUP, ports)?;
        stage.task(kind.name, kind.task, ports)?;
        if kind.name == "call" {
            stage.task("http", tasks::HTTP, ports)?;
        }
        let database = rusqlite::Connection::open(stage.results())?;
        database.pragma_update(None, "journal_mode", "wal")?;
        database.execute_batch(EFFECTS)?;
        fs::write(stage.path("things.csv"), "n\n1\n2\n3\n")?;
        fs::write(stage.path("events/setup"), "{\"id\":\"1\"}")?;
        let event = stage.path("events/setup").display().to_string();
        stage.oncely.must(&["call", "setup", "--event", &event])?;
        if kind.medium == Medium::Nothing {
            stage.train()?;
        }
        Ok(stage)
    }

    fn configure(&self, kind: &Kind, ports: Ports) -> Result<(), Trouble> {
        let mut text = format!(
            "environment = \"trial\"\n[db.results]\nsqlite = \"results.db\"\n\
             [http]\nallow = [\"127.0.0.1:{0}\"]\n[limits]\nlease = \"{LEASE}\"\n\
             [slack]\napi = \"http://127.0.0.1:{0}/slack\"\n\
             [email]\nserver = \"smtp://127.0.0.1:{1}\"\ntls = \"none\"\nfrom = \"trial@example.com\"\n",
            ports.http, ports.mail
        );
        if kind.start == Start::Hook {
            text.push_str("[gateway]\nlisten = \"127.0.0.1:0\"\n");
        }
        Ok(fs::write(self.path("oncely.toml"), text)?)
    }

    fn task(&self, name: &str, text: &str, ports: Ports) -> Result<(), Trouble> {
        let text = text
            .replace("@RETRY@", tasks::RETRY)
            .replace("@PORT@", &ports.http.to_string())
            .replace("@SAYS_do@", &tasks::says("do"))
            .replace("@SAYS_undo@", &tasks::says("undo"));
        Ok(fs::write(self.path(&format!("tasks/{name}.toml")), text)?)
    }

    /// A model of two columns.
    fn train(&self) -> Result<(), Trouble> {
        let mut text = String::from("age,city,buys\n");
        for n in 0..200 {
            let city = if n % 3 == 0 { "Bern" } else { "Basel" };
            let buys = u8::from(n % 50 > 20 || city == "Bern");
            let _ = writeln!(text, "{},{city},{buys}", n % 50);
        }
        fs::write(self.path("data.csv"), text)?;
        let train = [
            "model", "train", "shop", "--data", "data.csv", "--target", "buys",
        ];
        let status = self
            .oncely
            .command()?
            .current_dir(&self.oncely.root)
            .args(train)
            .status()?;
        match status.success() {
            true => Ok(()),
            false => Err(Trouble(format!("`oncely model train` ended with {status}"))),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.oncely.root.join(name)
    }

    pub(super) fn ledger(&self) -> PathBuf {
        self.path(".oncely/ledger.db")
    }

    pub(super) fn results(&self) -> PathBuf {
        self.path("results.db")
    }

    /// What programs wrote down.
    pub(super) fn lines(&self) -> Result<Vec<Heard>, Trouble> {
        let path = self.path("commands.log");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(path)?;
        Ok(text.lines().filter_map(line).collect())
    }

    /// How often each row is there, in the application's database and in the ledger's.
    pub(super) fn rows(&self) -> Result<BTreeMap<Name, u64>, Trouble> {
        let mut rows = BTreeMap::new();
        for path in [self.results(), self.ledger()] {
            let database = look(&path)?;
            let text = "select what, id, item, count(*) from effects group by what, id, item";
            let mut statement = database.prepare(text)?;
            let found = statement.query_map([], |row| {
                let name: Name = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok((name, row.get::<_, i64>(3)?.unsigned_abs()))
            })?;
            for found in found {
                let (name, times) = found?;
                *rows.entry(name).or_default() += times;
            }
        }
        Ok(rows)
    }

    /// The file that a `put` step of an event makes, if it is there.
    pub(super) fn file(&self, id: &str) -> Option<String> {
        fs::read_to_string(self.path(&format!("out/{id}.json"))).ok()
    }
}

/// A line `do KEY ATTEMPT EVENT`.
fn line(text: &str) -> Option<Heard> {
    let words: Vec<&str> = text.split(' ').collect();
    let [what, key, _attempt, event] = words.as_slice() else {
        return None;
    };
    Some(Heard {
        name: ((*what).to_owned(), (*event).to_owned(), String::new()),
        key: (*key).to_owned(),
        body: String::new(),
        taken: true,
    })
}
