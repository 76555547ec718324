//! Sessions that come and go, against a model that only knows who was addressed by what.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use core::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::source::Source;
use crate::{
    RecoveryConfig, ReplayOrder, ServerConfig, SocketKey, Timestamp, WireId,
    engine::{Frame, Method, RequestHead},
    hub::Audience,
    recovery::{Offset, RecoveryOutcome},
    server::{Event, Input, Output, Server},
    socket,
};

/// A session is recovered if and only if nothing that was addressed to it is gone from the log, and
/// then its client has received exactly that, each once and in order.
pub(super) fn history(source: Source<'_>) {
    let mut world = World::new(source);
    for _ in 0..STEPS_MAX {
        if world.source.is_empty() {
            break;
        }
        world.step();
    }
    for who in 0..CLIENTS {
        world.come_back(who);
    }
}

const STEPS_MAX: usize = 200;
const CLIENTS: usize = 3;
const ROOMS: [&str; 3] = ["a", "b", "c"];
const MAX_DISCONNECTION: Duration = Duration::from_secs(120);

struct World<'a> {
    source: Source<'a>,
    server: Server,
    now: Timestamp,
    wires: u64,
    /// Text frames by wire.
    frames: BTreeMap<WireId, Vec<String>>,
    connected: Option<(SocketKey, RecoveryOutcome)>,
    clients: Vec<Client>,
    capacity: u64,
    /// Positions given out so far.
    head: u64,
}

struct Client {
    wire: WireId,
    key: SocketKey,
    sid: String,
    pid: String,
    rooms: BTreeSet<&'static str>,
    /// Positions of what was addressed to the session, and of what the client has received.
    addressed: Vec<u64>,
    received: Vec<u64>,
    offset: Option<String>,
    /// Whether what is sent to the client vanishes.
    is_deaf: bool,
    away_since: Option<Timestamp>,
    is_over: bool,
}

impl<'a> World<'a> {
    fn new(mut source: Source<'a>) -> Self {
        let choices = source.byte();
        let capacity = 1 + usize::from(choices & 15);
        // Age and heartbeats are not what this is about.
        let day = Duration::from_secs(86_400);
        let config = ServerConfig::new().ping_interval(day).ping_timeout(day);
        let config = config.recovery(RecoveryConfig {
            max_disconnection: MAX_DISCONNECTION,
            buffer_packets: capacity,
            claim_burst: u32::MAX,
            replay_order: if choices & 16 == 0 {
                ReplayOrder::AfterConnect
            } else {
                ReplayOrder::BeforeConnect
            },
            ..RecoveryConfig::default()
        });
        let mut state = 0_u8;
        let entropy = move |dest: &mut [u8]| {
            state = state.wrapping_add(1);
            dest.fill(state);
        };
        let Ok(mut server) = Server::new(config, entropy) else {
            unreachable!("the configuration is valid");
        };
        assert_eq!(server.add_namespace("/"), Ok(()));
        let mut world = Self {
            source,
            server,
            now: Timestamp::from_millis(1_000),
            wires: 0,
            frames: BTreeMap::new(),
            connected: None,
            clients: Vec::new(),
            capacity: capacity as u64,
            head: 0,
        };
        for _ in 0..CLIENTS {
            let (client, _) = world.connect("");
            world.clients.push(client);
        }
        world
    }

    fn step(&mut self) {
        let choice = self.source.byte();
        let who = usize::from(choice >> 4) % CLIENTS;
        match choice & 15 {
            0..=4 => self.broadcast(),
            5 => self.emit(who),
            6..=8 => self.change_rooms(who),
            9 => self.with(who, |client| client.is_deaf = true),
            10 | 11 => self.cut(who),
            12 | 13 => self.come_back(who),
            14 => {
                let seconds = Duration::from_secs(self.source.below(100).into());
                self.pass(seconds);
                for client in &mut self.clients {
                    let since = client.away_since.unwrap_or(self.now);
                    client.is_over |= self.now.saturating_since(since) >= MAX_DISCONNECTION;
                }
            }
            _ => {
                if let Some(client) = self.clients.get_mut(who) {
                    self.server.disconnect(self.now, client.key, false);
                    client.is_over = true;
                }
            }
        }
        self.receive();
    }

