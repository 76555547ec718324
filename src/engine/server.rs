//! The server side of a session: the methods for the application and the embedder.

use alloc::{boxed::Box, sync::Arc};
use core::{fmt, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    EngineEvent, EngineInput, EngineOutput, EnginePacket, Frame, Open, Response, Transport,
    fifo::{Fifo, Rare},
    heartbeat::Heartbeat,
    queue::{Account, SendQueue},
    state::{LastClose, State},
};
use crate::{EngineId, ServerConfig, Timestamp, WireId, bucket::Bucket, grace::Grace};

/// The server side of one Engine.IO session.
///
/// See the [module documentation](super) for its states and how to drive it.
///
/// ```
/// use std::sync::Arc;
/// use socketio_proto::engine::{EngineEvent, EngineInput, EngineOutput, Frame, Payload, ServerConnection, Transport};
/// use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
///
/// let config = Arc::new(ServerConfig::new());
/// let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").ok_or("not an id")?;
/// let (now, wire) = (Timestamp::ZERO, WireId(1));
/// let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
/// assert!(matches!(session.poll_output(), Some(EngineOutput::Send { .. })), "the open packet");
///
/// session.handle_input(now, EngineInput::Frame { wire, frame: Frame::Text("4ping?".into()) });
/// let message = EngineEvent::Message(Payload::Text("ping?".into()));
/// assert_eq!(session.poll_output(), Some(EngineOutput::Event(message)));
///
/// session.send(now, Payload::Text("pong!".into()))?;
/// let frame = Frame::Text("4pong!".into());
/// assert_eq!(session.poll_output(), Some(EngineOutput::Send { wire, frame }));
/// assert_eq!(session.poll_output(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ServerConnection {
    // A broadcast reads only these fields, and nothing behind the box.
    pub(super) config: Arc<ServerConfig>,
    pub(super) state: State,
    pub(super) queue: SendQueue,
    /// The latest moment seen.
    pub(super) now: Timestamp,
    /// Outputs for wires other than the current WebSocket, whose frames stay in the queue.
    wires: Rare<EngineOutput>,
    pub(super) rest: Box<Rest>,
}

/// The part that queueing a packet does not touch.
pub(super) struct Rest {
    pub(super) id: EngineId,
    /// The rate of what the peer sends.
    pub(super) intake: Bucket,
    pub(super) heartbeat: Heartbeat,
    pub(super) grace: Grace,
    pub(super) events: Fifo<EngineEvent>,
}

/// The text of a ping. No other packet of a server starts with it.
const PING: &str = "2";

impl ServerConnection {
    /// Opens a session for a handshake that was [verified](super::verify), and answers the
    /// handshake. `wire` is its GET or its WebSocket.
    ///
    /// The configuration must be [valid](ServerConfig::validate).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use socketio_proto::engine::{ServerConnection, Transport};
    /// use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    ///
    /// let config = Arc::new(ServerConfig::new());
    /// let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap(); // a real one is random
    /// let session = ServerConnection::new(Timestamp::ZERO, config, id, Transport::Polling, WireId(1));
    /// assert!(session.is_open());
    /// ```
    pub fn new(
        now: Timestamp,
        config: Arc<ServerConfig>,
        id: EngineId,
        transport: Transport,
        wire: WireId,
    ) -> Self {
        let mut queue = SendQueue::default();
        let open = EnginePacket::Open(Open::new(&id, &config, transport)).encode();
        queue.push(open, Account::Exempt);
        let rest = Rest {
            id,
            intake: Bucket::default(),
            heartbeat: Heartbeat::new(now, &config),
            grace: Grace::default(),
            events: Fifo::new(),
        };
        let state = State::new(now, transport, wire);
        let (wires, rest) = (Rare::new(), Box::new(rest));
        let mut session = Self { config, state, queue, now, wires, rest };
        session.answer_get();
        session
    }

