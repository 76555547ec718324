//! Recovery against a model that only knows who was addressed by what.
//!
//! The promise has two sides. Sound: a recovered client has received exactly what was addressed to
//! its session, each once, in order. Complete: it is recovered whenever everything addressed to it
//! after its position is still in the log. A failing list of operations is printed shrunk, and
//! `proptest-regressions` replays it.

mod support;

use std::{collections::BTreeSet, time::Duration};

use proptest::{prelude::*, strategy::ValueTree as _};
use socketio_proto::{
    RecoveryConfig, ReplayOrder, SocketKey, hub::Audience, server::Event, socket,
};
use support::{Client, Session, World, claim_packet, parse_event, recovery_config};

const CLIENTS: usize = 4;
const ROOMS: [&str; 3] = ["a", "b", "c"];
const MAX_DISCONNECTION: Duration = Duration::from_secs(120);

#[derive(Clone, Debug)]
enum Op {
    /// Emit to rooms (none: everyone), except rooms and except one client's own room.
    Broadcast {
        rooms: Vec<usize>,
        except: Vec<usize>,
        but: Option<usize>,
    },
    Volatile {
        rooms: Vec<usize>,
    },
    Direct {
        to: usize,
    },
    Join {
        who: usize,
        room: usize,
    },
    Leave {
        who: usize,
        room: usize,
    },
    /// From now on packets to this client vanish, though its link looks healthy.
    Deafen {
        who: usize,
    },
    Cut {
        who: usize,
    },
    /// Come back with what was processed last; takes a link over that was not cut.
    Return {
        who: usize,
    },
    Kick {
        who: usize,
    },
    Wait {
        secs: u64,
    },
    /// Another process takes over from a snapshot, with a log of another size if that is given.
    Restart {
        is_graceful: bool,
        capacity: Option<usize>,
        downtime: u64,
    },
}

/// What the model knows of a client and its present session.
struct Peer {
    client: Client,
    session: Session,
    key: SocketKey,
    rooms: BTreeSet<usize>,
    /// Sequences of everything addressed to the session so far.
    addressed: Vec<u64>,
    /// Sequences of everything the client has processed, and its last offset.
    processed: Vec<u64>,
    offset: Option<String>,
    is_deaf: bool,
    is_live: bool,
    is_over: bool,
    parked_at: Duration,
}

struct Model {
    world: World,
    peers: Vec<Peer>,
    capacity: usize,
    order: ReplayOrder,
    /// Sequences given out so far.
    head: u64,
    /// Sequences that were evicted by the logs of earlier processes.
    evicted: u64,
    elapsed: Duration,
    recovered: usize,
    refused: usize,
}

fn config(capacity: usize, order: ReplayOrder) -> socketio_proto::ServerConfig {
    let mut recovery = RecoveryConfig::default();
    recovery.max_disconnection = MAX_DISCONNECTION;
    recovery.buffer_packets = capacity;
    recovery.replay_order = order;
    // Retention by age and heartbeats are not what this model is about.
    let day = Duration::from_secs(86_400);
    recovery_config().recovery(recovery).ping_interval(day).ping_timeout(day)
}

impl Model {
    fn new(capacity: usize, order: ReplayOrder) -> Self {
        let mut world = World::new(config(capacity, order));
        let peers = (0..CLIENTS).map(|_| Self::newcomer(&mut world)).collect();
        let elapsed = Duration::ZERO;
        Self {
            world,
            peers,
            capacity,
            order,
            head: 0,
            evicted: 0,
            elapsed,
            recovered: 0,
            refused: 0,
        }
    }

    fn newcomer(world: &mut World) -> Peer {
        let (client, session) = world.connect();
        let (key, _) = world.connected();
        Self::peer(client, session, key)
    }

    fn peer(client: Client, session: Session, key: SocketKey) -> Peer {
        Peer {
            client,
            session,
            key,
            rooms: BTreeSet::new(),
            addressed: Vec::new(),
            processed: Vec::new(),
            offset: None,
            is_deaf: false,
            is_live: true,
            is_over: false,
            parked_at: Duration::ZERO,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Broadcast { rooms, except, but } => self.broadcast(rooms, except, *but),
            Op::Volatile { rooms } => {
                let mut audience = Audience::all().volatile();
                for room in rooms {
                    audience = audience.to(ROOMS[*room]);
                }
                let event = socket::Event::new("v", &("trailing string",)).unwrap();
                let now = self.world.now;
                self.world.server.broadcast(now, "/", &audience, &event).unwrap();
            }
            Op::Direct { to } => {
                if !self.peers[*to].is_over {
                    self.head += 1;
                    self.peers[*to].addressed.push(self.head);
                    let event = socket::Event::new("m", &(self.head,)).unwrap();
                    let (now, key) = (self.world.now, self.peers[*to].key);
                    self.world.server.emit(now, key, &event).unwrap();
                }
            }
            Op::Join { who, room } => {
                let peer = &mut self.peers[*who];
                let is_new = self.world.server.join(peer.key, ROOMS[*room]);
                assert_eq!(is_new.is_err(), peer.is_over);
                peer.rooms.insert(*room);
            }
            Op::Leave { who, room } => {
                let peer = &mut self.peers[*who];
                self.world.server.leave(peer.key, ROOMS[*room]);
                peer.rooms.remove(room);
            }
            Op::Deafen { who } => self.peers[*who].is_deaf = true,
            Op::Cut { who } => self.cut(*who),
            Op::Return { who } => self.come_back(*who),
            Op::Kick { who } => {
                let now = self.world.now;
                self.world.server.disconnect(now, self.peers[*who].key, false);
                self.peers[*who].is_over = true;
                self.peers[*who].is_live = false;
            }
            Op::Wait { secs } => {
                self.world.advance(Duration::from_secs(*secs));
                self.wait(Duration::from_secs(*secs));
            }
            Op::Restart { is_graceful, capacity, downtime } => {
                self.restart(*is_graceful, *capacity, Duration::from_secs(*downtime));
            }
        }
        self.world.drain();
        self.process();
    }

