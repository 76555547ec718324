//! The handle of a namespace.

use std::time::Duration;

use serde::Serialize;
use socketio_proto::{
    AckId, Timestamp,
    client::{self, Auth, ClientEmitError},
    socket::{Args, Event},
};
use tokio::sync::oneshot;

use crate::{AckError, Client, ConnectError, EmitError, Ended, actor::Actor};

/// A session in a namespace.
///
/// ```no_run
/// # async fn example(socket: socketio_proto_tokio_client::Socket) -> Result<(), Box<dyn std::error::Error>> {
/// match socket.session().await? {
///     Some(session) if session.recovered => println!("{} is back", session.id),
///     Some(session) => println!("{} is new", session.id),
///     None => println!("not joined"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// The public id of the socket.
    pub id: String,
    /// Whether the session was recovered.
    pub recovered: bool,
}

/// A handle of one namespace of a client. Cheap to clone.
///
/// The arguments of events are a tuple or a sequence, or `()` for none. Bytes anywhere inside, such as a
/// `Bytes`, become attachments.
///
/// ```no_run
/// # async fn example(socket: socketio_proto_tokio_client::Socket) -> Result<(), Box<dyn std::error::Error>> {
/// let file = bytes::Bytes::from("contents");
/// socket.emit("upload", &("name.txt", file)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Socket {
    client: Client,
    namespace: String,
}

