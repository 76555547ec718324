//! What a subscriber receives, in its order.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, VecDeque},
    string::String,
    vec::Vec,
};

use bytes::Bytes;

use super::{
    Received, RedisCommand, RedisSharded,
    line::{self, Heard, Line},
};
use crate::{
    cluster::message::{
        Addressed, Body, Message, MessageError, MessageNames, NodeId, OwnKind, Value,
    },
    recovery::Offset,
    socket::NamespaceName,
};

/// Reads what the connection for subscriptions receives, in its order. Give it everything with
/// [`read`](Self::read), and take out what it says with [`poll`](Self::poll).
///
/// What an official node publishes is held until it comes back in the log. What is behind it and is not
/// for the log is held as well, so that the order of each sender is kept.
#[derive(Clone, Debug)]
pub struct ShardedReader {
    redis: RedisSharded,
    node: NodeId,
    /// The marker at which it begins.
    begin: u64,
    /// The latest number. `None` before the marker.
    at: Option<u64>,
    /// The official channels that it hears, by their names.
    channels: BTreeMap<String, Hearing>,
    waiting: VecDeque<Waiting>,
    ready: VecDeque<Received>,
    names: MessageNames,
}

/// How much was heard in a channel.
#[derive(Clone, Debug)]
struct Hearing {
    namespace: NamespaceName,
    /// The marker from which on this node hears the channel.
    marker: u64,
    /// The latest marker of any node. `None` before its own.
    epoch: Option<u64>,
    /// What official nodes have published since.
    count: u64,
    /// Whether all commands for the namespace have been carried out.
    is_complete: bool,
}

/// What is held.
#[derive(Clone, Debug)]
enum Waiting {
    /// Something that is not in the log yet, unless it is done.
    Foreign {
        heard: Heard,
        is_done: bool,
    },
    Message(Box<Message>),
}

impl ShardedReader {
    /// A reader for this node that begins at a [marker](RedisSharded::mark). Draw its number at random.
    pub fn new(redis: RedisSharded, node: NodeId, marker: u64) -> Self {
        Self {
            redis,
            node,
            begin: marker,
            at: None,
            channels: BTreeMap::new(),
            waiting: VecDeque::new(),
            ready: VecDeque::new(),
            names: MessageNames::default(),
        }
    }

    /// Returns the marker at which it begins.
    pub const fn begin(&self) -> u64 {
        self.begin
    }

    /// Returns the position of the latest entry or marker. `None` before the first marker.
    pub fn position(&self) -> Option<Offset> {
        Some(Offset::pair(self.at?, 0))
    }

    /// Subscribes to a namespace, and returns the commands for that, in their order. Draw the number of
    /// the marker at random. When they are carried out, call [`subscribed`](Self::subscribed).
    pub fn subscribe(&mut self, namespace: &NamespaceName, marker: u64) -> Vec<RedisCommand> {
        let main = self.redis.main_channel(namespace);
        if self.channels.contains_key(&main) {
            return Vec::new();
        }
        let hearing = Hearing {
            namespace: namespace.clone(),
            marker,
            epoch: None,
            count: 0,
            is_complete: false,
        };
        self.channels.insert(main.clone(), hearing);
        let subscribe = |channel: String| RedisCommand::new("SSUBSCRIBE").arg(channel);
        // The last one says that this node hears the others.
        [
            subscribe(main),
            subscribe(self.redis.node_channel(namespace, &self.node)),
            self.redis.hear(namespace, &self.node, marker),
            subscribe(self.redis.own_channel(namespace)),
        ]
        .into()
    }

    /// The commands for a subscription have been carried out. [`Received::Subscribed`] tells when
    /// nothing is missed any longer.
    pub fn subscribed(&mut self, namespace: &NamespaceName) {
        let main = self.redis.main_channel(namespace);
        let Some(hearing) = self.channels.get_mut(&main) else { return };
        hearing.is_complete = true;
        if hearing.epoch.is_some() {
            self.ready.push_back(Received::Subscribed(namespace.clone()));
        }
    }

    /// Ends the subscriptions to a namespace, and returns the commands for that.
    pub fn unsubscribe(&mut self, namespace: &NamespaceName) -> Vec<RedisCommand> {
        let main = self.redis.main_channel(namespace);
        if self.channels.remove(&main).is_none() {
            return Vec::new();
        }
        for waiting in &mut self.waiting {
            if let Waiting::Foreign { heard, is_done } = waiting
                && heard.channel == main
            {
                *is_done = true;
            }
        }
        self.release();
        let own = self.redis.own_channel(namespace);
        let node = self.redis.node_channel(namespace, &self.node);
        // From the first one on, others do not rely on it.
        [own, main, node].map(|it| RedisCommand::new("SUNSUBSCRIBE").arg(it)).into()
    }

    /// Reads what was published in a channel (`smessage`).
    pub fn read(&mut self, channel: &str, payload: &Bytes) {
        if channel == &**self.redis.log() {
            return self.read_line(payload);
        }
        if self.channels.contains_key(channel) {
            return self.hear(channel, payload);
        }
        if let Ok(message) = self.message(payload)
            && !message.body.is_entry()
        {
            self.ready.push_back(Received::Message(message));
        }
    }

