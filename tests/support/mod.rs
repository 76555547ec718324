//! A server in virtual time, and clients that send raw packets. Tests of the whole core use it.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod bystander;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use socketio_proto::{
    ByteString, RecoveryConfig, ServerConfig, SocketKey, Timestamp, WireId,
    cluster::ClusterOutput,
    engine::{Frame, Method, RequestHead, Response},
    hub::{AckToken, Audience, ConnectRequest, RestoreError},
    recovery::RecoveryOutcome,
    server::{Server, ServerEvent, ServerInput, ServerOutput},
    socket::{self, NamespaceName},
};

/// A server, the time, and what has come out of it.
pub struct World {
    pub server: Server<u32>,
    pub now: Timestamp,
    pub events: VecDeque<ServerEvent<u32>>,
    /// For the engine of a cluster.
    pub commands: VecDeque<ClusterOutput>,
    /// Accept every CONNECT as soon as it is asked about.
    pub auto_accept: bool,
    next_wire: u64,
    restarts: u64,
    received: BTreeMap<WireId, VecDeque<Received>>,
}

/// What a wire got.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    Response(Response),
    Text(String),
    Binary(Bytes),
    Closed(Option<u16>),
}

/// A client on one WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    pub wire: WireId,
}

/// The CONNECT answer of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub sid: String,
    pub pid: String,
}

pub fn recovery_config() -> ServerConfig {
    ServerConfig::new().recovery(RecoveryConfig::default())
}

/// Recovery in both directions: clients of this crate count their events.
pub fn counting_config() -> ServerConfig {
    let mut recovery = RecoveryConfig::default();
    recovery.count_events = true;
    ServerConfig::new().recovery(recovery)
}

/// Entropy that counts: ids differ and are the same in every run.
pub fn counting_entropy() -> impl FnMut(&mut [u8]) + Send {
    seeded_entropy(0)
}

pub fn seeded_entropy(seed: u64) -> impl FnMut(&mut [u8]) + Send {
    let mut state = seed;
    move |dest: &mut [u8]| {
        for byte in dest.iter_mut() {
            // An LCG is random enough to tell ids apart.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 56) as u8;
        }
    }
}

pub fn get(query: &str) -> RequestHead<'_> {
    RequestHead { method: Method::Get, query, upgrade: false, origin: None, binary: false }
}

pub fn post(query: &str) -> RequestHead<'_> {
    RequestHead { method: Method::Post, ..get(query) }
}

impl World {
    pub fn new(config: ServerConfig) -> Self {
        let mut server = Server::new(config, counting_entropy()).unwrap();
        server.at(Timestamp::ZERO).add_namespace("/").unwrap();
        Self {
            server,
            now: Timestamp::from_millis(1_000_000),
            events: VecDeque::new(),
            commands: VecDeque::new(),
            auto_accept: true,
            next_wire: 0,
            restarts: 0,
            received: BTreeMap::new(),
        }
    }

    /// The process ends, gracefully or with its links still open, and another one takes over after
    /// `downtime`. Returns the sessions that wait for their clients.
    pub fn restart(
        &mut self,
        config: ServerConfig,
        is_graceful: bool,
        downtime: Duration,
    ) -> Vec<SocketKey> {
        if is_graceful {
            self.server.shutdown(self.now);
            self.drain();
        }
        let text = serde_json::to_string(&self.server.snapshot(self.now)).unwrap();
        self.now = self.now.saturating_add(downtime);
        self.restore(config, &text).unwrap()
    }

    /// Another process takes over from a snapshot.
    pub fn restore(
        &mut self,
        config: ServerConfig,
        snapshot: &str,
    ) -> Result<Vec<SocketKey>, RestoreError> {
        self.restarts += 1;
        self.server = Server::new(config, seeded_entropy(self.restarts)).unwrap();
        self.server.at(self.now).add_namespace("/").unwrap();
        let restored = self.server.at(self.now).restore(serde_json::from_str(snapshot).unwrap());
        self.drain();
        restored
    }

    /// The socket with that public id.
    pub fn find(&self, sockets: &[SocketKey], session: &Session) -> SocketKey {
        let is_it = |socket: &&SocketKey| {
            self.server.socket_id(**socket).is_some_and(|id| id.as_str() == session.sid)
        };
        *sockets.iter().find(is_it).expect("the session was restored")
    }

