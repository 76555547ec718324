//! Nodes, their clients, and the engine between them.

mod polling;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::Range,
    time::Duration,
};

use self::polling::Polling;
use socketio_proto::{
    ByteString, RecoveryConfig, ServerConfig, SocketKey, Timestamp, WireId,
    cluster::{
        Channels, ClusterConfig, ClusterInput, ClusterOutput, FetchedSession,
        message::{Message, NodeId, StoredSession},
    },
    engine::{Frame, Method, RequestHead},
    hub::At,
    recovery::Offset,
    server::{Server, ServerEvent, ServerInput, ServerOutput},
};

pub struct Fleet {
    pub nodes: Vec<Node>,
    pub channel: Channel,
    /// The second channel, if there are two.
    pub second: Channel,
    pub store: Store,
    pub now: Timestamp,
    /// Nodes of another implementation.
    pub officials: Vec<Official>,
    /// Whether the engine can count the nodes.
    pub counts: bool,
    pub cluster: fn(ClusterConfig) -> ClusterConfig,
    config: ServerConfig,
    layout: Channels,
    starts: u64,
    next_wire: u64,
}

/// A node that sends no heartbeats, and that answers when the test says what.
pub struct Official {
    pub id: NodeId,
    pub inbox: Vec<Message>,
}

/// The entries that the engine has, and those that it has trimmed.
#[derive(Default)]
pub struct Channel {
    pub entries: Vec<Option<Message>>,
    pub trimmed: usize,
}

/// The sessions that the engine keeps, by private id.
#[derive(Default)]
pub struct Store {
    pub sessions: BTreeMap<String, (StoredSession, Timestamp)>,
    /// It does not take any more sessions.
    pub is_full: bool,
    /// How many commands it has carried out.
    carried_out: usize,
}

/// Something on its way to the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Flight {
    Append(Message),
    Command(ClusterOutput),
}

pub struct Node {
    pub server: Server<u32>,
    /// What is on its way to the engine.
    pub in_flight: VecDeque<Flight>,
    /// What the store has answered, on its way to this node.
    pub answers: VecDeque<ClusterInput>,
    /// Messages that are not stored, on their way to this node.
    pub inbox: VecDeque<Message>,
    /// How many entries it was handed. `None` while it is not connected.
    pub read: Option<usize>,
    /// The same of the second channel.
    pub second_read: Option<usize>,
    /// The same, while it is not connected as well.
    pub position: usize,
    pub events: Vec<ServerEvent<u32>>,
    /// What else it wants of the engine.
    pub commands: Vec<ClusterOutput>,
    /// What the engine answers.
    replies: VecDeque<ClusterInput>,
    /// The namespaces whose messages it receives.
    pub subscribed: BTreeSet<String>,
    /// Where in the channel each session began, by the id of its socket.
    pub births: BTreeMap<String, usize>,
    /// Whether the test answers its clients, and not the fleet.
    pub answers_late: bool,
    /// Whether its output is left where it is for a while.
    pub is_lazy: bool,
    polling: BTreeMap<WireId, Polling>,
    /// The client of each GET.
    gets: BTreeMap<WireId, WireId>,
    sockets: BTreeMap<WireId, SocketKey>,
    connections: BTreeMap<u64, WireId>,
    frames: BTreeMap<WireId, Vec<String>>,
}

/// A client on one WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    pub node: usize,
    pub wire: WireId,
}

impl Channel {
    /// The position of an entry.
    pub fn position(index: usize) -> Offset {
        Offset::pair(7_000 + index as u64 / 3, index as u64 % 3)
    }

    /// The index of the next entry after a position.
    fn next(&self, after: Offset) -> Option<usize> {
        let mut indices = self.trimmed..=self.entries.len();
        indices.find(|index| Self::position(*index) > after)
    }

    /// The position before the entry with this index.
    fn before(index: usize) -> Offset {
        index.checked_sub(1).map_or(Offset::pair(0, 0), Self::position)
    }
}

