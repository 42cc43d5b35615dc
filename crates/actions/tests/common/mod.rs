//! What the tests of all actions share: calls, the three ways in which every action is tested, a
//! server that records, a server that cuts off.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(crate) mod rig;
pub(crate) mod server;
pub(crate) mod smtp;

use oncely_actions::{
    Allowed, Command, CommandConfig, Http, HttpConfig, Secrets, Slack, SlackApi, SlackConfig,
    Supervisor,
};
use oncely_core::Value;
use oncely_core::action::{Action, Call, Done, Failure, Site};
use oncely_core::effect::EffectKey;
use oncely_core::ids::{Fence, Generation, RunId};
use oncely_core::time::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The secret of all tests, with everything in it that could slip through a cover.
pub(crate) const SECRET: &str = "s3cr\"et/ü 77777";

/// Gives one secret, `TOKEN`.
pub(crate) struct OneSecret;

impl Secrets for OneSecret {
    fn get(&self, name: &str) -> Option<String> {
        (name == "TOKEN").then(|| SECRET.to_owned())
    }
}

/// The password of the mail server.
pub(crate) const PASSWORD: &str = SECRET;

/// Gives one secret, `EMAIL_PASSWORD`.
pub(crate) struct MailPassword;

impl Secrets for MailPassword {
    fn get(&self, name: &str) -> Option<String> {
        (name == "EMAIL_PASSWORD").then(|| PASSWORD.to_owned())
    }
}

/// The token of the Slack app.
pub(crate) const TOKEN: &str = "xoxb-0000-hush";

/// Gives these secrets.
pub(crate) struct Given(Vec<(&'static str, String)>);

impl Given {
    /// What a Slack that listens at this port wants.
    pub(crate) fn slack(port: u16) -> Self {
        let hook = "services/T00000000/B00000000/hushhushhush";
        Self(vec![
            ("SLACK_TOKEN", TOKEN.to_owned()),
            ("OTHER", "other-token".to_owned()),
            ("SLACK_WEBHOOK", format!("http://127.0.0.1:{port}/{hook}\n")),
        ])
    }
}

impl Secrets for Given {
    fn get(&self, name: &str) -> Option<String> {
        let found = self.0.iter().find(|(one, _)| *one == name);
        found.map(|(_, value)| value.clone())
    }
}

/// A `slack` action whose Slack listens at this port.
pub(crate) fn slack(port: u16) -> Slack {
    Slack::new(SlackConfig {
        api: SlackApi::parse(&format!("http://127.0.0.1:{port}/api")).unwrap(),
        allowed: vec![],
        secrets: Arc::new(Given::slack(port)),
    })
}

/// A call with these options.
pub(crate) fn call(options: Value) -> Call {
    Call {
        options,
        key: EffectKey("0123456789abcdef0123456789abcdef".into()),
        attempt: 1,
        timeout: Duration::from_secs(30),
        first_intent: Timestamp(0),
        site: Arc::new(Site {
            environment: "production".into(),
            task: "welcome".into(),
            event: "customer-1".into(),
            generation: Generation::FIRST,
            run: RunId(7),
            fence: Fence(3),
            step: "mail".into(),
            ledger: "ledger-a".into(),
            depth: 0,
        }),
        input: Arc::new(serde_json::json!({
            "event": { "id": 1 }, "steps": {}, "run": { "id": 7 },
        })),
    }
}

/// The next attempt of a call.
pub(crate) fn again(call: &Call) -> Call {
    let mut again = call.clone();
    again.attempt += 1;
    again
}

/// Runs a call that is to give an output.
pub(crate) async fn output(action: &dyn Action, call: &Call) -> Value {
    match action.run(call).await {
        Ok(Done::Output(value)) => value,
        other => panic!("no output: {other:?}"),
    }
}

/// Runs a call that is to fail.
pub(crate) async fn failure(action: &dyn Action, call: &Call) -> Failure {
    match action.run(call).await {
        Err(failure) => failure,
        done => panic!("no failure: {done:?}"),
    }
}

/// A `command` action that works below `root`.
pub(crate) fn command(root: &Path) -> Command {
    Command::new(CommandConfig {
        root: root.to_owned(),
        scripts: root.join(".scripts"),
        supervisor: Supervisor {
            program: env!("CARGO_BIN_EXE_oncely-actions-helper").into(),
            args: vec!["supervise".into()],
        },
        secrets: Arc::new(OneSecret),
    })
}

/// An `http` action that may reach this machine.
pub(crate) fn http() -> Http {
    http_allowing(&["127.0.0.1", "localhost"])
}

/// An `http` action that may reach these.
pub(crate) fn http_allowing(allowed: &[&str]) -> Http {
    let allowed = allowed.iter().map(|one| Allowed::parse(one).unwrap());
    Http::new(HttpConfig {
        allowed: allowed.collect(),
        secrets: Arc::new(OneSecret),
    })
}
