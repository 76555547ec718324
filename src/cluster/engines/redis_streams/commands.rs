//! What a node does, as commands.

use alloc::{borrow::Cow, format, string::String, vec::Vec};
use core::time::Duration;

use super::{RedisCommand, RedisStreamsOptions, entry};
use crate::{
    ConfigError, RecoveryKey,
    cluster::{
        Channels,
        message::{Body, Message, MessageError, NodeId, StoredSession},
    },
    recovery::Offset,
    socket::NamespaceName,
};

/// Bytes of everything else in the command that appends an entry.
const ENTRY: usize = 320;
/// Bytes of everything else in a command that publishes.
const FRAMES: usize = 64;

/// Makes commands and reads replies.
#[derive(Clone, Debug)]
pub struct RedisStreams {
    pub(super) options: RedisStreamsOptions,
}

/// Stores the value of a session if the one that is there is the version that is to be replaced,
/// which is at its end.
const REPLACE: &str = "\
if redis.call('GETRANGE', KEYS[1], -12, -1) ~= ARGV[3] then return 0 end \
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) \
return 1";

/// Answers as `GET` and `PTTL` do, and removes the session if it has this version: if it has the field,
/// and in it what is asked for, or neither.
const TAKE: &str = "\
local session = redis.call('GET', KEYS[1]) \
local left = redis.call('PTTL', KEYS[1]) \
if session then \
local version = nil \
if string.sub(session, -40, -13) == ARGV[1] then version = string.sub(session, -12) end \
if version == ARGV[2] then redis.call('DEL', KEYS[1]) end \
end \
return {session, left}";

impl RedisStreams {
    /// Makes it with these options.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if a number is zero or a name is empty.
    pub fn new(options: RedisStreamsOptions) -> Result<Self, ConfigError> {
        options.validate()?;
        Ok(Self { options })
    }

    /// Returns the options.
    pub const fn options(&self) -> &RedisStreamsOptions {
        &self.options
    }

    /// Returns the name of the stream that a namespace is in, as official nodes compute it.
    ///
    /// With several streams, some namespaces are in one whose number is negative. Official nodes
    /// write there but do not read it, so between them such a namespace is not clustered.
    pub fn stream_of(&self, namespace: &NamespaceName) -> String {
        self.stream_for(namespace).into_owned()
    }

