//! Emitting to one socket, and from it to others.

use core::{fmt, time::Duration};

use serde::Serialize;

use super::{At, Broadcast};
use crate::{
    hub::{Audience, EmitError},
    id::{AckId, SocketKey},
    socket,
};

/// Emits to one socket, or from it to others. Created by [`At::socket`].
pub struct ToSocket<'a, D> {
    at: At<'a, D>,
    socket: SocketKey,
    is_volatile: bool,
}

impl<D: Default> At<'_, D> {
    /// Emits to one socket, or from it to others.
    ///
    /// ```
    /// use socketio_proto::server::Server;
    /// use socketio_proto::{SocketKey, Timestamp};
    ///
    /// fn greet(server: &mut Server, now: Timestamp, socket: SocketKey) {
    ///     server.at(now).socket(socket).emit("hello", &("world",)).ok();
    ///     server.at(now).socket(socket).broadcast().emit("joined", &()).ok();
    /// }
    /// ```
    #[must_use]
    pub fn socket(&mut self, socket: SocketKey) -> ToSocket<'_, D> {
        ToSocket { at: self.reborrow(), socket, is_volatile: false }
    }
}

impl<'a, D: Default> ToSocket<'a, D> {
    /// Makes the event volatile: a client that cannot receive it immediately does not get it, and
    /// it is not replayed. See [`At::emit_volatile`].
    ///
    /// ```
    /// # use socketio_proto::{SocketKey, Timestamp, server::Server};
    /// # fn show(server: &mut Server, now: Timestamp, socket: SocketKey) {
    /// server.at(now).socket(socket).volatile().emit("position", &(4, 2)).ok();
    /// # }
    /// ```
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.is_volatile = true;
        self
    }

    /// Emits an event: a name and a tuple of arguments, or `()` for none. See [`At::emit`].
    ///
    /// ```
    /// # use socketio_proto::{SocketKey, Timestamp, server::Server};
    /// # fn greet(server: &mut Server, now: Timestamp, socket: SocketKey) {
    /// server.at(now).socket(socket).emit("hello", &("world", 1)).ok();
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`At::emit`], and [`EmitError::Encode`] if the name or the arguments cannot be sent.
    pub fn emit<T: Serialize + ?Sized>(mut self, name: &str, args: &T) -> Result<(), EmitError> {
        let event = socket::Event::new(name, args)?;
        if self.is_volatile {
            self.at.emit_volatile(self.socket, &event)
        } else {
            self.at.emit(self.socket, &event)
        }
    }

    /// Emits an event and asks for an acknowledgement within `timeout`. See [`At::emit_with_ack`].
    /// [`volatile`](Self::volatile) has no effect on it: the event waits for the client.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use socketio_proto::{SocketKey, Timestamp, server::Server};
    /// # fn ask(server: &mut Server, now: Timestamp, socket: SocketKey) {
    /// server.at(now).socket(socket).emit_with_ack("ready?", &(), Duration::from_secs(5)).ok();
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`At::emit_with_ack`], and [`EmitError::Encode`] if the name or the arguments cannot be
    /// sent.
    pub fn emit_with_ack<T: Serialize + ?Sized>(
        mut self,
        name: &str,
        args: &T,
        timeout: Duration,
    ) -> Result<AckId, EmitError> {
        let event = socket::Event::new(name, args)?;
        self.at.emit_with_ack(self.socket, &event, timeout)
    }

    /// Emits to all other sockets of the namespace. This works even after the session of this
    /// socket has ended.
    ///
    /// ```
    /// # use socketio_proto::{SocketKey, Timestamp, server::Server};
    /// # fn tell(server: &mut Server, now: Timestamp, socket: SocketKey) {
    /// server.at(now).socket(socket).broadcast().emit("joined", &()).ok();
    /// # }
    /// ```
    #[must_use]
    pub fn broadcast(self) -> Broadcast<'a, D> {
        let namespace = Some(self.socket.namespace);
        let audience = Audience::all().except_socket(self.socket);
        let audience = if self.is_volatile { audience.volatile() } else { audience };
        Broadcast::new(self.at, namespace, audience)
    }

    /// Emits to the other sockets in a room of the namespace.
    ///
    /// ```
    /// # use socketio_proto::{SocketKey, Timestamp, server::Server};
    /// # fn tell(server: &mut Server, now: Timestamp, socket: SocketKey) {
    /// server.at(now).socket(socket).to("lobby").emit("joined", &()).ok();
    /// # }
    /// ```
    #[must_use]
    pub fn to(self, room: impl Into<alloc::string::String>) -> Broadcast<'a, D> {
        self.broadcast().to(room)
    }
}

impl<D> fmt::Debug for ToSocket<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToSocket").field("socket", &self.socket).finish_non_exhaustive()
    }
}
