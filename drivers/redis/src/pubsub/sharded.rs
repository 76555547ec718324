//! The engine for sharded channels.

use std::time::Duration;

use redis::{Client, IntoConnectionInfo};
use socketio_proto::{
    cluster::{
        engines::{
            redis_sharded::{RedisSharded, RedisShardedOptions, SubscriptionMode},
            redis_streams::{RedisCommand, RedisReply, RedisStreams},
        },
        message::{Message, MessageError, NodeId},
    },
    socket::NamespaceName,
};
use socketio_proto_tokio::cluster::{Engine, EngineError, EngineLink};

use super::engine::Inner;
use crate::{connection::script_has_run, error::RedisEngineError, writer::Protocol};

/// Connects a server with the other nodes of its cluster over sharded Redis PUB/SUB, as
/// `createShardedAdapter` of `@socket.io/redis-adapter` 8 does, and together with it. It needs Redis 7.0.
///
/// For recovery, what is said of [`RedisPubSubEngine`](crate::RedisPubSubEngine) holds as well.
///
/// ```no_run
/// use socketio_proto_redis::{RedisShardedEngine, RedisShardedOptions, SubscriptionMode};
///
/// let options = RedisShardedOptions::new().subscription_mode(SubscriptionMode::Static);
/// let engine = RedisShardedEngine::open("redis://localhost", options)?;
/// # Ok::<(), socketio_proto_redis::RedisEngineError>(())
/// ```
#[derive(Debug)]
pub struct RedisShardedEngine(Inner<RedisSharded>);

impl RedisShardedEngine {
    /// Makes an engine with the URL of a Redis, as [`RedisEngine::open`](crate::RedisEngine::open) does.
    ///
    /// # Errors
    ///
    /// * [`RedisEngineError::Connection`] if the URL cannot be used, and
    ///   [`RedisEngineError::Config`] if an option cannot.
    /// * [`RedisEngineError::ChannelsOfRooms`] if the mode is not [`SubscriptionMode::Static`].
    pub fn open(
        url: impl IntoConnectionInfo,
        options: RedisShardedOptions,
    ) -> Result<Self, RedisEngineError> {
        Self::new(&Client::open(url)?, options)
    }

    /// Makes an engine with a client of the `redis` crate, which can have certificates of its own. Of
    /// the rest, its address, user and database are used.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn new(client: &Client, options: RedisShardedOptions) -> Result<Self, RedisEngineError> {
        if options.subscription_mode != SubscriptionMode::Static {
            return Err(RedisEngineError::ChannelsOfRooms);
        }
        Ok(Self(Inner::new(client, RedisSharded::new(options)?)?))
    }

    /// Sets how long Redis may take to connect and to answer a command. Default 5 seconds. After that the
    /// connection counts as lost.
    #[must_use]
    pub const fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.0.bounds.answer = timeout;
        self
    }

    /// Sets how many bytes a reply of Redis may have, and anything that is published. Default 1 GiB. The
    /// values in a reply may take as many bytes again. With more, the connection ends with
    /// [`ReplyTooLarge`](RedisEngineError::ReplyTooLarge). Redis takes no values of more than
    /// `proto-max-bulk-len`, 512 MB, unless it is told otherwise.
    ///
    /// With `rediss://` the `redis` crate reads, which has no such limit.
    #[must_use]
    pub const fn max_reply_bytes(mut self, limit: usize) -> Self {
        self.0.bounds.reply = limit;
        self
    }
}

impl Engine for RedisShardedEngine {
    async fn run(&mut self, link: &mut EngineLink) -> Result<(), EngineError> {
        Ok(self.0.run(link).await?)
    }
}

impl Protocol for RedisSharded {
    const SUBSCRIBES_FIRST: bool = true;

    fn append(&self, message: &Message) -> Result<RedisCommand, MessageError> {
        self.append(message)
    }

    fn appended(reply: &RedisReply) -> Result<(), RedisEngineError> {
        script_has_run(reply)
    }

    fn publish(
        &self,
        message: &Message,
        to: Option<&NodeId>,
    ) -> Result<RedisCommand, MessageError> {
        self.publish(message, to)
    }

    fn server_count(&self, namespace: &NamespaceName) -> RedisCommand {
        self.server_count(namespace)
    }

    fn sessions(&self) -> &RedisStreams {
        self.sessions()
    }
}
