//! The client side of a session: the methods for the layer above and the embedder.

mod closing;
mod deadlines;
mod error;
mod input;
mod output;
mod receive;
mod requests;
mod sending;
mod state;
mod status;

pub use self::{
    error::{ClientCloseReason, ClientFault},
    input::ClientInput,
    output::{EngineClientEvent, EngineClientOutput},
};

use alloc::{collections::VecDeque, sync::Arc};
use core::fmt;

use bytestring::ByteString;
use smallvec::SmallVec;

use self::{requests::pong, state::State};
use super::{Transport, fifo::Fifo, queue::SendQueue};
use crate::{Timestamp, WireId, config::ClientConfig, grace::Grace};

/// The client side of one Engine.IO session.
///
/// ```text
///            open packet             close() with something left
///  Opening ───────────────▶ Open ─────────────────────────────────▶ Closing
///    │  ▲ │                  │                                         │
///    │  └─┘ failed, next     │ abort(), closed, fault, no ping         │ taken, or close_timeout
///    │      transport        ▼                                         ▼
///    └───────────────────▶ Ended ◀─────────────────────────────────────┘
///
///  Open: Polling ──▶ WebSocket opened: 2probe ──▶ 3probe: pausing ──▶ no request runs: 5, WebSocket
/// ```
///
/// Here the crate names the wires. Every [`EngineClientOutput`] that starts a request or opens a
/// WebSocket has a new [`WireId`]; report what happens to it as [`ClientInput`]. While the
/// connection is open over polling, there is always exactly one GET, and at most one POST. The body
/// of a POST stays below the server's `maxPayload` unless a single packet is larger. Protocol:
/// <https://socket.io/docs/v4/engine-io-protocol/>.
///
/// ```
/// use std::sync::Arc;
/// use socketio_proto::client::ClientConfig;
/// use socketio_proto::engine::{ClientConnection, ClientInput, ClientStart, EngineClientOutput};
/// use socketio_proto::Timestamp;
///
/// let (now, config) = (Timestamp::ZERO, Arc::new(ClientConfig::new()));
/// let mut connection = ClientConnection::new(now, config, ClientStart::default());
/// let Some(EngineClientOutput::Get { wire, query }) = connection.poll_output() else {
///     unreachable!("the handshake");
/// };
/// assert!(query.starts_with("EIO=4&transport=polling"));
///
/// let body = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#.into();
/// connection.handle_input(now, ClientInput::Response { wire, status: 200, body });
/// assert!(connection.is_open());
/// ```
pub struct ClientConnection {
    config: Arc<ClientConfig>,
    /// The latest moment seen.
    now: Timestamp,
    state: State,
    /// Values of the handshake.
    sid: ByteString,
    max_payload: usize,
    ping_period: core::time::Duration,
    ping_by: Timestamp,
    grace: Grace,
    /// The longest grace period: `pingTimeout`, once it is known.
    longest_grace: core::time::Duration,
    /// Whether a ping has to be answered. Only the latest one is answered.
    owes_pong: bool,
    queue: SendQueue,
    /// Transports to try if the current one cannot be opened.
    untried: SmallVec<[Transport; 2]>,
    next_wire: u64,
    nonce: u64,
    websocket_worked: bool,
    /// The largest body with several packets. A proxy may accept less than the server.
    max_body: usize,
    /// Whether the server has ended the connection on purpose.
    is_closed_by_server: bool,
    /// The WebSocket that the session has moved to, until something is sent or received on it.
    unproven: Option<WireId>,
    events: Fifo<EngineClientEvent>,
    /// Outputs for wires other than the current WebSocket, whose frames stay in the queue.
    wires: VecDeque<EngineClientOutput>,
}

/// What a connection takes over from earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientStart {
    /// The name of the first wire; later ones count up. Take it from
    /// [`ClientConnection::next_wire`] of the previous connection, so that late inputs for its
    /// wires do no harm.
    pub first_wire: u64,
    /// Random bits for the query parameter `t`, which keeps caches away from polling requests.
    pub nonce: u64,
    /// Whether the last connection worked over WebSocket. With
    /// [`remember_upgrade`](ClientConfig::remember_upgrade), WebSocket is tried first then.
    pub websocket_worked: bool,
}

