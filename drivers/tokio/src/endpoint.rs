//! The way from the tasks of connections to the actor.

use std::{
    error, fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use hyper::http::request::Parts;
use socketio_proto::{
    WireId,
    engine::{Frame, RequestRefusal, Response, WebSocketRequest, WebSocketResponse},
};
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot,
};

use crate::peer::Peer;

/// A handle for sending commands to a machine.
#[derive(Clone)]
pub struct Endpoint(pub(crate) mpsc::Sender<Command>);

impl Endpoint {
    pub(crate) async fn send(&self, command: Command) -> Result<(), Dropped> {
        self.0.send(command).await.map_err(|_| Dropped)
    }

    /// Reports a wire as lost, from code that cannot wait.
    pub(crate) fn report_lost(&self, wire: WireId) {
        if let Err(TrySendError::Full(command)) =
            self.0.try_send(Command::Lost { wire, last: BytesMut::new() })
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let commands = self.0.clone();
            // One such task per lost wire, until the machine has caught up.
            runtime.spawn(async move { commands.send(command).await.ok() });
        }
    }
}

/// The commands of connections to the machine.
pub(crate) enum Command {
    /// A plain HTTP request.
    Request { wire: WireId, parts: Box<Parts>, answer: oneshot::Sender<Response> },
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

/// There is no response: the connection has to be dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the exchange was dropped")
    }
}

impl error::Error for Dropped {}

/// Names an exchange or a WebSocket.
pub(crate) fn next_wire() -> WireId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    WireId(NEXT.fetch_add(1, Ordering::Relaxed))
}
