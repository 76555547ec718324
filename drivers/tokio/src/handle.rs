//! The server, from any task.

use std::fmt;

use socketio_proto::{
    SocketKey, Timestamp,
    hub::{At, EmitError, Snapshot},
    server::{Server, Stats},
};
use tokio::sync::oneshot;

use crate::{
    acks::{Awaited, Waiting},
    actor::spawn_after,
    app::{App, Context, Hosted},
    calls::{Calls, WeakCalls},
    cluster::{Engine, EngineStats, supervise},
    error::HandleError,
    service::SocketIoService,
    stats::DriverStats,
    to::To,
    to_socket::ToSocket,
};

/// Starts a server with its application in a task of its own. Call this within a runtime.
///
/// Mount the service in an HTTP server, and give a clone of the handle to every task that emits or
/// needs the server. The server runs until [`Handle::shutdown`] or [`Handle::hand_over`] ends it,
/// or until every clone of the service and of the handle is dropped and all connections are gone.
///
/// ```
/// use socketio_proto::server::{Server, ServerEvent};
/// use socketio_proto::{ServerConfig, Timestamp};
/// use socketio_proto_tokio::{App, Context, HandleError, entropy, start};
///
/// struct Chat;
///
/// impl App for Chat {
///     type Data = ();
///
///     fn handle_event(&mut self, cx: &mut Context<'_, ()>, event: ServerEvent<()>) {
///         if let ServerEvent::ConnectRequested { request, .. } = event {
///             cx.at().accept(request);
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut server = Server::new(ServerConfig::new(), entropy)?;
/// server.at(Timestamp::ZERO).add_namespace("/")?;
/// let (service, handle) = start(server, Chat);
///
/// let reach = handle.to("lobby").emit("news", &("hello",)).await?;
/// assert_eq!(reach.sockets, 0);
/// handle.shutdown().await?;
/// assert_eq!(handle.to("lobby").emit("news", &()).await, Err(HandleError::Closed));
/// # drop(service);
/// # Ok(())
/// # }
/// ```
pub fn start<A: App>(server: Server<A::Data>, app: A) -> (SocketIoService, Handle<A>) {
    spawn_hosted(Hosted::new(server, app))
}

/// Starts a server that is a node of a cluster, made with
/// [`Server::clustered`], with its application in a task of its own, and its
/// engine in another. Otherwise as [`start`].
///
/// [`Handle::shutdown`] and [`Handle::hand_over`] wait until the engine has done what the server has
/// left to it, for at most five seconds.
pub fn start_clustered<A: App>(
    server: Server<A::Data>,
    app: A,
    engine: impl Engine,
) -> (SocketIoService, Handle<A>) {
    let (engine, outputs, ended) = supervise(engine);
    let node = server.node().cloned();
    let hosted = Hosted::new(server, app).with_engine(outputs, ended);
    let (service, handle) = spawn_hosted(hosted);
    // A server that is alone needs no engine.
    if let Some(node) = node {
        engine.start(node, handle.0.downgrade());
    }
    (service, handle)
}

fn spawn_hosted<A: App>(hosted: Hosted<A>) -> (SocketIoService, Handle<A>) {
    let (service, calls) = spawn_after(hosted, |hosted, now, calls| {
        hosted.start(now, WeakHandle(calls.downgrade()));
    });
    (service, Handle(calls))
}

/// The server, from any task. Cheap to clone.
///
/// Its calls wait for a place if 64 calls wait for the server already, and then for the result.
/// They fail with [`HandleError::Closed`] when the server has ended. Once a call has its place, it is
/// carried out even if its future is dropped.
pub struct Handle<A: App>(Calls<Hosted<A>>);

