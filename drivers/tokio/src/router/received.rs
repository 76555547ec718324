//! An event of a client, for its handler.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use socketio_proto::{
    SocketKey,
    hub::AckToken,
    socket::{Event, NamespaceName},
};

use super::Router;
use crate::{handle::Handle, lock::lock, to::To, to_socket::ToSocket};

/// An event of a client, for its handler. Cheap to clone.
///
/// ```
/// use socketio_proto::socket::Binary;
/// use socketio_proto_tokio::router::{ErrorAnswer, Received};
///
/// // socket.emit("upload", "a.txt", buffer, callback)
/// async fn upload(
///     received: Received<()>,
///     (name, file): (String, Binary),
/// ) -> Result<(usize,), ErrorAnswer> {
///     let bytes = file.resolve(&received.event).ok_or_else(|| ErrorAnswer::new("no file"))?;
///     received.broadcast().to("readers").emit("uploaded", &(name, bytes)).await?;
///     received.sender().join("readers").await?;
///     Ok((bytes.len(),))
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Received<D: Default + Send + 'static> {
    /// The socket that has emitted it.
    pub socket: SocketKey,
    /// The namespace.
    pub namespace: NamespaceName,
    /// The event, with its attachments.
    pub event: Event,
    /// The server. It stays alive as long as this does.
    pub handle: Handle<Router<D>>,
    pub(super) ack: Arc<Mutex<Option<AckToken>>>,
}

impl<D: Default + Send + 'static> Received<D> {
    /// The calls for the socket that has emitted it: `socket.emit(…)`, `socket.join(…)`. They are for
    /// async handlers; others have a [`Context`](crate::Context).
    pub fn sender(&self) -> ToSocket<'_, Router<D>> {
        self.handle.socket(self.socket)
    }

    /// The other sockets of the namespace: `socket.broadcast`. And `socket.to("room")` is
    /// `received.broadcast().to("room")`.
    pub fn broadcast(&self) -> To<'_, Router<D>> {
        self.handle.of(self.namespace.as_str()).except_socket(self.socket)
    }

    /// Takes the acknowledgement away from the router: the handler answers by
    /// [`At::ack`](socketio_proto::hub::At::ack), now or later. Returns `None` if the client asked for
    /// none, or if it was taken before.
    ///
    /// ```
    /// use socketio_proto::socket::Args;
    /// use socketio_proto_tokio::{Context, router::Received};
    ///
    /// fn answer_first(cx: &mut Context<'_, ()>, received: &Received<()>, (): ()) {
    ///     if let Some(token) = received.take_ack() {
    ///         cx.at().ack(token, &Args::empty());
    ///     }
    ///     cx.at().all().emit("it was", &("answered",)).ok();
    /// }
    /// ```
    pub fn take_ack(&self) -> Option<AckToken> {
        lock(&self.ack).take()
    }

    pub(super) fn give_back_ack(&self, token: AckToken) {
        *lock(&self.ack) = Some(token);
    }

    /// The bytes that it keeps in memory.
    pub(super) fn size(&self) -> usize {
        let attachments = self.event.attachments().iter().map(Bytes::len);
        attachments.fold(self.event.json().len(), usize::saturating_add)
    }
}

impl<D: Default + Send + 'static> Clone for Received<D> {
    fn clone(&self) -> Self {
        Self {
            socket: self.socket,
            namespace: self.namespace.clone(),
            event: self.event.clone(),
            handle: self.handle.clone(),
            ack: self.ack.clone(),
        }
    }
}
