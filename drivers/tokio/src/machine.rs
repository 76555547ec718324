//! The interface of the driver to a machine.

use std::sync::Arc;

use http::request::Parts;
use socketio_proto::{
    Timestamp, WireId,
    engine::{Frame, RequestHead, RequestRefusal, Response, WebSocketRequest, WebSocketResponse},
    server::ServerInput,
};

/// A state machine behind wires: one input, one output queue, one deadline.
///
/// [`start`](crate::start) makes one of a server and an application. Implement it to drive
/// something else, for example an Engine.IO server without Socket.IO, and pass it to
/// [`spawn`](crate::spawn). A server that accepts everybody:
///
/// ```
/// use std::sync::Arc;
///
/// use http::request::Parts;
/// use socketio_proto::engine::{
///     RequestHead, RequestRefusal, WebSocketRequest, WebSocketResponse,
/// };
/// use socketio_proto::server::{Server, ServerEvent, ServerInput, ServerOutput};
/// use socketio_proto::{Timestamp, WireId};
/// use socketio_proto_tokio::{Machine, Outgoing, entropy, spawn};
///
/// struct Open(Server);
///
/// impl Machine for Open {
///     fn max_payload(&self) -> usize {
///         self.0.config().payload_limit()
///     }
///
///     fn verify_websocket(
///         &mut self,
///         now: Timestamp,
///         head: &RequestHead<'_>,
///         request: &WebSocketRequest,
///     ) -> Result<WebSocketResponse, RequestRefusal> {
///         self.0.verify_websocket(now, head, request)
///     }
///
///     fn handle_input(&mut self, now: Timestamp, input: ServerInput<'_>) {
///         self.0.handle_input(now, input);
///     }
///
///     fn poll_outgoing(&mut self, now: Timestamp, _: Option<&Arc<Parts>>) -> Option<Outgoing> {
///         loop {
///             match self.0.poll_output()? {
///                 ServerOutput::Respond { wire, response } => {
///                     return Some(Outgoing::Respond { wire, response });
///                 }
///                 ServerOutput::Send { wire, frame } => return Some(Outgoing::Send { wire, frame }),
///                 ServerOutput::Close { wire, code } => return Some(Outgoing::Close { wire, code }),
///                 ServerOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
///                     self.0.at(now).accept(request);
///                 }
///                 _ => {}
///             }
///         }
///     }
///
///     fn deadline(&self) -> Option<Timestamp> {
///         self.0.deadline()
///     }
///
///     fn pause(&mut self, wire: WireId) {
///         self.0.pause(wire);
///     }
///
///     fn resume(&mut self, now: Timestamp, wire: WireId) {
///         self.0.resume(now, wire);
///     }
///
///     fn close_connections(&mut self, now: Timestamp) {
///         self.0.shutdown(now);
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (service, calls) = spawn(Open(Server::new(Default::default(), entropy)?));
/// # drop(service);
/// let sockets = calls.end(|machine, _now| machine.0.stats().sockets).await?;
/// assert_eq!(sockets, 0);
/// # Ok(())
/// # }
/// ```
pub trait Machine: Send + 'static {
    /// Returns the size of the largest body of a POST and of the largest WebSocket message, in
    /// bytes.
    fn max_payload(&self) -> usize;

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

    /// Takes the next output. `request` is the request that was handled just before, if any.
    fn poll_outgoing(&mut self, now: Timestamp, request: Option<&Arc<Parts>>) -> Option<Outgoing>;

    /// When [`ServerInput::Timeout`] is due.
    fn deadline(&self) -> Option<Timestamp>;

    /// Stops sending on a WebSocket.
    fn pause(&mut self, wire: WireId);

    /// Resumes sending on a WebSocket.
    fn resume(&mut self, now: Timestamp, wire: WireId);

    /// Closes all connections. No new ones come.
    fn close_connections(&mut self, now: Timestamp);

    /// Whether everything that the machine has begun is done, so that it can end. It is asked when its
    /// connections are gone. The machine ends when this returns true, or five seconds later.
    fn is_settled(&self) -> bool {
        true
    }
}

/// An output of a machine for a wire.
#[derive(Debug)]
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
