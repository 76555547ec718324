//! What Redis may take.

use std::{mem::size_of, time::Duration};

use socketio_proto::cluster::engines::redis_streams::RedisReply;

use crate::error::RedisEngineError;

/// Bounds of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long Redis may take to connect, and to answer a command.
    pub(crate) answer: Duration,
    /// Bytes of a reply, or of what is published.
    pub(crate) reply: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { answer: Duration::from_secs(5), reply: 1 << 30 }
    }
}

impl Bounds {
    /// How many values a reply may have, so that they take no more memory than its bytes may.
    pub(crate) const fn values(&self) -> usize {
        self.reply / size_of::<RedisReply>()
    }

    pub(crate) const fn too_large(&self) -> RedisEngineError {
        RedisEngineError::ReplyTooLarge { limit: self.reply }
    }
}
