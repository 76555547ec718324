//! How the nodes are connected with the channels, the store, and messages that are not stored.

use socketio_proto::cluster::{
    ClusterInput, ClusterOutput,
    message::{Message, NodeId},
};

use super::{Fleet, name};

/// A node that sends no heartbeats, and that answers when the test says what.
pub struct Official {
    pub id: NodeId,
    pub inbox: Vec<Message>,
}

/// Something on its way to the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Flight {
    Append(Message),
    Command(ClusterOutput),
}

impl Fleet {
    /// Connects a node with the engine.
    pub fn connect(&mut self, node: usize) {
        // The engine does nothing of its own before the node has said where it reads on.
        self.nodes[node].is_lazy = false;
        self.pump(node);
        let (oldest, head) = (self.channel.oldest(), self.channel.head());
        self.nodes[node].read = Some(self.channel.entries.len());
        // It does not get what was trimmed. A client may come in before the node asks for the rest.
        self.nodes[node].position = self.nodes[node].position.max(self.channel.trimmed);
        self.input(node, ClusterInput::Connected { channel: 0, oldest, head });
        if self.layout.count() > 1 {
            self.connect_second(node);
        }
    }

    /// Connects a node with the second channel.
    pub fn connect_second(&mut self, node: usize) {
        let (oldest, head) = (self.second.oldest(), self.second.head());
        self.nodes[node].second_read = Some(self.second.entries.len());
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

    /// The same, when the others were not sent, and the node knows that.
    pub fn cut_before_sending(&mut self, node: usize, taken: usize) {
        let unsent = self.nodes[node].in_flight.iter().filter_map(|flight| match flight {
            Flight::Append(message) => Some((message.namespace.clone(), message.stamp?.sequence)),
            Flight::Command(_) => None,
        });
        let unsent: Vec<_> = unsent.skip(taken).collect();
        self.cut(node, taken);
        for (namespace, sequence) in unsent {
            self.input(node, ClusterInput::NotSent { namespace, sequence });
        }
    }

    /// What is on its way from a node to the engine is carried out, up to the first append, or is lost.
    pub fn carry_out_or_lose(&mut self, node: usize, is_carried_out: bool) {
        if is_carried_out {
            self.take(node, 0);
        } else {
            self.nodes[node].in_flight.clear();
        }
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
            channel.append(Some(message));
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
                ClusterInput::Entry { channel: 0, position: self.channel.position(read), message },
            );
        }
    }

    /// A node reads entries of the second channel.
    pub fn read_second(&mut self, node: usize, count: usize) {
        for _ in 0..count {
            let Some(read) = self.nodes[node].second_read else { return };
            let Some(message) = self.second.entries.get(read).cloned() else { return };
            self.nodes[node].second_read = Some(read + 1);
            let position = self.second.position(read);
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
