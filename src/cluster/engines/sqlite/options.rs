//! Options.

use core::time::Duration;

use crate::config::{ConfigError, check, setters};

/// How much is kept in a file. The processes that share a file have the same.
///
/// ```
/// use std::time::Duration;
///
/// use socketio_proto::cluster::engines::sqlite::SqliteOptions;
///
/// let options = SqliteOptions::new().max_age(Duration::from_secs(600));
/// assert_eq!(options.max_len, 100_000, "the others keep their defaults");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// How many entries the channel keeps. Default 100,000. A client that was away for longer than
    /// these entries go back is refused.
    pub max_len: u64,
    /// The same limit in bytes. Default 64 MiB. The latest entry is always kept.
    pub max_bytes: u64,
    /// The same limit in time. Default 1 hour. It should be longer than
    /// [`max_disconnection`](crate::RecoveryConfig::max_disconnection).
    pub max_age: Duration,
    /// How many published messages wait for the other processes. Default 10,000. A process that is
    /// further behind loses the oldest, and learns that.
    pub published_len: u64,
    /// How long they wait. Default 10 seconds.
    pub published_age: Duration,
    /// Bytes of an entry, of a published message and of a session. Default 64 MiB, which is more than
    /// a server may emit by default. What is larger is not written, and the node learns that.
    pub max_message_bytes: usize,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            max_len: 100_000,
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(3600),
            published_len: 10_000,
            published_age: Duration::from_secs(10),
            max_message_bytes: 64 << 20,
        }
    }
}

setters! {
    SqliteOptions {
        max_len: u64,
        max_bytes: u64,
        max_age: Duration,
        published_len: u64,
        published_age: Duration,
        max_message_bytes: usize,
    }
}

impl SqliteOptions {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check(&[
            ("sqlite.max_len", self.max_len > 0),
            ("sqlite.max_bytes", self.max_bytes > 0),
            ("sqlite.max_age", !self.max_age.is_zero()),
            ("sqlite.published_len", self.published_len > 0),
            ("sqlite.published_age", !self.published_age.is_zero()),
            ("sqlite.max_message_bytes", self.max_message_bytes > 0),
        ])
    }
}
