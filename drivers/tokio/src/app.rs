//! A [`Server`] together with the application that handles its events.

use std::{collections::BTreeMap, fmt, sync::Arc};

use http::request::Parts;
use socketio_proto::{
    ConnectionId, Timestamp, WireId,
    cluster::ClusterInput,
    engine::{RequestHead, RequestRefusal, WebSocketRequest, WebSocketResponse},
    hub::At,
    server::{Server, ServerEvent, ServerInput, ServerOutput},
};

#[cfg(feature = "tracing")]
use crate::trace;
use crate::{
    acks::{Awaited, Waiting},
    cluster::{Ended, EngineStats, Outputs},
    handle::WeakHandle,
    machine::{Machine, Outgoing},
};

/// An application: its handlers. [`start`](crate::start) and [`run`](crate::run()) run it.
///
/// Handlers run one after another, in the task of the server. So they must not block or wait. Spawn a
/// task for slow work; it reaches the server with a [`Handle`](crate::Handle).
///
/// A [`Router`](crate::router::Router) is an application with a handler for each event.
///
/// ```
/// use std::{collections::BTreeMap, sync::Arc};
///
/// use http::request::Parts;
/// use socketio_proto::ConnectionId;
/// use socketio_proto::hub::Rejection;
/// use socketio_proto::server::ServerEvent;
/// use socketio_proto_tokio::{App, Context, WeakHandle};
///
/// #[derive(Default)]
/// struct Reports {
///     handle: Option<WeakHandle<Self>>,
///     requests: BTreeMap<ConnectionId, Arc<Parts>>,
/// }
///
/// impl App for Reports {
///     type Data = ();
///
///     fn start(&mut self, _: &mut Context<'_, ()>, handle: WeakHandle<Self>) {
///         self.handle = Some(handle);
///     }
///
///     // The headers of the client, for the decision about its CONNECT.
///     fn handle_handshake(&mut self, connection: ConnectionId, request: &Arc<Parts>) {
///         self.requests.insert(connection, Arc::clone(request));
///     }
///
///     fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
///         match event {
///             ServerEvent::ConnectRequested { request, connection, .. } => {
///                 let head = self.requests.get(&connection);
///                 if head.is_some_and(|head| head.headers.contains_key("cookie")) {
///                     cx.at().accept(request);
///                 } else {
///                     cx.at().reject(request, &Rejection::new("log in"));
///                 }
///             }
///             // Slow work: a task does it, and comes back with the result.
///             ServerEvent::Received { socket, event, .. } if event.name() == "report" => {
///                 let handle = self.handle.as_ref().and_then(WeakHandle::upgrade);
///                 tokio::spawn(async move {
///                     let read = || std::fs::read_to_string("report.txt").unwrap_or_default();
///                     let report = tokio::task::spawn_blocking(read).await;
///                     if let (Ok(report), Some(handle)) = (report, handle) {
///                         handle.socket(socket).emit("report", &(report,)).await.ok();
///                     }
///                 });
///             }
///             ServerEvent::ConnectionClosed { connection, .. } => {
///                 self.requests.remove(&connection);
///             }
///             _ => {}
///         }
///     }
/// }
/// ```
pub trait App: Send + Sized + 'static {
    /// The application's data of a socket. It is kept across recoveries.
    type Data: Default + Send + 'static;

    /// Called once, before anything else: [`start`](crate::start) calls it before it returns. Restore a
    /// snapshot here, and keep the handle if handlers spawn tasks that need one.
    ///
    /// A panic continues in the caller of [`start`](crate::start) or [`run`](crate::run()).
    fn start(&mut self, _cx: &mut Context<'_, Self::Data>, _handle: WeakHandle<Self>) {}

    /// A connection was opened, by this request. It is handled before the event
    /// [`ConnectionOpened`](ServerEvent::ConnectionOpened).
    fn handle_handshake(&mut self, _connection: ConnectionId, _request: &Arc<Parts>) {}

    /// Something happened. The acknowledgements that a handle waits for do not come here.
    ///
    /// A panic ends the server.
    fn handle_event(&mut self, cx: &mut Context<'_, Self::Data>, event: ServerEvent<Self::Data>);

    /// The server is being shut down, and its connections are closing. Stop the application's own
    /// tasks here.
    fn handle_shutdown(&mut self, _cx: &mut Context<'_, Self::Data>) {}
}

/// The context of a handler.
pub struct Context<'a, D> {
    /// The server, with its verbs.
    pub server: &'a mut Server<D>,
    /// The current time.
    pub now: Timestamp,
}

impl<D: Default> Context<'_, D> {
    /// Returns the verbs of the server, at the current time.
    ///
    /// ```
    /// use socketio_proto::SocketKey;
    /// use socketio_proto_tokio::Context;
    ///
    /// fn greet(cx: &mut Context<'_, ()>, socket: SocketKey) {
    ///     cx.at().socket(socket).emit("hello", &("world",)).ok();
    /// }
    /// ```
    pub fn at(&mut self) -> At<'_, D> {
        self.server.at(self.now)
    }
}

impl<D> fmt::Debug for Context<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("now", &self.now).finish_non_exhaustive()
    }
}

/// A server and its application as one machine.
pub(crate) struct Hosted<A: App> {
    server: Server<A::Data>,
    app: A,
    /// Who waits for an acknowledgement, or for other servers. Each one completes, so that there are no
    /// more than [`Limits::pending_acks`](socketio_proto::Limits::pending_acks) of a namespace and
    /// [`ClusterConfig::pending_requests`](socketio_proto::cluster::ClusterConfig::pending_requests).
    awaited: BTreeMap<Awaited, Waiting>,
    /// The way to the engine of a cluster.
    engine: Option<(Outputs, Ended)>,
    #[cfg(feature = "tracing")]
    refusals: trace::Refusals,
}

