//! Namespaces, letting clients in, and planned restarts.

use alloc::vec::Vec;

use super::At;
use crate::{
    hub::{ConnectRequest, NamespaceError, Rejection, RestoreError, Snapshot},
    id::SocketKey,
};

impl<D: Default> At<'_, D> {
    /// Adds a namespace that clients may ask to join. Adding it again has no effect.
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
    /// [`NamespaceError`] if the name cannot be one, or if there are too many.
    pub fn add_namespace(&mut self, name: &str) -> Result<(), NamespaceError> {
        self.hub.add_namespace(name)
    }

    /// Lets clients ask to join every namespace whose name satisfies `predicate`.
    ///
    /// Such a namespace is made when the first client asks for it, and goes when no session,
    /// connected or parked, is left in it. All other names are answered with `Invalid namespace`.
    /// A name that contains U+001E is never served: HTTP long-polling cannot carry it.
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

    /// Lets a client in: with its former session if that can be recovered, with a new one
    /// otherwise; [`Event::Connected`](crate::hub::Event::Connected) says which. `None` if the client
    /// has gone meanwhile.
    ///
    /// In one step the former link's connection is closed if it was still open, the session moves,
    /// and CONNECT, the missed packets and everything live from now on stand in that order on the
    /// new link.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::hub::Rejection;
    /// use socketio_proto::server::{Event, Server};
    ///
    /// fn handle(server: &mut Server, now: Timestamp, event: Event<()>) {
    ///     if let Event::ConnectRequested { request, auth, .. } = event {
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

    /// Does not let a client in: it is answered with CONNECT_ERROR. Its connection stays open, and
    /// a session that it might have recovered stays parked; one that it has in the namespace is over.
    /// Returns false if the client has gone meanwhile. A rejection of more than
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
    ///     // The client finds them as `err.message` and `err.data`.
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

    /// Takes over the sessions of an earlier process. Returns those that now wait for their
    /// clients, in no particular order; [`data`](crate::hub::Hub::data) and [`rooms`](crate::hub::Hub::rooms) say what
    /// they are.
    ///
    /// Add the namespaces first. The configuration may be another one than that of the earlier
    /// process: what it does not allow goes as it does elsewhere. Packets that are too old or too
    /// many are evicted from the log, sessions that have expired or are too many, and those of
    /// namespaces that are not served any more, end with
    /// [`Event::SessionExpired`](crate::hub::Event::SessionExpired).
    ///
    /// The time of the restart counts: a session expires
    /// [`max_disconnection`](crate::RecoveryConfig::max_disconnection) after its link was lost,
    /// and that is when the snapshot was taken if it was connected then. This needs timestamps of
    /// one origin; a `now` before that of the snapshot counts as the moment when it was taken.
    ///
    /// **A snapshot is restored once**, and it is the last one of a process that has done nothing
    /// since. Delete it before the first client connects. A client that was told of events after
    /// the snapshot was taken is refused: it presents an [`Offset`](crate::recovery::Offset) that
    /// the snapshot does not know. But one that was *not* told of them would be recovered without
    /// them.
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
    /// [`RestoreError`] if a client has connected already, or if the snapshot is damaged. Then
    /// nothing has changed, and the server works without it.
    pub fn restore(&mut self, snapshot: Snapshot<D>) -> Result<Vec<SocketKey>, RestoreError> {
        let restored = self.hub.restore(self.now, snapshot);
        self.carry();
        restored
    }
}
