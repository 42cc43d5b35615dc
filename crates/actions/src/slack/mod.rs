//! `slack`: sends a message to a channel of Slack, by `chat.postMessage` or an incoming webhook.
//!
//! Slack recognises no key, so that a request that was cut off once it was sent is unknown. What
//! Slack refuses it says in a word, which becomes an error with what helps.

mod answer;
mod caught;
mod options;
mod place;

use crate::http::{Allowed, Caller, HttpConfig, Options as Request};
use crate::secret::{Secrets, Veil};
pub(crate) use caught::catch;
use oncely_core::Fut;
use oncely_core::action::{Action, Call, Done, Failure};
use oncely_core::fact::Repeat;
use options::Options;
use place::Place;
pub use place::SlackApi;
use std::sync::Arc;

/// What the `slack` action needs to know.
#[derive(Clone)]
pub struct SlackConfig {
    /// Where Slack's methods are.
    pub api: SlackApi,
    /// Addresses that webhooks may have although they are not public.
    pub allowed: Vec<Allowed>,
    /// Where tokens and webhooks come from.
    pub secrets: Arc<dyn Secrets>,
}

/// The `slack` action.
pub struct Slack {
    api: SlackApi,
    caller: Caller,
}

impl Slack {
    /// The action.
    #[must_use]
    pub fn new(config: SlackConfig) -> Self {
        let SlackConfig {
            api,
            mut allowed,
            secrets,
        } = config;
        // The operator chose it, wherever it leads.
        allowed.push(api.allowed());
        Self {
            api,
            caller: Caller::new(HttpConfig { allowed, secrets }),
        }
    }

    async fn perform(&self, call: &Call, veil: &mut Veil) -> Result<Done, Failure> {
        let options: Options = crate::options::read(&call.options)?;
        let message = options.message()?;
        let place = Place::of(options, &self.api, self.caller.secrets.as_ref(), veil)?;
        let request = Request::post(place.url, message, place.auth);
        let answer = self.caller.send(&request, call, veil).await?;
        let output = match place.webhook {
            true => answer::of_webhook(answer, &request, veil),
            false => answer::of_method(answer, &request, veil),
        };
        output.map(Done::Output)
    }
}

impl Action for Slack {
    fn repeat(&self, _call: &Call) -> Repeat {
        Repeat::AskFirst
    }

    fn run<'a>(&'a self, call: &'a Call) -> Fut<'a, Result<Done, Failure>> {
        Box::pin(async move {
            let mut veil = Veil::default();
            let done = self.perform(call, &mut veil).await;
            done.map_err(|failure| veil.failure(failure))
        })
    }
}