    fn with(&mut self, who: usize, change: impl Fn(&mut Client)) {
        self.clients.get_mut(who).into_iter().for_each(change);
    }

    fn broadcast(&mut self) {
        let choices = self.source.byte();
        let chosen = |bit: u8| choices >> bit & 1 != 0;
        let (mut audience, mut rooms, mut except) = (Audience::all(), Vec::new(), Vec::new());
        for (bit, room) in (0..).zip(ROOMS) {
            if chosen(bit) {
                audience = audience.to(room);
                rooms.push(room);
            }
            if chosen(bit + 3) && self.source.flag() {
                audience = audience.except(room);
                except.push(room);
            }
        }
        let left_out = chosen(6).then(|| usize::from(self.source.below(3)));
        if let Some(client) = left_out.and_then(|index| self.clients.get(index)) {
            audience = audience.except(client.sid.clone());
        }
        if chosen(7) {
            audience = audience.volatile();
            let event = event("v", "text");
            assert!(self.server.broadcast(self.now, "/", &audience, &event).is_ok());
            return;
        }
        let is_target = |client: &Client| {
            let is_in = |room: &&str| client.rooms.contains(room);
            !client.is_over && (rooms.is_empty() || rooms.iter().any(is_in))
        };
        // With nobody in any of the rooms no position is taken.
        self.head += u64::from(self.clients.iter().any(is_target));
        for (index, client) in self.clients.iter_mut().enumerate() {
            let is_excepted = except.iter().any(|room| client.rooms.contains(room));
            if is_target(client) && !is_excepted && left_out != Some(index) {
                client.addressed.push(self.head);
            }
        }
        let event = event("m", self.head);
        assert!(self.server.broadcast(self.now, "/", &audience, &event).is_ok());
    }

    fn emit(&mut self, who: usize) {
        if let Some(client) = self.clients.get_mut(who).filter(|client| !client.is_over) {
            self.head += 1;
            client.addressed.push(self.head);
            let event = event("m", self.head);
            assert_eq!(self.server.emit(self.now, client.key, &event), Ok(()));
        }
    }

    fn change_rooms(&mut self, who: usize) {
        let room = self.source.pick(&ROOMS).copied().unwrap_or("a");
        let joins = self.source.flag();
        let Some(client) = self.clients.get_mut(who) else {
            return;
        };
        if joins {
            assert_eq!(self.server.join(client.key, room).is_err(), client.is_over);
            client.rooms.insert(room);
        } else {
            self.server.leave(client.key, room);
            client.rooms.remove(room);
        }
    }

    fn cut(&mut self, who: usize) {
        let now = self.now;
        let client = self.clients.get_mut(who).filter(|client| client.away_since.is_none());
        if let Some(client) = client {
            client.away_since = Some(now);
            let wire = client.wire;
            // What was sent before the loss was noticed still counts.
            self.receive();
            self.server.handle_input(now, Input::WireClosed { wire });
        }
    }

    /// A client claims its session, from the link that it has as well.
    fn come_back(&mut self, who: usize) {
        self.receive();
        let Some(former) = self.clients.get(who) else {
            return;
        };
        let position = former.offset.as_ref().map_or(0, |offset| sequence(offset));
        let evicted = self.head.saturating_sub(self.capacity);
        let mut missed = former.addressed.iter().filter(|sequence| **sequence > position);
        let must_recover = !former.is_over && missed.all(|sequence| *sequence > evicted);
        let pid = &former.pid;
        let auth = match &former.offset {
            Some(offset) => format!("{{\"pid\":\"{pid}\",\"offset\":\"{offset}\"}}"),
            None => format!("{{\"pid\":\"{pid}\"}}"),
        };
        let (client, outcome) = self.connect(&auth);
        assert_eq!(outcome.is_recovered(), must_recover, "{outcome:?} from {position}");
        let Some(former) = self.clients.get_mut(who) else {
            return;
        };
        if must_recover {
            assert_eq!((&client.sid, client.key), (&former.sid, former.key));
            (former.wire, former.is_deaf, former.away_since) = (client.wire, false, None);
            former.received.extend(client.received);
            former.offset = client.offset.or_else(|| former.offset.take());
        } else {
            assert!(client.received.is_empty(), "a new session has missed nothing");
            // It would go when its time is up; the model is done with it.
            self.server.disconnect(self.now, former.key, false);
            *former = client;
        }
        self.receive();
    }

