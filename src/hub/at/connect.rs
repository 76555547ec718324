//! Adding namespaces, accepting and rejecting clients, and planned restarts.

use alloc::vec::Vec;

use super::At;
use crate::{
    hub::{ConnectRequest, NamespaceError, Rejection, RestoreError, Snapshot},
    id::SocketKey,
    recovery::RecoveryRefusal,
};

impl<D: Default> At<'_, D> {
    /// Asks to be told when the store of the cluster has the sessions of this node:
    /// [`ServerEvent::HandedOver`](crate::hub::ServerEvent::HandedOver). Returns false if the server is
    /// alone.
    ///
    /// To end one node of a cluster, close its connections with
    /// [`shutdown`](crate::server::Server::shutdown), call this, and carry out all output until the event
    /// comes. Then every client finds its session at the other nodes, with everything that it missed. A
    /// session that is on its way here is waited for, for
    /// [`lookup_timeout`](crate::RecoveryConfig::lookup_timeout) at most. If the engine is away, the event
    /// comes when it is back. So wait only for as long as you like.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::server::Server;
    ///
    /// fn begin_to_end(server: &mut Server, now: Timestamp) -> bool {
    ///     server.shutdown(now);
    ///     server.at(now).hand_over()
    /// }
    /// # let mut server = Server::new(Default::default(), |dest: &mut [u8]| dest.fill(7)).unwrap();
    /// assert!(!begin_to_end(&mut server, Timestamp::ZERO), "nobody to hand sessions over to");
    /// ```
    pub fn hand_over(&mut self) -> bool {
        self.hub.begin_handover()
    }

    /// Adds a namespace that clients can ask to join. Adding it again has no effect.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::server::Server;
    ///
    /// # let mut server = Server::<()>::new(Default::default(), |dest: &mut [u8]| dest.fill(7))?;
    /// server.at(Timestamp::ZERO).add_namespace("/")?;
    /// assert!(server.at(Timestamp::ZERO).add_namespace("a,b").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NamespaceError`] if the name is not valid, or if there are too many namespaces.
    pub fn add_namespace(&mut self, name: &str) -> Result<(), NamespaceError> {
        self.hub.add_namespace(name)
    }

    /// Lets clients ask to join every namespace whose name satisfies `predicate`.
    ///
    /// Such a namespace is created when the first client asks for it. It is removed when it has no
    /// sessions left, connected or parked. All other names are answered with `Invalid namespace`. A
    /// name that contains U+001E is never served, because HTTP long-polling cannot carry it.
    ///
    /// In a cluster, all nodes accept the same names. The clients of such a namespace may all be at other
    /// nodes, so this node can always emit there, though not ask. It also keeps what others emit there, within
    /// [`vacant_namespaces`](crate::cluster::ClusterConfig#structfield.vacant_namespaces).
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::server::Server;
    ///
    /// # let mut server = Server::<()>::new(Default::default(), |dest: &mut [u8]| dest.fill(7))?;
    /// server.at(Timestamp::ZERO).add_namespaces_matching(|name| name.starts_with("/tenant-"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_namespaces_matching(&mut self, predicate: impl Fn(&str) -> bool + Send + 'static) {
        self.hub.add_namespaces_matching(predicate);
    }

    /// Accepts a client: with its earlier session if that can be recovered, otherwise with a new
    /// session. [`ServerEvent::Connected`](crate::hub::ServerEvent::Connected) says which. Returns `None` if
    /// the client is already gone.
    ///
    /// A recovery is one step: the connection of the old link is closed if it is still open, and
    /// the session moves to the new link. The new link gets CONNECT, the missed packets and then
    /// the live packets, in this order.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::hub::Rejection;
    /// use socketio_proto::server::{Server, ServerEvent};
    ///
    /// fn handle(server: &mut Server, now: Timestamp, event: ServerEvent<()>) {
    ///     if let ServerEvent::ConnectRequested { request, auth, .. } = event {
    ///         if auth.as_str().contains("\"token\":\"secret\"") {
    ///             server.at(now).accept(request);
    ///         } else {
    ///             server.at(now).reject(request, &Rejection::new("not authorized"));
    ///         }
    ///     }
    /// }
    /// ```
    pub fn accept(&mut self, request: ConnectRequest) -> Option<SocketKey> {
        let socket = self.hub.accept(self.now, request);
        self.carry();
        socket
    }

    /// Rejects a client with CONNECT_ERROR. Its connection stays open. A session that it could have
    /// recovered stays parked. A session that it already has in the namespace ends. Returns false
    /// if the client is already gone. A rejection of more than
    /// [`outgoing_bytes`](crate::Limits::outgoing_bytes) is sent without its data and with the
    /// message `Rejected`.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::hub::{ConnectRequest, Rejection};
    /// use socketio_proto::server::Server;
    /// use socketio_proto::socket::EncodeError;
    ///
    /// fn turn_away(
    ///     server: &mut Server,
    ///     now: Timestamp,
    ///     request: ConnectRequest,
    /// ) -> Result<(), EncodeError> {
    ///     // The client gets them as `err.message` and `err.data`.
    ///     let rejection = Rejection::new("try later").data(&"maintenance")?;
    ///     server.at(now).reject(request, &rejection);
    ///     Ok(())
    /// }
    /// ```
    pub fn reject(&mut self, request: ConnectRequest, rejection: &Rejection) -> bool {
        let is_answered = self.hub.reject(self.now, request, rejection);
        self.carry();
        is_answered
    }

    /// Ends the lookup of a session that was asked for with
    /// [`ServerEvent::LookupRequested`](crate::hub::ServerEvent::LookupRequested). Returns false if
    /// the client no longer waits for it: it is gone, or has sent a new CONNECT, or the lookup has
    /// timed out, or the request was accepted or rejected meanwhile.
    ///
    /// The session is looked up here once more. If it is here now, for example because a snapshot
    /// was [restored](Self::restore) meanwhile, the claim continues as if the session had been here
    /// when it arrived: it may queue, and the application may be asked. Otherwise the claim is
    /// refused with the reason `otherwise`.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::recovery::RecoveryRefusal;
    /// use socketio_proto::server::{Server, ServerEvent};
    ///
    /// fn handle(server: &mut Server, now: Timestamp, event: ServerEvent<()>) {
    ///     if let ServerEvent::LookupRequested { request, .. } = event {
    ///         // Nobody else has it.
    ///         server.at(now).end_lookup(request, RecoveryRefusal::Unknown);
    ///     }
    /// }
    /// ```
    pub fn end_lookup(&mut self, request: ConnectRequest, otherwise: RecoveryRefusal) -> bool {
        let is_waiting = self.hub.end_lookup(self.now, request, otherwise);
        self.carry();
        is_waiting
    }

    /// Restores the sessions of an earlier process. Returns the sessions that now wait for their
    /// clients, in no particular order. Read them with [`data`](crate::hub::Hub::data) and
    /// [`rooms`](crate::hub::Hub::rooms).
    ///
    /// Add the namespaces first. The configuration can differ from the one of the earlier process,
    /// and its limits apply as usual. Packets that are too old or too many are evicted from the
    /// log. Sessions end with [`ServerEvent::SessionExpired`](crate::hub::ServerEvent::SessionExpired) if they
    /// have expired, if there are too many, or if their namespace is not served any more.
    ///
    /// The time of the restart counts: a session expires
    /// [`max_disconnection`](crate::RecoveryConfig::max_disconnection) after its link was lost. For
    /// a session that was connected, this is the time of the snapshot. So the timestamps of both
    /// processes must have the same origin. If `now` is earlier than the time of the snapshot, that
    /// time is used.
    ///
    /// **Restore a snapshot only once**, and only the last snapshot of a process that has done
    /// nothing after it. Delete the snapshot before the first client connects. Events that are
    /// emitted after a snapshot are not in it. A client that has received such an event is refused,
    /// because it presents an [`Offset`](crate::recovery::Offset) that the snapshot does not
    /// contain. But a client that has *not* received it would be recovered without it.
    ///
    /// ```
    /// use socketio_proto::hub::Snapshot;
    /// use socketio_proto::server::Server;
    /// use socketio_proto::{RecoveryConfig, ServerConfig, Timestamp};
    ///
    /// # fn entropy(dest: &mut [u8]) { dest.fill(7) }
    /// let config = ServerConfig::new().recovery(RecoveryConfig::default());
    /// let now = Timestamp::from_millis(1_000);
    /// let mut server = Server::<String>::new(config.clone(), entropy)?;
    /// server.at(now).add_namespace("/")?;
    /// // … and at the end of the process:
    /// server.shutdown(now);
    /// while let Some(_output) = server.poll_output() {}
    /// let text = serde_json::to_string(&server.snapshot(now))?;
    ///
    /// // The next process.
    /// let mut server = Server::<String>::new(config, entropy)?;
    /// server.at(now).add_namespace("/")?;
    /// let snapshot: Snapshot<String> = serde_json::from_str(&text)?;
    /// let waiting = server.at(Timestamp::from_millis(1_500)).restore(snapshot)?;
    /// assert_eq!(waiting, []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RestoreError`] if a client has already connected, or if the snapshot is damaged. Then
    /// nothing has changed, and the server works without the snapshot.
    pub fn restore(&mut self, snapshot: Snapshot<D>) -> Result<Vec<SocketKey>, RestoreError> {
        let restored = self.hub.restore(self.now, snapshot);
        self.carry();
        restored
    }
}
