//! A client: several namespaces on one connection, with automatic reconnection.
//!
//! [`Client`] has the same shape as [`Server`](crate::server::Server): one input, plain verbs, one
//! output queue, one deadline. It uses no socket and no clock. The crate names the wires: carry out
//! each [`EngineClientOutput`], and report the result as a [`ClientInput`].
//!
//! The connection:
//!
//! ```text
//!              connect()             handshake complete
//!   Closed ─────────────▶ Opening ─────────────────────▶ Open
//!     ▲                    ▲   │                          │
//!     │  delay has passed, │   └──────────┬───────────────┘
//!     │  or reconnect()    │              │ failed, lost, or CONNECT not answered
//!     │                    │              ▼
//!     │                    └─────────── Waiting
//!     └── no active namespace, or no attempts left
//! ```
//!
//! When a CONNECT was answered, the next failure starts again with the shortest delay.
//!
//! Each namespace, once it is active ([`connect`](Client::connect)). Only [`Auth::Ask`] leads through
//! *Asking*:
//!
//! ```text
//!          connection open        credentials         CONNECT answered
//!   Idle ──────────────▶ Asking ───────────▶ Joining ────────────────▶ Joined
//!    ▲                                        │   │                      │
//!    │                          disconnect(): │   │ refused:             │ DISCONNECT or
//!    │                 ┌─────────── Leaving ◀─┘   │ not active           │ disconnect():
//!    │        answered │                          │ any more             │ not active any more
//!    ├─────────────────┴──────────────────────────┴──────────────────────┘
//!    └── from every state when the connection is lost; active namespaces join the next one
//! ```
//!
//! Events are sent in *Joined* and buffered in all other states. If the server supports recovery, the
//! session survives the way through *Idle*, together with its id and with the events that were sent
//! and not confirmed.
//!
//! # What is delivered
//!
//! | verb | while disconnected | if the connection breaks | if the connection breaks, with a server of this crate |
//! | --- | --- | --- | --- |
//! | [`emit`](Client::emit) | buffered | may be lost: at most once | exactly once |
//! | [`emit_with_ack`](Client::emit_with_ack) | buffered | reported as failed | exactly once |
//! | [`emit_volatile`](Client::emit_volatile) | dropped | may be lost | may be lost |
//! | [`emit_with_retries`](Client::emit_with_retries) | queued | sent again: at least once | exactly once |
//!
//! The last column needs a server with [`count_events`](crate::RecoveryConfig::count_events), and
//! holds while the session is recovered. Client and server count the events of a session. After a
//! recovery the client sends the missing events again, in order. If the session is not recovered,
//! nobody knows whether an unconfirmed event has arrived. The client reports it
//! ([`ClientEvent::Unconfirmed`], or the failure of its acknowledgement) and sends it again only if it was
//! emitted with retries.
//!
//! On the wire, such a server adds the number of events that it has to its CONNECT answer
//! (`"received":5`). The official client ignores that. A client that understands it asks with an
//! acknowledgement without an id (`43[7,8]`): for the number of events, and for the answers to the
//! listed events. The server replies in the same form (`43[6]`) and sends the answers that it has
//! kept. After the number it lists events that its application could not handle (`43[6,8]`): they are
//! sent again if they were emitted with retries. Official peers never see any of these packets, and
//! events look the same to everybody. With such a server, the id of an acknowledgement is the number
//! of its event in the session. So a process that restores an old [snapshot](Client::snapshot) never
//! takes the answer to one event for the answer to another.
//!
//! An event that the server does not accept does not block later events:
//!
//! * An event that is larger than `maxPayload`, or has more attachments than
//!   [configured](ClientLimits::sent_attachments), is a [`ClientEmitError`]. If it was buffered before the
//!   limit was known, it is removed and reported ([`ClientEvent::Undeliverable`]).
//! * Other limits of the server can only be found out. If the server closes the connection because of
//!   the same event three times in a row, the event is removed and reported in the same way.
//! * If the client cannot read what the server replays, it gives the session up
//!   ([`ClientEvent::ReplayUnreadable`]).
//!
//! A lost connection never counts as a refusal, nor does a close code that says another reason. A close
//! packet says none. So a server that closes a polling client because of too many packets, or after a
//! ping timeout, counts as well.
//!
//! Buffers are bounded by count, bytes and age ([`ClientLimits`]). The application can inspect them and
//! take events back. Every acknowledgement completes: with [`ClientEvent::Acked`] or [`ClientEvent::AckFailed`].
//!
//! With recovery, the events of the server that were missed follow after [`ClientEvent::Connected`]. The
//! client keeps the private id and the offset of each session and presents them with the next
//! CONNECT. Both are in the [snapshot](Client::snapshot), with the events that have not arrived. The
//! next process continues from there, as after a lost connection.
//!
//! # Time
//!
//! Report what has arrived before a timeout: see [time](crate::engine#time). After a late timeout, the
//! client waits for one more grace period before it judges the server. While a ping is overdue, the
//! connection may be dead. Until the ping comes or there is a new connection, events are buffered and
//! volatile events are dropped.
//!
//! # Differences from the reference
//!
//! * The random part of a delay also applies to the longest delay (C1). Delays start over when a
//!   CONNECT was answered, not when a connection was opened.
//! * A CONNECT has a timeout (C5). Only a namespace that was joined is reported as disconnected (C4).
//! * Buffers are bounded (C6). Every acknowledgement has a timeout and completes (C7). Retries do not
//!   have the faults C2 and C3.
//! * An offset is dropped with its session (H25). Events that were replayed before a CONNECT answer
//!   that never came are dropped (H24). A string that cannot be an offset is not taken for one (H04).
//! * `Connected` comes before the missed events, whatever their order on the wire was.
//! * A second CONNECT answer with another id is reported as
//!   [`SessionReplaced`](ClientDisconnectReason::SessionReplaced) and `Connected`, not only as `Connected`.