impl<A: App> Hosted<A> {
    pub(crate) fn new(server: Server<A::Data>, app: A) -> Self {
        Self {
            server,
            app,
            awaited: BTreeMap::new(),
            engine: None,
            #[cfg(feature = "tracing")]
            refusals: trace::Refusals::default(),
        }
    }

    /// Gives it the way to its engine.
    pub(crate) fn with_engine(mut self, outputs: Outputs, ended: Ended) -> Self {
        self.engine = Some((outputs, ended));
        self
    }

    pub(crate) fn engine_stats(&self) -> Option<EngineStats> {
        self.engine.as_ref().map(|(outputs, _)| outputs.stats())
    }

    /// The end of the engine, which comes after that of the server.
    pub(crate) fn engine_ended(&self) -> Option<Ended> {
        self.engine.as_ref().map(|(_, ended)| ended.clone())
    }

    /// Handles what the engine reports.
    pub(crate) fn handle_cluster(&mut self, now: Timestamp, inputs: Vec<ClusterInput>) {
        for input in inputs {
            self.server.handle_cluster(now, input);
        }
        #[cfg(feature = "tracing")]
        self.refusals.report(&self.server, None);
    }

    /// The engine has lost its connection. All earlier outputs were taken before this call.
    pub(crate) fn handle_disconnected(&mut self, now: Timestamp) {
        if let Some((outputs, _)) = &mut self.engine {
            outputs.begin_anew();
        }
        self.handle_cluster(now, vec![ClusterInput::Disconnected]);
    }

    /// Tells the application that it begins.
    pub(crate) fn start(&mut self, now: Timestamp, handle: WeakHandle<A>) {
        let mut cx = Context { server: &mut self.server, now };
        self.app.start(&mut cx, handle);
    }

    /// Calls the application.
    pub(crate) fn with<R>(
        &mut self,
        now: Timestamp,
        call: impl FnOnce(&mut A, &mut Context<'_, A::Data>) -> R,
    ) -> R {
        let result = call(&mut self.app, &mut Context { server: &mut self.server, now });
        #[cfg(feature = "tracing")]
        self.refusals.report(&self.server, None);
        result
    }

    /// Notes that a call of a handle waits.
    pub(crate) fn expect(&mut self, awaited: Awaited, waiting: Waiting) {
        self.awaited.insert(awaited, waiting);
    }

    fn handle_event(&mut self, now: Timestamp, event: ServerEvent<A::Data>) {
        #[cfg(feature = "tracing")]
        let _in_span = trace::event(&event);
        if let Some(event) = self.settle(event) {
            let mut cx = Context { server: &mut self.server, now };
            self.app.handle_event(&mut cx, event);
            #[cfg(feature = "tracing")]
            self.refusals.report(&self.server, None);
        }
    }

    /// Gives an answer to the call that waits for it. Returns all other events.
    fn settle(&mut self, event: ServerEvent<A::Data>) -> Option<ServerEvent<A::Data>> {
        let Some(awaited) = Awaited::settled_by(&event) else { return Some(event) };
        match self.awaited.remove(&awaited) {
            Some(waiting) => {
                waiting.settle(event);
                None
            }
            None => Some(event),
        }
    }
}

impl<A: App> Machine for Hosted<A> {
    fn max_payload(&self) -> usize {
        self.server.config().payload_limit()
    }

    fn verify_websocket(
        &mut self,
        now: Timestamp,
        head: &RequestHead<'_>,
        request: &WebSocketRequest,
    ) -> Result<WebSocketResponse, RequestRefusal> {
        let verified = self.server.verify_websocket(now, head, request);
        #[cfg(feature = "tracing")]
        self.refusals.report(&self.server, None);
        verified
    }

    fn handle_input(&mut self, now: Timestamp, input: ServerInput<'_>) {
        #[cfg(feature = "tracing")]
        let wire = input.wire();
        self.server.handle_input(now, input);
        #[cfg(feature = "tracing")]
        self.refusals.report(&self.server, wire);
    }

    fn poll_outgoing(&mut self, now: Timestamp, request: Option<&Arc<Parts>>) -> Option<Outgoing> {
        loop {
            return Some(match self.server.poll_output()? {
                ServerOutput::Event(event) => {
                    if let ServerEvent::ConnectionOpened { connection, .. } = event
                        && let Some(request) = request
                    {
                        self.app.handle_handshake(connection, request);
                    }
                    self.handle_event(now, event);
                    continue;
                }
                ServerOutput::Cluster(output) => {
                    // Without an engine, it is away for good.
                    if let Some((outputs, _)) = &self.engine {
                        outputs.send(output);
                    }
                    continue;
                }
                ServerOutput::Respond { wire, response } => Outgoing::Respond { wire, response },
                ServerOutput::Send { wire, frame } => Outgoing::Send { wire, frame },
                ServerOutput::Close { wire, code } => Outgoing::Close { wire, code },
                _ => unreachable!("an output that this driver does not know"),
            });
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.server.deadline()
    }

    fn pause(&mut self, wire: WireId) {
        self.server.pause(wire);
    }

    fn resume(&mut self, now: Timestamp, wire: WireId) {
        self.server.resume(now, wire);
    }

    fn close_connections(&mut self, now: Timestamp) {
        self.server.shutdown(now);
        self.app.handle_shutdown(&mut Context { server: &mut self.server, now });
    }

    /// A node leaves nothing behind that others wait for.
    fn is_settled(&self) -> bool {
        let stats = self.server.stats();
        self.engine.is_none() || (stats.channel_waiting == 0 && stats.records_waiting == 0)
    }
}