    fn broadcast(&mut self, rooms: &[usize], except: &[usize], but: Option<usize>) {
        let mut audience = Audience::all();
        for room in rooms {
            audience = audience.to(ROOMS[*room]);
        }
        for room in except {
            audience = audience.except(ROOMS[*room]);
        }
        if let Some(but) = but {
            audience = audience.except(self.peers[but].session.sid.clone());
        }
        let is_target =
            |peer: &Peer| rooms.is_empty() || rooms.iter().any(|room| peer.rooms.contains(room));
        // Nobody in any of the rooms: no position is taken.
        if self.peers.iter().any(|peer| !peer.is_over && is_target(peer)) {
            self.head += 1;
        }
        for (index, peer) in self.peers.iter_mut().enumerate() {
            let is_excepted =
                Some(index) == but || except.iter().any(|room| peer.rooms.contains(room));
            if !peer.is_over && is_target(peer) && !is_excepted {
                peer.addressed.push(self.head);
            }
        }
        let event = socket::Event::new("m", &(self.head,)).unwrap();
        self.world.server.broadcast(self.world.now, "/", &audience, &event).unwrap();
    }

    fn wait(&mut self, time: Duration) {
        self.elapsed += time;
        for peer in &mut self.peers {
            let is_away = !peer.is_live && !peer.is_over;
            peer.is_over |= is_away && self.elapsed >= peer.parked_at + MAX_DISCONNECTION;
        }
    }

    fn restart(&mut self, is_graceful: bool, capacity: Option<usize>, downtime: Duration) {
        for peer in self.peers.iter_mut().filter(|peer| peer.is_live) {
            peer.is_live = false;
            peer.parked_at = self.elapsed;
        }
        self.evicted = self.evicted();
        if self.peers.iter().all(|peer| peer.is_over) {
            // Nobody is left who knows a position, and the log begins anew.
            (self.head, self.evicted) = (0, 0);
        }
        self.capacity = capacity.unwrap_or(self.capacity);
        self.wait(downtime);
        let config = config(self.capacity, self.order);
        let restored = self.world.restart(config, is_graceful, downtime);
        let waiting: Vec<_> = self.peers.iter_mut().filter(|peer| !peer.is_over).collect();
        assert_eq!(restored.len(), waiting.len(), "who has expired is not among them");
        for peer in waiting {
            let former =
                std::mem::replace(&mut peer.key, self.world.find(&restored, &peer.session));
            assert!(self.world.server.socket_id(former).is_none(), "no handle of the last process");
            let mut rooms: BTreeSet<&str> = self.world.server.rooms(peer.key).collect();
            assert!(rooms.remove(&*peer.session.sid));
            assert_eq!(rooms, peer.rooms.iter().map(|room| ROOMS[*room]).collect());
        }
    }

    fn evicted(&self) -> u64 {
        self.evicted.max(self.head.saturating_sub(self.capacity as u64))
    }

    fn cut(&mut self, who: usize) {
        let peer = &mut self.peers[who];
        if peer.is_live {
            self.world.cut(peer.client);
            peer.is_live = false;
            peer.parked_at = self.elapsed;
        }
    }

