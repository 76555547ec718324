//! Planned restarts.

use alloc::vec::Vec;

use super::Server;
use crate::{
    hub::{RestoreError, Snapshot},
    id::SocketKey,
    time::Timestamp,
};

impl<D: Clone> Server<D> {
    /// Takes a snapshot of everything that recovery needs, for a process that takes over after
    /// this one has ended: clients then recover as if there had been no restart.
    ///
    /// To end a process, close its connections with [`shutdown`](Self::shutdown), take all output
    /// and handle its events, and take the snapshot last. Whatever happens in this process
    /// afterwards is not known to the next one.
    ///
    /// * Each session is in it with its ids, data, rooms now and before, and with what it remembers
    ///   of its client's events. Connected ones count as disconnected at this moment.
    /// * Each log is in it, with the packets that it holds and with what it knows of those that it
    ///   does not hold any more.
    /// * Connections end with their process, and so do the [`ConnectionId`](crate::ConnectionId)s,
    ///   [`SocketKey`]s and [`AckToken`](crate::hub::AckToken)s that the application may hold.
    /// * Acknowledgements that the application waits for end with the process as well: nobody would
    ///   know what to do with the answers. An event that asks for one is not replayed after the
    ///   restart, even with [`replay_ack_events`](crate::RecoveryConfig::replay_ack_events).
    /// * An event that was [accepted once](Self::accept_once) counts as handled, whether or not it
    ///   was acknowledged; if it was not, it will not be. So acknowledge first.
    ///
    /// Takes O(n log n) in the sessions, rooms and packets that are held, and shares the packets' bytes
    /// with the server.
    #[must_use]
    pub fn snapshot(&self, now: Timestamp) -> Snapshot<D> {
        self.hub.snapshot(self.now.max(now))
    }
}

impl<D: Default> Server<D> {
    /// Takes over the sessions of an earlier process. Returns those that now wait for their
    /// clients, in no particular order; [`data`](Self::data) and [`rooms`](Self::rooms) say what
    /// they are.
    ///
    /// Add the namespaces first. The configuration may be another one than that of the earlier
    /// process: what it does not allow goes as it does elsewhere. Packets that are too old or too
    /// many are evicted from the log, sessions that have expired or are too many, and those of
    /// namespaces that are not served any more, end with
    /// [`Event::SessionExpired`](super::Event::SessionExpired).
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
    /// let mut server = Server::<String>::new(config.clone(), entropy)?;
    /// server.add_namespace("/")?;
    /// // … and at the end of the process:
    /// let now = Timestamp::from_millis(1_000);
    /// server.shutdown(now);
    /// while let Some(_output) = server.poll_output() {}
    /// let text = serde_json::to_string(&server.snapshot(now))?;
    ///
    /// // The next process.
    /// let mut server = Server::<String>::new(config, entropy)?;
    /// server.add_namespace("/")?;
    /// let snapshot: Snapshot<String> = serde_json::from_str(&text)?;
    /// let waiting = server.restore(Timestamp::from_millis(1_500), snapshot)?;
    /// assert_eq!(waiting, []);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`RestoreError`] if a client has connected already, or if the snapshot is damaged. Then
    /// nothing has changed, and the server works without it.
    pub fn restore(
        &mut self,
        now: Timestamp,
        snapshot: Snapshot<D>,
    ) -> Result<Vec<SocketKey>, RestoreError> {
        let now = self.advance(now);
        let restored = self.hub.restore(now, snapshot);
        self.exchange(now);
        restored
    }
}