impl Socket {
    pub(crate) fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace }
    }

    /// Returns the client, for other namespaces and for everything that concerns all of them.
    /// [`Client::socket`] has an example.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the name of the namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Joins the namespace now and on every later connection, and waits for the answer. If it is joined
    /// already, `auth` counts for the next time.
    ///
    /// # Errors
    ///
    /// [`ConnectError`] if the server refuses, or if the connection is lost or cannot be opened before it
    /// answers. If the connection is lost, the client goes on trying.
    ///
    /// ```no_run
    /// use socketio_proto::client::{self, Auth};
    /// use socketio_proto_tokio_client::{ConnectError, Socket};
    ///
    /// # async fn example(socket: Socket) -> Result<(), Box<dyn std::error::Error>> {
    /// match socket.connect(Auth::None).await {
    ///     Ok(session) => println!("joined as {}", session.id),
    ///     Err(ConnectError::Refused(client::ConnectError::Refused { message, .. })) => {
    ///         println!("refused: {message}");
    ///     }
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(&self, auth: Auth) -> Result<Session, ConnectError> {
        let (call, answered) = oneshot::channel();
        let namespace = self.namespace.clone();
        let command = move |actor: &mut Actor| {
            let join = |client: &mut client::Client, now| client.connect(now, &namespace, auth);
            match actor.driver.client(join) {
                Ok(name) => {
                    let calls = &mut actor.calls;
                    actor.driver.client(|client, _| calls.wait_for_join(client, name, call));
                }
                Err(error) => drop(call.send(Err(error.into()))),
            }
        };
        self.client.command(command).await?;
        answered.await.map_err(|_| Ended)?
    }

    /// Leaves the namespace, or stops trying to join it. This ends its session. Returns false if it was
    /// not active.
    ///
    /// # Errors
    ///
    /// [`Ended`] if the client has ended.
    ///
    /// ```no_run
    /// # async fn example(socket: socketio_proto_tokio_client::Socket) -> Result<(), Box<dyn std::error::Error>> {
    /// socket.disconnect().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn disconnect(&self) -> Result<bool, Ended> {
        let namespace = self.namespace.clone();
        self.client.with(move |client, now| client.disconnect(now, &namespace)).await
    }

    /// Emits an event. While the namespace is not joined, the event is buffered.
    ///
    /// # Errors
    ///
    /// [`EmitError`] if the event is invalid, if the client does not take it, for example because a
    /// buffer is full, or if the client has ended.
    ///
    /// ```no_run
    /// # async fn example(socket: socketio_proto_tokio_client::Socket) -> Result<(), Box<dyn std::error::Error>> {
    /// socket.emit("chat message", &("hello", 7)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn emit<T: Serialize + ?Sized>(&self, name: &str, args: &T) -> Result<(), EmitError> {
        let (event, namespace) = (Event::new(name, args)?, self.namespace.clone());
        let emitted = self.client.with(move |client, now| client.emit(now, &namespace, &event));
        Ok(emitted.await??)
    }

    /// Sends an event at once, or drops it. Returns whether it was sent.
    ///
    /// # Errors
    ///
    /// [`EmitError`] if the event is invalid, or if the client has ended.
    ///
    /// ```no_run
    /// # async fn example(socket: socketio_proto_tokio_client::Socket) -> Result<(), Box<dyn std::error::Error>> {
    /// let is_sent = socket.emit_volatile("typing", &()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn emit_volatile<T: Serialize + ?Sized>(
        &self,
        name: &str,
        args: &T,
    ) -> Result<bool, EmitError> {
        let (event, namespace) = (Event::new(name, args)?, self.namespace.clone());
        let emitted =
            self.client.with(move |client, now| client.emit_volatile(now, &namespace, &event));
        Ok(emitted.await?)
    }

    /// Emits an event and waits for the acknowledgement, for `timeout` at most.
    ///
    /// # Errors
    ///
    /// [`AckError`] if the event was not emitted, or if there is no answer.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # async fn example(socket: socketio_proto_tokio_client::Socket) -> Result<(), Box<dyn std::error::Error>> {
    /// let answer = socket.emit_with_ack("sum", &(1, 2), Duration::from_secs(5)).await?;
    /// let sum: u32 = answer.get(0)?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn emit_with_ack<T: Serialize + ?Sized>(
        &self,
        name: &str,
        args: &T,
        timeout: Duration,
    ) -> Result<Args, AckError> {
        let event = Event::new(name, args).map_err(EmitError::from)?;
        let namespace = self.namespace.clone();
        self.await_ack(move |client, now| client.emit_with_ack(now, &namespace, &event, timeout))
            .await
    }

    /// Emits an event until it is acknowledged, and waits for that: at least once, or exactly once with
    /// a server that counts events. See
    /// [`client::Client::emit_with_retries`].
    ///
    /// # Errors
    ///
    /// [`AckError`] if the event was not emitted, or if it was given up.
    ///
    /// ```no_run
    /// # async fn example(socket: socketio_proto_tokio_client::Socket) -> Result<(), Box<dyn std::error::Error>> {
    /// let answer = socket.emit_with_retries("order", &("unique id", 3)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn emit_with_retries<T: Serialize + ?Sized>(
        &self,
        name: &str,
        args: &T,
    ) -> Result<Args, AckError> {
        let event = Event::new(name, args).map_err(EmitError::from)?;
        let namespace = self.namespace.clone();
        self.await_ack(move |client, now| client.emit_with_retries(now, &namespace, &event)).await
    }

    /// Returns the session, if the namespace is joined. [`Session`] has an example.
    ///
    /// # Errors
    ///
    /// [`Ended`] if the client has ended.
    pub async fn session(&self) -> Result<Option<Session>, Ended> {
        let namespace = self.namespace.clone();
        let session = self.client.with(move |client, _| {
            let id = client.socket_id(&namespace)?.to_owned();
            Some(Session { id, recovered: client.is_recovered(&namespace) })
        });
        session.await
    }

    async fn await_ack(
        &self,
        emit: impl FnOnce(&mut client::Client, Timestamp) -> Result<AckId, ClientEmitError>
        + Send
        + 'static,
    ) -> Result<Args, AckError> {
        let (call, answered) = oneshot::channel();
        let (refuse, refused) = oneshot::channel();
        let command = move |actor: &mut Actor| match actor.driver.client(emit) {
            Ok(ack) => actor.calls.wait_for_ack(ack, call),
            Err(error) => drop(refuse.send(error)),
        };
        self.client.command(command).await?;
        match answered.await {
            Ok(acked) => acked,
            Err(_) => match refused.await {
                Ok(error) => Err(EmitError::from(error).into()),
                Err(_) => Err(Ended.into()),
            },
        }
    }
}