    pub fn with_recovery() -> Self {
        Self::new(recovery_config())
    }

    pub fn wire(&mut self) -> WireId {
        self.next_wire += 1;
        WireId(self.next_wire)
    }

    pub fn input(&mut self, input: ServerInput<'_>) {
        self.server.handle_input(self.now, input);
        self.drain();
    }

    /// Takes all output, accepting CONNECTs if that is wanted.
    pub fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                ServerOutput::Respond { wire, response } => {
                    self.record(wire, Received::Response(response));
                }
                ServerOutput::Send { wire, frame: Frame::Text(text) } => {
                    self.record(wire, Received::Text(text.to_string()));
                }
                ServerOutput::Send { wire, frame: Frame::Binary(bytes) } => {
                    self.record(wire, Received::Binary(bytes));
                }
                ServerOutput::Close { wire, code } => self.record(wire, Received::Closed(code)),
                ServerOutput::Event(ServerEvent::ConnectRequested { request, .. })
                    if self.auto_accept =>
                {
                    self.server.at(self.now).accept(request);
                }
                ServerOutput::Event(event) => self.events.push_back(event),
                ServerOutput::Cluster(command) => self.commands.push_back(command),
                other => unreachable!("unknown: {other:?}"),
            }
        }
    }

    /// Lets time pass, firing every deadline on the way at its moment.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now.saturating_add(by);
        while let Some(deadline) = self.server.deadline().filter(|deadline| *deadline <= end) {
            self.now = self.now.max(deadline);
            self.input(ServerInput::Timeout);
            let next = self.server.deadline();
            assert!(next.is_none_or(|next| next > self.now), "the deadline does not move on");
        }
        self.now = end;
    }

    /// Opens a WebSocket session and takes its open packet.
    pub fn open(&mut self) -> Client {
        let wire = self.wire();
        let head = get("EIO=4&transport=websocket");
        self.input(ServerInput::WebSocketOpened { wire, head });
        let client = Client { wire };
        let open = self.texts(client);
        assert!(open.len() == 1 && open[0].starts_with("0{"), "{open:?}");
        client
    }

    pub fn send(&mut self, client: Client, text: &str) {
        let frame = Frame::Text(ByteString::from(text));
        self.input(ServerInput::Frame { wire: client.wire, frame });
    }

    pub fn send_binary(&mut self, client: Client, bytes: &'static [u8]) {
        let frame = Frame::Binary(Bytes::from_static(bytes));
        self.input(ServerInput::Frame { wire: client.wire, frame });
    }

    /// Opens a WebSocket session and joins the main namespace.
    pub fn connect(&mut self) -> (Client, Session) {
        self.connect_with("40")
    }

    /// Opens a WebSocket session and sends `connect`, which must be answered with CONNECT.
    pub fn connect_with(&mut self, connect: &str) -> (Client, Session) {
        let client = self.open();
        self.send(client, connect);
        let session = self.session(client);
        (client, session)
    }

    /// Opens a WebSocket session and claims an earlier one.
    pub fn claim(&mut self, session: &Session, offset: Option<&str>) -> (Client, Session) {
        self.connect_with(&claim_packet(session, offset))
    }

    /// Takes one packet, which must be a CONNECT.
    pub fn session(&mut self, client: Client) -> Session {
        let packet = self.text(client);
        let json = &packet[packet.find('{').unwrap_or_else(|| panic!("no CONNECT: {packet}"))..];
        let answer: serde_json::Value = serde_json::from_str(json).unwrap();
        assert!(packet.starts_with("40"), "no CONNECT: {packet}");
        Session {
            sid: answer["sid"].as_str().unwrap().into(),
            pid: answer["pid"].as_str().unwrap_or_default().into(),
        }
    }

    /// The client's WebSocket breaks and the server notices.
    pub fn cut(&mut self, client: Client) {
        self.input(ServerInput::WireClosed { wire: client.wire });
    }

    pub fn take(&mut self, wire: WireId) -> Vec<Received> {
        self.received.remove(&wire).unwrap_or_default().into()
    }

    /// Takes one text frame.
    pub fn text(&mut self, client: Client) -> String {
        let received = self.received.entry(client.wire).or_default().pop_front();
        match received {
            Some(Received::Text(text)) => text,
            other => panic!("no text on {client:?}: {other:?}"),
        }
    }

    /// Takes all frames, which must be text.
    pub fn texts(&mut self, client: Client) -> Vec<String> {
        let frames = self.take(client.wire).into_iter();
        frames
            .map(|frame| match frame {
                Received::Text(text) => text,
                other => panic!("not a text on {client:?}: {other:?}"),
            })
            .collect()
    }

    /// Whether the wire was closed, forgetting what came before.
    pub fn is_closed(&mut self, client: Client) -> bool {
        self.take(client.wire).iter().any(|frame| matches!(frame, Received::Closed(_)))
    }

    /// Takes the events that `pick` is interested in and forgets the others.
    pub fn pick<T>(&mut self, pick: impl Fn(&ServerEvent<u32>) -> Option<T>) -> Vec<T> {
        self.events.drain(..).filter_map(|event| pick(&event)).collect()
    }

    /// The socket and the outcome of the latest connection.
    pub fn connected(&mut self) -> (SocketKey, RecoveryOutcome) {
        let connected = self.pick(|event| match event {
            ServerEvent::Connected { socket, recovery, .. } => Some((*socket, *recovery)),
            _ => None,
        });
        *connected.last().expect("nobody has connected")
    }

    /// The latest CONNECT that waits for an answer, with its namespace and auth.
    pub fn requested(&mut self) -> (ConnectRequest, NamespaceName, String, Option<SocketKey>) {
        let requested = self.pick(|event| match event {
            ServerEvent::ConnectRequested { request, namespace, auth, recoverable, .. } => {
                Some((*request, namespace.clone(), auth.as_str().to_owned(), *recoverable))
            }
            _ => None,
        });
        requested.into_iter().next_back().expect("nobody has asked")
    }

    /// The acknowledgement that the latest event asked for.
    pub fn token(&mut self) -> AckToken {
        let mut tokens: Vec<AckToken> = Vec::new();
        for event in self.events.drain(..) {
            if let ServerEvent::Received { ack: Some(token), .. } = event {
                tokens.push(token);
            }
        }
        tokens.pop().expect("nobody has asked for an acknowledgement")
    }

    fn record(&mut self, wire: WireId, received: Received) {
        self.received.entry(wire).or_default().push_back(received);
    }
}

