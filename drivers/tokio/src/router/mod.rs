//! Handlers by namespace and event, for those who prefer them to one function of all events.
//!
//! A [`Router`] is an [`App`](crate::App) that calls functions with typed arguments. It adds nothing
//! that an application could not write itself with a `match`, and the two can be mixed:
//! [`Router::on_other`] gets every event that the router does not use.
//!
//! ```no_run
//! use serde::Deserialize;
//! use socketio_proto::server::Server;
//! use socketio_proto::{RecoveryConfig, ServerConfig, hub::Rejection};
//! use socketio_proto_tokio::router::{Connecting, ErrorAnswer, Namespace, Received, Router};
//! use socketio_proto_tokio::{Context, entropy, run};
//! use tokio::net::TcpListener;
//!
//! /// The data of a socket. It is kept across recoveries.
//! #[derive(Clone, Default)]
//! struct User {
//!     name: String,
//! }
//!
//! #[derive(Deserialize)]
//! struct Auth {
//!     token: String,
//! }
//!
//! // io.use(async (socket, next) => …)
//! async fn log_in(connecting: Connecting<User>) -> Result<(), Rejection> {
//!     let auth: Auth = connecting.auth.parse().map_err(|_| Rejection::new("no token"))?;
//!     let Some(name) = user_of(&auth.token).await else {
//!         return Err(Rejection::new("unknown token"));
//!     };
//!     connecting.update_data(|user| user.name = name);
//!     Ok(())
//! }
//!
//! // socket.on("say", (text) => …)
//! fn say(cx: &mut Context<'_, User>, received: &Received<User>, (text,): (String,)) {
//!     let name = cx.server.data(received.socket).map(|user| user.name.clone());
//!     cx.at().socket(received.socket).broadcast().emit("said", &(name, text)).ok();
//! }
//!
//! // socket.on("join", async (room, callback) => …)
//! async fn join(
//!     received: Received<User>,
//!     (room,): (String,),
//! ) -> Result<(Vec<String>,), ErrorAnswer> {
//!     let history = history_of(&room).await?;
//!     received.sender().join(room).await?;
//!     Ok((history,))
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let chat = Namespace::new()
//!         .middleware_async(log_in)
//!         .on_connect(|cx, connected| {
//!             cx.at().socket(connected.socket).emit("hello", &(connected.id.as_str(),)).ok();
//!         })
//!         .on("say", say)
//!         .on_async("join", join)
//!         .on_disconnecting(|cx, gone| {
//!             for room in gone.rooms.iter() {
//!                 cx.at().of("/chat").to(room).emit("left", &(gone.id.as_str(),)).ok();
//!             }
//!         });
//!     let router = Router::new().namespace("/chat", chat);
//!     let config = ServerConfig::new().recovery(RecoveryConfig::new());
//!     let server = Server::new(config, entropy)?;
//!     run(TcpListener::bind("127.0.0.1:3000").await?, server, router).await;
//!     Ok(())
//! }
//! # async fn user_of(token: &str) -> Option<String> { Some(token.to_owned()) }
//! # async fn history_of(_: &str) -> std::io::Result<Vec<String>> { Ok(Vec::new()) }
//! ```
//!
//! # Handlers
//!
//! Sync handlers run one after another in the task of the server, like those of an `App`: they have
//! a [`Context`], and must not wait. What they return is the acknowledgement:
//! [`IntoAck`].
//!
//! Arguments of other types never reach a handler. The client gets `{ error: "…" }` as its
//! acknowledgement, if it asked for one, and [`Namespace::on_error`] is told.
//!
//! A handler that panics harms nobody else. Its client gets `{ error: "internal error" }`.
//!
//! # Async handlers
//!
//! They have no `Context`, since the server goes on while they wait. They have a
//! [`Handle`](crate::Handle), in [`Received`].
//!
//! * **Order.** They start in the order of the events, as in Node.js: the code before the first
//!   `await` that has to wait runs in the task of the server. So it must not block, nor compute for
//!   long: use [`spawn_blocking`](tokio::task::spawn_blocking) for that. From there on a handler runs
//!   in a task of its own, and handlers overlap, also those of one socket. What a handler does by its
//!   `Handle`, such as joining a room, happens after the events that have arrived already. If the next
//!   event depends on it, take a sync handler; if handlers must not overlap, a lock of the
//!   application.
//! * **Limit.** The events that one connection's handlers are busy with, in all its namespaces, take at
//!   most [`Router::in_flight_bytes`]. The client that sends more pays, and nobody else: these
//!   events are not handled ([`EventError::Busy`]). A new connection has a new limit, so bound the
//!   time of handlers as well, for example with [`timeout`](tokio::time::timeout()).
//! * **End.** A handler is never cancelled. If its client leaves meanwhile, emits to the socket fail
//!   with [`NotConnected`](socketio_proto::hub::EmitError::NotConnected), or reach it once it has
//!   recovered. If the server ends meanwhile, all calls fail with
//!   [`HandleError::Closed`](crate::HandleError::Closed), and the handler runs on. The end of the
//!   tokio runtime ends handlers where they wait; to let them finish, count them, for example with a
//!   [`TaskTracker`](tokio_util::task::TaskTracker).
//!
//! # Middlewares
//!
//! They run for each client that asks to join, also for one that is about to recover its session,
//! unless [`skip_authorization`](socketio_proto::RecoveryConfig::skip_authorization) is set. Nothing is
//! replayed before the last one has let the client pass. Meanwhile its session does not expire and
//! loses nothing, for [`connect_timeout`](socketio_proto::ServerConfig::connect_timeout) at most. A
//! client that is in no other namespace and has waited for that long is disconnected; the official
//! client tries again.
//!
//! A client may leave while an async middleware waits. The middleware, and those behind it, run
//! nevertheless; what they say has no effect, and no handler is called. Middlewares that are waiting
//! count for [`Router::in_flight_bytes`], with their authentication data. A client that asks for more is
//! rejected. One that panics rejects the client with `internal error`.

