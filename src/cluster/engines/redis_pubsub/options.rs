//! Options.

use alloc::string::String;

use crate::config::{ConfigError, check, setters};

/// Options. All nodes of a cluster must have the same.
///
/// ```
/// use socketio_proto::cluster::engines::redis_pubsub::RedisPubSubOptions;
///
/// let options = RedisPubSubOptions::new().key("chat");
/// assert_eq!(options.max_message_bytes, 64 << 20, "the others keep their defaults");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisPubSubOptions {
    /// How the names of channels and keys begin, as with the official adapter. Default `socket.io`.
    pub key: String,
    /// Bytes of a message and of a stored session that are read. Default 64 MiB, which is more than a
    /// server may emit by default. What is larger is skipped and counted, and nobody here receives
    /// it.
    pub max_message_bytes: usize,
}

impl Default for RedisPubSubOptions {
    fn default() -> Self {
        Self { key: "socket.io".into(), max_message_bytes: 64 << 20 }
    }
}

setters! {
    RedisPubSubOptions {
        key: impl Into<String>,
        max_message_bytes: usize,
    }
}

impl RedisPubSubOptions {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check(&[("key", !self.key.is_empty()), ("max_message_bytes", self.max_message_bytes > 0)])
    }
}
