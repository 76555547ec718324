//! Emitting events to sockets and audiences, and acknowledging those of clients.

use core::time::Duration;

use super::{
    Hub,
    audience::Audience,
    error::{EmitError, OnceError},
    message::{AckToken, Once},
};
use crate::{
    id::{AckId, SocketKey},
    socket::{self, Args},
    stats::increment,
    time::Timestamp,
};

impl<D: Default> Hub<D> {
    /// Emits an event to one socket. With recovery on, a parked one gets it when it comes back.
    ///
    /// # Errors
    ///
    /// [`EmitError::NotConnected`] if the session has ended, or is parked while recovery cannot
    /// replay the event.
    pub fn emit(
        &mut self,
        now: Timestamp,
        socket: SocketKey,
        event: &socket::Event,
    ) -> Result<(), EmitError> {
        let now = self.advance(now);
        self.with_namespace(socket.namespace, |namespace, out| {
            namespace.emit(now, out, socket, event, false)
        })
        .unwrap_or(Err(EmitError::NotConnected))
    }

    /// Emits an event to one socket if it can take it at this moment; it is not replayed.
    ///
    /// # Errors
    ///
    /// [`EmitError::NotConnected`] if the socket is not connected.
    pub fn emit_volatile(
        &mut self,
        now: Timestamp,
        socket: SocketKey,
        event: &socket::Event,
    ) -> Result<(), EmitError> {
        let now = self.advance(now);
        self.with_namespace(socket.namespace, |namespace, out| {
            namespace.emit(now, out, socket, event, true)
        })
        .unwrap_or(Err(EmitError::NotConnected))
    }

    /// Emits an event to one socket and asks for an acknowledgement, which settles with
    /// [`Event::Acked`](super::Event::Acked) or [`Event::AckFailed`](super::Event::AckFailed) at the latest after `timeout`.
    ///
    /// It is replayed only with
    /// [`replay_ack_events`](crate::RecoveryConfig::replay_ack_events).
    ///
    /// # Errors
    ///
    /// [`EmitError::NotConnected`] as for [`Hub::emit`], [`EmitError::TooManyAcks`] at the limit.
    pub fn emit_with_ack(
        &mut self,
        now: Timestamp,
        socket: SocketKey,
        event: &socket::Event,
        timeout: Duration,
    ) -> Result<AckId, EmitError> {
        let now = self.advance(now);
        let emitted = self
            .with_namespace(socket.namespace, |namespace, out| {
                namespace.emit_with_ack(now, out, socket, event, timeout)
            })
            .unwrap_or(Err(EmitError::NotConnected));
        self.count_ack_limit(emitted)
    }

    /// Answers an event that a client asked an acknowledgement for. Returns false if the client
    /// has gone, or has come back on another link since; where the answer is kept for the client
    /// to ask again, only if the session has ended.
    pub fn ack(&mut self, now: Timestamp, token: AckToken, args: &Args) -> bool {
        self.advance(now);
        self.with_namespace(token.socket.key.namespace, |namespace, out| {
            namespace.acknowledge(out, token, args)
        })
        .unwrap_or(false)
    }

    /// Decides whether an event that carries an offset of the client's is new; see
    /// [`Server::accept_once`](crate::server::Server::accept_once).
    ///
    /// # Errors
    ///
    /// [`OnceError`] if the session has ended, or if the offset is empty or longer than 255 bytes.
    pub fn accept_once(
        &mut self,
        now: Timestamp,
        socket: SocketKey,
        offset: &str,
        token: Option<AckToken>,
    ) -> Result<Once, OnceError> {
        self.advance(now);
        let once = self
            .with_namespace(socket.namespace, |namespace, out| {
                namespace.accept_once(out, socket, offset, token)
            })
            .unwrap_or(Err(OnceError::UnknownSocket));
        if matches!(once, Ok(Once::Duplicate)) {
            increment(&mut self.totals.duplicates);
        }
        once
    }

    /// Takes back that an event was accepted, since it could not be handled; see
    /// [`Server::withdraw`](crate::server::Server::withdraw). Returns false if it was not accepted,
    /// or is not known any more.
    #[expect(clippy::needless_pass_by_value, reason = "what was withdrawn is not acknowledged")]
    pub fn withdraw(&mut self, token: AckToken) -> bool {
        let namespace = self.namespaces.get_mut(&token.socket.key.namespace);
        namespace.is_some_and(|namespace| namespace.withdraw(&token))
    }

    /// Emits an event to an audience. Returns the number of connected sockets that it goes to; it
    /// is encoded once, and sessions that are parked get it when they come back.
    ///
    /// Takes O(sockets in the rooms named).
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace.
    pub fn broadcast(
        &mut self,
        now: Timestamp,
        namespace: &str,
        audience: &Audience,
        event: &socket::Event,
    ) -> Result<usize, EmitError> {
        let now = self.advance(now);
        let id = self.find_namespace(namespace).ok_or(EmitError::UnknownNamespace)?;
        self.with_namespace(id, |namespace, out| namespace.broadcast(now, out, audience, event))
            .ok_or(EmitError::UnknownNamespace)
    }

    /// Emits an event to an audience and collects the acknowledgements of the sockets connected,
    /// reported as one [`Event::BroadcastAcked`](super::Event::BroadcastAcked) when all have answered or gone, at the latest
    /// after `timeout`. It is not replayed.
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace, [`EmitError::TooManyAcks`]
    /// at the limit.
    pub fn broadcast_with_ack(
        &mut self,
        now: Timestamp,
        namespace: &str,
        audience: &Audience,
        event: &socket::Event,
        timeout: Duration,
    ) -> Result<AckId, EmitError> {
        let now = self.advance(now);
        let id = self.find_namespace(namespace).ok_or(EmitError::UnknownNamespace)?;
        let emitted = self
            .with_namespace(id, |namespace, out| {
                namespace.broadcast_with_ack(now, out, audience, event, timeout)
            })
            .unwrap_or(Err(EmitError::UnknownNamespace));
        self.count_ack_limit(emitted)
    }

    fn count_ack_limit(&mut self, emitted: Result<AckId, EmitError>) -> Result<AckId, EmitError> {
        if let Err(EmitError::TooManyAcks { .. }) = emitted {
            increment(&mut self.totals.acks_refused);
        }
        emitted
    }
}
