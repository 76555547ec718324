//! The verbs that join and leave namespaces, and what the application can ask. Names of namespaces
//! begin with a slash.

use alloc::collections::BTreeMap;

use super::{Auth, AuthRequest, Client, JoinError, demand::Demand, socket::Socket};
use crate::{
    engine::{ClientConnection, Transport},
    socket::{Json, NamespaceName},
    time::Timestamp,
};

impl Client {
    /// Joins a namespace now and on every later connection. Opens a connection if there is none and no
    /// attempt is planned. Returns the name of the namespace as events carry it.
    ///
    /// If the namespace is already active, only `auth` changes, for the next CONNECT.
    ///
    /// # Errors
    ///
    /// [`JoinError`] if the name or the credentials are invalid, or at a limit.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// # let now = Timestamp::ZERO;
    /// client.connect(now, "/", Auth::None)?;
    /// client.connect(now, "/admin", Auth::Ask)?;
    /// assert!(client.is_active("/admin") && !client.is_connected("/admin"));
    /// assert!(client.connect(now, "a,b", Auth::None).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(
        &mut self,
        now: Timestamp,
        namespace: &str,
        auth: Auth,
    ) -> Result<NamespaceName, JoinError> {
        self.advance(now);
        if let Auth::Value(auth) = &auth {
            check_auth(auth)?;
        }
        let name = NamespaceName::new(namespace).map_err(|_| JoinError::InvalidName)?;
        let socket = self.socket_entry(&name)?;
        socket.auth = auth;
        socket.demand = Demand::Active;
        if self.cx.is_open() {
            if let Some(socket) = self.sockets.get_mut(&name) {
                socket.join(&mut self.cx);
            }
            self.close_if_unused();
        } else if self.cx.state.attempt_at() == Timestamp::NEVER {
            self.open();
        }
        Ok(name)
    }

    /// Answers [`ClientEvent::AuthRequested`](super::ClientEvent::AuthRequested). Returns false if the connection was
    /// lost in the meantime. Then there will be another request.
    ///
    /// # Errors
    ///
    /// [`JoinError::AuthNotAnObject`] if `auth` is not an object. The request can still be answered.
    ///
    /// ```
    /// # use socketio_proto::{Timestamp, client::{Client, ClientEvent}, socket::Json};
    /// fn handle_event(client: &mut Client, now: Timestamp, event: ClientEvent) {
    ///     if let ClientEvent::AuthRequested { request, .. } = event {
    ///         let auth = Json::from_text(r#"{"token":"new"}"#).expect("valid JSON");
    ///         client.provide_auth(now, request, &auth).expect("an object");
    ///     }
    /// }
    /// ```
    pub fn provide_auth(
        &mut self,
        now: Timestamp,
        request: AuthRequest,
        auth: &Json,
    ) -> Result<bool, JoinError> {
        self.advance(now);
        check_auth(auth)?;
        let socket = self.sockets.values_mut().find(|socket| socket.slot == request.slot);
        let is_awaited =
            socket.is_some_and(|socket| socket.provide_auth(&mut self.cx, request.serial, auth));
        self.close_if_unused();
        Ok(is_awaited)
    }

    /// Leaves a namespace, or stops trying to join it. This ends its session and keeps its buffered
    /// events. When no namespace is active any more, the connection is closed. Returns false if the
    /// namespace was not active.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// # let now = Timestamp::ZERO;
    /// client.connect(now, "/", Auth::None)?;
    /// assert!(client.disconnect(now, "/"));
    /// assert!(!client.is_active("/"));
    /// assert!(!client.disconnect(now, "/"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn disconnect(&mut self, now: Timestamp, namespace: &str) -> bool {
        self.advance(now);
        let socket = find(&mut self.sockets, namespace);
        let Some(socket) = socket.filter(|socket| socket.is_active()) else {
            return false;
        };
        socket.disconnect(&mut self.cx);
        self.close_if_unused();
        true
    }

    /// Leaves a namespace as [`disconnect`](Self::disconnect) does, and removes it. Its buffered events
    /// are dropped, and its pending acknowledgements fail as withdrawn. It no longer counts against
    /// [`ClientLimits::namespaces`](super::ClientLimits::namespaces); if its CONNECT is not answered,
    /// this holds from the answer on. Returns false if there is no such namespace.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// # let now = Timestamp::ZERO;
    /// client.connect(now, "/", Auth::None)?;
    /// client.emit(now, "/", &Event::new("hello", &())?)?;
    /// assert!(client.forget(now, "/"));
    /// assert_eq!(client.buffered("/").count(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forget(&mut self, now: Timestamp, namespace: &str) -> bool {
        self.advance(now);
        let Some(socket) = find(&mut self.sockets, namespace) else {
            return false;
        };
        socket.forget(&mut self.cx);
        self.close_if_unused();
        self.drop_forgotten();
        true
    }

    /// Closes the connection without leaving its namespaces, and stops reconnecting. To the server this
    /// is a lost connection, so it keeps the sessions: for [`connect`](Self::connect) or, with a
    /// [`snapshot`](Self::snapshot), for the next process.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// # let now = Timestamp::ZERO;
    /// client.connect(now, "/", Auth::None)?;
    /// client.emit(now, "/", &Event::new("hello", &())?)?;
    /// client.close(now);
    /// let stored = serde_json::to_string(&client.snapshot())?;
    /// assert!(stored.contains("hello"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&mut self, now: Timestamp) {
        self.advance(now);
        for socket in self.sockets.values_mut() {
            socket.demand.deactivate();
        }
        self.close_if_unused();
        let reason = super::ClientDisconnectReason::ForcedClose;
        for socket in self.sockets.values_mut() {
            // The connection may still be sending what is queued.
            socket.handle_closed(&mut self.cx, reason);
        }
    }

    /// Makes the next attempt at once, for example because the network is available again. Returns false
    /// if there is a connection or no active namespace.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// # let now = Timestamp::ZERO;
    /// assert!(!client.reconnect(now), "nothing to connect for");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reconnect(&mut self, now: Timestamp) -> bool {
        self.advance(now);
        if self.cx.state.connection().is_some() || !self.is_needed() {
            return false;
        }
        self.open();
        true
    }

    /// Returns whether a namespace is joined.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// # let now = Timestamp::ZERO;
    /// client.connect(now, "/", Auth::None)?;
    /// assert!(!client.is_connected("/"), "the server has not answered");
    /// assert!(client.is_active("/"));
    /// assert!(!client.is_recovered("/") && !client.is_recoverable("/"));
    /// assert_eq!((client.socket_id("/"), client.transport()), (None, None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_connected(&self, namespace: &str) -> bool {
        self.sockets.get(namespace).is_some_and(Socket::is_connected)
    }

    /// Returns whether a namespace is joined now or will be joined on the next connection.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let now = Timestamp::ZERO;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// client.connect(now, "/", Auth::None)?;
    /// assert!(client.is_active("/"));
    /// client.disconnect(now, "/");
    /// assert!(!client.is_active("/"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_active(&self, namespace: &str) -> bool {
        self.sockets.get(namespace).is_some_and(Socket::is_active)
    }

    /// Returns whether a namespace is joined in a session that was recovered.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let now = Timestamp::ZERO;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// client.connect(now, "/", Auth::None)?;
    /// assert!(!client.is_recovered("/"), "it is not joined yet");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_recovered(&self, namespace: &str) -> bool {
        self.sockets.get(namespace).is_some_and(|socket| socket.state.is_recovered())
    }

    /// Returns whether a namespace has a session that the server may recover.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let now = Timestamp::ZERO;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// client.connect(now, "/", Auth::None)?;
    /// assert!(!client.is_recoverable("/"), "there is no session yet");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_recoverable(&self, namespace: &str) -> bool {
        self.sockets.get(namespace).is_some_and(|socket| socket.session.is_recoverable())
    }

    /// Returns the public id, if the namespace is joined.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let now = Timestamp::ZERO;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// client.connect(now, "/", Auth::None)?;
    /// assert_eq!(client.socket_id("/"), None, "it is not joined yet");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn socket_id(&self, namespace: &str) -> Option<&str> {
        self.sockets.get(namespace)?.state.id().map(|id| &**id)
    }

    /// Returns the transport of the connection, if it is open.
    ///
    /// ```
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::{Auth, Client, ClientConfig};
    /// # use socketio_proto::socket::Event;
    /// # let now = Timestamp::ZERO;
    /// # let mut client = Client::new(ClientConfig::new(), |dest: &mut [u8]| dest.fill(7))?;
    /// client.connect(now, "/", Auth::None)?;
    /// assert_eq!(client.transport(), None, "the handshake has only begun");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn transport(&self) -> Option<Transport> {
        let connection = self.cx.state.connection().filter(|connection| connection.is_open());
        connection.map(ClientConnection::transport)
    }

    /// Returns how many bytes a response or a frame may have:
    /// [`ClientLimits::max_payload`](super::ClientLimits::max_payload). A driver does not need to read
    /// more ([`ClientInput::TooLarge`](crate::engine::ClientInput::TooLarge)).
    ///
    /// ```
    /// use socketio_proto::client::{Client, ClientConfig, ClientLimits};
    ///
    /// let config = ClientConfig::new().limits(ClientLimits::new().max_payload(1_000));
    /// let client = Client::new(config, |dest: &mut [u8]| dest.fill(7))?;
    /// assert_eq!(client.max_payload(), 1_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_payload(&self) -> usize {
        self.cx.config.limits.max_payload
    }

    /// Removes forgotten namespaces for which no answer is expected.
    pub(super) fn drop_forgotten(&mut self) {
        self.sockets.retain(|_, socket| {
            let is_over = socket.is_over();
            if is_over {
                // The server may still answer events that were emitted there.
                self.first_ack = self.first_ack.max(socket.next_ack);
            }
            !is_over
        });
    }

    fn socket_entry(&mut self, name: &NamespaceName) -> Result<&mut Socket, JoinError> {
        let limit = self.cx.config.limits.namespaces;
        let is_full = self.sockets.len() >= limit && !self.sockets.contains_key(name);
        if is_full {
            return Err(JoinError::TooMany { limit });
        }
        let Self { next_slot, first_ack, .. } = self;
        Ok(self.sockets.entry(name.clone()).or_insert_with(|| {
            let slot = *next_slot;
            *next_slot = next_slot.wrapping_add(1);
            let mut socket = Socket::new(name.clone(), slot);
            socket.next_ack = *first_ack;
            socket
        }))
    }
}

fn check_auth(auth: &Json) -> Result<(), JoinError> {
    if auth.as_str().starts_with('{') { Ok(()) } else { Err(JoinError::AuthNotAnObject) }
}

/// Finds a namespace, unless it is forgotten.
pub(super) fn find<'a>(
    sockets: &'a mut BTreeMap<NamespaceName, Socket>,
    namespace: &str,
) -> Option<&'a mut Socket> {
    sockets.get_mut(namespace).filter(|socket| socket.demand != Demand::Forgotten)
}
