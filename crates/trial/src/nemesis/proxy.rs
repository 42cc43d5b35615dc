//! A proxy between a worker and its database: it passes messages on, and cuts, stalls and half-opens
//! connections when it is told to, also in the middle of a commit.

use super::wire::{Asks, Watched, Wire};
use crate::crash::Trouble;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How long connections that lead nowhere stand, before the machine between finds out too.
const HOLE: Duration = Duration::from_secs(60);
/// Longest wait for the server's word on a commit whose answer is thrown away.
const ANSWER: Duration = Duration::from_secs(5);

/// What becomes of the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// The connection is cut before the server hears of it.
    Before,
    /// The connection is cut when the server has done it.
    After,
    /// The connection is cut at the moment at which the server gets it.
    Amid,
    /// The server gets it so much later.
    Late(Duration),
}

/// What becomes of connections that stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Hole {
    /// Neither side hears anything more of the other.
    #[default]
    Both,
    /// The server's side is closed and the client is not told.
    ServerGone,
    /// The client's side is closed and the server is not told.
    ClientGone,
}

/// How the proxy behaves.
#[derive(Debug, Clone, Copy, Default)]
struct Weather {
    stalled: bool,
    refusing: bool,
    /// What a client asks arrives so much later.
    slow: Duration,
    /// Raised to cut everything that stands.
    cut: u64,
    /// Raised to let what stands lead nowhere.
    holed: u64,
    hole: Hole,
}

/// What was seen.
#[derive(Debug)]
struct Seen {
    begun: Instant,
    /// Milliseconds from `begun` to the last commit of facts.
    recorded: AtomicU64,
    /// Commits of facts.
    records: AtomicU64,
    /// Commits that were aimed at.
    hits: AtomicU64,
}

/// A proxy.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) port: u16,
    weather: watch::Sender<Weather>,
    aim: Arc<Mutex<Option<Aim>>>,
    seen: Arc<Seen>,
}

impl Proxy {
    /// Starts one on a free port, in front of a port of this machine.
    pub(super) async fn start(server: u16) -> Result<Self, Trouble> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let weather = watch::Sender::new(Weather::default());
        let aim = Arc::default();
        let seen = Arc::new(Seen {
            begun: Instant::now(),
            recorded: AtomicU64::new(0),
            records: AtomicU64::new(0),
            hits: AtomicU64::new(0),
        });
        let (rules, aims, sees) = (weather.subscribe(), Arc::clone(&aim), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if rules.borrow().refusing {
                    continue;
                }
                let way = Way {
                    client,
                    weather: rules.clone(),
                    aim: Arc::clone(&aims),
                    seen: Arc::clone(&sees),
                    watched: Watched::default(),
                };
                tokio::spawn(async move {
                    // Either side may go away at any time: that is what it is for.
                    let _ = way.pass(server).await;
                });
            }
        });
        Ok(Self {
            port,
            weather,
            aim,
            seen,
        })
    }

    /// Cuts what stands.
    pub(super) fn cut(&self) {
        self.weather.send_modify(|weather| weather.cut += 1);
    }

    /// Lets nobody in, or lets them in again.
    pub(super) fn refuse(&self, refusing: bool) {
        self.weather
            .send_modify(|weather| weather.refusing = refusing);
    }

    /// Passes nothing on, or goes on with it.
    pub(super) fn stall(&self, stalled: bool) {
        self.weather
            .send_modify(|weather| weather.stalled = stalled);
    }

    /// Passes on what clients ask so much later.
    #[cfg(test)]
    pub(super) fn slow(&self, slow: Duration) {
        self.weather.send_modify(|weather| weather.slow = slow);
    }

    /// Lets what stands lead nowhere. New connections are as they should be.
    pub(super) fn half_open(&self, hole: Hole) {
        self.weather.send_modify(|weather| {
            weather.holed += 1;
            weather.hole = hole;
        });
    }

    /// Aims at the next commit, or no longer.
    pub(super) fn aim(&self, aim: Option<Aim>) {
        *self.aim.lock().unwrap_or_else(PoisonError::into_inner) = aim;
    }

    /// Commits that were aimed at and met.
    pub(super) fn hits(&self) -> u64 {
        self.seen.hits.load(Ordering::SeqCst)
    }

    /// Commits of facts so far.
    pub(super) fn records(&self) -> u64 {
        self.seen.records.load(Ordering::SeqCst)
    }

    /// Whether facts were committed after a moment.
    pub(super) fn recorded_after(&self, moment: Instant) -> bool {
        let after = moment.saturating_duration_since(self.seen.begun);
        u128::from(self.seen.recorded.load(Ordering::SeqCst)) > after.as_millis()
    }
}

