//! Whatever happens to nodes, links and the engine: after a recovery on whichever node, a client has
//! received exactly the events that were addressed to its session, each once, in the order of the
//! channel.
//!
//! The model knows the entries of the channel, and which sockets have joined and left rooms between
//! which entries. `CLUSTER_SEED=<number>` replays one run; `CLUSTER_RUNS=<number>` plays more.

use std::{collections::BTreeSet, env, time::Duration};

use socketio_proto::{
    RecoveryConfig, ServerConfig,
    cluster::message::{Body, BroadcastOptions},
    hub::Audience,
};

use crate::fleet::{Client, Fleet};

const NODES: usize = 3;
const USERS: usize = 5;
const ROOMS: [&str; 3] = ["a", "b", "c"];

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// A session as the model knows it.
struct Session {
    sid: String,
    pid: String,
    birth: usize,
    /// What the application has done to it on its node: before which entry, which room, and whether
    /// it was a join.
    changes: Vec<(usize, &'static str, bool)>,
    /// Names of the events that the client has processed.
    processed: Vec<String>,
    offset: Option<String>,
}

#[derive(Default)]
struct User {
    session: Option<Session>,
    /// Its present connection, and how many of its frames the client has processed.
    link: Option<(Client, usize)>,
}

#[derive(Default)]
struct Tally {
    recovered: usize,
    moved: u64,
    refused: usize,
    checked: usize,
    kicked: usize,
}

struct Run {
    fleet: Fleet,
    dice: Dice,
    users: Vec<User>,
    emitted: usize,
    tally: Tally,
}

impl Run {
    fn new(seed: u64) -> Self {
        let recovery = RecoveryConfig::new().max_disconnection(Duration::from_secs(3_600));
        let config =
            ServerConfig::new().recovery(recovery).ping_interval(Duration::from_secs(3_600));
        let mut fleet = Fleet::disconnected(NODES, &config);
        for node in 0..NODES {
            fleet.connect(node);
        }
        let users = (0..USERS).map(|_| User::default()).collect();
        Self { fleet, dice: Dice(seed), users, emitted: 0, tally: Tally::default() }
    }

    fn step(&mut self) {
        let (node, user) = (self.dice.roll(NODES), self.dice.roll(USERS));
        match self.dice.roll(40) {
            0..8 => self.emit(node),
            8..10 => self.emit_to(user),
            10..14 => self.change_room(user),
            14 => self.change_all(node),
            15..21 => self.come(user, node),
            21..24 => self.go(user),
            24..30 => {
                let count = 1 + self.dice.roll(3);
                self.fleet.take(node, count);
            }
            30..38 => {
                let count = 1 + self.dice.roll(4);
                self.fleet.read(node, count);
            }
            38 if self.dice.roll(12) == 0 => self.crash(node),
            39 if self.dice.roll(8) == 0 => {
                let kept = self.dice.roll(30);
                let channel = &mut self.fleet.channel;
                channel.trimmed = channel.trimmed.max(channel.entries.len().saturating_sub(kept));
            }
            38 if self.fleet.nodes[node].read.is_some() => {
                let taken = self.dice.roll(3);
                self.fleet.cut(node, taken);
            }
            _ if self.fleet.nodes[node].read.is_none() => self.fleet.connect(node),
            _ => self.fleet.wait(300),
        }
        for user in 0..USERS {
            self.look(user);
        }
    }

    fn audience(&mut self) -> Audience {
        let mut audience = Audience::all();
        if self.dice.roll(3) > 0 {
            audience = audience.to(ROOMS[self.dice.roll(3)]);
        }
        if self.dice.roll(4) == 0 {
            audience = audience.except(ROOMS[self.dice.roll(3)]);
        }
        audience
    }

    fn name(&mut self) -> String {
        self.emitted += 1;
        format!("e{}", self.emitted)
    }

    fn emit(&mut self, node: usize) {
        let (audience, name) = (self.audience(), self.name());
        let event = socketio_proto::socket::Event::new(&name, &()).unwrap();
        // It may be refused, because too much waits.
        self.fleet.at(node, |at| at.broadcast("/", &audience, &event).ok());
    }

    fn emit_to(&mut self, user: usize) {
        let name = self.name();
        if let Some((client, socket)) = self.socket(user) {
            self.fleet.at(client.node, |at| at.socket(socket).emit(&name, &()).ok());
        }
    }

