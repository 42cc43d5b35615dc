//! The actions of a process that catches some kinds of effects.

use super::action::{Catcher, CaughtAction};
use crate::config::Config;
use crate::failure::Failure;
use crate::registry::Registry;
use oncely_actions::{Catching, Links, Tell};
use oncely_core::action::Action;
use oncely_core::link::{Link, Place};
use oncely_core::task::ActionKind;
use oncely_engine::Actions;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The actions of a process, some of which are caught.
pub(crate) struct CatchRegistry {
    real: Registry,
    kinds: BTreeSet<ActionKind>,
    catcher: Arc<Catcher>,
    tell: Arc<dyn Action>,
}

impl CatchRegistry {
    /// Everything with an effect.
    pub(crate) const ALL: [ActionKind; 7] = [
        ActionKind::Command,
        ActionKind::Http,
        ActionKind::Sql,
        ActionKind::Put,
        ActionKind::Email,
        ActionKind::Slack,
        ActionKind::Call,
    ];

    /// The actions as the configuration has them; those of `kinds` are caught, and so are the
    /// messages about questions, with these links.
    pub(crate) fn new(
        config: &Config,
        real: Registry,
        kinds: impl IntoIterator<Item = ActionKind>,
        catcher: Arc<Catcher>,
        links: Arc<dyn Links>,
    ) -> Result<Self, Failure> {
        let message = |kind| -> Result<Arc<dyn Action>, Failure> {
            let real = real.get(kind);
            let real = real.ok_or_else(|| Failure::failed(format!("there is no `{kind}` here")))?;
            Ok(Arc::new(CaughtAction {
                kind,
                real,
                catcher: Arc::clone(&catcher),
            }))
        };
        let tell = Arc::new(Tell {
            links,
            people: Arc::clone(&config.people.value),
            email: message(ActionKind::Email)?,
            slack: message(ActionKind::Slack)?,
        });
        Ok(Self {
            real,
            kinds: kinds.into_iter().collect(),
            catcher,
            tell,
        })
    }
}

impl Actions for CatchRegistry {
    fn get(&self, kind: ActionKind) -> Option<Arc<dyn Action>> {
        if kind == ActionKind::Approve {
            return Some(Arc::clone(&self.tell));
        }
        let real = self.real.get(kind)?;
        if !self.kinds.contains(&kind) {
            return Some(real);
        }
        Some(Arc::new(CaughtAction {
            kind,
            real,
            catcher: Arc::clone(&self.catcher),
        }))
    }
}

/// What catching calls needs to know of the configuration.
pub(crate) fn catching(config: &Config) -> Catching {
    let mut allowed = config.put_allow.clone();
    allowed.push(config.spool.value.clone());
    let own = "ledger".to_owned();
    let databases = config.databases.keys().cloned();
    Catching {
        root: config.root.clone(),
        from: config.email.from.clone(),
        databases: databases.chain([own]).collect(),
        allowed,
    }
}

/// No page answers in a test.
pub(crate) struct NoLinks;

impl Links for NoLinks {
    fn url(&self, _link: &Link, _place: Place<'_>) -> Option<String> {
        None
    }
}
