//! The way from the tasks of connections to the actor.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use socketio_proto::{
    WireId,
    engine::{Frame, RequestRefusal, Response, WebSocketRequest, WebSocketResponse},
};
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use crate::{body::Aborted, peer::Peer};

/// The service's end of the way to a machine.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) commands: mpsc::Sender<Command>,
    /// Counts what has to end before the machine does.
    pub(crate) tracker: TaskTracker,
}

impl Endpoint {
    /// A connection's end of the way. The machine waits for it when it ends.
    pub(crate) fn connection(&self) -> Connection {
        Connection { commands: self.commands.clone(), _tracked: self.tracker.token() }
    }
}

/// A connection's end of the way to a machine.
pub(crate) struct Connection {
    commands: mpsc::Sender<Command>,
    _tracked: TaskTrackerToken,
}

impl Connection {
    /// Waits for a place in the inbox. Fails if the machine has ended.
    pub(crate) async fn send(&self, command: Command) -> Result<(), Aborted> {
        self.commands.send(command).await.map_err(|_| Aborted)
    }

    /// Reports a wire as lost, from code that cannot wait.
    pub(crate) fn report_lost(&self, wire: WireId) {
        if let Err(TrySendError::Full(command)) =
            self.commands.try_send(Command::Lost { wire, last: BytesMut::new() })
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let commands = self.commands.clone();
            // One such task per lost wire, until the machine has caught up.
            runtime.spawn(async move { commands.send(command).await.ok() });
        }
    }
}

/// The commands of connections to the machine.
pub(crate) enum Command {
    /// A plain HTTP request.
    Request { wire: WireId, parts: Arc<Parts>, answer: oneshot::Sender<Response> },
    /// The body of a POST.
    Body { wire: WireId, body: Bytes },
    /// A WebSocket handshake to verify.
    Verify {
        parts: Arc<Parts>,
        request: WebSocketRequest,
        answer: oneshot::Sender<Result<WebSocketResponse, RequestRefusal>>,
    },
    /// A WebSocket whose handshake was completed.
    WebSocket { wire: WireId, parts: Arc<Parts>, peer: Peer },
    /// A message on a WebSocket.
    Frame { wire: WireId, frame: Frame },
    /// A ping or a pong on a WebSocket.
    ControlFrame { wire: WireId },
    /// The peer has closed a WebSocket.
    CloseFrame { wire: WireId },
    /// A control frame of the WebSocket protocol, to be written unchanged.
    Reply { wire: WireId, bytes: BytesMut },
    /// A peer is gone. Before that, a WebSocket gets our part of the closing handshake.
    Lost { wire: WireId, last: BytesMut },
}

impl Command {
    /// Whether a client begins something with it.
    pub(crate) fn is_new(&self) -> bool {
        matches!(self, Self::Request { .. } | Self::Verify { .. } | Self::WebSocket { .. })
    }
}

/// Names an exchange or a WebSocket.
pub(crate) fn next_wire() -> WireId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    WireId(NEXT.fetch_add(1, Ordering::Relaxed))
}