/// One connection of a client, and what is to be done with it.
struct Way {
    client: TcpStream,
    weather: watch::Receiver<Weather>,
    aim: Arc<Mutex<Option<Aim>>>,
    seen: Arc<Seen>,
    watched: Watched,
}

/// Why a connection is passed on no longer.
fn over() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

impl Way {
    async fn pass(mut self, port: u16) -> io::Result<()> {
        let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
        server.set_nodelay(true)?;
        self.client.set_nodelay(true)?;
        let born = *self.weather.borrow();
        let mut up = Wire {
            is_greeting: true,
            ..Wire::default()
        };
        let mut down = Wire::default();
        loop {
            let now = *self.weather.borrow_and_update();
            if now.cut != born.cut {
                return Ok(());
            }
            if now.holed != born.holed {
                return self.lead_nowhere(server, now.hole).await;
            }
            if now.stalled {
                self.weather.changed().await.map_err(|_| over())?;
                continue;
            }
            tokio::select! {
                biased;
                changed = self.weather.changed() => changed.map_err(|_| over())?,
                read = self.client.read_buf(&mut up.bytes) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    tokio::time::sleep(now.slow).await;
                    self.forward(&mut up, &mut server).await?;
                }
                read = server.read_buf(&mut down.bytes) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    self.answer(&mut down).await?;
                }
            }
        }
    }

    /// Keeps open what is said to stay open, for a while.
    async fn lead_nowhere(self, server: TcpStream, hole: Hole) -> io::Result<()> {
        let client = (hole != Hole::ClientGone).then_some(self.client);
        let server = (hole != Hole::ServerGone).then_some(server);
        tokio::time::sleep(HOLE).await;
        drop((client, server));
        Ok(())
    }

    /// Passes on what the client asks, but for a commit that is aimed at.
    async fn forward(&mut self, up: &mut Wire, server: &mut TcpStream) -> io::Result<()> {
        let mut end = 0;
        while let Some((letter, message)) = up.message(end) {
            let asks = self.watched.asked(letter, up.body(&message));
            let aim = match asks {
                Asks::Commit => self
                    .aim
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take(),
                Asks::Other => None,
            };
            if let Some(aim) = aim {
                let before = up.bytes.get(..message.start).unwrap_or_default();
                server.write_all(before).await?;
                let commit = up.bytes.get(message.clone()).unwrap_or_default();
                self.meet(aim, commit, server).await?;
                up.bytes.drain(..message.end);
                end = 0;
            } else {
                end = message.end;
            }
        }
        server
            .write_all(up.bytes.get(..end).unwrap_or_default())
            .await?;
        up.bytes.drain(..end);
        Ok(())
    }

    async fn meet(&self, aim: Aim, commit: &[u8], server: &mut TcpStream) -> io::Result<()> {
        self.seen.hits.fetch_add(1, Ordering::SeqCst);
        match aim {
            Aim::Before => return Err(over()),
            Aim::Amid => {
                server.write_all(commit).await?;
                return Err(over());
            }
            Aim::After => {
                server.write_all(commit).await?;
                let mut answer = Vec::new();
                let read = tokio::time::timeout(ANSWER, server.read_buf(&mut answer));
                read.await.map_err(|_| over())??;
                return Err(over());
            }
            Aim::Late(wait) => {
                tokio::time::sleep(wait).await;
                server.write_all(commit).await?;
            }
        }
        Ok(())
    }

    /// Passes on what the server answers.
    async fn answer(&mut self, down: &mut Wire) -> io::Result<()> {
        let mut end = 0;
        while let Some((letter, message)) = down.message(end) {
            if self.watched.answered(letter, down.body(&message)) {
                let since = self.seen.begun.elapsed().as_millis();
                let since = u64::try_from(since).unwrap_or(u64::MAX);
                self.seen.recorded.store(since, Ordering::SeqCst);
                self.seen.records.fetch_add(1, Ordering::SeqCst);
            }
            end = message.end;
        }
        self.client
            .write_all(down.bytes.get(..end).unwrap_or_default())
            .await?;
        down.bytes.drain(..end);
        Ok(())
    }
}
