//! What the application can be told when a call does not apply.

use thiserror::Error;

/// Why a socket could not join a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RoomError {
    /// The session has ended.
    #[error("the socket's session has ended")]
    UnknownSocket,
    /// The socket is in [`Limits::rooms_per_socket`](crate::Limits::rooms_per_socket) rooms.
    #[error("the socket is in {limit} rooms, the most it may be in")]
    TooManyRooms {
        /// The limit.
        limit: usize,
    },
    /// The name is longer than [`Limits::room_name_bytes`](crate::Limits::room_name_bytes).
    #[error("a room's name has at most {limit} bytes")]
    NameTooLong {
        /// The limit.
        limit: usize,
    },
}

/// Why an event was not emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The session has ended, or it is parked and the event would not be replayed.
    #[error("the socket is not connected")]
    NotConnected,
    /// There is no such namespace.
    #[error("there is no such namespace")]
    UnknownNamespace,
    /// The namespace waits for [`Limits::pending_acks`](crate::Limits::pending_acks)
    /// acknowledgements.
    #[error("{limit} acknowledgements are pending, the most that may be")]
    TooManyAcks {
        /// The limit.
        limit: usize,
    },
}

/// Why nothing can be said about a client offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OnceError {
    /// The session has ended, and what it remembered with it.
    #[error("the socket's session has ended")]
    UnknownSocket,
    /// The offset is empty or too long to be remembered.
    #[error("a client offset has 1 to {limit} bytes")]
    OffsetLength {
        /// The most bytes it may have.
        limit: usize,
    },
}

/// Why a namespace could not be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NamespaceError {
    /// The name has a comma or a control character, or it is empty.
    #[error("not a name of a namespace")]
    InvalidName,
    /// There are [`Limits::namespaces`](crate::Limits::namespaces) namespaces.
    #[error("there are {limit} namespaces, the most there may be")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}