mod acks;
mod answer;
mod auth;
mod backoff;
mod buffer;
mod connection;
mod context;
mod demand;
mod emit;
mod error;
mod event;
mod left;
mod offset;
mod outcomes;
mod retry;
mod sending;
mod session;
mod snapshot;
mod socket;
mod socket_state;
mod state;
mod suspect;
mod unconfirmed;
mod undeliverable;
mod unreadable;
mod verbs;

pub use self::{
    auth::Auth,
    buffer::BufferedEvent,
    error::{
        ClientAckFailure, ClientDisconnectReason, ClientEmitError, ConnectError, JoinError,
        Undeliverable,
    },
    event::{AuthRequest, ClientAckToken, ClientEvent, ClientOutput},
    snapshot::{ClientRestoreError, ClientSnapshot, SessionSnapshot},
};

pub use crate::config::{ClientConfig, ClientLimits};

use alloc::{boxed::Box, collections::BTreeMap, collections::VecDeque, sync::Arc};
use core::fmt;

use self::{backoff::Backoff, context::Context, socket::Socket};
use crate::{
    config::ConfigError,
    engine::{ClientConnection, ClientInput, ClientStart, EngineClientOutput},
    entropy::Entropy,
    id::WireId,
    socket::{Decoder, DecoderLimits, NamespaceName},
    time::Timestamp,
};

