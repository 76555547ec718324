//! Nodes, their clients, and the engine between them.

mod clients;
mod engine;
mod node;
mod polling;

use std::{ops::Range, time::Duration};

pub use self::{
    clients::{Client, websocket},
    engine::{Flight, Official},
    node::Node,
};
use socketio_proto::{
    RecoveryConfig, ServerConfig, Timestamp,
    cluster::{Channels, ClusterConfig, ClusterInput, ClusterOutput, Durability, message::NodeId},
    hub::At,
    server::{ServerInput, ServerOutput},
};
use socketio_proto_sim::engine::{Channel, Store};

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
    /// When each node stores its sessions, in turns.
    pub durability: Vec<Durability>,
    config: ServerConfig,
    layout: Channels,
    starts: u64,
    next_wire: u64,
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
            durability: vec![Durability::OnPark],
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
        (0..nodes).for_each(|node| fleet.add(node));
        fleet
    }

    /// The same with nodes that store their sessions at these times.
    pub fn durable(durability: &[Durability]) -> Self {
        // Its clients do not answer pings.
        let config = ServerConfig::new().ping_interval(Duration::from_secs(86_400));
        let config = config.recovery(RecoveryConfig::new());
        let mut fleet = Self::disconnected(0, &config);
        fleet.durability = durability.to_vec();
        (0..durability.len()).for_each(|node| fleet.add(node));
        fleet
    }

    /// One more node, which is connected.
    pub fn add(&mut self, node: usize) {
        self.add_disconnected(node);
        self.connect(node);
    }

    pub fn add_disconnected(&mut self, node: usize) {
        let started = self.start(node);
        self.nodes.push(started);
    }

    /// A process ends, and the next one starts in its place. The links break.
    pub fn crash(&mut self, node: usize) {
        self.nodes[node] = self.start(node);
    }

    fn start(&mut self, number: usize) -> Node {
        self.starts += 1;
        let cluster = (self.cluster)(ClusterConfig::new(name(number)).append_queue(20));
        let cluster = cluster.durability(self.durability[number % self.durability.len()]);
        Node::new(cluster.channels(self.layout), self.starts, self.config.clone())
    }

    pub fn input(&mut self, node: usize, input: ClusterInput) {
        self.nodes[node].server.handle_cluster(self.now, input);
        self.pump(node);
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

    /// How many sessions the first ones of its nodes have.
    pub fn sessions(&self, nodes: usize) -> usize {
        let stats = self.nodes[..nodes].iter().map(|it| it.server.stats());
        stats.map(|stats| stats.sockets + stats.parked_sessions).sum()
    }
}

pub fn name(number: usize) -> NodeId {
    NodeId::new(format!("node-{number}")).unwrap()
}
