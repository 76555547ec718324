//! The actor's end of a WebSocket. It writes what the stream takes at once, and keeps the rest.

use bytes::BytesMut;
use socketio_proto::WireId;
use socketio_proto_websocket::write_close;
use tokio::sync::oneshot;

use crate::stream::Writer;

/// Bytes that may be added while others wait for a stream: pongs and probes, which the peer causes.
const ADDED_MAX: usize = 4 << 20;

/// The writing end of a WebSocket.
///
/// The actor writes itself. Waking a task for each frame would cost more than the system call that
/// writes it.
pub(crate) struct Peer {
    writer: Writer,
    /// There while something waits for the stream. Meanwhile the machine holds frames back, and
    /// nothing is written. Dropped with the peer, which ends the wait.
    stalled: Option<oneshot::Sender<()>>,
    /// Bytes that were added meanwhile. How much waited before was not the peer's decision.
    added: usize,
    end: oneshot::Sender<Writer>,
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
    /// A WebSocket, and how its task hears of its end: it gets the writer with what is left to be
    /// written, or an error if there is nothing to be said.
    pub(crate) fn new(writer: Writer) -> (Self, oneshot::Receiver<Writer>) {
        let (end, ended) = oneshot::channel();
        (Self { writer, stalled: None, added: 0, end }, ended)
    }

    /// Writes all of `bytes`, or keeps what the stream does not take.
    pub(crate) fn write(&mut self, bytes: &mut BytesMut) -> Written {
        if self.stalled.is_some() {
            // The machine holds frames back, except on a WebSocket that only probes.
            self.added = self.added.saturating_add(bytes.len());
            self.writer.append(bytes);
            return if self.added > ADDED_MAX { Written::Broken } else { Written::Done };
        }
        let written = self.writer.write(bytes);
        bytes.clear();
        match written {
            Ok(true) => Written::Done,
            Ok(false) => Written::Stalled,
            Err(_) => Written::Broken,
        }
    }

    /// Writes the rest, after a wait.
    pub(crate) fn write_rest(&mut self) -> Written {
        self.stalled = None;
        match self.writer.write_rest() {
            Ok(true) => {
                self.added = 0;
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
        let writable = self.writer.wait();
        async move {
            tokio::select! {
                // First, because then somebody else waits for the stream.
                biased;
                _ = dropped => {}
                () = writable => {}
            }
            wire
        }
    }

    /// Ends the WebSocket with a close frame behind all that was written.
    pub(crate) fn close(mut self, code: Option<u16>) {
        let mut frame = BytesMut::new();
        write_close(&mut frame, code);
        self.writer.append(&mut frame);
        self.finish();
    }

    /// Ends the WebSocket with `last` behind all that was written.
    pub(crate) fn close_with(mut self, last: &mut BytesMut) {
        self.writer.append(last);
        self.finish();
    }

    /// Its task finishes what is left.
    fn finish(self) {
        self.end.send(self.writer).ok();
    }
}
