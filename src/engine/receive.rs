//! The server side of a session: how it handles each input.

use core::time::Duration;

use bytes::Bytes;

use super::{
    CloseReason, EngineDecodeError, EngineEvent, EnginePacket, Frame, PayloadReader,
    RequestRefusal, Response, ServerConnection, TransportFault,
    close_code::TOO_FAST,
    handshake::upgradable,
    heartbeat::Beat,
    server::encoded,
    state::{Hold, Lost},
    upgrade::{Probe, ProbeStep},
};
use crate::{Timestamp, WireId};

/// Receiving this many bytes counts as one more packet.
const BYTES_PER_TOKEN: usize = 8 << 10;
/// The status for a client that sends too fast.
const TOO_MANY_REQUESTS: u16 = 429;

impl ServerConnection {
    pub(super) fn handle_poll(&mut self, wire: WireId) {
        if self.is_closed() {
            return self.refuse(wire, &RequestRefusal::unknown_session());
        }
        if !self.charge(0) {
            return self.respond(wire, Response::empty(TOO_MANY_REQUESTS));
        }
        match self.state.hold_get(wire) {
            Hold::Held => self.answer_get(),
            Hold::Overlap => self.reject(wire, 400, TransportFault::OverlappingPoll),
            Hold::NotPolling => self.refuse(wire, &RequestRefusal::bad_request()),
        }
    }

    pub(super) fn handle_post(&mut self, wire: WireId, body: Option<Bytes>, binary: bool) {
        if self.is_closed() {
            return self.refuse(wire, &RequestRefusal::unknown_session());
        }
        if !self.charge(0) {
            return self.respond(wire, Response::empty(TOO_MANY_REQUESTS));
        }
        match self.state.hold_post(wire) {
            Hold::Held => {}
            Hold::Overlap => {
                return self.reject(wire, 400, TransportFault::OverlappingPost);
            }
            Hold::NotPolling => return self.refuse(wire, &RequestRefusal::bad_request()),
        }
        if binary {
            self.state.take_post(wire);
            self.reject(wire, 400, TransportFault::BinaryPost);
        } else if let Some(body) = body {
            self.handle_body(wire, body);
        }
    }

    /// A body that completes after an upgrade is handled as if it had completed before: the client
    /// has sent it and would not send it again.
    pub(super) fn handle_body(&mut self, wire: WireId, body: Bytes) {
        if !self.state.take_post(wire) {
            return;
        }
        if body.len() > self.config.max_payload {
            // The packets in it are lost, so the session cannot continue.
            return self.reject(wire, 413, TransportFault::PayloadTooLarge);
        }
        let mut reader = PayloadReader::new(body);
        while let Some(text) = reader.next_text() {
            if !self.charge(text.as_ref().map_or(0, |text| text.len())) {
                return self.respond(wire, Response::empty(TOO_MANY_REQUESTS));
            }
            let packet = text.and_then(|text| decode(Frame::Text(text)));
            let fused = packet.is_err();
            self.receive(packet);
            if fused || self.is_closed() {
                break;
            }
        }
        self.respond(wire, Response::ok());
    }

    pub(super) fn handle_other_method(&mut self, wire: WireId) {
        if self.is_closed() {
            return self.refuse(wire, &RequestRefusal::unknown_session());
        }
        let status = if self.charge(0) { 500 } else { TOO_MANY_REQUESTS };
        self.respond(wire, Response::empty(status));
    }

    pub(super) fn handle_websocket_opened(&mut self, wire: WireId) {
        if !self.charge(0) {
            return self.finish(wire, Some(TOO_FAST));
        }
        let probe = Probe::new(wire, self.now, &self.config);
        if !upgradable(&self.config) || !self.state.begin_probe(probe) {
            self.finish(wire, None);
        }
    }

    pub(super) fn handle_control_frame(&mut self, wire: WireId) {
        if self.has_websocket(wire) {
            self.charge(0);
        }
    }

    pub(super) fn handle_close_frame(&mut self, wire: WireId) {
        if self.state.is_websocket(wire) {
            self.state.leave();
        }
    }

    pub(super) fn handle_frame(&mut self, wire: WireId, frame: Frame) {
        let max_payload = self.config.max_payload;
        if !self.has_websocket(wire) {
            return;
        }
        if !self.charge(frame.len()) {
            return;
        }
        if self.state.is_websocket(wire) {
            if frame.len() > max_payload {
                self.end(CloseReason::TransportError(TransportFault::PayloadTooLarge));
            } else {
                self.receive(decode(frame));
            }
            return;
        }
        let Some(probe) = self.state.probe_mut(wire) else {
            return;
        };
        match probe.handle_frame(self.now, frame, max_payload) {
            ProbeStep::Answer => self.send_aside(wire, &EnginePacket::Pong { probe: true }),
            ProbeStep::Upgrade => self.upgrade(),
            ProbeStep::Fail { code } => self.drop_probe(code),
        }
    }

