//! Errors of the application's methods.

use thiserror::Error;

use super::message::AckToken;
use crate::socket::EncodeError;

/// Why a socket could not join a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RoomError {
    /// The session has ended.
    #[error("the socket's session has ended")]
    UnknownSocket,
    /// The socket is in [`Limits::rooms_per_socket`](crate::Limits::rooms_per_socket) rooms.
    #[error("the socket is in {limit} rooms, which is the limit")]
    TooManyRooms {
        /// The limit.
        limit: usize,
    },
    /// The name is longer than [`Limits::room_name_bytes`](crate::Limits::room_name_bytes).
    #[error("the name of the room is longer than {limit} bytes")]
    NameTooLong {
        /// The limit.
        limit: usize,
    },
}

/// Why an event was not emitted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The name or the arguments cannot be sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The session has ended, or it is parked and the event is not one that recovery replays.
    #[error("the socket is not connected")]
    NotConnected,
    /// Too much is queued for the client's connection: see
    /// [`Limits::queue_burst_bytes`](crate::Limits::queue_burst_bytes) and, for a client that does
    /// not read, [`Limits::queued_bytes`](crate::Limits::queued_bytes). Nothing has changed.
    #[error("too much is queued for the socket's connection")]
    QueueFull,
    /// There is no such namespace.
    #[error("there is no such namespace")]
    UnknownNamespace,
    /// Too much waits until the channel of the cluster brings it in: see
    /// [`ClusterConfig::append_queue`](crate::cluster::ClusterConfig#structfield.append_queue). The
    /// engine is away, or slow.
    #[error("too much waits for the channel of the cluster: {limit}")]
    ChannelFull {
        /// The limit that was reached.
        limit: usize,
    },
    /// The server is one of a cluster, and no engine carries an event with so many arrays and objects
    /// inside each other: at most 512, or 128 if it has attachments or is volatile. Nothing was sent
    /// or logged.
    #[error(
        "the packet is nested more than {limit} deep, which the channel of a cluster cannot carry"
    )]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// [`ClusterConfig::pending_requests`](crate::cluster::ClusterConfig#structfield.pending_requests)
    /// requests to other nodes are pending.
    #[error("{limit} requests to other nodes are pending, which is the limit")]
    TooManyRequests {
        /// The limit.
        limit: usize,
    },
    /// The namespace waits for [`Limits::pending_acks`](crate::Limits::pending_acks)
    /// acknowledgements.
    #[error("{limit} acknowledgements are pending, which is the limit")]
    TooManyAcks {
        /// The limit.
        limit: usize,
    },
    /// The event has more than
    /// [`Limits::outgoing_attachments`](crate::Limits::outgoing_attachments): clients would refuse
    /// it. Nothing was sent or logged.
    #[error("the packet has more than {limit} attachments")]
    TooManyAttachments {
        /// The limit.
        limit: usize,
    },
    /// The event is larger than [`Limits::outgoing_bytes`](crate::Limits::outgoing_bytes), or
    /// larger than the log or a replay may be. Nothing was sent or logged.
    #[error("the packet is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
}

/// An answer was not sent, because clients would refuse it. The error returns the token, so the
/// application can send another answer.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("the answer was not sent: {cause}")]
pub struct AckError {
    /// The token to acknowledge the event with.
    pub token: AckToken,
    /// The reason: [`EmitError::TooManyAttachments`] or [`EmitError::TooLarge`].
    pub cause: EmitError,
}

/// Why a client offset could not be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OnceError {
    /// The session has ended, and its remembered offsets with it.
    #[error("the socket's session has ended")]
    UnknownSocket,
    /// The offset is empty or too long.
    #[error("a client offset has 1 to {limit} bytes")]
    OffsetLength {
        /// The maximum length in bytes.
        limit: usize,
    },
}

/// Why a namespace could not be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NamespaceError {
    /// The name is empty, or contains a comma or a control character.
    #[error("not a name of a namespace")]
    InvalidName,
    /// There are [`Limits::namespaces`](crate::Limits::namespaces) namespaces.
    #[error("there are {limit} namespaces, which is the limit")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}
