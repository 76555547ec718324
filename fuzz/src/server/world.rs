//! A server, its wires, what was learnt from its outputs, and what they must not contradict.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use socketio_proto::{
    AckId, ConnectionId, Limits, RecoveryConfig, ReplayOrder, ServerConfig, SocketKey, Timestamp,
    WireId,
    engine::{Frame, PayloadReader, Transport},
    hub::{AckToken, ConnectRequest},
    recovery::RecoveryOutcome,
    server::{Server, ServerEvent, ServerInput, ServerOutput},
    socket::Args,
};
use socketio_proto_sim::wire as packets;

use super::knowledge::Knowledge;
use crate::{
    source::Source,
    wires::{Wire, Wires},
};

pub(super) struct World<'a> {
    pub(super) source: Source<'a>,
    pub(super) server: Server<u32>,
    pub(super) now: Timestamp,
    pub(super) wires: Wires,
    /// Wires that a session on WebSocket began with.
    pub(super) primary: BTreeSet<WireId>,
    pub(super) known: Knowledge,
    /// CONNECTs to answer.
    pub(super) requests: Vec<ConnectRequest>,
    /// Events to acknowledge.
    pub(super) tokens: Vec<(SocketKey, AckToken)>,
    /// Sockets that there are or have been, the bystander's excepted.
    pub(super) met: Vec<SocketKey>,
    accepts_at_once: bool,
    connections: BTreeSet<ConnectionId>,
    /// Where each socket is connected; `None` if it is parked.
    sockets: BTreeMap<SocketKey, Option<ConnectionId>>,
    acks: BTreeSet<AckId>,
    bystander: Option<SocketKey>,
    /// Texts that the bystander got.
    heard: Vec<String>,
    echoes: u32,
}

const BYSTANDER: WireId = WireId(1);
/// The namespace of the bystander.
const CALM: &str = "/calm";

