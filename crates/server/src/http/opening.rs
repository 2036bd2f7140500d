//! A connection whose first bytes must come in time.
//!
//! hyper bounds the time that a request's head may take, but only once it knows which HTTP is
//! spoken; until then it waits for ever, and so does the preface of HTTP/2. Who connects and says
//! nothing would hold a place until the process ends.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// What a client of HTTP/2 says first (RFC 9113 section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection that fails if it does not begin in time.
pub(crate) struct Opening {
    stream: TcpStream,
    /// None once it is known which HTTP is spoken.
    deadline: Option<Pin<Box<Sleep>>>,
    /// How much of the preface was read.
    read: usize,
}

impl Opening {
    /// A connection just accepted.
    pub(crate) fn new(stream: TcpStream, time: Duration) -> Self {
        Self { stream, deadline: Some(Box::pin(sleep(time))), read: 0 }
    }

    fn note(&mut self, bytes: &[u8]) {
        let expected = PREFACE.get(self.read..).unwrap_or_default();
        let length = expected.len().min(bytes.len());
        self.read += length;
        let is_preface = bytes.starts_with(expected) || expected.starts_with(bytes);
        // Where nothing was read the other side is done, and there is nothing to wait for.
        if !is_preface || bytes.is_empty() || self.read == PREFACE.len() {
            self.deadline = None;
        }
    }
}

impl AsyncRead for Opening {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(context, buffer) else {
            if let Some(deadline) = &mut self.deadline {
                ready!(deadline.as_mut().poll(context));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            return Poll::Pending;
        };
        if self.deadline.is_some() {
            self.note(buffer.filled().get(before..).unwrap_or_default());
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Opening {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Opening {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}
