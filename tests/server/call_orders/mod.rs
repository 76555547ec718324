//! An application can call the public methods of the official client in any order without losing a
//! session. The test makes random calls on a model of the client, with delays in both directions.

mod client;

use std::collections::{BTreeMap, VecDeque};

use client::Client;
use proptest::prelude::*;
use socketio_proto::{
    ServerConfig, SocketKey, WireId,
    hub::{ConnectRequest, DisconnectReason, Rejection},
    server::{ServerEvent, ServerInput},
};

use crate::support::{self, Received, World, event, recovery_config};

const NAMES: [&str; 3] = ["/", "/a", "/b"];

#[derive(Clone, Copy, Debug)]
enum Step {
    Connect(usize),
    Disconnect(usize),
    Emit(usize),
    /// The application changes `socket.auth`; whether it is a function that answers later.
    SetAuth(usize, bool),
    AnswerAuth(usize),
    Up,
    Down,
    Pause(bool),
    /// The server's application decides the oldest request.
    Decide,
    /// It emits to the sockets of a namespace, connected or parked.
    Publish(usize),
    Cut,
    Refuse,
    Kick(usize),
}

fn space() -> impl Strategy<Value = usize> {
    0..NAMES.len()
}

fn call() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => space().prop_map(Step::Connect),
        4 => space().prop_map(Step::Disconnect),
        3 => space().prop_map(Step::Emit),
        1 => (space(), any::<bool>()).prop_map(|(space, is_late)| Step::SetAuth(space, is_late)),
        2 => space().prop_map(Step::AnswerAuth),
        8 => Just(Step::Up),
        8 => Just(Step::Down),
        1 => any::<bool>().prop_map(Step::Pause),
        4 => Just(Step::Decide),
        4 => space().prop_map(Step::Publish),
    ]
}

/// Also what ends sessions in other ways.
fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => call(),
        1 => Just(Step::Cut),
        1 => Just(Step::Refuse),
        1 => space().prop_map(Step::Kick),
    ]
}

/// A client, the server, and the way between them.
struct Run {
    world: World,
    client: Client,
    wire: Option<WireId>,
    up: VecDeque<String>,
    down: VecDeque<String>,
    /// The application accepts at once.
    is_quick: bool,
    requests: VecDeque<ConnectRequest>,
    sockets: BTreeMap<SocketKey, Session>,
    next: u64,
    written: Vec<u64>,
    received: Vec<u64>,
    /// Whether the client may lose what it sends, since sessions ended by other means.
    is_lossy: bool,
}

struct Session {
    space: usize,
    id: String,
    is_live: bool,
    published: Vec<u64>,
}

impl Run {
    fn new(config: ServerConfig, is_quick: bool) -> Self {
        let mut world = World::new(config);
        world.auto_accept = false;
        for name in &NAMES[1..] {
            world.server.at(world.now).add_namespace(name).unwrap();
        }
        Self {
            world,
            client: Client::new(&NAMES),
            wire: None,
            up: VecDeque::new(),
            down: VecDeque::new(),
            is_quick,
            requests: VecDeque::new(),
            sockets: BTreeMap::new(),
            next: 0,
            written: Vec::new(),
            received: Vec::new(),
            is_lossy: false,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Connect(space) => {
                self.client.connect(space);
                self.open_if_wanted();
            }
            Step::Disconnect(space) => {
                if self.client.disconnect(space) {
                    self.close();
                }
            }
            Step::Emit(space) => {
                self.next += 1;
                self.client.emit(space, self.next);
            }
            Step::SetAuth(space, is_late) => {
                let socket = &mut self.client.sockets[space];
                (socket.auth, socket.is_auth_async) = (socket.auth + 1, is_late);
            }
            Step::AnswerAuth(space) => self.client.answer_auth(space),
            Step::Up => self.carry_up(),
            Step::Down => self.carry_down(),
            Step::Pause(is_paused) => self.set_paused(is_paused),
            Step::Decide => self.decide(true),
            Step::Refuse => self.decide(false),
            Step::Publish(space) => self.publish(space),
            Step::Cut => self.cut(),
            Step::Kick(space) => self.kick(space),
        }
        self.settle();
    }

