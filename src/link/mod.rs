//! One connection with its namespaces: an Engine.IO session, a decoder, and who is let in where.
//!
//! A [`Link`] turns what arrives on its wires into events for the application and
//! [`Request`](crate::hub::Request)s for the [`Hub`](crate::hub::Hub), and the hub's [`Reply`]s and
//! [`Delivery`]s into packets. It is
//! `Send` and shares nothing, so a program may run links on as many threads as it likes.
//!
//! ```text
//! the connection
//!
//!            no namespace for connect_timeout, violation, too much queued,
//!   Open ─── too fast, no pong, wire lost, close() ───▶ Closed, and finished when all is taken
//!
//! the client in one namespace
//!
//!           CONNECT: Request            Reply: let in         CONNECT: Request
//!   Out ────────────────────▶ Asking ──────────────────▶ In ───────────────────▶ In, asking
//!    ▲                          │                        │ ◀───────────────────    │
//!    │  Reply: refused          │                        │   Reply: let in anew    │
//!    ├──────────────────────────┴────────────────────────┴─────────────────────────┘
//!    │  DISCONNECT of the client, Reply: refused, Reply: disconnected
//!
//!   when the connection closes:   Asking ──▶ Out: cancelled     In ──▶ Out: detached, the hub
//!                                                                parks or ends the session
//! ```
//!
//! What a packet does depends on whether the client is in its namespace (protocol facts 2.5):
//!
//! | packet | not in it | asked to join | in it |
//! | --- | --- | --- | --- |
//! | CONNECT | ask the hub | the same: one answer for both; another: that is asked for instead | the same: answer again if nothing else was sent; otherwise replace the session |
//! | EVENT, ACK | ignored | ignored | delivered, also while the session is to be replaced |
//! | DISCONNECT | ignored | the request is taken back | leaves, and a request is taken back |
//! | CONNECT_ERROR | ignored, counted | the request is refused | the session is over (H56), and DISCONNECT tells so |
//!
//! Like the session below it, a link that is told late that it is time waits for one
//! [grace period](crate::engine#time) before it closes.
//!
//! # What the official client sends
//!
//! No order in which an application may call the public methods of the official client costs a
//! session. Its [manager and sockets] send this:
//!
//! | calls | packets | here |
//! | --- | --- | --- |
//! | `io()`, then `connect()` before the answer | CONNECT twice | one request, or the answer once more |
//! | `connect()`, `disconnect()` before the answer | CONNECT | the client is let in, and ignores what it is sent |
//! | the same, then `connect()` | CONNECT again | as the first row, unless events were sent, which the client has ignored: then the session is replaced |
//! | `connect()` twice with `auth` as a function | CONNECT later, also when the client is in and sends events, with the private id of the session that it has | replaced; or recovered, if nothing was missed |
//! | other `auth` between two `connect()` | CONNECT with other data | the newer one is decided, and replaces the session |
//! | `disconnect()` when connected | DISCONNECT | leaves |
//! | the callback of an event that came before `disconnect()`, or over an earlier connection | ACK, also as the first packet of a connection | ignored |
//! | `disconnect()` within a listener for what is sent, or for an event that came before CONNECT | DISCONNECT, then the EVENTs that were buffered | ignored |
//! | `emit()`, `disconnect()` after the second of two CONNECTs was refused | EVENT, DISCONNECT: the client still takes itself for connected | ignored |
//! | anything after the server has disconnected the socket, while the client does not know | any of these | CONNECT is asked for, the rest is ignored |
//!
//! A repeated CONNECT is the same request only while it is certain what the client has processed:
//! it processes all that is sent after its latest CONNECT, and may have ignored all that was sent
//! before. So if the first packet of the answer has not left the queue, the client will get it; if
//! only the answer has left, it is sent again; and if more has, the session cannot go on exactly,
//! and a new one begins. The former session goes on until the hub has decided, and
//! [`Disconnected`](crate::hub::Event::Disconnected) with the reason
//! [`Replaced`](crate::hub::DisconnectReason::Replaced) comes before `Connected` of the new one.
//! A repetition is recognised by a hash of its payload.
//!
//! The official client also checks little of what its application hands it. What it sends and this
//! server does not take costs no session either:
//!
//! | calls | packets | here |
//! | --- | --- | --- |
//! | `auth` that is no object (`"token"`, a list, a number) | CONNECT with another payload than an object | CONNECT_ERROR. A session that the client has there is parked: the client takes itself for refused |
//! | `io("/…")` with a name over [`namespace_name_bytes`](crate::Limits::namespace_name_bytes) | CONNECT | CONNECT_ERROR |
//! | `manager.socket("lobby")` without a slash, a name with a comma | CONNECT for another namespace, with a payload that is no JSON | CONNECT_ERROR; ignored where the client has joined or asked to |
//! | `emit()` or an answer with more than [`attachments`](crate::Limits::attachments), or [`attachment_bytes`](crate::Limits::attachment_bytes) | EVENT, ACK | closed, parked |
//! | the same with an object like `{_placeholder: true}`, or nested deeper than 128, next to bytes; with bytes that `toJSON` hides (socket.io-parser before 4.2.7) or, in Node.js, with a `Blob` | the same, with counts and placeholders that do not fit | closed, parked |
//! | `emit()` without a name, with `null`, an object or a callback in its place | EVENT whose first element is neither string nor number | closed, parked |
//! | anything over `maxPayload` | | closed, parked |
//!
//! An event is not just left out: the client would not notice, and what it sends behind it may build
//! on it. Who emits such an event again with each connection is closed each time, as by the reference;
//! the `retries` of the official client and those of this crate come to an end (in its release 4.6 only
//! with `ackTimeout`). The reason
//! [`InvalidPacket`](crate::engine::CloseReason::InvalidPacket) tells the operator that an application
//! or a limit has to change.
//!
//! What no client sends closes the connection as well, and its sessions are over (H56): whoever sends
//! it does not speak the protocol. That is text or bytes that are no packet, broken JSON, a payload of
//! the wrong type, a reserved name, a count or an id that is none. CONNECT_ERROR, which can be read, is
//! a violation of the namespace alone.
//!
//! Links and the hub may be on different threads. Requests to join and their answers carry a serial
//! number, so that an answer to an older CONNECT is not taken for one to the newest: the session
//! that the hub has opened for the older one is detached as that of a client that has gone.
//!
//! [manager and sockets]: https://github.com/socketio/socket.io/tree/main/packages/socket.io-client/lib

