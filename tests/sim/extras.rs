//! The rarer operations: mistakes of applications, control frames, bursts.

use socketio_proto::{ReplayOrder, server::ServerInput};
use socketio_proto_sim::net::WireKind;

use crate::{
    op::{Mistake, Tail, To},
    world::World,
};

/// A text that is too long is sent only where it need not be longer than this.
const LONGEST: usize = 10_000;

impl World {
    /// A client sends what is not taken. It may lose its connection by that, and no session.
    pub fn make_mistake(&mut self, client: usize, space: usize, what: Mistake) {
        let (now, max_payload) = (self.time(), self.plan.max_payload);
        let is_possible = match what {
            Mistake::TooLarge => max_payload < LONGEST,
            // With the reference's order it would miss what comes before the answer, or get it twice.
            Mistake::NoObject => {
                let is_risky = self.plan.recovery.replay_order == ReplayOrder::BeforeConnect;
                !is_risky || self.peers[client].is_connected(space)
            }
            Mistake::TooManyAttachments | Mistake::LongName => true,
        };
        if is_possible && self.peers[client].blunder(now, space, what, max_payload) {
            self.tally.fault(match what {
                Mistake::TooManyAttachments => "too many attachments",
                Mistake::TooLarge => "too large",
                Mistake::LongName => "long name",
                Mistake::NoObject => "auth that is no object",
            });
        }
        self.drain_client(client);
    }

    pub fn send_control_frames(&mut self, client: usize, count: u32) {
        let wires = self.net.iter().filter(|(_, wire)| {
            wire.client == client
                && wire.kind == WireKind::WebSocket
                && wire.has_arrived
                && wire.local.is_some()
        });
        let Some(wire) = wires.map(|(id, _)| id).next_back() else {
            return;
        };
        self.tally.fault("control frames");
        for _ in 0..count {
            if self.net.get(wire).is_some_and(|wire| wire.server_open) {
                self.server_input(ServerInput::ControlFrame { wire });
            }
        }
    }

    pub fn emit_burst(&mut self, client: Option<usize>, space: usize, count: u32) {
        self.tally.fault("burst");
        // A connection that a broadcast has no room on is closed, which the model has to hear of.
        self.is_in_handler = client.is_some();
        for _ in 0..count {
            let event = self.event(Tail::Word, 0);
            if let Some(client) = client {
                self.emit(client, space, &event, false);
            } else {
                let to = To { space, rooms: 0, own: 0, except: 0, but: 0 };
                self.broadcast(to, &event, false);
            }
        }
        self.is_in_handler = false;
        self.drain_server();
    }
}
