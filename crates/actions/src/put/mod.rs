//! `put`: writes a file, whole or not at all.

mod caught;
mod content;
mod write;

pub(crate) use caught::catch;

use crate::place::Ground;
use content::Content;
use oncely_core::action::{Action, Call, Done, Failure, Probe};
use oncely_core::fact::Repeat;
use oncely_core::{Fut, Value};
use serde::Deserialize;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use write::There;

/// What the `put` action needs to know.
#[derive(Debug, Clone, Default)]
pub struct PutConfig {
    /// The project's root, where relative paths start.
    pub root: PathBuf,
    /// Folders below which absolute paths may lie.
    pub allowed: Vec<PathBuf>,
    /// Folders that may be copied from besides, such as the spool.
    pub sources: Vec<PathBuf>,
}

/// The `put` action.
pub struct Put {
    ground: Arc<Grounds>,
}

struct Grounds {
    to: Ground,
    from: Ground,
}

#[derive(Debug, Deserialize)]
struct Options {
    to: String,
    text: Option<String>,
    json: Option<Value>,
    copy: Option<String>,
    #[serde(default)]
    if_absent: bool,
}

#[derive(Debug, Deserialize)]
struct Written {
    path: String,
    hash: String,
}

impl Put {
    /// The action.
    #[must_use]
    pub fn new(config: PutConfig) -> Self {
        let mut sources = config.allowed.clone();
        sources.extend(config.sources);
        let ground = |allowed| Ground {
            root: config.root.clone(),
            allowed,
        };
        Self {
            ground: Arc::new(Grounds {
                to: ground(config.allowed.clone()),
                from: ground(sources),
            }),
        }
    }
}

impl Grounds {
    fn content(&self, options: &Options) -> Result<Content, Failure> {
        Ok(match options {
            Options {
                copy: Some(path), ..
            } => Content::File(self.from.place(path)?),
            Options {
                text: Some(text), ..
            } => Content::Bytes(text.clone().into_bytes()),
            // A value that is null is written too.
            Options { json, .. } => Content::json(json.as_ref().unwrap_or(&Value::Null)),
        })
    }

    fn put(&self, options: &Options, temporary: &str) -> Result<Value, Failure> {
        let content = self.content(options)?;
        let to = self.to.place(&options.to)?;
        let written = write::write(&to, &content, options.if_absent, temporary)?;
        Ok(json!({
            "path": options.to,
            "bytes": written.bytes,
            "hash": written.hash.to_string(),
            "created": written.created,
        }))
    }

    /// The file says whether it was written. Whether it was there before is not known any more.
    fn look(&self, options: &Options) -> Result<Probe, Failure> {
        let content = self.content(options)?;
        let to = self.to.place(&options.to)?;
        Ok(match write::look(&to, &content)? {
            There::Nothing => Probe::DidNotHappen,
            There::Same(sum) => Probe::Happened(json!({
                "path": options.to,
                "bytes": sum.bytes,
                "hash": sum.hash.to_string(),
                "created": false,
            })),
            There::Other => Probe::CannotTell(format!(
                "{} holds something else than what was to be written",
                to.path().display()
            )),
        })
    }

    fn take_back(&self, written: &Written) -> Result<Value, Failure> {
        let removed = write::remove(&self.to.place(&written.path)?, &written.hash)?;
        Ok(json!({ "path": written.path, "removed": removed }))
    }
}

impl Action for Put {
    fn repeat(&self, _call: &Call) -> Repeat {
        Repeat::Safe
    }

    fn run<'a>(&'a self, call: &'a Call) -> Fut<'a, Result<Done, Failure>> {
        let ground = Arc::clone(&self.ground);
        Box::pin(async move {
            let options: Options = crate::options::read(&call.options)?;
            let key: String = call.key.0.chars().take(16).collect();
            let temporary = format!("oncely-{key}-{}", call.attempt);
            blocking(move || ground.put(&options, &temporary))
                .await
                .map(Done::Output)
        })
    }

    fn probe<'a>(&'a self, call: &'a Call) -> Fut<'a, Probe> {
        let ground = Arc::clone(&self.ground);
        Box::pin(async move {
            let look = async {
                let options: Options = crate::options::read(&call.options)?;
                tokio::task::spawn_blocking(move || ground.look(&options))
                    .await
                    .unwrap_or_else(|_| Err(Failure::retry("the look-up was given up by oncely")))
            };
            let found = look.await;
            found.unwrap_or_else(|failure| Probe::CannotTell(failure.error().to_owned()))
        })
    }

    fn undo<'a>(&'a self, _call: &'a Call, output: &'a Value) -> Fut<'a, Result<Value, Failure>> {
        let ground = Arc::clone(&self.ground);
        Box::pin(async move {
            let written: Written = crate::options::read(output)?;
            blocking(move || ground.take_back(&written)).await
        })
    }
}

async fn blocking(
    work: impl FnOnce() -> Result<Value, Failure> + Send + 'static,
) -> Result<Value, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Failure::retry("the file was given up by oncely")))
}
