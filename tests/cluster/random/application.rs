//! What the applications of the nodes do.

use socketio_proto::{SocketKey, hub::Audience, socket::Event};

use super::{
    model::{Change, What, When},
    run::{ROOMS, Run, USERS, User},
};
use crate::fleet::{Client, Flight};

/// How much of the queue of a node is left free for what waits behind an event.
const SPARE: usize = 16;

impl Run {
    fn audience(&mut self) -> Audience {
        let mut audience = Audience::all();
        if self.dice.roll(3) > 0 {
            audience = audience.to(self.dice.pick(&ROOMS));
        }
        if self.dice.one_in(4) {
            audience = audience.except(self.dice.pick(&ROOMS));
        }
        audience
    }

    fn name(&mut self, kind: char) -> String {
        self.emitted += 1;
        format!("{kind}{}", self.emitted)
    }

    /// An event, now and then one that the channel does not carry.
    pub(super) fn emit(&mut self, node: usize) {
        let (namespace, mut audience) = (self.dice.pick(&USERS), self.audience());
        let (kind, what) = match self.dice.roll(12) {
            0 => ('l', "local"),
            1 => ('v', "volatile"),
            _ => ('e', "emitted"),
        };
        audience = match kind {
            'l' => audience.local(),
            'v' => audience.volatile(),
            _ => audience,
        };
        self.tally.note(what);
        let event = Event::new(&self.name(kind), &()).unwrap();
        // It may be refused, because too much waits, or because nobody is in the namespace.
        self.fleet.at(node, |at| at.broadcast(namespace, &audience, &event).ok());
    }

    pub(super) fn emit_to(&mut self, user: usize) {
        let name = self.name('e');
        if let Some((client, socket)) = self.socket(user) {
            self.tally.note("emitted to one");
            self.fleet.at(client.node, |at| at.socket(socket).emit(&name, &()).ok());
        }
    }

    /// The socket of a user that is connected.
    pub(super) fn socket(&self, user: usize) -> Option<(Client, SocketKey)> {
        let User { session: Some(session), link: Some(link), .. } = &self.users[user] else {
            return None;
        };
        let socket = self.fleet.find_socket(link.client)?;
        let server = &self.fleet.nodes[link.client.node].server;
        let id = server.socket_id(socket)?;
        (id.as_str() == session.sid).then_some((link.client, socket))
    }

    /// One socket joins a room, leaves it or is kicked: at once, or behind an event that is emitted
    /// to it.
    pub(super) fn change_one(&mut self, user: usize) {
        let room = self.dice.pick(&ROOMS);
        let what = match self.dice.roll(20) {
            0..11 => What::Join(room),
            11..19 => What::Leave(room),
            _ => What::Kick,
        };
        let (is_behind, name) = (self.dice.one_in(2), self.name('m'));
        let Some((client, _)) = self.socket(user) else { return };
        // What it puts into the channel can be seen.
        self.set_lazy(client.node, false);
        // What has waited there may have ended it.
        let Some((_, socket)) = self.socket(user) else { return };
        let node = &self.fleet.nodes[client.node];
        let waiting = node.server.stats().channel_waiting;
        let (position, is_connected) = (node.position, node.server.is_connected(socket));
        let when = if is_behind && waiting < SPARE {
            let sent = self.appends(client.node);
            let emitted = self.fleet.at(client.node, |at| at.socket(socket).emit(&name, &()));
            emitted.unwrap();
            if !is_connected && self.appends(client.node) == sent {
                // Nobody knows yet whether the rest goes through the channel.
                return;
            }
            When::Behind(name)
        } else if waiting == 0 {
            When::Before(position)
        } else {
            // It has to wait for events whose place nobody knows yet.
            return;
        };
        let sent = self.appends(client.node);
        self.fleet.at(client.node, |at| match what {
            What::Join(room) => drop(at.join(socket, room).unwrap()),
            What::Leave(room) => drop(at.leave(socket, room)),
            What::Kick => drop(at.disconnect(socket, false)),
        });
        // While the store may have the session, its place is that of an entry.
        let is_entry = match when {
            When::Before(_) => self.fleet.nodes[client.node].server.stats().channel_waiting > 0,
            When::Behind(_) => self.appends(client.node) > sent,
        };
        let is_entry = is_entry || self.plan.writes_ahead_at(client.node);
        self.tally.note(match (what, is_behind) {
            (What::Join(_), false) => "joined",
            (What::Join(_), true) => "joined behind an event",
            (What::Leave(_), _) => "left",
            (What::Kick, false) => "kicked",
            (What::Kick, true) => "kicked behind an event",
        });
        if let Some(session) = self.users[user].session.as_mut().filter(|_| !is_entry) {
            session.changes.push(Change { when, what });
        }
    }

    /// How many entries of a node are on their way to the engine.
    fn appends(&self, node: usize) -> usize {
        let in_flight = self.fleet.nodes[node].in_flight.iter();
        in_flight.filter(|it| matches!(it, Flight::Append(_))).count()
    }

    pub(super) fn change_all(&mut self, node: usize) {
        let (namespace, room) = (self.dice.pick(&USERS), self.dice.pick(&ROOMS));
        let (audience, choice) = (self.audience(), self.dice.roll(16));
        self.tally.note(if choice == 0 { "kicked by all" } else { "rooms of all" });
        self.fleet.at(node, |at| match choice {
            0 => at.disconnect_sockets(namespace, &audience.to(room), false).ok(),
            1..8 => at.sockets_join(namespace, &audience, room).ok(),
            _ => at.sockets_leave(namespace, &audience, room).ok(),
        });
    }
}
