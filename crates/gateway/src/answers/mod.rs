//! The page behind a signed link: it shows what a run asks, and answers it. Only a POST answers:
//! programs that look into mails follow links.

mod form;
mod page;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use form::Form;
use oncely_core::ids::TaskId;
use oncely_core::link::LinkKey;
use oncely_engine::{Became, LinkError, Opened, People, PeopleError};
use page::{About, Page};
use std::sync::Arc;

/// Where the pages are; a link's text follows.
pub const ANSWER: &str = "/answer/";

/// What the pages need.
pub struct Answers {
    /// Takes the answers.
    pub people: People,
    /// Tells our links from others.
    pub key: LinkKey,
    /// How people know a task.
    pub label: Label,
}

/// How people know a task.
pub type Label = Box<dyn Fn(&TaskId) -> String + Send + Sync>;

/// The pages, as a part of the gateway.
pub fn answers(answers: Answers) -> Router {
    Router::new()
        .route(&format!("{ANSWER}{{link}}"), get(show).post(take))
        .with_state(Arc::new(answers))
}

async fn show(State(answers): State<Arc<Answers>>, Path(link): Path<String>) -> Response {
    match answers.people.open(&answers.key, &link).await {
        Ok(opened) => answers.shown(&opened),
        Err(error) => refused(&error),
    }
}

async fn take(
    State(answers): State<Arc<Answers>>,
    Path(link): Path<String>,
    body: Bytes,
) -> Response {
    let opened = match answers.people.open(&answers.key, &link).await {
        Ok(opened) => opened,
        Err(error) => return refused(&error),
    };
    match &opened.became {
        Became::Open => answers.answer(&link, &opened, &body).await,
        Became::Answered(answer, at) => {
            let about = answers.about(&opened);
            Page::answered(about, answer, *at).with(StatusCode::CONFLICT)
        }
        Became::Closed => Page::closed(answers.about(&opened)).with(StatusCode::GONE),
    }
}

impl Answers {
    fn about<'o>(&self, opened: &'o Opened) -> About<'o> {
        let label = (self.label)(&opened.run.task);
        About { opened, label }
    }

    fn shown(&self, opened: &Opened) -> Response {
        let about = self.about(opened);
        match &opened.became {
            Became::Open => Page::ask(about, None).with(StatusCode::OK),
            Became::Answered(answer, at) => Page::answered(about, answer, *at).with(StatusCode::OK),
            Became::Closed => Page::closed(about).with(StatusCode::GONE),
        }
    }

    async fn answer(&self, link: &str, opened: &Opened, body: &[u8]) -> Response {
        let form = match Form::read(body, &opened.question.tick) {
            Ok(form) => form,
            Err(why) => {
                return Page::ask(self.about(opened), Some(why)).with(StatusCode::BAD_REQUEST);
            }
        };
        let Form {
            approved,
            note,
            ticked,
        } = form;
        let answered = self.people.answer_by_link(opened, approved, &note, ticked);
        match answered.await {
            // Relative, so that a proxy may have put the pages under a path of its own.
            Ok(_) => (StatusCode::SEE_OTHER, [(LOCATION, link.to_owned())]).into_response(),
            Err(error) => self.not_taken(link, opened, &error).await,
        }
    }

    /// An answer that does not count: what is asked now is shown, and why it did not.
    async fn not_taken(&self, link: &str, opened: &Opened, error: &PeopleError) -> Response {
        if let PeopleError::Ledger(error) = error {
            return refused(&LinkError::Ledger(error.clone()));
        }
        match self.people.open(&self.key, link).await {
            Ok(now) if now.became == Became::Open => {
                let page = Page::ask(self.about(opened), Some(error.to_string()));
                page.with(StatusCode::UNPROCESSABLE_ENTITY)
            }
            Ok(now) => {
                let mut response = self.shown(&now);
                *response.status_mut() = StatusCode::CONFLICT;
                response
            }
            Err(error) => refused(&error),
        }
    }
}

fn refused(error: &LinkError) -> Response {
    let status = match error {
        LinkError::NotOurs => StatusCode::NOT_FOUND,
        LinkError::Expired { .. } => StatusCode::GONE,
        LinkError::NotAllowed(..) => StatusCode::FORBIDDEN,
        LinkError::Ledger(error) => {
            tracing::warn!("a page cannot be shown: {error}");
            let words = "The ledger does not answer. Nothing was changed. Try again in a minute.";
            return Page::words(words).with(StatusCode::SERVICE_UNAVAILABLE);
        }
    };
    Page::words(&format!("{error}.")).with(status)
}