mod ack;
mod app;
mod call;
mod clients;
mod connecting;
mod connects;
mod error;
mod events;
mod handler;
mod namespace;
mod received;
mod server_side;
mod sockets;

use std::{collections::BTreeMap, fmt, sync::Arc};

use socketio_proto::{server::ServerEvent, socket::NamespaceName};

pub use self::{
    ack::{ErrorAnswer, IntoAck},
    connecting::Connecting,
    error::EventError,
    namespace::Namespace,
    received::Received,
    server_side::ServerSide,
    sockets::{Connected, Disconnecting},
};
use self::{clients::Clients, namespace::Hook};
use crate::{app::Context, handle::WeakHandle};

/// See [`Router::in_flight_bytes`].
const IN_FLIGHT_BYTES: usize = 64 << 20;

/// An application made of handlers. See the [module](self).
#[must_use = "start a server with it"]
pub struct Router<D: Default + Send + 'static> {
    namespaces: Vec<Namespace<D>>,
    /// The index of the namespace with a name.
    names: BTreeMap<NamespaceName, usize>,
    patterns: Vec<(Pattern, usize)>,
    on_other: Option<Hook<D, ServerEvent<D>>>,
    clients: Clients,
    handle: Option<WeakHandle<Self>>,
}

type Pattern = Arc<dyn Fn(&str) -> bool + Send + Sync>;

