//! The application under test: a chat with one room.

use std::collections::BTreeSet;

use socketio_proto::{
    Timestamp,
    server::{Server, ServerEvent},
};
use socketio_proto_sim::Application;

/// Mistakes that an application can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    None,
    /// It assumes that a client that it has seen before is in the room already.
    ForgetsToJoinAgain,
    /// It sends what must not be lost as if it could be.
    EmitsVolatile,
    /// It joins the room once more after each recovery, and greets each time.
    GreetsTwice,
}

/// A chat: who connects joins the lobby, and every message goes to the lobby.
pub struct Chat {
    mistake: Mistake,
    seen: BTreeSet<String>,
}

impl Chat {
    pub fn new(mistake: Mistake) -> Self {
        Self { mistake, seen: BTreeSet::new() }
    }
}

impl Application for Chat {
    fn handle_event(&mut self, server: &mut Server, now: Timestamp, event: ServerEvent<()>) {
        let mut at = server.at(now);
        match event {
            ServerEvent::ConnectRequested { request, .. } => {
                at.accept(request);
            }
            ServerEvent::Connected { socket, auth, recovery, .. } => {
                let is_known = !self.seen.insert(auth.as_str().to_owned());
                let has_joined = match self.mistake {
                    Mistake::ForgetsToJoinAgain => is_known,
                    Mistake::GreetsTwice => false,
                    _ => recovery.is_recovered(),
                };
                if !has_joined {
                    at.join(socket, "lobby").unwrap();
                    at.socket(socket).emit("welcome", &()).unwrap();
                }
            }
            ServerEvent::Received { event, ack, .. } if event.name() == "say" => {
                let (text,): (u64,) = event.parse().unwrap();
                let to = at.to("lobby");
                let to = if self.mistake == Mistake::EmitsVolatile { to.volatile() } else { to };
                to.emit("said", &(text,)).unwrap();
                if let Some(token) = ack {
                    at.ack(token, &event.args());
                }
            }
            _ => {}
        }
    }
}
