//! The links between the nodes of a cluster and their engine. They lag, and they break, also between a
//! command and its answer.

use std::collections::{BTreeSet, VecDeque};

use socketio_proto::{
    RecoveryKey,
    cluster::{Channels, ClusterInput, ClusterOutput, message::NodeId},
    socket::NamespaceName,
};

use super::nodes;
use crate::{
    Agenda, Cluster, Rng,
    engine::{Channel, EngineOptions, Store},
};

/// The engine with its links, one per node.
pub(super) struct Links {
    pub(super) options: EngineOptions,
    pub(super) layout: Channels,
    pub(super) channels: Vec<Channel>,
    pub(super) store: Store,
    /// Commands to take sessions whose clients are away, by node and number. Nobody has claimed these.
    pub(super) unclaimed: BTreeSet<(usize, u64)>,
    pub(super) of_nodes: Vec<Link>,
}

/// The link of one node.
pub(super) struct Link {
    pub(super) node: NodeId,
    pub(super) is_up: bool,
    /// Counts the connections.
    pub(super) generation: u64,
    /// Whether the node has not heard yet that the link is down.
    pub(super) is_unheard: bool,
    /// How many entries of each channel the node was handed.
    pub(super) read: Vec<usize>,
    /// The next entry of each channel on its way to the node.
    pub(super) cursors: Vec<Option<usize>>,
    /// Where each channel was when the link came up.
    pub(super) origins: Vec<usize>,
    pub(super) subscribed: BTreeSet<NamespaceName>,
    /// Whether commands for sessions can overtake each other.
    stores_at_once: bool,
    /// On its way to the engine.
    up: VecDeque<ClusterOutput>,
    /// On its way to the node.
    down: [VecDeque<Parcel>; 3],
    /// When the latest of each arrives.
    times: [u64; 4],
    rng: Rng,
}

/// The kind of a command.
pub(super) const fn kind(command: &ClusterOutput) -> &'static str {
    match command {
        ClusterOutput::Read { .. } => "Read",
        ClusterOutput::Append(_) => "Append",
        ClusterOutput::Publish { .. } => "Publish",
        ClusterOutput::Subscribe { .. } => "Subscribe",
        ClusterOutput::Unsubscribe { .. } => "Unsubscribe",
        ClusterOutput::CountServers { .. } => "CountServers",
        ClusterOutput::Store { .. } => "Store",
        ClusterOutput::Fetch { .. } => "Fetch",
        ClusterOutput::Take { .. } => "Take",
        _ => "other",
    }
}

/// The session that a command is for.
const fn session(command: &ClusterOutput) -> Option<&RecoveryKey> {
    match command {
        ClusterOutput::Store { session, .. } => Some(&session.pid),
        ClusterOutput::Fetch { key, .. } | ClusterOutput::Take { key, .. } => Some(key),
        _ => None,
    }
}

/// Something on its way to a node.
#[derive(Debug)]
pub(super) enum Parcel {
    Entry(usize, usize),
    Input(Box<ClusterInput>),
}

/// What overtakes nothing of the same lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Answers,
    Entries,
    Messages,
}

/// Something that happens on a link later.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkTask {
    pub(super) node: usize,
    /// Of which connection. It does not happen if that is broken.
    pub(super) generation: u64,
    pub(super) step: LinkStep,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum LinkStep {
    /// The engine takes the next command.
    Take,
    /// The node gets the next parcel.
    Hand(Lane),
    /// The link comes up.
    Open,
}

impl Links {
    pub(super) fn new(seed: u64, cluster: &Cluster) -> Self {
        let options = cluster.engine.clone();
        let count = options.channels as usize;
        let link = |number: usize| {
            let stores_at_once = options.stores_at_once;
            Link { stores_at_once, ..Link::new(seed, number, count) }
        };
        Self {
            layout: nodes::layout(cluster),
            channels: vec![Channel::new(options.positions); count],
            store: Store::default(),
            unclaimed: BTreeSet::new(),
            of_nodes: (0..cluster.nodes).map(link).collect(),
            options: options.clone(),
        }
    }

    /// Sends something to the engine.
    pub(super) fn send<T>(
        &mut self,
        (agenda, now): (&mut Agenda<T>, u64),
        node: usize,
        command: ClusterOutput,
        task: impl Fn(LinkTask) -> T,
    ) {
        let link = &mut self.of_nodes[node];
        if link.is_up {
            link.up.push_back(command);
            let latency = self.options.latency;
            let at = now + link.rng.range(latency.least, latency.most);
            link.times[3] = link.times[3].max(at);
            let step = LinkStep::Take;
            agenda.plan(link.times[3], task(LinkTask { node, generation: link.generation, step }));
        }
    }

