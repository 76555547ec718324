//! The engine between the nodes: channels, a store, and messages that are not stored.

use std::collections::BTreeMap;

use socketio_proto::{
    Timestamp,
    cluster::{
        ClusterInput, ClusterOutput, FetchedSession, StoreOutcome,
        message::{Message, NodeId, StoredSession},
    },
    recovery::Offset,
};

use super::{Fleet, name};

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
    pub(super) carried_out: usize,
}

/// Something on its way to the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Flight {
    Append(Message),
    Command(ClusterOutput),
}

impl Channel {
    /// The position of an entry.
    pub fn position(index: usize) -> Offset {
        Offset::pair(7_000 + index as u64 / 3, index as u64 % 3)
    }

    /// The index of the next entry after a position.
    pub(super) fn next(&self, after: Offset) -> Option<usize> {
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
            ClusterOutput::Store { session, expires_in, replaces, number } => {
                let key = session.pid.expose().to_string();
                let there = self.sessions.get(&key).and_then(|(it, _)| it.version);
                let outcome = if self.is_full {
                    StoreOutcome::Refused
                } else if replaces.is_some() && replaces != there {
                    StoreOutcome::Superseded
                } else {
                    self.sessions.insert(key, (session, now.saturating_add(expires_in)));
                    StoreOutcome::Stored
                };
                ClusterInput::Stored { number, outcome }
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

    /// How many nodes receive what is published in a namespace.
    pub(super) fn servers(&self, namespace: &str) -> u64 {
        let nodes = self.nodes.iter().filter(|node| node.subscribed.contains(namespace)).count();
        (nodes + self.officials.len()) as u64
    }

    pub(super) fn publish(&mut self, from: usize, to: Option<&NodeId>, message: &Message) {
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