impl<A: App> Handle<A> {
    /// Runs a closure with the application and the server, and returns its result. All that the
    /// application can do can be done here. A panic of the closure continues in the caller; the
    /// server goes on.
    ///
    /// ```
    /// # use socketio_proto_tokio::{App, Handle, HandleError};
    /// async fn count(handle: Handle<impl App>) -> Result<usize, HandleError> {
    ///     handle.with(|_app, cx| cx.server.stats().sockets).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`].
    pub async fn with<R: Send + 'static>(
        &self,
        call: impl FnOnce(&mut A, &mut Context<'_, A::Data>) -> R + Send + 'static,
    ) -> Result<R, HandleError> {
        self.0.with(|hosted, now| hosted.with(now, call)).await
    }

    /// Hands in a closure without waiting, neither for a place nor for the result.
    ///
    /// ```
    /// # use socketio_proto_tokio::{App, Handle};
    /// fn announce(handle: &Handle<impl App>) {
    ///     let tell = handle.try_with(|_app, cx| drop(cx.at().all().emit("tick", &())));
    ///     if let Err(error) = tell {
    ///         eprintln!("not announced: {error}");
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`HandleError::Full`] if too many calls wait, and [`HandleError::Closed`].
    pub fn try_with(
        &self,
        call: impl FnOnce(&mut A, &mut Context<'_, A::Data>) + Send + 'static,
    ) -> Result<(), HandleError> {
        self.0.try_with(|hosted, now| hosted.with(now, call))
    }

    /// Runs a closure as [`with`](Self::with) does, from a thread outside of the runtime.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`].
    ///
    /// # Panics
    ///
    /// If called within a runtime, whose thread it would block.
    pub fn blocking_with<R: Send + 'static>(
        &self,
        call: impl FnOnce(&mut A, &mut Context<'_, A::Data>) -> R + Send + 'static,
    ) -> Result<R, HandleError> {
        self.0.blocking_with(|hosted, now| hosted.with(now, call))
    }

    /// All sockets of the main namespace: `io.emit(…)`.
    pub fn all(&self) -> To<'_, A> {
        self.of("/")
    }

    /// The sockets in a room of the main namespace: `io.to("room")`.
    pub fn to(&self, room: impl Into<String>) -> To<'_, A> {
        self.all().to(room)
    }

    /// The sockets of the main namespace except those in a room: `io.except("room")`.
    pub fn except(&self, room: impl Into<String>) -> To<'_, A> {
        self.all().except(room)
    }

    /// All sockets of a namespace: `io.of("/admin")`.
    pub fn of(&self, namespace: impl Into<String>) -> To<'_, A> {
        To::new(self, namespace.into())
    }

    /// One socket, connected or parked.
    pub fn socket(&self, socket: SocketKey) -> ToSocket<'_, A> {
        ToSocket::new(self, socket)
    }

    /// Returns what the server holds, and its counters.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`].
    pub async fn stats(&self) -> Result<Stats, HandleError> {
        self.with(|_, cx| cx.server.stats()).await
    }

    /// Returns what the driver holds, and its counters: exchanges, WebSockets, bytes.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`].
    pub async fn driver_stats(&self) -> Result<DriverStats, HandleError> {
        self.0.driver_stats().await
    }

    /// Returns what the engine of the cluster holds, and its counters. `None` if the server was not
    /// started with one.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`].
    pub async fn engine_stats(&self) -> Result<Option<EngineStats>, HandleError> {
        self.0.with(|hosted, _| hosted.engine_stats()).await
    }

    /// Closes all connections and takes no new ones, but leaves the server alive: tasks of the
    /// application may have something left to say, which recovered clients get. Returns when the
    /// connections are gone, after three seconds at most.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`].
    pub async fn close_connections(&self) -> Result<(), HandleError> {
        self.0.close_connections().await
    }

    /// Closes all connections as [`close_connections`](Self::close_connections) does, and ends the
    /// server.
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`].
    pub async fn shutdown(&self) -> Result<(), HandleError> {
        self.end(|_, _| ()).await
    }

    /// Waits until connections have to end: the server is being shut down, or has ended. An HTTP
    /// server can stop at that moment:
    ///
    /// ```no_run
    /// # use std::io;
    /// use socketio_proto_tokio::{App, Handle, shutdown_signal};
    /// use tokio::net::TcpListener;
    ///
    /// async fn run(app: axum::Router, handle: Handle<impl App>) -> io::Result<()> {
    ///     let listener = TcpListener::bind("0.0.0.0:3000").await?;
    ///     let serving = axum::serve(listener, app).with_graceful_shutdown(handle.closing());
    ///     let serving = tokio::spawn(serving.into_future());
    ///     shutdown_signal().await;
    ///     handle.shutdown().await.ok();
    ///     serving.await?
    /// }
    /// ```
    pub fn closing(&self) -> impl Future<Output = ()> + Send + 'static + use<A> {
        self.0.closing()
    }

    /// Waits until the server has ended.
    pub async fn ended(&self) {
        self.0.ended().await;
    }

    /// Returns a handle that does not keep the server alive.
    pub fn downgrade(&self) -> WeakHandle<A> {
        WeakHandle(self.0.downgrade())
    }

    /// Ends the server after a last thing was done with it, and then waits for the end of its engine.
    async fn end<R: Send + 'static>(
        &self,
        last: impl FnOnce(&mut Hosted<A>, Timestamp) -> R + Send + 'static,
    ) -> Result<R, HandleError> {
        let last = move |hosted: &mut Hosted<A>, now| (last(hosted, now), hosted.engine_ended());
        let (done, engine) = self.0.end(last).await?;
        if let Some(engine) = engine {
            engine.wait().await;
        }
        Ok(done)
    }

    /// Asks for something, and waits for the answer.
    pub(crate) async fn ask<R: Send + 'static, I: Into<Awaited>>(
        &self,
        waiting: fn(oneshot::Sender<R>) -> Waiting,
        emit: impl FnOnce(&mut At<'_, A::Data>) -> Result<I, EmitError> + Send + 'static,
    ) -> Result<R, HandleError> {
        let (answer, answered) = oneshot::channel();
        let asked = self.0.with(move |hosted, now| {
            let ack = hosted.with(now, |_, cx| emit(&mut cx.at()))?;
            hosted.expect(ack.into(), waiting(answer));
            Ok::<_, EmitError>(())
        });
        asked.await??;
        answered.await.map_err(|_| HandleError::Closed)
    }
}