    /// Sends something to a node.
    pub(super) fn hand<T>(
        &mut self,
        (agenda, now): (&mut Agenda<T>, u64),
        node: usize,
        lane: Lane,
        parcel: Parcel,
        task: impl Fn(LinkTask) -> T,
    ) {
        let link = &mut self.of_nodes[node];
        let lag = if lane == Lane::Entries { self.options.lag } else { 0 };
        let latency = self.options.latency;
        let at = now + link.rng.range(latency.least, latency.most) + link.rng.below(lag + 1);
        let time = &mut link.times[lane as usize];
        *time = (*time).max(at);
        link.down[lane as usize].push_back(parcel);
        let step = LinkStep::Hand(lane);
        agenda.plan(*time, task(LinkTask { node, generation: link.generation, step }));
    }

    /// The nodes to which an entry is on its way from now on.
    pub(super) fn readers(&mut self, channel: usize, index: usize) -> Vec<usize> {
        let links = self.of_nodes.iter_mut().enumerate();
        let readers = links.filter_map(|(node, link)| {
            let cursor = link.cursors[channel].filter(|cursor| *cursor == index && link.is_up)?;
            link.cursors[channel] = Some(cursor + 1);
            Some(node)
        });
        readers.collect()
    }

    /// How many nodes receive what is published in a namespace. `None` if the engine does not count.
    pub(super) fn count(&self, namespace: &NamespaceName) -> Option<u64> {
        let subscribed = self.of_nodes.iter().filter(|link| link.subscribed.contains(namespace));
        self.options.counts_nodes.then(|| subscribed.count() as u64)
    }

    /// Whether a message is lost on its way to a node.
    pub(super) fn loses_message(&mut self, node: usize) -> bool {
        let lost = self.options.lost_messages;
        self.of_nodes[node].rng.chance(lost)
    }

    /// The nodes other than the sender that a message is for.
    pub(super) fn addressees(
        &self,
        from: usize,
        to: Option<&NodeId>,
        namespace: &NamespaceName,
    ) -> Vec<usize> {
        let links = self.of_nodes.iter().enumerate();
        let others = links.filter(|(node, link)| {
            let is_addressed = *node != from && to.is_none_or(|to| *to == link.node);
            is_addressed && link.subscribed.contains(namespace)
        });
        others.map(|(node, _)| node).collect()
    }
}

impl Link {
    fn new(seed: u64, number: usize, channels: usize) -> Self {
        Self {
            node: nodes::name(number, 0),
            is_up: false,
            generation: 0,
            is_unheard: false,
            read: vec![0; channels],
            cursors: vec![None; channels],
            origins: vec![0; channels],
            subscribed: BTreeSet::new(),
            stores_at_once: false,
            up: VecDeque::new(),
            down: Default::default(),
            times: [0; 4],
            rng: Rng::keyed(seed, &[0xe9, number as u64]),
        }
    }

    /// Takes the next command that arrives at the engine.
    pub(super) fn next_command(&mut self) -> Option<ClusterOutput> {
        let next = if self.stores_at_once { self.firsts_of_sessions() } else { Vec::new() };
        match next[..] {
            [] | [_] => self.up.pop_front(),
            _ => self.up.remove(next[self.rng.index(next.len())]),
        }
    }

    /// The first command for each session, of those that nothing else is in front of.
    fn firsts_of_sessions(&self) -> Vec<usize> {
        let sessions = self.up.iter().map_while(session);
        let mut seen = BTreeSet::new();
        let firsts = sessions.enumerate().filter(|(_, key)| seen.insert(key.expose()));
        firsts.map(|(index, _)| index).collect()
    }

    /// Takes the next parcel that arrives at the node.
    pub(super) fn next_parcel(&mut self, lane: Lane) -> Option<Parcel> {
        self.down[lane as usize].pop_front()
    }

    /// How many of the commands on their way arrive although the link breaks now.
    pub(super) fn survivors(&mut self) -> usize {
        self.rng.index(self.up.len() + 1)
    }

    /// Nothing of what is on its way to the engine arrives.
    pub(super) fn lose_commands(&mut self) {
        self.up.clear();
    }

    /// The link breaks: nothing that is on its way arrives.
    pub(super) fn down(&mut self) {
        self.is_up = false;
        self.generation += 1;
        self.up.clear();
        self.down.iter_mut().for_each(VecDeque::clear);
        self.cursors.fill(None);
        self.subscribed.clear();
    }

    /// Another process has taken the place of the node.
    pub(super) fn restart(&mut self, node: NodeId) {
        self.node = node;
        self.is_unheard = false;
        self.read.fill(0);
    }
}
