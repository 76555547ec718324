//! The calls of the application on the server, and their expected results.

use std::time::Duration;

use bytes::Bytes;
use socketio_proto::{
    AckId, SocketKey,
    hub::{Audience, EmitError, RoomError},
    socket::Event,
};

use crate::{
    backend::Data,
    model::{Place, Sort, Target},
    op::{ROOMS, SPACES, Tail, To},
    world::World,
};

impl World {
    /// An event that carries the number of its emission.
    pub fn event(&mut self, tail: Tail, random: u64) -> Event {
        self.tally.emitted += 1;
        let number = self.model.next_number();
        let fakes = ["1-2", "0-0", "4294967295-99999999", "OyxQ0n0", "6774d5c0a1b2c3d4e5f60718"];
        let event = match tail {
            Tail::Number => Event::new("m", &(number,)),
            Tail::Word => Event::new("m", &(number, "hello")),
            Tail::FakeOffset => {
                Event::new("m", &(number, fakes[usize::try_from(random % 5).unwrap()]))
            }
            Tail::Binary => {
                let bytes = Bytes::from(vec![7; usize::try_from(random % 40).unwrap()]);
                Event::new("m", &(number, bytes))
            }
        };
        event.unwrap()
    }

    /// The latest session of a client.
    pub fn latest(&self, client: usize, space: usize) -> Option<SocketKey> {
        self.clients[client].keys[space].last().copied()
    }

    fn target(&self, to: To) -> (Target, Audience) {
        let find = |bits: u8| -> Vec<SocketKey> {
            let clients = (0..self.clients.len()).filter(|client| bits & (1 << client) != 0);
            clients.filter_map(|client| self.latest(client, to.space)).collect()
        };
        let (own, but) = (find(to.own), find(to.but));
        let names =
            |bits: u8| ROOMS.iter().enumerate().filter(move |(at, _)| bits & (1 << at) != 0);
        let sid = |key: &SocketKey| self.model.sessions[key].sid.clone();
        let mut audience = Audience::all();
        for (_, room) in names(to.rooms) {
            audience = audience.to(*room);
        }
        for (_, room) in names(to.except) {
            audience = audience.except(*room);
        }
        for own in &own {
            audience = audience.to(sid(own));
        }
        for but in &but {
            audience = audience.except(sid(but));
        }
        let To { space, rooms, except, .. } = to;
        (Target { space, rooms, own, except, but, only: None }, audience)
    }

    pub fn broadcast(&mut self, to: To, event: &Event, is_volatile: bool) {
        self.note_audience(to);
        let (target, audience) = self.target(to);
        let audience = if is_volatile { audience.volatile() } else { audience };
        let sort = if is_volatile { Sort::Fleeting } else { Sort::Logged };
        let told = self.server_time();
        if let Err(refusal) = self.check_size(event, !is_volatile) {
            let refused = self.backend.broadcast(told, SPACES[to.space], &audience, event);
            let is_gone = refused == Err(EmitError::UnknownNamespace);
            assert!(refused == Err(refusal) || (is_gone && self.model.is_deserted(to.space)));
            return self.drain_server();
        }
        let before = self.evicted();
        let live = self.model.emit(self.server_now, &target, event, sort, false);
        let reached = self.backend.broadcast(told, SPACES[to.space], &audience, event);
        let reached = self.answered(to.space, reached).unwrap_or_default();
        assert_eq!(reached.sockets, live, "connected sockets that are addressed");
        self.check_evictions(to.space, before);
        self.drain_server();
    }

    pub fn broadcast_with_ack(&mut self, to: To, timeout_ms: u64) {
        let event = self.event(Tail::Number, 0);
        let (target, audience) = self.target(to);
        let (told, number) = (self.server_time(), self.model.next_number());
        let (space, timeout) = (SPACES[to.space], Duration::from_millis(timeout_ms));
        let ack = self.backend.broadcast_with_ack(told, space, &audience, &event, timeout);
        if ack == Err(EmitError::UnknownNamespace) {
            self.answered(to.space, ack);
            return;
        }
        self.model.emit_asking(self.server_now, &target, &event, Sort::Fleeting, ack.is_ok());
        self.expect_ack(number, &ack);
    }

