//! Sends a request, follows redirects as far as the task allows, and reads the answer.

use super::answer::{self, Answer};
use super::client::Clients;
use super::options::Options;
use super::outcome::Trouble;
use super::request::Request;
use oncely_core::action::{Call, Failure};
use oncely_core::fact::Repeat;
use oncely_core::points::{self, Point};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, TRANSFER_ENCODING};
use reqwest::{Method, Response};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// Gives the answer, whatever it says.
pub(crate) async fn send(
    clients: &Clients,
    request: Request,
    options: &Options,
    call: &Call,
) -> Result<Answer, Failure> {
    let mut hop = Hop {
        clients,
        options,
        request,
        until: Instant::now() + call.timeout,
        total: call.timeout,
        repeat: options.repeat(),
        arrived: false,
    };
    let mut followed = 0;
    loop {
        let response = hop.send().await?;
        points::pass(Point::HttpAnswered);
        match redirect(&response, options, followed)? {
            Some(target) => hop.follow(response.status().as_u16(), target)?,
            None => return hop.read(response).await,
        }
        followed += 1;
    }
}

/// One request on its way; after a redirect another.
struct Hop<'a> {
    clients: &'a Clients,
    options: &'a Options,
    request: Request,
    until: Instant,
    total: Duration,
    repeat: Repeat,
    /// It was answered with "look over there": what the task wanted has happened, or may have.
    arrived: bool,
}

impl Hop<'_> {
    async fn send(&self) -> Result<Response, Failure> {
        let connect = self.options.connect_timeout(self.total);
        let fresh = self.repeat == Repeat::AskFirst;
        let client = self
            .clients
            .client(&self.request.url, connect, fresh)
            .map_err(|failure| self.after_arrival(failure))?;
        let mut sent = client
            .request(self.request.method.clone(), self.request.url.clone())
            .headers(self.request.headers.clone());
        if let Some(body) = &self.request.body {
            sent = sent.body(body.clone());
        }
        let first_byte = Instant::now() + connect + self.options.first_byte_timeout();
        let response = tokio::time::timeout_at(first_byte.min(self.until), sent.send()).await;
        let trouble = match response {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => Trouble::sending(&error),
            Err(_) => Trouble::silent(first_byte < self.until, self.options, self.total),
        };
        Err(self.after_arrival(trouble.failure(self.repeat)))
    }

    async fn read(&self, response: Response) -> Result<Answer, Failure> {
        let status = response.status().as_u16();
        let reading = tokio::time::timeout_at(self.until, answer::read(response)).await;
        let trouble = match reading {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Trouble::reading(status, &error),
            Err(_) => Trouble::slow(status, self.total),
        };
        Err(self.after_arrival(trouble.failure(self.repeat)))
    }

    /// Nothing that goes wrong on the way of redirects unmakes that the first request arrived.
    fn after_arrival(&self, failure: Failure) -> Failure {
        match (self.arrived, self.repeat) {
            (true, Repeat::AskFirst | Repeat::WithKey { .. }) => Failure::unknown(format!(
                "the request was answered with a redirect, and then: {}",
                failure.error()
            )),
            _ => failure,
        }
    }

    fn follow(&mut self, status: u16, target: Url) -> Result<(), Failure> {
        let from = &self.request.url;
        if from.scheme() == "https" && target.scheme() != "https" {
            return Err(Failure::permanent(format!(
                "{} redirects from https to http, which is not followed",
                from.host_str().unwrap_or_default()
            )));
        }
        if from.origin() != target.origin() {
            for name in &self.request.private {
                self.request.headers.remove(name);
            }
        }
        let as_get = match status {
            303 => self.request.method != Method::HEAD,
            301 | 302 => self.request.method == Method::POST,
            _ => false,
        };
        if as_get {
            self.arrived = true;
            self.request.method = Method::GET;
            self.request.body = None;
            for name in [CONTENT_TYPE, CONTENT_LENGTH, TRANSFER_ENCODING] {
                self.request.headers.remove(name);
            }
            self.request.headers.remove("idempotency-key");
        }
        self.request.url = target;
        Ok(())
    }
}

/// Where the answer sends us, if we are to go there.
fn redirect(response: &Response, options: &Options, followed: u32) -> Result<Option<Url>, Failure> {
    let status = response.status().as_u16();
    let moved = matches!(status, 301 | 302 | 303 | 307 | 308);
    if !moved || options.redirects == 0 || options.expects(status) {
        return Ok(None);
    }
    if followed >= options.redirects {
        return Err(Failure::permanent(format!(
            "redirected more often than `redirects` = {} allows",
            options.redirects
        )));
    }
    let location = response.headers().get(LOCATION);
    let target = location.and_then(|to| response.url().join(to.to_str().ok()?).ok());
    match target {
        Some(target) => Ok(Some(target)),
        None => Err(Failure::permanent(format!(
            "the answer {status} redirects to no address that could be read"
        ))),
    }
}
