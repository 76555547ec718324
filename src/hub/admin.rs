//! Queries about sockets, connected and parked.

use alloc::vec::Vec;

use super::{
    Hub,
    audience::Audience,
    error::EmitError,
    sessions::{Change, Recipients, Sessions},
};
use crate::{
    id::{ConnectionId, SocketId, SocketKey},
    socket::NamespaceName,
    time::Timestamp,
};

impl<D: Default> Hub<D> {
    /// Returns the rooms of a socket, including the room named after its own id.
    ///
    /// ```
    /// use socketio_proto::SocketKey;
    /// use socketio_proto::server::Server;
    ///
    /// fn is_in_lobby(server: &Server, socket: SocketKey) -> bool {
    ///     server.rooms(socket).any(|room| room == "lobby")
    /// }
    /// ```
    pub fn rooms(&self, socket: SocketKey) -> impl Iterator<Item = &str> {
        let namespace = self.namespaces.get(&socket.namespace);
        let namespace = namespace.filter(|namespace| namespace.member(socket).is_some());
        namespace.into_iter().flat_map(move |ns| ns.sessions.room_names(socket.index))
    }

    /// Returns the public id of a socket, connected or parked.
    pub fn socket_id(&self, socket: SocketKey) -> Option<SocketId> {
        Some(self.namespaces.get(&socket.namespace)?.member(socket)?.id)
    }

    /// Returns the namespace of a socket, connected or parked.
    pub fn namespace(&self, socket: SocketKey) -> Option<&NamespaceName> {
        let namespace = self.namespaces.get(&socket.namespace)?;
        namespace.member(socket).map(|_| namespace.sessions.name())
    }

    /// Returns the connection of a socket; `None` if it is parked or has ended.
    pub fn connection(&self, socket: SocketKey) -> Option<ConnectionId> {
        self.namespaces.get(&socket.namespace)?.member(socket)?.connection()
    }

    /// Returns whether a socket is connected, rather than parked or ended.
    ///
    /// ```
    /// use socketio_proto::SocketKey;
    /// use socketio_proto::server::Server;
    ///
    /// fn is_parked(server: &Server, socket: SocketKey) -> bool {
    ///     server.data(socket).is_some() && !server.is_connected(socket)
    /// }
    /// ```
    pub fn is_connected(&self, socket: SocketKey) -> bool {
        self.connection(socket).is_some()
    }

    /// Returns the application's data of a socket, connected or parked.
    ///
    /// ```
    /// use socketio_proto::SocketKey;
    /// use socketio_proto::server::Server;
    ///
    /// fn user_name(server: &Server<String>, socket: SocketKey) -> Option<&str> {
    ///     server.data(socket).map(String::as_str)
    /// }
    /// ```
    pub fn data(&self, socket: SocketKey) -> Option<&D> {
        Some(&self.namespaces.get(&socket.namespace)?.member(socket)?.data)
    }

    /// Sockets of an audience, parked ones included.
    pub(super) fn select(
        &mut self,
        namespace: &str,
        audience: &Audience,
    ) -> Result<Vec<SocketKey>, EmitError> {
        let id = self.find_namespace(namespace).ok_or(EmitError::UnknownNamespace)?;
        let namespace = self.namespaces.get_mut(&id).ok_or(EmitError::UnknownNamespace)?;
        let to = namespace.recipients(audience);
        let selected = namespace.sessions.select(&to);
        Ok(selected.into_iter().filter_map(|index| namespace.key(index)).collect())
    }

    /// Makes a change for an audience. Returns the number of sessions that were changed, and that
    /// were not because of a limit.
    pub(super) fn change_all<'a>(
        &mut self,
        namespace: &str,
        audience: &'a Audience,
        change: impl FnOnce(Recipients<'a>) -> Change<'a, D>,
    ) -> Result<(usize, usize), EmitError> {
        let id = self.find_namespace(namespace).ok_or(EmitError::UnknownNamespace)?;
        let namespace = self.namespaces.get_mut(&id).ok_or(EmitError::UnknownNamespace)?;
        let change = change(namespace.recipients(audience));
        Ok(namespace.sessions.apply(self.now, change).counted())
    }

    /// Runs `f` on the sessions of a socket's namespace, unless the session of the socket has
    /// ended.
    pub(super) fn with_socket<T>(
        &mut self,
        socket: SocketKey,
        f: impl FnOnce(&mut Sessions<D>, Timestamp) -> T,
    ) -> Option<T> {
        let namespace = self.namespaces.get_mut(&socket.namespace)?;
        namespace.member(socket)?;
        Some(f(&mut namespace.sessions, self.now))
    }
}
