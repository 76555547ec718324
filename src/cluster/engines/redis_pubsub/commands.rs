//! What a node does, as commands.

use alloc::{format, string::String};

use super::{RedisCommand, RedisPubSubOptions};
use crate::{
    ConfigError,
    cluster::{
        engines::{
            redis_number::with_next,
            redis_streams::{RedisStreams, RedisStreamsOptions},
        },
        message::{ClassicPayload, DIGITS, Message, MessageError, NodeId, Place, classic_marker},
    },
    socket::NamespaceName,
};

/// Gives an entry the next number, and publishes it with that.
const APPEND: &str = with_next!(
    "\
redis.call('PUBLISH', ARGV[1], ARGV[2] .. next() .. ARGV[3])
return 1"
);

/// Publishes a marker with a number that is above all earlier ones, also above those that Redis has
/// forgotten in a restart: it is at least the time. It says which number came before it.
const MARK: &str = "\
local before = tonumber(redis.call('GET', KEYS[1]) or '0')
local t = redis.call('TIME')
local n = math.max(before + 1, t[1] * 1000000 + t[2])
redis.call('SET', KEYS[1], string.format('%.0f', n))
local d = '%020.0f'
redis.call('PUBLISH', ARGV[1],
  ARGV[2] .. string.format(d, before) .. ARGV[3] .. string.format(d, n))
return 1";

/// Bytes of everything else in the command that runs a script.
const FRAMES: usize = 128;

/// Makes commands and reads replies.
#[derive(Clone, Debug)]
pub struct RedisPubSub {
    pub(super) options: RedisPubSubOptions,
    /// The key of the number of the latest entry.
    position: String,
    /// Stores sessions in the same way.
    sessions: RedisStreams,
}

impl RedisPubSub {
    /// Makes it with these options.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if the key is empty, or the limit is zero.
    pub fn new(options: RedisPubSubOptions) -> Result<Self, ConfigError> {
        options.validate()?;
        let sessions = RedisStreamsOptions::new()
            .session_key_prefix(format!("{}-session#", options.key))
            .max_message_bytes(options.max_message_bytes);
        let position = format!("{}-position", options.key);
        Ok(Self { sessions: RedisStreams::new(sessions)?, position, options })
    }

    /// Returns the options.
    pub const fn options(&self) -> &RedisPubSubOptions {
        &self.options
    }

    /// Returns what stores sessions and takes them out. Keys and values are those of Redis Streams,
    /// except that the keys begin with `<key>-session#`.
    pub const fn sessions(&self) -> &RedisStreams {
        &self.sessions
    }

    /// Publishes an entry, with the next number. Do not send it again if its reply is lost: the
    /// entry may have been published, and the reader will tell.
    ///
    /// # Errors
    ///
    /// Report each of them to the node with
    /// [`ClusterInput::Rejected`](crate::cluster::ClusterInput::Rejected).
    ///
    /// * [`MessageError::NotForLog`] if it is a request or an answer.
    /// * [`MessageError::TooDeep`] if a value in it is nested more than 128 deep, or 512 in what is
    ///   written as JSON.
    /// * [`MessageError::TooLarge`] if it is larger than
    ///   [`max_message_bytes`](RedisPubSubOptions::max_message_bytes).
    pub fn append(&self, message: &Message) -> Result<RedisCommand, MessageError> {
        let ClassicPayload { place, text, rest } = message.to_classic_entry()?;
        self.check_len(text.len().saturating_add(DIGITS).saturating_add(rest.len()))?;
        let channel = self.channel(&message.namespace, &place, None, true);
        let bytes = channel.len().saturating_add(text.len());
        Ok(self.script(APPEND, bytes).arg(channel).arg(text).arg(rest))
    }

    /// Publishes a marker. Its reader, and every other, begins there or continues there.
    pub fn mark(&self, node: &NodeId, marker: u64) -> RedisCommand {
        let (first, second) = classic_marker(node.as_str(), marker);
        let channel = self.channel(&NamespaceName::ROOT, &Place::Own, None, true);
        let bytes = channel.len().saturating_add(first.len()).saturating_add(second.len());
        self.script(MARK, bytes).arg(channel).arg(first).arg(second)
    }

    /// Runs a script with arguments that have so many bytes.
    fn script(&self, script: &'static str, bytes: usize) -> RedisCommand {
        let names = script.len().saturating_add(self.position.len());
        let bytes = bytes.saturating_add(names).saturating_add(FRAMES);
        RedisCommand::with_room("EVAL", bytes).arg(script).arg("1").arg(&self.position)
    }

    /// Publishes a message without a number, to all nodes or to one.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append), except that everything may be published.
    pub fn publish(
        &self,
        message: &Message,
        to: Option<&NodeId>,
    ) -> Result<RedisCommand, MessageError> {
        let ClassicPayload { place, text, .. } = message.to_classic_message()?;
        self.check_len(text.len())?;
        let channel = self.channel(&message.namespace, &place, to, false);
        let bytes = channel.len().saturating_add(text.len()).saturating_add(FRAMES);
        Ok(RedisCommand::with_room("PUBLISH", bytes).arg(channel).arg(text))
    }

    /// Subscribes to all channels in which there may be entries, of all namespaces. It is done once,
    /// before [`mark`](Self::mark).
    pub fn subscribe_to_entries(&self) -> RedisCommand {
        self.patterns().into_iter().fold(RedisCommand::new("PSUBSCRIBE"), RedisCommand::arg)
    }

    /// Subscribes a node to everything else that is for it in a namespace. It has to be the same
    /// connection. Official nodes count the nodes by the first of these channels.
    pub fn subscribe(&self, namespace: &NamespaceName, node: &NodeId) -> RedisCommand {
        let all = RedisCommand::new("SUBSCRIBE");
        self.channels(namespace, node).into_iter().fold(all, RedisCommand::arg)
    }

    /// Ends these subscriptions.
    pub fn unsubscribe(&self, namespace: &NamespaceName, node: &NodeId) -> RedisCommand {
        let all = RedisCommand::new("UNSUBSCRIBE");
        self.channels(namespace, node).into_iter().fold(all, RedisCommand::arg)
    }

    /// Asks how many nodes there are in a namespace. Read the reply with
    /// [`RedisStreams::counted`].
    pub fn server_count(&self, namespace: &NamespaceName) -> RedisCommand {
        let channel = self.channel(namespace, &Place::Requests, None, false);
        RedisCommand::new("PUBSUB").arg("NUMSUB").arg(channel)
    }

    pub(super) fn check_len(&self, len: usize) -> Result<(), MessageError> {
        let limit = self.options.max_message_bytes;
        if len > limit { Err(MessageError::TooLarge { limit }) } else { Ok(()) }
    }
}