    /// Returns what it says next.
    pub fn poll(&mut self) -> Option<Received> {
        self.ready.pop_front()
    }

    fn message(&mut self, payload: &Bytes) -> Result<Message, MessageError> {
        self.redis.check_len(payload.len())?;
        if let Some(message) = Message::of_usual_json(payload, &mut self.names) {
            return Ok(message);
        }
        // A node keeps parts of it, which must not keep all that has come with it.
        Ok(Addressed::read(&Bytes::copy_from_slice(payload), None)?.message)
    }

    fn read_line(&mut self, payload: &Bytes) {
        let Some((number, line)) = line::read(payload) else {
            // Nobody gives it a number either.
            return;
        };
        if let Some(Line::Marker { before, marker }) = line {
            return self.read_marker(number, marker, before);
        }
        let Some(latest) = &mut self.at else { return };
        if latest.checked_add(1) != Some(number) {
            return self.fail();
        }
        *latest = number;
        let position = Offset::pair(number, 0);
        let message = match &line {
            Some(Line::Entry(payload) | Line::Foreign(_, payload)) => self.message(payload),
            Some(Line::Unheard(namespace)) => {
                let body = Body::Own { kind: OwnKind::Unheard, data: Value::null() };
                Ok(Message::new(NodeId::EMITTER, namespace.clone(), body))
            }
            _ => Err(MessageError::Malformed),
        };
        self.ready.push_back(Received::Entry { position, message });
        if let Some(Line::Foreign(which, _)) = line {
            for waiting in &mut self.waiting {
                if let Waiting::Foreign { heard, is_done } = waiting
                    && *heard == which
                {
                    *is_done = true;
                    break;
                }
            }
            self.release();
        }
    }

    fn read_marker(&mut self, number: u64, marker: u64, before: u64) {
        let is_begin = self.at.is_none() && marker == self.begin;
        let is_next = self.at.is_some_and(|latest| latest == before && latest < number);
        if !is_begin && !is_next {
            if self.at.is_some() {
                self.fail();
            }
            return;
        }
        self.at = Some(number);
        let position = Offset::pair(number, 0);
        self.ready.push_back(Received::Marker { marker, position });
    }

    /// Something is missing.
    fn fail(&mut self) {
        self.at = None;
        self.waiting.clear();
        self.ready.push_back(Received::Gap);
    }

    /// Reads what was published in an official channel.
    fn hear(&mut self, channel: &str, payload: &Bytes) {
        if Message::begins_with_number(payload) {
            // An entry of this crate comes in the log.
            return self.hear_marker(channel, payload);
        }
        let message = self.message(payload);
        let Some(hearing) = self.channels.get_mut(channel) else { return };
        let Some((epoch, _)) = hearing.epoch.zip(self.at) else { return };
        // Whatever it says, it counts: all nodes must count the same.
        hearing.count = hearing.count.saturating_add(1);
        if let Some(message) = message.ok().filter(|message| !message.body.is_entry()) {
            self.waiting.push_back(Waiting::Message(message.into()));
            return self.release();
        }
        let heard = Heard { channel: channel.into(), epoch, count: hearing.count };
        self.ready.push_back(Received::Adopt(self.redis.adopt(&heard, payload)));
        self.waiting.push_back(Waiting::Foreign { heard, is_done: false });
    }

    fn hear_marker(&mut self, channel: &str, payload: &Bytes) {
        let Some(hearing) = self.channels.get_mut(channel) else { return };
        let read = is_marker(payload).then(|| Addressed::read(payload, None));
        let Some(Ok(Addressed { message: Message { stamp: Some(stamp), .. }, .. })) = read else {
            return;
        };
        let is_own = stamp.sequence == hearing.marker;
        if hearing.epoch.is_none() && is_own && hearing.is_complete {
            self.ready.push_back(Received::Subscribed(hearing.namespace.clone()));
        }
        // From its own on, it hears those of all others.
        if hearing.epoch.is_some() || is_own {
            (hearing.epoch, hearing.count) = (Some(stamp.sequence), 0);
        }
    }

    /// Lets out what need not wait any longer.
    fn release(&mut self) {
        while let Some(first) = self.waiting.pop_front() {
            match first {
                Waiting::Foreign { is_done: false, .. } => {
                    self.waiting.push_front(first);
                    return;
                }
                Waiting::Foreign { .. } => {}
                Waiting::Message(message) => self.ready.push_back(Received::Message(*message)),
            }
        }
    }
}

/// Whether what begins with a number is a marker. It has no attachments, so it is JSON.
fn is_marker(payload: &[u8]) -> bool {
    const KIND: u64 = OwnKind::Marker.number();
    const _: () = assert!(KIND == 65, "the text below");
    let digits = payload.strip_prefix(b"{\"seq\":").unwrap_or_default();
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or_default();
    digits.get(end..).is_some_and(|rest| rest.starts_with(b",\"type\":65,"))
}
