//! What a node learns of its engine.

use core::time::Duration;

use super::message::{Message, StoredSession};
use crate::{recovery::Offset, socket::NamespaceName};

/// Something that a node learns of the engine that connects it with the others.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClusterInput {
    /// A channel of the engine can be used, for the first time or again. From now on, nothing that
    /// was appended to it over an earlier connection takes effect.
    ///
    /// Hand it in for each channel. If the connection of a single channel is made anew, hand it in for
    /// this one; until then, drop what is appended to it.
    Connected {
        /// The number of the channel, see [`Channels`](super::Channels).
        channel: u32,
        /// Every entry of the channel after this position can be read.
        oldest: Offset,
        /// The position of the latest entry.
        head: Offset,
    },
    /// The connection with the engine is lost, for all channels. Whether the latest appends have
    /// taken effect is not known.
    Disconnected,
    /// An entry that was output for the connection that is lost was not sent, so it has not taken
    /// effect. Hand it in between [`Disconnected`](Self::Disconnected) and
    /// [`Connected`](Self::Connected). It matters only after a gap: without it, the node gives the entry up,
    /// because it may have been in the gap.
    NotSent {
        /// The namespace of the entry.
        namespace: NamespaceName,
        /// The number of the entry, from its [stamp](Message#structfield.stamp).
        sequence: u64,
    },
    /// The engine cannot take an entry, for example because it is too large for it. The entry does
    /// not come into the channel, and does not hold up what is behind it.
    Rejected {
        /// The number of the entry, from its [stamp](Message#structfield.stamp).
        sequence: u64,
    },
    /// The next entry of a channel.
    Entry {
        /// The number of the channel.
        channel: u32,
        /// Its position.
        position: Offset,
        /// What it says. `None` if it cannot be read.
        message: Option<Message>,
    },
    /// A message of another node that is not in a channel.
    Message(Message),
    /// From now on, the node receives what others publish in a namespace.
    Subscribed {
        /// The namespace.
        namespace: NamespaceName,
    },
    /// The node may have missed what others have published in a namespace. The driver subscribes
    /// again by itself, and then hands in [`Subscribed`](Self::Subscribed).
    Unsubscribed {
        /// The namespace.
        namespace: NamespaceName,
    },
    /// The answer to [`CountServers`](super::ClusterOutput::CountServers).
    ServersCounted {
        /// The number of the question.
        number: u64,
        /// The nodes that receive what is published there, this one included. `None` if the engine
        /// cannot count them. Then the node counts those whose heartbeats it receives.
        servers: Option<u64>,
    },
    /// The answer to [`Store`](super::ClusterOutput::Store).
    Stored {
        /// The number of the command.
        number: u64,
        /// Whether it was done.
        outcome: StoreOutcome,
    },
    /// The answer to [`Fetch`](super::ClusterOutput::Fetch) or [`Take`](super::ClusterOutput::Take).
    Fetched {
        /// The number of the command.
        number: u64,
        /// The session. `None` if there is none, or none that can be read.
        session: Option<FetchedSession>,
    },
}

/// What has become of a [`Store`](super::ClusterOutput::Store).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreOutcome {
    /// The store has the session.
    Stored,
    /// The engine refuses it, for example because the session is too large for it.
    Refused,
    /// The store does not have the version that was to be replaced. Nothing was changed.
    Superseded,
}

/// A session from the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchedSession {
    /// The session.
    pub session: StoredSession,
    /// How long it would still have been kept. [`Duration::MAX`] if without a limit.
    pub expires_in: Duration,
}

impl FetchedSession {
    /// A session that the store would keep for this long.
    pub const fn new(session: StoredSession, expires_in: Duration) -> Self {
        Self { session, expires_in }
    }
}
