//! One connection with its namespaces: an Engine.IO session, a decoder, and the namespaces that the
//! client has joined.
//!
//! A [`Link`] turns what arrives on its wires into events for the application and
//! [`Request`](crate::hub::Request)s to the [`Hub`](crate::hub::Hub). It turns the [`Reply`]s and
//! [`Delivery`](crate::hub::Delivery)s of the hub into packets. It is `Send` and shares nothing, so
//! links can run on any number of threads. A [`Pool`](crate::pool::Pool) drives the links of one
//! thread; use a link directly only to write a pool of your own.
//!
//! ```text
//! the connection
//!
//!            no namespace for connect_timeout, violation, too much queued,
//!   Open ─── too fast, no pong, wire lost, close() ───▶ Closed, and finished when all is taken
//!
//! the client in one namespace
//!
//!           CONNECT: Request            Reply: accepted       CONNECT: Request
//!   Out ────────────────────▶ Asking ──────────────────▶ In ───────────────────▶ In, asking
//!    ▲                          │                        │ ◀───────────────────    │
//!    │  Reply: refused          │                        │   Reply: accepted       │
//!    ├──────────────────────────┴────────────────────────┴─────────────────────────┘
//!    │  DISCONNECT of the client, Reply: refused, Reply: disconnected
//!
//!   when the connection closes:   Asking ──▶ Out: cancelled     In ──▶ Out: detached, the hub
//!                                                                parks or ends the session
//! ```
//!
//! The effect of a packet depends on whether the client is in its namespace ([protocol facts
//! 2.5](crate::protocol#25-joining-namespaces)):
//!
//! | packet | not in it | asked to join | in it |
//! | --- | --- | --- | --- |
//! | CONNECT | the hub is asked | the same CONNECT: one answer for both; another one: it replaces the first | the same CONNECT: answered again if nothing else was sent; otherwise the session is replaced |
//! | EVENT, ACK | ignored | ignored | delivered, also while a replacement is being decided |
//! | DISCONNECT | ignored | the request is withdrawn | the client leaves, and a request is withdrawn |
//! | CONNECT_ERROR | ignored, counted | the request is refused | the session ends (H56) with a DISCONNECT |
//!
//! Like an Engine.IO session, a link that gets its timeout late waits for one [grace
//! period](crate::engine#time) before it closes.
//!
//! # What the official client sends
//!
//! An application can call the public methods of the official client in any order without losing a
//! session. Its [manager and sockets] send this:
//!
//! | calls | packets | here |
//! | --- | --- | --- |
//! | `io()`, then `connect()` before the answer | CONNECT twice | one request, or the answer once more |
//! | `connect()`, `disconnect()` before the answer | CONNECT | the client joins, and ignores what it is sent |
//! | the same, then `connect()` | CONNECT again | as in the first row; but if events were sent, the client has ignored them, and the session is replaced |
//! | `connect()` twice with `auth` as a function | a later CONNECT with the private id of the current session, perhaps after the first events | replaced; or recovered, if nothing was missed |
//! | another `auth` between two `connect()` | CONNECT with other data | the newer one is decided, and replaces the session |
//! | `disconnect()` when connected | DISCONNECT | leaves |
//! | the callback of an event that came before `disconnect()`, or over an earlier connection | ACK, also as the first packet of a connection | ignored |
//! | `disconnect()` within a listener for what is sent, or for an event that came before CONNECT | DISCONNECT, then the EVENTs that were buffered | ignored |
//! | `emit()`, `disconnect()` after the second of two CONNECTs was refused | EVENT, DISCONNECT: the client still believes that it is connected | ignored |
//! | anything after the server has disconnected the socket, before the client knows | any of these | a CONNECT is decided, the rest is ignored |
//!
//! A repeated CONNECT counts as the same request only while it is certain what the client has
//! processed. The client processes everything that is sent after its latest CONNECT, and may have
//! ignored everything before. So there are three cases:
//!
//! * The answer has not left the queue: the client will process it.
//! * Only the answer has left the queue: it is sent again.
//! * More has left the queue: the session cannot continue exactly, so a new one replaces it.
//!
//! The old session continues until the hub has decided. Then
//! [`Disconnected`](crate::hub::ServerEvent::Disconnected) with the reason
//! [`Replaced`](crate::hub::DisconnectReason::Replaced) comes before the `Connected` of the new
//! session. A repetition is recognised by a hash of its payload.
//!
//! The official client also checks little of what its application passes to it. Packets that this
//! server does not accept for that reason cost no session either:
//!
//! | calls | packets | here |
//! | --- | --- | --- |
//! | `auth` that is not an object (`"token"`, a list, a number) | CONNECT with another payload than an object | CONNECT_ERROR. A session that the client has there is parked, because the client considers itself refused |
//! | `io("/…")` with a name over [`namespace_name_bytes`](crate::Limits::namespace_name_bytes) | CONNECT | CONNECT_ERROR |
//! | `manager.socket("lobby")` without a slash, a name with a comma | CONNECT for another namespace, with a payload that is not JSON | CONNECT_ERROR; ignored if the client has joined that namespace or asked to |
//! | `emit()` or an answer with more than [`attachments`](crate::Limits::attachments), or [`attachment_bytes`](crate::Limits::attachment_bytes) | EVENT, ACK | closed, parked |
//! | the same with an object like `{_placeholder: true}`, or nested deeper than 128, next to bytes; with bytes that `toJSON` hides (socket.io-parser before 4.2.7); in Node.js with a `Blob` | the same, with counts and placeholders that do not match | closed, parked |
//! | `emit()` without a name, or with `null`, an object or a callback as the name | EVENT whose first element is neither a string nor a number | closed, parked |
//! | anything over `maxPayload` | | closed, parked |
//!
//! Such an event is not simply skipped: the client would not notice, and later events may depend on
//! it. A client that emits the same event again after each reconnection is closed each time, as by
//! the reference. Retries end after some attempts, those of this crate and of the official client
//! (in its release 4.6 only with `ackTimeout`). The reason
//! [`InvalidPacket`](crate::engine::CloseReason::InvalidPacket) tells the operator that an
//! application or a limit has to change.
//!
//! Packets that no official client sends close the connection, and its sessions end (H56), because
//! the peer does not speak the protocol. These are: text or bytes that are not a packet, broken
//! JSON, a payload of the wrong type, a reserved event name, and an invalid count or id. A
//! CONNECT_ERROR can be read, so it ends only the session in its namespace.
//!
//! Links and the hub may be on different threads. Requests to join and their answers carry a serial
//! number, so that the answer to an older CONNECT is not mistaken for the answer to the newest one.
//! A session that the hub has opened for an older CONNECT is detached, as if its client had gone.
//!
//! [manager and sockets]: https://github.com/socketio/socket.io/tree/main/packages/socket.io-client/lib

