//! What the tasks of the wires report.

use std::sync::Arc;

use socketio_proto::{WireId, engine::ClientInput};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::WireError;

/// The most reports that wait for the client. Beyond it, wires wait.
pub(crate) const INBOX: usize = 64;
/// The most bytes of responses and messages that wait for the client. A larger one waits alone.
const INBOX_BYTES: u32 = 1 << 20;

/// An input for the client. If a wire has failed, with the reason.
pub(crate) struct Report {
    pub(crate) input: ClientInput,
    pub(crate) error: Option<Arc<WireError>>,
    /// Its place among the bytes that wait.
    room: Option<OwnedSemaphorePermit>,
}

impl Report {
    pub(crate) fn new(input: ClientInput, error: Option<Arc<WireError>>) -> Self {
        Self { input, error, room: None }
    }

    /// A wire has failed.
    pub(crate) fn failed(wire: WireId, error: impl Into<Arc<WireError>>) -> Self {
        let error = error.into();
        let input = match *error {
            WireError::TooLarge { .. } => ClientInput::TooLarge { wire },
            WireError::Closed { code } => ClientInput::WebSocketClosed { wire, code },
            _ => ClientInput::WireClosed { wire },
        };
        Self::new(input, Some(error))
    }

    fn bytes(&self) -> u32 {
        let bytes = match &self.input {
            ClientInput::Response { body, .. } => body.len(),
            ClientInput::Frame { frame, .. } => frame.len(),
            _ => 0,
        };
        u32::try_from(bytes).unwrap_or(u32::MAX).min(INBOX_BYTES)
    }
}

/// The way to the client.
#[derive(Clone)]
pub(crate) struct Reports {
    sender: mpsc::Sender<Report>,
    room: Arc<Semaphore>,
}

impl Reports {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Report>) {
        let (sender, inbox) = mpsc::channel(INBOX);
        let room = Semaphore::new(usize::try_from(INBOX_BYTES).unwrap_or(usize::MAX));
        (Self { sender, room: Arc::new(room) }, inbox)
    }

    /// Waits for room. Returns false if the client is gone.
    pub(crate) async fn send(&self, mut report: Report) -> bool {
        report.room = self.room.clone().acquire_many_owned(report.bytes()).await.ok();
        self.sender.send(report).await.is_ok()
    }
}