    pub(super) fn handle_wire_closed(&mut self, wire: WireId) {
        match self.state.lose(wire) {
            Lost::Request => {
                self.end(CloseReason::TransportError(TransportFault::RequestAborted));
            }
            Lost::WebSocket => {
                // Nothing can be sent on it any more, and it does not have to be closed.
                self.queue.clear();
                self.state.take_last_close();
                self.end(CloseReason::TransportClose);
            }
            Lost::Nothing => {}
        }
    }

    pub(super) fn handle_timeout(&mut self, lateness: Duration) {
        let may_judge = self.may_judge(lateness, self.peer_deadline());
        let is_over = |deadline: Timestamp, now: Timestamp| may_judge && deadline <= now;
        if self.state.probe().is_some_and(|probe| is_over(probe.deadline(), self.now)) {
            self.drop_probe(None);
        }
        if let Some(closing) = self.state.closing() {
            // The heartbeat no longer applies: this deadline replaces it.
            if is_over(closing.deadline, self.now) {
                self.end(closing.reason);
            }
            return;
        }
        if !self.is_open() {
            return;
        }
        match self.rest.heartbeat.handle_timeout(self.now, &self.config) {
            Beat::Ping => {
                // A WebSocket that is not paused takes everything at once.
                if self.state.writable_websocket().is_some() {
                    self.queue.push_ping();
                    self.rest.heartbeat.handle_ping_taken();
                } else {
                    self.queue.push_ping_first();
                }
                self.answer_get();
            }
            Beat::Dead if may_judge => self.end(CloseReason::PingTimeout),
            Beat::Nothing | Beat::Dead => {}
        }
        // The time of a NOOP packet may have come.
        self.answer_get();
    }

    /// Whether this is a WebSocket of the session. That includes the probe of an upgrade.
    fn has_websocket(&mut self, wire: WireId) -> bool {
        self.state.is_websocket(wire) || self.state.probe_mut(wire).is_some()
    }

    /// Charges a request or a packet of this size to the rate limit. Returns false if it exceeds
    /// the limit; the session has ended then.
    fn charge(&mut self, bytes: usize) -> bool {
        let cost = (bytes / BYTES_PER_TOKEN).saturating_add(1) as u64;
        let is_within = self.rest.intake.try_take(self.now, self.config.limits.packet_rate(), cost);
        if !is_within {
            let closing = self.state.closing().map(|closing| closing.reason);
            self.end(closing.unwrap_or(CloseReason::RateLimited));
        }
        is_within
    }

    /// Handles one packet; `None` stands for an open packet.
    fn receive(&mut self, packet: Result<Option<EnginePacket>, EngineDecodeError>) {
        if !self.is_open() {
            // If the peer closes as well, there is nothing to wait for.
            if packet == Ok(Some(EnginePacket::Close)) {
                self.end(CloseReason::TransportClose);
            }
            return;
        }
        let packet = match packet {
            Ok(packet) => packet,
            Err(error) => return self.end(CloseReason::ParseError(error)),
        };
        if let Some(EnginePacket::Pong { .. }) = packet {
            return self.rest.heartbeat.handle_pong(self.now, &self.config);
        }
        self.rest.heartbeat.handle_packet(self.now, &self.config);
        match packet {
            Some(EnginePacket::Message(payload)) => self.emit(EngineEvent::Message(payload)),
            Some(EnginePacket::Close) => {
                self.state.leave();
                self.end(CloseReason::TransportClose);
            }
            Some(EnginePacket::Ping { .. }) => {
                self.end(CloseReason::TransportError(TransportFault::HeartbeatDirection));
            }
            // The reference ignores them as well.
            Some(
                EnginePacket::Open(_)
                | EnginePacket::Pong { .. }
                | EnginePacket::Upgrade
                | EnginePacket::Noop,
            )
            | None => {}
        }
    }

    fn upgrade(&mut self) {
        // A well-behaved client has no GET left: it waited for the last one to complete.
        if let Some(wire) = self.state.upgrade() {
            self.respond(wire, Response::packets(encoded(&EnginePacket::Close)));
        }
        let Some(closing) = self.state.closing() else {
            return self.emit(EngineEvent::Upgraded);
        };
        // The client does not poll any more. It gets the rest over the WebSocket, which is then
        // closed; that replaces the close packet.
        self.end(closing.reason);
    }

    fn drop_probe(&mut self, code: Option<u16>) {
        if let Some(wire) = self.state.drop_probe() {
            self.finish(wire, code);
        }
    }

    /// Answers a request that violates a rule of the transport, and ends the session.
    fn reject(&mut self, wire: WireId, status: u16, fault: TransportFault) {
        self.respond(wire, Response::empty(status));
        self.end(CloseReason::TransportError(fault));
    }

    /// Answers a request that does not fit the session. The session continues.
    fn refuse(&mut self, wire: WireId, refusal: &RequestRefusal) {
        self.respond(wire, refusal.response(false));
    }
}

/// Decodes a packet of a client. Returns `None` for an open packet, which means nothing when a
/// client sends it, so its JSON is not read.
fn decode(frame: Frame) -> Result<Option<EnginePacket>, EngineDecodeError> {
    match &frame {
        Frame::Text(text) if text.starts_with('0') => Ok(None),
        Frame::Text(_) | Frame::Binary(_) => EnginePacket::decode(frame).map(Some),
    }
}