impl Store {
    /// Carries out a command. Returns the answer.
    pub fn carry_out(&mut self, now: Timestamp, command: ClusterOutput) -> ClusterInput {
        self.sessions.retain(|_, (_, expires)| *expires > now);
        self.carried_out += 1;
        match command {
            ClusterOutput::Store { session, expires_in, number } => {
                let is_stored = !self.is_full;
                if is_stored {
                    let expires = now.saturating_add(expires_in);
                    self.sessions.insert(session.pid.expose().to_string(), (session, expires));
                }
                ClusterInput::Stored { number, is_stored }
            }
            ClusterOutput::Fetch { key, number } => {
                let found = self.sessions.get(key.expose()).cloned();
                ClusterInput::Fetched { number, session: fetched(now, found) }
            }
            ClusterOutput::Take { key, number } => {
                let found = self.sessions.remove(key.expose());
                ClusterInput::Fetched { number, session: fetched(now, found) }
            }
            other => panic!("not for a store: {other:?}"),
        }
    }
}

fn fetched(now: Timestamp, found: Option<(StoredSession, Timestamp)>) -> Option<FetchedSession> {
    found.map(|(session, expires)| FetchedSession::new(session, expires.saturating_since(now)))
}

impl Fleet {
    /// Connected nodes with recovery and the namespaces `/` and `/b`.
    pub fn new(nodes: usize) -> Self {
        let mut fleet =
            Self::disconnected(nodes, &ServerConfig::new().recovery(RecoveryConfig::new()));
        for node in 0..nodes {
            fleet.connect(node);
        }
        fleet
    }

    pub fn disconnected(nodes: usize, config: &ServerConfig) -> Self {
        Self::with_channels(nodes, config, Channels::ONE)
    }

    /// Disconnected nodes with one or two channels.
    pub fn with_channels(nodes: usize, config: &ServerConfig, layout: Channels) -> Self {
        let mut fleet = Self {
            nodes: Vec::new(),
            channel: Channel::default(),
            second: Channel::default(),
            store: Store::default(),
            now: Timestamp::from_millis(1_000),
            officials: Vec::new(),
            counts: true,
            cluster: |config| config,
            config: config.clone(),
            layout,
            starts: 0,
            next_wire: 0,
        };
        for number in 0..nodes {
            let node = fleet.start(number);
            fleet.nodes.push(node);
        }
        fleet
    }

    /// The same with other settings of each node.
    pub fn with_cluster(nodes: usize, cluster: fn(ClusterConfig) -> ClusterConfig) -> Self {
        let config = ServerConfig::new().recovery(RecoveryConfig::new());
        let mut fleet = Self::disconnected(0, &config);
        fleet.cluster = cluster;
        for node in 0..nodes {
            let started = fleet.start(node);
            fleet.nodes.push(started);
            fleet.connect(node);
        }
        fleet
    }

    /// A process ends, and the next one starts in its place. The links break.
    pub fn crash(&mut self, node: usize) {
        self.nodes[node] = self.start(node);
    }

    fn start(&mut self, number: usize) -> Node {
        self.starts += 1;
        let cluster = (self.cluster)(ClusterConfig::new(name(number)).append_queue(20));
        Node::new(cluster.channels(self.layout), self.starts, self.config.clone())
    }

    /// Connects a node with the engine.
    pub fn connect(&mut self, node: usize) {
        // The engine does nothing of its own before the node has said where it reads on.
        self.nodes[node].is_lazy = false;
        self.pump(node);
        let (entries, trimmed) = (self.channel.entries.len(), self.channel.trimmed);
        let (oldest, head) = (Channel::before(trimmed), Channel::before(entries));
        self.nodes[node].read = Some(entries);
        // It does not get what was trimmed. A client may come in before the node asks for the rest.
        self.nodes[node].position = self.nodes[node].position.max(trimmed);
        self.input(node, ClusterInput::Connected { channel: 0, oldest, head });
        if self.layout.count() > 1 {
            self.connect_second(node);
        }
    }

    /// Connects a node with the second channel.
    pub fn connect_second(&mut self, node: usize) {
        let (entries, trimmed) = (self.second.entries.len(), self.second.trimmed);
        let (oldest, head) = (Channel::before(trimmed), Channel::before(entries));
        self.nodes[node].second_read = Some(entries);
        self.input(node, ClusterInput::Connected { channel: 1, oldest, head });
    }

    /// The connection between a node and the engine breaks after the engine has taken some of the
    /// appends.
    pub fn cut(&mut self, node: usize, taken: usize) {
        self.take(node, taken);
        self.nodes[node].in_flight.clear();
        self.nodes[node].inbox.clear();
        self.nodes[node].subscribed.clear();
        self.nodes[node].answers.clear();
        self.nodes[node].read = None;
        self.nodes[node].second_read = None;
        self.input(node, ClusterInput::Disconnected);
    }

