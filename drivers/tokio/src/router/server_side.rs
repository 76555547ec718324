//! Events of other servers.

use serde::de::DeserializeOwned;
use socketio_proto::{
    cluster::message::NodeId,
    hub::ServerAckToken,
    socket::{Event, NamespaceName},
};

use super::{
    Router,
    ack::{ErrorAnswer, IntoAck},
    call::call,
    error::EventError,
    handler::{Answer, answer},
    namespace::Namespace,
};
use crate::app::Context;

/// An event of another server of the cluster: [`Namespace::on_server_side`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerSide {
    /// The namespace.
    pub namespace: NamespaceName,
    /// The server that has emitted it, or an emitter.
    pub from: NodeId,
    /// The event.
    pub event: Event,
}

pub(super) type ServerSideHandler<D> =
    Box<dyn FnMut(&mut Context<'_, D>, &ServerSide) -> Answer + Send>;

impl<D: Default + Send + 'static> Namespace<D> {
    /// Handles an event of another server of the cluster: `io.of(…).on(name, …)` for
    /// `serverSideEmit`. It runs in the task of the server, and must not wait. It replaces an earlier
    /// handler of the same event.
    ///
    /// What it returns is the acknowledgement, if the other server asks for one; only the first
    /// argument reaches it. `None` answers nothing. An event whose arguments are of other types is
    /// answered with `{ error: "…" }`.
    ///
    /// ```
    /// use socketio_proto_tokio::router::Namespace;
    ///
    /// # let _ =
    /// Namespace::<()>::new()
    ///     .on_server_side("announce", |cx, _, (text,): (String,)| {
    ///         cx.at().all().local().emit("announcement", &(text,)).ok();
    ///     })
    ///     .on_server_side("load", |cx, _, (): ()| (cx.server.stats().sockets,));
    /// ```
    pub fn on_server_side<A, R>(
        mut self,
        name: &str,
        mut handler: impl FnMut(&mut Context<'_, D>, &ServerSide, A) -> R + Send + 'static,
    ) -> Self
    where
        A: DeserializeOwned,
        R: IntoAck,
    {
        let handler: ServerSideHandler<D> = Box::new(move |cx, told| {
            let args = told.event.parse()?;
            answer(handler(cx, told, args))
        });
        self.server_side.insert(name.to_owned(), handler);
        self
    }
}

impl<D: Default + Send + 'static> Router<D> {
    /// Has an event of another server handled by the namespace at an index, if it has a handler.
    pub(super) fn receive_server_side(
        &mut self,
        cx: &mut Context<'_, D>,
        index: usize,
        told: &ServerSide,
        ack: Option<ServerAckToken>,
    ) {
        let namespace = self.namespaces.get_mut(index);
        let handler = namespace.and_then(|it| it.server_side.get_mut(told.event.name()));
        let Some(handler) = handler else { return };
        let answered = call(|| handler(cx, told)).unwrap_or(Err(EventError::Panicked));
        let answered = answered.or_else(|error| answer(ErrorAnswer::new(error.to_string())));
        if let (Ok(Some(args)), Some(token)) = (answered, ack) {
            cx.at().ack_server(token, &args);
        }
    }
}
