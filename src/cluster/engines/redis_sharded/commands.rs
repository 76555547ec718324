//! What a node does, as commands.

use alloc::{format, string::String};

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    RedisCommand, RedisShardedOptions,
    line::{self, Heard},
    scripts,
};
use crate::{
    ConfigError,
    cluster::{
        engines::redis_streams::{RedisStreams, RedisStreamsOptions},
        message::{Body, Message, MessageError, NodeId, OwnKind, Stamp, Value},
    },
    socket::NamespaceName,
};

/// Nothing else than namespaces begins with a slash. So these are channels of this crate.
const OWN: &str = "socketio-proto";

/// How long Redis remembers what was heard last in a channel. Longer than any node takes to say what it
/// has heard: it does so over the connection over which it hears.
const REMEMBERED_MS: u64 = 600_000;

/// Bytes of everything else in a command.
const FRAMES: usize = 160;

/// Makes commands and reads replies.
#[derive(Clone, Debug)]
pub struct RedisSharded {
    pub(super) options: RedisShardedOptions,
    /// The channel of the log.
    log: ByteString,
    /// The key of the number of the latest entry.
    position: String,
    /// Stores sessions in the same way.
    sessions: RedisStreams,
}

impl RedisSharded {
    /// Makes it with these options.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if the prefix is empty, or the limit is zero.
    pub fn new(options: RedisShardedOptions) -> Result<Self, ConfigError> {
        options.validate()?;
        let sessions = RedisStreamsOptions::new()
            .session_key_prefix(format!("{}-sharded-session#", options.channel_prefix))
            .max_message_bytes(options.max_message_bytes);
        let prefix = &options.channel_prefix;
        Ok(Self {
            sessions: RedisStreams::new(sessions)?,
            log: format!("{prefix}#{OWN}#").into(),
            position: format!("{prefix}-sharded-position"),
            options,
        })
    }

    /// Returns the options.
    pub const fn options(&self) -> &RedisShardedOptions {
        &self.options
    }

    /// Returns what stores sessions and takes them out. Keys and values are those of Redis Streams,
    /// except that the keys begin with `<prefix>-sharded-session#`.
    pub const fn sessions(&self) -> &RedisStreams {
        &self.sessions
    }

    /// Writes an entry into the log with the next number, and publishes it for official nodes. Do not
    /// send it again if its reply is lost: the entry may be there, and the reader will tell.
    ///
    /// # Errors
    ///
    /// Report each of them to the node with
    /// [`ClusterInput::Rejected`](crate::cluster::ClusterInput::Rejected).
    ///
    /// * [`MessageError::NotForLog`] if it is a request or an answer.
    /// * [`MessageError::TooDeep`] if a value in it is nested more than 512 deep, or 128 deep with
    ///   attachments.
    /// * [`MessageError::TooLarge`] if it is larger than
    ///   [`max_message_bytes`](RedisShardedOptions::max_message_bytes).
    pub fn append(&self, message: &Message) -> Result<RedisCommand, MessageError> {
        let is_for_log = match &message.body {
            Body::Broadcast(broadcast) => broadcast.request.is_none(),
            Body::Own { .. } => true,
            body => body.is_entry(),
        };
        if !is_for_log {
            return Err(MessageError::NotForLog { kind: message.body.kind() });
        }
        let payload = message.to_payload(true)?;
        self.check_len(payload.len())?;
        let official = match &message.body {
            Body::Own { .. } => String::new(),
            body => self.official_channel(&message.namespace, body),
        };
        let bytes = official.len().saturating_add(payload.len());
        let script = self.script(scripts::APPEND, None, bytes);
        Ok(script.arg(self.log()).arg(official).arg(payload))
    }

    /// Publishes a marker in the log. Its reader, and every other, begins there or continues there.
    pub fn mark(&self, marker: u64) -> RedisCommand {
        self.script(scripts::MARK, None, 0).arg(self.log()).arg(format!("{marker:020}"))
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
        let Message { namespace, body, .. } = message;
        let is_own = !matches!(body.kind(), 3..=12);
        let channel = match to {
            Some(node) => self.node_channel(namespace, node),
            None if is_own => self.own_channel(namespace),
            None => self.official_channel(namespace, body),
        };
        let is_for_room = to.is_none() && !is_own && channel != self.main_channel(namespace);
        let payload = message.to_payload(is_for_room)?;
        self.check_len(payload.len())?;
        if !is_for_room {
            let bytes = channel.len().saturating_add(payload.len()).saturating_add(FRAMES);
            return Ok(RedisCommand::with_room("SPUBLISH", bytes).arg(channel).arg(payload));
        }
        // Which rooms other nodes of this crate have subscribed to does not matter.
        let script = RedisCommand::new("EVAL").arg(scripts::PUBLISH_TWICE).number(0);
        Ok(script.arg(channel).arg(self.own_channel(namespace)).arg(payload))
    }

