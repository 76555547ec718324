//! What the application is told.

use alloc::vec::Vec;

use super::{AckFailure, AckToken, ConnectRequest, DisconnectReason, ExpiryCause, RoomNames};
use crate::{
    engine::CloseReason,
    id::{AckId, ConnectionId, SocketId, SocketKey},
    recovery::RecoveryOutcome,
    socket::{self, Args, Json, NamespaceName},
};

/// Something that the application may want to know or has to answer. `D` is its own data of a
/// socket.
///
/// What concerns connections and what clients emit is told by links (a [`Link`](crate::link::Link)
/// used directly has its own, smaller [`Event`](crate::link::Event)), the rest by the hub.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<D> {
    /// A client has opened an Engine.IO session.
    ConnectionOpened {
        /// The connection.
        connection: ConnectionId,
    },
    /// A connection has moved from HTTP long-polling to WebSocket.
    ConnectionUpgraded {
        /// The connection.
        connection: ConnectionId,
    },
    /// A connection is over. Its sockets were reported as disconnected before.
    ConnectionClosed {
        /// The connection.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// A client wants to join a namespace. Answer with [`At::accept`](crate::hub::At::accept)
    /// or [`At::reject`](crate::hub::At::reject); until then the client waits, within
    /// [`connect_timeout`](crate::ServerConfig::connect_timeout) if it is in no other namespace.
    ///
    /// A session that the client claims does not expire before the answer, and what it missed does
    /// not get too old, but for `connect_timeout` at most. A later answer finds it only if it would
    /// be there anyway.
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
    /// A client has refused the same replay again and again. Its session is given up, and the client
    /// connects with a new one: [`Refusal::PoisonEvent`](crate::recovery::Refusal::PoisonEvent).
    ReplayRefused {
        /// The session that is given up. It stays parked until it expires.
        socket: SocketKey,
        /// The socket's public id.
        id: SocketId,
        /// The namespace.
        namespace: NamespaceName,
        /// The first event of the replay, which the client has not processed. Its last argument is
        /// its offset, unless it asks for an acknowledgement.
        event: socket::Event,
    },
    /// A client has emitted an event.
    Received {
        /// Its socket.
        socket: SocketKey,
        /// The event.
        event: socket::Event,
        /// What to pass to [`At::ack`](crate::hub::At::ack) if the client asked for an
        /// acknowledgement.
        ack: Option<AckToken>,
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
    /// A broadcast with acknowledgements is settled.
    BroadcastAcked {
        /// Which acknowledgement.
        ack: AckId,
        /// The answers in the order in which they arrived.
        responses: Vec<(SocketKey, Args)>,
        /// Sockets that have not answered, or whose answers were dropped for
        /// [`Limits::broadcast_answer_bytes`](crate::Limits::broadcast_answer_bytes).
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
        /// The rooms that it was in at that moment, the one named after its id included. One that
        /// is parked is in them still.
        rooms: RoomNames,
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
        /// The rooms that it was in at the end, the one named after its id included.
        rooms: RoomNames,
        /// The application's data, given back.
        data: D,
        /// Why.
        cause: ExpiryCause,
    },
}
