//! What a subscriber receives, in its order.

use bytes::Bytes;

use super::{RedisCommand, RedisPubSub, names::Channel, unnamed::Unnamed};
use crate::{
    cluster::message::{ClassicEntry, Message, MessageError, MessageNames, NodeId},
    recovery::Offset,
    socket::NamespaceName,
};

/// Reads what the connection for subscriptions receives, in its order.
///
/// ```text
///   Redis publishes:   7   8   x   x   9   m   x   11        7, 8, 9, 11: entries with their number
///   positions:       7-0 8-0 8-1 8-2 9-0     10-1 11-0        x: of official nodes; m: a marker, 10
/// ```
///
/// A standalone Redis publishes everything in one order. So all nodes give what official nodes publish
/// the same positions, although it has no numbers: they count it.
#[derive(Clone, Debug)]
pub struct PubSubReader {
    redis: RedisPubSub,
    node: NodeId,
    /// The marker at which it begins.
    begin: u64,
    /// The latest number, and how much without a number has come since. `None` before the marker.
    at: Option<(u64, u64)>,
    unnamed: Unnamed,
    names: MessageNames,
}

/// What was received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// The next entry.
    Entry {
        /// Its position.
        position: Offset,
        /// What it says, or why nobody can read it. Its position counts all the same.
        message: Result<Message, MessageError>,
    },
    /// A message that is not an entry.
    Message(Message),
    /// A marker of this node or another one.
    Marker {
        /// Which one.
        marker: u64,
        /// Everything published before it has a smaller position.
        position: Offset,
    },
    /// Send this command over the connection for subscriptions. Only from
    /// [sharded channels](crate::cluster::engines::redis_sharded).
    Adopt(RedisCommand),
    /// From now on, the node receives what is published in a namespace. Only from
    /// [sharded channels](crate::cluster::engines::redis_sharded).
    Subscribed(NamespaceName),
    /// Nothing for this node.
    Nothing,
    /// Something is missing: Redis has forgotten the number of the latest entry. The reader can go on
    /// only from a new marker.
    Gap,
}

impl PubSubReader {
    /// A reader for this node that begins at a [marker](RedisPubSub::mark). Draw its number at random.
    pub fn new(redis: RedisPubSub, node: NodeId, marker: u64) -> Self {
        let (unnamed, names) = (Unnamed::default(), MessageNames::default());
        Self { redis, node, begin: marker, at: None, unnamed, names }
    }

    /// Returns the marker at which it begins.
    pub const fn begin(&self) -> u64 {
        self.begin
    }

    /// Returns the position of the latest entry or marker. `None` before the first marker.
    pub fn position(&self) -> Option<Offset> {
        let (number, behind) = self.at?;
        Some(Offset::pair(number, behind))
    }

    /// Reads what has come through a pattern (`pmessage`): entries and requests.
    pub fn read_pattern(&mut self, channel: &str, payload: &Bytes) -> Received {
        let entry = match self.redis.kind_of(channel) {
            Some(Channel::Broadcasts) => match self.redis.check_len(payload.len()) {
                Ok(()) => ClassicEntry::broadcast(payload, &mut self.names),
                Err(error) => ClassicEntry { number: None, marker: None, message: Err(error) },
            },
            Some(Channel::Requests(namespace)) => self.request(namespace, payload),
            _ => return Received::Nothing,
        };
        let ClassicEntry { number, marker, message } = entry;
        if let Some((number, (marker, before))) = number.zip(marker) {
            return self.read_marker(number, marker, before);
        }
        let Some((latest, behind)) = &mut self.at else { return Received::Nothing };
        // Whatever it says has a place: all nodes must count the same.
        if let Some(number) = number {
            if latest.checked_add(1) != Some(number) {
                self.at = None;
                return Received::Gap;
            }
            (*latest, *behind) = (number, 0);
        } else {
            *behind = behind.saturating_add(1);
        }
        let position = Offset::pair(*latest, *behind);
        match message {
            Ok(message) if number.is_none() && !message.body.is_entry() => {
                Received::Message(message)
            }
            message => Received::Entry { position, message },
        }
    }

    /// Reads what has come through a channel that the node has subscribed to by its name (`message`):
    /// answers, and what nodes of this crate say to each other.
    pub fn read_channel(&mut self, channel: &str, payload: &Bytes) -> Received {
        let message = match self.redis.kind_of(channel) {
            Some(Channel::Answers(names)) => self.answer(names, payload),
            Some(Channel::Own) => {
                let is_short = self.redis.check_len(payload.len());
                is_short.and_then(|()| Message::from_msgpack(&copy(payload)))
            }
            // The pattern brings requests as well.
            _ => return Received::Nothing,
        };
        message.map_or(Received::Nothing, Received::Message)
    }

    fn read_marker(&mut self, number: u64, marker: u64, before: u64) -> Received {
        let is_begin = self.at.is_none() && marker == self.begin;
        let is_next = self.at.is_some_and(|(latest, _)| latest == before && latest < number);
        if !is_begin && !is_next {
            let was_reading = self.at.take().is_some();
            return if was_reading { Received::Gap } else { Received::Nothing };
        }
        self.at = Some((number, 0));
        Received::Marker { marker, position: Offset::pair(number, 0) }
    }

    fn request(&self, namespace: &str, payload: &Bytes) -> ClassicEntry {
        let unreadable = |error| ClassicEntry { number: None, marker: None, message: Err(error) };
        if let Err(error) = self.redis.check_len(payload.len()) {
            return unreadable(error);
        }
        match NamespaceName::read(namespace) {
            Some(namespace) => ClassicEntry::request(&namespace, &copy(payload)),
            None => unreadable(MessageError::Namespace),
        }
    }

    fn answer(&mut self, names: &str, payload: &Bytes) -> Result<Message, MessageError> {
        self.redis.check_len(payload.len())?;
        let own = names.strip_suffix(self.node.as_str());
        let name = own.and_then(|name| name.strip_suffix('#')).unwrap_or(names);
        let namespace = NamespaceName::read(name).ok_or(MessageError::Namespace)?;
        let (mut message, is_named) = ClassicEntry::answer(&namespace, &copy(payload))?;
        if !is_named {
            message.sender = self.unnamed.sender(&message.body);
        }
        Ok(message)
    }
}

/// A copy. A node keeps parts of what it reads, which must not keep all that has come with it.
fn copy(payload: &[u8]) -> Bytes {
    Bytes::copy_from_slice(payload)
}