    /// The socket of a user that is connected.
    fn socket(&self, user: usize) -> Option<(Client, socketio_proto::SocketKey)> {
        let User { session: Some(session), link: Some((client, _)) } = &self.users[user] else {
            return None;
        };
        let socket = self.fleet.find_socket(*client)?;
        let server = &self.fleet.nodes[client.node].server;
        let id = server.socket_id(socket)?;
        (id.as_str() == session.sid).then_some((*client, socket))
    }

    fn change_room(&mut self, user: usize) {
        let (room, is_join) = (ROOMS[self.dice.roll(3)], self.dice.roll(5) < 3);
        let Some((client, socket)) = self.socket(user) else { return };
        // What has to wait takes effect at a place that the model does not know.
        if self.fleet.nodes[client.node].server.stats().channel_waiting > 0 {
            return;
        }
        let is_done = self.fleet.at(client.node, |at| {
            if is_join { at.join(socket, room).unwrap() } else { at.leave(socket, room) }
        });
        let position = self.fleet.nodes[client.node].position;
        if let Some(session) = self.users[user].session.as_mut().filter(|_| is_done) {
            session.changes.push((position, room, is_join));
        }
    }

    fn change_all(&mut self, node: usize) {
        let (audience, room) = (self.audience(), ROOMS[self.dice.roll(3)]);
        let choice = self.dice.roll(9);
        self.fleet.at(node, |at| match choice {
            0 => at.disconnect_sockets("/", &audience.to(room), false).ok(),
            1..5 => at.sockets_join("/", &audience, room).ok(),
            _ => at.sockets_leave("/", &audience, room).ok(),
        });
    }

