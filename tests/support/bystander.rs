//! A client that must not be affected by what others do.

use socketio_proto::socket;

use super::{Client, World};

pub struct Bystander {
    pub client: Client,
    asked: usize,
}

impl Bystander {
    pub fn new(world: &mut World) -> Self {
        let (client, _) = world.connect();
        Self { client, asked: 0 }
    }

    /// Asks something, and fails unless that is answered at once.
    pub fn check(&mut self, world: &mut World) {
        world.events.clear();
        world.send(self.client, &format!("42{}[\"echo\"]", self.asked));
        let token = world.token();
        assert!(world.server.at(world.now).ack(token, &socket::Args::empty()));
        world.drain();
        let frames = world.texts(self.client);
        assert_eq!(frames.last(), Some(&format!("43{}[]", self.asked)));
        self.asked += 1;
    }

    /// Answers the heartbeat.
    pub fn pong(&self, world: &mut World) {
        world.send(self.client, "3");
    }
}