impl<'a> World<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        let mut source = Source::new(data);
        let choices = source.byte();
        let mut state = 0_u64;
        let entropy = move |dest: &mut [u8]| {
            for byte in dest {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = state.to_be_bytes()[0];
            }
        };
        let Ok(server) = Server::new(config(choices), entropy) else {
            unreachable!("the configuration is valid");
        };
        let mut world = Self {
            source,
            server,
            now: Timestamp::from_millis(10_000),
            wires: Wires::default(),
            primary: BTreeSet::new(),
            known: Knowledge::default(),
            requests: Vec::new(),
            tokens: Vec::new(),
            met: Vec::new(),
            accepts_at_once: choices & 1 == 0,
            connections: BTreeSet::new(),
            sockets: BTreeMap::new(),
            acks: BTreeSet::new(),
            bystander: None,
            heard: Vec::new(),
            echoes: 0,
        };
        world.admit_bystander();
        world
    }

    fn admit_bystander(&mut self) {
        assert_eq!(self.server.at(self.now).add_namespace("/"), Ok(()));
        assert_eq!(self.server.at(self.now).add_namespace(CALM), Ok(()));
        self.server.at(self.now).add_namespaces_matching(|name| name.starts_with("/d"));
        let wire = self.wires.open(Wire::WebSocket);
        assert_eq!(wire, BYSTANDER);
        let query = packets::open_query(Transport::WebSocket);
        self.input(ServerInput::WebSocketOpened { wire, head: packets::websocket_head(&query) });
        self.hear(&packets::connect(CALM, ""));
        if let Some(request) = self.requests.pop() {
            assert!(self.server.at(self.now).accept(request).is_some());
            self.drain();
        }
        self.bystander = self.met.pop();
        assert!(self.bystander.is_some());
    }

    /// The wires of everybody but the bystander.
    pub(super) fn strangers(&self) -> impl Iterator<Item = (WireId, Wire)> {
        self.wires.iter().filter(|(wire, _)| *wire != BYSTANDER)
    }

    pub(super) fn input(&mut self, input: ServerInput<'_>) {
        let opened = match &input {
            ServerInput::WebSocketOpened { wire, .. } => Some(*wire),
            _ => None,
        };
        let connections = self.server.stats().connections;
        self.server.handle_input(self.now, input);
        // A session that ends at once would be missed, but none does.
        let has_begun = self.server.stats().connections > connections;
        self.primary.extend(opened.filter(|wire| has_begun && *wire != BYSTANDER));
    }

    pub(super) fn lose(&mut self, wire: WireId) {
        // What was sent before the loss was noticed still counts.
        self.drain();
        self.wires.lose(wire);
        self.input(ServerInput::WireClosed { wire });
    }

    /// Notes an acknowledgement that has to be settled.
    pub(super) fn expect(&mut self, ack: AckId) {
        assert!(self.acks.insert(ack), "ids are not reused while they are awaited");
    }

    /// Lets time pass, or sends a timeout that is not due.
    pub(super) fn wait(&mut self) {
        let steps = self.source.byte();
        if steps == 0 {
            self.input(ServerInput::Timeout);
        } else if steps == 1 {
            self.server.handle_input(Timestamp::ZERO, ServerInput::Timeout);
        } else {
            self.pass(Duration::from_millis(u64::from(steps) * 4));
        }
    }

    /// Lets time pass, meeting every deadline on the way.
    fn pass(&mut self, time: Duration) {
        self.drain();
        let end = self.now.saturating_add(time);
        while let Some(due) = self.server.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.input(ServerInput::Timeout);
            self.drain();
            let next = self.server.deadline();
            assert!(next.is_none_or(|next| next > self.now), "{next:?} at {:?}", self.now);
        }
        self.now = end;
    }

    /// Takes all output and checks it.
    pub(super) fn drain(&mut self) {
        loop {
            let deadline = self.server.deadline();
            let Some(output) = self.server.poll_output() else {
                break;
            };
            assert!(deadline.is_some_and(|due| due <= self.now), "output is due at once");
            match output {
                ServerOutput::Respond { wire, response } => {
                    self.wires.answer(wire);
                    for packet in PayloadReader::new(response.body).flatten() {
                        self.learn(wire, packet.encode());
                    }
                }
                ServerOutput::Send { wire, frame } => {
                    self.wires.send(wire);
                    self.learn(wire, frame);
                }
                ServerOutput::Close { wire, .. } => {
                    assert_ne!(wire, BYSTANDER, "it did nothing wrong");
                    self.wires.close(wire);
                }
                ServerOutput::Event(event) => self.handle_event(event),
                other => unreachable!("unknown: {other:?}"),
            }
        }
        self.check_stats();
    }

    fn learn(&mut self, wire: WireId, frame: Frame) {
        let Frame::Text(text) = frame else {
            return;
        };
        if wire != BYSTANDER {
            self.known.learn(&text);
        } else if &*text == "2" {
            self.server.handle_input(
                self.now,
                ServerInput::Frame { wire, frame: Frame::Text("3".into()) },
            );
        } else {
            self.heard.push(text.to_string());
        }
    }

    fn handle_event(&mut self, event: ServerEvent<u32>) {
        match event {
            ServerEvent::ConnectionOpened { connection, .. } => {
                assert!(self.connections.insert(connection), "a new one");
            }
            ServerEvent::ConnectionUpgraded { connection } => {
                assert!(self.connections.contains(&connection));
            }
            ServerEvent::ConnectionClosed { connection, .. } => {
                assert!(self.connections.remove(&connection));
                let is_on_it = |place: &Option<ConnectionId>| *place == Some(connection);
                assert!(!self.sockets.values().any(is_on_it), "its sockets have gone before");
            }
            ServerEvent::ConnectRequested { request, connection, .. } => {
                assert!(self.connections.contains(&connection));
                if self.accepts_at_once {
                    self.server.at(self.now).accept(request);
                } else {
                    self.requests.push(request);
                }
            }
            ServerEvent::Connected { socket, connection, recovery, .. } => {
                self.handle_connected(socket, connection, recovery);
            }
            ServerEvent::ReplayRefused { socket, .. } => {
                assert!(self.sockets.contains_key(&socket), "it is not over yet");
            }
            ServerEvent::Received { socket, ack, .. } => {
                assert!(matches!(self.sockets.get(&socket), Some(Some(_))), "it is connected");
                if Some(socket) == self.bystander {
                    let Some(token) = ack else {
                        unreachable!("the bystander asks");
                    };
                    assert!(self.server.at(self.now).ack(token, &Args::empty()));
                } else {
                    self.tokens.extend(ack.map(|token| (socket, token)));
                }
            }
            ServerEvent::Acked { ack, .. }
            | ServerEvent::AckFailed { ack, .. }
            | ServerEvent::BroadcastAcked { ack, .. } => {
                assert!(self.acks.remove(&ack), "settled once");
            }
            ServerEvent::Disconnected { socket, data, .. } => {
                assert_ne!(Some(socket), self.bystander, "it did nothing wrong");
                let place = self.sockets.insert(socket, None);
                assert!(matches!(place, Some(Some(_))), "it was connected");
                if let Some(data) = data {
                    assert_eq!(data, 0);
                    self.sockets.remove(&socket);
                }
            }
            ServerEvent::SessionExpired { socket, .. } => {
                assert_eq!(self.sockets.remove(&socket), Some(None), "it was parked");
            }
            other => unreachable!("nothing is checked of {other:?}"),
        }
    }

    fn handle_connected(
        &mut self,
        socket: SocketKey,
        connection: ConnectionId,
        recovery: RecoveryOutcome,
    ) {
        assert!(self.connections.contains(&connection));
        let place = self.sockets.insert(socket, Some(connection));
        if recovery.is_recovered() {
            assert_eq!(place, Some(None), "it was parked");
        } else {
            assert_eq!(place, None, "it is new");
            self.met.push(socket);
        }
    }

    fn check_stats(&self) {
        let stats = self.server.stats();
        assert!(stats.connections <= CONNECTIONS);
        assert!(stats.namespaces <= NAMESPACES);
        assert!(stats.parked_sessions <= PARKED * NAMESPACES);
        assert!(stats.log_packets <= LOGGED * NAMESPACES);
        assert!(stats.pending_acks <= ACKS * NAMESPACES);
        assert_eq!(stats.pending_acks, self.acks.len());
        let connected = self.sockets.values().flatten().count();
        assert_eq!(stats.sockets, connected);
        assert_eq!(stats.parked_sessions, self.sockets.len() - connected);
        assert_eq!(stats.connections, self.connections.len());
    }

    /// The bystander says something.
    fn hear(&mut self, text: &str) {
        let frame = Frame::Text(text.into());
        self.input(ServerInput::Frame { wire: BYSTANDER, frame });
        self.drain();
    }

    fn check_echo(&mut self) {
        self.heard.clear();
        self.echoes += 1;
        let id = self.echoes;
        self.hear(&packets::event_text(CALM, "echo", "", Some(id.into())));
        assert_eq!(self.heard, [packets::packet("3", CALM, &id.to_string(), "[]")]);
    }

    /// Everybody but the bystander goes, and nothing of them is left.
    pub(super) fn finish(&mut self) {
        self.drain();
        self.check_echo();
        let strangers: Vec<_> = self.strangers().map(|(wire, _)| wire).collect();
        for wire in strangers {
            if self.wires.iter().any(|(open, _)| open == wire) {
                self.lose(wire);
            }
        }
        self.pass(Duration::from_secs(10));
        self.check_echo();
        assert_eq!(self.strangers().next(), None, "every wire is finished");
        assert_eq!((self.connections.len(), self.sockets.len(), self.acks.len()), (1, 1, 0));
        let stats = self.server.stats();
        assert_eq!((stats.rooms, stats.log_packets, stats.log_bytes), (1, 0, 0));
        assert_eq!(stats.namespaces, 2, "those made by the predicate have gone");
        self.server.shutdown(self.now);
        self.bystander = None;
        while let Some(output) = self.server.poll_output() {
            if let ServerOutput::Close { wire, .. } = output {
                self.wires.close(wire);
            }
        }
        assert_eq!(self.server.stats().connections, 0);
        assert_eq!(self.wires.iter().next(), None);
    }
}