mod connect;
mod control;
mod deliver;
mod joins;
mod output;
mod packets;
mod status;
mod unreadable;

pub use self::output::{Delivered, LinkEvent, LinkOutput};

use alloc::{boxed::Box, sync::Arc};
use core::time::Duration;

use self::joins::Joins;
use crate::{
    config::ServerConfig,
    engine::{EngineInput, EngineOutput, Rare, ServerConnection, Transport},
    hub::{ConnectSerial, Reply, ReplyKind},
    id::{EngineId, WireId},
    socket::Decoder,
    time::Timestamp,
};

/// One connection with its namespaces.
///
/// ```
/// use std::sync::Arc;
/// use socketio_proto::engine::{EngineInput, Frame, Transport};
/// use socketio_proto::hub::{Hub, HubOutput};
/// use socketio_proto::link::{Link, LinkOutput};
/// use socketio_proto::{ConnectionId, EngineId, ServerConfig, Timestamp, WireId};
///
/// let (config, now) = (Arc::new(ServerConfig::new()), Timestamp::ZERO);
/// let mut hub = Hub::<()>::new(config.clone(), |dest: &mut [u8]| dest.fill(7))?;
/// hub.at(now).add_namespace("/").unwrap();
///
/// // A WebSocket handshake was verified and completed: its link can live on any thread.
/// let (connection, wire) = (ConnectionId::from_raw(1), WireId(1));
/// let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
/// let mut link = Link::new(now, config, id, Transport::WebSocket, wire);
///
/// // The client asks to join the main namespace, which the hub decides.
/// let frame = Frame::Text("40".into());
/// link.handle_input(now, EngineInput::Frame { wire, frame });
/// while let Some(output) = link.poll_output() {
///     match output {
///         LinkOutput::Wire(_to_do) => {}
///         LinkOutput::Hub(request) => hub.handle_request(now, connection, request),
///         _ => {}
///     }
/// }
/// assert!(matches!(hub.poll_output(), Some(HubOutput::Event(_))), "the application is asked");
/// # Ok::<(), socketio_proto::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Link {
    connection: ServerConnection,
    /// A namespace that the client is in, or [`NOWHERE`]. It saves a broadcast the access behind
    /// the box.
    present: u32,
    /// Whether an answer to CONNECT is remembered in some namespace. After the first packet there,
    /// it is forgotten.
    is_fresh: bool,
    /// Whether the owner has it in a list of links with output.
    is_listed: bool,
    rest: Box<Rest>,
}

