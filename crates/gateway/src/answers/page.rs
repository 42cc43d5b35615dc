//! The page as HTML. It needs no script and nothing from elsewhere.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use minijinja::{Environment, Value, context};
use oncely_core::question::Answer;
use oncely_core::time::Timestamp;
use oncely_engine::Opened;
use std::sync::LazyLock;

/// A page that is no template of ours is a fault of this build: its test renders each.
static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    let added = templates.add_template("answer.html", include_str!("answer.html"));
    if let Err(error) = added {
        tracing::error!("the page of answers cannot be read: {error:#}");
    }
    templates
});

/// The address holds the right to answer: it is kept by nobody and told to nobody.
const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'",
    ),
];

/// What a page is about.
pub(super) struct About<'o> {
    pub(super) opened: &'o Opened,
    /// How people know the task.
    pub(super) label: String,
}

/// A page, not yet sent.
pub(super) struct Page(Value);

impl Page {
    /// The question, with the form that answers it.
    pub(super) fn ask(about: About<'_>, problem: Option<String>) -> Self {
        let opened = about.opened;
        let until = opened.question.expires.map(moment);
        Self(context! {
            asks => true, problem, until, person => &opened.person,
            tick => &opened.question.tick, ..about.values()
        })
    }

    /// What was answered, and by whom.
    pub(super) fn answered(about: About<'_>, answer: &Answer, at: Timestamp) -> Self {
        let word = if answer.approved { "yes" } else { "no" };
        let outcome = format!("{} said {word} on {}.", answer.by, moment(at));
        Self(context! { outcome, ..about.values() })
    }

    /// A question that is asked no more.
    pub(super) fn closed(about: About<'_>) -> Self {
        let outcome = "This is asked no more. Nothing was changed.";
        Self(context! { outcome, ..about.values() })
    }

    /// Nothing but words.
    pub(super) fn words(words: &str) -> Self {
        Self(context! { outcome => words })
    }

    /// The page as an answer with this status.
    pub(super) fn with(self, status: StatusCode) -> Response {
        let page = TEMPLATES.get_template("answer.html");
        match page.and_then(|page| page.render(self.0)) {
            Ok(html) => (status, HEADERS, html).into_response(),
            Err(error) => {
                tracing::error!("a page cannot be shown: {error:#}");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

impl About<'_> {
    fn values(&self) -> Value {
        let run = &self.opened.run;
        context! {
            run => run.id.0, task => &self.label, environment => run.environment.to_string(),
            text => &self.opened.question.text,
        }
    }
}

fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(
        |_| at.0.to_string(),
        |moment| moment.strftime("%Y-%m-%d at %H:%M UTC").to_string(),
    )
}
