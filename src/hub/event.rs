//! Events for the application.

use alloc::{boxed::Box, vec::Vec};

use super::{
    AckFailure, AckToken, ConnectRequest, DisconnectReason, ExpiryCause, FetchedSocket, Responder,
    RoomNames, ServerAckToken,
};
use crate::{
    cluster::{
        Missing,
        message::{NodeId, RequestId, Value},
    },
    engine::CloseReason,
    id::{AckId, ConnectionId, RecoveryKey, SocketId, SocketKey, WireId},
    recovery::RecoveryOutcome,
    socket::{self, Args, Json, NamespaceName},
};

/// An event that the application may handle or must answer. `D` is the application's own data of a
/// socket.
///
/// Links report the events about connections and the events that clients emit. (A
/// [`Link`](crate::link::Link) that is used directly has its own, smaller
/// [`LinkEvent`](crate::link::LinkEvent).) The hub reports the others.
///
/// ```
/// use socketio_proto::Timestamp;
/// use socketio_proto::server::{Server, ServerEvent};
///
/// /// The data of a socket is the name of its user.
/// fn handle_event(server: &mut Server<String>, now: Timestamp, event: ServerEvent<String>) {
///     match event {
///         // Look at `auth`, and accept or reject the client.
///         ServerEvent::ConnectRequested { request, .. } => {
///             server.at(now).accept(request);
///         }
///         // A recovered socket still has its rooms and its data.
///         ServerEvent::Connected { socket, recovery, .. } if !recovery.is_recovered() => {
///             server.at(now).join(socket, "lobby").ok();
///         }
///         ServerEvent::Received { socket, event, .. } if event.name() == "name" => {
///             let Ok((name,)) = event.parse::<(String,)>() else { return };
///             server.at(now).set_data(socket, name);
///         }
///         // Without data, the client may still come back.
///         ServerEvent::Disconnected { socket, data: None, .. } => {
///             server.at(now).socket(socket).to("lobby").emit("away", &()).ok();
///         }
///         ServerEvent::Disconnected { data: Some(name), .. }
///         | ServerEvent::SessionExpired { data: name, .. } => {
///             server.at(now).to("lobby").emit("left", &(name,)).ok();
///         }
///         _ => {}
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerEvent<D> {
    /// A client has opened an Engine.IO session.
    ///
    /// This is the first event of the connection, and the input of the handshake causes it. Use it
    /// to associate the request (headers, cookies, address, query) with the connection: the
    /// embedder stores the request by its wire, and each
    /// [`ConnectRequested`](Self::ConnectRequested) contains the connection.
    ConnectionOpened {
        /// The connection.
        connection: ConnectionId,
        /// The wire of the handshake.
        wire: WireId,
    },
    /// A connection has moved from HTTP long-polling to WebSocket.
    ConnectionUpgraded {
        /// The connection.
        connection: ConnectionId,
    },
    /// A connection has closed. Its sockets were reported as disconnected before.
    ConnectionClosed {
        /// The connection.
        connection: ConnectionId,
        /// The reason.
        reason: CloseReason,
    },
    /// A client asks to join a namespace. Answer with [`At::accept`](crate::hub::At::accept) or
    /// [`At::reject`](crate::hub::At::reject). Until then the client waits. If it is in no other
    /// namespace, it is disconnected after
    /// [`connect_timeout`](crate::ServerConfig::connect_timeout).
    ///
    /// Until the answer, but for `connect_timeout` at most, a session that the client claims does
    /// not expire, and neither do the packets that it missed. A later answer recovers the session
    /// only if it has not expired by then.
    ConnectRequested {
        /// Identifies the request in the answer.
        request: ConnectRequest,
        /// The connection that the client is on.
        connection: ConnectionId,
        /// The namespace that the client asks to join.
        namespace: NamespaceName,
        /// Its authentication data: an object, without the private id and the offset.
        auth: Json,
        /// The session that would be recovered if the request were accepted now.
        recoverable: Option<SocketKey>,
    },
    /// A client claims a session that this server does not know. Only with
    /// [`lookup_timeout`](crate::RecoveryConfig::lookup_timeout). Look the session up elsewhere, and
    /// answer with [`At::end_lookup`](crate::hub::At::end_lookup). Until then, but for
    /// `lookup_timeout` at most, the client waits.
    ///
    /// The client may go, or send a new CONNECT. The answer then has no effect.
    LookupRequested {
        /// Identifies the request in the answer.
        request: ConnectRequest,
        /// The connection that the client is on.
        connection: ConnectionId,
        /// The namespace that the client asks to join.
        namespace: NamespaceName,
        /// The private id of the session, as the client presents it: 20 characters, not checked.
        key: RecoveryKey,
        /// The offset that the client presents: at most 64 bytes, not checked. `None` if it has
        /// processed nothing.
        offset: Option<Box<str>>,
    },
    /// The answer to [`hand_over`](crate::hub::At::hand_over): nothing is on its way to the store of the
    /// cluster any more.
    HandedOver {
        /// Sessions that are in the store. Their clients recover them at any other node.
        stored: usize,
        /// Sessions that are not: the engine has refused them, or they are still connected. They are
        /// lost when this process ends.
        not_stored: usize,
    },
    /// A client has joined a namespace.
    Connected {
        /// Its socket: a new one, or the earlier one if its session was recovered.
        socket: SocketKey,
        /// The socket's public id.
        id: SocketId,
        /// The connection that the client is on.
        connection: ConnectionId,
        /// The namespace.
        namespace: NamespaceName,
        /// Its authentication data: an object, without the private id and the offset.
        auth: Json,
        /// Whether the session was recovered, and if not, why.
        recovery: RecoveryOutcome,
    },
    /// A client has refused the same replay repeatedly. Its session is given up, and the client
    /// connects with a new one: [`RecoveryRefusal::PoisonEvent`](crate::recovery::RecoveryRefusal::PoisonEvent).
    ReplayRefused {
        /// The session that is given up. It stays parked until it expires.
        socket: SocketKey,
        /// The socket's public id.
        id: SocketId,
        /// The namespace.
        namespace: NamespaceName,
        /// The first event of the replay, which the client has not processed. Its last argument is
        /// its offset, unless the event asks for an acknowledgement.
        event: socket::Event,
    },
    /// A client has emitted an event.
    Received {
        /// Its socket.
        socket: SocketKey,
        /// The namespace.
        namespace: NamespaceName,
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
        /// The namespace.
        namespace: NamespaceName,
        /// Identifies the acknowledgement.
        ack: AckId,
        /// The client's answer.
        args: Args,
    },
    /// An acknowledgement has failed.
    AckFailed {
        /// The socket.
        socket: SocketKey,
        /// The namespace.
        namespace: NamespaceName,
        /// Identifies the acknowledgement.
        ack: AckId,
        /// The reason.
        cause: AckFailure,
    },
    /// A broadcast with acknowledgements is complete.
    BroadcastAcked {
        /// The namespace.
        namespace: NamespaceName,
        /// Identifies the acknowledgement.
        ack: AckId,
        /// The answers in the order in which they arrived.
        responses: Vec<(Responder, Args)>,
        /// The number of sockets that have not answered, or whose answers were dropped because of
        /// [`Limits::broadcast_answer_bytes`](crate::Limits::broadcast_answer_bytes).
        missing: usize,
        /// The nodes of the cluster that have not told how many sockets they have asked.
        nodes_missing: Missing,
        /// Whether the timeout was reached.
        timed_out: bool,
    },
    /// The answer to [`At::fetch_sockets`](crate::hub::At::fetch_sockets).
    SocketsFetched {
        /// The namespace.
        namespace: NamespaceName,
        /// Identifies the request.
        request: RequestId,
        /// The connected sockets: those of this server first.
        sockets: Vec<FetchedSocket>,
        /// The nodes of the cluster that have not answered.
        missing: Missing,
    },
    /// The answer to [`At::count_servers`](crate::hub::At::count_servers).
    ServersCounted {
        /// The namespace.
        namespace: NamespaceName,
        /// Identifies the request.
        request: RequestId,
        /// How many servers have the namespace, this one included.
        servers: usize,
    },
    /// Another server of the cluster has emitted an event for the servers themselves:
    /// [`At::server_side_emit`](crate::hub::At::server_side_emit).
    ServerSideEvent {
        /// The namespace.
        namespace: NamespaceName,
        /// The server that has emitted it, or an emitter.
        from: NodeId,
        /// The event.
        event: socket::Event,
        /// What to pass to [`At::ack_server`](crate::hub::At::ack_server) if it asks for an
        /// acknowledgement.
        ack: Option<ServerAckToken>,
    },
    /// The answer to
    /// [`At::server_side_emit_with_ack`](crate::hub::At::server_side_emit_with_ack).
    ServerSideAcked {
        /// The namespace.
        namespace: NamespaceName,
        /// Identifies the request.
        request: RequestId,
        /// The first argument of each answer, in the order in which they arrived.
        responses: Vec<(NodeId, Value)>,
        /// The servers that have not answered.
        missing: Missing,
    },
    /// A socket has lost its link, or was disconnected.
    Disconnected {
        /// The socket. If it is not parked, the key is no longer valid.
        socket: SocketKey,
        /// The socket's public id.
        id: SocketId,
        /// The namespace.
        namespace: NamespaceName,
        /// The reason.
        reason: DisconnectReason,
        /// The rooms that the socket was in at that time, including the room named after its id. A
        /// parked socket is still in them.
        rooms: RoomNames,
        /// The application's data, if the session has ended. `None` if the session is parked, so
        /// that the client can recover it.
        data: Option<D>,
    },
    /// A parked session has ended.
    SessionExpired {
        /// The socket. The key is no longer valid.
        socket: SocketKey,
        /// The socket's public id.
        id: SocketId,
        /// The namespace.
        namespace: NamespaceName,
        /// The rooms that the socket was in at the end, including the room named after its id.
        rooms: RoomNames,
        /// The application's data.
        data: D,
        /// The reason.
        cause: ExpiryCause,
    },
}
