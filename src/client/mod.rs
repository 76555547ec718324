//! A client: several namespaces on one connection that comes back by itself.
//!
//! [`Client`] has the same shape as [`Server`](crate::server::Server): one input, plain verbs, one
//! output queue, one deadline. It sees no socket and no clock. Here the crate names the wires:
//! carry out [`ClientOutput`], and report what became of it as
//! [`ClientInput`].
//!
//! ```text
//!              connect()             handshake              CONNECT answered
//!   Closed ─────────────▶ Opening ─────────────▶ Open ─────────────────────────▶ the next failure
//!     ▲                    ▲   │                  │                              waits the shortest
//!     │                    │   └──────┬───────────┘                              delay again
//!     │   delay over,      │          │ failed, lost, CONNECT not answered
//!     │   reconnect()      │          ▼
//!     │                    └─────── Waiting
//!     └── no active namespace any more, no attempt left
//! ```
//!
//! Each namespace on its own, once it is active ([`connect`](Client::connect)); only
//! [`Auth::Ask`] leads through *Asking*:
//!
//! ```text
//!          connection open        credentials         CONNECT answered
//!   Idle ──────────────▶ Asking ───────────▶ Joining ────────────────▶ Joined
//!    ▲                                        │   │                      │
//!    │                          disconnect(): │   │ refused:             │ DISCONNECT,
//!    │                 ┌─────────── Leaving ◀─┘   │ not active           │ disconnect():
//!    │        answered │                          │ any more             │ not active any more
//!    ├─────────────────┴──────────────────────────┴──────────────────────┘
//!    └── from everywhere when the connection is lost: joined again with the next one
//! ```
//!
//! What is emitted is buffered except in *Joined*. With recovery the session, its id and what was
//! sent and not confirmed outlive the way through *Idle*.
//!
//! # What is delivered
//!
//! | verb | while disconnected | on a link that breaks | the same with a server of this crate |
//! | --- | --- | --- | --- |
//! | [`emit`](Client::emit) | buffered | may be lost: at most once | exactly once |
//! | [`emit_with_ack`](Client::emit_with_ack) | buffered | reported as failed | exactly once |
//! | [`emit_volatile`](Client::emit_volatile) | dropped | may be lost | may be lost |
//! | [`emit_with_retries`](Client::emit_with_retries) | queued | sent again: at least once | exactly once |
//!
//! The last column is that of a server with
//! [`count_events`](crate::RecoveryConfig::count_events), and holds as long as the session is
//! recovered: both sides count the events of a
//! session, and what has not arrived is sent again, in order, as soon as it goes on. When it does
//! not, an event whose fate is unknown is reported ([`Event::Unconfirmed`], or as the failure of its
//! acknowledgement) and not sent again, unless it was emitted with retries.
//!
//! On the wire, the CONNECT answer of such a server says how many events it has (`"received":5`),
//! which the official client does not look at. A client that has read this asks, with an
//! acknowledgement without an id, for that number and for the answers to certain events (`43[7,8]`);
//! the server answers in the same way (`43[6]`), and sends the answers that it has kept. An event
//! that its application could not handle it names behind the number (`43[6,8]`): it is sent again if
//! it was emitted with retries. An official peer never sees any of it, and events themselves are the
//! same for everybody. The id of an acknowledgement is the number of its event in the session then,
//! so that a process that goes on with an old [state](Client::state) uses none again to which an
//! answer may come.
//!
//! What the server does not take holds nothing up. More than it takes at once (`maxPayload`) or more
//! attachments than it is configured to take is an [`EmitError`]; what was buffered before that was
//! known is taken out. What nobody has said is found out: an event after which the server closes
//! the connection, three times in a row, is given up. Both are reported as
//! [`Event::Undeliverable`]. In the other direction, a session that goes on with what this client
//! cannot read is given up ([`Event::ReplayUnreadable`]). Links that are lost count for nothing.
//!
//! Buffers are bounded by count, bytes and age ([`ClientLimits`]), can be looked at and taken back.
//! Every acknowledgement settles.
//!
//! Events of the server that were missed are delivered after a recovery, if the server has one:
//! the private id and the offset of each session are kept and presented with the next CONNECT.
//! Together with the events that have not arrived they are the client's [state](Client::state),
//! with which the next process goes on as if a link had been lost.
//!
//! # Time
//!
//! Hand in what has arrived before a timeout: see [time](crate::engine#time). After a late timeout,
//! what waits for the server waits for one grace period more. While a ping is overdue the link may be
//! dead: what is emitted meanwhile is buffered, and sent when the ping comes or with the next
//! connection; volatile events are dropped.
//!
//! # Where the reference is not followed
//!
//! * The random part of a delay survives the longest delay (C1), and delays start over when a
//!   CONNECT was answered, not when a connection was opened.
//! * A CONNECT has a timeout (C5). Only a namespace that was joined is reported as disconnected
//!   (C4).
//! * Buffers are bounded (C6), every acknowledgement has a timeout and settles (C7), and retries are
//!   free of C2 and C3.
//! * An offset is forgotten with its session (H25), what was replayed before a CONNECT that never
//!   came is dropped (H24), and a string that cannot be an offset is not taken for one (H04).
//! * `Connected` comes before the events that were missed, whatever the order on the wire was.

mod acks;
mod answer;
mod auth;
mod backoff;
mod buffer;
mod connection;
mod error;
mod event;
mod io;
mod left;
mod offset;
mod retry;
mod sending;
mod session;
mod settle;
mod socket;
mod state;
mod unconfirmed;
mod undeliverable;
mod unreadable;
mod verbs;

