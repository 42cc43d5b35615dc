//! What the `email` action promises, against a real mail server on this machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::rig::{Expected, kind};
use common::smtp::{At, Does, Post, Taken, email};
use common::{PASSWORD, again, call, failure, output};
use oncely_actions::{Email, EmailConfig, MailServer, NoSecrets, Tls};
use oncely_core::Value;
use oncely_core::action::{Action as _, Call, Failure};
use oncely_core::fact::Repeat;
use oncely_core::time::Timestamp;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn mail() -> Value {
    json!({"to": "ann@example.com", "subject": "Hello", "text": "Hi Ann.\n"})
}

fn with(more: Value) -> Value {
    let mut options = mail();
    let more = more.as_object().unwrap().clone();
    options.as_object_mut().unwrap().extend(more);
    options
}

/// A call whose first attempt was on 5 March 2026.
fn mailing(options: Value) -> Call {
    Call {
        first_intent: Timestamp(1_772_700_000_000),
        ..call(options)
    }
}

async fn sent(options: Value) -> (Value, Taken) {
    let (post, root) = (Post::start().await, tempfile::tempdir().unwrap());
    let output = output(&post.email(root.path()), &mailing(options)).await;
    let mut taken = post.taken();
    assert_eq!(taken.len(), 1);
    (output, taken.remove(0))
}

async fn fails(options: Value) -> Failure {
    let (post, root) = (Post::start().await, tempfile::tempdir().unwrap());
    let failed = failure(&post.email(root.path()), &mailing(options)).await;
    assert!(post.taken().is_empty());
    failed
}

/// How an attempt ends with a server that does this at this point.
async fn scripted(at: At, does: Does) -> (Failure, Post) {
    let post = Post::start().await;
    post.does(at, does);
    let server = MailServer {
        user: Some("shop".into()),
        ..post.server()
    };
    let mut call = mailing(mail());
    if does == Does::Hangs {
        call.timeout = Duration::from_millis(300);
    }
    let failed = failure(&email(server, Path::new("/")), &call).await;
    (failed, post)
}

fn masked(failure: &Failure, post: &Post) -> String {
    failure.error().replace(&post.port.to_string(), "PORT")
}

