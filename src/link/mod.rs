//! One connection with its namespaces: an Engine.IO session, a decoder, and who is let in where.
//!
//! A [`Link`] turns what arrives on its wires into events for the application and
//! [`Request`](crate::hub::Request)s for the [`Hub`](crate::hub::Hub), and the hub's [`Reply`]s and
//! [`Delivery`]s into packets. It is
//! `Send` and shares nothing, so a program may run links on as many threads as it likes.
//!
//! What a packet does depends on whether the client is in its namespace (protocol facts 2.5):
//!
//! | packet | not in it | asked to join | in it |
//! | --- | --- | --- | --- |
//! | CONNECT | ask the hub | violation (H57) | violation |
//! | EVENT, ACK | violation | violation | delivered |
//! | DISCONNECT | violation | violation | leaves |
//! | CONNECT_ERROR | violation | violation | violation |
//!
//! A violation closes the connection, and its sessions are over (H56).

mod output;
mod packets;

pub use self::output::{Delivered, Event, Output};

use alloc::{collections::VecDeque, sync::Arc};

use smallvec::SmallVec;

use crate::{
    config::ServerConfig,
    engine::{self, CloseReason, Input, SendError, ServerConnection, Transport},
    hub::{Attached, Delivery, Reply, ReplyKind},
    id::{EngineId, WireId},
    socket::{Decoder, DecoderLimits, NamespaceName},
    time::Timestamp,
};

/// One connection with its namespaces.
#[derive(Debug)]
pub struct Link {
    connection: ServerConnection,
    decoder: Decoder,
    config: Arc<ServerConfig>,
    seats: SmallVec<[Seat; 1]>,
    patience: Patience,
    out: VecDeque<Output>,
    now: Timestamp,
}

/// The client's place in one namespace.
#[derive(Debug)]
struct Seat {
    namespace: NamespaceName,
    /// `None` until the hub has let the client in.
    socket: Option<Attached>,
    /// Whether the client counts its events, so that the hub has to do so as well.
    is_counted: bool,
}

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
        Self {
            connection: ServerConnection::new(now, config.clone(), id, transport, wire),
            decoder: Decoder::new(DecoderLimits::from(&config.limits)),
            seats: SmallVec::new(),
            patience: Patience::Connect(now.saturating_add(config.connect_timeout)),
            config,
            out: VecDeque::new(),
            now,
        }
    }

    /// Takes what happened on one of the connection's wires, or that it is time.
    pub fn handle_input(&mut self, now: Timestamp, input: Input) {
        self.now = self.now.max(now);
        self.connection.handle_input(now, input);
        self.handle_engine();
        self.handle_impatience();
    }

    /// Takes an answer of the hub.
    pub fn handle_reply(&mut self, now: Timestamp, reply: Reply) {
        self.now = self.now.max(now);
        match reply.0 {
            ReplyKind::Connected { namespace, socket, packets } => {
                self.admit(&namespace, socket, &packets);
            }
            ReplyKind::Refused { namespace, packet } => {
                self.seats.retain(|seat| seat.socket.is_some() || seat.namespace != namespace);
                self.send_exempt(&packet);
            }
            ReplyKind::Disconnected { socket, close } => self.disconnect(socket, close),
            ReplyKind::Close { reason } => self.connection.abort(reason),
        }
        self.handle_engine();
    }

    /// Queues a packet of a delivery. Takes O(namespaces of the client) and does not allocate
    /// unless the queue has to grow.
    pub fn deliver(&mut self, delivery: &Delivery) -> Delivered {
        let is_member = |seat: &Seat| {
            seat.socket.is_some_and(|socket| socket.key.namespace == delivery.namespace)
        };
        if !self.seats.iter().any(is_member) {
            return Delivered::Stale;
        }
        if delivery.is_volatile && !self.connection.is_writable() {
            return Delivered::Dropped;
        }
        match self.send(&delivery.packet) {
            Ok(()) => Delivered::Queued,
            Err(SendError::Overflow) => {
                self.handle_engine();
                Delivered::Overflowed
            }
            Err(SendError::Closed) => Delivered::Stale,
        }
    }

    /// Closes the connection. What is queued is sent first, unless `reason` is a shutdown.
    pub fn close(&mut self, now: Timestamp, reason: CloseReason) {
        self.now = self.now.max(now);
        match reason {
            CloseReason::ServerShutdown => self.connection.abort(reason),
            _ => self.connection.close(self.now, reason),
        }
        self.handle_engine();
    }

    /// Stops sending on a WebSocket whose peer does not read. What is emitted meanwhile is queued
    /// within [`Limits::queued_bytes`](crate::Limits::queued_bytes).
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
        if !self.out.is_empty() {
            return Some(self.now);
        }
        let engine = self.connection.deadline().unwrap_or(Timestamp::NEVER);
        engine.min(self.patience.end()).finite()
    }

    /// The moment that the connection itself waits for, whatever is to be drained.
    pub(crate) fn timer(&self) -> Timestamp {
        self.connection.timer().min(self.patience.end())
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
        self.connection.is_closed() && self.out.is_empty() && !self.has_wire_output()
    }

    /// Requests and events, in order.
    pub(crate) fn poll_local(&mut self) -> Option<Output> {
        let output = self.out.pop_front();
        if output.is_none() && self.out.capacity() > 0 {
            self.out = VecDeque::new();
        }
        output
    }

    pub(crate) fn poll_wire(&mut self) -> Option<engine::Output> {
        self.connection.poll_wire()
    }

    pub(crate) fn has_wire_output(&self) -> bool {
        self.connection.has_wire_output()
    }
}
