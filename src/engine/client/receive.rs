//! The client side of a session: how it handles each input.

use core::time::Duration;

use bytes::Bytes;

use super::{
    ClientCloseReason, ClientConnection, ClientFault, EngineClientEvent, EngineClientOutput,
    state::{Exchange, Lost},
};
use crate::{
    WireId,
    engine::{EngineDecodeError, EnginePacket, Frame, Open, PayloadReader, Transport},
};

/// Longest `sid` that is accepted from a server. Servers in use send 16 to 20 characters.
const SID_LEN_MAX: usize = 255;

impl ClientConnection {
    pub(super) fn handle_response(&mut self, wire: WireId, status: u16, body: Bytes) {
        let Some(exchange) = self.state.take_exchange(wire) else {
            return;
        };
        if status != 200 {
            self.note_refusal(exchange, status);
            return self.fail(ClientFault::UnexpectedStatus(status));
        }
        if body.len() > self.config.limits.max_payload {
            return self.fail(ClientFault::PayloadTooLarge);
        }
        match exchange {
            Exchange::Get => {
                let mut packets = PayloadReader::new(body);
                // What follows an invalid packet must not reach the transport that is tried next.
                while !self.is_closed()
                    && self.transport() == Transport::Polling
                    && let Some(packet) = packets.next()
                {
                    self.receive(packet);
                }
            }
            Exchange::Post => {}
        }
        self.pump();
    }

    pub(super) fn handle_websocket_opened(&mut self, wire: WireId) {
        if self.state.probe_opened(wire) {
            let frame = EnginePacket::Ping { probe: true }.encode();
            self.wires.push_back(EngineClientOutput::Send { wire, frame });
        }
    }

    pub(super) fn handle_frame(&mut self, wire: WireId, frame: Frame) {
        let is_large = frame.len() > self.config.limits.max_payload;
        if self.state.is_websocket(wire) {
            self.unproven = None;
            if is_large {
                self.fail(ClientFault::PayloadTooLarge);
            } else {
                self.receive(EnginePacket::decode(frame));
            }
        } else if self.state.is_probe(wire) {
            let is_answer =
                !is_large && EnginePacket::decode(frame) == Ok(EnginePacket::Pong { probe: true });
            if !is_answer || !self.state.probe_answered(wire) {
                self.drop_probe();
            }
            self.pump();
        }
    }

    /// A close frame counts as a rejection of what the server was sent, except with a code that
    /// says otherwise: the server goes away (1001), is restarted (1012) or is busy (1013), the
    /// client sent too fast (1008), or a proxy has lost the server (1014). 1006 and 1015 mean that
    /// there was no close frame. Without a code, the server may have given up an upgrade, if
    /// nothing was sent or received since.
    pub(super) fn handle_close_frame(&mut self, wire: WireId, code: u16) {
        let may_be_upgrade = self.unproven.is_some() && matches!(code, 1000 | 1005);
        let is_current = self.state.is_websocket(wire) && !may_be_upgrade;
        if is_current && !matches!(code, 1001 | 1006 | 1008 | 1012..=1015) {
            self.is_closed_by_server = true;
        }
        self.handle_wire_closed(wire);
    }

    pub(super) fn handle_too_large(&mut self, wire: WireId) {
        match self.state.lose(wire) {
            Lost::Request | Lost::WebSocket => self.fail(ClientFault::PayloadTooLarge),
            Lost::Probe => {
                self.events.push(EngineClientEvent::UpgradeFailed);
                self.pump();
            }
            Lost::Nothing => {}
        }
    }

    pub(super) fn handle_wire_closed(&mut self, wire: WireId) {
        match self.state.lose(wire) {
            Lost::Request => self.fail(ClientFault::RequestFailed),
            Lost::Probe => {
                self.events.push(EngineClientEvent::UpgradeFailed);
                self.pump();
            }
            Lost::WebSocket if self.state.is_opening() => self.fail(ClientFault::WebSocketFailed),
            Lost::WebSocket => {
                let reason = if self.state.is_closing() {
                    ClientCloseReason::ForcedClose
                } else {
                    ClientCloseReason::TransportClose
                };
                self.end(reason);
            }
            Lost::Nothing => {}
        }
    }

    pub(super) fn handle_timeout(&mut self) {
        if !self.grace.may_judge(self.now, self.peer_deadline(), self.longest_grace) {
            return;
        }
        if self.state.is_open() && self.ping_by <= self.now {
            return self.end(ClientCloseReason::PingTimeout);
        }
        if self.state.deadline() > self.now {
            return;
        }
        if self.state.is_opening() {
            self.end(ClientCloseReason::OpenTimeout);
        } else if self.state.is_closing() {
            self.queue.clear();
            self.end(ClientCloseReason::ForcedClose);
        } else {
            self.drop_probe();
            self.pump();
        }
    }