    fn open_if_wanted(&mut self) {
        if self.wire.is_none() && self.client.sockets.iter().any(|socket| socket.is_active) {
            let wire = self.world.open().wire;
            self.wire = Some(wire);
            self.client.opened();
        }
    }

    /// The manager closes its engine, after what was written.
    fn close(&mut self) {
        self.settle();
        while !self.up.is_empty() {
            self.carry_up();
            self.settle();
        }
        self.lose();
    }

    fn cut(&mut self) {
        self.is_lossy = true;
        self.lose();
        self.open_if_wanted();
    }

    fn lose(&mut self) {
        self.client.closed();
        self.up.clear();
        self.down.clear();
        if let Some(wire) = self.wire.take() {
            self.world.input(ServerInput::WireClosed { wire });
            self.world.take(wire);
            self.settle();
        }
    }

    fn carry_up(&mut self) {
        if let (Some(packet), Some(wire)) = (self.up.pop_front(), self.wire) {
            if let Some((head, number)) = packet.split_once("[\"m\",") {
                // Behind its own DISCONNECT the client may take the answer to a CONNECT before that
                // for one to the CONNECT after it: then it emits to a session that it has left.
                let name = head.trim_start_matches("42").trim_end_matches(',');
                let name = if name.is_empty() { "/" } else { name };
                if self.sockets.values().any(|it| it.is_live && NAMES[it.space] == name) {
                    self.written.push(number.trim_end_matches(']').parse().unwrap());
                }
            }
            self.world.send(support::Client { wire }, &packet);
        }
    }

    fn carry_down(&mut self) {
        if let Some(packet) = self.down.pop_front()
            && self.client.packet(&packet)
        {
            self.close();
        }
    }

    fn set_paused(&mut self, is_paused: bool) {
        let Some(wire) = self.wire else { return };
        if is_paused {
            self.world.server.pause(wire);
        } else {
            self.world.server.resume(self.world.now, wire);
        }
        self.world.drain();
    }

    fn decide(&mut self, is_accepted: bool) {
        let Some(request) = self.requests.pop_front() else { return };
        if is_accepted {
            self.world.server.at(self.world.now).accept(request);
        } else {
            self.is_lossy = true;
            self.world.server.at(self.world.now).reject(request, &Rejection::new("no"));
        }
        self.world.drain();
    }

    fn publish(&mut self, space: usize) {
        for (socket, session) in self.sockets.iter_mut().filter(|(_, it)| it.space == space) {
            self.next += 1;
            if self.world.server.at(self.world.now).emit(*socket, &event("m", self.next)).is_ok() {
                session.published.push(self.next);
            }
        }
        self.world.drain();
    }

    fn kick(&mut self, space: usize) {
        self.is_lossy = true;
        let socket = self.sockets.iter().find(|(_, it)| it.space == space && it.is_live);
        if let Some((socket, _)) = socket {
            self.world.server.at(self.world.now).disconnect(*socket, false);
            self.world.drain();
        }
    }

    /// Takes what has come out on both sides.
    fn settle(&mut self) {
        self.up.extend(self.client.written.drain(..));
        if let Some(wire) = self.wire {
            for frame in self.world.take(wire) {
                match frame {
                    Received::Text(text) => self.down.push_back(text),
                    other => panic!("the connection has ended: {other:?}"),
                }
            }
        }
        let events: Vec<_> = self.world.events.drain(..).collect();
        for event in events {
            self.hear(event);
        }
        if self.is_quick && !self.requests.is_empty() {
            self.decide(true);
            self.settle();
        }
    }

