//! The stream below a WebSocket, in two halves: the task of the WebSocket reads, the actor writes.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::coop::unconstrained,
};

use crate::{lock::lock, peers::Place};

/// Any stream.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// A stream after the handshake of a WebSocket.
pub(crate) struct Opened {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    /// What was read from it already.
    pub(crate) input: BytesMut,
    /// Its place among the connections of [`serve`](crate::serve).
    pub(crate) place: Option<Place>,
}

/// Takes the stream out of hyper's hands. Whoever serves connections knows what is in them.
pub(crate) type Opener = fn(Upgraded) -> Option<Opened>;

impl Opened {
    /// Opens what somebody else serves. A stream of TCP is looked for, which can be written without
    /// a lock.
    pub(crate) fn new(upgraded: Upgraded) -> Self {
        let opened = upgraded
            .downcast::<TokioIo<TcpStream>>()
            .map(|parts| Self::foreign(parts.io.into_inner(), parts.read_buf));
        #[cfg(feature = "axum")]
        let opened = opened.or_else(|upgraded| {
            use hyper_util::server::conn::auto::upgrade::downcast;

            let parts = downcast::<TokioIo<TcpStream>>(upgraded)?;
            Ok(Self::foreign(parts.io.into_inner(), parts.read_buf))
        });
        let any =
            |upgraded: Upgraded| Self::any(Box::new(TokioIo::new(upgraded)), Bytes::new(), None);
        opened.unwrap_or_else(any)
    }

    /// A stream that somebody else has accepted.
    fn foreign(stream: TcpStream, read: Bytes) -> Self {
        // Without it, small messages wait for the acknowledgement of others.
        stream.set_nodelay(true).ok();
        Self::tcp(stream, read, None)
    }

    pub(crate) fn tcp(stream: TcpStream, read: Bytes, place: Option<Place>) -> Self {
        let (reader, writer) = stream.into_split();
        let writer = Writer::Tcp { stream: Arc::new(writer), rest: BytesMut::new() };
        let reader = Reader::Tcp(reader);
        Self { reader, writer, input: BytesMut::from(read), place }
    }

    pub(crate) fn any(stream: Box<dyn Stream>, read: Bytes, place: Option<Place>) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let writer = AnyWriter { stream: writer, rest: BytesMut::new() };
        let writer = Writer::Any(Arc::new(Mutex::new(writer)));
        let reader = Reader::Any(reader);
        Self { reader, writer, input: BytesMut::from(read), place }
    }
}

/// The half that the task of a WebSocket reads.
pub(crate) enum Reader {
    Tcp(OwnedReadHalf),
    Any(ReadHalf<Box<dyn Stream>>),
}

impl Reader {
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            // Unlike `try_read`, it knows that a short read has taken everything.
            Self::Tcp(reader) => Pin::new(reader).poll_read(cx, buffer),
            Self::Any(reader) => Pin::new(reader).poll_read(cx, buffer),
        }
    }
}

/// The half that the actor writes, with the bytes that the stream has not taken yet.
pub(crate) enum Writer {
    /// It can be asked whether it takes bytes, so nothing is shared while it does not.
    Tcp { stream: Arc<OwnedWriteHalf>, rest: BytesMut },
    /// Only writing shows that it takes bytes. So the task that waits for it writes the rest.
    Any(Arc<Mutex<AnyWriter>>),
}

pub(crate) struct AnyWriter {
    stream: WriteHalf<Box<dyn Stream>>,
    rest: BytesMut,
}

impl Writer {
    /// Appends to the rest, without writing.
    pub(crate) fn append(&mut self, bytes: &mut BytesMut) {
        match self {
            Self::Tcp { rest, .. } => rest.extend_from_slice(bytes),
            Self::Any(writer) => lock(writer).rest.extend_from_slice(bytes),
        }
        bytes.clear();
    }

    /// Writes what the stream takes at once, and keeps the rest. There must be no rest before.
    /// Returns whether the stream has taken everything.
    pub(crate) fn write(&mut self, bytes: &mut BytesMut) -> io::Result<bool> {
        match self {
            Self::Tcp { stream, rest } => {
                let written = try_write(stream, bytes);
                if !bytes.is_empty() {
                    rest.extend_from_slice(bytes);
                    bytes.clear();
                }
                written
            }
            Self::Any(writer) => {
                let mut writer = lock(writer);
                std::mem::swap(&mut writer.rest, bytes);
                let written = writer.try_write_rest();
                if writer.rest.is_empty() {
                    // The buffer is used again.
                    std::mem::swap(&mut writer.rest, bytes);
                }
                written
            }
        }
    }

    /// Writes what the stream takes of the rest. Returns whether it has taken everything.
    pub(crate) fn write_rest(&mut self) -> io::Result<bool> {
        match self {
            Self::Tcp { stream, rest } => {
                let written = try_write(stream, rest);
                if rest.is_empty() {
                    *rest = BytesMut::new();
                }
                written
            }
            Self::Any(writer) => lock(writer).try_write_rest(),
        }
    }

    /// Waits until it is worth while to write the rest. While this runs nobody else may write.
    pub(crate) fn wait(&self) -> impl Future<Output = ()> + Send + use<> {
        let waiting = match self {
            Self::Tcp { stream, .. } => Ok(stream.clone()),
            Self::Any(writer) => Err(writer.clone()),
        };
        async move {
            // An error comes again at the next write.
            match waiting {
                Ok(stream) => stream.writable().await.ok(),
                Err(writer) => poll_fn(|cx| lock(&writer).poll_write_rest(cx)).await.ok(),
            };
        }
    }

    /// Writes the rest, and tells the peer that it was the last.
    pub(crate) async fn finish(self) -> io::Result<()> {
        match self {
            Self::Tcp { stream, mut rest } => {
                while !try_write(&stream, &mut rest)? {
                    stream.writable().await?;
                }
                // Dropping it ends what we send.
            }
            Self::Any(writer) => {
                poll_fn(|cx| lock(&writer).poll_write_rest(cx)).await?;
                poll_fn(|cx| Pin::new(&mut lock(&writer).stream).poll_shutdown(cx)).await?;
            }
        }
        Ok(())
    }
}

impl AnyWriter {
    fn try_write_rest(&mut self) -> io::Result<bool> {
        // Outside of the runtime's budget: it would count for the actor, which has its own turns.
        let mut written = pin!(unconstrained(poll_fn(|cx| self.poll_write_rest(cx))));
        match written.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(written) => written.map(|()| true),
            Poll::Pending => Ok(false),
        }
    }

    fn poll_write_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, rest } = self;
        while !rest.is_empty() {
            let len = ready!(Pin::new(&mut *stream).poll_write(cx, rest))?;
            if len == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            rest.advance(len);
        }
        // TLS keeps bytes in buffers of its own.
        Pin::new(stream).poll_flush(cx)
    }
}

/// Returns whether the stream has taken everything.
fn try_write(stream: &OwnedWriteHalf, bytes: &mut BytesMut) -> io::Result<bool> {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(len) => bytes.advance(len),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
