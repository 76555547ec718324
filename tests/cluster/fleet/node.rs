//! One node, and what it has put out.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use socketio_proto::{
    ServerConfig, SocketKey, Timestamp, WireId,
    cluster::{ClusterConfig, ClusterInput, ClusterOutput, message::Message},
    engine::Frame,
    server::{Server, ServerEvent, ServerOutput},
};

use socketio_proto_sim::engine::Channel;

use super::{engine::Flight, polling::Polling};

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
    pub(super) replies: VecDeque<ClusterInput>,
    /// The namespaces whose messages it receives.
    pub subscribed: BTreeSet<String>,
    /// Where in the channel each session began, by the id of its socket.
    pub births: BTreeMap<String, usize>,
    /// Whether the test answers its clients, and not the fleet.
    pub answers_late: bool,
    /// Whether its output is left where it is for a while.
    pub is_lazy: bool,
    pub(super) polling: BTreeMap<WireId, Polling>,
    /// The client of each GET.
    pub(super) gets: BTreeMap<WireId, WireId>,
    pub(super) sockets: BTreeMap<WireId, SocketKey>,
    connections: BTreeMap<u64, WireId>,
    pub(super) frames: BTreeMap<WireId, Vec<String>>,
}

impl Node {
    pub(super) fn new(cluster: ClusterConfig, seed: u64, config: ServerConfig) -> Self {
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

    pub(super) fn take(
        &mut self,
        now: Timestamp,
        output: ServerOutput<u32>,
        channels: [&Channel; 2],
    ) {
        match output {
            ServerOutput::Cluster(ClusterOutput::Append(message)) => {
                if self.read.is_some() {
                    self.in_flight.push_back(Flight::Append(Arc::unwrap_or_clone(message)));
                }
            }
            ServerOutput::Cluster(
                command @ (ClusterOutput::Store { .. }
                | ClusterOutput::Fetch { .. }
                | ClusterOutput::Take { .. }),
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
