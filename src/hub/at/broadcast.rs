//! Emitting to an audience that is built in the call.

use alloc::string::String;
use core::{fmt, time::Duration};

use serde::Serialize;

use super::At;
use crate::{
    cluster::message::RequestId,
    hub::{Audience, EmitError, Reach},
    id::{AckId, SocketKey},
    socket,
};

/// Emits to the sockets of a namespace, or of some of its rooms. Created by [`At::to`],
/// [`At::all`], [`At::of`], [`At::except`], and by [`ToSocket`](super::ToSocket).
pub struct Broadcast<'a, D> {
    at: At<'a, D>,
    /// `None` if there is no such namespace.
    namespace: Option<u32>,
    audience: Audience,
}

impl<D: Default> At<'_, D> {
    /// Emits to all sockets of the main namespace.
    ///
    /// ```
    /// # use socketio_proto::{Timestamp, server::Server};
    /// # fn tell(server: &mut Server, now: Timestamp) {
    /// server.at(now).all().emit("news", &("hello",)).ok();
    /// # }
    /// ```
    #[must_use]
    pub fn all(&mut self) -> Broadcast<'_, D> {
        self.of("/")
    }

    /// Emits to all sockets of a namespace.
    ///
    /// ```
    /// # use socketio_proto::{Timestamp, server::Server};
    /// # fn tell(server: &mut Server, now: Timestamp) {
    /// server.at(now).of("/admin").to("on duty").emit("alarm", &()).ok();
    /// # }
    /// ```
    #[must_use]
    pub fn of(&mut self, namespace: &str) -> Broadcast<'_, D> {
        let namespace = self.hub.find_for_all(namespace);
        Broadcast::new(self.reborrow(), namespace, Audience::all())
    }

    /// Emits to a room of the main namespace.
    ///
    /// ```
    /// # use socketio_proto::{Timestamp, server::Server};
    /// # fn tell(server: &mut Server, now: Timestamp) {
    /// server.at(now).to("lobby").emit("news", &("hello",)).ok();
    /// # }
    /// ```
    #[must_use]
    pub fn to(&mut self, room: impl Into<String>) -> Broadcast<'_, D> {
        self.all().to(room)
    }

    /// Emits to all sockets of the main namespace except the sockets of a room.
    ///
    /// ```
    /// # use socketio_proto::{Timestamp, server::Server};
    /// # fn tell(server: &mut Server, now: Timestamp) {
    /// server.at(now).except("do not disturb").emit("news", &("hello",)).ok();
    /// # }
    /// ```
    #[must_use]
    pub fn except(&mut self, room: impl Into<String>) -> Broadcast<'_, D> {
        self.all().except(room)
    }
}

impl<'a, D: Default> Broadcast<'a, D> {
    pub(super) fn new(at: At<'a, D>, namespace: Option<u32>, audience: Audience) -> Self {
        Self { at, namespace, audience }
    }

    /// Adds the sockets of a room. Each socket gets the event once, even if it is in several of the
    /// rooms.
    ///
    /// ```
    /// # use socketio_proto::{Timestamp, server::Server};
    /// # fn tell(server: &mut Server, now: Timestamp) {
    /// server.at(now).to("lobby").to("garden").emit("news", &("hello",)).ok();
    /// # }
    /// ```
    #[must_use]
    pub fn to(mut self, room: impl Into<String>) -> Self {
        self.audience = self.audience.to(room);
        self
    }

    /// Leaves out the sockets of a room, even if they are in a target room.
    ///
    /// ```
    /// # use socketio_proto::{Timestamp, server::Server};
    /// # fn tell(server: &mut Server, now: Timestamp) {
    /// server.at(now).to("lobby").except("do not disturb").emit("news", &("hello",)).ok();
    /// # }
    /// ```
    #[must_use]
    pub fn except(mut self, room: impl Into<String>) -> Self {
        self.audience = self.audience.except(room);
        self
    }