    pub fn input(&mut self, node: usize, input: ClusterInput) {
        self.nodes[node].server.handle_cluster(self.now, input);
        self.pump(node);
    }

    /// The engine takes appends of a node, and what is on its way before and after them.
    pub fn take(&mut self, node: usize, count: usize) {
        self.carry_out(node);
        for _ in 0..count {
            let Some(Flight::Append(message)) = self.nodes[node].in_flight.pop_front() else {
                return;
            };
            let channel = match self.layout.of(&message.namespace) {
                0 => &mut self.channel,
                _ => &mut self.second,
            };
            channel.entries.push(Some(message));
            self.carry_out(node);
        }
    }

    /// The store carries out what is on its way before the next append.
    fn carry_out(&mut self, node: usize) {
        while let Some(Flight::Command(_)) = self.nodes[node].in_flight.front() {
            let flight = self.nodes[node].in_flight.pop_front();
            let Some(Flight::Command(command)) = flight else { return };
            let reply = self.store.carry_out(self.now, command);
            self.nodes[node].answers.push_back(reply);
        }
    }

    /// A node gets what the store has answered.
    pub fn answer(&mut self, node: usize) {
        while let Some(reply) = self.nodes[node].answers.pop_front() {
            self.input(node, reply);
        }
    }

    /// A node gets what the store has answered, and reads entries.
    pub fn read(&mut self, node: usize, count: usize) {
        self.answer(node);
        for _ in 0..count {
            let Some(read) = self.nodes[node].read else { return };
            let Some(message) = self.channel.entries.get(read).cloned() else { return };
            self.nodes[node].read = Some(read + 1);
            self.nodes[node].position = read + 1;
            self.input(
                node,
                ClusterInput::Entry { channel: 0, position: Channel::position(read), message },
            );
        }
    }

    /// A node reads entries of the second channel.
    pub fn read_second(&mut self, node: usize, count: usize) {
        for _ in 0..count {
            let Some(read) = self.nodes[node].second_read else { return };
            let Some(message) = self.second.entries.get(read).cloned() else { return };
            self.nodes[node].second_read = Some(read + 1);
            let position = Channel::position(read);
            self.input(node, ClusterInput::Entry { channel: 1, position, message });
        }
    }

    /// A node gets a message that is not stored.
    pub fn receive(&mut self, node: usize) {
        if let Some(message) = self.nodes[node].inbox.pop_front() {
            self.input(node, ClusterInput::Message(message));
        }
    }

    /// Everything that is on its way arrives.
    pub fn settle(&mut self) {
        loop {
            let before = self.progress();
            for node in 0..self.nodes.len() {
                self.take(node, usize::MAX);
                self.answer(node);
            }
            for node in 0..self.nodes.len() {
                self.read(node, usize::MAX);
                self.read_second(node, usize::MAX);
                while !self.nodes[node].inbox.is_empty() {
                    self.receive(node);
                }
            }
            if self.progress() == before {
                return;
            }
        }
    }

    fn progress(&self) -> (usize, usize, Vec<[Option<usize>; 5]>) {
        let waiting = self.nodes.iter().map(|it| {
            let lens = [it.in_flight.len(), it.answers.len(), it.inbox.len()].map(Some);
            [lens[0], lens[1], lens[2], it.read, it.second_read]
        });
        let entries = self.channel.entries.len() + self.second.entries.len();
        (entries, self.store.carried_out, waiting.collect())
    }