/// The part that a broadcast does not access.
#[derive(Debug)]
struct Rest {
    joins: Joins,
    next_connect: ConnectSerial,
    /// Decodes the packets. It may wait for attachments.
    decoder: Option<Box<Decoder>>,
    awaited: Awaited,
    /// The entry of this link among the timers of its owner, which uses it together with the
    /// deadline.
    armed: Timestamp,
    out: Rare<LinkOutput>,
}

/// No namespace has this number.
const NOWHERE: u32 = u32::MAX;

/// What the client has to do, and until when.
#[derive(Clone, Copy, Debug)]
enum Awaited {
    /// It has to join a namespace.
    Namespace(Timestamp),
    /// Attachments have to follow.
    Attachment(Timestamp),
    Nothing,
}

impl Awaited {
    fn end(self) -> Timestamp {
        match self {
            Self::Namespace(end) | Self::Attachment(end) => end,
            Self::Nothing => Timestamp::NEVER,
        }
    }
}

impl Link {
    /// Creates the link for a verified handshake, and queues the answer.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use socketio_proto::engine::Transport;
    /// use socketio_proto::link::Link;
    /// use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    ///
    /// let config = Arc::new(ServerConfig::new());
    /// let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap(); // a real one is random
    /// let link = Link::new(Timestamp::ZERO, config, id, Transport::WebSocket, WireId(1));
    /// assert_eq!(link.transport(), Transport::WebSocket);
    /// ```
    pub fn new(
        now: Timestamp,
        config: Arc<ServerConfig>,
        id: EngineId,
        transport: Transport,
        wire: WireId,
    ) -> Self {
        let rest = Rest {
            joins: Joins::new(),
            next_connect: ConnectSerial::default(),
            decoder: None,
            awaited: Awaited::Namespace(now.saturating_add(config.connect_timeout)),
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

    /// Handles something that happened on a wire of the connection, or a timeout.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::{CloseReason, EngineInput, EngineOutput, Frame, Transport};
    /// # use socketio_proto::link::{Link, LinkOutput};
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let (config, now, wire) = (Arc::new(ServerConfig::new()), Timestamp::ZERO, WireId(1));
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let mut link = Link::new(now, config, id, Transport::WebSocket, wire);
    /// let frame = Frame::Text("40".into());
    /// link.handle_input(now, EngineInput::Frame { wire, frame });
    /// let asks = std::iter::from_fn(|| link.poll_output()).any(|it| matches!(it, LinkOutput::Hub(_)));
    /// assert!(asks, "the hub, whether the client may join");
    /// ```
    pub fn handle_input(&mut self, now: Timestamp, input: EngineInput) {
        if matches!(input, EngineInput::Timeout) {
            return self.handle_timeout(now, Duration::ZERO);
        }
        self.connection.handle_input(now, input);
        self.handle_engine();
    }

    /// [`EngineInput::Timeout`] from an owner of many links, whose timers are late by `lateness`.
    pub(crate) fn handle_timeout(&mut self, now: Timestamp, lateness: Duration) {
        self.connection.handle_late_timeout(now, lateness);
        self.handle_engine();
        self.close_overdue(lateness);
    }

    /// Handles a reply of the hub.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::hub::{Hub, HubOutput};
    /// use socketio_proto::link::Link;
    ///
    /// /// With one connection only.
    /// fn carry(hub: &mut Hub<()>, link: &mut Link, now: Timestamp) {
    ///     while let Some(output) = hub.poll_output() {
    ///         match output {
    ///             HubOutput::Reply { reply, .. } => link.handle_reply(now, reply),
    ///             HubOutput::Deliver(delivery) => println!("{:?}", link.deliver(now, &delivery)),
    ///             output => println!("for the application: {output:?}"),
    ///         }
    ///     }
    /// }
    /// ```
    pub fn handle_reply(&mut self, now: Timestamp, reply: Reply) {
        self.connection.advance(now);
        match reply.0 {
            ReplyKind::Connected { namespace, serial, socket, packets } => {
                self.accept_join(&namespace, serial, socket, &packets);
            }
            ReplyKind::Repeated { socket, serial, packet } => self.repeat(socket, serial, &packet),
            ReplyKind::Refused { namespace, serial, packet } => {
                self.refuse_join(&namespace, serial, &packet);
            }
            ReplyKind::Disconnected { socket, close } => self.disconnect(socket, close),
            ReplyKind::Close { reason } => self.connection.abort(reason),
        }
        self.handle_engine();
    }

    /// Takes the next output.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::{CloseReason, EngineInput, EngineOutput, Frame, Transport};
    /// # use socketio_proto::link::{Link, LinkOutput};
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let (config, now, wire) = (Arc::new(ServerConfig::new()), Timestamp::ZERO, WireId(1));
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let mut link = Link::new(now, config, id, Transport::WebSocket, wire);
    /// let Some(LinkOutput::Wire(EngineOutput::Send { frame, .. })) = link.poll_output() else {
    ///     panic!("the handshake comes first");
    /// };
    /// assert!(matches!(frame, Frame::Text(text) if text.starts_with("0{")));
    /// ```
    #[must_use]
    pub fn poll_output(&mut self) -> Option<LinkOutput> {
        self.poll_local().or_else(|| self.poll_wire().map(LinkOutput::Wire))
    }

    /// Returns when [`EngineInput::Timeout`] is due. While there is output, the deadline is in the past.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::{CloseReason, EngineInput, EngineOutput, Frame, Transport};
    /// # use socketio_proto::link::{Link, LinkOutput};
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let (config, now, wire) = (Arc::new(ServerConfig::new()), Timestamp::ZERO, WireId(1));
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let mut link = Link::new(now, config, id, Transport::WebSocket, wire);
    /// while link.poll_output().is_some() {}
    /// let ping = Timestamp::from_millis(25_000);
    /// assert_eq!(link.deadline(), Some(ping));
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        if !self.rest.out.is_empty() {
            return Some(self.connection.now());
        }
        let engine = self.connection.deadline().unwrap_or(Timestamp::NEVER);
        engine.min(self.awaited_until()).finite()
    }

    /// The deadline of the connection itself, without regard to output.
    pub(crate) fn timer(&self) -> Timestamp {
        self.connection.timer().min(self.awaited_until())
    }

    /// The deadline for what the client has to do.
    fn awaited_until(&self) -> Timestamp {
        self.connection.postpone(self.rest.awaited.end())
    }

    /// Requests and events, in order.
    pub(crate) fn poll_local(&mut self) -> Option<LinkOutput> {
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

    pub(crate) fn poll_wire(&mut self) -> Option<EngineOutput> {
        self.connection.poll_wire()
    }

    pub(crate) fn has_wire_output(&self) -> bool {
        self.connection.has_wire_output()
    }
}
