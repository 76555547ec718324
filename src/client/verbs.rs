//! What the application wants. Namespaces are named with their leading slash.

use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

use super::{
    AckToken, Auth, AuthRequest, BufferedEvent, Client, EmitError, JoinError, io::Io,
    socket::Socket,
};
use crate::{
    engine::{ClientConnection, Transport},
    id::AckId,
    socket::{self, Args, Encoded, Json, NamespaceName},
    time::Timestamp,
};

impl Client {
    /// Joins a namespace, now and with every further connection; opens a connection if there is
    /// none and no attempt is waited for. Returns its name as it stands in events.
    ///
    /// For a namespace that is active already only `auth` changes, for the next time.
    ///
    /// # Errors
    ///
    /// [`JoinError`] if the name, the credentials or a limit stand against it.
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
        socket.is_active = true;
        socket.is_forgotten = false;
        if self.io.is_open() {
            if let Some(socket) = self.sockets.get_mut(&name) {
                socket.join(&mut self.io);
            }
            self.close_if_unused();
        } else if self.attempt_at == Timestamp::NEVER {
            self.open();
        }
        Ok(name)
    }

    /// Answers [`Event::AuthRequested`](super::Event::AuthRequested). Returns false if the
    /// connection was lost meanwhile: then there will be another request.
    ///
    /// # Errors
    ///
    /// [`JoinError::AuthNotAnObject`] if `auth` is no object; the request waits for another answer.
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
            socket.is_some_and(|socket| socket.provide_auth(&mut self.io, request.serial, auth));
        self.close_if_unused();
        Ok(is_awaited)
    }

    /// Leaves a namespace, or stops trying to join it. Its session is over; what it has buffered
    /// stays. The last one closes the connection. Returns false if it was not active.
    pub fn disconnect(&mut self, now: Timestamp, namespace: &str) -> bool {
        self.advance(now);
        let socket = find(&mut self.sockets, namespace);
        let Some(socket) = socket.filter(|socket| socket.is_active) else {
            return false;
        };
        socket.disconnect(&mut self.io);
        self.close_if_unused();
        true
    }

    /// Leaves a namespace as [`disconnect`](Self::disconnect) does, and forgets it: what it has
    /// buffered is dropped, and what was not acknowledged fails as withdrawn. Then it does not
    /// count against [`ClientLimits::namespaces`](super::ClientLimits::namespaces) any more, or, if
    /// the server has not answered its CONNECT, as soon as it does. Returns false if there is no
    /// such namespace.
    pub fn forget(&mut self, now: Timestamp, namespace: &str) -> bool {
        self.advance(now);
        let Some(socket) = find(&mut self.sockets, namespace) else {
            return false;
        };
        socket.forget(&mut self.io);
        self.close_if_unused();
        self.drop_forgotten();
        true
    }

    /// Closes the connection without leaving its namespaces, and stops reconnecting: the server
    /// takes it for a lost link and keeps the sessions, for [`connect`](Self::connect) or, with
    /// [`state`](Self::state), for the next process.
    pub fn close(&mut self, now: Timestamp) {
        self.advance(now);
        for socket in self.sockets.values_mut() {
            socket.is_active = false;
        }
        self.close_if_unused();
        let reason = super::DisconnectReason::ForcedClose;
        for socket in self.sockets.values_mut() {
            // The connection may still be sending what is queued.
            socket.handle_closed(&mut self.io, reason);
        }
    }

    /// Makes the next attempt now instead of waiting for it, for example because the network is
    /// back. Returns false if there is a connection already or no active namespace.
    pub fn reconnect(&mut self, now: Timestamp) -> bool {
        self.advance(now);
        let is_wanted = self.sockets.values().any(|socket| socket.is_active);
        if self.io.connection.is_some() || !is_wanted {
            return false;
        }
        self.open();
        true
    }

    /// Emits an event, or buffers it while the namespace is not joined.
    ///
    /// # Errors
    ///
    /// [`EmitError::UnknownNamespace`], [`EmitError::Full`] at a limit, and
    /// [`EmitError::TooLarge`] or [`EmitError::TooManyAttachments`] for what the server is known not
    /// to take. How much it takes at once is known while there is a connection; an event that was
    /// buffered and turns out to be too large is reported as
    /// [`Undeliverable`](super::Event::Undeliverable).
    pub fn emit(
        &mut self,
        now: Timestamp,
        namespace: &str,
        event: &socket::Event,
    ) -> Result<(), EmitError> {
        self.advance(now);
        self.send_or_buffer(namespace, event, None)
    }

    /// Emits an event if it can be sent at this moment. Returns whether it was.
    pub fn emit_volatile(
        &mut self,
        now: Timestamp,
        namespace: &str,
        event: &socket::Event,
    ) -> bool {
        self.advance(now);
        let Some(socket) = find(&mut self.sockets, namespace) else {
            return false;
        };
        let packet = Encoded::event(&socket.name, event, None, None);
        let can_send = socket.is_connected()
            && !socket.is_held_back(&self.io)
            && self.io.is_writable()
            && self.io.undeliverable(&packet).is_none()
            && self.io.has_room(&packet)
            && socket.unconfirmed.has_room(None, &self.io.config.limits);
        let is_sent = can_send && self.io.send(&packet);
        if is_sent {
            let serial = self.io.count_event();
            socket.keep(&mut self.io, None, serial);
        }
        is_sent
    }

    /// Emits an event and asks for an acknowledgement, which settles with
    /// [`Event::Acked`](super::Event::Acked) or [`Event::AckFailed`](super::Event::AckFailed), at
    /// the latest after `timeout`, counted from now. If it was not sent by then it is not sent.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit), and [`EmitError::TooManyAcks`] at the limit.
    pub fn emit_with_ack(
        &mut self,
        now: Timestamp,
        namespace: &str,
        event: &socket::Event,
        timeout: Duration,
    ) -> Result<AckId, EmitError> {
        self.advance(now);
        let limit = self.io.config.limits.pending_acks;
        let socket = find(&mut self.sockets, namespace).ok_or(EmitError::UnknownNamespace)?;
        if socket.acks.len() >= limit {
            return Err(EmitError::TooManyAcks { limit });
        }
        let name = socket.draw_name();
        socket.acks.expect(name, self.io.now.saturating_add(timeout));
        let ack = socket.ack_id(name);
        let result = self.send_or_buffer(namespace, event, Some(name));
        if result.is_err()
            && let Some(socket) = find(&mut self.sockets, namespace)
        {
            socket.acks.settle(name);
        }
        result.map(|()| ack)
    }

    /// Emits an event at least once: it is sent again, after
    /// [`ack_timeout`](super::ClientConfig::ack_timeout) or with the next connection, until the
    /// server acknowledges it, at most [`retries`](super::ClientConfig::retries) times. Events
    /// emitted like this are sent in order, one at a time. It settles like
    /// [`emit_with_ack`](Self::emit_with_ack).
    ///
    /// The server may get it several times: give it an id of the application's own. A server of
    /// this crate gets it once in a session; a further try only asks for the acknowledgement.
    ///
    /// # Errors
    ///
    /// As [`emit`](Self::emit).
    pub fn emit_with_retries(
        &mut self,
        now: Timestamp,
        namespace: &str,
        event: &socket::Event,
    ) -> Result<AckId, EmitError> {
        self.advance(now);
        let at = self.io.now;
        let socket = find(&mut self.sockets, namespace).ok_or(EmitError::UnknownNamespace)?;
        let mut event = BufferedEvent { event: event.clone(), at, ack: None };
        let name = socket.draw_name();
        event.ack = Some(name);
        check_event(socket, &self.io, &event)?;
        if !socket.retries.events().has_room(&event, (0, 0), &self.io.config.limits) {
            return Err(EmitError::Full);
        }
        socket.retries.push(event);
        socket.send_retry(&mut self.io);
        Ok(socket.ack_id(name))
    }

    /// Answers an event that the server asked an acknowledgement for. Returns false if the
    /// namespace is not joined, or only in another session, or if the answer is larger or has more
    /// attachments than the server takes.
    #[expect(clippy::needless_pass_by_value, reason = "a token is used up by one answer")]
    pub fn ack(&mut self, now: Timestamp, token: AckToken, args: &Args) -> bool {
        self.advance(now);
        let socket = self.sockets.values().find(|socket| socket.slot == token.slot);
        let socket = socket.filter(|socket| {
            socket.is_connected() && socket.session.generation() == token.generation
        });
        socket.is_some_and(|socket| {
            let packet = Encoded::ack(&socket.name, token.id, args);
            self.io.undeliverable(&packet).is_none() && self.io.send(&packet)
        })
    }

    /// Returns the events that wait for the namespace to be joined, oldest first.
    pub fn buffered(&self, namespace: &str) -> impl Iterator<Item = &BufferedEvent> {
        self.sockets.get(namespace).into_iter().flat_map(|socket| socket.buffer.iter())
    }

    /// Takes these events back. Acknowledgements that they asked for fail as withdrawn.
    pub fn take_buffered(&mut self, now: Timestamp, namespace: &str) -> Vec<BufferedEvent> {
        self.advance(now);
        let socket = find(&mut self.sockets, namespace);
        socket.map(|socket| socket.take_buffered(&mut self.io)).unwrap_or_default()
    }

    /// Returns the events that [`emit_with_retries`](Self::emit_with_retries) has taken and that
    /// are not settled, oldest first, with the name under which each settles; the first one may
    /// have been sent.
    pub fn retrying(&self, namespace: &str) -> impl Iterator<Item = (AckId, &BufferedEvent)> {
        self.sockets.get(namespace).into_iter().flat_map(|socket| {
            let events = socket.retries.events().iter();
            events.filter_map(|event| Some((socket.ack_id(event.ack?), event)))
        })
    }

    /// Takes these events back. Their acknowledgements fail as withdrawn.
    pub fn take_retrying(&mut self, now: Timestamp, namespace: &str) -> Vec<BufferedEvent> {
        self.advance(now);
        let socket = find(&mut self.sockets, namespace);
        socket.map(|socket| socket.take_retrying(&mut self.io)).unwrap_or_default()
    }

    /// Returns whether a namespace is joined.
    pub fn is_connected(&self, namespace: &str) -> bool {
        self.sockets.get(namespace).is_some_and(Socket::is_connected)
    }

    /// Returns whether a namespace is joined now or with the next connection.
    pub fn is_active(&self, namespace: &str) -> bool {
        self.sockets.get(namespace).is_some_and(|socket| socket.is_active)
    }

    /// Returns whether the session of a namespace that is joined was recovered.
    pub fn is_recovered(&self, namespace: &str) -> bool {
        self.sockets.get(namespace).is_some_and(|socket| socket.recovered)
    }

    /// Returns whether the server gave a session that can be recovered.
    pub fn is_recoverable(&self, namespace: &str) -> bool {
        self.sockets.get(namespace).is_some_and(|socket| socket.session.is_recoverable())
    }

    /// Returns the public id of a namespace that is joined.
    pub fn socket_id(&self, namespace: &str) -> Option<&str> {
        self.sockets.get(namespace)?.id.as_deref()
    }

    /// Returns the transport of the connection, if it is open.
    pub fn transport(&self) -> Option<Transport> {
        let connection = self.io.connection.as_ref().filter(|connection| connection.is_open());
        connection.map(ClientConnection::transport)
    }

    fn send_or_buffer(
        &mut self,
        namespace: &str,
        event: &socket::Event,
        ack: Option<u64>,
    ) -> Result<(), EmitError> {
        let socket = find(&mut self.sockets, namespace).ok_or(EmitError::UnknownNamespace)?;
        let event = BufferedEvent { event: event.clone(), at: self.io.now, ack };
        check_event(socket, &self.io, &event)?;
        if !socket.has_room(&event, &self.io.config.limits) {
            return Err(EmitError::Full);
        }
        let is_held_back = socket.is_held_back(&self.io);
        if !socket.is_connected() || is_held_back {
            socket.buffer.push(event);
            self.io.holds_back |= is_held_back;
            return Ok(());
        }
        let (packet, id) = socket.encode(&event);
        if !self.io.is_open() || !self.io.has_room(&packet) {
            return Err(EmitError::Full);
        }
        socket.send_encoded(&mut self.io, event, &packet, id);
        Ok(())
    }

    /// Lets go of namespaces whose last word with the server is spoken.
    pub(super) fn drop_forgotten(&mut self) {
        self.sockets.retain(|_, socket| {
            let is_over = socket.is_over();
            if is_over {
                // The server may still answer what was emitted there.
                self.first_ack = self.first_ack.max(socket.next_ack);
            }
            !is_over
        });
    }

    fn socket_entry(&mut self, name: &NamespaceName) -> Result<&mut Socket, JoinError> {
        let limit = self.io.config.limits.namespaces;
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

/// Refuses what the server is known not to take.
fn check_event(socket: &Socket, io: &Io, event: &BufferedEvent) -> Result<(), EmitError> {
    socket.undeliverable(io, event).map_or(Ok(()), |cause| Err(cause.into()))
}

/// Finds a namespace that is not forgotten.
fn find<'a>(
    sockets: &'a mut BTreeMap<NamespaceName, Socket>,
    namespace: &str,
) -> Option<&'a mut Socket> {
    sockets.get_mut(namespace).filter(|socket| !socket.is_forgotten)
}
