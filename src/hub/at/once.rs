//! Handling each event of a client only once.

use super::At;
use crate::{
    hub::{AckToken, Once, OnceError},
    id::SocketKey,
    stats::increment,
};

impl<D: Default> At<'_, D> {
    /// Decides whether an event is new or a repetition. The official client with `retries` emits an
    /// event again until it is acknowledged. Its application must add an offset to each event: any
    /// text of 1 to 255 bytes that is unique within the session.
    ///
    /// If the event is new, the token is returned: handle the event, and acknowledge it as usual.
    /// If the event was accepted before, the library acknowledges it, with the same answer, as soon
    /// as there is one. If the application never acknowledges the event, its repetitions are not
    /// acknowledged either. If the application cannot handle the event, [withdraw](Self::withdraw)
    /// it.
    ///
    /// A session remembers its latest [`client_offsets`](crate::Limits::client_offsets) offsets,
    /// also while it is parked and when it moves to another connection. An event counts as new if
    /// it is repeated after more other events than that, or in a new session.
    ///
    /// A client of this crate needs no offsets if the server
    /// [counts events](crate::RecoveryConfig::count_events): then its events arrive once.
    ///
    /// ```
    /// use socketio_proto::hub::{AckToken, Once};
    /// use socketio_proto::server::Server;
    /// use socketio_proto::socket::{Args, Event};
    /// use socketio_proto::{SocketKey, Timestamp};
    ///
    /// // socket.emit("chat message", "hello", "a5-17", callback)
    /// fn handle(
    ///     server: &mut Server,
    ///     now: Timestamp,
    ///     socket: SocketKey,
    ///     event: &Event,
    ///     ack: Option<AckToken>,
    /// ) -> Result<(), Box<dyn std::error::Error>> {
    ///     let (text, offset): (String, String) = event.parse()?;
    ///     if let Once::Fresh(ack) = server.at(now).accept_once(socket, &offset, ack)? {
    ///         // Store the message only here.
    ///         if let Some(token) = ack {
    ///             server.at(now).ack(token, &Args::new(&(text.len(),))?);
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`OnceError`] if the session has ended, or if the offset is empty or too long.
    pub fn accept_once(
        &mut self,
        socket: SocketKey,
        offset: &str,
        token: Option<AckToken>,
    ) -> Result<Once, OnceError> {
        let now = self.now;
        let once = self
            .hub
            .with_namespace(socket.namespace, |namespace, out| {
                namespace.accept_once(now, out, socket, offset, token)
            })
            .unwrap_or(Err(OnceError::UnknownSocket));
        if matches!(once, Ok(Once::Duplicate)) {
            increment(&mut self.hub.totals.duplicates);
        }
        self.carry();
        // One that is being handled is not written ahead: another node handles it again.
        let is_settled = matches!(once, Ok(Once::Fresh(None)));
        if is_settled || !self.hub.is_ahead(socket) {
            self.note_changed(socket);
        }
        once
    }

    /// Withdraws an accepted event instead of acknowledging it, because it could not be handled. If
    /// the client sends the event again, it counts as new.
    ///
    /// Use this for events that were accepted with [`accept_once`](Self::accept_once), and for
    /// events of clients that count them ([`count_events`](crate::RecoveryConfig::count_events)).
    /// Nothing is sent.
    ///
    /// * A client that emits with retries gets no acknowledgement. It tries again after its
    ///   `ackTimeout`, or as soon as it is back if its session is parked.
    /// * A client that counts its events asks at that time which events arrived, and sends the
    ///   event once more.
    /// * A client that emitted the event without retries does not send it again: its
    ///   acknowledgement times out.
    ///
    /// Returns false if there is nothing to withdraw: the event was never accepted, its offset is
    /// no longer remembered, or the session has ended.
    ///
    /// ```
    /// use socketio_proto::hub::{AckToken, Once};
    /// use socketio_proto::server::Server;
    /// use socketio_proto::socket::Args;
    /// use socketio_proto::{SocketKey, Timestamp};
    ///
    /// fn handle(
    ///     server: &mut Server,
    ///     now: Timestamp,
    ///     (socket, offset): (SocketKey, &str),
    ///     ack: Option<AckToken>,
    ///     store: impl FnOnce() -> bool,
    /// ) {
    ///     if let Ok(Once::Fresh(Some(token))) = server.at(now).accept_once(socket, offset, ack) {
    ///         if store() {
    ///             server.at(now).ack(token, &Args::empty());
    ///         } else {
    ///             server.at(now).withdraw(token);
    ///         }
    ///     }
    /// }
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "what was withdrawn is not acknowledged")]
    pub fn withdraw(&mut self, token: AckToken) -> bool {
        let namespace = self.hub.namespaces.get_mut(&token.socket.key.namespace);
        let is_withdrawn = namespace.is_some_and(|namespace| namespace.withdraw(self.now, &token));
        self.note_changed(token.socket.key);
        is_withdrawn
    }
}