    /// A client comes, or comes back.
    fn come(&mut self, user: usize, node: usize) {
        if self.users[user].link.is_some() {
            return;
        }
        let packet = match &self.users[user].session {
            Some(Session { pid, offset: Some(offset), .. }) => {
                format!(r#"40{{"pid":"{pid}","offset":"{offset}"}}"#)
            }
            Some(Session { pid, .. }) => format!(r#"40{{"pid":"{pid}"}}"#),
            None => "40".into(),
        };
        let client = self.fleet.open_with(node, &packet);
        self.users[user].link = Some((client, 0));
    }

    /// A client loses its link. Its server may not notice, and some of what was sent is lost.
    fn go(&mut self, user: usize) {
        let Some((client, _)) = self.users[user].link else { return };
        let count = self.dice.roll(6);
        self.process(user, count);
        if self.dice.roll(3) > 0 {
            self.fleet.lose(client);
        }
        self.users[user].link = None;
    }

    /// A process ends, and its sessions with it.
    fn crash(&mut self, node: usize) {
        for user in 0..USERS {
            if self.users[user].link.is_some_and(|(client, _)| client.node == node) {
                let count = self.dice.roll(6);
                self.process(user, count);
                self.users[user].link = None;
            }
        }
        self.tally.moved += self.fleet.nodes[node].server.stats().total.sessions_arrived;
        self.fleet.crash(node);
    }

    /// A client processes frames as they come.
    fn look(&mut self, user: usize) {
        if self.dice.roll(3) == 0 {
            self.process(user, 2);
        }
    }

    fn process(&mut self, user: usize, count: usize) {
        let Some((client, seen)) = self.users[user].link else { return };
        let frames: Vec<String> =
            self.fleet.frames(client).iter().skip(seen).take(count).cloned().collect();
        for frame in frames {
            if let Some((_, seen)) = &mut self.users[user].link {
                *seen += 1;
            }
            match &*frame {
                "closed" => self.users[user].link = None,
                // Kicked.
                "41" => {
                    self.tally.kicked += 1;
                    self.check(user, false);
                    self.users[user].session = None;
                    self.fleet.lose(client);
                    self.users[user].link = None;
                }
                "2" => {}
                answer if answer.starts_with("40{") => self.connected(user, client, answer),
                event => {
                    let mut parts = event.strip_prefix("42[\"").unwrap().split('"');
                    let session = self.users[user].session.as_mut().unwrap();
                    session.processed.push(parts.next().unwrap().to_owned());
                    session.offset = parts.nth(1).map(str::to_owned);
                }
            }
            if self.users[user].link.is_none() {
                return;
            }
        }
    }

    fn connected(&mut self, user: usize, client: Client, answer: &str) {
        let mut parts = answer.split('"');
        let sid = parts.nth(3).unwrap().to_owned();
        let pid = parts.nth(3).unwrap().to_owned();
        if self.users[user].session.as_ref().is_some_and(|session| session.sid == sid) {
            self.tally.recovered += 1;
            return;
        }
        if self.users[user].session.is_some() {
            self.tally.refused += 1;
            self.check(user, false);
        }
        let birth = self.fleet.nodes[client.node].births[&sid];
        let (changes, processed) = (Vec::new(), Vec::new());
        let session = Session { sid, pid, birth, changes, processed, offset: None };
        self.users[user].session = Some(session);
    }

    /// Compares what a client has processed with what was addressed to its session: all of it, or
    /// the first part.
    fn check(&mut self, user: usize, is_complete: bool) {
        let Some(session) = &self.users[user].session else { return };
        let expected = self.expected(session);
        let got = &session.processed;
        if is_complete {
            assert_eq!(*got, expected, "of {}", session.sid);
        } else {
            assert_eq!(*got, expected[..got.len().min(expected.len())], "of {}", session.sid);
        }
        self.tally.checked += got.len();
    }

    /// The events that were addressed to a session, in order.
    fn expected(&self, session: &Session) -> Vec<String> {
        let mut rooms = BTreeSet::from([session.sid.clone()]);
        let mut changes = session.changes.iter().peekable();
        let mut expected = Vec::new();
        for (index, entry) in self.fleet.channel.entries.iter().enumerate().skip(session.birth) {
            while let Some((_, room, is_join)) = changes.next_if(|change| change.0 <= index) {
                set(&mut rooms, room, *is_join);
            }
            match &entry.as_ref().unwrap().body {
                Body::Broadcast(broadcast) if is_addressed(&rooms, &broadcast.options) => {
                    expected.push(broadcast.packet().unwrap().event.name().to_owned());
                }
                Body::SocketsJoin { options, rooms: joined } if is_addressed(&rooms, options) => {
                    for room in joined {
                        set(&mut rooms, room, true);
                    }
                }
                Body::SocketsLeave { options, rooms: left } if is_addressed(&rooms, options) => {
                    for room in left {
                        set(&mut rooms, room, false);
                    }
                }
                Body::DisconnectSockets { options, .. } if is_addressed(&rooms, options) => break,
                _ => {}
            }
        }
        expected
    }

    /// The faults stop, and everyone comes back.
    fn finish(mut self) -> Tally {
        for _ in 0..4 {
            for node in 0..NODES {
                if self.fleet.nodes[node].read.is_none() {
                    self.fleet.connect(node);
                }
            }
            self.fleet.settle();
            self.fleet.wait(2_000);
            for user in 0..USERS {
                self.process(user, usize::MAX);
                let node = self.dice.roll(NODES);
                self.come(user, node);
            }
            self.fleet.settle();
        }
        self.emit(0);
        self.fleet.settle();
        for user in 0..USERS {
            self.process(user, usize::MAX);
            assert!(self.users[user].session.is_some(), "everyone is back");
            self.check(user, true);
        }
        let nodes = self.fleet.nodes.iter();
        self.tally.moved +=
            nodes.map(|node| node.server.stats().total.sessions_arrived).sum::<u64>();
        self.tally
    }
}

fn set(rooms: &mut BTreeSet<String>, room: &str, is_join: bool) {
    if is_join {
        rooms.insert(room.to_owned());
    } else {
        rooms.remove(room);
    }
}

fn is_addressed(rooms: &BTreeSet<String>, options: &BroadcastOptions) -> bool {
    let is_in = |room: &socketio_proto::ByteString| rooms.contains(&**room);
    let is_target = options.is_for_all() || options.rooms().iter().any(is_in);
    is_target && !options.excepted().iter().any(is_in)
}

fn play(seed: u64) -> Tally {
    let mut run = Run::new(seed);
    for _ in 0..400 {
        run.step();
    }
    run.finish()
}

#[test]
fn whatever_happens_each_client_gets_what_was_addressed_to_it() {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("CLUSTER_SEED") {
        play(seed);
        return;
    }
    let mut sum = Tally::default();
    for seed in 0..number("CLUSTER_RUNS").unwrap_or(200) {
        let played = std::panic::catch_unwind(|| play(seed));
        let tally = played.unwrap_or_else(|_| panic!("CLUSTER_SEED={seed} replays it"));
        sum.recovered += tally.recovered;
        sum.moved += tally.moved;
        sum.refused += tally.refused;
        sum.checked += tally.checked;
        sum.kicked += tally.kicked;
    }
    let Tally { recovered, moved, refused, checked, kicked } = sum;
    println!(
        "{recovered} recovered, {moved} moved, {refused} refused, {checked} events, {kicked} kicked"
    );
    assert!(moved > recovered as u64 / 4 && refused < recovered && checked > recovered);
}
