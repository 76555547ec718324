//! What clients do: any of them may know everybody's ids.

use bytes::Bytes;
use socketio_proto::{
    WireId,
    engine::{Frame, Method, Transport},
    server::ServerInput,
};
use socketio_proto_sim::wire;

use super::world::World;
use crate::{draw, wires::Wire};

impl World<'_> {
    pub(super) fn act_as_client(&mut self, choice: u8) {
        match choice {
            0 => self.open_websocket(&wire::open_query(Transport::WebSocket)),
            1 => self.request(Wire::Get, &wire::open_query(Transport::Polling), None),
            2 => {
                let query = self.draw_query(Transport::Polling);
                self.request(Wire::Get, &query, None);
            }
            3 => {
                let query = self.draw_query(Transport::Polling);
                let body = if self.source.below(4) == 1 { None } else { Some(self.draw_body()) };
                self.request(Wire::Other, &query, body);
            }
            4 => {
                let query = self.draw_query(Transport::WebSocket);
                self.open_websocket(&query);
            }
            5 | 6 => self.frame(),
            7 => self.lose_or_finish(),
            _ => self.pause(),
        }
    }

    fn open_websocket(&mut self, query: &str) {
        let head = wire::websocket_head(query);
        // An embedder asks first, but others may be faster between the question and the answer.
        if self.source.flag() && self.server.verify(self.now, &head).is_err() {
            return;
        }
        let wire = self.wires.open(Wire::WebSocket);
        self.input(ServerInput::WebSocketOpened { wire, head });
    }

    fn request(&mut self, kind: Wire, query: &str, body: Option<Bytes>) {
        let method = match (kind, self.source.below(32)) {
            (_, 1) => Method::Other,
            (Wire::Get, _) => Method::Get,
            _ => Method::Post,
        };
        let kind = if method == Method::Get { Wire::Get } else { Wire::Other };
        let wire = self.wires.open(kind);
        let head = wire::head(method, query);
        self.input(ServerInput::Request { wire, head, body });
    }

    fn frame(&mut self) {
        let is_websocket = |kind| matches!(kind, Wire::WebSocket | Wire::Paused);
        let open: Vec<_> = self.strangers().filter(|(_, kind)| is_websocket(*kind)).collect();
        if let Some((wire, _)) = self.source.pick(&open).copied() {
            let frame = self.draw_frame();
            self.input(ServerInput::Frame { wire, frame });
        }
    }

    fn lose_or_finish(&mut self) {
        let open: Vec<_> = self.strangers().collect();
        let Some((wire, kind)) = self.source.pick(&open).copied() else {
            return;
        };
        if kind == Wire::Other && self.source.flag() {
            let body = self.draw_body();
            self.input(ServerInput::Body { wire, body });
            return;
        }
        self.lose(wire);
    }

    /// Pauses or resumes a WebSocket that a session began with: which other ones sessions have
    /// moved to is not followed here.
    fn pause(&mut self) {
        // At the end a WebSocket takes what it had been given before.
        self.drain();
        let known: Vec<WireId> = self.primary.iter().copied().collect();
        let Some(wire) = self.source.pick(&known).copied() else {
            return;
        };
        let is_paused = self.source.flag();
        if is_paused {
            self.server.pause(wire);
        } else {
            self.server.resume(self.now, wire);
        }
        self.wires.set_paused(wire, is_paused);
    }

    fn draw_query(&mut self, transport: Transport) -> String {
        if self.source.below(16) == 1 {
            return self.source.text();
        }
        let sid = self.source.pick(&self.known.sids).map_or("", String::as_str);
        wire::query(transport, sid)
    }

    fn draw_body(&mut self) -> Bytes {
        draw::body(self.source.below(3), || self.draw_frame())
    }

    fn draw_frame(&mut self) -> Frame {
        const PACKETS: [&str; 8] =
            [wire::PONG, wire::PROBE, wire::UPGRADE, "bAQID", wire::CLOSE, "2", "6", "4"];
        let namespace = ["/", "/d1", "/d2", "/d3", "/calm", "/x"];
        let namespace = *self.source.pick(&namespace).unwrap_or(&"/");
        let choice = self.source.below(24);
        let text = match choice {
            0..=7 => PACKETS.get(usize::from(choice)).copied().unwrap_or_default().to_owned(),
            8..=11 => wire::connect(namespace, &self.draw_auth()),
            12 | 13 => {
                let number = self.source.byte().to_string();
                wire::event_text(namespace, "event", &number, None)
            }
            14 | 15 => wire::event_text(namespace, "question", "", Some(self.source.byte().into())),
            // A client of this crate asks what has arrived; from then on its events are counted.
            17 => match self.source.byte() {
                0 => wire::packet("3", namespace, "", "[]"),
                id => wire::packet("3", namespace, "", &format!("[{},{id}]", id / 2)),
            },
            16 => {
                let id = self.source.pick(&self.known.acks).map_or("0", String::as_str);
                wire::packet("3", namespace, id, "[\"answer\"]")
            }
            18 => wire::disconnect(namespace),
            19 => wire::packet("51-", namespace, "", r#"["file",{"_placeholder":true,"num":0}]"#),
            20 | 21 => return Frame::Binary(Bytes::copy_from_slice(self.source.bytes())),
            22 => wire::packet("2", namespace, "", &self.source.text()),
            _ => self.source.text(),
        };
        Frame::Text(text.into())
    }

    fn draw_auth(&mut self) -> String {
        let pid = self.source.pick(&self.known.pids).map_or("", String::as_str);
        match self.source.below(6) {
            0 => String::new(),
            1 => "{\"token\":\"secret\"}".to_owned(),
            2 => format!("{{\"pid\":\"{pid}\"}}"),
            3 | 4 => {
                let offset = self.source.pick(&self.known.offsets).map_or("", String::as_str);
                format!("{{\"pid\":\"{pid}\",\"offset\":\"{offset}\"}}")
            }
            _ => self.source.text(),
        }
    }
}