impl ClientConnection {
    /// Starts the handshake.
    ///
    /// The configuration must be [valid](ClientConfig::validate).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::client::ClientConfig;
    /// use socketio_proto::engine::{ClientConnection, ClientStart};
    ///
    /// let config = Arc::new(ClientConfig::new());
    /// let connection = ClientConnection::new(Timestamp::ZERO, config, ClientStart::default());
    /// assert!(!connection.is_open(), "the handshake has only begun");
    /// ```
    pub fn new(now: Timestamp, config: Arc<ClientConfig>, start: ClientStart) -> Self {
        let mut untried = config.transports.clone();
        let remembered = config.remember_upgrade && start.websocket_worked;
        if remembered && untried.contains(&Transport::WebSocket) {
            untried.retain(|transport| *transport != Transport::WebSocket);
            untried.insert(0, Transport::WebSocket);
        }
        let first = if untried.is_empty() { Transport::Polling } else { untried.remove(0) };
        let wire = WireId(start.first_wire);
        let deadline = now.saturating_add(config.open_timeout);
        let mut connection = Self {
            now,
            state: State::new(first, wire, deadline),
            sid: ByteString::new(),
            max_payload: usize::MAX,
            ping_period: core::time::Duration::ZERO,
            ping_by: Timestamp::NEVER,
            grace: Grace::default(),
            longest_grace: config.open_timeout,
            owes_pong: false,
            queue: SendQueue::default(),
            untried,
            next_wire: start.first_wire.saturating_add(1),
            nonce: start.nonce,
            websocket_worked: start.websocket_worked,
            max_body: usize::MAX,
            is_closed_by_server: false,
            unproven: None,
            events: Fifo::new(),
            wires: VecDeque::new(),
            config,
        };
        connection.start_transport(first, wire);
        connection
    }

