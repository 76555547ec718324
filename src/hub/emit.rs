//! Emitting events to sockets and audiences, and acknowledging those of clients.

use core::time::Duration;

use super::{
    Hub,
    audience::Audience,
    error::{AckError, EmitError, OnceError},
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
    /// replay the event; [`EmitError::TooManyAttachments`] or [`EmitError::TooLarge`] for what
    /// clients would refuse.
    pub fn emit(
        &mut self,
        now: Timestamp,
        socket: SocketKey,
        event: &socket::Event,
    ) -> Result<(), EmitError> {
        let now = self.advance(now);
        let emitted = self
            .with_namespace(socket.namespace, |namespace, out| {
                namespace.emit(now, out, socket, event, false)
            })
            .unwrap_or(Err(EmitError::NotConnected));
        self.count_refusal(emitted)
    }

    /// Emits an event to one socket if it can take it at this moment; it is not replayed.
    ///
    /// # Errors
    ///
    /// [`EmitError::NotConnected`] if the socket is not connected, and those on its size as for
    /// [`Hub::emit`].
    pub fn emit_volatile(
        &mut self,
        now: Timestamp,
        socket: SocketKey,
        event: &socket::Event,
    ) -> Result<(), EmitError> {
        let now = self.advance(now);
        let emitted = self
            .with_namespace(socket.namespace, |namespace, out| {
                namespace.emit(now, out, socket, event, true)
            })
            .unwrap_or(Err(EmitError::NotConnected));
        self.count_refusal(emitted)
    }

    /// Emits an event to one socket and asks for an acknowledgement, which settles with
    /// [`Event::Acked`](super::Event::Acked) or [`Event::AckFailed`](super::Event::AckFailed) at the latest after `timeout`.
    ///
    /// It is replayed only with
    /// [`replay_ack_events`](crate::RecoveryConfig::replay_ack_events). Without, the acknowledgement
    /// fails as soon as the client has lost its link or has come back on another one.
    ///
    /// # Errors
    ///
    /// As for [`Hub::emit`], and [`EmitError::TooManyAcks`] at the limit.
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
        self.count_refusal(emitted)
    }

    /// Answers an event that a client asked an acknowledgement for. Returns false if the client
    /// has gone, or has come back on another link since; where the answer is kept for the client
    /// to ask again, only if the session has ended. So it does for an answer that
    /// [`try_ack`](Self::try_ack) refuses.
    pub fn ack(&mut self, now: Timestamp, token: AckToken, args: &Args) -> bool {
        self.try_ack(now, token, args).unwrap_or(false)
    }

    /// As [`ack`](Self::ack), and gives the token back if clients would refuse the answer.
    ///
    /// # Errors
    ///
    /// [`AckError`] if the answer is over [`Limits`](crate::Limits) on outgoing packets.
    pub fn try_ack(
        &mut self,
        now: Timestamp,
        token: AckToken,
        args: &Args,
    ) -> Result<bool, AckError> {
        let now = self.advance(now);
        let checked = self.config.check_answer(args);
        if let Err(cause) = self.count_refusal(checked) {
            return Err(AckError { token, cause });
        }
        let is_sent = self.with_namespace(token.socket.key.namespace, |namespace, out| {
            namespace.acknowledge(now, out, token, args)
        });
        Ok(is_sent.unwrap_or(false))
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
        let now = self.advance(now);
        let once = self
            .with_namespace(socket.namespace, |namespace, out| {
                namespace.accept_once(now, out, socket, offset, token)
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
        let now = self.now;
        let namespace = self.namespaces.get_mut(&token.socket.key.namespace);
        namespace.is_some_and(|namespace| namespace.withdraw(now, &token))
    }

    /// Emits an event to an audience. Returns the number of connected sockets that it goes to; it
    /// is encoded once, and sessions that are parked get it when they come back.
    ///
    /// Takes O(sockets in the rooms named).
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace, and those on the size of the
    /// event as for [`Hub::emit`].
    pub fn broadcast(
        &mut self,
        now: Timestamp,
        namespace: &str,
        audience: &Audience,
        event: &socket::Event,
    ) -> Result<usize, EmitError> {
        let now = self.advance(now);
        let id = self.find_namespace(namespace).ok_or(EmitError::UnknownNamespace)?;
        let emitted = self
            .with_namespace(id, |namespace, out| namespace.broadcast(now, out, audience, event))
            .unwrap_or(Err(EmitError::UnknownNamespace));
        self.count_refusal(emitted)
    }

    /// Emits an event to an audience and collects the acknowledgements of the sockets connected,
    /// reported as one [`Event::BroadcastAcked`](super::Event::BroadcastAcked) when all have answered or gone, at the latest
    /// after `timeout`. It is not replayed.
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace, [`EmitError::TooManyAcks`]
    /// at the limit, and those on the size of the event as for [`Hub::emit`].
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
        self.count_refusal(emitted)
    }

    /// Counts an emission that a limit refused.
    fn count_refusal<T>(&mut self, emitted: Result<T, EmitError>) -> Result<T, EmitError> {
        match emitted {
            Err(EmitError::TooManyAcks { .. }) => increment(&mut self.totals.acks_refused),
            Err(EmitError::TooManyAttachments { .. } | EmitError::TooLarge { .. }) => {
                increment(&mut self.totals.emits_refused);
            }
            // What does not fit into a queue is counted by who has the links.
            Ok(_)
            | Err(EmitError::NotConnected | EmitError::UnknownNamespace | EmitError::QueueFull) => {
            }
        }
        emitted
    }
}
