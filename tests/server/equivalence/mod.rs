//! `Server` behaves like pools around a hub: one tape is played on both, and every wire must carry
//! the same packets.
//!
//! Each pool has one connection and exchanges messages with the hub in another order. Only the order
//! from the hub to one pool, and from one pool to the hub, is kept. So everything that is true of
//! `Server` is also true of connections on many threads around one hub.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::prelude::*;
use socketio_proto::{
    ByteString, ConnectionId, RecoveryConfig, ServerConfig, SocketKey, Timestamp, WireId,
    engine::Frame,
    hub::{At, Audience, Delivery, Hub, HubOutput, Reply, Request},
    pool::{Pool, PoolOutput},
    server::{Server, ServerEvent, ServerInput, ServerOutput},
    socket,
};

use crate::support::{counting_entropy, get};

const CLIENTS: u64 = 4;

#[derive(Clone, Debug)]
enum Op {
    /// Open a WebSocket, and claim what this client had before.
    Open {
        who: u64,
        with_claim: bool,
    },
    Send {
        who: u64,
        packet: usize,
    },
    Cut {
        who: u64,
    },
    Pause {
        who: u64,
        is_paused: bool,
    },
    Join {
        who: u64,
        room: usize,
    },
    Leave {
        who: u64,
        room: usize,
    },
    Broadcast {
        room: usize,
        except: usize,
        is_volatile: bool,
    },
    Ask {
        who: u64,
    },
    Kick {
        who: u64,
        closes: bool,
    },
    Wait {
        millis: u64,
    },
}

const PACKETS: [&str; 12] = [
    "40",
    "40/b,",
    "42[\"echo\",1]",
    "421[\"echo\",2]",
    "430[1]",
    "41",
    "41/b,",
    "3",
    "4bad",
    // A client that counts its events asks what has arrived, and for an answer.
    "43[]",
    "43[1]",
    "43/b,[]",
];

/// What came out of a composition, in words.
type Story = BTreeMap<WireId, Vec<String>>;

/// Either composition, as far as the tape needs it.
trait Composition {
    fn input(&mut self, now: Timestamp, wire: WireId, input: ServerInput<'_>);
    fn pause(&mut self, now: Timestamp, wire: WireId, is_paused: bool);
    fn timeout(&mut self, now: Timestamp);
    fn deadline(&self) -> Option<Timestamp>;
    fn at(&mut self, now: Timestamp) -> At<'_, u32>;
    /// Takes all output; tells which sockets have connected on which connection.
    fn drain(&mut self, now: Timestamp, story: &mut Story) -> Vec<SocketKey>;
}

impl Composition for Server<u32> {
    fn input(&mut self, now: Timestamp, _: WireId, input: ServerInput<'_>) {
        self.handle_input(now, input);
    }

    fn pause(&mut self, now: Timestamp, wire: WireId, is_paused: bool) {
        if is_paused { self.pause(wire) } else { self.resume(now, wire) }
    }

    fn timeout(&mut self, now: Timestamp) {
        self.handle_input(now, ServerInput::Timeout);
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.deadline()
    }

    fn at(&mut self, now: Timestamp) -> At<'_, u32> {
        self.at(now)
    }

    fn drain(&mut self, now: Timestamp, story: &mut Story) -> Vec<SocketKey> {
        let mut connected = Vec::new();
        while let Some(output) = self.poll_output() {
            match output {
                ServerOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                    self.at(now).accept(request);
                }
                ServerOutput::Event(ServerEvent::Connected { socket, .. }) => {
                    connected.push(socket);
                }
                ServerOutput::Event(ServerEvent::Received { ack: Some(token), event, .. }) => {
                    self.at(now).ack(token, &event.args());
                }
                ServerOutput::Event(_) => {}
                ServerOutput::Send { wire, frame } => tell(story, wire, &frame),
                ServerOutput::Close { wire, code } => {
                    story.entry(wire).or_default().push(close(code));
                }
                ServerOutput::Respond { .. } => unreachable!("WebSockets only"),
                other => unreachable!("unknown: {other:?}"),
            }
        }
        connected
    }
}

/// Pools around a hub, with a mailbox to each.
struct Workers {
    hub: Hub<u32>,
    config: Arc<ServerConfig>,
    entropy: Shared,
    pools: Vec<(Pool<u32>, VecDeque<Mail>)>,
    /// The pool that has each wire.
    places: BTreeMap<WireId, usize>,
    to_hub: BTreeMap<usize, VecDeque<(ConnectionId, Request)>>,
    /// Decides who is next.
    dice: u32,
    connected: Vec<SocketKey>,
}

