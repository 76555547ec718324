//! The client side of a session: the requests that it makes.

use alloc::{format, string::String};

use super::{
    ClientCloseReason, ClientConnection, EngineClientEvent, EngineClientOutput, state::Exchange,
};
use crate::{
    WireId,
    engine::{EnginePacket, Frame, Transport},
};

impl ClientConnection {
    /// Starts the requests that are due over polling, or the move to WebSocket. It is called
    /// whenever something may be due, so that the grouping of packets does not depend on when
    /// outputs are polled.
    pub(super) fn pump(&mut self) {
        if let Some(wire) = self.state.upgrade() {
            self.websocket_worked = true;
            self.unproven = Some(wire);
            self.wires.push_back(EngineClientOutput::Send {
                wire,
                frame: EnginePacket::Upgrade.encode(),
            });
            self.events.push(EngineClientEvent::Upgraded);
        }
        if self.state.wants_get() {
            let wire = self.name_wire();
            self.state.hold(Exchange::Get, wire);
            let query = self.query(Transport::Polling);
            self.wires.push_back(EngineClientOutput::Get { wire, query });
        }
        if !self.state.can_post() {
            return;
        }
        if core::mem::take(&mut self.owes_pong) {
            self.queue.push_front_exempt(pong());
        }
        if self.state.is_probing() && self.queue.is_large(self.max_payload) {
            // It is small enough for a WebSocket, as far as that is known, and the upgrade may
            // complete soon.
            return;
        }
        if !self.queue.is_empty() {
            let packets = self.queue.packets();
            let body = self.queue.pop_payload(self.max_payload.min(self.max_body));
            let is_joined = packets.saturating_sub(self.queue.packets()) > 1;
            self.state.set_posted(is_joined.then_some(body.len()));
            let wire = self.name_wire();
            self.state.hold(Exchange::Post, wire);
            let query = self.query(Transport::Polling);
            self.wires.push_back(EngineClientOutput::Post { wire, query, body });
        } else if self.state.is_closing() {
            self.end(ClientCloseReason::ForcedClose);
        }
    }

    pub(super) fn start_transport(&mut self, transport: Transport, wire: WireId) {
        let query = self.query(transport);
        self.wires.push_back(match transport {
            Transport::Polling => EngineClientOutput::Get { wire, query },
            Transport::WebSocket => EngineClientOutput::OpenWebSocket { wire, query },
        });
    }

    pub(super) fn name_wire(&mut self) -> WireId {
        let wire = WireId(self.next_wire);
        self.next_wire = self.next_wire.saturating_add(1);
        wire
    }

    fn query(&self, transport: Transport) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("EIO", "4").append_pair("transport", transport.as_str());
        if transport == Transport::Polling {
            let unique = self.nonce.wrapping_add(self.next_wire);
            query.append_pair("t", &format!("{unique:x}"));
        }
        if !self.sid.is_empty() {
            query.append_pair("sid", &self.sid);
        }
        for (name, value) in &self.config.query {
            query.append_pair(name, value);
        }
        query.finish()
    }
}

pub(super) fn pong() -> Frame {
    EnginePacket::Pong { probe: false }.encode()
}