    pub fn emit(&mut self, client: usize, space: usize, event: &Event, is_volatile: bool) {
        let Some(key) = self.latest(client, space) else {
            return;
        };
        let told = self.server_time();
        let place = self.model.sessions[&key].place;
        let can = match place {
            Place::Live(_) => true,
            Place::Parked { .. } => !is_volatile,
            Place::Ended => false,
        };
        let before = self.evicted();
        let result = if is_volatile {
            self.backend.emit_volatile(told, key, event)
        } else {
            self.backend.emit(told, key, event)
        };
        if result == Err(EmitError::QueueFull) {
            return self.note_full(key);
        }
        let is_small = self.check_size(event, !is_volatile);
        let is_refused = can && is_small.is_err();
        assert_eq!(result, if can { is_small } else { Err(EmitError::NotConnected) });
        if is_refused {
            return self.drain_server();
        }
        let sort = if is_volatile { Sort::Fleeting } else { Sort::Logged };
        self.model.emit(self.server_now, &Target::only(space, key), event, sort, false);
        self.check_evictions(space, before);
        self.drain_server();
    }

    pub fn emit_with_ack(&mut self, client: usize, space: usize, event: &Event, timeout_ms: u64) {
        let Some(key) = self.latest(client, space) else {
            return;
        };
        let (told, number) = (self.server_time(), self.model.next_number());
        let is_replayed = self.plan.recovery.replay_ack_events;
        let can = match self.model.sessions[&key].place {
            Place::Live(_) => true,
            Place::Parked { .. } => is_replayed,
            Place::Ended => false,
        };
        let timeout = Duration::from_millis(timeout_ms);
        let before = self.evicted();
        let ack = self.backend.emit_with_ack(told, key, event, timeout);
        if ack == Err(EmitError::QueueFull) {
            return self.note_full(key);
        }
        assert_eq!(ack == Err(EmitError::NotConnected), !can, "{ack:?}");
        let is_small = self.check_size(event, is_replayed);
        if can && is_small.is_err() {
            assert_eq!(ack.map(|_| ()), is_small);
            return self.drain_server();
        }
        let sort = if is_replayed { Sort::LoggedAck } else { Sort::Fleeting };
        let target = Target::only(space, key);
        self.model.emit_asking(self.server_now, &target, event, sort, ack.is_ok());
        self.check_evictions(space, before);
        self.expect_ack(number, &ack);
    }

    /// What neither the log nor a replay can hold is refused if it is to be logged.
    fn check_size(&mut self, event: &Event, is_logged: bool) -> Result<(), EmitError> {
        let recovery = &self.plan.recovery;
        let most = self.plan.limits.outgoing_bytes;
        let logged = most.min(recovery.buffer_bytes).min(recovery.replay_bytes);
        let limit = if is_logged { logged } else { most };
        let attached: usize = event.attachments().iter().map(Bytes::len).sum();
        if event.json().len() + attached <= limit {
            return Ok(());
        }
        self.tally.fault("too large to emit");
        Err(EmitError::TooLarge { limit })
    }

    /// An emitter was told that too much is queued for a client. Nothing has changed by that, and
    /// nobody was closed.
    fn note_full(&mut self, key: SocketKey) {
        self.tally.fault("queue full");
        let limits = &self.plan.limits;
        let is_bounded = limits.queue_burst_packets < 100
            || limits.queue_burst_bytes < 10_000
            || limits.queued_packets < 100
            || limits.queued_bytes < 10_000;
        assert!(is_bounded, "there was room");
        let place = self.model.sessions[&key].place;
        assert!(matches!(place, Place::Live(_)), "only what is connected has a queue");
        self.drain_server();
        let stays = self.model.sessions[&key].place == place;
        assert!(stays, "a client that is told of it may wait, and nobody is closed");
    }

    fn note_audience(&mut self, to: To) {
        if to.own | to.but != 0 {
            self.tally.fault("room of an id addressed");
        }
        if to.except.count_ones() + to.but.count_ones() > 1 {
            self.tally.fault("several exceptions");
        }
    }

    /// Packets that had to make room for others.
    fn evicted(&self) -> u64 {
        self.backend.stats().total.packets_evicted
    }

    /// Holds what an emission has evicted against what it had to.
    fn check_evictions(&mut self, space: usize, before: u64) {
        let count = usize::try_from(self.evicted() - before).unwrap();
        self.model.evict(self.server_now, space, count);
    }

    fn expect_ack(&mut self, number: usize, ack: &Result<AckId, EmitError>) {
        match ack {
            Ok(ack) => assert!(self.acks.insert(*ack, vec![number]).is_none(), "used twice"),
            Err(EmitError::TooManyAcks { .. }) => {
                assert!(self.acks.len() >= self.plan.limits.pending_acks, "there was room");
            }
            Err(_) => {}
        }
        self.drain_server();
    }