const CONNECTIONS: usize = 6;
const NAMESPACES: usize = 4;
const PARKED: usize = 2;
const LOGGED: usize = 8;
const ACKS: usize = 3;

/// Small limits and short times, so that they are reached.
fn config(choices: u8) -> ServerConfig {
    let config = ServerConfig::new()
        .ping_interval(Duration::from_millis(300))
        .ping_timeout(Duration::from_millis(200))
        .upgrade_timeout(Duration::from_millis(100))
        .connect_timeout(Duration::from_millis(500))
        .attachment_timeout(Duration::from_millis(350))
        .close_timeout(Duration::from_millis(400))
        .max_payload(400)
        .limits(
            Limits::new()
                .connections(CONNECTIONS)
                .handshake_burst(16)
                .handshakes_per_second(100)
                .packet_burst(400)
                .packets_per_second(2_000)
                .queued_bytes(1_000)
                .pending_auth_bytes(100)
                .queued_packets(10)
                .queue_burst_bytes(2_000)
                .queue_burst_packets(20)
                .attachments(2)
                .attachment_bytes(100)
                .outgoing_attachments(1)
                .outgoing_bytes(200)
                .namespace_name_bytes(16)
                .namespaces(NAMESPACES)
                .namespaces_per_connection(2)
                .rooms_per_socket(3)
                .room_name_bytes(20)
                .pending_acks(ACKS)
                .broadcast_answer_bytes(400)
                .client_offsets(4)
                .client_ack_bytes(64),
        );
    if choices & 2 != 0 {
        return config;
    }
    config.recovery(
        RecoveryConfig::new()
            .max_disconnection(Duration::from_millis(600))
            .skip_authorization(choices & 4 == 0)
            .replay_ack_events(choices & 8 != 0)
            .count_events(true)
            .replay_order(if choices & 16 == 0 {
                ReplayOrder::AfterConnect
            } else {
                ReplayOrder::BeforeConnect
            })
            .buffer_packets(LOGGED)
            .buffer_bytes(2_000)
            .parked_sessions(PARKED)
            .replay_bytes(300)
            .replay_attempts(2)
            .memberships(3)
            .claim_burst(2)
            .claims_per_second(20),
    )
}