impl<A: App<Data: Clone>> Handle<A> {
    /// Closes all connections, ends the server, and returns the sessions for the next process, whose
    /// clients recover with [`At::restore`](socketio_proto::hub::At::restore).
    ///
    /// ```
    /// use socketio_proto::hub::Snapshot;
    /// # use socketio_proto_tokio::{App, Handle, HandleError};
    ///
    /// async fn hand_over<A: App<Data = String>>(handle: Handle<A>) -> std::io::Result<()> {
    ///     let snapshot: Snapshot<String> = handle.hand_over().await.map_err(std::io::Error::other)?;
    ///     std::fs::write("sessions.json", serde_json::to_vec(&snapshot)?)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`HandleError::Closed`].
    pub async fn hand_over(&self) -> Result<Snapshot<A::Data>, HandleError> {
        let call = |_: &mut A, cx: &mut Context<'_, A::Data>| cx.server.snapshot(cx.now);
        self.end(move |hosted, now| hosted.with(now, call)).await
    }
}

impl<A: App> Clone for Handle<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: App> fmt::Debug for Handle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.0).finish()
    }
}

/// A handle that does not keep the server alive. For the application itself: see
/// [`App::start`].
pub struct WeakHandle<A: App>(WeakCalls<Hosted<A>>);

impl<A: App> WeakHandle<A> {
    /// Returns a handle, or `None` if nobody can reach the server any more: every handle and every
    /// service was dropped, and all connections are gone.
    pub fn upgrade(&self) -> Option<Handle<A>> {
        self.0.upgrade().map(Handle)
    }
}

impl<A: App> Clone for WeakHandle<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: App> fmt::Debug for WeakHandle<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakHandle").finish_non_exhaustive()
    }
}