    /// Handles an input. A `now` that is earlier than the latest one seen counts as that one.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::*;
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").ok_or("not an id")?;
    /// # let (now, wire) = (Timestamp::ZERO, WireId(1));
    /// # let config = Arc::new(ServerConfig::new());
    /// # let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
    /// # session.poll_output();
    /// session.handle_input(now, EngineInput::Frame { wire, frame: Frame::Text("4hello".into()) });
    /// let hello = Payload::Text("hello".into());
    /// assert_eq!(session.poll_output(), Some(EngineOutput::Event(EngineEvent::Message(hello))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_input(&mut self, now: Timestamp, input: EngineInput) {
        self.advance(now);
        match input {
            EngineInput::Poll { wire } => self.handle_poll(wire),
            EngineInput::Post { wire, body, binary } => self.handle_post(wire, body, binary),
            EngineInput::Body { wire, body } => self.handle_body(wire, body),
            EngineInput::OtherMethod { wire } => self.handle_other_method(wire),
            EngineInput::WebSocketOpened { wire } => self.handle_websocket_opened(wire),
            EngineInput::Frame { wire, frame } => self.handle_frame(wire, frame),
            EngineInput::ControlFrame { wire } => self.handle_control_frame(wire),
            EngineInput::CloseFrame { wire } => self.handle_close_frame(wire),
            EngineInput::WireClosed { wire } => self.handle_wire_closed(wire),
            EngineInput::Timeout => self.handle_timeout(Duration::ZERO),
        }
    }

    /// [`EngineInput::Timeout`] from an owner of many sessions, whose timers are late by `lateness`.
    pub(crate) fn handle_late_timeout(&mut self, now: Timestamp, lateness: Duration) {
        self.advance(now);
        self.handle_timeout(lateness);
    }

    /// Holds frames back, because the current WebSocket does not take any. For any other wire this
    /// does nothing.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::*;
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").ok_or("not an id")?;
    /// # let (now, wire) = (Timestamp::ZERO, WireId(1));
    /// # let config = Arc::new(ServerConfig::new());
    /// # let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
    /// # session.poll_output();
    /// session.pause(wire);
    /// session.send(now, Payload::Text("later".into()))?;
    /// assert_eq!(session.poll_output(), None);
    /// assert_eq!((session.queued_packets(), session.queued_bytes()), (1, 6));
    ///
    /// session.resume(wire);
    /// let frame = Frame::Text("4later".into());
    /// assert_eq!(session.poll_output(), Some(EngineOutput::Send { wire, frame }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pause(&mut self, wire: WireId) {
        self.state.set_paused(wire, true);
    }

    /// Lets frames flow again after [`pause`](Self::pause).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::*;
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let (now, wire) = (Timestamp::ZERO, WireId(1));
    /// # let config = Arc::new(ServerConfig::new());
    /// # let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
    /// session.pause(wire);
    /// session.resume(wire);
    /// assert!(matches!(session.poll_output(), Some(EngineOutput::Send { .. })), "the handshake");
    /// ```
    pub fn resume(&mut self, wire: WireId) {
        if self.state.set_paused(wire, false)
            && let Some(closing) = self.state.closing()
        {
            self.end(closing.reason);
        }
    }

    /// Takes the next output, events first.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::*;
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let (now, wire) = (Timestamp::ZERO, WireId(1));
    /// # let config = Arc::new(ServerConfig::new());
    /// # let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
    /// while let Some(output) = session.poll_output() {
    ///     match output {
    ///         EngineOutput::Send { wire, frame } => println!("send {frame:?} on {wire:?}"),
    ///         output => println!("{output:?}"),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn poll_output(&mut self) -> Option<EngineOutput> {
        self.poll_event().map(EngineOutput::Event).or_else(|| self.poll_wire())
    }

    /// Takes the next event.
    #[must_use]
    pub(crate) fn poll_event(&mut self) -> Option<EngineEvent> {
        self.rest.events.pop()
    }

    /// Takes the next output for a wire.
    #[must_use]
    pub(crate) fn poll_wire(&mut self) -> Option<EngineOutput> {
        if let Some(output) = self.wires.pop() {
            return Some(output);
        }
        if let Some(wire) = self.state.writable_websocket()
            && let Some(frame) = self.queue.pop()
        {
            if is_ping(&frame) {
                self.rest.heartbeat.handle_ping_taken();
            }
            return Some(EngineOutput::Send { wire, frame });
        }
        let LastClose { wire, code } = self.state.take_last_close()?;
        Some(EngineOutput::Close { wire, code })
    }

    /// Whether [`poll_wire`](Self::poll_wire) would return something.
    pub(crate) fn has_wire_output(&self) -> bool {
        let frames = !self.queue.is_empty() && self.state.writable_websocket().is_some();
        frames || !self.wires.is_empty() || self.state.has_last_close()
    }

    /// Answers the waiting GET if there are packets for it. It is called whenever there may be
    /// some, so that the grouping of packets does not depend on when outputs are polled.
    #[inline]
    pub(super) fn answer_get(&mut self) {
        if self.state.has_get() {
            self.answer_waiting_get();
        }
    }

    fn answer_waiting_get(&mut self) {
        let body = if !self.queue.is_empty() {
            let body = self.queue.pop_payload(self.config.max_payload);
            // It comes before everything else.
            if body.starts_with(PING.as_bytes()) {
                self.rest.heartbeat.handle_ping_taken();
            }
            body
        } else if let Some(closing) = self.state.closing() {
            // A close packet is sent alone: the official client handles it before the messages in
            // the same body, and would mistake a DISCONNECT among them for a lost connection.
            return self.end(closing.reason);
        } else if self.state.take_noop(self.now) {
            encoded(&EnginePacket::Noop)
        } else {
            return;
        };
        if let Some(wire) = self.state.take_get(self.now) {
            self.respond(wire, Response::packets(body));
        }
    }

    /// Updates the time, which never runs backwards.
    pub(crate) fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.now = self.now.max(now);
        self.now
    }

    pub(super) fn emit(&mut self, event: EngineEvent) {
        self.rest.events.push(event);
    }

    pub(super) fn respond(&mut self, wire: WireId, response: Response) {
        self.wires.push(EngineOutput::Respond { wire, response });
    }

    /// Sends on a WebSocket that is not the current one.
    pub(super) fn send_aside(&mut self, wire: WireId, packet: &EnginePacket) {
        self.wires.push(EngineOutput::Send { wire, frame: packet.encode() });
    }

    /// Closes a wire that is not the current WebSocket.
    pub(super) fn finish(&mut self, wire: WireId, code: Option<u16>) {
        self.wires.push(EngineOutput::Close { wire, code });
    }
}

