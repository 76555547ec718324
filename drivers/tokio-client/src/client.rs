//! The handle of a client.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use serde::Serialize;
use socketio_proto::{
    Timestamp,
    client::{self, AuthRequest, ClientAckToken, ClientSnapshot, JoinError},
    socket::{Args, Json},
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use crate::{
    ConnectError, Driver, EmitError, Ended, Events, Options, OptionsError, Socket,
    actor::{Actor, COMMANDS, Command},
    events::EventSender,
};

/// Connects to a server, and waits until the namespace that the URL names is joined.
///
/// The URL has the scheme `http`, `https`, `ws` or `wss`. Its path names the namespace, as with the
/// official client; [`Options::path`] is the path of the server. Later, the client reconnects by itself.
///
/// # Errors
///
/// [`ConnectError`] if the first attempt fails. Then there is no client, and no further attempt. Use
/// [`start`] for a client that goes on trying.
///
/// ```no_run
/// use socketio_proto::client::ClientEvent;
/// use socketio_proto_tokio_client::{ConnectError, Options, WireError, connect};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (socket, mut events) = match connect("https://example.com/chat", Options::new()).await {
///     Ok(connected) => connected,
///     Err(ConnectError::Connection { cause: Some(cause), .. }) => match &*cause {
///         WireError::Resolve { host, .. } => panic!("there is no {host}"),
///         cause => panic!("{cause}"),
///     },
///     Err(error) => return Err(error.into()),
/// };
/// socket.emit("hello", &("world",)).await?;
/// while let Some(event) = events.next().await {
///     if let ClientEvent::Received { event, .. } = event {
///         println!("{event:?}");
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub async fn connect(url: &str, options: Options) -> Result<(Socket, Events), ConnectError> {
    let auth = options.auth.clone();
    let (socket, events) = launch(url, options, |_, _| Ok(()))?;
    socket.connect(auth).await?;
    Ok((socket, events))
}

/// Makes a client that joins the namespace that the URL names, in the background and at every attempt
/// that the settings allow. Otherwise as [`connect`]. Events emitted before the namespace is joined are
/// buffered.
///
/// # Errors
///
/// [`OptionsError`] if the URL or a setting cannot be used, or without a tokio runtime.
///
/// ```no_run
/// use socketio_proto_tokio_client::{Options, start};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (socket, events) = start("http://localhost:3000", Options::new())?;
/// socket.emit("hello", &("as soon as there is a connection",)).await?;
/// # drop(events);
/// # Ok(())
/// # }
/// ```
pub fn start(url: &str, options: Options) -> Result<(Socket, Events), OptionsError> {
    let auth = options.auth.clone();
    launch(url, options, |driver, namespace| {
        driver.client(|client, now| client.connect(now, namespace, auth)).map(drop)
    })
}

fn launch(
    url: &str,
    options: Options,
    join: impl FnOnce(&mut Driver, &str) -> Result<(), JoinError>,
) -> Result<(Socket, Events), OptionsError> {
    let runtime = Handle::try_current().map_err(|_| OptionsError::NoRuntime)?;
    let (sender, events) = EventSender::new(options.event_bytes);
    let stall_timeout = options.stall_timeout;
    let mut driver = Driver::new(url, options)?;
    let namespace = driver.namespace().to_owned();
    join(&mut driver, &namespace)?;
    let (commands, received) = mpsc::channel(COMMANDS);
    runtime.spawn(Actor::new(driver, sender, stall_timeout).run(received));
    Ok((Client { commands }.socket(namespace), events))
}

/// A handle of a client, which runs in a task of its own. Cheap to clone.
///
/// The client ends with [`close`](Self::close), or when all its handles and its [`Events`] are dropped.
/// Then it closes its connection without leaving the namespaces, and the server keeps the sessions.
///
/// ```no_run
/// use socketio_proto_tokio_client::{Options, connect};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (socket, _events) = connect("http://localhost:3000", Options::new()).await?;
/// let client = socket.client().clone();
/// tokio::spawn(async move {
///     let transport = client.with(|client, _| client.transport()).await;
///     println!("{transport:?}");
/// });
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    commands: mpsc::Sender<Command>,
}

