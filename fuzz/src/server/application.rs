//! What the application does, to anybody but the bystander.

use std::time::Duration;

use socketio_proto::{
    SocketKey,
    hub::{Audience, EmitError, Once, Rejection},
    socket::Args,
};

use super::world::World;
use crate::draw;

const NAMESPACES: [&str; 4] = ["/", "/d1", "/d2", "/none"];
const ROOMS: [&str; 5] = ["red", "green", "blue", "white", "black"];

impl World<'_> {
    pub(super) fn act_as_application(&mut self) {
        match self.source.below(9) {
            0 | 1 => self.answer_request(),
            2 => self.emit(),
            3 | 4 => self.broadcast(),
            5 => self.change_rooms(),
            6 => self.change_rooms_of_many(),
            7 => self.disconnect(),
            _ => self.acknowledge(),
        }
    }

    fn answer_request(&mut self) {
        let index = usize::from(self.source.byte()).checked_rem(self.requests.len());
        let Some(request) = index.map(|index| self.requests.swap_remove(index)) else {
            return;
        };
        if self.source.below(4) == 1 {
            self.server.at(self.now).reject(request, &Rejection::new("no"));
        } else {
            self.server.at(self.now).accept(request);
        }
        assert_eq!(self.server.at(self.now).accept(request), None, "answered once");
    }

    fn emit(&mut self) {
        let Some(socket) = self.draw_socket() else {
            return;
        };
        let event = draw::event(&mut self.source);
        let timeout = self.draw_timeout();
        // Afterwards it may have gone: the event may be the one too many for its connection.
        let is_known = self.server.socket_id(socket).is_some();
        let is_connected = self.server.is_connected(socket);
        let result = match self.source.below(3) {
            0 => self.server.at(self.now).emit(socket, &event),
            1 => self.server.at(self.now).emit_volatile(socket, &event),
            _ => {
                let ack = self.server.at(self.now).emit_with_ack(socket, &event, timeout);
                ack.map(|ack| self.expect(ack))
            }
        };
        assert!(is_known || result == Err(EmitError::NotConnected));
        assert!(!is_connected || result != Err(EmitError::NotConnected));
    }

    fn broadcast(&mut self) {
        let namespace = self.draw_namespace();
        let audience = self.draw_audience();
        let event = draw::event(&mut self.source);
        let timeout = self.draw_timeout();
        if self.source.below(4) == 1 {
            let ack =
                self.server.at(self.now).broadcast_with_ack(namespace, &audience, &event, timeout);
            check_namespace(namespace, &ack.map(|ack| self.expect(ack)));
        } else {
            let result = self.server.at(self.now).broadcast(namespace, &audience, &event);
            check_namespace(namespace, &result);
        }
    }

    fn change_rooms(&mut self) {
        let (Some(socket), Some(room)) = (self.draw_socket(), self.source.pick(&ROOMS)) else {
            return;
        };
        let was_in = self.server.rooms(socket).any(|name| name == *room);
        if self.source.below(3) == 1 {
            assert_eq!(self.server.at(self.now).leave(socket, room), was_in);
        } else {
            let joined = self.server.at(self.now).join(socket, room);
            assert!(!was_in || joined == Ok(false));
            let is_in = self.server.rooms(socket).any(|name| name == *room);
            assert_eq!(is_in, was_in || joined == Ok(true));
        }
    }

    fn change_rooms_of_many(&mut self) {
        let namespace = self.draw_namespace();
        let audience = self.draw_audience();
        let Some(room) = self.source.pick(&ROOMS) else {
            return;
        };
        if self.source.flag() {
            check_namespace(
                namespace,
                &self.server.at(self.now).sockets_join(namespace, &audience, room),
            );
        } else {
            check_namespace(
                namespace,
                &self.server.at(self.now).sockets_leave(namespace, &audience, room),
            );
        }
    }

    fn disconnect(&mut self) {
        let close = self.source.flag();
        if self.source.below(4) == 1 {
            let namespace = self.draw_namespace();
            let audience = self.draw_audience();
            let result = self.server.at(self.now).disconnect_sockets(namespace, &audience, close);
            check_namespace(namespace, &result);
            return;
        }
        let Some(socket) = self.draw_socket() else {
            return;
        };
        match self.server.connection(socket) {
            Some(connection) if self.source.flag() => {
                assert!(self.server.close_connection(self.now, connection));
            }
            _ => {
                self.server.at(self.now).disconnect(socket, close);
                assert_eq!(self.server.socket_id(socket), None, "its key is a miss");
            }
        }
    }

    fn acknowledge(&mut self) {
        let choice = self.source.byte();
        let index = usize::from(choice).checked_rem(self.tokens.len());
        let Some((socket, token)) = index.map(|index| self.tokens.swap_remove(index)) else {
            return;
        };
        let token = match choice >> 5 {
            // It may be an event that was accepted before.
            6 => match self.server.at(self.now).accept_once(socket, "offset", Some(token)) {
                Ok(Once::Fresh(token)) => token,
                Ok(Once::Duplicate) | Err(_) => None,
            },
            7 => {
                self.server.at(self.now).withdraw(token);
                None
            }
            _ => Some(token),
        };
        if let Some(token) = token {
            self.server.at(self.now).ack(token, &Args::empty());
        }
    }

    /// A socket that there is or has been.
    fn draw_socket(&mut self) -> Option<SocketKey> {
        self.source.pick(&self.met).copied()
    }

    fn draw_namespace(&mut self) -> &'static str {
        self.source.pick(&NAMESPACES).copied().unwrap_or("/")
    }

    fn draw_audience(&mut self) -> Audience {
        let choice = self.source.byte();
        let mut audience = Audience::all();
        for _ in 0..choice & 3 {
            audience = audience.to(*self.source.pick(&ROOMS).unwrap_or(&"red"));
        }
        if choice & 4 != 0 {
            audience = audience.except(*self.source.pick(&ROOMS).unwrap_or(&"red"));
        }
        if choice & 8 != 0 {
            audience = audience.volatile();
        }
        audience
    }

    fn draw_timeout(&mut self) -> Duration {
        Duration::from_millis(u64::from(self.source.byte()) * 4)
    }
}

/// Only a namespace that is not there is a reason not to try.
fn check_namespace<T>(namespace: &str, result: &Result<T, EmitError>) {
    let is_unknown = matches!(result, Err(EmitError::UnknownNamespace));
    assert!(namespace != "/" || !is_unknown);
    assert!(namespace != "/none" || is_unknown);
}
