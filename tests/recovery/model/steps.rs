//! Runs the server and its clients step by step, and checks each step against the promise.

use std::{collections::BTreeMap, time::Duration};

use socketio_proto::{
    AckId, RecoveryConfig, ReplayOrder, ServerConfig, SocketKey, Timestamp,
    hub::{Audience, DisconnectReason},
    recovery::{RecoveryOutcome, RecoveryRefusal},
    server::{ServerEvent, ServerInput},
    socket,
};

use super::{
    op::{CLIENTS, Op, ROOMS},
    peer::Peer,
    promise::{Life, Limits, Log, Packet, Verdict},
};
use crate::support::{Received, Session, World, claim_packet, recovery_config};

const MAX_DISCONNECTION: Duration = Duration::from_secs(120);
const PING_INTERVAL: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a packet is kept if there is room for it: a link that has broken is noticed that late.
/// Packets of one second go together.
const AGE: Duration = Duration::from_secs(120 + 25 + 20);

/// Bytes of an event's text, and the most that its number, its offset and the rest add to it.
const EVENT_BYTES: usize = 1_000;
const OTHER_BYTES: usize = 80;

/// How the server is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub capacity: usize,
    pub order: ReplayOrder,
    /// Whether events that ask for an acknowledgement are emitted, which are then replayed.
    pub asks: bool,
    pub limits: Limits,
    /// Others, who are excepted from broadcasts by their own rooms.
    pub crowd: usize,
}

/// Outcomes so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub recovered: usize,
    pub gaps: usize,
    pub limited: usize,
    /// Recovered with an offset from before the session.
    pub stale: usize,
}

pub struct Model {
    world: World,
    peers: Vec<Peer>,
    crowd: Vec<Session>,
    setup: Setup,
    log: Log,
    /// Counts the logs, since one that nobody knows a position of is not kept over a restart.
    log_number: usize,
    /// When each packet was emitted.
    emitted: Vec<Timestamp>,
    asked: BTreeMap<AckId, u64>,
    connected: Option<(SocketKey, RecoveryOutcome)>,
    pub tally: Tally,
}

impl Setup {
    fn config(self) -> ServerConfig {
        let mut recovery = RecoveryConfig::default();
        recovery.max_disconnection = MAX_DISCONNECTION;
        recovery.buffer_packets = self.capacity;
        recovery.replay_order = self.order;
        recovery.replay_ack_events = true;
        recovery.memberships = self.limits.memberships;
        recovery.replay_bytes = self.limits.replay * (EVENT_BYTES + OTHER_BYTES);
        assert!(self.limits.replay * OTHER_BYTES < EVENT_BYTES, "not one more than meant");
        let config = recovery_config().recovery(recovery);
        config.ping_interval(PING_INTERVAL).ping_timeout(PING_TIMEOUT)
    }
}

