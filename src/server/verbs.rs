//! What the application wants: the verbs of the hub, followed through to the wires.

use alloc::vec::Vec;
use core::time::Duration;

use super::{Reach, Server};
use crate::{
    engine::{CloseReason, SendError},
    hub::{
        AckError, AckToken, Audience, ConnectRequest, EmitError, NamespaceError, Once, OnceError,
        Rejection, RoomError,
    },
    id::{AckId, ConnectionId, SocketId, SocketKey},
    socket::{self, Args, NamespaceName},
    stats::increment,
    time::Timestamp,
};

/// What a packet may have beyond its event: its type, a namespace, an id, an offset.
const ENVELOPE_BYTES: usize = 512;

impl<D: Default> Server<D> {
    /// Adds a namespace that clients may ask to join. Adding it again has no effect.
    ///
    /// # Errors
    ///
    /// [`NamespaceError`] if the name cannot be one, or if there are too many.
    pub fn add_namespace(&mut self, name: &str) -> Result<(), NamespaceError> {
        self.hub.add_namespace(name)
    }

    /// Lets clients ask to join every namespace whose name satisfies `predicate`.
    ///
    /// Such a namespace is made when the first client asks for it, and goes when no session,
    /// connected or parked, is left in it. All other names are answered with `Invalid namespace`.
    pub fn add_namespaces_matching(&mut self, predicate: impl Fn(&str) -> bool + Send + 'static) {
        self.hub.add_namespaces_matching(predicate);
    }

    /// Lets a client in: with its former session if that can be recovered, with a new one
    /// otherwise; [`Event::Connected`](super::Event::Connected) says which. `None` if the client
    /// has gone meanwhile.
    pub fn accept(&mut self, now: Timestamp, request: ConnectRequest) -> Option<SocketKey> {
        let now = self.advance(now);
        let socket = self.hub.accept(now, request);
        self.exchange(now);
        socket
    }

    /// Does not let a client in: it is answered with CONNECT_ERROR. Its connection stays open, and
    /// a session that it might have recovered stays parked. Returns false if the client has gone
    /// meanwhile. A rejection of more than [`outgoing_bytes`](crate::Limits::outgoing_bytes) is sent
    /// without its data and with the message `Rejected`.
    pub fn reject(
        &mut self,
        now: Timestamp,
        request: ConnectRequest,
        rejection: &Rejection,
    ) -> bool {
        let now = self.advance(now);
        let is_answered = self.hub.reject(now, request, rejection);
        self.exchange(now);
        is_answered
    }

    /// Emits an event to one socket. With recovery on, a parked one gets it when it comes back.
    ///
    /// # Errors
    ///
    /// [`EmitError::NotConnected`] if the session has ended, or is parked while recovery is off;
    /// [`EmitError::TooManyAttachments`] or [`EmitError::TooLarge`] for what clients would refuse:
    /// nothing is sent or logged then. [`EmitError::QueueFull`] if too much is queued for its
    /// connection at once, or if the client does not read while recovery is off. With recovery on
    /// one that does not read is closed: it gets the event when it comes back.
    pub fn emit(
        &mut self,
        now: Timestamp,
        socket: SocketKey,
        event: &socket::Event,
    ) -> Result<(), EmitError> {
        let now = self.advance(now);
        self.check_room(socket, event, self.config.recovery.is_some())?;
        let result = self.hub.emit(now, socket, event);
        self.exchange(now);
        result
    }

    /// Emits an event to one socket if it can take it at this moment; it is not replayed.
    ///
    /// A client on HTTP long-polling can take one while its GET is waiting, a client on WebSocket
    /// while its wire is not [paused](Server::pause).
    ///
    /// # Errors
    ///
    /// [`EmitError::NotConnected`] if the socket is not connected, and those on the size of the
    /// event as for [`emit`](Self::emit).
    pub fn emit_volatile(
        &mut self,
        now: Timestamp,
        socket: SocketKey,
        event: &socket::Event,
    ) -> Result<(), EmitError> {
        let now = self.advance(now);
        let result = self.hub.emit_volatile(now, socket, event);
        self.exchange(now);
        result
    }