    fn receive(&mut self, packet: Result<EnginePacket, EngineDecodeError>) {
        let packet = match packet {
            Ok(packet) => packet,
            Err(error) => return self.fail(ClientFault::Decode(error)),
        };
        if self.state.is_opening() {
            return match packet {
                EnginePacket::Open(open) => self.handle_open(&open),
                EnginePacket::Close
                | EnginePacket::Ping { .. }
                | EnginePacket::Pong { .. }
                | EnginePacket::Message(_)
                | EnginePacket::Upgrade
                | EnginePacket::Noop => self.fail(ClientFault::NoHandshake),
            };
        }
        match packet {
            EnginePacket::Close if self.state.is_closing() => {
                self.end(ClientCloseReason::ForcedClose);
            }
            EnginePacket::Close => {
                self.is_closed_by_server = true;
                self.end(ClientCloseReason::TransportClose);
            }
            EnginePacket::Message(payload) if self.is_open() => {
                self.events.push(EngineClientEvent::Message(payload));
            }
            EnginePacket::Ping { .. } if self.is_open() => {
                self.ping_by = self.now.saturating_add(self.ping_period);
                self.owes_pong = true;
            }
            EnginePacket::Open(_)
            | EnginePacket::Ping { .. }
            | EnginePacket::Pong { .. }
            | EnginePacket::Message(_)
            | EnginePacket::Upgrade
            | EnginePacket::Noop => {}
        }
    }

    fn handle_open(&mut self, open: &Open) {
        if open.sid.is_empty() || open.sid.len() > SID_LEN_MAX {
            return self.fail(ClientFault::NoHandshake);
        }
        let transport = self.transport();
        // A copy, because a slice would keep the whole body in memory.
        self.sid = (&*open.sid).into();
        self.max_payload = usize::try_from(open.max_payload).unwrap_or(usize::MAX);
        let period = open.ping_interval.saturating_add(open.ping_timeout);
        self.ping_period = Duration::from_millis(period);
        self.ping_by = self.now.saturating_add(self.ping_period);
        self.longest_grace = Duration::from_millis(open.ping_timeout);
        self.websocket_worked = transport == Transport::WebSocket;
        self.state.open();
        self.events.push(EngineClientEvent::Opened { transport });
        let can_upgrade = self.config.upgrade
            && transport == Transport::Polling
            && open.upgrades.contains(&Transport::WebSocket)
            && self.config.transports.contains(&Transport::WebSocket);
        if can_upgrade {
            let wire = self.name_wire();
            self.state.begin_probe(wire, self.now.saturating_add(self.config.upgrade_timeout));
            self.start_transport(Transport::WebSocket, wire);
        }
    }

    /// The transport failed. Another one is tried, or the connection ends.
    fn fail(&mut self, fault: ClientFault) {
        self.websocket_worked = false;
        if self.state.is_closing() {
            return self.end(ClientCloseReason::ForcedClose);
        }
        if self.is_closed() {
            return;
        }
        let can_retry = self.state.is_opening() && self.config.try_all_transports;
        if !can_retry || self.untried.is_empty() {
            return self.end(ClientCloseReason::TransportError(fault));
        }
        let transport = self.transport();
        self.events.push(EngineClientEvent::TransportFailed { transport, fault });
        let next = self.untried.remove(0);
        let wire = self.name_wire();
        let released = self.state.reopen(next, wire);
        self.wires.extend(released.into_iter().map(|wire| EngineClientOutput::Close { wire }));
        self.start_transport(next, wire);
    }

    /// A request was refused. If the status says that it was bad or too large, its content is the
    /// reason. If it was too large and had several packets, smaller bodies may be accepted.
    fn note_refusal(&mut self, exchange: Exchange, status: u16) {
        let Exchange::Post = exchange else {
            self.is_closed_by_server |= status == 400;
            return;
        };
        match (status, self.state.posted()) {
            (413, Some(len)) => self.max_body = (len / 2).max(1),
            (400 | 413, _) => self.is_closed_by_server = true,
            _ => {}
        }
    }

    fn drop_probe(&mut self) {
        if let Some(wire) = self.state.drop_probe() {
            self.wires.push_back(EngineClientOutput::Close { wire });
            self.events.push(EngineClientEvent::UpgradeFailed);
        }
    }
}