    /// Leaves out one socket.
    ///
    /// ```
    /// # use socketio_proto::{SocketKey, Timestamp, server::Server};
    /// # fn tell(server: &mut Server, now: Timestamp, socket: SocketKey) {
    /// server.at(now).to("lobby").except_socket(socket).emit("joined", &()).ok();
    /// # }
    /// ```
    #[must_use]
    pub fn except_socket(mut self, socket: SocketKey) -> Self {
        self.audience = self.audience.except_socket(socket);
        self
    }

    /// Makes the event volatile: a client that cannot receive it immediately does not get it, and
    /// it is not replayed.
    ///
    /// ```
    /// # use socketio_proto::{Timestamp, server::Server};
    /// # fn tell(server: &mut Server, now: Timestamp) {
    /// server.at(now).all().volatile().emit("online", &(3,)).ok();
    /// # }
    /// ```
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.audience = self.audience.volatile();
        self
    }

    /// Emits only to clients of this server. It has no effect if there is only one server.
    ///
    /// ```
    /// # use socketio_proto::{Timestamp, server::Server};
    /// # fn tell(server: &mut Server, now: Timestamp) {
    /// server.at(now).all().local().emit("restart", &("in a minute",)).ok();
    /// # }
    /// ```
    #[must_use]
    pub fn local(mut self) -> Self {
        self.audience = self.audience.local();
        self
    }

    /// Waits for one acknowledgement only. See [`Audience::expect_single_response`].
    #[must_use]
    pub fn expect_single_response(mut self) -> Self {
        self.audience = self.audience.expect_single_response();
        self
    }

    /// Asks all servers of the cluster for the connected sockets. See [`At::fetch_sockets`].
    ///
    /// ```
    /// # use socketio_proto::{Timestamp, hub::EmitError, server::Server};
    /// # fn ask(server: &mut Server, now: Timestamp) -> Result<(), EmitError> {
    /// let request = server.at(now).to("lobby").fetch_sockets()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`At::fetch_sockets`].
    pub fn fetch_sockets(mut self) -> Result<RequestId, EmitError> {
        self.at.fetch_sockets_in(self.namespace, &self.audience)
    }

    /// Emits an event: a name and a tuple of arguments, or `()` for none. See [`At::broadcast`].
    ///
    /// ```
    /// # use socketio_proto::{Timestamp, hub::EmitError, server::Server};
    /// # fn tell(server: &mut Server, now: Timestamp) -> Result<(), EmitError> {
    /// let reach = server.at(now).to("lobby").emit("news", &("hello",))?;
    /// println!("emitted to {} sockets", reach.sockets);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`At::broadcast`], and [`EmitError::Encode`] if the name or the arguments cannot be sent.
    pub fn emit<T: Serialize + ?Sized>(mut self, name: &str, args: &T) -> Result<Reach, EmitError> {
        let event = socket::Event::new(name, args)?;
        self.at.broadcast_in(self.namespace, &self.audience, &event)
    }

    /// Emits an event and collects the acknowledgements for at most `timeout`. See
    /// [`At::broadcast_with_ack`].
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use socketio_proto::{Timestamp, server::Server};
    /// # fn ask(server: &mut Server, now: Timestamp) {
    /// server.at(now).to("lobby").emit_with_ack("ready?", &(), Duration::from_secs(5)).ok();
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`At::broadcast_with_ack`], and [`EmitError::Encode`] if the name or the arguments cannot
    /// be sent.
    pub fn emit_with_ack<T: Serialize + ?Sized>(
        mut self,
        name: &str,
        args: &T,
        timeout: Duration,
    ) -> Result<AckId, EmitError> {
        let event = socket::Event::new(name, args)?;
        self.at.broadcast_with_ack_in(self.namespace, &self.audience, &event, timeout)
    }
}

impl<D> fmt::Debug for Broadcast<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast").field("audience", &self.audience).finish_non_exhaustive()
    }
}