mod connect;
mod output;
mod packets;
mod seats;
mod unreadable;

pub use self::output::{Delivered, Event, Output};

use alloc::{boxed::Box, sync::Arc};
use core::time::Duration;

use self::seats::Seats;
use crate::{
    config::ServerConfig,
    engine::{self, CloseReason, Input, Rare, SendError, ServerConnection, Transport},
    hub::{ConnectSerial, Delivery, Reliability, Reply, ReplyKind},
    id::{EngineId, WireId},
    socket::Decoder,
    time::Timestamp,
};

/// One connection with its namespaces.
#[derive(Debug)]
pub struct Link {
    connection: ServerConnection,
    /// A namespace that the client is in, or [`NOWHERE`]: it saves a broadcast the look behind the
    /// box.
    present: u32,
    /// Whether a seat remembers an answer to CONNECT: most do not, from their first packet on.
    is_fresh: bool,
    /// Whether the owner has it in a list of links with output.
    is_listed: bool,
    rest: Box<Rest>,
}

/// What a broadcast does not look at.
#[derive(Debug)]
struct Rest {
    seats: Seats,
    next_connect: ConnectSerial,
    /// In the middle of a packet.
    decoder: Option<Box<Decoder>>,
    patience: Patience,
    /// This link's entry among the timers of its owner, who looks at it together with the deadline.
    armed: Timestamp,
    out: Rare<Output>,
}

/// No namespace has this number.
const NOWHERE: u32 = u32::MAX;

/// What the client is waited for, and until when.
#[derive(Clone, Copy, Debug)]
enum Patience {
    /// It has to join a namespace.
    Connect(Timestamp),
    /// Attachments have to follow.
    Attachment(Timestamp),
    Nothing,
}

impl Patience {
    fn end(self) -> Timestamp {
        match self {
            Self::Connect(end) | Self::Attachment(end) => end,
            Self::Nothing => Timestamp::NEVER,
        }
    }
}

impl Link {
    /// Makes the link of a verified handshake and queues the answer to it.
    pub fn new(
        now: Timestamp,
        config: Arc<ServerConfig>,
        id: EngineId,
        transport: Transport,
        wire: WireId,
    ) -> Self {
        let rest = Rest {
            seats: Seats::new(),
            next_connect: ConnectSerial::default(),
            decoder: None,
            patience: Patience::Connect(now.saturating_add(config.connect_timeout)),
            armed: Timestamp::NEVER,
            out: Rare::new(),
        };
        let connection = ServerConnection::new(now, config, id, transport, wire);
        Self {
            connection,
            present: NOWHERE,
            is_fresh: false,
            is_listed: false,
            rest: Box::new(rest),
        }
    }

    /// Takes what happened on one of the connection's wires, or that it is time.
    pub fn handle_input(&mut self, now: Timestamp, input: Input) {
        if matches!(input, Input::Timeout) {
            return self.handle_timeout(now, Duration::ZERO);
        }
        self.connection.handle_input(now, input);
        self.handle_engine();
    }

    /// [`Input::Timeout`] of an owner of many, whose timers are late by `lateness`.
    pub(crate) fn handle_timeout(&mut self, now: Timestamp, lateness: Duration) {
        self.connection.handle_late_timeout(now, lateness);
        self.handle_engine();
        self.handle_impatience(lateness);
    }

