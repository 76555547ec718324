//! Events of clients that are handled once.

use super::At;
use crate::{
    hub::{AckToken, Once, OnceError},
    id::SocketKey,
    stats::increment,
};

impl<D: Default> At<'_, D> {
    /// Decides whether an event is new that a client may emit again until it is acknowledged: the
    /// official client with `retries`, whose application gives each event an offset of its own,
    /// any text of 1 to 255 bytes that is unique within the session.
    ///
    /// The token is taken, and given back if the event is to be handled; acknowledge with it as
    /// usual. An event that was accepted before is acknowledged by the library, with the same
    /// answer, and as soon as there is one. An event that is not acknowledged when it is handled
    /// is not acknowledged when it comes again; one that could not be handled is to be
    /// [withdrawn](Self::withdraw).
    ///
    /// A session remembers [`client_offsets`](crate::Limits::client_offsets) offsets, also while
    /// it is parked and when it moves to another connection. An event that comes again after more
    /// others than that is taken for a new one, and so is one that comes again in a new session.
    ///
    /// A client of this crate needs no offsets: what it emits arrives once in any case.
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
    ///         // Only here the message is stored.
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
        once
    }

    /// Takes back that an event was accepted, in the place of acknowledging it: it could not be
    /// handled, and when the client sends it again it is a new one.
    ///
    /// This is for events that were accepted with [`accept_once`](Self::accept_once), and for those
    /// of a client that counts them
    /// ([`count_events`](crate::RecoveryConfig::count_events)). Nothing is sent: a client
    /// that emits with retries does not get an acknowledgement, and tries again after its
    /// `ackTimeout`, or as soon as it is back if its session is parked. One that counts its events
    /// asks at that moment, is told, and sends the event once more. An event that was emitted
    /// without retries is lost, as far as the client is concerned: its acknowledgement times out.
    ///
    /// Returns false if there is nothing to take back: the event was never accepted, its offset has
    /// left the window, or the session has ended.
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
        namespace.is_some_and(|namespace| namespace.withdraw(self.now, &token))
    }
}
