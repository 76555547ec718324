//! Limits for peers: connections and time.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use crate::peers::Place;

/// Limits for the peers of [`serve`](crate::serve()). A peer that takes longer is dropped.
/// [`Peers`](crate::Peers) counts what they do.
///
/// ```
/// use std::time::Duration;
///
/// use socketio_proto_tokio::PeerLimits;
///
/// let mut limits = PeerLimits::default();
/// limits.connections = 10_000;
/// limits.head = Duration::from_secs(10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerLimits {
    /// Connections at a time. Further ones wait to be accepted. Default: 100,000.
    pub connections: usize,
    /// Time for the head of a request, and between two requests. Without it, a client could hold a
    /// connection by sending one byte from time to time (slow loris). The handshake of TLS has the
    /// same time. Default: 30 s.
    pub head: Duration,
    /// Time without progress while a response is written to a client that does not read it. Over
    /// TLS, the client has this time for what TLS holds back, which is up to 64 KiB. Default: 30 s.
    pub write: Duration,
}

impl Default for PeerLimits {
    fn default() -> Self {
        let time = Duration::from_secs(30);
        Self { connections: 100_000, head: time, write: time }
    }
}

/// A stream whose writes fail when the peer has not read for too long. It counts as a connection
/// until it is dropped.
pub(crate) struct LimitedStream<S> {
    pub(crate) stream: S,
    pub(crate) place: Place,
    write_timeout: Duration,
    /// Runs while a write waits, or what the stream has in a buffer of its own.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> LimitedStream<S> {
    pub(crate) fn new(stream: S, place: Place, write_timeout: Duration) -> Self {
        Self { stream, place, write_timeout, timer: None }
    }

    fn wait<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.timer = None;
            return done;
        }
        let write_timeout = self.write_timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(write_timeout)));
        ready!(timer.as_mut().poll(cx));
        self.place.count_write_timeout();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for LimitedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for LimitedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wait(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wait(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.wait(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut_down = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.wait(cx, shut_down)
    }
}
