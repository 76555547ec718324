//! What the application is told by the hub.

use alloc::vec::Vec;

use super::{acks::AckFailure, reason::DisconnectReason};
use crate::{
    id::{AckId, ConnectionId, SocketId, SocketKey},
    recovery::RecoveryOutcome,
    socket::{Args, Json, NamespaceName},
};

/// Something that happened to the sockets of a namespace. `D` is the application's own data of a
/// socket.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<D> {
    /// A client wants to join a namespace. Answer with `accept` or `reject`; until then the client
    /// waits, within [`connect_timeout`](crate::ServerConfig::connect_timeout) if it is in no
    /// other namespace yet.
    ConnectRequested {
        /// What to answer.
        request: ConnectRequest,
        /// The connection that the client is on.
        connection: ConnectionId,
        /// The namespace that it wants to join.
        namespace: NamespaceName,
        /// Its authentication data, an object; without the private id and the offset.
        auth: Json,
        /// The session that would be recovered if the request were accepted now.
        recoverable: Option<SocketKey>,
    },
    /// A client has joined a namespace.
    Connected {
        /// Its socket: a new one, or the one that it had before if it was recovered.
        socket: SocketKey,
        /// The socket's public id.
        id: SocketId,
        /// The connection that the client is on.
        connection: ConnectionId,
        /// The namespace.
        namespace: NamespaceName,
        /// Its authentication data, an object; without the private id and the offset.
        auth: Json,
        /// Whether it is a recovered session, and if not, why not.
        recovery: RecoveryOutcome,
    },
    /// A client has acknowledged an event.
    Acked {
        /// The socket.
        socket: SocketKey,
        /// Which acknowledgement.
        ack: AckId,
        /// What the client answered.
        args: Args,
    },
    /// An acknowledgement will not come.
    AckFailed {
        /// The socket.
        socket: SocketKey,
        /// Which acknowledgement.
        ack: AckId,
        /// Why.
        cause: AckFailure,
    },
    /// A broadcast with acknowledgements is settled: everyone has answered or gone, or the time
    /// is up.
    BroadcastAcked {
        /// Which acknowledgement.
        ack: AckId,
        /// The answers in the order in which they arrived.
        responses: Vec<(SocketKey, Args)>,
        /// Sockets that have not answered.
        missing: usize,
        /// Whether the time was up.
        timed_out: bool,
    },
    /// A socket has lost its link, or was disconnected.
    Disconnected {
        /// The socket. If it is not parked, the key is a miss from now on.
        socket: SocketKey,
        /// The socket's public id.
        id: SocketId,
        /// The namespace.
        namespace: NamespaceName,
        /// Why.
        reason: DisconnectReason,
        /// The application's data, given back if the session is over; `None` if it is parked,
        /// that is, kept for the client to come back.
        data: Option<D>,
    },
    /// A parked session is over.
    SessionExpired {
        /// The socket. The key is a miss from now on.
        socket: SocketKey,
        /// The socket's public id.
        id: SocketId,
        /// The namespace.
        namespace: NamespaceName,
        /// The application's data, given back.
        data: D,
        /// Why.
        cause: ExpiryCause,
    },
}

/// Why a parked session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryCause {
    /// The client did not come back within
    /// [`max_disconnection`](crate::RecoveryConfig::max_disconnection).
    TimedOut,
    /// It made room for another one:
    /// [`parked_sessions`](crate::RecoveryConfig::parked_sessions) was reached.
    Evicted,
    /// The application disconnected the socket.
    Disconnected,
}

/// Names a CONNECT that waits for the application's answer. A stale one is a miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectRequest {
    pub(crate) connection: ConnectionId,
    pub(crate) namespace: u32,
    pub(crate) serial: u64,
}
