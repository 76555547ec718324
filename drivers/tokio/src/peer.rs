//! The actor's end of a WebSocket. It writes what the stream takes at once, and keeps the rest.

use std::{io, sync::Arc};

use bytes::{Buf as _, BytesMut};
use socketio_proto::WireId;
use socketio_proto_websocket::write_close;
use tokio::{net::tcp::OwnedWriteHalf, sync::oneshot};

/// Bytes that may wait for a stream: more than one message and what is written together with it.
const MUCH: usize = 4 << 20;

/// The writing end of a WebSocket.
///
/// The actor writes itself. Waking a task for each frame would cost more than the system call that
/// writes it.
pub(crate) struct Peer {
    writer: Arc<OwnedWriteHalf>,
    /// The bytes that the stream did not take. While there are some, the machine holds frames back.
    rest: BytesMut,
    /// Dropped with the peer, which ends the wait for the stream.
    stalled: Option<oneshot::Sender<()>>,
    close: oneshot::Sender<Farewell>,
}

/// What the task of a WebSocket has to finish at the end.
pub(crate) struct Farewell {
    pub(crate) writer: Arc<OwnedWriteHalf>,
    /// Still to be written, the close frame included.
    pub(crate) rest: BytesMut,
}

/// The result of a write.
pub(crate) enum Written {
    /// They are written, or wait behind others.
    Done,
    /// The stream does not take more now.
    Stalled,
    /// It is broken, or will not be read.
    Broken,
}

impl Peer {
    /// A WebSocket, and how its task hears of its end: by an error if there is nothing to be said.
    pub(crate) fn new(writer: OwnedWriteHalf) -> (Self, oneshot::Receiver<Farewell>) {
        let (close, closed) = oneshot::channel();
        let writer = Arc::new(writer);
        (Self { writer, rest: BytesMut::new(), stalled: None, close }, closed)
    }

    /// Writes all of `bytes`, or keeps what the stream does not take.
    pub(crate) fn write(&mut self, bytes: &mut BytesMut) -> Written {
        if !self.rest.is_empty() {
            // Not for long: the machine holds frames back, except on one that only probes.
            self.rest.extend_from_slice(bytes);
            bytes.clear();
            return if self.rest.len() > MUCH { Written::Broken } else { Written::Done };
        }
        let result = write(&self.writer, bytes);
        if !bytes.is_empty() {
            self.rest.extend_from_slice(bytes);
            bytes.clear();
        }
        match result {
            Ok(true) => Written::Done,
            Ok(false) => Written::Stalled,
            Err(_) => Written::Broken,
        }
    }

    /// Writes the rest.
    pub(crate) fn write_rest(&mut self) -> Written {
        match write(&self.writer, &mut self.rest) {
            Ok(true) => {
                self.rest = BytesMut::new();
                Written::Done
            }
            Ok(false) => Written::Stalled,
            Err(_) => Written::Broken,
        }
    }

    /// Waits until the stream takes bytes again, or the peer is dropped.
    pub(crate) fn wait(&mut self, wire: WireId) -> impl Future<Output = WireId> + Send + use<> {
        let (guard, dropped) = oneshot::channel();
        self.stalled = Some(guard);
        let writer = self.writer.clone();
        async move {
            tokio::select! {
                _ = writer.writable() => {}
                _ = dropped => {}
            }
            wire
        }
    }

    /// Ends the WebSocket with a close frame behind all that was written.
    pub(crate) fn close(mut self, code: Option<u16>) {
        write_close(&mut self.rest, code);
        self.close.send(Farewell { writer: self.writer, rest: self.rest }).ok();
    }
}

/// Returns whether the stream has taken everything.
fn write(writer: &OwnedWriteHalf, bytes: &mut BytesMut) -> io::Result<bool> {
    while !bytes.is_empty() {
        match writer.try_write(bytes) {
            Ok(len) => bytes.advance(len),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
