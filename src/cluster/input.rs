//! What a node learns of its engine.

use super::message::Message;
use crate::recovery::Offset;

/// Something that a node learns of the engine that connects it with the others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterInput {
    /// The engine can be used, for the first time or again. From now on, nothing that was sent to it
    /// over an earlier connection takes effect.
    Connected {
        /// Every entry of the channel after this position can be read.
        oldest: Offset,
        /// The position of the latest entry.
        head: Offset,
    },
    /// The connection is lost. Whether the latest appends have taken effect is not known.
    Disconnected,
    /// The engine cannot take an entry, for example because it is too large for it. The entry does
    /// not come into the channel, and does not hold up what is behind it.
    Rejected {
        /// The number of the entry, from its [stamp](Message#structfield.stamp).
        sequence: u64,
    },
    /// The next entry of the channel.
    Entry {
        /// Its position.
        position: Offset,
        /// What it says. `None` if it cannot be read.
        message: Option<Message>,
    },
    /// A message of another node that is not in the channel.
    Message(Message),
}
