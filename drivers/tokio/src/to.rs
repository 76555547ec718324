//! Calls for the sockets of a namespace, or of some of its rooms.

use std::{fmt, time::Duration};

use serde::Serialize;
use socketio_proto::{
    SocketKey,
    hub::{At, Audience, EmitError, Reach},
    socket::Event,
};

use crate::{
    acks::{BroadcastAnswers, FetchedSockets, ServerAnswers, Waiting},
    app::App,
    error::HandleError,
    handle::Handle,
};

/// The sockets of a namespace, or of some of its rooms. Created by [`Handle::to`],
/// [`Handle::all`], [`Handle::of`] and [`Handle::except`].
///
/// ```
/// use std::time::Duration;
///
/// use socketio_proto_tokio::{App, Handle, HandleError};
///
/// async fn cheat_sheet(handle: Handle<impl App>) -> Result<(), HandleError> {
///     handle.all().emit("hello", &(1, "2")).await?;
///     handle.to("room1").to("room2").except("room3").emit("hello", &()).await?;
///     handle.of("/admin").emit("hello", &()).await?;
///     handle.all().volatile().emit("position", &(4, 2)).await?;
///     let answers = handle.to("room1").emit_with_ack("hello", &(), Duration::from_secs(5)).await?;
///     println!("{} have answered, {} have not", answers.responses.len(), answers.missing);
///     handle.to("room1").join("room2").await?;
///     handle.of("/admin").disconnect(true).await?;
///     Ok(())
/// }
/// ```
#[must_use = "it does nothing by itself"]
pub struct To<'a, A: App> {
    handle: &'a Handle<A>,
    namespace: String,
    audience: Audience,
}

impl<'a, A: App> To<'a, A> {
    pub(crate) fn new(handle: &'a Handle<A>, namespace: String) -> Self {
        Self { handle, namespace, audience: Audience::all() }
    }

    /// Adds the sockets of a room. A socket in several of the rooms counts once.
    pub fn to(mut self, room: impl Into<String>) -> Self {
        self.audience = self.audience.to(room);
        self
    }

    /// Leaves out the sockets of a room, even if they are in a target room.
    pub fn except(mut self, room: impl Into<String>) -> Self {
        self.audience = self.audience.except(room);
        self
    }

    /// Leaves out one socket.
    pub fn except_socket(mut self, socket: SocketKey) -> Self {
        self.audience = self.audience.except_socket(socket);
        self
    }

    /// Makes the event volatile: a client that cannot receive it immediately does not get it, and
    /// it is not replayed.
    pub fn volatile(mut self) -> Self {
        self.audience = self.audience.volatile();
        self
    }

    /// Emits only to clients of this server. It has no effect if there is only one server.
    pub fn local(mut self) -> Self {
        self.audience = self.audience.local();
        self
    }

    /// Emits an event: a name and a tuple of arguments, or `()` for none. Returns how many sockets
    /// it has reached.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`], and [`HandleError::Emit`] if there is no such namespace, or if the
    /// event cannot be sent.
    pub async fn emit<T: Serialize + ?Sized>(
        self,
        name: &str,
        args: &T,
    ) -> Result<Reach, HandleError> {
        let event = Event::new(name, args).map_err(EmitError::from)?;
        let Self { handle, namespace, audience } = self;
        let reach = handle.with(move |_, cx| cx.at().broadcast(&namespace, &audience, &event));
        Ok(reach.await??)
    }