    fn come_back(&mut self, who: usize) {
        let peer = &self.peers[who];
        let position = peer.offset.as_ref().map_or(0, |offset| sequence(offset));
        let evicted = self.evicted();
        let missed: Vec<u64> =
            peer.addressed.iter().copied().filter(|seq| *seq > position).collect();
        let is_held = missed.iter().all(|seq| *seq > evicted);
        let must_recover = !peer.is_over && is_held;

        let client = self.world.open();
        let packet = claim_packet(&peer.session, peer.offset.as_deref());
        self.world.send(client, &packet);
        let (key, outcome) = self.world.connected();
        assert_eq!(outcome.is_recovered(), must_recover, "{outcome:?}, missed {missed:?}");
        let mut frames = self.world.texts(client);
        let answer = frames.iter().position(|frame| frame.starts_with("40")).expect("no CONNECT");
        let answer = frames.remove(answer);
        assert_eq!(answer.contains(&peer.session.sid), must_recover, "{answer}");
        let former = &mut self.peers[who];
        if must_recover {
            self.recovered += 1;
            assert_eq!(key, former.key);
            former.client = client;
            former.is_live = true;
            former.is_deaf = false;
            for frame in frames {
                former.receive(&frame);
            }
        } else {
            self.refused += 1;
            assert_eq!(frames, Vec::<String>::new(), "a new session has missed nothing");
            let sid = answer.split('"').nth(3).unwrap().to_owned();
            let pid = answer.split('"').nth(7).unwrap().to_owned();
            // The session that could not be resumed goes when its time is up; the model is done
            // with it, so it is ended here.
            if !former.is_over {
                self.world.server.disconnect(self.world.now, former.key, false);
                self.world.drain();
            }
            self.peers[who] = Self::peer(client, Session { sid, pid }, key);
        }
    }

    /// Clients process what they have got, and have got all that they should.
    fn process(&mut self) {
        for peer in &mut self.peers {
            let frames = self.world.take(peer.client.wire);
            if peer.is_deaf || !peer.is_live {
                continue;
            }
            for frame in frames {
                if let support::Received::Text(text) = frame {
                    peer.receive(&text);
                }
            }
            assert_eq!(peer.processed, peer.addressed, "{}", peer.session.sid);
        }
        for event in self.world.events.drain(..) {
            if let Event::SessionExpired { socket, .. } = event {
                assert!(self.peers.iter().all(|peer| peer.key != socket || peer.is_over));
            }
        }
    }
}

impl Peer {
    /// As the official client: any trailing string is the offset.
    fn receive(&mut self, packet: &str) {
        let (name, args, offset) = parse_event(packet);
        self.offset = Some(offset.unwrap_or_else(|| panic!("no offset: {packet}")));
        if name == "m" {
            self.processed.push(args[0].as_u64().unwrap());
        }
    }
}

fn sequence(offset: &str) -> u64 {
    offset.split('-').nth(1).unwrap().parse().unwrap()
}

fn op() -> impl Strategy<Value = Op> {
    let who = 0..CLIENTS;
    let room = 0..ROOMS.len();
    let rooms = prop::collection::vec(room.clone(), 0..3);
    let except = prop::collection::vec(room.clone(), 0..2);
    let but = prop::option::weighted(0.3, who.clone());
    prop_oneof![
        8 => (rooms.clone(), except, but)
            .prop_map(|(rooms, except, but)| Op::Broadcast { rooms, except, but }),
        1 => rooms.prop_map(|rooms| Op::Volatile { rooms }),
        2 => who.clone().prop_map(|to| Op::Direct { to }),
        4 => (who.clone(), room.clone()).prop_map(|(who, room)| Op::Join { who, room }),
        3 => (who.clone(), room).prop_map(|(who, room)| Op::Leave { who, room }),
        2 => who.clone().prop_map(|who| Op::Deafen { who }),
        3 => who.clone().prop_map(|who| Op::Cut { who }),
        4 => who.clone().prop_map(|who| Op::Return { who }),
        1 => who.prop_map(|who| Op::Kick { who }),
        1 => (1_u64..100).prop_map(|secs| Op::Wait { secs }),
        1 => (any::<bool>(), prop::option::weighted(0.3, 1_usize..16), 0_u64..100)
            .prop_map(|(is_graceful, capacity, downtime)| {
                Op::Restart { is_graceful, capacity, downtime }
            }),
    ]
}

fn run(capacity: usize, order: ReplayOrder, ops: &[Op]) -> (usize, usize) {
    let mut model = Model::new(capacity, order);
    for op in ops {
        model.apply(op);
    }
    for who in 0..CLIENTS {
        model.apply(&Op::Return { who });
    }
    (model.recovered, model.refused)
}

proptest! {
    #![proptest_config(support::cases(400))]

    #[test]
    fn recovery_is_exact_with_a_small_log(
        capacity in 1_usize..12,
        ops in prop::collection::vec(op(), 1..120),
    ) {
        run(capacity, ReplayOrder::AfterConnect, &ops);
    }

    #[test]
    fn recovery_is_exact_in_the_order_of_the_reference(
        capacity in 1_usize..40,
        ops in prop::collection::vec(op(), 1..120),
    ) {
        run(capacity, ReplayOrder::BeforeConnect, &ops);
    }
}

/// The lists above are only worth something if they reach both outcomes.
#[test]
fn random_operations_reach_recoveries_and_refusals() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = prop::collection::vec(op(), 60);
    let (mut recovered, mut refused) = (0, 0);
    for _ in 0..50 {
        let ops = strategy.new_tree(&mut runner).unwrap().current();
        let (more_recovered, more_refused) = run(8, ReplayOrder::AfterConnect, &ops);
        recovered += more_recovered;
        refused += more_refused;
    }
    assert!(recovered > 100 && refused > 100, "{recovered} recovered, {refused} refused");
}
