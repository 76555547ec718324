//! The beginning and the end of sockets, for their handlers.

use socketio_proto::{
    ConnectionId, SocketId, SocketKey,
    hub::{DisconnectReason, RoomNames},
    recovery::RecoveryOutcome,
    socket::NamespaceName,
};

use super::Router;
use crate::handle::Handle;

/// A client that has joined a namespace: [`Namespace::on_connect`](super::Namespace::on_connect).
#[derive(Debug)]
#[non_exhaustive]
pub struct Connected<D: Default + Send + 'static> {
    /// Its socket: a new one, or the earlier one if its session was recovered.
    pub socket: SocketKey,
    /// The socket's public id.
    pub id: SocketId,
    /// The connection that the client is on.
    pub connection: ConnectionId,
    /// The namespace.
    pub namespace: NamespaceName,
    /// Whether the session was recovered, and if not, why.
    pub recovery: RecoveryOutcome,
    /// The server, for tasks. It stays alive as long as this does.
    pub handle: Handle<Router<D>>,
}

/// A socket that was disconnected, or has lost its connection:
/// [`Namespace::on_disconnecting`](super::Namespace::on_disconnecting).
#[derive(Debug)]
#[non_exhaustive]
pub struct Disconnecting<D> {
    /// The socket. If it is not parked, the key is no longer valid.
    pub socket: SocketKey,
    /// The socket's public id.
    pub id: SocketId,
    /// The namespace.
    pub namespace: NamespaceName,
    /// The reason.
    pub reason: DisconnectReason,
    /// The rooms that it was in, including the room named after its id. A parked socket still is.
    pub rooms: RoomNames,
    /// The data of the socket if it has ended. `None` if it is parked: its client may come back.
    /// Otherwise [`SessionExpired`](socketio_proto::server::ServerEvent::SessionExpired) follows,
    /// which [`Router::on_other`] gets.
    pub data: Option<D>,
}