    /// The application of a node does something.
    pub fn at<T>(&mut self, node: usize, act: impl FnOnce(&mut At<'_, u32>) -> T) -> T {
        let result = act(&mut self.nodes[node].server.at(self.now));
        self.pump(node);
        result
    }

    /// A client joins the main namespace.
    pub fn open(&mut self, node: usize) -> Client {
        self.open_with(node, "40")
    }

    pub fn open_with(&mut self, node: usize, packet: &str) -> Client {
        self.next_wire += 1;
        let client = Client { node, wire: WireId(self.next_wire) };
        let head = RequestHead {
            method: Method::Get,
            query: "EIO=4&transport=websocket",
            upgrade: true,
            origin: None,
            binary: false,
        };
        let opened = ServerInput::WebSocketOpened { wire: client.wire, head };
        self.nodes[node].server.handle_input(self.now, opened);
        self.send(client, packet);
        client
    }

    pub fn send(&mut self, client: Client, packet: &str) {
        if self.post(client, packet) {
            return;
        }
        let frame = Frame::Text(ByteString::from(packet));
        let input = ServerInput::Frame { wire: client.wire, frame };
        self.nodes[client.node].server.handle_input(self.now, input);
        self.pump(client.node);
    }

    /// Time passes.
    pub fn wait(&mut self, millis: u64) {
        self.wait_for_all(0..self.nodes.len(), millis);
    }

    /// Time passes, and all nodes but one are paused.
    pub fn wait_for(&mut self, node: usize, millis: u64) {
        self.wait_for_all(node..node + 1, millis);
    }

    fn wait_for_all(&mut self, nodes: Range<usize>, millis: u64) {
        let end = self.now.saturating_add(Duration::from_millis(millis));
        let due = |fleet: &Self, node: usize| {
            let ready = Some(&fleet.nodes[node]).filter(|node| !node.is_lazy)?;
            Some((ready.server.deadline().filter(|due| *due <= end)?, node))
        };
        while let Some((due, node)) = nodes.clone().filter_map(|node| due(self, node)).min() {
            self.now = self.now.max(due);
            self.nodes[node].server.handle_input(self.now, ServerInput::Timeout);
            self.pump(node);
        }
        self.now = end;
    }

    /// The link of a client breaks.
    pub fn lose(&mut self, client: Client) {
        let Some(wire) = self.nodes[client.node].breaks(client.wire) else { return };
        let input = ServerInput::WireClosed { wire };
        self.nodes[client.node].server.handle_input(self.now, input);
        self.pump(client.node);
    }

    pub fn socket(&self, client: Client) -> SocketKey {
        self.find_socket(client).expect("it is connected")
    }

    pub fn find_socket(&self, client: Client) -> Option<SocketKey> {
        self.nodes[client.node].sockets.get(&client.wire).copied()
    }

    /// The frames that a client got, without the handshake. The last one is `closed` if the server
    /// has closed its link.
    pub fn frames(&self, client: Client) -> &[String] {
        let frames = self.nodes[client.node].frames.get(&client.wire);
        frames.map_or(&[], |frames| frames.get(1..).unwrap_or_default())
    }

    /// The names of the events that a client got, and everything else as it is, without CONNECT.
    pub fn got(&self, client: Client) -> Vec<String> {
        let frames = self.frames(client).iter().filter(|frame| !frame.starts_with("40"));
        let name = |frame: &String| {
            let name = frame.strip_prefix("42[\"").and_then(|rest| rest.split('"').next());
            name.unwrap_or(frame).to_owned()
        };
        frames.map(name).collect()
    }

    pub fn pump(&mut self, node: usize) {
        if self.nodes[node].is_lazy {
            return;
        }
        let now = self.now;
        loop {
            if let Some(output) = self.nodes[node].server.poll_output() {
                match output {
                    ServerOutput::Cluster(ClusterOutput::Publish { to, message }) => {
                        self.publish(node, to.as_ref(), &message);
                    }
                    ServerOutput::Cluster(ClusterOutput::CountServers { namespace, number }) => {
                        let servers = self.counts.then(|| self.servers(namespace.as_str()));
                        let counted = ClusterInput::ServersCounted { number, servers };
                        self.nodes[node].replies.push_back(counted);
                    }
                    output => self.nodes[node].take(now, output, [&self.channel, &self.second]),
                }
            } else if let Some(reply) = self.nodes[node].replies.pop_front() {
                self.nodes[node].server.handle_cluster(now, reply);
            } else {
                return;
            }
        }
    }

    /// How many nodes receive what is published in a namespace.
    fn servers(&self, namespace: &str) -> u64 {
        let nodes = self.nodes.iter().filter(|node| node.subscribed.contains(namespace)).count();
        (nodes + self.officials.len()) as u64
    }

    fn publish(&mut self, from: usize, to: Option<&NodeId>, message: &Message) {
        let is_for = |official: &&mut Official| to.is_none_or(|to| *to == official.id);
        for official in self.officials.iter_mut().filter(is_for) {
            official.inbox.push(message.clone());
        }
        for (number, node) in self.nodes.iter_mut().enumerate() {
            let is_addressed = to.is_none_or(|to| *to == name(number)) && number != from;
            if is_addressed && node.subscribed.contains(message.namespace.as_str()) {
                node.inbox.push_back(message.clone());
            }
        }
    }
}

impl Node {
    fn new(cluster: ClusterConfig, seed: u64, config: ServerConfig) -> Self {
        let mut state = seed;
        let entropy = move |dest: &mut [u8]| {
            for byte in dest {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                *byte = (state >> 56) as u8;
            }
        };
        let mut server = Server::clustered(config, cluster, entropy).unwrap();
        server.at(Timestamp::ZERO).add_namespace("/").unwrap();
        server.at(Timestamp::ZERO).add_namespace("/b").unwrap();
        server.at(Timestamp::ZERO).add_namespaces_matching(|name| name.starts_with("/d"));
        Self {
            server,
            in_flight: VecDeque::new(),
            answers: VecDeque::new(),
            inbox: VecDeque::new(),
            read: None,
            second_read: None,
            position: 0,
            events: Vec::new(),
            commands: Vec::new(),
            replies: VecDeque::new(),
            subscribed: BTreeSet::new(),
            births: BTreeMap::new(),
            answers_late: false,
            is_lazy: false,
            polling: BTreeMap::new(),
            gets: BTreeMap::new(),
            sockets: BTreeMap::new(),
            connections: BTreeMap::new(),
            frames: BTreeMap::new(),
        }
    }