enum Mail {
    Reply(ConnectionId, Reply),
    Delivery(Delivery),
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Box<Source>>>);

type Source = dyn FnMut(&mut [u8]) + Send;

impl Shared {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Box::new(counting_entropy()))))
    }

    fn source(&self) -> impl FnMut(&mut [u8]) + Send + use<> {
        let shared = self.clone();
        move |dest: &mut [u8]| (shared.0.lock().unwrap())(dest)
    }
}

impl Workers {
    fn new(config: ServerConfig, dice: u32) -> Self {
        let (config, entropy) = (Arc::new(config), Shared::new());
        let mut hub = Hub::new(config.clone(), entropy.source()).unwrap();
        hub.at(Timestamp::ZERO).add_namespace("/").unwrap();
        hub.at(Timestamp::ZERO).add_namespace("/b").unwrap();
        Self {
            hub,
            config,
            entropy,
            pools: Vec::new(),
            places: BTreeMap::new(),
            to_hub: BTreeMap::new(),
            dice,
            connected: Vec::new(),
        }
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.dice = self.dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.dice >> 16) as usize % sides
    }

    /// Carries one message, of any that wait. False if none does.
    fn carry(&mut self, now: Timestamp) -> bool {
        let mailboxes = self.pools.iter().map(|(_, mail)| mail);
        let waiting: Vec<usize> =
            mailboxes.enumerate().filter(|(_, mail)| !mail.is_empty()).map(|it| it.0).collect();
        let asking: Vec<usize> =
            self.to_hub.iter().filter(|(_, mail)| !mail.is_empty()).map(|(at, _)| *at).collect();
        if waiting.is_empty() && asking.is_empty() {
            return false;
        }
        let pick = self.roll(waiting.len() + asking.len());
        if let Some(place) = waiting.get(pick) {
            let (pool, mail) = &mut self.pools[*place];
            match mail.pop_front().unwrap() {
                Mail::Reply(to, reply) => pool.handle_reply(now, to, reply),
                Mail::Delivery(delivery) => {
                    pool.deliver(now, &delivery);
                }
            }
        } else {
            let place = asking[pick - waiting.len()];
            let (from, request) = self.to_hub.get_mut(&place).unwrap().pop_front().unwrap();
            self.hub.handle_request(now, from, request);
        }
        true
    }

    fn collect(&mut self, now: Timestamp, story: &mut Story) {
        for (place, (pool, _)) in self.pools.iter_mut().enumerate() {
            while let Some(output) = pool.poll_output() {
                match output {
                    PoolOutput::Request { from, request } => {
                        self.to_hub.entry(place).or_default().push_back((from, request));
                    }
                    PoolOutput::Send { wire, frame } => tell(story, wire, &frame),
                    PoolOutput::Close { wire, code } => {
                        story.entry(wire).or_default().push(close(code));
                    }
                    PoolOutput::Event(ServerEvent::Received { ack: Some(ack), event, .. }) => {
                        self.hub.at(now).ack(ack, &event.args());
                    }
                    _ => {}
                }
            }
        }
        while let Some(output) = self.hub.poll_output() {
            match output {
                HubOutput::Reply { to, reply } => {
                    let place = usize::from(Pool::<u32>::number_of(to));
                    self.pools[place].1.push_back(Mail::Reply(to, reply));
                }
                HubOutput::Deliver(delivery) => {
                    assert!(!delivery.recipients().is_empty(), "for nobody");
                    for to in delivery.recipients() {
                        let place = usize::from(Pool::<u32>::number_of(*to));
                        self.pools[place].1.push_back(Mail::Delivery(delivery.clone()));
                    }
                }
                HubOutput::Event(ServerEvent::ConnectRequested { request, .. }) => {
                    self.hub.at(now).accept(request);
                }
                HubOutput::Event(ServerEvent::Connected { socket, .. }) => {
                    self.connected.push(socket);
                }
                HubOutput::Event(ServerEvent::Received { ack: Some(token), event, .. }) => {
                    self.hub.at(now).ack(token, &event.args());
                }
                _ => {}
            }
        }
    }
}

