//! An application that uses everything.

use std::{collections::BTreeSet, time::Duration};

use socketio_proto::{
    SocketKey, Timestamp,
    server::{Server, ServerEvent},
    socket::Event,
};
use socketio_proto_sim::{Application, Choices};

/// Does what the clients ask for: joins, leaves, broadcasts, direct events, questions, kicks.
#[derive(Default)]
pub struct Busy {
    /// Emits something by itself from time to time.
    next_tick: Option<Timestamp>,
    ticks: u64,
    sockets: BTreeSet<SocketKey>,
}

const ROOMS: [&str; 3] = ["red", "green", "blue"];
const TICK: Duration = Duration::from_millis(700);

impl Busy {
    fn obey(
        server: &mut Server<u32>,
        now: Timestamp,
        (socket, namespace): (SocketKey, &str),
        event: &Event,
    ) {
        let (number, choice): (u64, u64) = event.parse().unwrap();
        let room = ROOMS[usize::try_from(choice % 3).unwrap()];
        let mut at = server.at(now);
        match choice / 3 {
            0 => drop(at.join(socket, room)),
            1 => drop(at.leave(socket, room)),
            2 => drop(at.of(namespace).to(room).emit("room", &(number,))),
            3 => drop(at.socket(socket).to(room).emit("others", &(number, "text"))),
            4 => drop(at.of(namespace).except(room).emit("rest", &(number, vec![1, 2]))),
            5 => drop(at.of(namespace).volatile().emit("maybe", &(number, "text"))),
            6 => drop(at.socket(socket).emit("you", &(number,))),
            7 => drop(at.socket(socket).emit_with_ack("asked", &(number,), TICK)),
            8 => drop(at.of(namespace).to(room).emit_with_ack("all asked", &(number,), TICK)),
            9 => drop(at.of(namespace).emit("bytes", &(number, bytes::Bytes::from_static(b"1")))),
            _ => drop(at.disconnect(socket, choice % 2 == 0)),
        }
    }
}

impl Application<u32> for Busy {
    fn start(&mut self, server: &mut Server<u32>, now: Timestamp) {
        server.at(now).add_namespace("/").unwrap();
        server.at(now).add_namespace("/b").unwrap();
        self.next_tick = Some(now.saturating_add(TICK));
    }

    fn handle_event(&mut self, server: &mut Server<u32>, now: Timestamp, event: ServerEvent<u32>) {
        match event {
            ServerEvent::ConnectRequested { request, .. } => {
                server.at(now).accept(request);
            }
            ServerEvent::Connected { socket, .. } => drop(self.sockets.insert(socket)),
            ServerEvent::Received { socket, namespace, event, ack } => {
                if let Some(token) = ack {
                    server.at(now).ack(token, &event.args());
                }
                Self::obey(server, now, (socket, namespace.as_str()), &event);
            }
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        // Not for ever, so that a run comes to rest.
        self.next_tick.filter(|_| self.ticks < 50)
    }

    fn handle_timeout(&mut self, server: &mut Server<u32>, now: Timestamp) {
        self.ticks += 1;
        self.next_tick = Some(now.saturating_add(TICK));
        let room = ROOMS[usize::try_from(self.ticks % 3).unwrap()];
        server.at(now).to(room).emit("tick", &(self.ticks,)).unwrap();
        // It changes the data of those who are away, as long as they are here.
        let data = u32::try_from(self.ticks).unwrap();
        let mut is_gone = |socket: &SocketKey| {
            !server.is_connected(*socket) && server.at(now).set_data(*socket, data).is_none()
        };
        self.sockets.retain(|socket| !is_gone(socket));
    }
}

/// Draws what a client asks for.
pub fn draw(choices: &mut dyn Choices) -> Event {
    // Joining and leaving is half of it, and kicks are rare.
    let kinds = if choices.below(2) == 0 { 6 } else { 31 };
    let choice = choices.below(kinds);
    Event::new("do", &(choices.below(1_000_000), choice)).unwrap()
}
