//! Several servers that are nodes of a cluster, and an engine in memory between them.

use std::{collections::BTreeMap, time::Duration};

use socketio_proto::{
    ServerConfig,
    cluster::{
        ClusterConfig, ClusterInput, ClusterOutput, FetchedSession, StoreOutcome,
        message::{Message, NodeId, StoredSession},
    },
    recovery::Offset,
};

use super::fleet::{Drained, Fleet};

/// Nodes with the namespace `/`, and what they have appended and stored.
pub struct Cluster {
    pub nodes: Vec<Fleet>,
    names: Vec<NodeId>,
    /// How many entries the channel has had. Every node has read them.
    entries: u64,
    store: BTreeMap<String, (StoredSession, Duration)>,
}

impl Cluster {
    /// Connected nodes on which nothing happens by itself.
    pub fn new(count: usize, config: &ServerConfig) -> Self {
        let name = |number| NodeId::new(format!("node-{number}")).expect("a name");
        let names: Vec<NodeId> = (0..count).map(name).collect();
        let node = |name: &NodeId| Fleet::clustered(config.clone(), settings(name.clone()));
        let nodes = names.iter().map(node).collect();
        let mut cluster = Self { nodes, names, entries: 0, store: BTreeMap::new() };
        let (oldest, head) = (Offset::pair(0, 0), Offset::pair(0, 0));
        for node in 0..count {
            cluster.hand_in(node, ClusterInput::Connected { channel: 0, oldest, head });
        }
        cluster.settle();
        // The nodes then know each other.
        for node in &mut cluster.nodes {
            node.pass(Duration::from_secs(2));
        }
        cluster.settle();
        cluster
    }

    /// A node reads an entry that another one has appended.
    pub fn read(&mut self, node: usize, message: Message) {
        self.entries += 1;
        let position = Offset::pair(1, self.entries);
        self.hand_in(node, ClusterInput::Entry { channel: 0, position, message: Some(message) });
    }

    /// Carries everything that is output to where it goes, until nothing more comes. Returns what has
    /// come out of each node for its clients.
    pub fn settle(&mut self) -> Vec<Drained> {
        let mut drained: Vec<Drained> = self.nodes.iter().map(|_| Drained::default()).collect();
        loop {
            let mut is_over = true;
            for (node, drained) in drained.iter_mut().enumerate() {
                drained.add(self.nodes[node].drain());
                for output in std::mem::take(&mut self.nodes[node].outputs) {
                    is_over = false;
                    self.carry_out(node, output);
                }
            }
            if is_over {
                return drained;
            }
        }
    }

    fn carry_out(&mut self, node: usize, output: ClusterOutput) {
        match output {
            ClusterOutput::Append(message) => {
                self.entries += 1;
                let position = Offset::pair(1, self.entries);
                for node in 0..self.nodes.len() {
                    let message = Some((*message).clone());
                    self.hand_in(node, ClusterInput::Entry { channel: 0, position, message });
                }
            }
            ClusterOutput::Publish { to, message } => {
                for other in (0..self.nodes.len()).filter(|other| *other != node) {
                    if to.as_ref().is_none_or(|to| *to == self.names[other]) {
                        self.hand_in(other, ClusterInput::Message((*message).clone()));
                    }
                }
            }
            ClusterOutput::Subscribe { namespace } => {
                self.hand_in(node, ClusterInput::Subscribed { namespace });
            }
            ClusterOutput::CountServers { number, .. } => {
                let servers = Some(self.nodes.len() as u64);
                self.hand_in(node, ClusterInput::ServersCounted { number, servers });
            }
            ClusterOutput::Store { session, expires_in, number, .. } => {
                self.store.insert(session.pid.expose().to_string(), (session, expires_in));
                let outcome = StoreOutcome::Stored;
                self.hand_in(node, ClusterInput::Stored { number, outcome });
            }
            ClusterOutput::Fetch { key, number } => {
                let found = self.store.get(key.expose()).cloned();
                self.hand_in(node, fetched(number, found));
            }
            ClusterOutput::Take { key, number, .. } => {
                let found = self.store.remove(key.expose());
                self.hand_in(node, fetched(number, found));
            }
            // All of the channel is handed in anyway.
            ClusterOutput::Read { .. } => {}
            other => unreachable!("unknown: {other:?}"),
        }
    }

    fn hand_in(&mut self, node: usize, input: ClusterInput) {
        let fleet = &mut self.nodes[node];
        fleet.server.handle_cluster(fleet.now, input);
    }
}

fn fetched(number: u64, found: Option<(StoredSession, Duration)>) -> ClusterInput {
    let session = found.map(|(session, left)| FetchedSession::new(session, left));
    ClusterInput::Fetched { number, session }
}

/// Nothing is sent by itself, and no limit is reached.
fn settings(name: NodeId) -> ClusterConfig {
    const HOUR: Duration = Duration::from_secs(3_600);
    ClusterConfig::new(name)
        .heartbeat_interval(10 * HOUR)
        .heartbeat_timeout(30 * HOUR)
        .append_queue(10_000_000)
        .append_queue_bytes(1 << 40)
}