    /// Takes an answer of the hub.
    pub fn handle_reply(&mut self, now: Timestamp, reply: Reply) {
        self.connection.advance(now);
        match reply.0 {
            ReplyKind::Connected { namespace, serial, socket, packets } => {
                self.admit(&namespace, serial, socket, &packets);
            }
            ReplyKind::Repeated { socket, serial, packet } => self.repeat(socket, serial, &packet),
            ReplyKind::Refused { namespace, serial, packet } => {
                self.turn_away(&namespace, serial, &packet);
            }
            ReplyKind::Disconnected { socket, close } => self.disconnect(socket, close),
            ReplyKind::Close { reason } => self.connection.abort(reason),
        }
        self.handle_engine();
    }

    /// Queues a packet of a delivery. Takes O(namespaces of the client) and does not allocate
    /// unless the queue has to grow.
    pub fn deliver(&mut self, delivery: &Delivery) -> Delivered {
        if self.present != delivery.namespace && !self.has_joined(delivery.namespace) {
            return Delivered::Stale;
        }
        let is_volatile = delivery.reliability == Reliability::Volatile;
        if is_volatile && !self.connection.is_writable() {
            return Delivered::Dropped;
        }
        match (self.send(&delivery.packet), delivery.reliability) {
            (Ok(()), _) => {
                if self.is_fresh {
                    self.note_delivery(delivery.namespace);
                }
                Delivered::Queued
            }
            (Err(SendError::Closed), _) => Delivered::Stale,
            (Err(_), Reliability::Volatile) => Delivered::Dropped,
            (Err(SendError::Full), Reliability::Reliable) => Delivered::Refused,
            (Err(SendError::Full | SendError::Overflow), _) => {
                self.connection.abort(CloseReason::Overflow);
                self.handle_engine();
                Delivered::Overflowed
            }
        }
    }

    /// Whether an event of about so many frames and bytes can be queued.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the connection is not open, [`SendError::Full`] if it has to take
    /// what is queued first, [`SendError::Overflow`] if it does not read and has too much to read
    /// already.
    pub fn check_room(&self, packets: usize, bytes: usize) -> Result<(), SendError> {
        self.connection.check_room(packets, bytes)
    }

    /// Closes the connection. What is queued is sent first, unless `reason` is a shutdown.
    pub fn close(&mut self, now: Timestamp, reason: CloseReason) {
        let now = self.connection.advance(now);
        match reason {
            CloseReason::ServerShutdown => self.connection.abort(reason),
            _ => self.connection.close(now, reason),
        }
        self.handle_engine();
    }

    /// Stops sending on a WebSocket whose peer does not read. What is emitted meanwhile is queued
    /// within [`Limits::queued_bytes`](crate::Limits::queued_bytes); what was queued before is not
    /// held against the client.
    pub fn pause(&mut self, wire: WireId) {
        self.connection.pause(wire);
    }

    /// Goes on sending on a WebSocket.
    pub fn resume(&mut self, wire: WireId) {
        self.connection.resume(wire);
        // One that was only waiting to be read is over now.
        self.handle_engine();
    }

    /// Takes the next thing to do.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.poll_local().or_else(|| self.poll_wire().map(Output::Wire))
    }

    /// When [`Input::Timeout`] is due; a moment in the past while there is output.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        if !self.rest.out.is_empty() {
            return Some(self.connection.now());
        }
        let engine = self.connection.deadline().unwrap_or(Timestamp::NEVER);
        engine.min(self.patience_end()).finite()
    }

    /// The moment that the connection itself waits for, whatever is to be drained.
    pub(crate) fn timer(&self) -> Timestamp {
        self.connection.timer().min(self.patience_end())
    }

    /// When the patience with the client ends.
    fn patience_end(&self) -> Timestamp {
        self.connection.postpone(self.rest.patience.end())
    }

    /// Returns the Engine.IO id.
    pub fn id(&self) -> EngineId {
        self.connection.id()
    }

    /// Returns the present transport.
    pub fn transport(&self) -> Transport {
        self.connection.transport()
    }

    /// Returns the bytes queued for a client that does not read.
    pub fn queued_bytes(&self) -> usize {
        self.connection.queued_bytes()
    }

    /// Whether the connection is over.
    pub fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    /// Whether the connection is over and nothing will come out any more.
    pub fn is_finished(&self) -> bool {
        self.connection.is_closed() && self.rest.out.is_empty() && !self.has_wire_output()
    }

    /// Requests and events, in order.
    pub(crate) fn poll_local(&mut self) -> Option<Output> {
        self.rest.out.pop()
    }

    /// See [`Timers`](crate::timers::Timers).
    pub(crate) fn armed(&mut self) -> &mut Timestamp {
        &mut self.rest.armed
    }

    pub(crate) const fn is_listed(&self) -> bool {
        self.is_listed
    }

    pub(crate) const fn set_listed(&mut self, is_listed: bool) {
        self.is_listed = is_listed;
    }

    pub(crate) fn poll_wire(&mut self) -> Option<engine::Output> {
        self.connection.poll_wire()
    }

    pub(crate) fn has_wire_output(&self) -> bool {
        self.connection.has_wire_output()
    }
}
