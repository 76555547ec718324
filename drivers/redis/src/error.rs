//! What goes wrong between a node and Redis.

use redis::RedisError;
use socketio_proto::{ConfigError, cluster::engines::redis_streams::RedisReplyError};
use socketio_proto_tokio::cluster::EngineInputs;
use thiserror::Error;

/// Why a connection with Redis could not be made or used, or was lost.
///
/// While the server runs, the engine closes all of its connections after each of them, and connects
/// again. The text of the latest one is [`EngineStats::last_failure`](socketio_proto_tokio::cluster::EngineStats).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RedisEngineError {
    /// An option cannot be used.
    #[error("an option cannot be used")]
    Config(#[from] ConfigError),
    /// The URL cannot be used, or a connection could not be made, was lost, or had no answer in time.
    #[error("connection with Redis")]
    Connection(#[from] RedisError),
    /// Redis has closed a connection.
    #[error("Redis has closed a connection")]
    Closed,
    /// Redis refuses a command. It may be out of memory, still be loading its data, be a replica, or
    /// not permit it: the text says so.
    #[error("Redis refuses {command}: {text}")]
    Refused {
        /// The command.
        command: &'static str,
        /// What Redis says.
        text: Box<str>,
    },
    /// A reply has an unexpected form, so this is not Redis, or not a version that is supported.
    #[error("unexpected reply to {command}")]
    Unexpected {
        /// The command.
        command: &'static str,
    },
    /// The server is part of a Redis Cluster, or watches other servers (Sentinel).
    #[error("a Redis in the mode {mode}, and not a standalone one")]
    Mode {
        /// The mode, as Redis names it.
        mode: Box<str>,
    },
    /// The server is part of a Redis Cluster, which publishes in no common order. So nobody could say what
    /// a client has missed. Only of [`RedisPubSubEngine`](crate::RedisPubSubEngine) and
    /// [`RedisShardedEngine`](crate::RedisShardedEngine), as those below.
    #[error("a Redis in the mode {mode} publishes in no order that all nodes share")]
    NoCommonOrder {
        /// The mode, as Redis names it.
        mode: Box<str>,
    },
    /// Broadcasts to rooms have channels of their own, which a node cannot subscribe to before it knows the
    /// rooms. So nobody could say what a client has missed: use
    /// [`SubscriptionMode::Static`](crate::SubscriptionMode::Static) on all nodes. Only of
    /// [`RedisShardedEngine`](crate::RedisShardedEngine).
    #[error(
        "broadcasts to rooms have channels of their own, so nodes share no order: use the static mode"
    )]
    ChannelsOfRooms,
    /// Something was published that this node has not received, or the number of the latest entry is
    /// gone. Only of [`RedisPubSubEngine`](crate::RedisPubSubEngine).
    #[error("entries are missing that were published")]
    Missed,
    /// The server was so slow that 64 MiB of what was received waited for it. Only of
    /// [`RedisPubSubEngine`](crate::RedisPubSubEngine).
    #[error("more was published than the server could keep up with")]
    TooSlow,
    /// A reply, or something that was published, is larger than the engine
    /// [may hold](crate::RedisEngine::max_reply_bytes). Counted in
    /// [`received_too_large`](socketio_proto_tokio::cluster::EngineStats#structfield.received_too_large).
    #[error("a reply of Redis that is larger than {limit} bytes")]
    ReplyTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// Entries were trimmed, or the stream was deleted, before this node had read everything.
    #[error("entries of the stream are gone that were not read yet")]
    Trimmed,
}

/// Counts a connection that has ended because a reply was too large.
pub(crate) fn count_too_large(error: &RedisEngineError, inputs: &EngineInputs) {
    if matches!(error, RedisEngineError::ReplyTooLarge { .. }) {
        inputs.count_too_large();
    }
}

impl From<std::io::Error> for RedisEngineError {
    fn from(error: std::io::Error) -> Self {
        Self::Connection(error.into())
    }
}

impl RedisEngineError {
    /// An error in a reply to a command.
    pub(crate) fn reply(command: &'static str, error: RedisReplyError) -> Self {
        match error {
            RedisReplyError::Refused(text) => Self::Refused { command, text },
            _ => Self::Unexpected { command },
        }
    }
}