impl<D: Default + Send + 'static> Router<D> {
    /// Creates a router that serves no namespace.
    pub fn new() -> Self {
        Self {
            namespaces: Vec::new(),
            names: BTreeMap::new(),
            patterns: Vec::new(),
            on_other: None,
            clients: Clients::new(IN_FLIGHT_BYTES),
            handle: None,
        }
    }

    /// Serves a namespace: `io.of(name)`. The router adds it to the server. The main namespace is `/`.
    /// Namespaces beyond [`Limits::namespaces`](socketio_proto::Limits::namespaces) are not served.
    ///
    /// # Panics
    ///
    /// If the name is not valid, or is served already.
    pub fn namespace(mut self, name: &str, namespace: Namespace<D>) -> Self {
        let valid = NamespaceName::new(name);
        assert!(valid.is_ok(), "`{name}` cannot be the name of a namespace");
        if let Ok(valid) = valid {
            let previous = self.names.insert(valid, self.namespaces.len());
            assert!(previous.is_none(), "`{name}` is served twice");
        }
        self.namespaces.push(namespace);
        self
    }

    /// Serves every namespace whose name satisfies `is_match`, if it has no handlers of its own:
    /// `io.of(/^\/t-/)`. [`Received::namespace`] says which one it is.
    ///
    /// ```
    /// use socketio_proto_tokio::router::{Namespace, Router};
    ///
    /// let tenant = Namespace::<()>::new().on("who", |_, received, (): ()| {
    ///     (received.namespace.as_str().to_owned(),)
    /// });
    /// # let _ =
    /// Router::new().namespaces_matching(|name| name.starts_with("/t-"), tenant);
    /// ```
    pub fn namespaces_matching(
        mut self,
        is_match: impl Fn(&str) -> bool + Send + Sync + 'static,
        namespace: Namespace<D>,
    ) -> Self {
        self.patterns.push((Arc::new(is_match), self.namespaces.len()));
        self.namespaces.push(namespace);
        self
    }

    /// Handles the events that the router does not use: about connections, about parked sessions that
    /// have ended, about acknowledgements that no [`Handle`](crate::Handle) waits for, and those of
    /// namespaces that the application has added to the server itself.
    ///
    /// A CONNECT to such a namespace, and
    /// [`LookupRequested`](ServerEvent::LookupRequested), must be answered here. Without this, they
    /// are refused.
    ///
    /// ```
    /// use socketio_proto::server::ServerEvent;
    /// use socketio_proto_tokio::router::Router;
    ///
    /// # let _ =
    /// Router::<()>::new().on_other(|_, event| {
    ///     if let ServerEvent::ConnectionClosed { reason, .. } = event {
    ///         println!("closed: {reason:?}");
    ///     }
    /// });
    /// ```
    pub fn on_other(
        mut self,
        hook: impl FnMut(&mut Context<'_, D>, ServerEvent<D>) + Send + 'static,
    ) -> Self {
        self.on_other = Some(Box::new(hook));
        self
    }

    /// How many bytes of one connection async handlers and middlewares may be busy with: those of the
    /// events and of the authentication data, and 1 KiB for each. Default: 64 MiB, so about 65,000
    /// small events. One of any size is always handled. Beyond it, events fail with
    /// [`EventError::Busy`], and CONNECTs are rejected; the connection stays open.
    ///
    /// ```
    /// use socketio_proto_tokio::router::Router;
    ///
    /// # let _ =
    /// Router::<()>::new().in_flight_bytes(1 << 20);
    /// ```
    pub fn in_flight_bytes(mut self, bytes: usize) -> Self {
        self.clients.limit = bytes;
        self
    }

    /// The index of the namespace that serves a name.
    fn find(&self, name: &NamespaceName) -> Option<usize> {
        let matching = || {
            let mut patterns = self.patterns.iter();
            patterns.find(|(is_match, _)| is_match(name.as_str())).map(|(_, index)| *index)
        };
        self.names.get(name).copied().or_else(matching)
    }
}

impl<D: Default + Send + 'static> Default for Router<D> {
    fn default() -> Self {
        Self::new()
    }
}

impl<D: Default + Send + 'static> fmt::Debug for Router<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("namespaces", &self.names.keys())
            .field("patterns", &self.patterns.len())
            .field("clients", &self.clients.len())
            .finish_non_exhaustive()
    }
}
