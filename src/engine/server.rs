//! The server side of a session: the methods for the application and the embedder.

use alloc::{boxed::Box, sync::Arc};
use core::{fmt, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    CloseReason, Event, Frame, Input, Open, Output, Packet, Payload, Response, SendError,
    Transport,
    heartbeat::Heartbeat,
    queue::{Account, Fifo, Rare, SendQueue},
    state::{LastClose, State},
    upgrade::Probe,
};
use crate::{EngineId, ServerConfig, Timestamp, WireId, bucket::Bucket, grace::Grace};

/// The server side of one Engine.IO session.
///
/// See the [module documentation](super) for its states and how to drive it.
///
/// ```
/// use std::sync::Arc;
/// use socketio_proto::engine::{Event, Frame, Input, Output, Payload, ServerConnection, Transport};
/// use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
///
/// let config = Arc::new(ServerConfig::new());
/// let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").ok_or("not an id")?;
/// let (now, wire) = (Timestamp::ZERO, WireId(1));
/// let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
/// assert!(matches!(session.poll_output(), Some(Output::Send { .. })), "the open packet");
///
/// session.handle_input(now, Input::Frame { wire, frame: Frame::Text("4ping?".into()) });
/// let message = Event::Message(Payload::Text("ping?".into()));
/// assert_eq!(session.poll_output(), Some(Output::Event(message)));
///
/// session.send(Payload::Text("pong!".into()))?;
/// let frame = Frame::Text("4pong!".into());
/// assert_eq!(session.poll_output(), Some(Output::Send { wire, frame }));
/// assert_eq!(session.poll_output(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ServerConnection {
    // A broadcast reads only these fields, and nothing behind the box.
    pub(super) config: Arc<ServerConfig>,
    pub(super) state: State,
    pub(super) queue: SendQueue,
    /// Outputs for wires other than the current WebSocket, whose frames stay in the queue.
    wires: Rare<Output>,
    pub(super) rest: Box<Rest>,
}

/// The part that queueing a packet does not touch.
pub(super) struct Rest {
    id: EngineId,
    /// The rate of what the peer sends.
    pub(super) intake: Bucket,
    /// The latest moment seen.
    pub(super) now: Timestamp,
    pub(super) heartbeat: Heartbeat,
    grace: Grace,
    events: Fifo<Event>,
}

/// The text of a ping. No other packet of a server starts with it.
const PING: &str = "2";

impl ServerConnection {
    /// Opens a session for a handshake that was [verified](super::verify), and answers the
    /// handshake. `wire` is its GET or its WebSocket.
    ///
    /// The configuration must be [valid](ServerConfig::validate).
    pub fn new(
        now: Timestamp,
        config: Arc<ServerConfig>,
        id: EngineId,
        transport: Transport,
        wire: WireId,
    ) -> Self {
        let mut queue = SendQueue::default();
        let open = Packet::Open(Open::new(&id, &config, transport)).encode();
        queue.push(open, Account::Exempt);
        let rest = Rest {
            id,
            intake: Bucket::default(),
            now,
            heartbeat: Heartbeat::new(now, &config),
            grace: Grace::default(),
            events: Fifo::new(),
        };
        let state = State::new(now, transport, wire);
        let mut session = Self { config, state, queue, wires: Rare::new(), rest: Box::new(rest) };
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
    /// session.handle_input(now, Input::Frame { wire, frame: Frame::Text("4hello".into()) });
    /// let hello = Payload::Text("hello".into());
    /// assert_eq!(session.poll_output(), Some(Output::Event(Event::Message(hello))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_input(&mut self, now: Timestamp, input: Input) {
        self.advance(now);
        match input {
            Input::Poll { wire } => self.handle_poll(wire),
            Input::Post { wire, body, binary } => self.handle_post(wire, body, binary),
            Input::Body { wire, body } => self.handle_body(wire, body),
            Input::OtherMethod { wire } => self.handle_other_method(wire),
            Input::WebSocketOpened { wire } => self.handle_websocket_opened(wire),
            Input::Frame { wire, frame } => self.handle_frame(wire, frame),
            Input::ControlFrame { wire } => self.handle_control_frame(wire),
            Input::CloseFrame { wire } => self.handle_close_frame(wire),
            Input::WireClosed { wire } => self.handle_wire_closed(wire),
            Input::Timeout => self.handle_timeout(Duration::ZERO),
        }
    }