    fn hear(&mut self, event: ServerEvent<u32>) {
        match event {
            ServerEvent::ConnectRequested { request, .. } => self.requests.push_back(request),
            ServerEvent::Connected { socket, id, namespace, .. } => {
                let space = NAMES.iter().position(|name| *name == namespace.as_str()).unwrap();
                let fresh =
                    Session { space, id: id.to_string(), is_live: true, published: Vec::new() };
                let session = self.sockets.entry(socket).or_insert(fresh);
                session.is_live = true;
                let live = self.sockets.values().filter(|it| it.is_live && it.space == space);
                assert_eq!(live.count(), 1, "the earlier one has ended before");
            }
            ServerEvent::Disconnected { socket, reason, data, .. } => {
                let is_ours = matches!(
                    reason,
                    DisconnectReason::Replaced
                        | DisconnectReason::TakenOver
                        | DisconnectReason::ClientNamespaceDisconnect
                        | DisconnectReason::ServerNamespaceDisconnect
                        | DisconnectReason::TransportClose
                );
                assert!(is_ours, "{reason:?}");
                assert!(reason != DisconnectReason::TransportClose || self.wire.is_none());
                self.sockets.get_mut(&socket).unwrap().is_live = false;
                if data.is_some() {
                    self.sockets.remove(&socket);
                }
            }
            ServerEvent::Received { event, .. } => self.received.push(event.get(0).unwrap()),
            ServerEvent::ConnectionClosed { .. } => assert!(self.wire.is_none(), "by itself"),
            _ => {}
        }
    }

    /// Everything arrives and is decided.
    fn quiesce(&mut self) {
        self.set_paused(false);
        self.settle();
        loop {
            for space in 0..NAMES.len() {
                while self.client.sockets[space].auths_pending > 0 {
                    self.client.answer_auth(space);
                }
            }
            self.settle();
            if !self.up.is_empty() {
                self.carry_up();
            } else if !self.requests.is_empty() {
                self.decide(true);
            } else if !self.down.is_empty() {
                self.carry_down();
            } else {
                return;
            }
            self.settle();
        }
    }

    fn check(&self) {
        for (space, socket) in self.client.sockets.iter().enumerate() {
            let name = socket.name;
            let mut heard = socket.heard.clone();
            heard.sort_unstable();
            heard.dedup();
            let is_once = heard.len() == socket.heard.len() || socket.has_kept_early;
            assert!(is_once, "{name}: an event was heard twice");
            if !socket.is_active {
                continue;
            }
            assert!(socket.is_connected, "{name}: it has called connect(), and waits");
            let live = self.sockets.values().find(|it| it.is_live && it.space == space);
            let live = live.unwrap_or_else(|| panic!("{name}: the server does not know it"));
            assert_eq!(live.id, socket.id, "{name}");
            let of_session = |number: &&u64| live.published.contains(number);
            let heard: Vec<u64> = socket.heard.iter().filter(of_session).copied().collect();
            let is_exact = heard == live.published || socket.has_kept_early;
            assert!(is_exact, "{name}: {heard:?} of {:?}", live.published);
        }
        if !self.is_lossy {
            assert_eq!(self.received, self.written, "what the client has sent");
            let is_wanted = |socket: &client::Socket| !socket.is_refused;
            assert!(self.client.sockets.iter().all(is_wanted), "nobody was told to go");
        }
        let total = self.world.server.stats().total;
        assert_eq!(total.connections_closed.protocol_violation + total.violations, 0);
    }
}

fn run(config: ServerConfig, is_quick: bool, steps: &[Step]) {
    let mut run = Run::new(config, is_quick);
    for step in steps {
        run.step(*step);
    }
    run.quiesce();
    run.check();
}

fn config(recovers: bool) -> ServerConfig {
    if recovers { recovery_config() } else { ServerConfig::new() }
}

proptest! {
    #![proptest_config(crate::random::cases(500))]

    /// Calls alone: nothing is lost in either direction.
    #[test]
    fn no_order_of_calls_costs_anything(
        recovers: bool,
        is_quick: bool,
        steps in prop::collection::vec(call(), 1..60),
    ) {
        run(config(recovers), is_quick, &steps);
    }

    /// With links that break, requests that are refused and sockets that are kicked.
    #[test]
    fn no_order_of_calls_confuses_the_server(
        recovers: bool,
        is_quick: bool,
        steps in prop::collection::vec(step(), 1..80),
    ) {
        run(config(recovers), is_quick, &steps);
    }
}
