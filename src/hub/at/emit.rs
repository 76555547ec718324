//! Emitting to sockets and audiences, and answering clients.

use core::time::Duration;

use super::At;
use crate::{
    hub::{
        AckError, AckToken, Audience, EmitError, Reach,
        cluster::Verb,
        namespace::{Namespace, Outbox},
        sessions::Member,
    },
    id::{AckId, SocketKey},
    socket::{self, Args},
    time::Timestamp,
};

impl<D: Default> At<'_, D> {
    /// Emits an event to one socket. With recovery on, a parked socket gets it when its client
    /// comes back.
    ///
    /// For an event that is emitted once, [`socket`](Self::socket) is shorter.
    ///
    /// ```
    /// use socketio_proto::server::Server;
    /// use socketio_proto::socket::Event;
    /// use socketio_proto::{SocketKey, Timestamp};
    ///
    /// fn repeat(server: &mut Server, now: Timestamp, socket: SocketKey, event: &Event) {
    ///     for _ in 0..3 {
    ///         if let Err(error) = server.at(now).emit(socket, event) {
    ///             eprintln!("not emitted: {error}");
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// * [`EmitError::NotConnected`] if the session has ended, or is parked while recovery is off.
    /// * [`EmitError::TooManyAttachments`] or [`EmitError::TooLarge`] if clients would refuse the
    ///   event. Then nothing is sent or logged.
    /// * [`EmitError::QueueFull`], only with a server, if too much is queued for the connection at
    ///   once, or if the client does not read while recovery is off. With recovery on, the
    ///   connection of a client that does not read is closed; the client gets the event when it
    ///   comes back.
    /// * [`EmitError::ChannelFull`], only in a cluster, if too much waits for the channel, and
    ///   [`EmitError::TooDeep`] if no engine carries the event.
    pub fn emit(&mut self, socket: SocketKey, event: &socket::Event) -> Result<(), EmitError> {
        if self.hub.is_clustered() {
            return self.emit_clustered(socket, event, false);
        }
        let is_logged = self.hub.config.recovery.is_some();
        self.emit_to(socket, event, is_logged, |namespace, now, out| {
            namespace.emit(now, out, socket, event, false)
        })
    }

    /// Emits an event to one socket if its client can receive it immediately. The event is not
    /// replayed.
    ///
    /// A client on HTTP long-polling can receive it while its GET is waiting. A client on WebSocket
    /// can receive it while its wire is not [paused](crate::server::Server::pause).
    ///
    /// ```
    /// use socketio_proto::server::Server;
    /// use socketio_proto::socket::Event;
    /// use socketio_proto::{SocketKey, Timestamp};
    ///
    /// fn show(server: &mut Server, now: Timestamp, socket: SocketKey, position: &Event) {
    ///     server.at(now).emit_volatile(socket, position).ok();
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError::NotConnected`] if the socket is not connected, and the errors about the size of
    /// the event as for [`emit`](Self::emit).
    pub fn emit_volatile(
        &mut self,
        socket: SocketKey,
        event: &socket::Event,
    ) -> Result<(), EmitError> {
        if self.hub.is_clustered() {
            return self.emit_clustered(socket, event, true);
        }
        let now = self.now;
        let emitted = self.hub.with_namespace(socket.namespace, |namespace, out| {
            namespace.emit(now, out, socket, event, true)
        });
        self.finish(emitted.unwrap_or(Err(EmitError::NotConnected)))
    }

    /// Emits an event to one socket and asks for an acknowledgement. The result is
    /// [`ServerEvent::Acked`](crate::hub::ServerEvent::Acked) or
    /// [`ServerEvent::AckFailed`](crate::hub::ServerEvent::AckFailed), after `timeout` at the latest.
    ///
    /// The event is replayed only with
    /// [`replay_ack_events`](crate::RecoveryConfig::replay_ack_events). Without it, the
    /// acknowledgement fails as soon as the client loses its link or comes back on another one.
    ///
    /// ```
    /// use core::time::Duration;
    /// use socketio_proto::hub::EmitError;
    /// use socketio_proto::server::Server;
    /// use socketio_proto::socket::Event;
    /// use socketio_proto::{AckId, SocketKey, Timestamp};
    ///
    /// fn ask(
    ///     server: &mut Server,
    ///     now: Timestamp,
    ///     socket: SocketKey,
    ///     question: &Event,
    /// ) -> Result<AckId, EmitError> {
    ///     server.at(now).emit_with_ack(socket, question, Duration::from_secs(5))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError::NotConnected`] if the session has ended, or if it is parked and the event would
    /// not be replayed. [`EmitError::TooManyAcks`] at the limit. [`EmitError::QueueFull`] and the
    /// errors about the size of the event as for [`emit`](Self::emit).
    pub fn emit_with_ack(
        &mut self,
        socket: SocketKey,
        event: &socket::Event,
        timeout: Duration,
    ) -> Result<AckId, EmitError> {
        if self.hub.is_clustered() {
            return self.ask_clustered(socket, event, timeout);
        }
        let is_logged = self.hub.config.recovery.as_ref().is_some_and(|it| it.replay_ack_events);
        self.emit_to(socket, event, is_logged, |namespace, now, out| {
            namespace.emit_with_ack(now, out, socket, event, timeout)
        })
    }

    /// Emits an event to an audience of a namespace. It is encoded once. Parked sessions get it
    /// when their clients come back.
    ///
    /// Takes O(sockets in the target rooms · log of their rooms), without an allocation per
    /// recipient. For an audience that is used once, [`to`](Self::to), [`all`](Self::all),
    /// [`of`](Self::of) and [`except`](Self::except) are shorter.
    ///
    /// ```
    /// use socketio_proto::hub::{Audience, EmitError};
    /// use socketio_proto::server::Server;
    /// use socketio_proto::socket::Event;
    /// use socketio_proto::Timestamp;
    ///
    /// fn tick(
    ///     server: &mut Server,
    ///     now: Timestamp,
    ///     watchers: &Audience,
    ///     event: &Event,
    /// ) -> Result<(), EmitError> {
    ///     let reach = server.at(now).broadcast("/", watchers, event)?;
    ///     println!("{} sockets, {} could not take it", reach.sockets, reach.refused);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace, and the errors about the size
    /// of the event and about the cluster as for [`emit`](Self::emit).
    pub fn broadcast(
        &mut self,
        namespace: &str,
        audience: &Audience,
        event: &socket::Event,
    ) -> Result<Reach, EmitError> {
        let id = self.hub.find_for_all(namespace);
        self.broadcast_in(id, audience, event)
    }

    /// The same, with the id of the namespace.
    pub(super) fn broadcast_in(
        &mut self,
        namespace: Option<u32>,
        audience: &Audience,
        event: &socket::Event,
    ) -> Result<Reach, EmitError> {
        let (id, now) = (namespace.ok_or(EmitError::UnknownNamespace)?, self.now);
        if self.hub.is_clustered() {
            return self.broadcast_clustered(id, audience, event);
        }
        let emitted = self
            .hub
            .with_namespace(id, |namespace, out| namespace.broadcast(now, out, audience, event))
            .unwrap_or(Err(EmitError::UnknownNamespace));
        let sockets = self.emitted(emitted)?;
        Ok(self.carry().unwrap_or_else(|| Reach { sockets, ..Reach::default() }))
    }

    /// Emits an event to an audience and collects the acknowledgements of the connected sockets.
    /// One [`ServerEvent::BroadcastAcked`](crate::hub::ServerEvent::BroadcastAcked) reports them when all
    /// sockets have answered or are gone, after `timeout` at the latest. The event is not replayed.
    ///
    /// ```
    /// use core::time::Duration;
    /// use socketio_proto::hub::{Audience, EmitError};
    /// use socketio_proto::server::Server;
    /// use socketio_proto::socket::Event;
    /// use socketio_proto::{AckId, Timestamp};
    ///
    /// fn ask_all(
    ///     server: &mut Server,
    ///     now: Timestamp,
    ///     question: &Event,
    /// ) -> Result<AckId, EmitError> {
    ///     server.at(now).broadcast_with_ack("/", &Audience::all(), question, Duration::from_secs(5))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`] if there is no such namespace, [`EmitError::TooManyAcks`] at
    /// the limit, and the errors about the size of the event as for [`emit`](Self::emit).
    pub fn broadcast_with_ack(
        &mut self,
        namespace: &str,
        audience: &Audience,
        event: &socket::Event,
        timeout: Duration,
    ) -> Result<AckId, EmitError> {
        let id = self.hub.find_namespace(namespace);
        self.broadcast_with_ack_in(id, audience, event, timeout)
    }

    /// The same, with the id of the namespace.
    pub(super) fn broadcast_with_ack_in(
        &mut self,
        namespace: Option<u32>,
        audience: &Audience,
        event: &socket::Event,
        timeout: Duration,
    ) -> Result<AckId, EmitError> {
        let namespace = self.hub.in_use(namespace);
        let (id, now) = (namespace.ok_or(EmitError::UnknownNamespace)?, self.now);
        if self.hub.is_clustered() {
            return self.ask_all_clustered(id, audience, event, timeout);
        }
        let emitted = self.hub.with_namespace(id, |namespace, out| {
            namespace.broadcast_with_ack(now, out, audience, event, timeout)
        });
        self.finish(emitted.unwrap_or(Err(EmitError::UnknownNamespace)))
    }

    /// Acknowledges an event of a client, with an answer.
    ///
    /// Returns false if the client is gone, or has come back on another connection since. But some
    /// answers are kept, so that the client can ask for them again: answers to clients of this
    /// crate, and to events that were accepted with [`accept_once`](Self::accept_once). For these
    /// it returns false only if the session has ended. It also returns false for an answer that
    /// [`try_ack`](Self::try_ack) refuses.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::server::{Server, ServerEvent};
    /// use socketio_proto::socket::Args;
    ///
    /// fn handle(server: &mut Server, now: Timestamp, event: ServerEvent<()>) {
    ///     if let ServerEvent::Received { ack: Some(token), .. } = event {
    ///         server.at(now).ack(token, &Args::empty());
    ///     }
    /// }
    /// ```
    pub fn ack(&mut self, token: AckToken, args: &Args) -> bool {
        self.try_ack(token, args).unwrap_or(false)
    }

    /// As [`ack`](Self::ack), but returns the token if clients would refuse the answer. Use it if
    /// the size of the answer depends on the client: then the application can answer with an error
    /// instead.
    ///
    /// ```
    /// use socketio_proto::Timestamp;
    /// use socketio_proto::hub::AckToken;
    /// use socketio_proto::server::Server;
    /// use socketio_proto::socket::{Args, EncodeError};
    ///
    /// fn answer(
    ///     server: &mut Server,
    ///     now: Timestamp,
    ///     token: AckToken,
    ///     text: &str,
    /// ) -> Result<(), EncodeError> {
    ///     if let Err(error) = server.at(now).try_ack(token, &Args::new(&(text,))?) {
    ///         server.at(now).ack(error.token, &Args::new(&("too large",))?);
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`AckError`] if the answer exceeds
    /// [`outgoing_attachments`](crate::Limits::outgoing_attachments) or
    /// [`outgoing_bytes`](crate::Limits::outgoing_bytes).
    pub fn try_ack(&mut self, token: AckToken, args: &Args) -> Result<bool, AckError> {
        let checked = self.hub.config.check_answer(args);
        if let Err(cause) = self.emitted(checked) {
            return Err(AckError { token, cause });
        }
        let now = self.now;
        if self.hub.is_clustered() {
            let is_known = self.hub.socket_id(token.socket()).is_some();
            let namespace = token.socket.key.namespace;
            let waits = self.hub.answer_waits(token.socket.key);
            // The session may move to another node before the answer is sent.
            let later = waits.then(|| {
                self.hub.with_namespace(namespace, |namespace, _| {
                    namespace.remember_answer(now, &token, args)
                })
            });
            let later = later.flatten().flatten();
            let answer = Verb::Acknowledge { token, args: args.clone(), later };
            if waits {
                self.run_in_order(answer);
            } else {
                self.hub.run(answer);
            }
            self.carry();
            return Ok(is_known);
        }
        let is_sent = self.hub.with_namespace(token.socket.key.namespace, |namespace, out| {
            namespace.acknowledge(now, out, &token, args)
        });
        self.carry();
        Ok(is_sent.unwrap_or(false))
    }

    /// Emits to one socket if the queue of its connection has room. An event that recovery replays
    /// need not fit if its client does not read.
    fn emit_to<T>(
        &mut self,
        socket: SocketKey,
        event: &socket::Event,
        is_logged: bool,
        emit: impl FnOnce(&mut Namespace<D>, Timestamp, &mut Outbox<D>) -> Result<T, EmitError>,
    ) -> Result<T, EmitError> {
        let (now, carrier) = (self.now, &mut self.carrier);
        let emitted = self.hub.with_namespace(socket.namespace, |namespace, out| {
            if let Some(carrier) = carrier
                && let Some(connection) = namespace.member(socket).and_then(Member::connection)
            {
                carrier.check_room(now, connection, event, is_logged)?;
            }
            emit(namespace, now, out)
        });
        self.finish(emitted.unwrap_or(Err(EmitError::NotConnected)))
    }

    /// Carries an emission to the links, if the hub has them on this thread.
    pub(super) fn finish<T>(&mut self, emitted: Result<T, EmitError>) -> Result<T, EmitError> {
        self.carry();
        self.emitted(emitted)
    }
}
