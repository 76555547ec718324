//! The node, and what is known of its clients.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use socketio_proto::{
    AckId, ConnectionId, Limits, RecoveryConfig, ServerConfig, SocketKey, Timestamp, WireId,
    cluster::{
        ClusterConfig,
        message::{Message, NodeId},
    },
    engine::{Frame, PayloadReader, Transport},
    hub::{AckToken, Audience, ConnectRequest, DisconnectReason},
    recovery::Offset,
    server::{Server, ServerEvent, ServerInput, ServerOutput},
    socket::Event,
};
use socketio_proto_sim::wire as packets;

use super::history::{History, LAST};
use crate::{
    server::knowledge::Knowledge,
    source::Source,
    wires::{Wire, Wires},
};

pub(super) struct World<'a> {
    pub(super) source: Source<'a>,
    pub(super) server: Server<u32>,
    pub(super) now: Timestamp,
    pub(super) wires: Wires,
    pub(super) known: Knowledge,
    /// CONNECTs to answer.
    pub(super) requests: Vec<ConnectRequest>,
    /// Events to acknowledge.
    pub(super) tokens: Vec<AckToken>,
    /// Sockets that there are or have been.
    pub(super) met: Vec<SocketKey>,
    /// How far the node was handed entries.
    pub(super) head: Offset,
    pub(super) history: History,
    /// Whether the engine was reported as connected.
    pub(super) is_connected: bool,
    /// What the node has appended and the engine has not handed in.
    pub(super) appended: Vec<Message>,
    /// Sessions that the node has handed over, and the numbers of its own claims.
    pub(super) departed: Vec<String>,
    pub(super) claims: Vec<u64>,
    /// Whether the engine has handed in an entry with a stamp of the node that is not the node's.
    pub(super) is_forged: bool,
    pub(super) emitted: u32,
    connections: BTreeSet<ConnectionId>,
    /// Where each socket is connected.
    connected: BTreeMap<SocketKey, ConnectionId>,
    pub(super) acks: BTreeSet<AckId>,
    log: Option<Vec<String>>,
}

pub(super) const NODE: &str = "node";

impl<'a> World<'a> {
    pub(super) fn new(mut source: Source<'a>, log: Option<Vec<String>>) -> Self {
        let choices = source.byte();
        let mut state = 0_u64;
        let entropy = move |dest: &mut [u8]| {
            for byte in dest {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = state.to_be_bytes()[0];
            }
        };
        let node = NodeId::new(NODE).unwrap_or(NodeId::EMITTER);
        let cluster = ClusterConfig::new(node).append_queue(APPEND_QUEUE).append_queue_bytes(4_000);
        let Ok(server) = Server::clustered(config(choices), cluster, entropy) else {
            unreachable!("the configuration is valid");
        };
        let mut world = Self {
            source,
            server,
            now: Timestamp::from_millis(10_000),
            wires: Wires::default(),
            known: Knowledge::default(),
            requests: Vec::new(),
            tokens: Vec::new(),
            met: Vec::new(),
            head: Offset::pair(1_000, 0),
            history: History::new(has_recovery(choices)),
            is_connected: false,
            appended: Vec::new(),
            departed: Vec::new(),
            claims: Vec::new(),
            is_forged: false,
            emitted: 0,
            connections: BTreeSet::new(),
            connected: BTreeMap::new(),
            acks: BTreeSet::new(),
            log,
        };
        assert_eq!(world.server.at(world.now).add_namespace("/"), Ok(()));
        world.server.at(world.now).add_namespaces_matching(|name| name.starts_with("/d"));
        // Most runs begin with an engine.
        if choices & 0xe0 != 0 {
            world.connect(world.head, world.head);
        }
        world
    }

    pub(super) fn input(&mut self, input: ServerInput<'_>) {
        self.server.handle_input(self.now, input);
    }

    pub(super) fn lose(&mut self, wire: WireId) {
        // What was sent before the loss was noticed still counts.
        self.drain();
        self.wires.lose(wire);
        self.input(ServerInput::WireClosed { wire });
    }

