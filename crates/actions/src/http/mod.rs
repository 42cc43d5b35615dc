//! `http`: sends a request.
//!
//! The effect key goes with every request that may change something. Whether a request that was
//! cut off may be repeated depends on its method and on what the task declares of the other side.

mod address;
mod answer;
mod client;
mod options;
mod outcome;
mod request;
mod send;

pub use address::Allowed;
pub(crate) use outcome::words;

use crate::secret::{Secrets, Veil};
use oncely_core::Fut;
use oncely_core::action::{Action, Call, Done, Failure};
use oncely_core::fact::Repeat;
use options::Options;
use std::sync::Arc;

/// What the `http` action needs to know.
#[derive(Clone)]
pub struct HttpConfig {
    /// Addresses that may be reached although they are not public.
    pub allowed: Vec<Allowed>,
    /// Where secrets come from.
    pub secrets: Arc<dyn Secrets>,
}

/// The `http` action.
pub struct Http {
    clients: client::Clients,
    secrets: Arc<dyn Secrets>,
}

impl Http {
    /// The action. Clients are made when they are first needed.
    #[must_use]
    pub fn new(config: HttpConfig) -> Self {
        Self {
            clients: client::Clients::new(config.allowed, Arc::new(client::System)),
            secrets: config.secrets,
        }
    }

    async fn perform(&self, call: &Call) -> Result<Done, Failure> {
        let options: Options = crate::options::read(&call.options)?;
        let mut veil = Veil::default();
        let request = request::build(&options, call, self.secrets.as_ref(), &mut veil)?;
        send::send(&self.clients, request, &options, call, &veil)
            .await
            .map(Done::Output)
            .map_err(|failure| veil.failure(failure))
    }
}

impl Action for Http {
    fn repeat(&self, call: &Call) -> Repeat {
        crate::options::read::<Options>(&call.options)
            .map_or(Repeat::AskFirst, |options| options.repeat())
    }

    fn run<'a>(&'a self, call: &'a Call) -> Fut<'a, Result<Done, Failure>> {
        Box::pin(self.perform(call))
    }
}