    /// Handles an input. A `now` that is earlier than the latest one seen counts as that one.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::ClientConfig;
    /// # use socketio_proto::engine::*;
    /// # let now = Timestamp::ZERO;
    /// # let config = ClientConfig::new().transports(&[Transport::WebSocket]);
    /// # let mut connection = ClientConnection::new(now, Arc::new(config), ClientStart::default());
    /// # let Some(EngineClientOutput::OpenWebSocket { wire, .. }) = connection.poll_output() else { panic!() };
    /// # connection.handle_input(now, ClientInput::WebSocketOpened { wire });
    /// # let open = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;
    /// # let frame = Frame::Text(open.into());
    /// # connection.handle_input(now, ClientInput::Frame { wire, frame });
    /// # connection.poll_output();
    /// connection.handle_input(now, ClientInput::Frame { wire, frame: Frame::Text("2".into()) });
    /// let frame = Frame::Text("3".into());
    /// assert_eq!(connection.poll_output(), Some(EngineClientOutput::Send { wire, frame }), "the pong");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_input(&mut self, now: Timestamp, input: ClientInput) {
        self.now = self.now.max(now);
        match input {
            ClientInput::Response { wire, status, body } => {
                self.handle_response(wire, status, body);
            }
            ClientInput::WebSocketOpened { wire } => self.handle_websocket_opened(wire),
            ClientInput::Frame { wire, frame } => self.handle_frame(wire, frame),
            ClientInput::WebSocketClosed { wire, code } => self.handle_close_frame(wire, code),
            ClientInput::TooLarge { wire } => self.handle_too_large(wire),
            ClientInput::WireClosed { wire } => self.handle_wire_closed(wire),
            ClientInput::Timeout => self.handle_timeout(),
        }
    }

    /// Holds frames back, because the current WebSocket does not take any. For any other wire this
    /// does nothing.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::ClientConfig;
    /// # use socketio_proto::engine::*;
    /// # let now = Timestamp::ZERO;
    /// # let config = ClientConfig::new().transports(&[Transport::WebSocket]);
    /// # let mut connection = ClientConnection::new(now, Arc::new(config), ClientStart::default());
    /// # let Some(EngineClientOutput::OpenWebSocket { wire, .. }) = connection.poll_output() else { panic!() };
    /// # connection.handle_input(now, ClientInput::WebSocketOpened { wire });
    /// # let open = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;
    /// # let frame = Frame::Text(open.into());
    /// # connection.handle_input(now, ClientInput::Frame { wire, frame });
    /// # connection.poll_output();
    /// connection.pause(wire);
    /// connection.send(Payload::Text("later".into()))?;
    /// assert_eq!(connection.poll_output(), None);
    /// connection.resume(wire);
    /// assert!(matches!(connection.poll_output(), Some(EngineClientOutput::Send { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pause(&mut self, wire: WireId) {
        self.state.set_paused(wire, true);
    }

    /// Lets frames flow again after [`pause`](Self::pause).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::ClientConfig;
    /// # use socketio_proto::engine::*;
    /// # let now = Timestamp::ZERO;
    /// # let config = ClientConfig::new().transports(&[Transport::WebSocket]);
    /// # let mut connection = ClientConnection::new(now, Arc::new(config), ClientStart::default());
    /// # let Some(EngineClientOutput::OpenWebSocket { wire, .. }) = connection.poll_output() else { panic!() };
    /// # connection.handle_input(now, ClientInput::WebSocketOpened { wire });
    /// # let open = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":99}"#;
    /// # let frame = Frame::Text(open.into());
    /// # connection.handle_input(now, ClientInput::Frame { wire, frame });
    /// # while connection.poll_output().is_some() {}
    /// connection.pause(wire);
    /// connection.resume(wire);
    /// assert!(connection.is_writable());
    /// ```
    pub fn resume(&mut self, wire: WireId) {
        if self.state.set_paused(wire, false) && self.state.is_closing() {
            self.end(ClientCloseReason::ForcedClose);
        }
    }

    /// Takes the next output, events first.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::ClientConfig;
    /// # use socketio_proto::engine::*;
    /// # let now = Timestamp::ZERO;
    /// # let config = ClientConfig::new().transports(&[Transport::WebSocket]);
    /// # let mut connection = ClientConnection::new(now, Arc::new(config), ClientStart::default());
    /// # let Some(EngineClientOutput::OpenWebSocket { wire, .. }) = connection.poll_output() else { panic!() };
    /// # connection.handle_input(now, ClientInput::WebSocketOpened { wire });
    /// # let open = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":99}"#;
    /// # let frame = Frame::Text(open.into());
    /// # connection.handle_input(now, ClientInput::Frame { wire, frame });
    /// # while connection.poll_output().is_some() {}
    /// connection.send(Payload::Text("hello".into()))?;
    /// let frame = Frame::Text("4hello".into());
    /// assert_eq!(connection.poll_output(), Some(EngineClientOutput::Send { wire, frame }));
    /// # Ok::<(), SendError>(())
    /// ```
    #[must_use]
    pub fn poll_output(&mut self) -> Option<EngineClientOutput> {
        self.poll_event().map(EngineClientOutput::Event).or_else(|| self.poll_wire())
    }

    /// Takes the next event.
    pub(crate) fn poll_event(&mut self) -> Option<EngineClientEvent> {
        self.events.pop()
    }

    /// Takes the next output for a wire.
    pub(crate) fn poll_wire(&mut self) -> Option<EngineClientOutput> {
        if let Some(output) = self.wires.pop_front() {
            return Some(output);
        }
        if let Some(wire) = self.state.writable_websocket() {
            if core::mem::take(&mut self.owes_pong) {
                return Some(EngineClientOutput::Send { wire, frame: pong() });
            }
            if let Some(frame) = self.queue.pop() {
                self.unproven = None;
                return Some(EngineClientOutput::Send { wire, frame });
            }
        }
        self.state.take_last_close().map(|wire| EngineClientOutput::Close { wire })
    }

    /// Whether [`poll_wire`](Self::poll_wire) would return something.
    pub(crate) fn has_wire_output(&self) -> bool {
        let has_frames = self.owes_pong || !self.queue.is_empty();
        !self.wires.is_empty()
            || (has_frames && self.state.writable_websocket().is_some())
            || self.state.has_last_close()
    }
}

impl fmt::Debug for ClientConnection {
    /// Does not show the sid: it is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConnection")
            .field("state", &self.state)
            .field("queued_packets", &self.queued_packets())
            .finish_non_exhaustive()
    }
}