    fn stream_for(&self, namespace: &NamespaceName) -> Cow<'_, str> {
        let RedisStreamsOptions { stream_name, stream_count, .. } = &self.options;
        if *stream_count == 1 {
            return stream_name.into();
        }
        format!("{stream_name}-{}", remainder(namespace, *stream_count)).into()
    }

    /// Returns how namespaces are spread over [streams](Self::streams), for
    /// [`ClusterConfig`](crate::cluster::ClusterConfig#structfield.channels). Each stream is a channel,
    /// in the same order.
    ///
    /// ```
    /// use socketio_proto::cluster::engines::redis_streams::{RedisStreams, RedisStreamsOptions};
    /// use socketio_proto::socket::NamespaceName;
    ///
    /// let redis = RedisStreams::new(RedisStreamsOptions::new().stream_count(3_u32))?;
    /// let (channels, chat) = (redis.channels(), NamespaceName::new("/chat")?);
    /// assert_eq!(channels.count(), 5);
    /// let channel = usize::try_from(channels.of(&chat))?;
    /// assert_eq!(redis.streams().nth(channel), Some(redis.stream_of(&chat)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn channels(&self) -> Channels {
        // Numbers of streams can be negative.
        let last = self.options.stream_count.saturating_sub(1);
        Channels::new(last.saturating_mul(2).saturating_add(1), |namespace, channels| {
            let last = channels / 2;
            let remainder = remainder(namespace, last.saturating_add(1));
            u32::try_from(i64::from(last).saturating_add(remainder)).unwrap_or_default()
        })
    }

    /// Returns the names of all streams, in ascending order of their numbers. A node reads all of
    /// them, because it does not know its namespaces in advance.
    pub fn streams(&self) -> impl Iterator<Item = String> + '_ {
        let RedisStreamsOptions { stream_name, stream_count, .. } = &self.options;
        let last = i64::from(*stream_count) - 1;
        (-last..=last).map(move |number| {
            if last == 0 { stream_name.clone() } else { format!("{stream_name}-{number}") }
        })
    }

    /// Appends an entry to the stream of its namespace. Do not send it again if its reply is lost:
    /// the entry may be there, and the reader will tell.
    ///
    /// # Errors
    ///
    /// Report each of them to the node with
    /// [`ClusterInput::Rejected`](crate::cluster::ClusterInput::Rejected). Until then, what the
    /// application does after it waits for the entry.
    ///
    /// * [`MessageError::NotForLog`] if it is a request or an answer. They are
    ///   [published](Self::publish).
    /// * [`MessageError::TooDeep`] if a value in it is nested more than 512 deep, or 128 deep with
    ///   attachments. It could stop the readers of official nodes permanently.
    /// * [`MessageError::TooLarge`] if it is larger than
    ///   [`max_message_bytes`](RedisStreamsOptions::max_message_bytes).
    pub fn append(&self, message: &Message) -> Result<RedisCommand, MessageError> {
        let is_for_log = match &message.body {
            Body::Broadcast(broadcast) => broadcast.request.is_none(),
            Body::SocketsJoin { .. }
            | Body::SocketsLeave { .. }
            | Body::DisconnectSockets { .. }
            | Body::Own { .. } => true,
            _ => false,
        };
        if !is_for_log {
            return Err(MessageError::NotForLog { kind: message.body.kind() });
        }
        let data = message.data_text()?;
        let len = data.as_ref().map_or(0, String::len);
        self.check_len(len)?;
        let stream = self.stream_for(&message.namespace);
        let names = stream.len().saturating_add(message.namespace.as_str().len());
        let bytes = len.saturating_add(names).saturating_add(ENTRY);
        let command = RedisCommand::with_room("XADD", bytes)
            .arg(&*stream)
            .arg("MAXLEN")
            .arg("~")
            .number(self.options.max_len)
            .arg("*");
        Ok(entry::write(command, message, data.as_deref()))
    }

    /// Reads the entries behind a position, and waits for one if there are none. It blocks its
    /// connection.
    pub fn read(&self, stream: &str, after: Offset) -> RedisCommand {
        self.read_up_to(stream, after, self.options.read_count)
    }

    /// As [`read`](Self::read), but at most so many entries.
    pub fn read_up_to(&self, stream: &str, after: Offset, count: u32) -> RedisCommand {
        RedisCommand::new("XREAD")
            .arg("COUNT")
            .number(count.into())
            .arg("BLOCK")
            .number(self.options.block_time_in_ms.into())
            .arg("STREAMS")
            .arg(stream)
            .arg(format!("{after}"))
    }

    /// Reads a page of the entries behind `after`, up to and including `until`. It needs Redis 6.2.
    pub fn range(&self, stream: &str, after: Offset, until: Offset) -> RedisCommand {
        RedisCommand::new("XRANGE")
            .arg(stream)
            .arg(format!("({after}"))
            .arg(format!("{until}"))
            .arg("COUNT")
            .number(self.options.read_count.into())
    }

    /// Like [`range`](Self::range), together with the entry at `after`. If that exists, no entry of
    /// the page has been trimmed. The reply to the last command is that of the transaction.
    pub fn proven_range(&self, stream: &str, after: Offset, until: Offset) -> Vec<RedisCommand> {
        let proof =
            RedisCommand::new("XRANGE").arg(stream).arg(format!("{after}")).arg(format!("{after}"));
        transaction([proof, self.range(stream, after, until)])
    }

    /// Asks where a stream begins and ends.
    pub fn info(stream: &str) -> RedisCommand {
        RedisCommand::new("XINFO").arg("STREAM").arg(stream)
    }

    /// Sends a message to all nodes, or to one. It is not stored: a node that is not subscribed now
    /// never gets it.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append), except that everything may be published.
    pub fn publish(
        &self,
        message: &Message,
        to: Option<&NodeId>,
    ) -> Result<RedisCommand, MessageError> {
        let payload = message.to_msgpack()?;
        self.check_len(payload.len())?;
        let name = if self.options.use_sharded_pub_sub { "SPUBLISH" } else { "PUBLISH" };
        let channel = self.channel(&message.namespace, to);
        let bytes = channel.len().saturating_add(payload.len()).saturating_add(FRAMES);
        Ok(RedisCommand::with_room(name, bytes).arg(channel).arg(payload))
    }

    /// Subscribes a node to what is for it in a namespace. It blocks its connection for other
    /// commands. A node subscribes exactly once: official nodes count subscriptions.
    pub fn subscribe(&self, namespace: &NamespaceName, node: &NodeId) -> Vec<RedisCommand> {
        self.for_channels("SUBSCRIBE", "SSUBSCRIBE", namespace, node)
    }

    /// Ends the subscriptions of a node in a namespace.
    pub fn unsubscribe(&self, namespace: &NamespaceName, node: &NodeId) -> Vec<RedisCommand> {
        self.for_channels("UNSUBSCRIBE", "SUNSUBSCRIBE", namespace, node)
    }

    fn for_channels(
        &self,
        plain: &'static str,
        sharded: &'static str,
        namespace: &NamespaceName,
        node: &NodeId,
    ) -> Vec<RedisCommand> {
        let channels = [self.channel(namespace, None), self.channel(namespace, Some(node))];
        if self.options.use_sharded_pub_sub {
            // Channels of different slots cannot share a command.
            return channels.map(|channel| RedisCommand::new(sharded).arg(channel)).into();
        }
        let all = RedisCommand::new(plain);
        [channels.iter().fold(all, RedisCommand::arg)].into()
    }

    /// Returns the name of the channel of all nodes of a namespace, or that of one.
    pub fn channel(&self, namespace: &NamespaceName, node: Option<&NodeId>) -> String {
        let prefix = &self.options.channel_prefix;
        match node {
            Some(node) => format!("{prefix}#{namespace}#{node}#"),
            None => format!("{prefix}#{namespace}#"),
        }
    }

    /// Asks how many nodes have subscribed to a namespace.
    pub fn server_count(&self, namespace: &NamespaceName) -> RedisCommand {
        let sharded = self.options.use_sharded_pub_sub;
        RedisCommand::new("PUBSUB")
            .arg(if sharded { "SHARDNUMSUB" } else { "NUMSUB" })
            .arg(self.channel(namespace, None))
    }

    /// Stores a session, which expires after `expires_in`. Durations count in whole milliseconds,
    /// and at least one. If `replaces` is a version, replaces this one only, with a script. Read the
    /// reply with [`stored`](Self::stored).
    ///
    /// # Errors
    ///
    /// [`MessageError::TooDeep`] and [`MessageError::TooLarge`], as with [`append`](Self::append).
    pub fn store(
        &self,
        session: &StoredSession,
        expires_in: Duration,
        replaces: Option<u64>,
    ) -> Result<RedisCommand, MessageError> {
        let value = session.to_base64()?;
        self.check_len(value.len())?;
        if let Some(replaced) = replaces {
            let key = self.session_key(&session.pid);
            let script = RedisCommand::new("EVAL").arg(REPLACE).number(1).arg(key).arg(value);
            let end = StoredSession::version_end_base64(replaced);
            return Ok(script.number(kept_ms(expires_in)).arg(end));
        }
        let set = self.on_session("SET", &session.pid).arg(value);
        Ok(set.arg("PX").number(kept_ms(expires_in)))
    }

    /// Reads a session, and leaves it where it is. The reply to the last command is that of the
    /// transaction.
    pub fn fetch(&self, pid: &RecoveryKey) -> Vec<RedisCommand> {
        transaction(["GET", "PTTL"].map(|name| self.on_session(name, pid)))
    }

    /// Reads a session, and takes it if it has this version, with a script: of several nodes that try,
    /// official ones included, one gets it. `None` is for a session that an official node has stored.
    /// Read the reply with [`fetched`](Self::fetched).
    pub fn take(&self, pid: &RecoveryKey, version: Option<u64>) -> RedisCommand {
        let script = RedisCommand::new("EVAL").arg(TAKE).number(1).arg(self.session_key(pid));
        let script = script.arg(StoredSession::version_mark_base64());
        match version {
            Some(version) => script.arg(StoredSession::version_end_base64(version)),
            None => script,
        }
    }

    fn on_session(&self, name: &'static str, pid: &RecoveryKey) -> RedisCommand {
        RedisCommand::new(name).arg(self.session_key(pid))
    }

    fn session_key(&self, pid: &RecoveryKey) -> String {
        format!("{}{}", self.options.session_key_prefix, pid.expose())
    }

    /// Asks for the number of a connection.
    pub fn connection_id() -> RedisCommand {
        RedisCommand::new("CLIENT").arg("ID")
    }

    /// Closes an earlier connection, by its number. What it has sent takes effect before this, or
    /// never.
    pub fn kill_connection(id: u64) -> RedisCommand {
        RedisCommand::new("CLIENT").arg("KILL").arg("ID").number(id)
    }

    pub(super) fn check_len(&self, len: usize) -> Result<(), MessageError> {
        let limit = self.options.max_message_bytes;
        if len > limit { Err(MessageError::TooLarge { limit }) } else { Ok(()) }
    }
}

/// Redis refuses zero, and what overflows its clock.
fn kept_ms(expires_in: Duration) -> u64 {
    let ms = u64::try_from(expires_in.as_millis()).unwrap_or(u64::MAX);
    ms.clamp(1, u64::from(u32::MAX) * 1000)
}

/// What official nodes compute. It is negative for some namespaces.
fn remainder(namespace: &NamespaceName, stream_count: u32) -> i64 {
    let units = namespace.as_str().encode_utf16();
    let hash = units.fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    i64::from(hash).checked_rem(i64::from(stream_count)).unwrap_or_default()
}

fn transaction<const N: usize>(commands: [RedisCommand; N]) -> Vec<RedisCommand> {
    let mut all = Vec::with_capacity(N.saturating_add(2));
    all.push(RedisCommand::new("MULTI"));
    all.extend(commands);
    all.push(RedisCommand::new("EXEC"));
    all
}