    pub fn join(&mut self, key: SocketKey, room: usize) {
        let session = self.model.sessions.get_mut(&key).unwrap();
        let bit = 1 << room;
        let is_full = session.room_count() >= self.plan.limits.rooms_per_socket;
        let expected = match session.place {
            Place::Ended => Err(()),
            _ if session.rooms & bit != 0 => Ok(false),
            _ if is_full => Err(()),
            _ => Ok(session.set_room(room, true)),
        };
        let told = self.server_time();
        let joined = self.backend.join(told, key, ROOMS[room]);
        assert_eq!(joined.as_ref().map_err(|_: &RoomError| ()).copied(), expected, "{joined:?}");
    }

    pub fn leave(&mut self, key: SocketKey, room: usize) {
        let session = self.model.sessions.get_mut(&key).unwrap();
        let is_over = session.place == Place::Ended;
        let expected = !is_over && session.set_room(room, false);
        let told = self.server_time();
        let left = self.backend.leave(told, key, ROOMS[room]);
        assert_eq!(left, expected, "the session was in the room");
    }

    /// Joins or leaves the room that is named after the id of another client's latest session.
    pub fn change_own(&mut self, client: usize, space: usize, other: usize, is_join: bool) {
        let keys = (self.latest(client, space), self.latest(other, space));
        let (Some(key), Some(other)) = keys else {
            return;
        };
        if key == other {
            return;
        }
        let room = self.model.sessions[&other].sid.clone();
        let session = self.model.sessions.get_mut(&key).unwrap();
        let is_over = session.place == Place::Ended;
        let is_in = session.owns.contains(&other);
        let is_full = session.room_count() >= self.plan.limits.rooms_per_socket;
        let is_change = !is_over && is_in != is_join && !(is_join && is_full);
        if is_change {
            self.tally.fault("room of an id");
            session.set_own(other, is_join);
            if is_join {
                // From the first guest on it is a room like others.
                self.model.sessions.get_mut(&other).unwrap().share_own();
            }
        }
        let told = self.server_time();
        if is_join {
            let expected = if is_over || (is_full && !is_in) { Err(()) } else { Ok(is_change) };
            assert_eq!(self.backend.join(told, key, &room).map_err(|_: RoomError| ()), expected);
        } else {
            assert_eq!(self.backend.leave(told, key, &room), is_change, "it was in the room");
        }
    }

    pub fn change_many(&mut self, to: To, room: usize, is_join: bool) {
        let (target, audience) = self.target(to);
        let limit = self.plan.limits.rooms_per_socket;
        let mut changed = 0;
        for key in self.model.addressed(&target) {
            let session = self.model.sessions.get_mut(&key).unwrap();
            let is_full = session.room_count() >= limit;
            if !(is_join && is_full) && session.set_room(room, is_join) {
                changed += 1;
            }
        }
        let (space, told) = (SPACES[to.space], self.server_time());
        let result = if is_join {
            self.backend.sockets_join(told, space, &audience, ROOMS[room])
        } else {
            self.backend.sockets_leave(told, space, &audience, ROOMS[room])
        };
        let found = self.answered(to.space, result).unwrap_or_default();
        assert_eq!(found, changed, "sockets that changed their rooms");
    }

    pub fn fetch(&mut self, to: To) {
        let (target, audience) = self.target(to);
        let mut expected = self.model.addressed(&target);
        expected.retain(|key| matches!(self.model.sessions[key].place, Place::Live(_)));
        let told = self.server_time();
        let found = self.backend.local_sockets(told, SPACES[to.space], &audience);
        let mut found = self.answered(to.space, found).unwrap_or_default();
        found.sort_unstable();
        assert_eq!(found, expected, "connected sockets of an audience");
    }

    pub fn set_data(&mut self, client: usize, space: usize, random: u64) {
        if let Some(key) = self.latest(client, space) {
            let data = (random << 8) | (client as Data + 1);
            let is_over = self.model.sessions[&key].place == Place::Ended;
            let told = self.server_time();
            assert_eq!(self.backend.set_data(told, key, data).is_none(), is_over);
        }
    }

    pub fn kick(&mut self, client: usize, space: usize, closes: bool) {
        if let Some(key) = self.latest(client, space) {
            self.tally.fault("kick");
            let is_over = self.model.sessions[&key].place == Place::Ended;
            let told = self.server_time();
            assert_eq!(self.backend.disconnect(told, key, closes), !is_over);
        }
    }

    pub fn kick_many(&mut self, to: To, closes: bool) {
        self.tally.fault("kick of many");
        let (target, audience) = self.target(to);
        let expected = self.model.addressed(&target).len();
        let told = self.server_time();
        let space = SPACES[to.space];
        let ended = self.backend.disconnect_sockets(told, space, &audience, closes);
        let ended = self.answered(to.space, ended).unwrap_or_default();
        assert_eq!(ended, expected, "sockets that were disconnected");
    }
}
