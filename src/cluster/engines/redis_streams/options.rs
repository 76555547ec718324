//! Options.

use alloc::string::String;

use crate::config::{ConfigError, check, setters};

/// Options, those of `@socket.io/redis-streams-adapter` with its defaults.
///
/// All nodes of a cluster must have the same, except for how they read.
///
/// ```
/// use socketio_proto::cluster::engines::redis_streams::RedisStreamsOptions;
///
/// let options = RedisStreamsOptions::new().stream_name("chat").max_len(100_000);
/// assert_eq!(options.channel_prefix, "socket.io", "the others keep their defaults");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisStreamsOptions {
    /// The name of the stream, or how the names of several streams begin. Default `socket.io`.
    pub stream_name: String,
    /// How many streams there are. Default 1. Each namespace is in one of them, so several streams
    /// only help with several namespaces. Official emitters only write to a single stream.
    pub stream_count: u32,
    /// How the names of channels begin. Default `socket.io`.
    pub channel_prefix: String,
    /// Whether channels are sharded, which needs Redis 7.0. Default `false`.
    pub use_sharded_pub_sub: bool,
    /// About how many entries a stream keeps. Default 10,000. Each node that writes trims the
    /// stream, so of several numbers the smallest counts. A client that was away for longer than
    /// these entries go back is refused.
    pub max_len: u64,
    /// How many entries are read at a time. Default 100.
    pub read_count: u32,
    /// How long Redis holds a reader that has read everything, in milliseconds. Default 5,000.
    pub block_time_in_ms: u32,
    /// How the keys of sessions begin. Default `sio:session:`.
    pub session_key_prefix: String,
    /// Bytes of an entry, of a message in a channel and of a session that are read. Default 64 MiB,
    /// which is more than a server may emit by default. What is larger is skipped and counted,
    /// and nobody here receives it.
    pub max_message_bytes: usize,
}

impl Default for RedisStreamsOptions {
    fn default() -> Self {
        Self {
            stream_name: "socket.io".into(),
            stream_count: 1,
            channel_prefix: "socket.io".into(),
            use_sharded_pub_sub: false,
            max_len: 10_000,
            read_count: 100,
            block_time_in_ms: 5_000,
            session_key_prefix: "sio:session:".into(),
            max_message_bytes: 64 << 20,
        }
    }
}

setters! {
    RedisStreamsOptions {
        stream_name: impl Into<String>,
        stream_count: u32,
        channel_prefix: impl Into<String>,
        use_sharded_pub_sub: bool,
        max_len: u64,
        read_count: u32,
        block_time_in_ms: u32,
        session_key_prefix: impl Into<String>,
        max_message_bytes: usize,
    }
}

impl RedisStreamsOptions {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        // JavaScript takes the remainder of a signed number.
        let streams = 1..=i32::MAX.unsigned_abs();
        check(&[
            ("stream_name", !self.stream_name.is_empty()),
            ("channel_prefix", !self.channel_prefix.is_empty()),
            ("stream_count", streams.contains(&self.stream_count)),
            ("max_len", self.max_len > 0),
            ("read_count", self.read_count > 0),
            ("block_time_in_ms", self.block_time_in_ms > 0),
            ("max_message_bytes", self.max_message_bytes > 0),
        ])
    }
}