impl Composition for Workers {
    fn input(&mut self, now: Timestamp, wire: WireId, input: ServerInput<'_>) {
        if matches!(input, ServerInput::WebSocketOpened { .. }) {
            let place = self.pools.len();
            // From a source of its own: a server draws nothing for its pool.
            let seed = &mut counting_entropy();
            let number = u8::try_from(place).expect("fewer than there are numbers");
            let pool = Pool::new(self.config.clone(), number, seed).unwrap();
            self.pools.push((pool, VecDeque::new()));
            self.places.insert(wire, place);
        }
        if let Some(place) = self.places.get(&wire) {
            self.pools[*place].0.handle_input(now, input, &mut self.entropy.source());
        }
    }

    fn pause(&mut self, _: Timestamp, wire: WireId, is_paused: bool) {
        if let Some(place) = self.places.get(&wire) {
            let (pool, _) = &mut self.pools[*place];
            if is_paused { pool.pause(wire) } else { pool.resume(wire) }
        }
    }

    fn timeout(&mut self, now: Timestamp) {
        for (pool, _) in &mut self.pools {
            pool.handle_input(now, ServerInput::Timeout, &mut self.entropy.source());
        }
        self.hub.handle_timeout(now);
    }

    fn deadline(&self) -> Option<Timestamp> {
        let pools = self.pools.iter().filter_map(|(pool, _)| pool.deadline());
        pools.chain(self.hub.deadline()).min()
    }

    fn at(&mut self, now: Timestamp) -> At<'_, u32> {
        self.hub.at(now)
    }

    fn drain(&mut self, now: Timestamp, story: &mut Story) -> Vec<SocketKey> {
        self.collect(now, story);
        while self.carry(now) {
            self.collect(now, story);
        }
        std::mem::take(&mut self.connected)
    }
}

fn tell(story: &mut Story, wire: WireId, frame: &Frame) {
    let text = match frame {
        Frame::Text(text) => text.to_string(),
        Frame::Binary(bytes) => format!("{bytes:?}"),
    };
    story.entry(wire).or_default().push(text);
}

fn close(code: Option<u16>) -> String {
    format!("closed {code:?}")
}

/// Plays the tape to a composition.
fn play(composition: &mut dyn Composition, ops: &[Op]) -> Story {
    let mut player = Player {
        composition,
        now: Timestamp::from_millis(1_000),
        story: Story::new(),
        wires: BTreeMap::new(),
        sockets: BTreeMap::new(),
    };
    for (index, op) in ops.iter().enumerate() {
        player.play(WireId(1 + index as u64), op);
    }
    player.story
}

struct Player<'a> {
    composition: &'a mut dyn Composition,
    now: Timestamp,
    story: Story,
    wires: BTreeMap<u64, WireId>,
    sockets: BTreeMap<u64, SocketKey>,
}