    /// Emits an event, and waits for the acknowledgements for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`], and [`HandleError::Emit`] if there is no such namespace, if the event
    /// cannot be sent, or if too many acknowledgements are pending.
    pub async fn emit_with_ack<T: Serialize + ?Sized>(
        self,
        name: &str,
        args: &T,
        timeout: Duration,
    ) -> Result<BroadcastAnswers, HandleError> {
        let event = Event::new(name, args).map_err(EmitError::from)?;
        let Self { handle, namespace, audience } = self;
        let emit = move |at: &mut At<'_, A::Data>| {
            at.broadcast_with_ack(&namespace, &audience, &event, timeout)
        };
        handle.ask(Waiting::All, emit).await
    }

    /// Joins the sockets to a room, parked sockets included. Returns how many joined. Sockets that are
    /// in the room already do not count, nor do those that a limit keeps out: see
    /// [`At::sockets_join`](socketio_proto::hub::At::sockets_join).
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`], and [`HandleError::Emit`] if there is no such namespace.
    pub async fn join(self, room: impl Into<String>) -> Result<usize, HandleError> {
        let Self { handle, namespace, audience } = self;
        let room = room.into();
        let joined = handle.with(move |_, cx| cx.at().sockets_join(&namespace, &audience, &room));
        Ok(joined.await??)
    }

    /// Removes the sockets from a room, parked sockets included. Returns how many left.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`], and [`HandleError::Emit`] if there is no such namespace.
    pub async fn leave(self, room: impl Into<String>) -> Result<usize, HandleError> {
        let Self { handle, namespace, audience } = self;
        let room = room.into();
        let left = handle.with(move |_, cx| cx.at().sockets_leave(&namespace, &audience, &room));
        Ok(left.await??)
    }

    /// Disconnects the sockets permanently, parked sockets included, and their connections as well
    /// if `close_connections` is true. Returns how many.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`], and [`HandleError::Emit`] if there is no such namespace.
    pub async fn disconnect(self, close_connections: bool) -> Result<usize, HandleError> {
        let Self { handle, namespace, audience } = self;
        let ended = handle.with(move |_, cx| {
            cx.at().disconnect_sockets(&namespace, &audience, close_connections)
        });
        Ok(ended.await??)
    }

    /// Waits for one acknowledgement only. See
    /// [`Audience::expect_single_response`](socketio_proto::hub::Audience::expect_single_response).
    pub fn expect_single_response(mut self) -> Self {
        self.audience = self.audience.expect_single_response();
        self
    }

    /// Asks all servers of the cluster for the connected sockets, and waits for the answers for at
    /// most [`request_timeout`](socketio_proto::cluster::ClusterConfig::request_timeout).
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`], and [`HandleError::Emit`] if there is no such namespace, or if too many
    /// requests are pending.
    pub async fn fetch_sockets(self) -> Result<FetchedSockets, HandleError> {
        let Self { handle, namespace, audience } = self;
        let fetch = move |at: &mut At<'_, A::Data>| at.fetch_sockets(&namespace, &audience);
        handle.ask(Waiting::Sockets, fetch).await
    }

    /// Returns the connected sockets of this server.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`], and [`HandleError::Emit`] if there is no such namespace.
    pub async fn local_sockets(self) -> Result<Vec<SocketKey>, HandleError> {
        let Self { handle, namespace, audience } = self;
        let sockets = handle.with(move |_, cx| cx.at().local_sockets(&namespace, &audience));
        Ok(sockets.await??)
    }

    /// Emits an event to the other servers of the cluster, whatever rooms were given:
    /// `io.of(…).serverSideEmit(…)`. It may be lost.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`], and [`HandleError::Emit`] if there is no such namespace, or if the
    /// event cannot be sent.
    pub async fn server_side_emit<T: Serialize + ?Sized>(
        self,
        name: &str,
        args: &T,
    ) -> Result<(), HandleError> {
        let event = Event::new(name, args).map_err(EmitError::from)?;
        let Self { handle, namespace, .. } = self;
        let emitted = handle.with(move |_, cx| cx.at().server_side_emit(&namespace, &event));
        Ok(emitted.await??)
    }

    /// The same, and waits for the answers of the other servers for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`], and [`HandleError::Emit`] if there is no such namespace, if the event
    /// cannot be sent, or if too many requests are pending.
    pub async fn server_side_emit_with_ack<T: Serialize + ?Sized>(
        self,
        name: &str,
        args: &T,
        timeout: Duration,
    ) -> Result<ServerAnswers, HandleError> {
        let event = Event::new(name, args).map_err(EmitError::from)?;
        let Self { handle, namespace, .. } = self;
        let emit = move |at: &mut At<'_, A::Data>| {
            at.server_side_emit_with_ack(&namespace, &event, timeout)
        };
        handle.ask(Waiting::Servers, emit).await
    }

    /// Counts the servers of the cluster that have the namespace, this one included.
    ///
    /// # Errors
    ///
    /// As [`fetch_sockets`](Self::fetch_sockets).
    pub async fn count_servers(self) -> Result<usize, HandleError> {
        let Self { handle, namespace, .. } = self;
        handle
            .ask(Waiting::Count, move |at: &mut At<'_, A::Data>| at.count_servers(&namespace))
            .await
    }
}

impl<A: App> fmt::Debug for To<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("To")
            .field("namespace", &self.namespace)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}
