//! Queries about sockets, connected and parked, and about the whole hub.

use alloc::{borrow::Cow, vec::Vec};

use super::{
    Hub,
    audience::Audience,
    error::{EmitError, RoomError},
    sessions::{Change, Recipients, Sessions},
};
use crate::{
    id::{ConnectionId, SocketId, SocketKey},
    socket::NamespaceName,
    stats::{ConnectRefusals, Stats, increment},
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
    ///
    /// ```
    /// use socketio_proto::SocketKey;
    /// use socketio_proto::server::Server;
    ///
    /// /// What other clients may know of a socket.
    /// fn public_id(server: &Server, socket: SocketKey) -> Option<String> {
    ///     server.socket_id(socket).map(|id| id.to_string())
    /// }
    /// ```
    pub fn socket_id(&self, socket: SocketKey) -> Option<SocketId> {
        Some(self.namespaces.get(&socket.namespace)?.member(socket)?.id)
    }

    /// Returns the namespace of a socket, connected or parked.
    ///
    /// ```
    /// use socketio_proto::SocketKey;
    /// use socketio_proto::server::Server;
    ///
    /// fn is_admin(server: &Server, socket: SocketKey) -> bool {
    ///     server.namespace(socket).is_some_and(|name| name.as_str() == "/admin")
    /// }
    /// ```
    pub fn namespace(&self, socket: SocketKey) -> Option<&NamespaceName> {
        let namespace = self.namespaces.get(&socket.namespace)?;
        namespace.member(socket).map(|_| namespace.sessions.name())
    }

    /// Returns the connection of a socket; `None` if it is parked or has ended.
    ///
    /// ```
    /// use socketio_proto::SocketKey;
    /// use socketio_proto::server::Server;
    ///
    /// /// Sockets of one client in several namespaces share their connection.
    /// fn is_same_client(server: &Server, one: SocketKey, other: SocketKey) -> bool {
    ///     let connection = server.connection(one);
    ///     connection.is_some() && connection == server.connection(other)
    /// }
    /// ```
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

    /// Returns what the hub holds, and its counters. What pools count is not included.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::hub::{Audience, Hub};
    /// # let now = Timestamp::ZERO;
    /// # let mut hub = Hub::<()>::new(Default::default(), |dest: &mut [u8]| dest.fill(7))?;
    /// assert_eq!(hub.stats().sockets, 0);
    /// # Ok::<(), socketio_proto::ConfigError>(())
    /// ```
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            namespaces: self.namespaces.len().saturating_sub(self.vacant_namespaces()),
            vacant_namespaces: self.vacant_namespaces(),
            connects_waiting: self.connects.waiting_count(),
            recoveries_queued: self.connects.queued_count(),
            channel_waiting: self.channel_waiting(),
            records_waiting: self.records_waiting(),
            total: self.totals,
            ..Stats::default()
        };
        for namespace in self.namespaces.values() {
            let sessions = &namespace.sessions;
            stats.sockets += sessions.live_count();
            stats.parked_sessions += sessions.parked_count();
            stats.rooms += sessions.room_count();
            stats.log_packets += sessions.log().len();
            stats.log_bytes += sessions.log().bytes();
            stats.pending_acks += namespace.pending_acks();
            let evicted = sessions.log().made_room();
            stats.total.packets_evicted = stats.total.packets_evicted.wrapping_add(evicted);
        }
        stats
    }

    pub(crate) fn connects_refused(&self) -> ConnectRefusals {
        self.totals.connects_refused
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

    /// Joins a socket to a room, or only checks whether it may. Returns whether it is not in the room
    /// yet.
    pub(super) fn join(
        &mut self,
        socket: SocketKey,
        room: &str,
        is_check: bool,
    ) -> Result<bool, RoomError> {
        let index = socket.index;
        let joined = self
            .with_socket(socket, |sessions, now| {
                let is_new = sessions.check_join(index, room)?;
                let change = Change::Join { index, room: Cow::Borrowed(room) };
                Ok(is_new && (is_check || sessions.apply(now, change).is_done()))
            })
            .unwrap_or(Err(RoomError::UnknownSocket));
        if matches!(joined, Err(RoomError::TooManyRooms { .. } | RoomError::NameTooLong { .. })) {
            increment(&mut self.totals.joins_refused);
        }
        joined
    }

    /// Removes a socket from a room. Returns whether it was in it.
    pub(super) fn leave(&mut self, socket: SocketKey, room: &str) -> bool {
        let change = Change::Leave { index: socket.index, room: Cow::Borrowed(room) };
        let left = self.with_socket(socket, |sessions, now| sessions.apply(now, change));
        left.is_some_and(|effect| effect.is_done())
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
