//! Options.

use alloc::string::String;
use core::time::Duration;

use crate::config::{ConfigError, check, setters};

/// Options: those of `@socket.io/postgres-adapter` with its defaults, and how much is kept.
///
/// All nodes of a cluster must have the same.
///
/// ```
/// use socketio_proto::cluster::engines::postgres::PostgresOptions;
///
/// let options = PostgresOptions::new().channel_prefix("chat").max_len(1_000_000_u64);
/// assert_eq!(options.attachments_table, "socket_io_attachments", "the others keep their defaults");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// How the names of the channels of `NOTIFY` begin. Default `socket.io`. At most 32 bytes.
    pub channel_prefix: String,
    /// The official table for what is too large for `NOTIFY`, or binary. Default
    /// `socket_io_attachments`, which is made if it is not there.
    pub attachments_table: String,
    /// How the names of the tables of this crate begin. Default `socket_io`.
    pub table_prefix: String,
    /// Whether Node.js servers or emitters are in the cluster, which need a copy of each event in a
    /// notification. Default `true`.
    pub with_node_js: bool,
    /// How many entries the channel keeps. Default 100,000. A client that was away for longer than
    /// these entries go back is refused.
    pub max_len: u64,
    /// The same limit in bytes. Default 64 MiB.
    pub max_bytes: u64,
    /// The same limit in time. Default 1 hour. It should be longer than
    /// [`max_disconnection`](crate::RecoveryConfig::max_disconnection).
    pub max_age: Duration,
    /// Bytes of an entry, of a message and of a session. Default 64 MiB, which is more than a server
    /// may emit by default. What is larger is not written, and the node learns that.
    pub max_message_bytes: usize,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            channel_prefix: "socket.io".into(),
            attachments_table: "socket_io_attachments".into(),
            table_prefix: "socket_io".into(),
            with_node_js: true,
            max_len: 100_000,
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(3600),
            max_message_bytes: 64 << 20,
        }
    }
}

setters! {
    PostgresOptions {
        channel_prefix: impl Into<String>,
        attachments_table: impl Into<String>,
        table_prefix: impl Into<String>,
        with_node_js: bool,
        max_len: u64,
        max_bytes: u64,
        max_age: Duration,
        max_message_bytes: usize,
    }
}

/// PostgreSQL cuts longer names off.
pub(super) const NAME_MAX: usize = 63;
/// What table names here add to their prefix, with the names of their indexes.
const TABLE_SUFFIX_MAX: usize = 24;
/// What is left of a channel's name is enough for the names of namespaces.
const PREFIX_MAX: usize = 32;

impl PostgresOptions {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let prefix = &self.channel_prefix;
        let is_prefix = (1..=PREFIX_MAX).contains(&prefix.len()) && !prefix.contains('\0');
        let tables = [&self.attachments_table, &self.table_prefix];
        let [attachments, ours] = tables.map(|name| is_table(name));
        let is_ours = ours && self.table_prefix.len() <= NAME_MAX - TABLE_SUFFIX_MAX;
        check(&[
            ("postgres.channel_prefix", is_prefix),
            ("postgres.attachments_table", attachments),
            ("postgres.table_prefix", is_ours),
            ("postgres.max_len", self.max_len > 0),
            ("postgres.max_bytes", self.max_bytes > 0),
            ("postgres.max_age", !self.max_age.is_zero()),
            ("postgres.max_message_bytes", self.max_message_bytes > 0),
        ])
    }
}

/// Names that need no quotes, so that nothing in a statement depends on quoting.
fn is_table(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let starts = |byte: &u8| !byte.is_ascii_digit();
    name.len() <= NAME_MAX
        && name.bytes().all(is_plain)
        && name.as_bytes().first().is_some_and(starts)
}
