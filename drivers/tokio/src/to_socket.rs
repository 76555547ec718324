//! Calls for one socket.

use std::{fmt, time::Duration};

use serde::Serialize;
use socketio_proto::{
    SocketKey,
    hub::{At, EmitError},
    socket::{Args, Event},
};

use crate::{acks::Waiting, app::App, error::HandleError, handle::Handle};

/// One socket, connected or parked. Created by [`Handle::socket`].
///
/// ```
/// use std::time::Duration;
///
/// use socketio_proto::SocketKey;
/// use socketio_proto_tokio::{App, Handle, HandleError};
///
/// async fn ask(handle: Handle<impl App>, socket: SocketKey) -> Result<bool, HandleError> {
///     let timeout = Duration::from_secs(5);
///     let args = handle.socket(socket).emit_with_ack("ready?", &("you",), timeout).await?;
///     Ok(args.get(0).unwrap_or(false))
/// }
/// ```
#[must_use = "it does nothing by itself"]
pub struct ToSocket<'a, A: App> {
    handle: &'a Handle<A>,
    socket: SocketKey,
    is_volatile: bool,
}

impl<'a, A: App> ToSocket<'a, A> {
    pub(crate) fn new(handle: &'a Handle<A>, socket: SocketKey) -> Self {
        Self { handle, socket, is_volatile: false }
    }

    /// Makes the event volatile: a client that cannot receive it immediately does not get it, and
    /// it is not replayed.
    pub fn volatile(mut self) -> Self {
        self.is_volatile = true;
        self
    }

    /// Emits an event: a name and a tuple of arguments, or `()` for none.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`], and [`HandleError::Emit`] if the socket is not connected, has too
    /// much queued, or the event cannot be sent.
    pub async fn emit<T: Serialize + ?Sized>(
        self,
        name: &str,
        args: &T,
    ) -> Result<(), HandleError> {
        let event = Event::new(name, args).map_err(EmitError::from)?;
        let Self { handle, socket, is_volatile } = self;
        let emitted = handle.with(move |_, cx| {
            let mut at = cx.at();
            if is_volatile { at.emit_volatile(socket, &event) } else { at.emit(socket, &event) }
        });
        Ok(emitted.await??)
    }

    /// Emits an event, and waits for the acknowledgement for at most `timeout`.
    /// [`volatile`](Self::volatile) has no effect on it: the event waits for the client.
    ///
    /// # Errors
    ///
    /// [`HandleError::Ack`] if the client does not acknowledge, and all errors of
    /// [`emit`](Self::emit).
    pub async fn emit_with_ack<T: Serialize + ?Sized>(
        self,
        name: &str,
        args: &T,
        timeout: Duration,
    ) -> Result<Args, HandleError> {
        let event = Event::new(name, args).map_err(EmitError::from)?;
        let Self { handle, socket, .. } = self;
        let emit = move |at: &mut At<'_, A::Data>| at.emit_with_ack(socket, &event, timeout);
        handle.ask(Waiting::One, emit).await?.map_err(HandleError::Ack)
    }

    /// Joins a room. Returns false if the socket is in it already.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`], and [`HandleError::Room`] if the session has ended or a limit is
    /// reached.
    pub async fn join(self, room: impl Into<String>) -> Result<bool, HandleError> {
        let Self { handle, socket, .. } = self;
        let room = room.into();
        Ok(handle.with(move |_, cx| cx.at().join(socket, &room)).await??)
    }

    /// Leaves a room. Returns false if the socket is not in it.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`].
    pub async fn leave(self, room: impl Into<String>) -> Result<bool, HandleError> {
        let Self { handle, socket, .. } = self;
        let room = room.into();
        handle.with(move |_, cx| cx.at().leave(socket, &room)).await
    }

    /// Disconnects the socket permanently, and its connection as well if `close_connection` is true.
    /// Returns false if the session has already ended.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`].
    pub async fn disconnect(self, close_connection: bool) -> Result<bool, HandleError> {
        let Self { handle, socket, .. } = self;
        handle.with(move |_, cx| cx.at().disconnect(socket, close_connection)).await
    }

    /// Reads and changes the application's data of the socket. Returns `None` if the session has
    /// ended.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`].
    pub async fn update_data<R: Send + 'static>(
        self,
        change: impl FnOnce(&mut A::Data) -> R + Send + 'static,
    ) -> Result<Option<R>, HandleError> {
        let Self { handle, socket, .. } = self;
        handle.with(move |_, cx| cx.at().update_data(socket, change)).await
    }
}

impl<A: App> fmt::Debug for ToSocket<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToSocket").field("socket", &self.socket).finish_non_exhaustive()
    }
}
