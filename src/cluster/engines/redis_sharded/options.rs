//! Options.

use alloc::string::String;

use crate::config::{ConfigError, check, setters};

/// Options, those of `createShardedAdapter` of `@socket.io/redis-adapter` with its defaults.
///
/// All nodes of a cluster must have the same.
///
/// ```
/// use socketio_proto::cluster::engines::redis_sharded::{RedisShardedOptions, SubscriptionMode};
///
/// let options = RedisShardedOptions::new().subscription_mode(SubscriptionMode::Static);
/// assert_eq!(options.channel_prefix, "socket.io", "the others keep their defaults");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisShardedOptions {
    /// How the names of channels and keys begin. Default `socket.io`.
    pub channel_prefix: String,
    /// Which broadcasts have channels of their own. Default [`Dynamic`](SubscriptionMode::Dynamic), as
    /// with the official adapter.
    pub subscription_mode: SubscriptionMode,
    /// Bytes of a message and of a stored session that are read. Default 64 MiB, which is more than a
    /// server may emit by default. What is larger is skipped and counted, and nobody here receives
    /// it.
    pub max_message_bytes: usize,
}

/// Which broadcasts have channels of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscriptionMode {
    /// None: a namespace has one channel.
    Static,
    /// Those to one room, unless its name has 20 characters, as ids of sockets have.
    #[default]
    Dynamic,
    /// Those to one room.
    DynamicPrivate,
}

impl SubscriptionMode {
    /// Whether what is for this room alone has a channel of its own. Characters count as in
    /// JavaScript.
    pub(super) fn has_channel(self, room: &str) -> bool {
        match self {
            Self::Static => false,
            Self::Dynamic => room.encode_utf16().count() != 20,
            Self::DynamicPrivate => true,
        }
    }
}

impl Default for RedisShardedOptions {
    fn default() -> Self {
        Self {
            channel_prefix: "socket.io".into(),
            subscription_mode: SubscriptionMode::default(),
            max_message_bytes: 64 << 20,
        }
    }
}

setters! {
    RedisShardedOptions {
        channel_prefix: impl Into<String>,
        subscription_mode: SubscriptionMode,
        max_message_bytes: usize,
    }
}

impl RedisShardedOptions {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check(&[
            ("channel_prefix", !self.channel_prefix.is_empty()),
            ("max_message_bytes", self.max_message_bytes > 0),
        ])
    }
}
