//! `http`: sends a request.
//!
//! The effect key goes with every request that may change something. Whether a request that was
//! cut off may be repeated depends on its method and on what the task declares of the other side.

mod address;
mod answer;
mod caught;
mod client;
mod options;
mod outcome;
mod request;
mod send;

pub use address::Allowed;
pub(crate) use answer::Answer;
pub(crate) use caught::catch;
pub(crate) use options::{Auth, Options};
pub(crate) use outcome::{judge, patience, words};

use crate::secret::{Secrets, Veil};
use oncely_core::Fut;
use oncely_core::action::{Action, Call, Done, Failure};
use oncely_core::fact::Repeat;
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
    caller: Caller,
}

/// Sends requests for an action: to addresses that may be reached, within the time of the call, and
/// with answers read to a bound.
pub(crate) struct Caller {
    clients: client::Clients,
    pub(crate) secrets: Arc<dyn Secrets>,
}

impl Caller {
    /// Clients are made when they are first needed.
    pub(crate) fn new(config: HttpConfig) -> Self {
        Self {
            clients: client::Clients::new(config.allowed, Arc::new(client::System)),
            secrets: config.secrets,
        }
    }

    /// Sends a request with its effect key. Gives the answer, whatever it says.
    pub(crate) async fn send(
        &self,
        options: &Options,
        call: &Call,
        veil: &mut Veil,
    ) -> Result<Answer, Failure> {
        let request = request::build(options, call, self.secrets.as_ref(), veil)?;
        send::send(&self.clients, request, options, call).await
    }
}

impl Http {
    /// The action. Clients are made when they are first needed.
    #[must_use]
    pub fn new(config: HttpConfig) -> Self {
        Self {
            caller: Caller::new(config),
        }
    }

    async fn perform(&self, call: &Call) -> Result<Done, Failure> {
        let options: Options = crate::options::read(&call.options)?;
        let mut veil = Veil::default();
        let answer = self.caller.send(&options, call, &mut veil).await;
        answer
            .and_then(|answer| judge(answer, &options, options.repeat(), &veil))
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

    /// A request that is safe to repeat, by its method.
    fn look<'a>(&'a self, call: &'a Call) -> Fut<'a, Result<(), Failure>> {
        Box::pin(async move {
            if self.repeat(call) != Repeat::Safe {
                return Err(Failure::permanent("a look is a GET or HEAD request"));
            }
            self.perform(call).await.map(drop)
        })
    }
}
