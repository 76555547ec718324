//! One connection with its namespaces: an Engine.IO session, a decoder, and who is let in where.
//!
//! A [`Link`] turns what arrives on its wires into events for the application and [`Request`]s for
//! the [`Hub`](crate::hub::Hub), and the hub's [`Reply`]s and [`Delivery`]s into packets. It is
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

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};

use smallvec::SmallVec;

use crate::{
    config::ServerConfig,
    engine::{self, CloseReason, Frame, Input, Payload, SendError, ServerConnection, Transport},
    hub::{AckToken, Attached, Delivery, DisconnectReason, Reply, ReplyKind, Request, RequestKind},
    id::{EngineId, SocketKey, WireId},
    socket::{self, Args, Decoder, DecoderLimits, Encoded, Json, Kind, NamespaceName, Packet},
    time::Timestamp,
};

/// One connection with its namespaces.
#[derive(Debug)]
pub struct Link {
    connection: ServerConnection,
    decoder: Decoder,
    config: Arc<ServerConfig>,
    seats: SmallVec<[Seat; 1]>,
    /// When the connection is closed if it has joined no namespace by then.
    connect_by: Timestamp,
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

/// What the owner of the link has to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Answer an HTTP exchange, send a frame, close a WebSocket.
    Wire(engine::Output),
    /// Hand a request to the hub: [`Hub::handle_request`](crate::hub::Hub::handle_request).
    Hub(Request),
    /// Tell the application.
    Event(Event),
}

