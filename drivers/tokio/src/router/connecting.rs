//! A client that asks to join, for middlewares.

use std::{
    fmt, mem,
    sync::{Arc, Mutex},
};

use http::request::Parts;
use socketio_proto::{
    ConnectionId, SocketKey,
    hub::ConnectRequest,
    socket::{Json, NamespaceName},
};

use super::Router;
use crate::{handle::Handle, lock::lock};

type Change<D> = Box<dyn FnOnce(&mut D) + Send>;

/// A client that asks to join a namespace, for middlewares. Cheap to clone.
///
/// ```
/// use serde::Deserialize;
/// use socketio_proto::hub::Rejection;
/// use socketio_proto_tokio::router::Connecting;
///
/// #[derive(Default)]
/// struct User {
///     name: String,
/// }
///
/// #[derive(Deserialize)]
/// struct Auth {
///     token: String,
/// }
///
/// # async fn user_of(_: &str) -> Option<String> { None }
/// async fn log_in(connecting: Connecting<User>) -> Result<(), Rejection> {
///     let auth: Auth = connecting.auth.parse().map_err(|_| Rejection::new("no token"))?;
///     let name = user_of(&auth.token).await.ok_or_else(|| Rejection::new("unknown token"))?;
///     connecting.update_data(|user| user.name = name);
///     Ok(())
/// }
/// ```
#[non_exhaustive]
pub struct Connecting<D: Default + Send + 'static> {
    /// The connection that the client is on.
    pub connection: ConnectionId,
    /// The namespace.
    pub namespace: NamespaceName,
    /// The authentication data: an object, without what recovery adds to it.
    pub auth: Json,
    /// The session that the client would recover if it were accepted now. With the
    /// [`Context`](crate::Context) of a middleware, or with the [`handle`](Self::handle), look at
    /// its data, and disconnect it if it is another user's: the client then gets a new session.
    pub recoverable: Option<SocketKey>,
    /// The head of the request that has opened the connection: headers, cookies, the query, and
    /// the extensions that layers around the service have added.
    pub request: Arc<Parts>,
    /// The server. It stays alive as long as this does.
    pub handle: Handle<Router<D>>,
    pub(super) id: ConnectRequest,
    pub(super) changes: Arc<Mutex<Vec<Change<D>>>>,
}

impl<D: Default + Send + 'static> Connecting<D> {
    /// Changes the data of the socket as soon as the client is accepted, before
    /// [`on_connect`](super::Namespace::on_connect): the default of a new socket, or the data of the
    /// session that it recovers. `socket.data.name = name` in a middleware of Node.js.
    pub fn update_data(&self, change: impl FnOnce(&mut D) + Send + 'static) {
        lock(&self.changes).push(Box::new(change));
    }

    pub(super) fn take_changes(&self) -> Vec<Change<D>> {
        mem::take(&mut *lock(&self.changes))
    }
}

impl<D: Default + Send + 'static> Clone for Connecting<D> {
    fn clone(&self) -> Self {
        Self {
            connection: self.connection,
            namespace: self.namespace.clone(),
            auth: self.auth.clone(),
            recoverable: self.recoverable,
            request: self.request.clone(),
            handle: self.handle.clone(),
            id: self.id,
            changes: self.changes.clone(),
        }
    }
}

impl<D: Default + Send + 'static> fmt::Debug for Connecting<D> {
    /// Without `auth` and the headers, which are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting")
            .field("connection", &self.connection)
            .field("namespace", &self.namespace)
            .field("recoverable", &self.recoverable)
            .finish_non_exhaustive()
    }
}