    /// Subscribes to the log. It is done once, before [`mark`](Self::mark).
    pub fn subscribe_to_log(&self) -> RedisCommand {
        RedisCommand::new("SSUBSCRIBE").arg(self.log())
    }

    /// Asks how many nodes there are in a namespace. Read the reply with
    /// [`RedisStreams::counted`].
    pub fn server_count(&self, namespace: &NamespaceName) -> RedisCommand {
        RedisCommand::new("PUBSUB").arg("SHARDNUMSUB").arg(self.main_channel(namespace))
    }

    /// Writes into the log what an official node has published.
    pub(super) fn adopt(&self, heard: &Heard, payload: &Bytes) -> RedisCommand {
        let Heard { channel, epoch, count } = heard;
        // Nobody reads one that is too large. It has a number all the same, so that it is counted.
        let payload = if self.check_len(payload.len()).is_ok() { &payload[..] } else { &[] };
        let key = format!("{}-sharded-heard#{epoch}#{channel}", self.options.channel_prefix);
        self.script(scripts::ADOPT, Some(key), payload.len())
            .arg(self.log())
            .number(*count)
            .number(REMEMBERED_MS)
            .arg(line::foreign(heard, payload))
    }

    /// Publishes a marker in the channel of a namespace, which official nodes ignore.
    pub(super) fn hear(
        &self,
        namespace: &NamespaceName,
        node: &NodeId,
        marker: u64,
    ) -> RedisCommand {
        let body = Body::Own { kind: OwnKind::Marker, data: Value::null() };
        let message = Message::new(node.clone(), namespace.clone(), body);
        // There is nothing in it that cannot be written.
        let payload = message.stamped(Stamp::new(marker, 0)).to_payload(true).unwrap_or_default();
        self.script(scripts::HEAR, None, payload.len())
            .arg(self.log())
            .arg(self.main_channel(namespace))
            .arg(payload)
            .arg(self.own_channel(namespace))
            .arg(namespace.as_str())
    }

    /// Runs a script with arguments that have about so many bytes.
    fn script(&self, script: &'static str, key: Option<String>, bytes: usize) -> RedisCommand {
        let keys = if key.is_some() { 2 } else { 1 };
        let names = self.position.len().saturating_add(self.log.len());
        let names = names.saturating_add(key.as_ref().map_or(0, String::len));
        let bytes = bytes.saturating_add(script.len()).saturating_add(names);
        let command = RedisCommand::with_room("EVAL", bytes.saturating_add(FRAMES));
        let command = command.arg(script).number(keys).arg(&self.position);
        key.into_iter().fold(command, RedisCommand::arg)
    }

    /// The channel of the log.
    pub(super) const fn log(&self) -> &ByteString {
        &self.log
    }

    /// The channel of a namespace. Nodes are counted by it.
    pub(super) fn main_channel(&self, namespace: &NamespaceName) -> String {
        [self.options.channel_prefix.as_str(), "#", namespace.as_str(), "#"].concat()
    }

    /// The channel of a node in a namespace.
    pub(super) fn node_channel(&self, namespace: &NamespaceName, node: &NodeId) -> String {
        self.channel(namespace, node.as_str())
    }

    /// The channel of the nodes of this crate in a namespace. Who has subscribed to it hears the namespace.
    pub(super) fn own_channel(&self, namespace: &NamespaceName) -> String {
        format!("{}#{OWN}#{namespace}#", self.options.channel_prefix)
    }

    /// Where official nodes publish something that is for all nodes.
    fn official_channel(&self, namespace: &NamespaceName, body: &Body) -> String {
        let room = match body {
            Body::Broadcast(broadcast) if broadcast.request.is_none() => {
                broadcast.options.only_room()
            }
            _ => None,
        };
        match room.filter(|room| self.options.subscription_mode.has_channel(room)) {
            Some(room) => self.channel(namespace, room),
            None => self.main_channel(namespace),
        }
    }

    fn channel(&self, namespace: &NamespaceName, of: &str) -> String {
        format!("{}#{namespace}#{of}#", self.options.channel_prefix)
    }

    pub(super) fn check_len(&self, len: usize) -> Result<(), MessageError> {
        let limit = self.options.max_message_bytes;
        if len > limit { Err(MessageError::TooLarge { limit }) } else { Ok(()) }
    }
}