pub use self::{
    auth::Auth,
    buffer::BufferedEvent,
    error::{AckFailure, ConnectError, DisconnectReason, EmitError, JoinError, Undeliverable},
    event::{AckToken, AuthRequest, Event, Output},
    state::{ClientState, RestoreError, SessionState},
};

pub use crate::config::{ClientConfig, ClientLimits};

use alloc::{boxed::Box, collections::BTreeMap, collections::VecDeque, sync::Arc};
use core::fmt;

use self::{backoff::Backoff, io::Io, socket::Socket};
use crate::{
    config::ConfigError,
    engine::{ClientConnection, ClientInput, ClientOutput, ClientStart},
    entropy::Entropy,
    id::WireId,
    socket::{Decoder, DecoderLimits, NamespaceName},
    time::Timestamp,
};

/// A client: namespaces, buffers, acknowledgements, reconnection, recovery.
///
/// ```
/// use socketio_proto::Timestamp;
/// use socketio_proto::client::{Auth, Client, ClientConfig, Output};
/// use socketio_proto::engine::ClientOutput;
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
///         Output::Wire(ClientOutput::Get { wire: _, query }) => {
///             assert!(query.starts_with("EIO=4&transport=polling"));
///         }
///         Output::Wire(_) | Output::Event(_) => {}
///     }
/// }
/// assert!(client.deadline().is_some(), "the handshake may take 20 s");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Client {
    io: Io,
    sockets: BTreeMap<NamespaceName, Socket>,
    entropy: Box<dyn Entropy>,
    decoder: Decoder,
    backoff: Backoff,
    /// When the next attempt is made; [`Timestamp::NEVER`] if none is waited for.
    attempt_at: Timestamp,
    /// What the next connection takes over.
    start: ClientStart,
    /// Whether the connection was open.
    was_open: bool,
    /// Whether the connection is closed because nobody needs it: no attempt is to wait then.
    is_unused: bool,
    /// Whether this side has given the connection up: what came after the reason means nothing.
    is_aborted: bool,
    /// Outputs of connections that are gone.
    wires: VecDeque<ClientOutput>,
    next_slot: u64,
    /// No namespace that was forgotten has used this name of an acknowledgement.
    first_ack: u64,
    /// The largest body of a POST that has not been found to be too large.
    max_body: usize,
}

impl Client {
    /// Makes a client that is not connected.
    ///
    /// `entropy` spreads reconnections and keeps caches away; it makes no secrets.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the configuration cannot be used.
    pub fn new(config: ClientConfig, entropy: impl Entropy + 'static) -> Result<Self, ConfigError> {
        config.validate()?;
        let limits = DecoderLimits {
            attachments: config.limits.attachments,
            attachment_bytes: config.limits.attachment_bytes,
            namespace_name_bytes: config.limits.namespace_name_bytes,
        };
        Ok(Self {
            io: Io::new(Arc::new(config)),
            sockets: BTreeMap::new(),
            entropy: Box::new(entropy),
            decoder: Decoder::new(limits),
            backoff: Backoff::default(),
            attempt_at: Timestamp::NEVER,
            start: ClientStart::default(),
            was_open: false,
            is_unused: false,
            is_aborted: false,
            wires: VecDeque::new(),
            next_slot: 0,
            first_ack: 0,
            max_body: usize::MAX,
        })
    }

    /// Takes what happened on a wire, or that it is time.
    ///
    /// A `now` earlier than a former one counts as that. A wire that is not known is ignored.
    pub fn handle_input(&mut self, now: Timestamp, input: ClientInput) {
        self.advance(now);
        let is_timeout = input == ClientInput::Timeout;
        if let Some(connection) = &mut self.io.connection {
            connection.handle_input(self.io.now, input);
        }
        self.handle_engine();
        self.release();
        if is_timeout {
            self.handle_timeout();
        }
    }

    /// Takes the next thing to do, events first. `None` until the next call that changes
    /// something.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(io::Queued { event, offset }) = self.io.pop_event() {
            if let (Event::Received { namespace, .. }, Some((generation, offset))) =
                (&event, offset)
                && let Some(socket) = self.sockets.get_mut(namespace)
            {
                socket.session.take(generation, offset);
            }
            return Some(Output::Event(event));
        }
        let former = self.wires.pop_front();
        let output = former.or_else(|| self.io.connection.as_mut()?.poll_wire());
        output.map(Output::Wire)
    }

    /// When [`ClientInput::Timeout`] is due: in the past while there is output, `None` while
    /// nothing is to be waited for.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let connection = self.io.connection.as_ref();
        let has_output = self.io.has_events()
            || !self.wires.is_empty()
            || connection.is_some_and(ClientConnection::has_wire_output);
        if has_output {
            return Some(self.io.now);
        }
        let connection = connection.map_or(Timestamp::NEVER, ClientConnection::timer);
        let namespaces = self.io.grace.postpone(self.namespaces_deadline());
        connection.min(self.attempt_at).min(namespaces).finite()
    }

    /// Stops sending on a WebSocket that does not take frames at present.
    pub fn pause(&mut self, wire: WireId) {
        if let Some(connection) = &mut self.io.connection {
            connection.pause(wire);
        }
    }

    /// Goes on sending on a WebSocket.
    pub fn resume(&mut self, wire: WireId) {
        if let Some(connection) = &mut self.io.connection {
            connection.resume(wire);
        }
        self.handle_engine();
    }

    fn advance(&mut self, now: Timestamp) {
        self.io.now = self.io.now.max(now);
    }
}

impl fmt::Debug for Client {
    /// Shows no session, no credentials and no event.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("connection", &self.io.connection)
            .field("namespaces", &self.sockets.keys())
            .finish_non_exhaustive()
    }
}
