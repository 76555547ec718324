//! Rooms, data and disconnection of sockets, one by one and by audience, parked sockets included.

use alloc::{borrow::Cow, vec::Vec};

use super::At;
use crate::{
    cluster::message::Body,
    hub::{Audience, EmitError, RoomError, cluster::Verb, sessions::Change},
    id::SocketKey,
};

impl<D: Default> At<'_, D> {
    /// Joins a socket to a room from the next event on. The socket may be parked. Returns false if
    /// it is already in the room.
    ///
    /// ```
    /// use socketio_proto::hub::RoomError;
    /// use socketio_proto::server::Server;
    /// use socketio_proto::{SocketKey, Timestamp};
    ///
    /// fn enter(server: &mut Server, now: Timestamp, socket: SocketKey) -> Result<(), RoomError> {
    ///     if server.at(now).join(socket, "lobby")? {
    ///         server.at(now).socket(socket).to("lobby").emit("entered", &()).ok();
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`RoomError`] if the session has ended or a limit is reached.
    pub fn join(&mut self, socket: SocketKey, room: &str) -> Result<bool, RoomError> {
        let is_later = self.hub.is_behind(socket.namespace) || self.hub.is_in_store(socket);
        let joined = self.hub.join(socket, room, is_later);
        if is_later && joined.is_ok() {
            self.change(Verb::Join { socket, room: room.into() });
        }
        joined
    }

    /// Removes a socket from a room from the next event on. The socket may be parked. Returns false
    /// if it is not in the room. A socket cannot leave the room named after its own id.
    ///
    /// ```
    /// use socketio_proto::server::Server;
    /// use socketio_proto::{SocketKey, Timestamp};
    ///
    /// fn go(server: &mut Server, now: Timestamp, socket: SocketKey) {
    ///     if server.at(now).leave(socket, "lobby") {
    ///         server.at(now).to("lobby").emit("left", &()).ok();
    ///     }
    /// }
    /// ```
    pub fn leave(&mut self, socket: SocketKey, room: &str) -> bool {
        if self.hub.is_behind(socket.namespace) || self.hub.is_in_store(socket) {
            let is_in = self.hub.rooms(socket).skip(1).any(|other| other == room);
            self.change(Verb::Leave { socket, room: room.into() });
            return is_in;
        }
        self.hub.leave(socket, room)
    }

    /// Replaces the application's data of a socket. The application gets it back when the client
    /// recovers. Returns the old data, or `None` if the session has ended.
    ///
    /// ```
    /// use socketio_proto::server::Server;
    /// use socketio_proto::{SocketKey, Timestamp};
    ///
    /// fn count(server: &mut Server<u32>, now: Timestamp, socket: SocketKey) {
    ///     let count = server.data(socket).copied().unwrap_or_default();
    ///     server.at(now).set_data(socket, count + 1);
    /// }
    /// ```
    pub fn set_data(&mut self, socket: SocketKey, data: D) -> Option<D> {
        let change = Change::SetData { index: socket.index, data };
        let replaced =
            self.hub.with_socket(socket, |sessions, now| sessions.apply(now, change).replaced());
        self.note_changed(socket);
        replaced?
    }

    /// Changes the application's data of a socket. Returns the result of `change`, or `None` if the
    /// session has ended. If `change` panics, the data is reset to its default.
    ///
    /// ```
    /// use socketio_proto::server::Server;
    /// use socketio_proto::{SocketKey, Timestamp};
    ///
    /// fn count(server: &mut Server<u32>, now: Timestamp, socket: SocketKey) -> Option<u32> {
    ///     server.at(now).update_data(socket, |count| {
    ///         *count += 1;
    ///         *count
    ///     })
    /// }
    /// ```
    pub fn update_data<T>(
        &mut self,
        socket: SocketKey,
        change: impl FnOnce(&mut D) -> T,
    ) -> Option<T> {
        let index = socket.index;
        let mut data = self.hub.with_socket(socket, |sessions, _| sessions.take_data(index))??;
        let result = change(&mut data);
        self.set_data(socket, data);
        Some(result)
    }

    /// Disconnects a socket permanently, connected or parked. If `close_connection` is true, its
    /// connection is closed too, which also disconnects the client's sockets in other namespaces.
    /// Returns false if the session has already ended.
    ///
    /// In a cluster with [`Durability::OnChange`](crate::cluster::Durability::OnChange), the connection is
    /// closed when the end of each of its sessions has been read from the channel. After that, none of
    /// them is recovered at any node.
    ///
    /// ```
    /// use socketio_proto::server::Server;
    /// use socketio_proto::{SocketKey, Timestamp};
    ///
    /// fn ban(server: &mut Server, now: Timestamp, socket: SocketKey) {
    ///     server.at(now).socket(socket).emit("banned", &()).ok();
    ///     server.at(now).disconnect(socket, true);
    /// }
    /// ```
    pub fn disconnect(&mut self, socket: SocketKey, close_connection: bool) -> bool {
        if self.hub.is_behind(socket.namespace) || self.hub.is_in_store(socket) {
            let is_known = self.hub.socket_id(socket).is_some();
            self.change(Verb::Disconnect { socket, close: close_connection });
            self.carry();
            return is_known;
        }
        let is_ended = self.hub.disconnect(self.now, socket, close_connection);
        self.carry();
        is_ended
    }

    /// Disconnects all sockets of an audience permanently, parked sockets included. If
    /// `close_connections` is true, their connections are closed too. Returns the number of
    /// sockets.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::hub::{Audience, EmitError};
    /// use socketio_proto::server::Server;
    ///
    /// fn clear(server: &mut Server, now: Timestamp) -> Result<usize, EmitError> {
    ///     server.at(now).disconnect_sockets("/", &Audience::room("lobby"), false)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace. In a cluster,
    /// [`EmitError::ChannelFull`] if too much waits.
    pub fn disconnect_sockets(
        &mut self,
        namespace: &str,
        audience: &Audience,
        close_connections: bool,
    ) -> Result<usize, EmitError> {
        if self.hub.is_clustered() {
            return self.change_clustered(namespace, audience, |options| Body::DisconnectSockets {
                options,
                close: close_connections,
            });
        }
        let id = self.hub.find_namespace(namespace).ok_or(EmitError::UnknownNamespace)?;
        let to = self.hub.namespaces.get(&id).map(|namespace| namespace.recipients(audience));
        let to = to.ok_or(EmitError::UnknownNamespace)?;
        let ended = self.hub.disconnect_all(self.now, id, to, close_connections);
        self.carry();
        Ok(ended)
    }

    /// Joins all sockets of an audience to a room, parked sockets included. Returns how many
    /// joined. Sockets that are in the room already do not count. Sockets beyond
    /// [`rooms_per_socket`](crate::Limits::rooms_per_socket) do not join, and nobody joins a room whose
    /// name is longer than [`room_name_bytes`](crate::Limits::room_name_bytes):
    /// [`joins_refused`](crate::server::Totals::joins_refused) counts them.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::hub::{Audience, EmitError};
    /// use socketio_proto::server::Server;
    ///
    /// fn merge(server: &mut Server, now: Timestamp) -> Result<usize, EmitError> {
    ///     server.at(now).sockets_join("/", &Audience::room("annex"), "lobby")
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace. In a cluster,
    /// [`EmitError::ChannelFull`] if too much waits.
    pub fn sockets_join(
        &mut self,
        namespace: &str,
        audience: &Audience,
        room: &str,
    ) -> Result<usize, EmitError> {
        if self.hub.is_clustered() {
            let rooms = [room.into()].into();
            return self.change_clustered(namespace, audience, |options| Body::SocketsJoin {
                options,
                rooms,
            });
        }
        let (joined, refused) = self.hub.change_all(namespace, audience, |to| Change::JoinAll {
            to,
            room: Cow::Borrowed(room),
        })?;
        let total = &mut self.hub.totals.joins_refused;
        *total = total.wrapping_add(refused as u64);
        Ok(joined)
    }

    /// Removes all sockets of an audience from a room, parked sockets included. Returns how many
    /// left.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::hub::{Audience, EmitError};
    /// use socketio_proto::server::Server;
    ///
    /// fn empty(server: &mut Server, now: Timestamp) -> Result<usize, EmitError> {
    ///     server.at(now).sockets_leave("/", &Audience::all(), "lobby")
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace. In a cluster,
    /// [`EmitError::ChannelFull`] if too much waits.
    pub fn sockets_leave(
        &mut self,
        namespace: &str,
        audience: &Audience,
        room: &str,
    ) -> Result<usize, EmitError> {
        if self.hub.is_clustered() {
            let rooms = [room.into()].into();
            return self.change_clustered(namespace, audience, |options| Body::SocketsLeave {
                options,
                rooms,
            });
        }
        let (left, _) = self.hub.change_all(namespace, audience, |to| Change::LeaveAll {
            to,
            room: Cow::Borrowed(room),
        })?;
        Ok(left)
    }

    /// Returns the connected sockets of an audience on this server:
    /// `io.local.in("room").fetchSockets()`. For those of all servers, see
    /// [`fetch_sockets`](Self::fetch_sockets).
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::hub::{Audience, EmitError};
    /// use socketio_proto::server::Server;
    ///
    /// fn count(server: &mut Server, now: Timestamp) -> Result<usize, EmitError> {
    ///     Ok(server.at(now).local_sockets("/", &Audience::room("lobby"))?.len())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace.
    pub fn local_sockets(
        &mut self,
        namespace: &str,
        audience: &Audience,
    ) -> Result<Vec<SocketKey>, EmitError> {
        let mut sockets = self.hub.select(namespace, audience)?;
        sockets.retain(|socket| self.hub.is_connected(*socket));
        Ok(sockets)
    }
}
