//! What a node wants of its engine.

use super::message::{Message, NodeId};
use crate::recovery::Offset;

/// Something that a node wants of the engine that connects it with the others. Carry them out in
/// order. While the engine is away, drop them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterOutput {
    /// Read the channel: hand in every entry after this position, in order, until the connection is
    /// lost.
    Read {
        /// The position.
        after: Offset,
    },
    /// Append an entry to the channel. Nothing is answered: the node reads the entry. Only if the
    /// engine cannot take it, hand in [`Rejected`](super::ClusterInput::Rejected).
    Append(Message),
    /// Send a message that is not stored. It may be lost.
    Publish {
        /// The node that it is for; `None` if it is for all.
        to: Option<NodeId>,
        /// The message.
        message: Message,
    },
}
