//! The interface of the driver to a machine.

use hyper::http::request::Parts;
use socketio_proto::{
    Timestamp, WireId,
    engine::{Frame, RequestHead, RequestRefusal, Response, WebSocketRequest, WebSocketResponse},
    server::ServerInput,
};

/// A state machine behind wires: one input, one output queue, one deadline.
pub trait Machine: Send + 'static {
    /// Messages from the application's own tasks.
    type Message: Send + 'static;

    /// Called once, before anything else.
    fn start(&mut self, _now: Timestamp) {}

    /// Verifies a WebSocket handshake before it is completed.
    ///
    /// # Errors
    ///
    /// The refusal to answer with.
    fn verify_websocket(
        &mut self,
        now: Timestamp,
        head: &RequestHead<'_>,
        request: &WebSocketRequest,
    ) -> Result<WebSocketResponse, RequestRefusal>;

    /// Handles something that happened on a wire, or a timeout.
    fn handle_input(&mut self, now: Timestamp, input: ServerInput<'_>);

    /// Handles a message from the application's own tasks.
    fn handle_message(&mut self, now: Timestamp, message: Self::Message);

    /// Takes the next output. `request` is the request that was handled just before, if any.
    fn poll_outgoing(&mut self, now: Timestamp, request: Option<&Parts>) -> Option<Outgoing>;

    /// When [`ServerInput::Timeout`] is due.
    fn deadline(&self) -> Option<Timestamp>;

    /// Stops sending on a WebSocket.
    fn pause(&mut self, wire: WireId);

    /// Resumes sending on a WebSocket.
    fn resume(&mut self, now: Timestamp, wire: WireId);

    /// Closes all connections, and tells the application's own tasks to end.
    fn shutdown(&mut self, now: Timestamp);

    /// All connections are gone, and all messages of the application's tasks were handled.
    fn finish(&mut self, _now: Timestamp) {}
}

/// An output of a machine for a wire.
pub enum Outgoing {
    /// Answer an HTTP exchange.
    Respond {
        /// The exchange.
        wire: WireId,
        /// The answer.
        response: Response,
    },
    /// Send a message on a WebSocket.
    Send {
        /// The WebSocket.
        wire: WireId,
        /// The message.
        frame: Frame,
    },
    /// Close a WebSocket, or drop an HTTP exchange without an answer.
    Close {
        /// The WebSocket or the exchange.
        wire: WireId,
        /// The status code of the close frame.
        code: Option<u16>,
    },
}

impl Outgoing {
    /// Returns the wire.
    pub fn wire(&self) -> WireId {
        match self {
            Self::Respond { wire, .. } | Self::Send { wire, .. } | Self::Close { wire, .. } => {
                *wire
            }
        }
    }
}
