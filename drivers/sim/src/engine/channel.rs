//! A channel: entries in one order.

use socketio_proto::{cluster::message::Message, recovery::Offset};

use super::Positions;

/// One sequence of entries.
///
/// ```
/// use socketio_proto::cluster::message::{Body, Message, NodeId};
/// use socketio_proto::socket::NamespaceName;
/// use socketio_proto_sim::engine::Channel;
///
/// let mut channel = Channel::default();
/// let message = Message::new(NodeId::new("a").unwrap(), NamespaceName::ROOT, Body::Heartbeat);
/// channel.append(Some(message));
/// assert_eq!(channel.next(channel.before(1)), Some(1), "nothing comes after it");
/// channel.trim(1);
/// assert_eq!(channel.oldest(), channel.head());
/// ```
#[derive(Clone, Debug)]
pub struct Channel {
    /// Everything that was ever appended, also what was trimmed. `None` is an entry that nobody can
    /// read.
    pub entries: Vec<Option<Message>>,
    /// How many entries at the beginning the engine does not have any more.
    pub trimmed: usize,
    positions: Positions,
}

impl Default for Channel {
    fn default() -> Self {
        Self::new(Positions::Pairs)
    }
}

impl Channel {
    /// An empty channel.
    pub const fn new(positions: Positions) -> Self {
        Self { entries: Vec::new(), trimmed: 0, positions }
    }

    /// Appends an entry and returns its index.
    pub fn append(&mut self, message: Option<Message>) -> usize {
        self.entries.push(message);
        self.entries.len() - 1
    }

    /// Forgets everything before the entry with this index.
    pub fn trim(&mut self, index: usize) {
        self.trimmed = self.trimmed.max(index.min(self.entries.len()));
    }

    /// The position of the entry with this index.
    pub fn position(&self, index: usize) -> Offset {
        self.positions.of(index)
    }

    /// The position before the entry with this index.
    pub fn before(&self, index: usize) -> Offset {
        self.positions.before(index)
    }

    /// The position after which every entry can be read.
    pub fn oldest(&self) -> Offset {
        self.before(self.trimmed)
    }

    /// The position of the latest entry.
    pub fn head(&self) -> Offset {
        self.before(self.entries.len())
    }

    /// The index of the next entry after a position that can be read, or of the one that is appended
    /// next. `None` if the position is after that one.
    pub fn next(&self, after: Offset) -> Option<usize> {
        let (mut low, mut high) = (self.trimmed, self.entries.len() + 1);
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.position(middle) > after { high = middle } else { low = middle + 1 }
        }
        (low <= self.entries.len()).then_some(low)
    }
}