#[tokio::test]
async fn a_mail_is_what_the_step_says() {
    let (output, taken) = sent(mail()).await;
    insta::assert_snapshot!(output, @r#"{"message_id":"<0123456789abcdef0123456789abcdef@example.com>","recipients":1,"bytes":273,"response":"250 taken as 4711"}"#);
    assert_eq!(taken.from, "shop@example.com");
    assert_eq!(taken.to, ["ann@example.com"]);
    insta::assert_snapshot!(taken.text, @r#"
Message-ID: <0123456789abcdef0123456789abcdef@example.com>
Date: Thu, 05 Mar 2026 08:40:00 +0000
From: Shop <shop@example.com>
Subject: Hello
To: ann@example.com
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 7bit

Hi Ann.
"#);
}

#[tokio::test]
async fn everybody_is_named_to_the_server_once_and_bcc_in_no_header() {
    let (output, taken) = sent(with(json!({
        "to": ["Ann <ann@example.com>", "ben@example.com"], "cc": "cem@example.com",
        "bcc": ["dora@example.com", "ann@example.com"], "from": "Änne <boss@example.org>",
        "reply_to": "desk@example.com", "in_reply_to": "<1@example.com>",
    })))
    .await;
    assert_eq!(output["recipients"], 4);
    assert_eq!(output["message_id"], format!("<{KEY}@example.org>"));
    let to = ["ann", "ben", "cem", "dora"].map(|name| format!("{name}@example.com"));
    assert_eq!(taken.to, to);
    assert_eq!(taken.from, "boss@example.org");
    assert!(!taken.text.contains("dora"), "{}", taken.text);
    insta::assert_snapshot!(taken.text, @r#"
Message-ID: <0123456789abcdef0123456789abcdef@example.org>
Date: Thu, 05 Mar 2026 08:40:00 +0000
From: =?utf-8?b?w4RubmU=?= <boss@example.org>
Subject: Hello
To: Ann <ann@example.com>, ben@example.com
Cc: cem@example.com
Reply-To: desk@example.com
In-Reply-To: <1@example.com>
References: <1@example.com>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 7bit

Hi Ann.
"#);
}

#[tokio::test]
async fn text_and_html_stand_beside_one_another_and_files_below() {
    let (post, root) = (Post::start().await, tempfile::tempdir().unwrap());
    std::fs::create_dir(root.path().join("out")).unwrap();
    std::fs::write(root.path().join("out/a.csv"), "a;b\n1;2\n").unwrap();
    let options = with(json!({"html": "<p>Grüße</p>", "attachments": ["out/a.csv"]}));
    output(&post.email(root.path()), &mailing(options)).await;
    insta::assert_snapshot!(post.taken()[0].text, @r#"
Message-ID: <0123456789abcdef0123456789abcdef@example.com>
Date: Thu, 05 Mar 2026 08:40:00 +0000
From: Shop <shop@example.com>
Subject: Hello
To: ann@example.com
MIME-Version: 1.0
Content-Type: multipart/mixed;
 boundary="oncely-mixed-0123456789abcdef0123456789abcdef"

--oncely-mixed-0123456789abcdef0123456789abcdef
Content-Type: multipart/alternative;
 boundary="oncely-either-0123456789abcdef0123456789abcdef"

--oncely-either-0123456789abcdef0123456789abcdef
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 7bit

Hi Ann.

--oncely-either-0123456789abcdef0123456789abcdef
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<p>Gr=C3=BC=C3=9Fe</p>
--oncely-either-0123456789abcdef0123456789abcdef--
--oncely-mixed-0123456789abcdef0123456789abcdef
Content-Disposition: attachment; filename="a.csv"
Content-Type: text/csv
Content-Transfer-Encoding: base64

YTtiCjE7Mgo=
--oncely-mixed-0123456789abcdef0123456789abcdef--
"#);
}

#[tokio::test]
async fn every_attempt_carries_the_same_bytes() {
    let (post, root) = (Post::start().await, tempfile::tempdir().unwrap());
    let action = post.email(root.path());
    let call = mailing(with(json!({"html": "<p>x</p>"})));
    assert_eq!(action.repeat(&call), Repeat::AskFirst);
    let first = output(&action, &call).await;
    let second = output(&action, &again(&call)).await;
    assert_eq!(first, second);
    assert_eq!(post.taken()[0], post.taken()[1]);
}

#[tokio::test]
async fn a_line_that_is_a_dot_does_not_end_the_mail() {
    let (_, taken) = sent(with(json!({"text": "one\n.\n..two\nQUIT\n"}))).await;
    assert!(
        taken.text.contains("one\n.\n..two\nQUIT\n"),
        "{}",
        taken.text
    );
}

#[tokio::test]
async fn nothing_in_a_text_or_a_file_can_be_taken_for_the_end_of_the_mail() {
    let (post, root) = (Post::start().await, tempfile::tempdir().unwrap());
    for odd in ["", "\u{0}", "ü"] {
        let text = format!("x\n.\nMAIL FROM:<eve@example.com>\r.\rDATA\n{odd}\n.\r\n");
        std::fs::write(root.path().join("a.txt"), &text).unwrap();
        let options = json!({"text": text, "html": text, "attachments": ["a.txt"]});
        output(&post.email(root.path()), &mailing(with(options))).await;
        let raw = String::from_utf8(post.raw()).unwrap();
        let within = raw.replace("\r\n", "");
        assert!(!within.contains(['\r', '\n', '\0']), "{raw:?}");
    }
    assert_eq!(post.taken().len(), 3);
}

#[tokio::test]
async fn a_template_stands_for_the_text() {
    let mut options = mail();
    options.as_object_mut().unwrap().remove("text");
    options["template"] = "From a file.".into();
    let (_, taken) = sent(options).await;
    assert!(taken.text.contains("From a file."));
}

#[tokio::test]
async fn nothing_becomes_a_second_header_or_command() {
    for (options, name) in [
        (json!({"subject": "a\r\nBcc: eve@example.com"}), "subject"),
        (
            json!({"to": "ann@example.com\r\nRCPT TO:<eve@example.com>"}),
            "to",
        ),
        (
            json!({"cc": ["ok@example.com", "\"a\nb\" <b@example.com>"]}),
            "cc",
        ),
        (
            json!({"from": "a@example.com\nBcc: eve@example.com"}),
            "from",
        ),
        (
            json!({"reply_to": "a@example.com\nBcc: eve@example.com"}),
            "reply_to",
        ),
        (
            json!({"in_reply_to": "<a@b>\r\nBcc: eve@example.com"}),
            "in_reply_to",
        ),
    ] {
        let failed = fails(with(options)).await;
        assert_eq!(kind(&failed), Expected::Permanent, "{failed:?}");
        assert!(failed.error().contains(&format!("`{name}`")), "{failed:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_said() {
    let error = async |options| {
        let failed = fails(with(options)).await;
        assert_eq!(kind(&failed), Expected::Permanent, "{failed:?}");
        failed.error().to_owned()
    };
    insta::assert_snapshot!(error(json!({"to": []})).await, @"`to`, `cc` and `bcc` name nobody: look at what their templates gave");
    insta::assert_snapshot!(error(json!({"to": {"a": 1}})).await, @"the rendered options of this step cannot be used: an address is a text, and several are a list of texts; look at what its templates gave");
    insta::assert_snapshot!(error(json!({"to": vec!["a@example.com"; 3], "cc": "nobody"})).await, @r#""nobody" in `cc` is no mail address: write one like ann@example.com or Ann <ann@example.com>"#);
    let many: Vec<_> = (0..101).map(|n| format!("{n}@example.com")).collect();
    insta::assert_snapshot!(error(json!({"bcc": many})).await, @"the mail goes to 102 addresses, and at most 100 are taken: use `for_each` with a mail for each, or the address of a list");
    insta::assert_snapshot!(error(json!({"attachments": ["/etc/passwd"]})).await, @"/etc/passwd lies outside of what a task may touch: use a path below the project's root, without `..`, or have its folder allowed in oncely.toml");
    insta::assert_snapshot!(error(json!({"attachments": vec!["a"; 21]})).await, @"the mail has 21 attachments, and at most 20 are sent: pack them into one file, or send a link");
    insta::assert_snapshot!(error(json!({"to": "jürgen@example.com"})).await, @"the mail server 127.0.0.1 takes only addresses in ASCII letters, and jürgen@example.com is none");
}

#[tokio::test]
async fn attachments_are_files_and_bounded_together() {
    let (post, root) = (Post::start().await, tempfile::tempdir().unwrap());
    let half = std::fs::File::create(root.path().join("half.bin")).unwrap();
    half.set_len(5 * 1024 * 1024 + 1).unwrap();
    std::fs::create_dir(root.path().join("folder")).unwrap();
    let error = async |files: &[&str]| {
        let call = mailing(with(json!({ "attachments": files })));
        let failed = failure(&post.email(root.path()), &call).await;
        assert_eq!(kind(&failed), Expected::Permanent);
        failed
            .error()
            .replace(&root.path().display().to_string(), "ROOT")
    };
    insta::assert_snapshot!(error(&["half.bin", "half.bin"]).await, @"with ROOT/half.bin the attachments are larger than 10 MiB together, which is the most: send a link");
    insta::assert_snapshot!(error(&["folder"]).await, @"ROOT/folder is no file that could be attached");
    insta::assert_snapshot!(error(&["none.pdf"]).await, @"cannot read ROOT/none.pdf: No such file or directory (os error 2)");
    assert!(post.commands().is_empty(), "the server was bothered");
}

#[tokio::test]
async fn what_the_server_refuses_before_the_text_is_known_not_to_have_happened() {
    for at in [
        At::Greeting,
        At::Hello,
        At::Login,
        At::From,
        At::To,
        At::Ask,
        At::Taken,
    ] {
        let (later, post) = scripted(at, Does::Says("451 later please")).await;
        assert_eq!(kind(&later), Expected::Retry, "{at:?} {later:?}");
        let (never, _) = scripted(at, Does::Says("550 never")).await;
        assert_eq!(kind(&never), Expected::Permanent, "{at:?} {never:?}");
        assert!(post.taken().is_empty());
    }
    let words = async |at, text| {
        let (failed, post) = scripted(at, Does::Says(text)).await;
        masked(&failed, &post)
    };
    insta::assert_snapshot!(words(At::Greeting, "421 too busy").await, @"the mail server 127.0.0.1:PORT refused while connecting: 421 too busy");
    insta::assert_snapshot!(words(At::Login, "535 5.7.8 who are you").await, @"the mail server 127.0.0.1:PORT refused while logging in: 535 5.7.8 who are you; look at `user` of [email] in oncely.toml and at the secret EMAIL_PASSWORD");
    insta::assert_snapshot!(words(At::From, "550-5.7.1 not yours\r\n550 5.7.1 go away").await, @"the mail server 127.0.0.1:PORT refused while naming the sender: 550 5.7.1 not yours go away; look at `from`: the server may allow only addresses of its own");
    insta::assert_snapshot!(words(At::To, "450 4.2.1 greylisted").await, @"the mail server 127.0.0.1:PORT refused while naming a recipient: 450 4.2.1 greylisted (to ann@example.com)");
    insta::assert_snapshot!(words(At::Ask, "250 what").await, @"the mail server 127.0.0.1 answered 250 where it was to ask for the mail's text");
    insta::assert_snapshot!(words(At::Taken, "554 5.7.1 looks like spam").await, @"the mail server 127.0.0.1:PORT refused while sending the text: 554 5.7.1 looks like spam");
}

#[tokio::test]
async fn a_conversation_that_ends_before_the_text_is_tried_again_and_one_after_it_is_unknown() {
    for does in [Does::Cuts, Does::Hangs] {
        for at in [
            At::Greeting,
            At::Hello,
            At::Login,
            At::From,
            At::To,
            At::Ask,
        ] {
            let (failed, _) = scripted(at, does).await;
            assert_eq!(kind(&failed), Expected::Retry, "{at:?} {does:?} {failed:?}");
        }
        for at in [At::Text, At::Taken] {
            let (failed, _) = scripted(at, does).await;
            assert_eq!(
                kind(&failed),
                Expected::Unknown,
                "{at:?} {does:?} {failed:?}"
            );
        }
    }
    let words = async |at, does| {
        let (failed, post) = scripted(at, does).await;
        masked(&failed, &post)
    };
    insta::assert_snapshot!(words(At::Greeting, Does::Cuts).await, @"no connection to the mail server 127.0.0.1:PORT: the server closed it");
    insta::assert_snapshot!(words(At::To, Does::Cuts).await, @"the connection to the mail server 127.0.0.1:PORT was lost while naming a recipient: the server closed it (to ann@example.com)");
    insta::assert_snapshot!(words(At::Ask, Does::Hangs).await, @"the mail server 127.0.0.1:PORT did not answer within 300 ms, while asking to send the text");
    insta::assert_snapshot!(words(At::Taken, Does::Cuts).await, @"the text of the mail was on its way when the connection was lost (the server closed it): whether the server took it is not known; look for the mail <0123456789abcdef0123456789abcdef@example.com> in the server's log or in the mailbox");
    insta::assert_snapshot!(words(At::Taken, Does::Hangs).await, @"the text of the mail was on its way when the connection was lost (no answer came within 300 ms): whether the server took it is not known; look for the mail <0123456789abcdef0123456789abcdef@example.com> in the server's log or in the mailbox");
}

#[tokio::test]
async fn a_mail_that_was_taken_without_a_word_is_unknown_and_there() {
    let (failed, post) = scripted(At::Taken, Does::KeepsAndCuts).await;
    assert_eq!(kind(&failed), Expected::Unknown);
    let taken = post.taken();
    assert_eq!(taken.len(), 1);
    // A person finds it by its Message-ID.
    assert!(
        taken[0]
            .text
            .contains(&format!("Message-ID: <{KEY}@example.com>"))
    );
}

#[tokio::test]
async fn what_the_server_says_that_is_no_answer_leaves_the_mail_unknown() {
    let (failed, _) = scripted(At::Taken, Does::Says("what?")).await;
    assert_eq!(kind(&failed), Expected::Unknown, "{failed:?}");
}

#[tokio::test]
async fn a_mail_that_was_taken_is_sent_whatever_becomes_of_the_farewell() {
    for does in [Does::Cuts, Does::Hangs, Does::Says("500 no")] {
        let post = Post::start().await;
        post.does(At::Quit, does);
        output(&post.email(Path::new("/")), &mailing(mail())).await;
    }
}

#[tokio::test]
async fn nobody_there_is_tried_again() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let server = MailServer {
        port,
        ..Post::start().await.server()
    };
    let failed = failure(&email(server, Path::new("/")), &mailing(mail())).await;
    assert_eq!(kind(&failed), Expected::Retry);
    let text = failed.error().replace(&port.to_string(), "PORT");
    insta::assert_snapshot!(text, @"no connection to the mail server 127.0.0.1:PORT: Connection refused (os error 111)");
}

#[tokio::test]
async fn a_project_without_a_server_says_what_is_missing() {
    let config = |server, from: Option<&str>| EmailConfig {
        server,
        from: from.map(str::to_owned),
        root: "/".into(),
        sources: vec![],
        secrets: Arc::new(NoSecrets),
    };
    let failed = failure(&Email::new(config(None, None)), &mailing(mail())).await;
    insta::assert_snapshot!(failed.error(), @r#"there is no mail server: name one in oncely.toml, such as [email] with server = "smtp://mail.example.com:587""#);
    let server = MailServer::parse("localhost:1", Some("none")).unwrap();
    let failed = failure(
        &Email::new(config(Some(server.clone()), None)),
        &mailing(mail()),
    )
    .await;
    insta::assert_snapshot!(failed.error(), @"nobody sends this mail: give the step a `from`, or [email] in oncely.toml");
    let server = MailServer {
        user: Some("shop".into()),
        ..server
    };
    let named = Email::new(config(Some(server), Some("a@example.com")));
    let failed = failure(&named, &mailing(mail())).await;
    insta::assert_snapshot!(failed.error(), @"the secret EMAIL_PASSWORD is not given: set ONCELY_SECRET_EMAIL_PASSWORD, or put a file named EMAIL_PASSWORD into the secrets folder");
}

#[tokio::test]
async fn the_password_reaches_the_server_and_nothing_that_is_kept() {
    use base64::Engine as _;
    let post = Post::start().await;
    let server = MailServer {
        user: Some("shop".into()),
        ..post.server()
    };
    let action = email(server, Path::new("/"));
    let kept = output(&action, &mailing(mail())).await.to_string();
    let login = base64::engine::general_purpose::STANDARD.encode(format!("\0shop\0{PASSWORD}"));
    assert!(post.commands().contains(&format!("AUTH PLAIN {login}")));
    post.does(At::Login, Does::Says("535 no: s3cr\"et/ü 77777"));
    let failed = failure(&action, &mailing(mail())).await.error().to_owned();
    for text in [kept, failed] {
        for hidden in [PASSWORD, &login] {
            assert!(!text.contains(hidden), "{text}");
        }
    }
}

#[tokio::test]
async fn a_connection_is_protected_as_it_is_configured() {
    for implicit in [true, false] {
        let (post, root) = (
            Post::protected(implicit).await,
            tempfile::tempdir().unwrap(),
        );
        let ca = root.path().join("ca.pem");
        std::fs::write(&ca, &post.pem).unwrap();
        let server = MailServer {
            host: "localhost".into(),
            tls: if implicit { Tls::Tls } else { Tls::StartTls },
            user: Some("shop".into()),
            ca: Some(ca),
            ..post.server()
        };
        output(&email(server.clone(), root.path()), &mailing(mail())).await;
        assert_eq!(post.taken().len(), 1);
        let commands = post.commands();
        let first = commands.iter().position(|c| c.starts_with("AUTH")).unwrap();
        let tls = commands.iter().position(|c| c == "STARTTLS");
        assert!(implicit || tls.is_some_and(|at| at < first), "{commands:?}");
        // A certificate that nobody vouches for is not believed.
        let strange = MailServer { ca: None, ..server };
        let failed = failure(&email(strange, root.path()), &mailing(mail())).await;
        assert_eq!(kind(&failed), Expected::Retry);
        assert!(failed.error().contains("certificate"), "{failed:?}");
        assert_eq!(post.taken().len(), 1);
    }
}

#[tokio::test]
async fn nothing_is_said_in_the_clear_where_protection_is_configured() {
    let post = Post::start().await;
    let server = MailServer {
        tls: Tls::StartTls,
        user: Some("shop".into()),
        ..post.server()
    };
    let failed = failure(&email(server, Path::new("/")), &mailing(mail())).await;
    assert_eq!(kind(&failed), Expected::Permanent);
    insta::assert_snapshot!(masked(&failed, &post), @r#"the mail server 127.0.0.1:PORT does not offer STARTTLS, and nothing is sent unprotected: use tls = "tls" with its port for that (often 465), or look at who answers there"#);
    let commands = post.commands();
    assert!(
        commands
            .iter()
            .all(|c| c.starts_with("EHLO") || c == "QUIT"),
        "{commands:?}"
    );
}

#[tokio::test]
async fn what_somebody_adds_behind_the_answer_to_starttls_is_not_believed() {
    let (post, root) = (Post::protected(false).await, tempfile::tempdir().unwrap());
    let ca = root.path().join("ca.pem");
    std::fs::write(&ca, &post.pem).unwrap();
    let server = MailServer {
        host: "localhost".into(),
        tls: Tls::StartTls,
        ca: Some(ca),
        ..post.server()
    };
    post.does(At::StartTls, Does::Says("220 go on\r\n250 injected"));
    let failed = failure(&email(server.clone(), root.path()), &mailing(mail())).await;
    assert_eq!(kind(&failed), Expected::Retry);
    insta::assert_snapshot!(masked(&failed, &post), @"no connection to the mail server localhost:PORT: there was more behind the answer to STARTTLS: somebody on the way may have added it");
    post.works();
    output(&email(server, root.path()), &mailing(mail())).await;
}