    /// Emits an event to one socket and asks for an acknowledgement, which settles with
    /// [`Event::Acked`](super::Event::Acked) or [`Event::AckFailed`](super::Event::AckFailed) at
    /// the latest after `timeout`.
    ///
    /// It is replayed only with
    /// [`replay_ack_events`](crate::RecoveryConfig::replay_ack_events). Without, the acknowledgement
    /// fails as soon as the client has lost its link or has come back on another one.
    ///
    /// # Errors
    ///
    /// [`EmitError::NotConnected`] if the session has ended, or is parked and the event would not
    /// be replayed; [`EmitError::TooManyAcks`] at the limit; [`EmitError::QueueFull`], and those on
    /// the size of the event, as for [`emit`](Self::emit).
    pub fn emit_with_ack(
        &mut self,
        now: Timestamp,
        socket: SocketKey,
        event: &socket::Event,
        timeout: Duration,
    ) -> Result<AckId, EmitError> {
        let now = self.advance(now);
        let is_logged = self.config.recovery.as_ref().is_some_and(|it| it.replay_ack_events);
        self.check_room(socket, event, is_logged)?;
        let result = self.hub.emit_with_ack(now, socket, event, timeout);
        self.exchange(now);
        result
    }

    /// Answers an event that a client asked an acknowledgement for. Returns false if the client
    /// has gone, or has come back on another connection since; where the answer is kept for the
    /// client to ask again (one of this crate, or an event that was accepted with
    /// [`accept_once`](Self::accept_once)), only if the session has ended. So it does for an answer
    /// that [`try_ack`](Self::try_ack) refuses.
    pub fn ack(&mut self, now: Timestamp, token: AckToken, args: &Args) -> bool {
        self.try_ack(now, token, args).unwrap_or(false)
    }

    /// As [`ack`](Self::ack), and gives the token back if clients would refuse the answer: where it
    /// depends on what a client has sent, it can be answered with an error instead.
    ///
    /// # Errors
    ///
    /// [`AckError`] if the answer is over
    /// [`outgoing_attachments`](crate::Limits::outgoing_attachments) or
    /// [`outgoing_bytes`](crate::Limits::outgoing_bytes).
    pub fn try_ack(
        &mut self,
        now: Timestamp,
        token: AckToken,
        args: &Args,
    ) -> Result<bool, AckError> {
        let now = self.advance(now);
        let result = self.hub.try_ack(now, token, args);
        self.exchange(now);
        result
    }