/// A client: namespaces, buffers, acknowledgements, reconnection, recovery.
///
/// ```
/// use socketio_proto::Timestamp;
/// use socketio_proto::client::{Auth, Client, ClientConfig, ClientOutput};
/// use socketio_proto::engine::EngineClientOutput;
/// use socketio_proto::socket::Event;
///
/// let entropy = |dest: &mut [u8]| dest.fill(7);
/// let mut client = Client::new(ClientConfig::new(), entropy)?;
/// let now = Timestamp::ZERO;
/// client.connect(now, "/", Auth::None)?;
/// client.emit(now, "/", &Event::new("hello", &("world",))?)?;
/// assert_eq!(client.buffered("/").count(), 1, "until the namespace is joined");
///
/// while let Some(output) = client.poll_output() {
///     match output {
///         ClientOutput::Wire(EngineClientOutput::Get { wire: _, query }) => {
///             assert!(query.starts_with("EIO=4&transport=polling"));
///         }
///         other => println!("later: {other:?}"),
///     }
/// }
/// assert!(client.deadline().is_some(), "the handshake may take 20 s");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Client {
    cx: Context,
    sockets: BTreeMap<NamespaceName, Socket>,
    entropy: Box<dyn Entropy>,
    decoder: Decoder,
    backoff: Backoff,
    /// What the next connection takes over from the last one.
    start: ClientStart,
    /// Outputs of connections that have ended.
    wires: VecDeque<EngineClientOutput>,
    next_slot: u64,
    /// Greater than every acknowledgement name that a forgotten namespace has used.
    first_ack: u64,
    /// The largest body of a POST that was not refused as too large.
    max_body: usize,
}

impl Client {
    /// Makes a client that is not connected.
    ///
    /// `entropy` spreads reconnections and prevents caching. It makes no secrets.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the configuration cannot be used.
    ///
    /// ```
    /// use core::time::Duration;
    /// use socketio_proto::client::{Client, ClientConfig};
    ///
    /// let entropy = |dest: &mut [u8]| dest.fill(7);
    /// assert!(Client::new(ClientConfig::new(), entropy).is_ok());
    /// let config = ClientConfig::new().connect_timeout(Duration::ZERO);
    /// assert!(Client::new(config, entropy).is_err());
    /// ```
    pub fn new(config: ClientConfig, entropy: impl Entropy + 'static) -> Result<Self, ConfigError> {
        config.validate()?;
        let limits = DecoderLimits {
            attachments: config.limits.attachments,
            attachment_bytes: config.limits.attachment_bytes,
            namespace_name_bytes: config.limits.namespace_name_bytes,
        };
        Ok(Self {
            cx: Context::new(Arc::new(config)),
            sockets: BTreeMap::new(),
            entropy: Box::new(entropy),
            decoder: Decoder::new(limits),
            backoff: Backoff::default(),
            start: ClientStart::default(),
            wires: VecDeque::new(),
            next_slot: 0,
            first_ack: 0,
            max_body: usize::MAX,
        })
    }