impl Client {
    /// Returns a handle of a namespace, whether it is joined or not. Names begin with a slash.
    ///
    /// ```no_run
    /// # use socketio_proto::client::Auth;
    /// # async fn example(socket: socketio_proto_tokio_client::Socket) -> Result<(), Box<dyn std::error::Error>> {
    /// let admin = socket.client().socket("/admin");
    /// let session = admin.connect(Auth::None).await?;
    /// println!("{} is joined as {}", admin.namespace(), session.id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn socket(&self, namespace: impl Into<String>) -> Socket {
        Socket::new(self.clone(), namespace.into())
    }

    /// Calls verbs of the client in its task, with the current time: everything that
    /// [`client::Client`] can do. Nothing else is done meanwhile, so the closure must not block.
    ///
    /// Acknowledgements of events that are emitted in this way come as events.
    ///
    /// # Errors
    ///
    /// [`Ended`] if the client has ended.
    ///
    /// # Panics
    ///
    /// If the closure panics. The client goes on.
    ///
    /// ```no_run
    /// # async fn example(client: socketio_proto_tokio_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let waiting = client.with(|client, _| client.buffered("/").count()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn with<R: Send + 'static>(
        &self,
        verb: impl FnOnce(&mut client::Client, Timestamp) -> R + Send + 'static,
    ) -> Result<R, Ended> {
        let (answer, answered) = oneshot::channel();
        let command = |actor: &mut Actor| {
            let done = catch_unwind(AssertUnwindSafe(|| actor.client(verb)));
            // Nobody waits any more if the call was dropped.
            answer.send(done).ok();
        };
        self.command(command).await?;
        let done = answered.await.map_err(|_| Ended)?;
        Ok(done.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    /// Answers [`AuthRequested`](client::ClientEvent::AuthRequested). Returns false if the connection was lost in the
    /// meantime. Then there will be another request.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Join`] if `auth` is not an object, [`ConnectError::Ended`] if the client has ended.
    ///
    /// ```no_run
    /// use socketio_proto::{client::ClientEvent, socket::Json};
    /// use socketio_proto_tokio_client::{Client, ConnectError};
    ///
    /// async fn handle_event(client: &Client, event: ClientEvent) -> Result<(), ConnectError> {
    ///     if let ClientEvent::AuthRequested { request, .. } = event {
    ///         let auth = Json::from_text(r#"{"token":"new"}"#).expect("valid JSON");
    ///         client.provide_auth(request, auth).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub async fn provide_auth(
        &self,
        request: AuthRequest,
        auth: Json,
    ) -> Result<bool, ConnectError> {
        let provided = self.with(move |client, now| client.provide_auth(now, request, &auth));
        Ok(provided.await??)
    }

    /// Acknowledges an event of the server. The arguments are a tuple or a sequence, or `()` for none. Returns false
    /// if the namespace is not joined or has another session, or if the answer is larger or has more
    /// attachments than the server accepts.
    ///
    /// # Errors
    ///
    /// [`EmitError::Encode`] if the arguments are invalid, [`EmitError::Ended`] if the client has ended.
    ///
    /// ```no_run
    /// use socketio_proto::client::ClientEvent;
    /// use socketio_proto_tokio_client::{Client, EmitError};
    ///
    /// async fn handle_event(client: &Client, event: ClientEvent) -> Result<(), EmitError> {
    ///     if let ClientEvent::Received { ack: Some(token), .. } = event {
    ///         client.ack(token, &("ok",)).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub async fn ack<T: Serialize + ?Sized>(
        &self,
        token: ClientAckToken,
        args: &T,
    ) -> Result<bool, EmitError> {
        let args = Args::new(args)?;
        Ok(self.with(move |client, now| client.ack(now, token, &args)).await?)
    }

    /// Returns a snapshot for the next process, and lets the client go on. Take it when the last process
    /// may crash; [`close`](Self::close) is the exact way for a planned end.
    ///
    /// Events that wait in [`Events`] count as received. So if the process ends before the application
    /// has handled them, the next process does not get them again.
    ///
    /// # Errors
    ///
    /// [`Ended`] if the client has ended.
    ///
    /// ```no_run
    /// # async fn example(client: socketio_proto_tokio_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let snapshot = client.snapshot().await?;
    /// std::fs::write("snapshot.json", serde_json::to_string(&snapshot)?)?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn snapshot(&self) -> Result<ClientSnapshot, Ended> {
        self.with(|client, _| client.snapshot()).await
    }

    /// Ends the client: sends what is queued, for five seconds at most, and closes the connection
    /// without leaving the namespaces. Returns the snapshot for the next process.
    ///
    /// Handle what is left in [`Events`] before you store the snapshot: the next process does not get
    /// these events again.
    ///
    /// # Errors
    ///
    /// [`Ended`] if the client has ended before.
    ///
    /// ```no_run
    /// use socketio_proto_tokio_client::{Client, Events, Options, connect};
    ///
    /// async fn end(client: Client, mut events: Events) -> Result<(), Box<dyn std::error::Error>> {
    ///     let snapshot = client.close().await?;
    ///     while let Some(event) = events.next().await {
    ///         println!("{event:?}");
    ///     }
    ///     std::fs::write("snapshot.json", serde_json::to_string(&snapshot)?)?;
    ///     Ok(())
    /// }
    ///
    /// async fn begin() -> Result<(), Box<dyn std::error::Error>> {
    ///     let snapshot = serde_json::from_str(&std::fs::read_to_string("snapshot.json")?)?;
    ///     let options = Options::new().snapshot(snapshot);
    ///     let (socket, events) = connect("http://localhost:3000", options).await?;
    /// #   drop((socket, events));
    ///     Ok(())
    /// }
    /// ```
    pub async fn close(&self) -> Result<ClientSnapshot, Ended> {
        let (closing, closed) = oneshot::channel();
        self.command(|actor: &mut Actor| actor.closing = Some(closing)).await?;
        closed.await.map_err(|_| Ended)
    }

    /// Breaks the connection without telling the server, as a network failure does. The client
    /// reconnects as after any other loss. Use it in tests.
    ///
    /// # Errors
    ///
    /// [`Ended`] if the client has ended.
    ///
    /// ```no_run
    /// use socketio_proto::client::ClientEvent;
    /// use socketio_proto_tokio_client::{Client, Events};
    ///
    /// async fn sessions_are_recovered(client: Client, mut events: Events) {
    ///     client.cut().await.expect("it runs");
    ///     while let Some(event) = events.next().await {
    ///         if let ClientEvent::Connected { recovered, .. } = event {
    ///             return assert!(recovered);
    ///         }
    ///     }
    /// }
    /// ```
    pub async fn cut(&self) -> Result<(), Ended> {
        self.command(|actor: &mut Actor| actor.driver.cut()).await
    }

    /// Says whether there is a network. Without a network the connection is broken and no new one is
    /// made. When it is back, the client reconnects at once. A client is online until this is called.
    ///
    /// # Errors
    ///
    /// [`Ended`] if the client has ended.
    ///
    /// ```no_run
    /// # use socketio_proto_tokio_client::{Client, Ended};
    /// async fn on_network_change(client: &Client, is_online: bool) -> Result<(), Ended> {
    ///     client.set_online(is_online).await
    /// }
    /// ```
    pub async fn set_online(&self, is_online: bool) -> Result<(), Ended> {
        self.command(move |actor: &mut Actor| actor.driver.set_online(is_online)).await
    }

    pub(crate) async fn command(
        &self,
        command: impl FnOnce(&mut Actor) + Send + 'static,
    ) -> Result<(), Ended> {
        self.commands.send(Box::new(command)).await.map_err(|_| Ended)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("has_ended", &self.commands.is_closed()).finish()
    }
}