    /// Lets time pass, or sends a timeout that is not due.
    pub(super) fn wait(&mut self) {
        match self.source.byte() {
            0 => self.input(ServerInput::Timeout),
            steps => self.pass(Duration::from_millis(u64::from(steps) * 4)),
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
            if let Some(log) = &mut self.log {
                log.push(format!("{output:?}"));
            }
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
                ServerOutput::Close { wire, .. } => self.wires.close(wire),
                ServerOutput::Event(event) => self.handle_event(event),
                ServerOutput::Cluster(command) => self.take(command),
                other => unreachable!("unknown: {other:?}"),
            }
        }
        self.check_stats();
    }

    fn learn(&mut self, wire: WireId, frame: Frame) {
        if let Frame::Text(text) = frame {
            self.known.learn(&text);
            self.history.deliver(wire, &text);
        }
    }

    fn handle_event(&mut self, event: ServerEvent<u32>) {
        match event {
            ServerEvent::ConnectionOpened { connection, .. } => {
                assert!(self.connections.insert(connection), "a new one");
            }
            ServerEvent::ConnectionClosed { connection, .. } => {
                assert!(self.connections.remove(&connection));
                let is_left = self.connected.values().any(|place| *place == connection);
                assert!(!is_left, "its sockets have gone before");
            }
            ServerEvent::ConnectRequested { request, connection, .. } => {
                assert!(self.connections.contains(&connection));
                self.requests.push(request);
            }
            ServerEvent::Connected { socket, connection, .. } => {
                assert!(self.connections.contains(&connection));
                assert_eq!(self.connected.insert(socket, connection), None, "it was not connected");
                self.met.push(socket);
            }
            ServerEvent::Received { socket, ack, .. } => {
                assert!(self.connected.contains_key(&socket), "it is connected");
                self.tokens.extend(ack);
            }
            ServerEvent::Acked { ack, .. }
            | ServerEvent::AckFailed { ack, .. }
            | ServerEvent::BroadcastAcked { ack, .. } => {
                assert!(self.acks.remove(&ack), "settled once");
            }
            ServerEvent::Disconnected { socket, reason, data, .. } => {
                assert!(self.connected.remove(&socket).is_some(), "it was connected");
                let ends = matches!(reason, DisconnectReason::Moved | DisconnectReason::ChannelGap);
                assert!(!ends || data.is_some(), "nothing of it is left here");
            }
            ServerEvent::SessionExpired { socket, .. } => {
                assert!(!self.connected.contains_key(&socket), "it was parked");
            }
            _ => {}
        }
    }

    fn check_stats(&self) {
        let stats = self.server.stats();
        assert!(stats.connections <= CONNECTIONS);
        assert!(stats.namespaces <= NAMESPACES);
        assert!(stats.parked_sessions <= PARKED * NAMESPACES);
        assert!(stats.log_packets <= LOGGED * NAMESPACES);
        assert!(stats.channel_waiting <= APPEND_QUEUE);
        assert_eq!(stats.pending_acks, self.acks.len());
        assert_eq!(stats.sockets, self.connected.len());
        assert_eq!(stats.connections, self.connections.len());
    }

    /// The engine is honest from now on. The node still serves; and when everybody has gone, nothing
    /// of them is left.
    pub(super) fn finish(mut self) -> Option<Vec<String>> {
        self.drain();
        for (wire, _) in self.wires.iter().collect::<Vec<_>>() {
            if self.wires.iter().any(|(open, _)| open == wire) {
                self.lose(wire);
            }
        }
        self.begin_honestly();
        self.settle();
        self.pass(Duration::from_secs(10));
        self.settle();
        let wire = self.admit();
        let Ok(event) = Event::new(LAST, &(1,)) else { unreachable!("a number is JSON") };
        assert!(self.server.at(self.now).broadcast("/", &Audience::all(), &event).is_ok());
        self.settle();
        assert!(self.history.is_last(wire), "the event has arrived");
        self.lose(wire);
        self.pass(Duration::from_secs(10));
        let stats = self.server.stats();
        assert_eq!((stats.connections, stats.sockets, stats.parked_sessions), (0, 0, 0));
        assert_eq!((stats.rooms, stats.log_packets, stats.log_bytes), (0, 0, 0));
        assert_eq!((stats.pending_acks, stats.channel_waiting, stats.connects_waiting), (0, 0, 0));
        assert_eq!(stats.namespaces, 1, "those made by the predicate have gone");
        assert_eq!((self.acks.len(), self.wires.iter().next()), (0, None));
        self.log
    }

    /// A client comes, and is let in.
    fn admit(&mut self) -> WireId {
        self.requests.clear();
        let wire = self.wires.open(Wire::WebSocket);
        let query = packets::open_query(Transport::WebSocket);
        let head = packets::websocket_head(&query);
        self.input(ServerInput::WebSocketOpened { wire, head });
        let frame = Frame::Text(packets::connect("/", "").into());
        self.input(ServerInput::Frame { wire, frame });
        self.drain();
        let request = self.requests.pop();
        assert!(request.is_some_and(|it| self.server.at(self.now).accept(it).is_some()));
        self.drain();
        wire
    }
}

const CONNECTIONS: usize = 6;
const NAMESPACES: usize = 3;
const PARKED: usize = 3;
const LOGGED: usize = 8;
const APPEND_QUEUE: usize = 6;

/// Small limits and short times, so that they are reached.
fn config(choices: u8) -> ServerConfig {
    let limits = Limits::new()
        .connections(CONNECTIONS)
        .handshake_burst(1_000)
        .pending_auth_bytes(200)
        .outgoing_attachments(1)
        .outgoing_bytes(200)
        .namespaces(NAMESPACES)
        .rooms_per_socket(3)
        .room_name_bytes(32)
        .pending_acks(3)
        .client_offsets(4)
        .client_ack_bytes(64);
    let recovery = RecoveryConfig::new()
        .max_disconnection(Duration::from_millis(900))
        .skip_authorization(choices & 1 == 0)
        .count_events(true)
        .lookup_timeout(Some(Duration::from_millis(200)))
        .buffer_packets(LOGGED)
        .buffer_bytes(2_000)
        .parked_sessions(PARKED)
        .replay_bytes(300)
        .memberships(3)
        .claim_burst(2)
        .claims_per_second(20);
    let config = ServerConfig::new()
        .ping_interval(Duration::from_secs(1))
        .ping_timeout(Duration::from_millis(200))
        .connect_timeout(Duration::from_millis(500))
        .close_timeout(Duration::from_millis(400))
        .max_payload(1_000)
        .limits(limits);
    // Without recovery, there is nothing to claim and to hand over.
    if has_recovery(choices) { config.recovery(recovery) } else { config }
}

const fn has_recovery(choices: u8) -> bool {
    choices & 0x1e != 2
}