    /// Handles what happened on a wire, or [`ClientInput::Timeout`].
    ///
    /// If `now` is earlier than in a previous call, the latest moment counts. An unknown wire is
    /// ignored.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::client::{Auth, Client, ClientConfig, ClientEvent, ClientOutput};
    /// use socketio_proto::engine::{ClientInput, EngineClientOutput, Transport};
    ///
    /// let config = ClientConfig::new().transports(&[Transport::WebSocket]);
    /// let mut client = Client::new(config, |dest: &mut [u8]| dest.fill(7))?;
    /// let now = Timestamp::ZERO;
    /// client.connect(now, "/", Auth::None)?;
    /// let Some(ClientOutput::Wire(EngineClientOutput::OpenWebSocket { wire, .. })) = client.poll_output() else {
    ///     unreachable!("the handshake");
    /// };
    ///
    /// // The WebSocket could not be opened: the client tries again later.
    /// client.handle_input(now, ClientInput::WireClosed { wire });
    /// let mut events = std::iter::from_fn(|| client.poll_output());
    /// assert!(events.any(|it| matches!(it, ClientOutput::Event(ClientEvent::Reconnecting { attempt: 1, .. }))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_input(&mut self, now: Timestamp, input: ClientInput) {
        self.advance(now);
        let is_timeout = input == ClientInput::Timeout;
        let now = self.cx.now;
        if let Some(connection) = self.cx.state.connection_mut() {
            connection.handle_input(now, input);
        }
        self.handle_engine();
        self.release();
        if is_timeout {
            self.handle_timeout();
        }
    }

    /// Returns the next output, events first. `None` until the next call that changes something.
    ///
    /// ```
    /// # use socketio_proto::client::{Client, ClientOutput};
    /// fn drain(client: &mut Client) {
    ///     while let Some(output) = client.poll_output() {
    ///         match output {
    ///             ClientOutput::Wire(output) => println!("carry out {output:?}"),
    ///             ClientOutput::Event(event) => println!("tell the application {event:?}"),
    ///             other => unreachable!("not in this version: {other:?}"),
    ///         }
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn poll_output(&mut self) -> Option<ClientOutput> {
        if let Some(context::Queued { event, offset }) = self.cx.pop_event() {
            if let (ClientEvent::Received { namespace, .. }, Some((generation, offset))) =
                (&event, offset)
                && let Some(socket) = self.sockets.get_mut(namespace)
            {
                socket.session.note_polled(generation, offset);
            }
            return Some(ClientOutput::Event(event));
        }
        let earlier = self.wires.pop_front();
        let output = earlier.or_else(|| self.cx.state.connection_mut()?.poll_wire());
        output.map(ClientOutput::Wire)
    }

    /// Returns when [`ClientInput::Timeout`] is due: at once while there is output, `None` while the
    /// client waits for nothing.
    ///
    /// ```
    /// use core::time::Duration;
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::client::{Auth, Client, ClientConfig};
    ///
    /// let config = ClientConfig::new().open_timeout(Duration::from_secs(9));
    /// let mut client = Client::new(config, |dest: &mut [u8]| dest.fill(7))?;
    /// assert_eq!(client.deadline(), None);
    /// client.connect(Timestamp::ZERO, "/", Auth::None)?;
    /// while client.poll_output().is_some() {}
    /// assert_eq!(client.deadline(), Some(Timestamp::from_millis(9_000)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let connection = self.cx.state.connection();
        let has_output = self.cx.has_events()
            || !self.wires.is_empty()
            || connection.is_some_and(ClientConnection::has_wire_output);
        if has_output {
            return Some(self.cx.now);
        }
        let connection = connection.map_or(Timestamp::NEVER, ClientConnection::timer);
        let namespaces = self.cx.grace.postpone(self.namespaces_deadline());
        connection.min(self.cx.state.attempt_at()).min(namespaces).finite()
    }

    /// Stops sending on a WebSocket that does not accept more frames for now.
    ///
    /// ```
    /// # use socketio_proto::{Timestamp, WireId, client::Client};
    /// fn on_would_block(client: &mut Client, wire: WireId) {
    ///     client.pause(wire);
    /// }
    /// fn on_writable(client: &mut Client, now: Timestamp, wire: WireId) {
    ///     client.resume(now, wire);
    /// }
    /// ```
    pub fn pause(&mut self, wire: WireId) {
        if let Some(connection) = self.cx.state.connection_mut() {
            connection.pause(wire);
        }
    }

    /// Sends on a WebSocket again after [`pause`](Self::pause).
    ///
    /// ```
    /// use socketio_proto::{Timestamp, WireId, client::Client};
    ///
    /// /// Call this when a WebSocket starts or stops to accept frames.
    /// fn set_writable(client: &mut Client, now: Timestamp, wire: WireId, is_writable: bool) {
    ///     if is_writable {
    ///         client.resume(now, wire);
    ///     } else {
    ///         client.pause(wire);
    ///     }
    /// }
    /// ```
    pub fn resume(&mut self, now: Timestamp, wire: WireId) {
        self.advance(now);
        if let Some(connection) = self.cx.state.connection_mut() {
            connection.resume(wire);
        }
        self.handle_engine();
    }

    fn advance(&mut self, now: Timestamp) {
        self.cx.now = self.cx.now.max(now);
    }
}

impl fmt::Debug for Client {
    /// Shows no session, no credentials and no event.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("connection", &self.cx.state.connection())
            .field("namespaces", &self.sockets.keys())
            .finish_non_exhaustive()
    }
}