impl Player<'_> {
    fn play(&mut self, wire: WireId, op: &Op) {
        let mut actor = None;
        match op {
            Op::Open { who, with_claim } => {
                self.open(*who, wire, *with_claim);
                actor = Some(*who);
            }
            Op::Send { who, packet } => {
                self.send(*who, PACKETS[*packet]);
                actor = Some(*who);
            }
            Op::Cut { who } => {
                if let Some(wire) = self.wires.get(who).copied() {
                    self.composition.input(self.now, wire, ServerInput::WireClosed { wire });
                }
            }
            Op::Pause { who, is_paused } => {
                if let Some(wire) = self.wires.get(who) {
                    self.composition.pause(self.now, *wire, *is_paused);
                }
            }
            Op::Wait { millis } => {
                // Links that are late do not know how late the others are.
                let end = self.now.saturating_add(Duration::from_millis(*millis));
                while let Some(due) = self.composition.deadline().filter(|due| *due <= end) {
                    self.now = self.now.max(due);
                    self.composition.timeout(self.now);
                    self.composition.drain(self.now, &mut self.story);
                }
                self.now = end;
            }
            Op::Broadcast { room, except, is_volatile } => {
                self.broadcast(*room, *except, *is_volatile);
            }
            Op::Join { who, .. }
            | Op::Leave { who, .. }
            | Op::Ask { who }
            | Op::Kick { who, .. } => {
                if let Some(socket) = self.sockets.get(who).copied() {
                    self.verb(socket, op);
                }
            }
        }
        for connected in self.composition.drain(self.now, &mut self.story) {
            self.sockets.extend(actor.map(|who| (who, connected)));
        }
    }

    fn open(&mut self, who: u64, wire: WireId, with_claim: bool) {
        let former = self.wires.get(&who).and_then(|wire| self.story.get(wire)?.get(1));
        let answer = former.filter(|answer| with_claim && answer.starts_with("40{"));
        let pid = answer.and_then(|answer| answer.split('"').nth(7));
        let packet = pid.map_or_else(|| "40".into(), |pid| format!("40{{\"pid\":\"{pid}\"}}"));
        self.wires.insert(who, wire);
        let head = get("EIO=4&transport=websocket");
        self.composition.input(self.now, wire, ServerInput::WebSocketOpened { wire, head });
        self.send(who, &packet);
    }

    fn send(&mut self, who: u64, packet: &str) {
        if let Some(wire) = self.wires.get(&who).copied() {
            let frame = Frame::Text(ByteString::from(packet));
            self.composition.input(self.now, wire, ServerInput::Frame { wire, frame });
        }
    }

    fn broadcast(&mut self, room: usize, except: usize, is_volatile: bool) {
        let mut audience = Audience::all().except(format!("room {except}"));
        if room < 3 {
            audience = audience.to(format!("room {room}"));
        }
        if is_volatile {
            audience = audience.volatile();
        }
        let event = socket::Event::new("m", &("text",)).unwrap();
        self.composition.at(self.now).broadcast("/", &audience, &event).unwrap();
    }

    fn verb(&mut self, socket: SocketKey, op: &Op) {
        let mut at = self.composition.at(self.now);
        match op {
            Op::Join { room, .. } => {
                at.join(socket, &format!("room {room}")).ok();
            }
            Op::Leave { room, .. } => {
                at.leave(socket, &format!("room {room}"));
            }
            Op::Ask { .. } => {
                at.socket(socket).emit_with_ack("q", &(), Duration::from_secs(3)).ok();
            }
            Op::Kick { closes, .. } => {
                at.disconnect(socket, *closes);
            }
            _ => {}
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    let (who, room) = (0..CLIENTS, 0..3_usize);
    prop_oneof![
        4 => (who.clone(), any::<bool>()).prop_map(|(who, with_claim)| Op::Open { who, with_claim }),
        5 => (who.clone(), 0..PACKETS.len()).prop_map(|(who, packet)| Op::Send { who, packet }),
        2 => who.clone().prop_map(|who| Op::Cut { who }),
        2 => (who.clone(), any::<bool>()).prop_map(|(who, is_paused)| Op::Pause { who, is_paused }),
        3 => (who.clone(), room.clone()).prop_map(|(who, room)| Op::Join { who, room }),
        2 => (who.clone(), room.clone()).prop_map(|(who, room)| Op::Leave { who, room }),
        6 => (0..5_usize, room, any::<bool>())
            .prop_map(|(room, except, is_volatile)| Op::Broadcast { room, except, is_volatile }),
        2 => who.clone().prop_map(|who| Op::Ask { who }),
        1 => (who, any::<bool>()).prop_map(|(who, closes)| Op::Kick { who, closes }),
        2 => (1_u64..60_000).prop_map(|millis| Op::Wait { millis }),
    ]
}

/// What the server can give back: nothing, what it has sent, or what it has received as well.
#[derive(Clone, Copy, Debug)]
enum Recovers {
    Nothing,
    Sent,
    Both,
}

fn what() -> impl Strategy<Value = Recovers> {
    prop_oneof![Just(Recovers::Nothing), Just(Recovers::Sent), Just(Recovers::Both)]
}

fn config(what: Recovers) -> ServerConfig {
    let mut recovery = RecoveryConfig::default();
    recovery.count_events = matches!(what, Recovers::Both);
    match what {
        Recovers::Nothing => ServerConfig::new(),
        Recovers::Sent | Recovers::Both => ServerConfig::new().recovery(recovery),
    }
}

fn server(config: ServerConfig) -> Server<u32> {
    let mut server = Server::new(config, Shared::new().source()).unwrap();
    server.at(Timestamp::ZERO).add_namespace("/").unwrap();
    server.at(Timestamp::ZERO).add_namespace("/b").unwrap();
    server
}

proptest! {
    #![proptest_config(crate::random::cases(300))]

    #[test]
    fn pools_around_a_hub_are_a_server(
        ops in prop::collection::vec(op(), 1..80),
        what in what(),
        dice in any::<u32>(),
    ) {
        let whole = play(&mut server(config(what)), &ops);
        let parts = play(&mut Workers::new(config(what), dice), &ops);
        prop_assert_eq!(whole, parts);
    }

    #[test]
    fn the_same_tape_gives_the_same_bytes(ops in prop::collection::vec(op(), 1..80)) {
        let first = play(&mut server(config(Recovers::Both)), &ops);
        let second = play(&mut server(config(Recovers::Both)), &ops);
        prop_assert_eq!(first, second);
    }
}
