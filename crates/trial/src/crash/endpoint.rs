//! The other side of every `http` step: keeps each request as it came and recognises nothing.

use super::trouble::Trouble;
use crate::check::Request;
use crate::dice::Dice;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;

/// The recording endpoint.
#[derive(Clone)]
pub(crate) struct Endpoint {
    kept: Arc<Mutex<Kept>>,
    /// Where it listens.
    pub(crate) port: u16,
}

struct Kept {
    requests: Vec<Request>,
    dice: Dice,
    /// Who is told of the next request, which is not answered.
    caught: Option<oneshot::Sender<()>>,
}

/// How long a request that was caught is left without an answer, in milliseconds: longer than a step
/// waits for one.
const CAUGHT_MS: u64 = 60_000;

/// Longest wait for a request that is to be caught.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longest delay of an answer, in milliseconds, so that kills fall between effect and outcome.
const DELAY_MS: u64 = 60;

impl Endpoint {
    /// Starts it on a free port of the loopback address.
    pub(crate) async fn start(seed: u64) -> Result<Self, Trouble> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let kept = Arc::new(Mutex::new(Kept {
            requests: Vec::new(),
            dice: Dice::new(seed),
            caught: None,
        }));
        let app = axum::Router::new()
            .fallback(axum::routing::any(keep))
            .with_state(Arc::clone(&kept));
        tokio::spawn(async move {
            // It ends with the test.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { kept, port })
    }

    /// Everything that came in, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.kept().requests.clone()
    }

    /// Leaves the next request without an answer and tells when it is there: whoever is killed then is
    /// killed while an effect is in flight, however fast or slow the machine is.
    pub(crate) fn catch(&self) -> impl Future<Output = Result<(), Trouble>> + use<> {
        let (tell, told) = oneshot::channel();
        self.kept().caught = Some(tell);
        async {
            match tokio::time::timeout(PATIENCE, told).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(Trouble("the server makes no request".into())),
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes down first and answers later, as others do.
async fn keep(
    State(kept): State<Arc<Mutex<Kept>>>,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> &'static str {
    let key = headers.get("idempotency-key").and_then(|v| v.to_str().ok());
    let request = Request {
        path: uri.path().to_owned(),
        key: key.unwrap_or_default().to_owned(),
        body,
        at_ms: now_ms(),
    };
    let delay = {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.requests.push(request);
        if kept.caught.take().is_some_and(|tell| tell.send(()).is_ok()) {
            CAUGHT_MS
        } else if kept.dice.once_in(3) {
            0
        } else {
            kept.dice.between(1, DELAY_MS)
        }
    };
    tokio::time::sleep(Duration::from_millis(delay)).await;
    "{\"kept\":true}"
}

/// The time, as the ledger's facts have it.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