    fn take(&mut self, now: Timestamp, output: ServerOutput<u32>, channels: [&Channel; 2]) {
        match output {
            ServerOutput::Cluster(ClusterOutput::Append(message)) => {
                if self.read.is_some() {
                    self.in_flight.push_back(Flight::Append(message));
                }
            }
            ServerOutput::Cluster(
                command @ (ClusterOutput::Store { .. }
                | ClusterOutput::Fetch { .. }
                | ClusterOutput::Take { .. }
                | ClusterOutput::Discard { .. }),
            ) => {
                if self.read.is_some() {
                    self.in_flight.push_back(Flight::Command(command));
                }
            }
            ServerOutput::Cluster(ClusterOutput::Read { channel: 0, after }) => {
                self.read = self.read.and_then(|_| channels[0].next(after));
                self.position = self.read.unwrap_or(self.position);
            }
            ServerOutput::Cluster(ClusterOutput::Read { after, .. }) => {
                self.second_read = self.second_read.and_then(|_| channels[1].next(after));
            }
            ServerOutput::Send { wire, frame: Frame::Text(text) } => {
                self.frames.entry(wire).or_default().push(text.to_string());
            }
            ServerOutput::Close { wire, .. } => {
                self.frames.entry(wire).or_default().push("closed".to_owned());
            }
            ServerOutput::Respond { wire, response } => self.take_response(wire, &response),
            ServerOutput::Event(event) => {
                match &event {
                    ServerEvent::ConnectionOpened { connection, wire } => {
                        self.connections.insert(connection.as_raw(), *wire);
                    }
                    ServerEvent::ConnectRequested { request, .. } if !self.answers_late => {
                        self.server.at(now).accept(*request);
                    }
                    ServerEvent::Connected { socket, connection, id, recovery, .. } => {
                        if !recovery.is_recovered() {
                            self.births.insert(id.to_string(), self.position);
                        }
                        let wire = self.connections[&connection.as_raw()];
                        self.sockets.insert(wire, *socket);
                    }
                    _ => {}
                }
                self.events.push(event);
            }
            ServerOutput::Cluster(command) => {
                if let ClusterOutput::Subscribe { namespace } = &command {
                    self.subscribed.insert(namespace.to_string());
                    self.replies
                        .push_back(ClusterInput::Subscribed { namespace: namespace.clone() });
                }
                if let ClusterOutput::Unsubscribe { namespace } = &command {
                    self.subscribed.remove(namespace.as_str());
                }
                self.commands.push(command);
            }
            other => panic!("unexpected: {other:?}"),
        }
    }
}

pub fn name(number: usize) -> NodeId {
    NodeId::new(format!("node-{number}")).unwrap()
}