    /// [`Input::Timeout`] from an owner of many sessions, whose timers are late by `lateness`.
    pub(crate) fn handle_late_timeout(&mut self, now: Timestamp, lateness: Duration) {
        self.advance(now);
        self.handle_timeout(lateness);
    }

    /// Sends a message.
    ///
    /// A text must not contain U+001E: polling would split it there. JSON never contains it.
    ///
    /// # Errors
    ///
    /// The same as [`send_frame`](Self::send_frame).
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
    /// session.send(Payload::Binary(vec![1, 2, 3].into()))?;
    /// let frame = Frame::Binary(vec![1, 2, 3].into());
    /// assert_eq!(session.poll_output(), Some(Output::Send { wire, frame }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(&mut self, payload: Payload) -> Result<(), SendError> {
        let frame = match payload {
            Payload::Binary(bytes) => Frame::Binary(bytes),
            text @ Payload::Text(_) => Packet::Message(text).encode(),
        };
        self.send_frame(frame)
    }

    /// Sends an encoded message. A broadcast encodes a message once for all its recipients.
    ///
    /// # Errors
    ///
    /// * [`SendError::Closed`] if the session is not open.
    /// * [`SendError::Full`] if the peer reads, but more than
    ///   [`queue_burst_bytes`](crate::Limits#structfield.queue_burst_bytes) or
    ///   [`queue_burst_packets`](crate::Limits#structfield.queue_burst_packets) would wait for it.
    ///   Nothing has changed then.
    /// * [`SendError::Overflow`] if the peer does not read, and more than
    ///   [`queued_bytes`](crate::Limits#structfield.queued_bytes) or
    ///   [`queued_packets`](crate::Limits#structfield.queued_packets) would wait for it. The session
    ///   has closed itself then.
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
    /// let frame = Packet::Message(Payload::Text("to everyone".into())).encode();
    /// for session in [&mut session] {
    ///     session.send_frame(frame.clone())?; // Cloning does not copy the text.
    /// }
    /// assert_eq!(session.poll_output(), Some(Output::Send { wire, frame }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send_frame(&mut self, frame: Frame) -> Result<(), SendError> {
        let sent = self.send_message(frame.len(), core::iter::once(frame));
        if sent == Err(SendError::Overflow) {
            self.end(CloseReason::Overflow);
        }
        sent
    }

    /// Sends the frames of one message, which have this many bytes in total: all of them, or none
    /// if there is no room. The session continues in any case.
    pub(crate) fn send_message(
        &mut self,
        bytes: usize,
        frames: impl ExactSizeIterator<Item = Frame>,
    ) -> Result<(), SendError> {
        let account = self.find_room(frames.len(), bytes)?;
        for frame in frames {
            self.queue.push(frame, account);
        }
        self.answer_get();
        Ok(())
    }

    /// Like [`send_frame`](Self::send_frame), for answers to the peer: however many requests it
    /// sends at once, the answers kept for it are bounded.
    pub(crate) fn send_answer(&mut self, frame: Frame) {
        if !self.is_open() {
            return;
        }
        if !self.queue.fits(1, frame.len(), Account::Backlog, &self.config.limits) {
            return self.end(CloseReason::Overflow);
        }
        self.queue.push(frame, Account::Backlog);
        self.answer_get();
    }

    /// Like [`send_frame`](Self::send_frame), for replays, which have their own limit.
    pub(crate) fn send_exempt(&mut self, frame: Frame) {
        if self.is_open() {
            self.queue.push(frame, Account::Exempt);
            self.answer_get();
        }
    }

    /// Whether a message of this many frames and bytes can be sent now.
    pub(crate) fn check_room(&self, packets: usize, bytes: usize) -> Result<(), SendError> {
        self.find_room(packets, bytes).map(|_| ())
    }

    /// The account of a message of this many frames and bytes, if there is room for it.
    ///
    /// What is queued while the peer reads says nothing about the peer. Only what is added while it
    /// does not read counts against it.
    #[inline]
    fn find_room(&self, packets: usize, bytes: usize) -> Result<Account, SendError> {
        if !self.is_open() {
            return Err(SendError::Closed);
        }
        let (account, error) = if self.is_behind() {
            (Account::Backlog, SendError::Overflow)
        } else {
            (Account::Burst, SendError::Full)
        };
        let is_room = self.queue.fits(packets, bytes, account, &self.config.limits);
        if is_room { Ok(account) } else { Err(error) }
    }

    /// Whether the peer does not read: its WebSocket is paused, or it has not sent a GET for
    /// `ping_timeout`.
    #[inline]
    fn is_behind(&self) -> bool {
        match self.state.idle_since() {
            None => self.state.is_paused(),
            Some(since) => since.saturating_add(self.config.ping_timeout) <= self.rest.now,
        }
    }

    /// Closes the session as soon as the peer has taken what is queued for it, or after
    /// `close_timeout`. From now on nothing more is sent or received.
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
    /// session.send(Payload::Text("goodbye".into()))?;
    /// session.close(now, CloseReason::ForcedClose);
    /// let outputs: Vec<_> = std::iter::from_fn(|| session.poll_output()).collect();
    /// let reason = CloseReason::ForcedClose;
    /// assert_eq!(outputs[0], Output::Event(Event::Closed { reason }));
    /// assert_eq!(outputs[1], Output::Send { wire, frame: Frame::Text("4goodbye".into()) });
    /// assert_eq!(outputs[2], Output::Close { wire, code: None });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&mut self, now: Timestamp, reason: CloseReason) {
        let now = self.advance(now);
        if !self.is_open() {
            return;
        }
        let waits = match self.transport() {
            // Even if nothing is queued, the peer must get a close packet.
            Transport::Polling => !self.state.has_get(),
            // A WebSocket that is not paused has taken everything.
            Transport::WebSocket => {
                self.state.writable_websocket().is_none() && !self.queue.is_empty()
            }
        };
        if !waits {
            self.end(reason);
            return;
        }
        self.state.begin_close(now.saturating_add(self.config.close_timeout), reason);
    }

    /// Closes the session at once. Packets that the peer has not taken are dropped. A WebSocket
    /// that is not paused has taken everything.
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
    /// session.abort(CloseReason::ServerShutdown);
    /// assert!(session.is_closed());
    /// assert_eq!(session.send(Payload::Text("late".into())), Err(SendError::Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn abort(&mut self, reason: CloseReason) {
        self.end(reason);
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
    /// session.send(Payload::Text("later".into()))?;
    /// assert_eq!(session.poll_output(), None);
    /// assert_eq!((session.queued_packets(), session.queued_bytes()), (1, 6));
    ///
    /// session.resume(wire);
    /// let frame = Frame::Text("4later".into());
    /// assert_eq!(session.poll_output(), Some(Output::Send { wire, frame }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pause(&mut self, wire: WireId) {
        self.state.set_paused(wire, true);
    }

    /// Lets frames flow again after [`pause`](Self::pause).
    pub fn resume(&mut self, wire: WireId) {
        if self.state.set_paused(wire, false)
            && let Some(closing) = self.state.closing()
        {
            self.end(closing.reason);
        }
    }

    /// Takes the next output, events first.
    #[must_use]
    pub fn poll_output(&mut self) -> Option<Output> {
        self.poll_event().map(Output::Event).or_else(|| self.poll_wire())
    }

    /// Takes the next event.
    #[must_use]
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.rest.events.pop()
    }

    /// Takes the next output for a wire.
    #[must_use]
    pub(crate) fn poll_wire(&mut self) -> Option<Output> {
        if let Some(output) = self.wires.pop() {
            return Some(output);
        }
        if let Some(wire) = self.state.writable_websocket()
            && let Some(frame) = self.queue.pop()
        {
            if is_ping(&frame) {
                self.rest.heartbeat.handle_ping_taken();
            }
            return Some(Output::Send { wire, frame });
        }
        let LastClose { wire, code } = self.state.take_last_close()?;
        Some(Output::Close { wire, code })
    }

    /// Whether [`poll_wire`](Self::poll_wire) would return something.
    pub(crate) fn has_wire_output(&self) -> bool {
        let frames = !self.queue.is_empty() && self.state.writable_websocket().is_some();
        frames || !self.wires.is_empty() || self.state.has_last_close()
    }

    /// Returns when [`Input::Timeout`] is due. While there is output, the deadline is in the past.
    /// After a timeout at the deadline, and with no output left, it is in the future, or `None`.
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
    /// let ping = session.deadline().ok_or("a session always waits for something")?;
    /// session.handle_input(ping, Input::Timeout);
    /// let frame = Frame::Text("2".into());
    /// assert_eq!(session.poll_output(), Some(Output::Send { wire, frame }));
    /// assert!(session.deadline() > Some(ping), "the pong");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        if !self.rest.events.is_empty() || self.has_wire_output() {
            return Some(self.rest.now);
        }
        self.timer().finite()
    }

    /// The deadline of the session itself, without regard to output.
    pub(crate) fn timer(&self) -> Timestamp {
        if self.is_closed() {
            return Timestamp::NEVER;
        }
        let life = match self.life_deadline() {
            Some(deadline) => self.postpone(deadline),
            None => self.rest.heartbeat.deadline(),
        };
        let Some(probe) = self.state.probe() else {
            return life;
        };
        let noop_at = probe.noop_at().filter(|_| self.state.has_get());
        let probe = self.postpone(probe.deadline()).min(noop_at.unwrap_or(Timestamp::NEVER));
        probe.min(life)
    }

    /// The earliest deadline for something that the peer must do.
    pub(super) fn peer_deadline(&self) -> Timestamp {
        let probe = self.state.probe().map_or(Timestamp::NEVER, Probe::deadline);
        probe.min(self.life_deadline().unwrap_or(Timestamp::NEVER))
    }

    /// When the session ends if its peer does nothing. While it is closing, the heartbeat does not
    /// apply.
    fn life_deadline(&self) -> Option<Timestamp> {
        let closing = self.state.closing().map(|closing| closing.deadline);
        closing.or_else(|| self.rest.heartbeat.pong_deadline())
    }

    /// Whether a peer that had time until `deadline` can be judged now, if the timers of the owner
    /// are late by `lateness`. See [`grace`](crate::grace).
    #[inline]
    pub(crate) fn may_judge(&mut self, lateness: Duration, deadline: Timestamp) -> bool {
        let longest = self.config.ping_timeout;
        self.rest.grace.may_judge_after(lateness, self.rest.now, deadline, longest)
    }

    /// When a deadline for the peer is judged.
    pub(crate) fn postpone(&self, deadline: Timestamp) -> Timestamp {
        self.rest.grace.postpone(deadline)
    }

    /// Returns the id of the session.
    pub fn id(&self) -> EngineId {
        self.rest.id
    }

    /// Returns the current transport, or the last one after the end.
    pub fn transport(&self) -> Transport {
        self.state.transport()
    }

    /// Returns the bytes of packets that wait to be sent or polled.
    pub fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// Returns the number of packets that wait to be sent or polled.
    pub fn queued_packets(&self) -> usize {
        self.queue.packets()
    }

    /// Returns whether the peer can take a packet right now: over WebSocket unless it is paused,
    /// over polling while a GET waits. Volatile packets are dropped otherwise.
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
    /// assert!(session.is_writable());
    /// session.pause(wire);
    /// assert!(!session.is_writable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_writable(&self) -> bool {
        // If a GET waits, the queue is empty.
        self.is_open() && (self.state.writable_websocket().is_some() || self.state.has_get())
    }

    /// Returns whether packets can be sent and are received: the session is neither closing nor
    /// closed.
    pub fn is_open(&self) -> bool {
        self.state.is_open()
    }

    /// Returns whether the session has ended. There may still be output.
    pub fn is_closed(&self) -> bool {
        self.state.is_ended()
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
        } else if self.state.take_noop(self.rest.now) {
            encoded(&Packet::Noop)
        } else {
            return;
        };
        if let Some(wire) = self.state.take_get(self.rest.now) {
            self.respond(wire, Response::packets(body));
        }
    }

    /// Ends the session, unless it has ended already, and finishes its wires.
    pub(super) fn end(&mut self, reason: CloseReason) {
        let Some(released) = self.state.end(reason) else {
            return;
        };
        if !released.flush {
            self.queue.clear();
        }
        if let Some(wire) = released.get {
            // A close packet of the peer is not answered with another one.
            let by_peer = reason == CloseReason::TransportClose;
            let packet = if by_peer { Packet::Noop } else { Packet::Close };
            self.respond(wire, Response::packets(encoded(&packet)));
        }
        for wire in [released.post, released.probe].into_iter().flatten() {
            self.finish(wire, None);
        }
        self.emit(Event::Closed { reason });
    }

    /// Updates the time, which never runs backwards.
    pub(crate) fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.rest.now = self.rest.now.max(now);
        self.rest.now
    }

    /// Whether the peer has closed the session on purpose: with a close packet, or with a close
    /// frame on its WebSocket. A lost network does neither.
    pub(crate) fn is_left(&self) -> bool {
        self.state.is_left()
    }

    /// The position that the next queued packet will get.
    pub(crate) fn queue_end(&self) -> u64 {
        self.queue.end()
    }

    /// Whether the packet at a position has left the queue. Before that, the peer cannot have seen
    /// it.
    pub(crate) fn has_left(&self, position: u64) -> bool {
        self.queue.has_left(position)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.rest.now
    }

    pub(crate) fn config(&self) -> &ServerConfig {
        &self.config
    }

    pub(super) fn emit(&mut self, event: Event) {
        self.rest.events.push(event);
    }

    pub(super) fn respond(&mut self, wire: WireId, response: Response) {
        self.wires.push(Output::Respond { wire, response });
    }

    /// Sends on a WebSocket that is not the current one.
    pub(super) fn send_aside(&mut self, wire: WireId, packet: &Packet) {
        self.wires.push(Output::Send { wire, frame: packet.encode() });
    }

    /// Closes a wire that is not the current WebSocket.
    pub(super) fn finish(&mut self, wire: WireId, code: Option<u16>) {
        self.wires.push(Output::Close { wire, code });
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
pub(super) fn encoded(packet: &Packet) -> Bytes {
    match packet.encode() {
        Frame::Text(text) => ByteString::into_bytes(text),
        Frame::Binary(bytes) => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    #[test]
    fn replays_do_not_count_against_the_limits() {
        let limits = Limits { queued_bytes: 8, queued_packets: 2, ..Limits::default() };
        let config = Arc::new(ServerConfig::new().limits(limits));
        let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
        let (now, wire) = (Timestamp::ZERO, WireId(1));
        let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
        session.pause(wire);
        let replay = Frame::Text(ByteString::from_static("4a long one"));
        for _ in 0..10 {
            session.send_exempt(replay.clone());
        }
        assert_eq!(session.queued_packets(), 11);
        assert_eq!(session.send(Payload::Text("a".into())), Ok(()));
        session.send_answer(Frame::Text(ByteString::from_static("4b")));
        assert!(session.is_open());
        assert_eq!(session.send(Payload::Text("c".into())), Err(SendError::Overflow));
        session.send_exempt(replay);
        assert_eq!(session.queued_packets(), 0);
    }

    #[test]
    fn answers_are_bounded_also_while_the_peer_reads() {
        let limits = Limits { queued_packets: 2, ..Limits::default() };
        let config = Arc::new(ServerConfig::new().limits(limits));
        let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
        let (now, wire) = (Timestamp::ZERO, WireId(1));
        let mut session = ServerConnection::new(now, config, id, Transport::Polling, wire);
        let answer = Frame::Text(ByteString::from_static("44/nope,"));
        session.send_answer(answer.clone());
        session.send_answer(answer.clone());
        assert!(session.is_open());
        session.send_answer(answer);
        assert_eq!(session.poll_event(), Some(Event::Closed { reason: CloseReason::Overflow }));
    }

    #[test]
    fn events_and_wires_are_polled_apart() {
        let config = Arc::new(ServerConfig::new());
        let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
        let (now, wire) = (Timestamp::ZERO, WireId(1));
        let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
        assert!(session.has_wire_output());
        assert!(matches!(session.poll_wire(), Some(Output::Send { .. })));
        assert!(!session.has_wire_output());
        session.abort(CloseReason::ForcedClose);
        let reason = CloseReason::ForcedClose;
        assert_eq!(session.poll_event(), Some(Event::Closed { reason }));
        assert!(session.has_wire_output());
        assert_eq!(session.poll_wire(), Some(Output::Close { wire, code: None }));
        assert_eq!((session.poll_wire(), session.has_wire_output()), (None, false));
    }
}
