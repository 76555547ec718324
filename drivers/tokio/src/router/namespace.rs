//! The handlers of a namespace.

use std::{collections::BTreeMap, fmt};

use serde::de::DeserializeOwned;
use socketio_proto::{hub::Rejection, socket::Event};

use super::{
    ack::{ErrorAnswer, IntoAck},
    connecting::Connecting,
    error::EventError,
    handler::{Answer, Handler, Middleware, answer},
    received::Received,
    server_side::ServerSideHandler,
    sockets::{Connected, Disconnecting},
};
use crate::app::Context;

/// A sync handler of something that has happened to a socket.
pub(super) type Hook<D, T> = Box<dyn FnMut(&mut Context<'_, D>, T) + Send>;
type OnError<D> = Box<dyn FnMut(&mut Context<'_, D>, &Received<D>, &EventError) -> Answer + Send>;

/// The handlers and middlewares of a namespace, or of many. See the [module](super).
///
/// What is not set has a default: everybody is let in, and events without a handler are ignored, also
/// if the client asks for an acknowledgement, as in Node.js.
#[derive(Default)]
#[must_use = "give it to a router"]
pub struct Namespace<D: Default + Send + 'static> {
    pub(super) middlewares: Vec<Middleware<D>>,
    pub(super) on_connect: Option<Hook<D, Connected<D>>>,
    pub(super) on_disconnecting: Option<Hook<D, Disconnecting<D>>>,
    handlers: BTreeMap<String, Handler<D>>,
    fallback: Option<Handler<D>>,
    on_error: Option<OnError<D>>,
    /// The handlers of events of other servers.
    pub(super) server_side: BTreeMap<String, ServerSideHandler<D>>,
}

impl<D: Default + Send + 'static> Namespace<D> {
    /// Creates one without handlers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Handles an event: `socket.on(name, …)`. The handler runs in the task of the server, and must
    /// not wait. It replaces an earlier handler of the same event.
    ///
    /// `A` are the arguments: a tuple, `()` if they do not matter, `Vec<T>` for any number of one
    /// type. More arguments than these are ignored. For optional ones at the end, take a struct:
    ///
    /// ```
    /// use serde::Deserialize;
    /// use socketio_proto_tokio::router::Namespace;
    ///
    /// // socket.emit("history", "room 1") or socket.emit("history", "room 1", 50)
    /// #[derive(Deserialize)]
    /// struct History {
    ///     room: String,
    ///     #[serde(default)]
    ///     limit: Option<u32>,
    /// }
    ///
    /// # let _ =
    /// Namespace::<()>::new().on("history", |cx, received, History { room, limit }| {
    ///     let is_member = cx.server.rooms(received.socket).any(|joined| joined == room);
    ///     (is_member, limit.unwrap_or(10))
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// If the name is reserved, such as `disconnecting`: no client can emit it.
    pub fn on<A, R>(
        self,
        name: &str,
        handler: impl FnMut(&mut Context<'_, D>, &Received<D>, A) -> R + Send + 'static,
    ) -> Self
    where
        A: DeserializeOwned,
        R: IntoAck,
    {
        self.handle(name, Handler::typed(handler))
    }

    /// Handles an event with an async function. See [the module](super#async-handlers).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use socketio_proto_tokio::router::{ErrorAnswer, Namespace, Received};
    ///
    /// /// Asks the others in a room, and tells how many have answered.
    /// async fn ask(
    ///     received: Received<()>,
    ///     (room, question): (String, String),
    /// ) -> Result<(usize,), ErrorAnswer> {
    ///     let others = received.broadcast().to(room);
    ///     let timeout = Duration::from_secs(5);
    ///     let asked = others.emit_with_ack("question", &(question,), timeout).await?;
    ///     Ok((asked.responses.len(),))
    /// }
    ///
    /// # let _ =
    /// Namespace::new().on_async("ask", ask);
    /// ```
    ///
    /// # Panics
    ///
    /// If the name is reserved.
    pub fn on_async<A, F>(
        self,
        name: &str,
        handler: impl Fn(Received<D>, A) -> F + Send + 'static,
    ) -> Self
    where
        A: DeserializeOwned,
        F: Future<Output: IntoAck> + Send + 'static,
    {
        self.handle(name, Handler::typed_async(handler))
    }

    /// Handles the events that have no handler. [`Received::event`] has the name and the arguments.
    pub fn fallback<R: IntoAck>(
        mut self,
        handler: impl FnMut(&mut Context<'_, D>, &Received<D>) -> R + Send + 'static,
    ) -> Self {
        self.fallback = Some(Handler::untyped(handler));
        self
    }

    /// Decides about clients that ask to join: `io.use(…)`. It runs in the task of the server, and
    /// must not wait. Middlewares run in the order in which they were added, sync or async, until one
    /// of them rejects the client; see [the module](super#middlewares).
    ///
    /// ```
    /// use socketio_proto::hub::Rejection;
    /// use socketio_proto_tokio::router::Namespace;
    ///
    /// # let _ =
    /// Namespace::<()>::new().middleware(|cx, connecting| {
    ///     if cx.server.stats().sockets > 10_000 {
    ///         return Err(Rejection::new("full"));
    ///     }
    ///     match connecting.request.headers.get("x-version") {
    ///         Some(version) if version == "1" => Err(Rejection::new("outdated")),
    ///         _ => Ok(()),
    ///     }
    /// });
    /// ```
    pub fn middleware(
        mut self,
        middleware: impl FnMut(&mut Context<'_, D>, &Connecting<D>) -> Result<(), Rejection>
        + Send
        + 'static,
    ) -> Self {
        self.middlewares.push(Middleware::Sync(Box::new(middleware)));
        self
    }

    /// Decides about clients with an async function. The client waits for it. [`Connecting`] shows
    /// one.
    pub fn middleware_async<F>(
        mut self,
        middleware: impl Fn(Connecting<D>) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), Rejection>> + Send + 'static,
    {
        let middleware = move |connecting| Box::pin(middleware(connecting)) as _;
        self.middlewares.push(Middleware::Async(Box::new(middleware)));
        self
    }

    /// Called when a client has joined, with a new session or a recovered one:
    /// `io.on("connection", …)`. It comes before all events of the socket.
    ///
    /// ```
    /// use socketio_proto_tokio::router::Namespace;
    ///
    /// # let _ =
    /// Namespace::<()>::new().on_connect(|cx, connected| {
    ///     if !connected.recovery.is_recovered() {
    ///         cx.at().socket(connected.socket).emit("welcome", &(connected.id.as_str(),)).ok();
    ///     }
    /// });
    /// ```
    pub fn on_connect(
        mut self,
        hook: impl FnMut(&mut Context<'_, D>, Connected<D>) + Send + 'static,
    ) -> Self {
        self.on_connect = Some(Box::new(hook));
        self
    }

    /// Called when a socket was disconnected or has lost its connection, with the reason and the
    /// rooms: `socket.on("disconnecting", …)`.
    ///
    /// ```
    /// use socketio_proto_tokio::router::Namespace;
    ///
    /// # let _ =
    /// Namespace::<String>::new().on_disconnecting(|cx, disconnecting| {
    ///     let is_final = disconnecting.data.is_some();
    ///     for room in disconnecting.rooms.iter() {
    ///         let left = (disconnecting.id.as_str(), is_final);
    ///         cx.at().to(room).except_socket(disconnecting.socket).emit("left", &left).ok();
    ///     }
    /// });
    /// ```
    pub fn on_disconnecting(
        mut self,
        hook: impl FnMut(&mut Context<'_, D>, Disconnecting<D>) + Send + 'static,
    ) -> Self {
        self.on_disconnecting = Some(Box::new(hook));
        self
    }

    /// Called for each event that could not be handled or answered. What it returns is the
    /// acknowledgement, if the client asked for one.
    ///
    /// Without it, the client gets `{ error: "…" }`, except for [`EventError::Busy`]: such an event is
    /// withdrawn, so that a client with retries emits it again.
    ///
    /// ```
    /// use socketio_proto_tokio::router::{EventError, Namespace};
    ///
    /// # let _ =
    /// Namespace::<()>::new().on_error(|_, received, error| {
    ///     eprintln!("{} of {:?}: {error}", received.event.name(), received.socket);
    ///     match error {
    ///         EventError::Busy => None,
    ///         _ => Some(("not understood",)),
    ///     }
    /// });
    /// ```
    pub fn on_error<R: IntoAck>(
        mut self,
        mut hook: impl FnMut(&mut Context<'_, D>, &Received<D>, &EventError) -> R + Send + 'static,
    ) -> Self {
        let hook = move |cx: &mut Context<'_, D>, received: &Received<D>, error: &EventError| {
            answer(hook(cx, received, error))
        };
        self.on_error = Some(Box::new(hook));
        self
    }

    /// The handler of an event.
    pub(super) fn handler(&mut self, name: &str) -> Option<&mut Handler<D>> {
        self.handlers.get_mut(name).or(self.fallback.as_mut())
    }

    /// What is answered after an error.
    pub(super) fn failed(
        &mut self,
        cx: &mut Context<'_, D>,
        received: &Received<D>,
        error: &EventError,
    ) -> Answer {
        match (&mut self.on_error, error) {
            (Some(hook), _) => hook(cx, received, error),
            (None, EventError::Busy) => Ok(None),
            (None, _) => answer(ErrorAnswer::new(error.to_string())),
        }
    }

    fn handle(mut self, name: &str, handler: Handler<D>) -> Self {
        let event = Event::new(name, &());
        assert!(event.is_ok(), "`{name}` is reserved: no client can emit it");
        self.handlers.insert(name.to_owned(), handler);
        self
    }
}

impl<D: Default + Send + 'static> fmt::Debug for Namespace<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace")
            .field("middlewares", &self.middlewares.len())
            .field("events", &self.handlers.keys())
            .finish_non_exhaustive()
    }
}
