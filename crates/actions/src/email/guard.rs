//! A connection in the clear that is about to be protected.
//!
//! Somebody on the way could add answers behind the one to STARTTLS. They would be read once the
//! connection is protected, as if the server had said them: that a mail was taken, for instance.
//! What comes behind that answer, before the protection begins, ends the connection.

use lettre::transport::smtp::client::AsyncTokioStream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What asks for protection.
const STARTTLS: &[u8] = b"STARTTLS\r\n";

/// A connection that watches for what comes too early.
#[derive(Debug)]
pub(crate) struct Guard {
    stream: TcpStream,
    /// Protection was asked for, and the answer is not there yet.
    asked: bool,
}

impl Guard {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            asked: false,
        }
    }

    /// Looks at what came. One line answers STARTTLS, and nothing is behind it.
    fn judge(&mut self, came: &[u8]) -> io::Result<()> {
        if !self.asked {
            return Ok(());
        }
        match came.iter().position(|byte| *byte == b'\n') {
            Some(end) if end + 1 == came.len() => self.asked = false,
            Some(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "there was more behind the answer to STARTTLS: somebody on the way may have \
                     added it",
                ));
            }
            None => {}
        }
        Ok(())
    }
}

impl AsyncTokioStream for Guard {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncRead for Guard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let came = buffer.filled().get(before..).unwrap_or_default();
        Poll::Ready(self.judge(came))
    }
}

impl AsyncWrite for Guard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.asked |= bytes == STARTTLS;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