impl Model {
    pub fn new(setup: Setup) -> Self {
        let mut model = Self {
            world: World::new(setup.config()),
            peers: Vec::new(),
            crowd: Vec::new(),
            setup,
            log: Log::default(),
            log_number: 0,
            emitted: Vec::new(),
            asked: BTreeMap::new(),
            connected: None,
            tally: Tally::default(),
        };
        model.crowd = (0..setup.crowd).map(|_| model.world.connect().1).collect();
        model.world.events.clear();
        for _ in 0..CLIENTS {
            let (client, session) = model.world.connect();
            model.handle_events();
            let (key, _) = model.connected.take().unwrap();
            model.peers.push(Peer::new(client, session, key, 0));
        }
        model
    }

    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Broadcast { rooms, except, but } => self.broadcast(rooms, except, *but),
            Op::Volatile { rooms } => {
                let audience = rooms.iter().fold(Audience::all(), |all, room| all.to(ROOMS[*room]));
                let event = socket::Event::new("v", &(0, "trailing string")).unwrap();
                let now = self.world.now;
                self.world.server.at(now).broadcast("/", &audience.volatile(), &event).unwrap();
            }
            Op::Direct { to } if !self.peers[*to].is_over => {
                let (event, key) = (self.next_event(), self.peers[*to].key);
                self.world.server.at(self.world.now).emit(key, &event).unwrap();
                self.append(None, |index, _| index == *to);
            }
            Op::Ask { to, timeout } if self.setup.asks && !self.peers[*to].is_over => {
                self.ask(*to, Duration::from_secs(*timeout));
            }
            Op::Answer { who } => self.answer(*who),
            Op::Join { who, room } => self.join(*who, *room),
            Op::Leave { who, room } => self.leave(*who, *room),
            Op::Deafen { who } => self.peers[*who].is_deaf = true,
            Op::Cut { who } => self.world.cut(self.peers[*who].client),
            Op::Return { who, rewind } => self.come_back(*who, *rewind),
            Op::Kick { who } => {
                let key = self.peers[*who].key;
                self.world.server.at(self.world.now).disconnect(key, false);
                self.peers[*who].is_over = true;
                self.peers[*who].is_live = false;
            }
            Op::Wait { secs } => self.wait(Duration::from_secs(*secs)),
            Op::Restart { is_graceful, capacity, downtime } => {
                self.restart(*is_graceful, *capacity, Duration::from_secs(*downtime));
            }
            Op::Direct { .. } | Op::Ask { .. } => {}
        }
        self.settle();
    }

    fn broadcast(&mut self, rooms: &[usize], except: &[usize], but: Option<usize>) {
        let rooms: Vec<String> = rooms.iter().map(|room| self.room(*room)).collect();
        let mut except: Vec<String> = except.iter().map(|room| self.room(*room)).collect();
        except.extend(but.map(|but| self.peers[but].session.sid.clone()));
        let audience = rooms.iter().fold(Audience::all(), |all, room| all.to(&**room));
        let audience = except.iter().fold(audience, |all, room| all.except(&**room));
        let event = self.next_event();
        self.world.server.at(self.world.now).broadcast("/", &audience, &event).unwrap();
        let is_target = |peer: &Peer| rooms.is_empty() || rooms.iter().any(|room| peer.is_in(room));
        // Nobody in any of the rooms: no position is taken.
        let is_anybody = self.peers.iter().any(|peer| !peer.is_over && is_target(peer));
        if is_anybody || (rooms.is_empty() && !self.crowd.is_empty()) {
            self.append(None, |_, peer| {
                is_target(peer) && !except.iter().any(|room| peer.is_in(room))
            });
        }
    }

    fn ask(&mut self, to: usize, timeout: Duration) {
        let (event, key) = (self.next_event(), self.peers[to].key);
        let ack = self.world.server.at(self.world.now).emit_with_ack(key, &event, timeout).unwrap();
        let position = self.append(Some(true), |index, _| index == to);
        self.asked.insert(ack, position);
    }

    fn answer(&mut self, who: usize) {
        let peer = &mut self.peers[who];
        if !peer.is_live || peer.is_deaf {
            return;
        }
        if let Some((id, position)) = peer.questions.pop_front() {
            self.world.send(peer.client, &format!("43{id}[]"));
            self.handle_events();
            assert_ne!(self.log.packet(position).question, Some(true), "it was answered");
        }
    }

    fn join(&mut self, who: usize, room: usize) {
        let room = self.room(room);
        let peer = &mut self.peers[who];
        let is_new = self.world.server.at(self.world.now).join(peer.key, &room);
        assert_eq!(is_new.is_err(), peer.is_over);
        if is_new != Ok(true) {
            return;
        }
        peer.rooms.insert(room.clone());
        peer.life.moves.push(self.log.head());
        // The room of a session's name becomes one that it is in with others.
        if let Some(owner) = self.peers.iter_mut().find(|peer| peer.session.sid == room) {
            owner.life.moves.push(self.log.head());
        }
    }

    fn leave(&mut self, who: usize, room: usize) {
        let room = self.room(room);
        let peer = &mut self.peers[who];
        let is_left = self.world.server.at(self.world.now).leave(peer.key, &room);
        assert_eq!(is_left, peer.rooms.remove(&room) && !peer.is_over);
        if is_left {
            peer.life.moves.push(self.log.head());
        }
    }

    /// Lets time pass. Clients that are not deaf answer pings.
    fn wait(&mut self, time: Duration) {
        let end = self.world.now.saturating_add(time);
        while let Some(at) = self.world.server.deadline().filter(|at| *at <= end) {
            self.world.now = self.world.now.max(at);
            self.world.input(ServerInput::Timeout);
            self.settle();
        }
        self.world.now = end;
    }

    fn restart(&mut self, is_graceful: bool, capacity: Option<usize>, downtime: Duration) {
        for peer in self.peers.iter_mut().filter(|peer| peer.is_live) {
            peer.is_live = false;
            peer.parked_at = self.world.now;
        }
        // Nobody waits for acknowledgements any more.
        for packet in &mut self.log.packets {
            packet.question = packet.question.map(|_| false);
        }
        self.asked.clear();
        if self.peers.iter().all(|peer| peer.is_over) {
            // No client is left that knows a position, so the log starts again.
            self.log = Log::default();
            self.log_number += 1;
            self.emitted.clear();
            self.peers.iter_mut().for_each(|peer| peer.life = Life::default());
        }
        self.setup.capacity = capacity.unwrap_or(self.setup.capacity);
        let restored = self.world.restart(self.setup.config(), is_graceful, downtime);
        self.world.events.clear();
        let now = self.world.now;
        for peer in &mut self.peers {
            peer.is_over |= now >= peer.parked_at.saturating_add(MAX_DISCONNECTION);
        }
        let waiting: Vec<_> = self.peers.iter_mut().filter(|peer| !peer.is_over).collect();
        assert_eq!(restored.len(), waiting.len(), "who has expired is not among them");
        for peer in waiting {
            let found = self.world.find(&restored, &peer.session);
            let earlier = std::mem::replace(&mut peer.key, found);
            assert!(
                self.world.server.socket_id(earlier).is_none(),
                "no handle of the last process"
            );
        }
    }

    fn come_back(&mut self, who: usize, rewind: usize) {
        let limits = self.setup.limits;
        let peer = &mut self.peers[who];
        peer.rewind(rewind);
        let offset = peer.offset().cloned();
        let position = match &offset {
            None => Some(0),
            Some(offset) => (offset.log == self.log_number).then_some(offset.position),
        };
        let verdict = match position {
            _ if peer.is_over => Verdict::Refused(vec![RecoveryRefusal::Unknown]),
            None => Verdict::Refused(vec![RecoveryRefusal::InvalidOffset]),
            Some(position) => self.log.verdict(&peer.life, position, limits),
        };
        let is_stale = position.is_some_and(|at| offset.is_some() && at <= peer.life.floor);
        let client = self.world.open();
        let offset = offset.as_ref().map(|offset| &*offset.text);
        self.world.send(client, &claim_packet(&peer.session, offset));
        self.handle_events();
        let (key, outcome) = self.connected.take().expect("the client is let in");
        let replay = match (verdict, outcome) {
            (Verdict::Recovered(owed), RecoveryOutcome::Recovered { .. })
            | (Verdict::MayBeRefused(owed, _), RecoveryOutcome::Recovered { .. }) => Some(owed),
            (verdict, RecoveryOutcome::Refused(told)) if verdict.allows(told) => {
                self.tally.gaps += usize::from(told == RecoveryRefusal::Gap);
                self.tally.limited += usize::from(told == RecoveryRefusal::Limit);
                None
            }
            (verdict, outcome) => panic!("{outcome:?}, but {verdict:?} at {position:?}"),
        };
        let mut frames = self.world.texts(client);
        let answer = frames.iter().position(|frame| frame.starts_with("40")).expect("no CONNECT");
        let answer = frames.remove(answer);
        let peer = &mut self.peers[who];
        assert_eq!(answer.contains(&peer.session.sid), replay.is_some(), "{answer}");
        let Some(replay) = replay else {
            assert_eq!(frames, Vec::<String>::new(), "a new session has missed nothing");
            let text = |index| answer.split('"').nth(index).unwrap().to_owned();
            let session = Session { sid: text(3), pid: text(7) };
            let renewed = peer.renewed(client, session, key, self.log.head());
            // The session that could not be resumed goes when its time is up; the model is done
            // with it, so it is ended here.
            let earlier = std::mem::replace(peer, renewed);
            self.world.server.at(self.world.now).disconnect(earlier.key, false);
            return;
        };
        self.tally.recovered += 1;
        self.tally.stale += usize::from(is_stale);
        assert_eq!(key, peer.key);
        assert_eq!(outcome, RecoveryOutcome::Recovered { replayed: replay.len() });
        (peer.client, peer.is_live, peer.is_deaf) = (client, true, false);
        peer.due = replay.into();
        for frame in frames {
            peer.receive(&frame, self.log_number);
        }
    }

    /// Something took the next position. Returns it.
    fn append(
        &mut self,
        question: Option<bool>,
        is_addressed: impl Fn(usize, &Peer) -> bool,
    ) -> u64 {
        self.log.packets.push(Packet { question });
        self.emitted.push(self.world.now);
        let position = self.log.head();
        for (index, peer) in self.peers.iter_mut().enumerate() {
            if !peer.is_over && is_addressed(index, peer) {
                peer.address(position);
            }
        }
        position
    }

    /// Clients process what they have got, and have got all that they should.
    fn settle(&mut self) {
        self.world.drain();
        self.handle_events();
        for index in 0..self.peers.len() {
            let peer = &mut self.peers[index];
            let frames = self.world.take(peer.client.wire);
            if peer.is_deaf || !peer.is_live {
                continue;
            }
            for frame in frames {
                match frame {
                    Received::Text(text) if text == "2" => self.world.send(peer.client, "3"),
                    Received::Text(text) => peer.receive(&text, self.log_number),
                    other => panic!("{other:?}"),
                }
            }
            assert!(peer.due.is_empty(), "{:?} of {} are missing", peer.due, peer.session.sid);
            let is_plain = |at: &&u64| self.log.packet(**at).question.is_none();
            let addressed: Vec<u64> =
                peer.life.addressed.iter().filter(is_plain).copied().collect();
            assert_eq!(peer.processed, addressed, "{}", peer.session.sid);
        }
        self.look_at_log();
    }

    /// What is gone from the log is a fact, and must have been necessary.
    fn look_at_log(&mut self) {
        let stats = self.world.server.stats();
        assert!(stats.log_packets <= self.setup.capacity);
        let evicted = self.log.head() - stats.log_packets as u64;
        let is_old = |at: &&Timestamp| at.saturating_add(AGE) <= self.world.now;
        let old = self.emitted.iter().take_while(is_old).count() as u64;
        let too_many = self.log.head().saturating_sub(self.setup.capacity as u64);
        assert!(evicted <= self.log.evicted.max(old).max(too_many), "{evicted} are gone");
        self.log.evicted = evicted;
    }

    fn handle_events(&mut self) {
        let now = self.world.now;
        for event in std::mem::take(&mut self.world.events) {
            match event {
                ServerEvent::Connected { socket, recovery, .. } => {
                    self.connected = Some((socket, recovery));
                }
                ServerEvent::Disconnected { socket, reason, data: None, .. }
                    if reason != DisconnectReason::TakenOver =>
                {
                    if let Some(peer) = self.peers.iter_mut().find(|peer| peer.key == socket) {
                        (peer.is_live, peer.parked_at) = (false, now);
                        peer.due.clear();
                    }
                }
                ServerEvent::SessionExpired { socket, .. } => {
                    if let Some(peer) = self.peers.iter_mut().find(|peer| peer.key == socket) {
                        let end = peer.parked_at.saturating_add(MAX_DISCONNECTION);
                        assert!(peer.is_over || end <= now, "{} is ended", peer.session.sid);
                        peer.is_over = true;
                    }
                }
                ServerEvent::Acked { ack, .. } | ServerEvent::AckFailed { ack, .. } => {
                    if let Some(position) = self.asked.remove(&ack) {
                        self.log.settle(position);
                    }
                }
                _ => {}
            }
        }
    }

    fn next_event(&self) -> socket::Event {
        socket::Event::new("m", &(self.log.head() + 1, "x".repeat(EVENT_BYTES))).unwrap()
    }

    fn room(&self, number: usize) -> String {
        match number.checked_sub(ROOMS.len()) {
            None => ROOMS[number].to_owned(),
            Some(who) if who < CLIENTS => self.peers[who].session.sid.clone(),
            Some(other) => self.crowd[other - CLIENTS].sid.clone(),
        }
    }
}
