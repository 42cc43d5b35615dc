//! A mail server that records what it takes, and at a chosen point says no, cuts off or says
//! nothing any more.

use oncely_actions::{Email, EmailConfig, MailServer, Tls};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A point of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Greeting,
    Hello,
    StartTls,
    Login,
    From,
    To,
    /// It was asked to take the text.
    Ask,
    /// The text has begun to come.
    Text,
    /// The text has come whole.
    Taken,
    Quit,
}

/// What the server does there instead of going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Says(&'static str),
    Cuts,
    Hangs,
    /// Keeps the mail, and cuts the connection before it says so.
    KeepsAndCuts,
}

/// A mail that was taken.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Taken {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
}

#[derive(Default)]
pub(crate) struct Told {
    pub(crate) script: Option<(At, Does)>,
    pub(crate) taken: Vec<Taken>,
    pub(crate) commands: Vec<String>,
    /// The last mail's text, as it came.
    raw: Vec<u8>,
}

/// A mail server on this machine.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) told: Arc<Mutex<Told>>,
    pub(crate) port: u16,
    /// Its certificate, where it has one.
    pub(crate) pem: String,
    tls: Option<TlsAcceptor>,
    implicit: bool,
}

impl Post {
    /// Without protection.
    pub(crate) async fn start() -> Self {
        Self::serve(None, String::new(), false).await
    }

    /// With a certificate for `localhost` of its own: from the start, or when it is asked.
    pub(crate) async fn protected(implicit: bool) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::serve(Some(acceptor), made.cert.pem(), implicit).await
    }

    async fn serve(tls: Option<TlsAcceptor>, pem: String, implicit: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let post = Self {
            told: Arc::default(),
            port: listener.local_addr().unwrap().port(),
            pem,
            tls,
            implicit,
        };
        let served = post.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let post = served.clone();
                tokio::spawn(async move { post.talk(stream).await });
            }
        });
        post
    }

    /// What it does at a point from now on.
    pub(crate) fn does(&self, at: At, does: Does) {
        self.told.lock().unwrap().script = Some((at, does));
    }

    /// From now on nothing but its work.
    pub(crate) fn works(&self) {
        self.told.lock().unwrap().script = None;
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.told.lock().unwrap().taken.clone()
    }

    pub(crate) fn raw(&self) -> Vec<u8> {
        self.told.lock().unwrap().raw.clone()
    }

    pub(crate) fn commands(&self) -> Vec<String> {
        self.told.lock().unwrap().commands.clone()
    }

    /// The server as it would be configured.
    pub(crate) fn server(&self) -> MailServer {
        MailServer {
            host: "127.0.0.1".into(),
            port: self.port,
            tls: Tls::None,
            user: None,
            ca: None,
        }
    }

    /// An `email` action that hands its mails to this server.
    pub(crate) fn email(&self, root: &Path) -> Email {
        email(self.server(), root)
    }

    async fn talk(self, stream: TcpStream) {
        let Some(tls) = self.tls.clone() else {
            self.session(stream, true, false).await;
            return;
        };
        if self.implicit {
            if let Ok(stream) = tls.accept(stream).await {
                self.session(stream, true, false).await;
            }
        } else if let Some(stream) = self.session(stream, true, true).await
            && let Ok(stream) = tls.accept(stream).await
        {
            self.session(stream, false, false).await;
        }
    }

    /// Talks until the end, or until the connection is to be protected.
    async fn session<S>(&self, stream: S, greets: bool, offers: bool) -> Option<S>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = BufReader::new(stream);
        if greets {
            self.answer(&mut stream, At::Greeting, "220 post ready")
                .await?;
        }
        let hello = match offers {
            true => "250-post\r\n250-STARTTLS\r\n250 8BITMIME",
            false => "250-post\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME",
        };
        let mut mail = Taken::default();
        loop {
            let line = line(&mut stream).await?;
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_owned();
            self.told.lock().unwrap().commands.push(line.clone());
            let address = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
            match verb.as_str() {
                "EHLO" => drop(self.answer(&mut stream, At::Hello, hello).await?),
                "STARTTLS" => {
                    self.answer(&mut stream, At::StartTls, "220 go on").await?;
                    return Some(stream.into_inner());
                }
                "AUTH" => drop(self.answer(&mut stream, At::Login, "235 welcome").await?),
                "MAIL" => {
                    mail.from = address;
                    self.answer(&mut stream, At::From, "250 fine").await?;
                }
                "RCPT" => {
                    mail.to.push(address);
                    self.answer(&mut stream, At::To, "250 fine").await?;
                }
                "DATA" => {
                    let said = self.answer(&mut stream, At::Ask, "354 go on").await?;
                    if said.starts_with("354") {
                        self.take(&mut stream, std::mem::take(&mut mail)).await?;
                    }
                }
                _ => {
                    self.answer(&mut stream, At::Quit, "221 bye").await?;
                    return None;
                }
            }
        }
    }

    async fn take<S>(&self, stream: &mut BufReader<S>, mut mail: Taken) -> Option<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.told.lock().unwrap().raw.clear();
        let first = self.text_line(stream).await?;
        if self.at(At::Text).is_some() {
            self.answer(stream, At::Text, "").await?;
        }
        let mut next = first;
        while next != "." {
            mail.text.push_str(next.strip_prefix('.').unwrap_or(&next));
            mail.text.push('\n');
            next = self.text_line(stream).await?;
        }
        let keeps = match self.at(At::Taken) {
            None | Some(Does::KeepsAndCuts) => true,
            Some(Does::Says(text)) => text.starts_with('2'),
            _ => false,
        };
        if keeps {
            self.told.lock().unwrap().taken.push(mail);
        }
        self.answer(stream, At::Taken, "250 taken as 4711").await?;
        Some(())
    }

    async fn text_line<S>(&self, stream: &mut BufReader<S>) -> Option<String>
    where
        S: AsyncRead + Unpin,
    {
        let mut line = String::new();
        let read = stream.read_line(&mut line).await.ok()?;
        self.told.lock().unwrap().raw.extend(line.as_bytes());
        (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn at(&self, at: At) -> Option<Does> {
        let script = self.told.lock().unwrap().script;
        script
            .filter(|(point, _)| *point == at)
            .map(|(_, does)| does)
    }

    /// Says what is usual, or what the script wants; none when the connection is to end.
    async fn answer<S>(
        &self,
        stream: &mut BufReader<S>,
        at: At,
        usual: &'static str,
    ) -> Option<&'static str>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let says = match self.at(at) {
            None => usual,
            Some(Does::Says(text)) => text,
            Some(Does::Cuts | Does::KeepsAndCuts) => return None,
            Some(Does::Hangs) => std::future::pending().await,
        };
        write(stream, says).await?;
        Some(says)
    }
}

async fn line<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).await.ok()?;
    (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}

async fn write<S>(stream: &mut BufReader<S>, text: &str) -> Option<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let line = format!("{text}\r\n");
    stream.write_all(line.as_bytes()).await.ok()?;
    stream.flush().await.ok()
}

/// An `email` action with this server.
pub(crate) fn email(server: MailServer, root: &Path) -> Email {
    Email::new(EmailConfig {
        server: Some(server),
        from: Some("Shop <shop@example.com>".into()),
        root: root.to_owned(),
        sources: vec![],
        secrets: Arc::new(super::MailPassword),
    })
}
