//! Options.

use core::time::Duration;

use crate::config::{ConfigError, check, setters};

/// How much is kept in a collection, and read from it.
///
/// ```
/// use std::time::Duration;
///
/// use socketio_proto::cluster::engines::mongodb::MongodbOptions;
///
/// let options = MongodbOptions::new().history(Duration::from_secs(600));
/// assert_eq!(options.max_message_bytes, 15 << 20, "the others keep their defaults");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MongodbOptions {
    /// How far back a node that starts reads the change stream. Default 5 minutes. It should be longer
    /// than [`max_disconnection`](crate::RecoveryConfig::max_disconnection): a client that was away for
    /// longer is refused. MongoDB has to keep its oplog for at least as long.
    pub history: Duration,
    /// How long documents are kept, if the collection is made by a node. Default 1 hour. It should be
    /// longer than [`max_disconnection`](crate::RecoveryConfig::max_disconnection), because the sessions
    /// of clients that are away are documents, too. The index of a collection that has one stays
    /// as it is.
    pub expire_after: Duration,
    /// Bytes of a document. Default 15 MiB. MongoDB takes 16 MiB, and its change streams need some
    /// of that. What is larger is not written, and the node learns that; what is larger and was written
    /// by others is skipped.
    pub max_message_bytes: usize,
}

impl Default for MongodbOptions {
    fn default() -> Self {
        Self {
            history: Duration::from_secs(300),
            expire_after: Duration::from_secs(3600),
            max_message_bytes: 15 << 20,
        }
    }
}

setters! {
    MongodbOptions {
        history: Duration,
        expire_after: Duration,
        max_message_bytes: usize,
    }
}

impl MongodbOptions {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let seconds = 1..=u64::from(i32::MAX.unsigned_abs());
        check(&[
            ("mongodb.history", u32::try_from(self.history.as_secs()).is_ok()),
            ("mongodb.expire_after", seconds.contains(&self.expire_after.as_secs())),
            ("mongodb.max_message_bytes", (1..=15 << 20).contains(&self.max_message_bytes)),
        ])
    }
}
