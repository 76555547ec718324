//! What a node wants of its engine.

use alloc::{boxed::Box, sync::Arc};
use core::time::Duration;

use super::message::{Message, NodeId, StoredSession};
use crate::{id::RecoveryKey, recovery::Offset, socket::NamespaceName};

/// Something that a node wants of the engine that connects it with the others. Carry them out in
/// order. While the engine is away, drop them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterOutput {
    /// Read a channel: hand in every entry after this position, in order, until the connection is
    /// lost.
    Read {
        /// The number of the channel, see [`Channels`](super::Channels).
        channel: u32,
        /// The position.
        after: Offset,
    },
    /// Append an entry to the channel of its namespace. Nothing is answered: the node reads the entry. Only if the
    /// engine cannot take it, hand in [`Rejected`](super::ClusterInput::Rejected). The node keeps it until it has read
    /// it, and shares it.
    Append(Arc<Message>),
    /// Send a message that is not stored. It may be lost.
    Publish {
        /// The node that it is for; `None` if it is for all.
        to: Option<NodeId>,
        /// The message.
        message: Box<Message>,
    },
    /// Receive the messages that other nodes publish in a namespace: those for all nodes, and those
    /// for this one. Hand in [`Subscribed`](super::ClusterInput::Subscribed) as soon as none of them
    /// is missed any longer. It is output again after each
    /// [`Connected`](super::ClusterInput::Connected) of the channel of the namespace.
    Subscribe {
        /// The namespace.
        namespace: NamespaceName,
    },
    /// The namespace is gone. Its messages are not needed any longer.
    Unsubscribe {
        /// The namespace.
        namespace: NamespaceName,
    },
    /// Count the nodes that receive what is published in a namespace, this one included. Hand in
    /// [`ServersCounted`](super::ClusterInput::ServersCounted).
    CountServers {
        /// The namespace.
        namespace: NamespaceName,
        /// Identifies the question in the answer.
        number: u64,
    },
    /// Store a session under its private id. Answer with
    /// [`Stored`](super::ClusterInput::Stored).
    ///
    /// What is done with stored sessions takes effect in the order of the outputs, appends
    /// included. Only what is done with different sessions, with no append in between, may take effect in any
    /// order. If the connection breaks, nothing is answered: the node asks again.
    Store {
        /// The session.
        session: StoredSession,
        /// How long it is kept.
        expires_in: Duration,
        /// If this is a [version](StoredSession#structfield.version), replace exactly this one: compare
        /// and store in one step, and if another version is there, or nothing, change nothing and
        /// answer [`Superseded`](super::StoreOutcome::Superseded). If `None`, replace whatever is there.
        replaces: Option<u64>,
        /// Identifies the answer.
        number: u64,
    },
    /// Read a stored session, and leave it where it is. Answer with
    /// [`Fetched`](super::ClusterInput::Fetched).
    Fetch {
        /// Its private id.
        key: RecoveryKey,
        /// Identifies the answer.
        number: u64,
    },
    /// Read a stored session, and remove it if it has exactly this version: compare and remove in one
    /// step, so that of several nodes that try, official ones included, one gets it. Answer with
    /// [`Fetched`](super::ClusterInput::Fetched): with what was there, also if it was left there
    /// because it is another version.
    Take {
        /// Its private id.
        key: RecoveryKey,
        /// Its [version](StoredSession#structfield.version). `None` for a session that an official
        /// node has stored.
        version: Option<u64>,
        /// Identifies the answer.
        number: u64,
    },
}
