//! Rooms and data of sockets, one by one and by audience. Parked sessions take part.

use alloc::{borrow::Cow, vec::Vec};

use super::{
    Hub,
    audience::Audience,
    error::{EmitError, RoomError},
    sessions::{Change, Sessions},
};
use crate::{
    id::{ConnectionId, SocketId, SocketKey},
    socket::NamespaceName,
    stats::increment,
    time::Timestamp,
};

impl<D: Default> Hub<D> {
    /// Lets a socket join a room from the next event on. Returns false if it is in it already.
    ///
    /// # Errors
    ///
    /// [`RoomError`] if the session has ended or a limit is reached.
    pub fn join(&mut self, socket: SocketKey, room: &str) -> Result<bool, RoomError> {
        let index = socket.index;
        let joined = self
            .with_socket(socket, |sessions, now| {
                let is_new = sessions.check_join(index, room)?;
                let change = Change::Join { index, room: Cow::Borrowed(room) };
                Ok(is_new && sessions.apply(now, change).is_done())
            })
            .unwrap_or(Err(RoomError::UnknownSocket));
        if matches!(joined, Err(RoomError::TooManyRooms { .. } | RoomError::NameTooLong { .. })) {
            increment(&mut self.totals.joins_refused);
        }
        joined
    }

    /// Lets a socket leave a room from the next event on. Returns false if it is not in it; the
    /// room named after its own id cannot be left.
    pub fn leave(&mut self, socket: SocketKey, room: &str) -> bool {
        let change = Change::Leave { index: socket.index, room: Cow::Borrowed(room) };
        self.with_socket(socket, |sessions, now| sessions.apply(now, change).is_done())
            .unwrap_or(false)
    }

    /// Returns the rooms of a socket, the one named after its own id included.
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
    pub fn is_connected(&self, socket: SocketKey) -> bool {
        self.connection(socket).is_some()
    }

    /// Returns the application's data of a socket, connected or parked.
    pub fn data(&self, socket: SocketKey) -> Option<&D> {
        Some(&self.namespaces.get(&socket.namespace)?.member(socket)?.data)
    }

    /// Replaces the application's data of a socket. Returns the former data, or `None` if the
    /// session has ended.
    pub fn set_data(&mut self, socket: SocketKey, data: D) -> Option<D> {
        let change = Change::SetData { index: socket.index, data };
        self.with_socket(socket, |sessions, now| sessions.apply(now, change).replaced())?
    }

    /// Changes the application's data of a socket. Returns what `change` does, or `None` if the
    /// session has ended. If `change` panics, the data are the default.
    pub fn update_data<T>(
        &mut self,
        socket: SocketKey,
        change: impl FnOnce(&mut D) -> T,
    ) -> Option<T> {
        let index = socket.index;
        let mut data = self.with_socket(socket, |sessions, _| sessions.take_data(index))??;
        let result = change(&mut data);
        self.set_data(socket, data);
        Some(result)
    }

    /// Returns the connected sockets of an audience.
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace.
    pub fn fetch_sockets(
        &mut self,
        namespace: &str,
        audience: &Audience,
    ) -> Result<Vec<SocketKey>, EmitError> {
        let mut sockets = self.select(namespace, audience)?;
        sockets.retain(|socket| self.is_connected(*socket));
        Ok(sockets)
    }

    /// Lets all sockets of an audience, parked ones included, join a room. Returns how many did.
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace.
    pub fn sockets_join(
        &mut self,
        namespace: &str,
        audience: &Audience,
        room: &str,
    ) -> Result<usize, EmitError> {
        let sockets = self.select(namespace, audience)?;
        Ok(sockets.into_iter().filter(|socket| self.join(*socket, room) == Ok(true)).count())
    }

    /// Lets all sockets of an audience, parked ones included, leave a room. Returns how many did.
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace.
    pub fn sockets_leave(
        &mut self,
        namespace: &str,
        audience: &Audience,
        room: &str,
    ) -> Result<usize, EmitError> {
        let sockets = self.select(namespace, audience)?;
        Ok(sockets.into_iter().filter(|socket| self.leave(*socket, room)).count())
    }

    /// Disconnects all sockets of an audience for good, parked ones included, and their
    /// connections too if `close_connections` holds. Returns how many there were.
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace.
    pub fn disconnect_sockets(
        &mut self,
        now: Timestamp,
        namespace: &str,
        audience: &Audience,
        close_connections: bool,
    ) -> Result<usize, EmitError> {
        let sockets = self.select(namespace, audience)?;
        let ended =
            sockets.into_iter().filter(|socket| self.disconnect(now, *socket, close_connections));
        Ok(ended.count())
    }

    fn select(
        &mut self,
        namespace: &str,
        audience: &Audience,
    ) -> Result<Vec<SocketKey>, EmitError> {
        let id = self.find_namespace(namespace).ok_or(EmitError::UnknownNamespace)?;
        let namespace = self.namespaces.get_mut(&id).ok_or(EmitError::UnknownNamespace)?;
        let Some(to) = namespace.sessions.resolve(audience) else {
            return Ok(Vec::new());
        };
        let selected = namespace.sessions.select(&to);
        Ok(selected.into_iter().filter_map(|index| namespace.key(index)).collect())
    }

    fn with_socket<T>(
        &mut self,
        socket: SocketKey,
        f: impl FnOnce(&mut Sessions<D>, Timestamp) -> T,
    ) -> Option<T> {
        let namespace = self.namespaces.get_mut(&socket.namespace)?;
        namespace.member(socket)?;
        Some(f(&mut namespace.sessions, self.now))
    }
}