    /// Joins with this JSON. What is replayed has been received.
    fn connect(&mut self, auth: &str) -> (Client, RecoveryOutcome) {
        self.wires += 1;
        let wire = WireId(self.wires);
        let query = "EIO=4&transport=websocket";
        let head =
            RequestHead { method: Method::Get, query, upgrade: true, origin: None, binary: false };
        self.server.handle_input(self.now, Input::WebSocketOpened { wire, head });
        let frame = Frame::Text(format!("40{auth}").into());
        self.server.handle_input(self.now, Input::Frame { wire, frame });
        self.drain();
        let mut frames = self.frames.remove(&wire).unwrap_or_default();
        let answer = frames.iter().position(|frame| frame.starts_with("40"));
        let (Some(answer), Some((key, outcome))) = (answer, self.connected.take()) else {
            unreachable!("it is let in: {frames:?}");
        };
        let answer = frames.remove(answer);
        let mut values = answer.split('"').skip(3).step_by(4).map(String::from);
        let mut client = Client {
            wire,
            key,
            sid: values.next().unwrap_or_default(),
            pid: values.next().unwrap_or_default(),
            rooms: BTreeSet::new(),
            addressed: Vec::new(),
            received: Vec::new(),
            offset: None,
            is_deaf: false,
            away_since: None,
            is_over: false,
        };
        frames.iter().skip(1).for_each(|frame| client.receive(frame));
        (client, outcome)
    }

    /// Clients take what they have got, and have got all that they should.
    /// Lets time pass, meeting every deadline on the way.
    fn pass(&mut self, time: Duration) {
        self.drain();
        let end = self.now.saturating_add(time);
        while let Some(due) = self.server.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.server.handle_input(self.now, Input::Timeout);
            self.drain();
        }
        self.now = end;
    }

    fn receive(&mut self) {
        self.drain();
        for client in &mut self.clients {
            let frames = self.frames.remove(&client.wire).unwrap_or_default();
            if client.is_deaf || client.away_since.is_some() {
                continue;
            }
            for frame in frames {
                client.receive(&frame);
            }
            assert_eq!(client.received, client.addressed);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { wire, frame: Frame::Text(text) } => {
                    self.frames.entry(wire).or_default().push(text.to_string());
                }
                Output::Event(Event::ConnectRequested { request, .. }) => {
                    assert!(self.server.accept(self.now, request).is_some());
                }
                Output::Event(Event::Connected { socket, recovery, .. }) => {
                    self.connected = Some((socket, recovery));
                }
                _ => {}
            }
        }
    }
}

impl Client {
    /// As the official client: a trailing string is the offset.
    fn receive(&mut self, frame: &str) {
        let Some(args) = frame.strip_prefix("42") else {
            return;
        };
        let args: Vec<Value> = serde_json::from_str(args).unwrap_or_default();
        let offset = args.last().and_then(Value::as_str).unwrap_or_default();
        if let Some(number) = args.get(1).and_then(Value::as_u64) {
            assert_eq!(number, sequence(offset));
            self.received.push(number);
        }
        self.offset = Some(offset.into());
    }
}

fn event(name: &str, arg: impl Serialize) -> socket::Event {
    let Ok(event) = socket::Event::new(name, &(arg,)) else {
        unreachable!("it is JSON");
    };
    event
}

fn sequence(offset: &str) -> u64 {
    let Ok(offset) = offset.parse::<Offset>() else {
        unreachable!("it came from the server: {offset}");
    };
    offset.sequence()
}