/// Something that happened on the connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client has emitted an event. Those of a client that counts them, as the one of this
    /// crate does, come from the hub instead, which knows which link of a session is the present.
    Received {
        /// Its socket.
        socket: SocketKey,
        /// The event.
        event: socket::Event,
        /// What to answer with if the client asked for an acknowledgement.
        ack: Option<AckToken>,
    },
    /// The session has moved from HTTP long-polling to WebSocket.
    Upgraded,
    /// The connection is over. This is the link's last event.
    Closed {
        /// Why.
        reason: CloseReason,
    },
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It was queued.
    Queued,
    /// It was volatile, and the client could not take it.
    Dropped,
    /// The client is not in the namespace any more.
    Stale,
    /// The queue was over its limit: the connection is closed.
    Overflowed,
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
            connect_by: now.saturating_add(config.connect_timeout),
            config,
            out: VecDeque::new(),
            now,
        }
    }

    /// Takes what happened on one of the connection's wires, or that it is time.
    pub fn handle_input(&mut self, now: Timestamp, input: Input) {
        self.now = self.now.max(now);
        self.connection.handle_input(now, input);
        if self.connect_by <= self.now {
            self.connect_by = Timestamp::NEVER;
            self.connection.close(self.now, CloseReason::ForcedClose);
        }
        self.handle_engine();
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
        engine.min(self.connect_by).finite()
    }

    /// The moment that the connection itself waits for, whatever is to be drained.
    pub(crate) fn timer(&self) -> Timestamp {
        self.connection.timer().min(self.connect_by)
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

    /// Passes on what the engine has to say.
    fn handle_engine(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                engine::Event::Upgraded => self.out.push_back(Output::Event(Event::Upgraded)),
                engine::Event::Message(payload) => self.handle_payload(payload),
                engine::Event::Closed { reason } => self.handle_closed(reason),
            }
        }
    }

    fn handle_payload(&mut self, payload: Payload) {
        if !self.connection.is_open() {
            return;
        }
        let decoded = match payload {
            Payload::Text(text) => self.decoder.push_text(text),
            Payload::Binary(bytes) => self.decoder.push_binary(bytes),
        };
        match decoded {
            Ok(Some(packet)) => self.handle_packet(packet),
            Ok(None) => {}
            Err(_) => self.handle_violation(),
        }
    }

    fn handle_packet(&mut self, packet: Packet) {
        let Packet { namespace, kind } = packet;
        let seat = self.seats.iter().position(|seat| seat.namespace == namespace);
        let socket = seat.and_then(|seat| self.seats.get(seat)?.socket);
        match (kind, socket) {
            (Kind::Connect { auth }, None) if seat.is_none() => self.ask(namespace, auth),
            (Kind::Event { event, ack }, Some(socket)) if self.is_counted(socket) => {
                self.request(RequestKind::Event { socket, event, ack });
            }
            (Kind::Event { event, ack }, Some(socket)) => {
                let ack = ack.map(|id| AckToken::new(socket, id));
                let event = Event::Received { socket: socket.key, event, ack };
                self.out.push_back(Output::Event(event));
            }
            (Kind::Ack { id: Some(id), args }, Some(socket)) => {
                self.request(RequestKind::Ack { socket, id, args });
            }
            (Kind::Ack { id: None, args }, Some(socket)) => self.confirm(socket, &args),
            (Kind::Disconnect, Some(socket)) => {
                self.seats.retain(|seat| seat.socket != Some(socket));
                let reason = DisconnectReason::ClientNamespaceDisconnect;
                self.request(RequestKind::Detach { socket, reason });
            }
            _ => self.handle_violation(),
        }
    }

    fn is_counted(&self, socket: Attached) -> bool {
        self.seats.iter().any(|seat| seat.socket == Some(socket) && seat.is_counted)
    }

    /// An acknowledgement without an id: a client of this crate says that it counts its events
    /// from now on, and asks what has arrived. Where nothing was announced it means nothing.
    fn confirm(&mut self, socket: Attached, args: &Args) {
        if !self.config.counts_events() {
            return;
        }
        let Ok(ids) = args.parse::<Vec<u64>>() else {
            return;
        };
        if let Some(seat) = self.seats.iter_mut().find(|seat| seat.socket == Some(socket)) {
            seat.is_counted = true;
        }
        self.request(RequestKind::Confirm { socket, ids });
    }

    fn ask(&mut self, namespace: NamespaceName, auth: Option<Json>) {
        if self.seats.len() >= self.config.limits.namespaces_per_connection {
            let error = Json::from_text(r#"{"message":"Too many namespaces"}"#);
            let error = error.unwrap_or_else(|_| Json::empty_object());
            self.send_exempt(&Encoded::connect_error(&namespace, &error));
            return;
        }
        self.seats.push(Seat { namespace: namespace.clone(), socket: None, is_counted: false });
        self.request(RequestKind::Connect { namespace, auth });
    }

    fn admit(&mut self, namespace: &NamespaceName, socket: Attached, packets: &[Encoded]) {
        let is_waiting = |seat: &&mut Seat| seat.socket.is_none() && seat.namespace == *namespace;
        let seat = self.seats.iter_mut().find(is_waiting);
        let Some(seat) = seat.filter(|_| self.connection.is_open()) else {
            // The client has gone while the hub let it in: it may come back for its session.
            let reason = DisconnectReason::TransportClose;
            self.request(RequestKind::Detach { socket, reason });
            return;
        };
        seat.socket = Some(socket);
        self.connect_by = Timestamp::NEVER;
        for packet in packets {
            self.send_exempt(packet);
        }
    }

    fn disconnect(&mut self, socket: Attached, close: bool) {
        let index = self.seats.iter().position(|seat| seat.socket == Some(socket));
        if let Some(index) = index {
            let seat = self.seats.remove(index);
            self.send_exempt(&Encoded::disconnect(&seat.namespace));
        }
        if !close {
            return;
        }
        for seat in core::mem::take(&mut self.seats) {
            if seat.socket.is_some() {
                self.send_exempt(&Encoded::disconnect(&seat.namespace));
            }
            self.give_up(seat, DisconnectReason::ServerNamespaceDisconnect);
        }
        self.connection.close(self.now, CloseReason::ForcedClose);
    }

    /// The client broke the protocol: it is not waited for.
    fn handle_violation(&mut self) {
        for seat in core::mem::take(&mut self.seats) {
            self.give_up(seat, DisconnectReason::ProtocolViolation);
        }
        self.decoder.reset();
        self.connection.close(self.now, CloseReason::ProtocolViolation);
    }

    fn handle_closed(&mut self, reason: CloseReason) {
        for seat in core::mem::take(&mut self.seats) {
            self.give_up(seat, reason.into());
        }
        self.decoder.reset();
        self.connect_by = Timestamp::NEVER;
        self.out.push_back(Output::Event(Event::Closed { reason }));
    }

    fn give_up(&mut self, seat: Seat, reason: DisconnectReason) {
        self.request(match seat.socket {
            Some(socket) => RequestKind::Detach { socket, reason },
            None => RequestKind::Cancel { namespace: seat.namespace },
        });
    }

    fn request(&mut self, request: RequestKind) {
        self.out.push_back(Output::Hub(Request(request)));
    }

    fn send(&mut self, packet: &Encoded) -> Result<(), SendError> {
        self.connection.send_frame(Frame::Text(packet.head().clone()))?;
        for attachment in packet.attachments() {
            self.connection.send_frame(Frame::Binary(attachment.clone()))?;
        }
        Ok(())
    }

    /// Sends what the limits of the queue do not apply to: answers, and what was missed, which is
    /// bounded by [`replay_bytes`](crate::RecoveryConfig::replay_bytes). On a connection that is
    /// closing there is nobody to answer.
    fn send_exempt(&mut self, packet: &Encoded) {
        let mut is_sent = self.connection.send_exempt(Frame::Text(packet.head().clone())).is_ok();
        for attachment in packet.attachments() {
            let frame = Frame::Binary(attachment.clone());
            is_sent = is_sent && self.connection.send_exempt(frame).is_ok();
        }
    }
}