impl fmt::Debug for ServerConnection {
    /// Shows neither the id nor payloads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConnection")
            .field("state", &self.state)
            .field("heartbeat", &self.rest.heartbeat)
            .field("queued_packets", &self.queued_packets())
            .finish_non_exhaustive()
    }
}

#[inline]
fn is_ping(frame: &Frame) -> bool {
    matches!(frame, Frame::Text(text) if text.len() == PING.len() && text == PING)
}

/// A packet without binary payload as a polling body.
pub(super) fn encoded(packet: &EnginePacket) -> Bytes {
    match packet.encode() {
        Frame::Text(text) => ByteString::into_bytes(text),
        Frame::Binary(bytes) => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::CloseReason;

    #[test]
    fn events_and_wires_are_polled_apart() {
        let config = Arc::new(ServerConfig::new());
        let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
        let (now, wire) = (Timestamp::ZERO, WireId(1));
        let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
        assert!(session.has_wire_output());
        assert!(matches!(session.poll_wire(), Some(EngineOutput::Send { .. })));
        assert!(!session.has_wire_output());
        session.abort(CloseReason::ForcedClose);
        let reason = CloseReason::ForcedClose;
        assert_eq!(session.poll_event(), Some(EngineEvent::Closed { reason }));
        assert!(session.has_wire_output());
        assert_eq!(session.poll_wire(), Some(EngineOutput::Close { wire, code: None }));
        assert_eq!((session.poll_wire(), session.has_wire_output()), (None, false));
    }
}
