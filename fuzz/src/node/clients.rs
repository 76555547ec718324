//! What clients and the application do.

use std::time::Duration;

use bytes::Bytes;
use socketio_proto::{
    SocketKey,
    engine::{Frame, Method, Transport},
    hub::{Audience, Rejection},
    server::ServerInput,
    socket::{Args, Event},
};
use socketio_proto_sim::wire;

use super::{
    entries::{ROOMS, numbered},
    world::World,
};
use crate::{draw, wires::Wire};

const NAMESPACES: [&str; 4] = ["/", "/", "/d1", "/d2"];

impl World<'_> {
    pub(super) fn act_as_client(&mut self) {
        match self.source.below(8) {
            0 | 1 => {
                let query = wire::open_query(Transport::WebSocket);
                let wire = self.wires.open(Wire::WebSocket);
                let head = wire::websocket_head(&query);
                self.input(ServerInput::WebSocketOpened { wire, head });
            }
            2 => {
                let query = match self.source.pick(&self.known.sids) {
                    Some(sid) => wire::query(Transport::Polling, sid),
                    None => wire::open_query(Transport::Polling),
                };
                let wire = self.wires.open(Wire::Get);
                let head = wire::head(Method::Get, &query);
                self.input(ServerInput::Request { wire, head, body: None });
            }
            3 => {
                let sid = self.source.pick(&self.known.sids).cloned().unwrap_or_default();
                let query = wire::query(Transport::Polling, &sid);
                let wire = self.wires.open(Wire::Other);
                let head = wire::head(Method::Post, &query);
                let body = draw::body(0, || self.draw_frame());
                self.input(ServerInput::Request { wire, head, body: Some(body) });
            }
            4 => {
                if let Some(wire) = self.source.pick(&self.wires.all()).copied() {
                    self.lose(wire);
                }
            }
            _ => {
                let is_websocket = |kind| kind == Wire::WebSocket;
                let open: Vec<_> = self.wires.iter().filter(|it| is_websocket(it.1)).collect();
                if let Some((wire, _)) = self.source.pick(&open).copied() {
                    let frame = self.draw_frame();
                    self.input(ServerInput::Frame { wire, frame });
                }
            }
        }
    }

    fn draw_frame(&mut self) -> Frame {
        let namespace = *self.source.pick(&NAMESPACES).unwrap_or(&"/");
        let text = match self.source.below(16) {
            0..=6 => wire::connect(namespace, &self.draw_auth()),
            7 => wire::disconnect(namespace),
            8..=10 => wire::event_text(namespace, "question", "", Some(self.source.byte().into())),
            11 => wire::packet("3", namespace, &self.source.byte().to_string(), "[]"),
            12 => wire::PONG.to_owned(),
            13 => wire::event_text(namespace, "event", "1", None),
            14 => return Frame::Binary(Bytes::copy_from_slice(self.source.bytes())),
            _ => self.source.text(),
        };
        Frame::Text(text.into())
    }

    fn draw_auth(&mut self) -> String {
        let pid = match self.source.below(4) {
            0 => "AAAAAAAAAAAAAAAAAAAA".to_owned(),
            _ => self.source.pick(&self.known.pids).cloned().unwrap_or_default(),
        };
        match self.source.below(4) {
            0 => String::new(),
            1 => format!("{{\"pid\":\"{pid}\"}}"),
            _ => {
                let offset = self.source.pick(&self.known.offsets).map_or("", String::as_str);
                format!("{{\"pid\":\"{pid}\",\"offset\":\"{offset}\"}}")
            }
        }
    }

    pub(super) fn act_as_application(&mut self) {
        let namespace = *self.source.pick(&NAMESPACES).unwrap_or(&"/");
        let room = *self.source.pick(&ROOMS).unwrap_or(&"red");
        let socket = self.source.pick(&self.met).copied();
        match (self.source.below(12), socket) {
            (0..=2, _) => self.answer_request(),
            (3, Some(socket)) => drop(self.server.at(self.now).join(socket, room)),
            (4, Some(socket)) => drop(self.server.at(self.now).leave(socket, room)),
            (5, Some(socket)) => {
                let event = self.draw_event();
                match self.source.below(3) {
                    0 => drop(self.server.at(self.now).emit(socket, &event)),
                    1 => {
                        let event = draw::event(&mut self.source);
                        drop(self.server.at(self.now).emit_volatile(socket, &event));
                    }
                    _ => {
                        let wait = Duration::from_millis(100);
                        let ack = self.server.at(self.now).emit_with_ack(socket, &event, wait);
                        self.acks.extend(ack);
                    }
                }
            }
            (6, Some(socket)) => {
                let close = self.source.flag();
                self.server.at(self.now).disconnect(socket, close);
            }
            (7, Some(socket)) => self.once(socket),
            (8, _) => {
                let audience = self.draw_audience();
                let mut at = self.server.at(self.now);
                match self.source.below(3) {
                    0 => drop(at.sockets_join(namespace, &audience, room)),
                    1 => drop(at.sockets_leave(namespace, &audience, room)),
                    _ => drop(at.disconnect_sockets(namespace, &audience, false)),
                }
            }
            (9, _) => {
                let (event, audience) = (self.draw_event(), self.draw_audience());
                let wait = Duration::from_millis(100);
                let ack =
                    self.server.at(self.now).broadcast_with_ack(namespace, &audience, &event, wait);
                self.acks.extend(ack);
            }
            _ => {
                let (event, audience) = (self.draw_event(), self.draw_audience());
                drop(self.server.at(self.now).broadcast(namespace, &audience, &event));
            }
        }
    }

    fn answer_request(&mut self) {
        let index = usize::from(self.source.byte()).checked_rem(self.requests.len());
        let Some(request) = index.map(|index| self.requests.swap_remove(index)) else {
            return;
        };
        if self.source.below(8) == 1 {
            self.server.at(self.now).reject(request, &Rejection::new("no"));
        } else {
            self.server.at(self.now).accept(request);
        }
        assert_eq!(self.server.at(self.now).accept(request), None, "answered once");
    }

    fn once(&mut self, socket: SocketKey) {
        let index = usize::from(self.source.byte()).checked_rem(self.tokens.len());
        let Some(token) = index.map(|index| self.tokens.swap_remove(index)) else {
            return;
        };
        match self.source.below(3) {
            0 => drop(self.server.at(self.now).accept_once(socket, "offset", Some(token))),
            1 => drop(self.server.at(self.now).withdraw(token)),
            _ => drop(self.server.at(self.now).ack(token, &Args::empty())),
        }
    }

    /// An event that is not volatile.
    fn draw_event(&mut self) -> Event {
        if self.source.below(4) == 1 {
            return draw::event(&mut self.source);
        }
        self.emitted += 1;
        numbered(self.emitted)
    }

    fn draw_audience(&mut self) -> Audience {
        let choice = self.source.byte();
        let mut audience = Audience::all();
        if choice & 1 != 0 {
            audience = audience.to(*self.source.pick(&ROOMS).unwrap_or(&"red"));
        }
        if choice & 4 != 0 {
            audience = audience.except(*self.source.pick(&ROOMS).unwrap_or(&"red"));
        }
        audience
    }
}