    /// Decides whether an event is new that a client may emit again until it is acknowledged: the
    /// official client with `retries`, whose application gives each event an offset of its own,
    /// any text of 1 to 255 bytes that is unique within the session.
    ///
    /// The token is taken, and given back if the event is to be handled; acknowledge with it as
    /// usual. An event that was accepted before is acknowledged by the library, with the same
    /// answer, and as soon as there is one. An event that is not acknowledged when it is handled
    /// is not acknowledged when it comes again; one that could not be handled is to be
    /// [withdrawn](Self::withdraw).
    ///
    /// A session remembers [`client_offsets`](crate::Limits::client_offsets) offsets, also while
    /// it is parked and when it moves to another connection. An event that comes again after more
    /// others than that is taken for a new one, and so is one that comes again in a new session.
    ///
    /// A client of this crate needs no offsets: what it emits arrives once in any case.
    ///
    /// ```
    /// use socketio_proto::hub::{AckToken, Once};
    /// use socketio_proto::server::Server;
    /// use socketio_proto::socket::{Args, Event};
    /// use socketio_proto::{SocketKey, Timestamp};
    ///
    /// // socket.emit("chat message", "hello", "a5-17", callback)
    /// fn handle(
    ///     server: &mut Server,
    ///     now: Timestamp,
    ///     socket: SocketKey,
    ///     event: &Event,
    ///     ack: Option<AckToken>,
    /// ) -> Result<(), Box<dyn std::error::Error>> {
    ///     let (text, offset): (String, String) = event.parse()?;
    ///     if let Once::Fresh(ack) = server.accept_once(now, socket, &offset, ack)? {
    ///         // Only here the message is stored.
    ///         if let Some(token) = ack {
    ///             server.ack(now, token, &Args::new(&(text.len(),))?);
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`OnceError`] if the session has ended, or if the offset is empty or too long.
    pub fn accept_once(
        &mut self,
        now: Timestamp,
        socket: SocketKey,
        offset: &str,
        token: Option<AckToken>,
    ) -> Result<Once, OnceError> {
        let now = self.advance(now);
        let once = self.hub.accept_once(now, socket, offset, token);
        self.exchange(now);
        once
    }

    /// Takes back that an event was accepted, in the place of acknowledging it: it could not be
    /// handled, and when the client sends it again it is a new one.
    ///
    /// This is for events that were accepted with [`accept_once`](Self::accept_once), and for those
    /// of a client that counts them
    /// ([`count_events`](crate::RecoveryConfig::count_events)). Nothing is sent: a client
    /// that emits with retries does not get an acknowledgement, and tries again after its
    /// `ackTimeout`, or as soon as it is back if its session is parked. One that counts its events
    /// asks at that moment, is told, and sends the event once more. An event that was emitted
    /// without retries is lost, as far as the client is concerned: its acknowledgement times out.
    ///
    /// Returns false if there is nothing to take back: the event was never accepted, its offset has
    /// left the window, or the session has ended.
    ///
    /// ```
    /// use socketio_proto::hub::{AckToken, Once};
    /// use socketio_proto::server::Server;
    /// use socketio_proto::socket::Args;
    /// use socketio_proto::{SocketKey, Timestamp};
    ///
    /// fn handle(
    ///     server: &mut Server,
    ///     now: Timestamp,
    ///     (socket, offset): (SocketKey, &str),
    ///     ack: Option<AckToken>,
    ///     store: impl FnOnce() -> bool,
    /// ) {
    ///     if let Ok(Once::Fresh(Some(token))) = server.accept_once(now, socket, offset, ack) {
    ///         if store() {
    ///             server.ack(now, token, &Args::empty());
    ///         } else {
    ///             server.withdraw(token);
    ///         }
    ///     }
    /// }
    /// ```
    pub fn withdraw(&mut self, token: AckToken) -> bool {
        self.hub.withdraw(token)
    }

    /// Emits an event to an audience. It is encoded once; sessions that are parked get it when
    /// they come back. Returns the number of connected sockets that it goes to;
    /// [`broadcast_with_reach`](Self::broadcast_with_reach) tells how many could not take it.
    ///
    /// Takes O(sockets in the rooms named), without an allocation per recipient.
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace, and those on the size of the
    /// event as for [`emit`](Self::emit).
    pub fn broadcast(
        &mut self,
        now: Timestamp,
        namespace: &str,
        audience: &Audience,
        event: &socket::Event,
    ) -> Result<usize, EmitError> {
        self.broadcast_with_reach(now, namespace, audience, event).map(|reach| reach.sockets)
    }

    /// As [`broadcast`](Self::broadcast), and tells how many sockets could not take the event.
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace.
    pub fn broadcast_with_reach(
        &mut self,
        now: Timestamp,
        namespace: &str,
        audience: &Audience,
        event: &socket::Event,
    ) -> Result<Reach, EmitError> {
        let now = self.advance(now);
        let result = self.hub.broadcast(now, namespace, audience, event);
        let reach = self.exchange(now);
        result.map(|_| reach)
    }

    /// Emits an event to an audience and collects the acknowledgements of the sockets connected,
    /// reported as one [`Event::BroadcastAcked`](super::Event::BroadcastAcked) when all have
    /// answered or gone, at the latest after `timeout`. It is not replayed.
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace, [`EmitError::TooManyAcks`]
    /// at the limit, and those on the size of the event as for [`emit`](Self::emit).
    pub fn broadcast_with_ack(
        &mut self,
        now: Timestamp,
        namespace: &str,
        audience: &Audience,
        event: &socket::Event,
        timeout: Duration,
    ) -> Result<AckId, EmitError> {
        let now = self.advance(now);
        let result = self.hub.broadcast_with_ack(now, namespace, audience, event, timeout);
        self.exchange(now);
        result
    }

    /// Disconnects a socket for good, connected or parked, and its connection too if
    /// `close_connection` holds: then all its sockets in other namespaces are disconnected as well.
    /// Returns false if the session has ended already.
    pub fn disconnect(
        &mut self,
        now: Timestamp,
        socket: SocketKey,
        close_connection: bool,
    ) -> bool {
        let now = self.advance(now);
        let is_ended = self.hub.disconnect(now, socket, close_connection);
        self.exchange(now);
        is_ended
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
        let now = self.advance(now);
        let result = self.hub.disconnect_sockets(now, namespace, audience, close_connections);
        self.exchange(now);
        result
    }

    /// Closes a connection as if its link had failed: its sockets are parked, and their clients
    /// come back by themselves. Returns false if it is over already.
    pub fn close_connection(&mut self, now: Timestamp, connection: ConnectionId) -> bool {
        let now = self.advance(now);
        let is_known = self.links.get_mut(connection).is_some();
        if is_known {
            self.with_link(connection, |link| link.close(now, CloseReason::ForcedClose));
        }
        self.exchange(now);
        is_known
    }

    /// Closes all connections at once. Sessions are parked, and clients come back by themselves:
    /// to another process, or to this one.
    pub fn shutdown(&mut self, now: Timestamp) {
        let now = self.advance(now);
        let connections: Vec<ConnectionId> = self.links.ids().collect();
        for connection in connections {
            self.with_link(connection, |link| {
                link.close(now, CloseReason::ServerShutdown);
            });
        }
        self.exchange(now);
    }

    /// Lets a socket join a room from the next event on; also a parked one. Returns false if it is
    /// in it already.
    ///
    /// # Errors
    ///
    /// [`RoomError`] if the session has ended or a limit is reached.
    pub fn join(&mut self, socket: SocketKey, room: &str) -> Result<bool, RoomError> {
        self.hub.join(socket, room)
    }

    /// Lets a socket leave a room from the next event on; also a parked one. Returns false if it
    /// is not in it; the room named after its own id cannot be left.
    pub fn leave(&mut self, socket: SocketKey, room: &str) -> bool {
        self.hub.leave(socket, room)
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
        self.hub.sockets_join(namespace, audience, room)
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
        self.hub.sockets_leave(namespace, audience, room)
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
        self.hub.fetch_sockets(namespace, audience)
    }

    /// Returns the rooms of a socket, the one named after its own id included.
    pub fn rooms(&self, socket: SocketKey) -> impl Iterator<Item = &str> {
        self.hub.rooms(socket)
    }

    /// Returns the public id of a socket, connected or parked.
    pub fn socket_id(&self, socket: SocketKey) -> Option<SocketId> {
        self.hub.socket_id(socket)
    }

    /// Returns the namespace of a socket, connected or parked.
    pub fn namespace(&self, socket: SocketKey) -> Option<&NamespaceName> {
        self.hub.namespace(socket)
    }

    /// Returns the connection of a socket; `None` if it is parked or has ended.
    pub fn connection(&self, socket: SocketKey) -> Option<ConnectionId> {
        self.hub.connection(socket)
    }

    /// Returns whether a socket is connected, rather than parked or ended.
    pub fn is_connected(&self, socket: SocketKey) -> bool {
        self.hub.is_connected(socket)
    }

    /// Returns the application's data of a socket, connected or parked.
    pub fn data(&self, socket: SocketKey) -> Option<&D> {
        self.hub.data(socket)
    }

    /// Replaces the application's data of a socket, which is given back when the client recovers.
    /// Returns the former data, or `None` if the session has ended.
    pub fn set_data(&mut self, socket: SocketKey, data: D) -> Option<D> {
        self.hub.set_data(socket, data)
    }

    /// Changes the application's data of a socket in place. Returns what `change` does, or `None`
    /// if the session has ended.
    pub fn update_data<T>(
        &mut self,
        socket: SocketKey,
        change: impl FnOnce(&mut D) -> T,
    ) -> Option<T> {
        self.hub.update_data(socket, change)
    }

    /// Refuses an event for one socket whose connection has no room for it. One that is replayed
    /// need not fit if its client does not read.
    fn check_room(
        &mut self,
        socket: SocketKey,
        event: &socket::Event,
        is_logged: bool,
    ) -> Result<(), EmitError> {
        let link = self.hub.connection(socket).and_then(|id| self.links.get(id));
        let Some(link) = link.filter(|link| link.queued_bytes() > 0) else {
            return Ok(());
        };
        let packets = event.attachments().len().saturating_add(1);
        let bytes = event.wire_len().saturating_add(ENVELOPE_BYTES);
        match link.check_room(packets, bytes) {
            Err(SendError::Full) => {}
            Err(SendError::Overflow) if !is_logged => {}
            Ok(()) | Err(_) => return Ok(()),
        }
        increment(&mut self.totals.packets_refused);
        Err(EmitError::QueueFull)
    }
}