pub fn claim_packet(session: &Session, offset: Option<&str>) -> String {
    match offset {
        Some(offset) => format!(r#"40{{"pid":"{}","offset":"{offset}"}}"#, session.pid),
        None => format!(r#"40{{"pid":"{}"}}"#, session.pid),
    }
}

/// The name, the arguments and the offset of an event on the main namespace.
pub fn parse_event(packet: &str) -> (String, Vec<serde_json::Value>, Option<String>) {
    let json = packet.strip_prefix("42").unwrap_or_else(|| panic!("no event: {packet}"));
    let mut values: Vec<serde_json::Value> = serde_json::from_str(json).unwrap();
    let name = values.remove(0).as_str().unwrap().to_owned();
    let is_offset = |value: &serde_json::Value| {
        value.as_str().is_some_and(|text| text.parse::<socketio_proto::recovery::Offset>().is_ok())
    };
    let offset = values.last().is_some_and(is_offset).then(|| values.pop().unwrap());
    (name, values, offset.map(|offset| offset.as_str().unwrap().to_owned()))
}

/// An event that carries a number.
pub fn event(name: &str, number: u64) -> socket::Event {
    socket::Event::new(name, &(number,)).unwrap()
}

/// Broadcasts an event that carries a number.
pub fn broadcast(world: &mut World, audience: &Audience, number: u64) {
    world.server.at(world.now).broadcast("/", audience, &event("m", number)).unwrap();
    world.drain();
}

/// The numbers of the events among the packets, and the last offset.
pub fn numbers(packets: &[String]) -> (Vec<u64>, Option<String>) {
    let events: Vec<_> = packets.iter().map(|packet| parse_event(packet)).collect();
    let offset = events.last().and_then(|(_, _, offset)| offset.clone());
    (events.iter().map(|(_, args, _)| args[0].as_u64().unwrap()).collect(), offset)
}

/// A world with recovery configured by `change`.
pub fn recovering(change: impl FnOnce(&mut RecoveryConfig)) -> World {
    let mut recovery = RecoveryConfig::default();
    change(&mut recovery);
    World::new(recovery_config().recovery(recovery))
}
