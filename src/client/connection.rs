//! The connection: when it is opened, what comes over it, and what happens when it is gone.

use super::{
    Client, DisconnectReason, Event,
    socket::{Effect, Socket},
};
use crate::{
    engine::{ClientCloseReason, ClientConnection, ClientEvent, ClientFault, Payload},
    socket::{self, Kind, NamespaceName, Packet},
    time::Timestamp,
};

impl Client {
    /// Opens a connection, unless there is one.
    pub(super) fn open(&mut self) {
        if self.io.connection.is_some() {
            return;
        }
        let mut nonce = [0; 8];
        self.entropy.fill(&mut nonce);
        self.start.nonce = u64::from_le_bytes(nonce);
        self.attempt_at = Timestamp::NEVER;
        self.was_open = false;
        self.is_unused = false;
        self.is_aborted = false;
        self.decoder.reset();
        self.io.begin_connection();
        let config = self.io.config.clone();
        let mut connection = ClientConnection::new(self.io.now, config, self.start);
        connection.limit_bodies(self.max_body);
        self.io.connection = Some(connection);
    }

    /// Passes on what the engine has to say.
    pub(super) fn handle_engine(&mut self) {
        while let Some(event) = self.io.connection.as_mut().and_then(ClientConnection::poll_event) {
            match event {
                ClientEvent::Opened { transport } => {
                    self.was_open = true;
                    self.io.emit(Event::ConnectionOpened { transport });
                    for socket in self.sockets.values_mut() {
                        socket.join(&mut self.io);
                    }
                    self.close_if_unused();
                }
                ClientEvent::TransportFailed { transport, fault } => {
                    self.io.emit(Event::TransportFailed { transport, fault });
                }
                ClientEvent::Upgraded => self.io.emit(Event::ConnectionUpgraded),
                ClientEvent::UpgradeFailed => self.io.emit(Event::UpgradeFailed),
                ClientEvent::Message(payload) => self.handle_payload(payload),
                ClientEvent::Closed { reason } => self.handle_closed(reason),
            }
        }
        self.drop_forgotten();
    }

    /// Fires what is due.
    pub(super) fn handle_timeout(&mut self) {
        let (now, longest) = (self.io.now, self.io.longest_grace());
        let deadline = self.namespaces_deadline();
        let mut is_unanswered = false;
        if self.io.grace.may_judge(now, deadline, longest) {
            is_unanswered = self.time_out_namespaces();
        }
        if is_unanswered && !self.sockets.values().any(Socket::is_connected) {
            self.abort(ClientCloseReason::ForcedClose);
        }
        if self.attempt_at <= self.io.now {
            self.open();
        }
    }

    /// The earliest moment that a namespace waits for.
    pub(super) fn namespaces_deadline(&self) -> Timestamp {
        let deadlines = self.sockets.values().map(|socket| socket.deadline(&self.io));
        deadlines.fold(Timestamp::NEVER, Timestamp::min)
    }

    /// Returns whether a CONNECT was not answered in time.
    fn time_out_namespaces(&mut self) -> bool {
        let mut is_unanswered = false;
        for socket in self.sockets.values_mut() {
            is_unanswered |= socket.handle_timeout(&mut self.io);
        }
        is_unanswered
    }

    /// Sends what was held back while the connection was overdue, if it turns out to be alive.
    pub(super) fn release(&mut self) {
        if !self.io.holds_back || self.io.is_overdue() {
            return;
        }
        self.io.holds_back = false;
        for socket in self.sockets.values_mut() {
            socket.release(&mut self.io);
        }
    }

    /// Closes a connection that no namespace needs, and stops trying to get one.
    pub(super) fn close_if_unused(&mut self) {
        if self.sockets.values().any(|socket| socket.is_active) {
            return;
        }
        self.attempt_at = Timestamp::NEVER;
        self.backoff.reset();
        self.is_unused = true;
        if let Some(connection) = &mut self.io.connection {
            connection.close(self.io.now);
        }
        self.handle_engine();
    }

    fn handle_payload(&mut self, payload: Payload) {
        // What came before a close packet still counts: a DISCONNECT, for example.
        if self.is_aborted {
            return;
        }
        let awaited = self.decoder.awaiting().cloned();
        let (text, decoded) = match payload {
            Payload::Text(text) => (Some(text.clone()), self.decoder.push_text(text)),
            Payload::Binary(bytes) => (None, self.decoder.push_binary(bytes)),
        };
        match decoded {
            Ok(Some(packet)) => self.handle_packet(packet),
            Ok(None) => {}
            Err(_) => {
                let named = text.as_deref().and_then(socket::namespace_of);
                let namespace = awaited.or(named);
                self.note_unreadable(namespace.as_ref());
                self.abort(ClientCloseReason::ParseError);
            }
        }
    }

    fn handle_packet(&mut self, packet: Packet) {
        let Packet { namespace, kind } = packet;
        let Some(socket) = self.sockets.get_mut(&namespace) else {
            if kind == Kind::Disconnect {
                self.io.left.remove(&namespace);
            }
            return;
        };
        match socket.handle_packet(&mut self.io, kind) {
            Effect::Nothing => {}
            Effect::Answered => self.backoff.reset(),
            Effect::Left => {
                self.backoff.reset();
                self.close_if_unused();
            }
            Effect::Abort => self.abort(ClientCloseReason::ForcedClose),
        }
    }

    /// Something came that cannot be read, in a packet for this namespace if that is known.
    fn note_unreadable(&mut self, namespace: Option<&NamespaceName>) {
        for (name, socket) in &mut self.sockets {
            if namespace.is_none_or(|namespace| namespace == name) {
                socket.note_unreadable(&mut self.io);
            }
        }
    }

    fn abort(&mut self, reason: ClientCloseReason) {
        self.is_aborted = true;
        if let Some(connection) = &mut self.io.connection {
            connection.abort(reason);
        }
        self.handle_engine();
    }

    fn handle_closed(&mut self, reason: ClientCloseReason) {
        let mut by_server = false;
        if let Some(mut connection) = self.io.connection.take() {
            by_server = connection.is_closed_by_server();
            self.max_body = connection.max_body();
            self.start.first_wire = connection.next_wire();
            self.start.websocket_worked = connection.websocket_worked();
            self.wires.extend(core::iter::from_fn(|| connection.poll_wire()));
        }
        self.decoder.reset();
        if let ClientCloseReason::TransportError(
            ClientFault::Decode(_) | ClientFault::PayloadTooLarge,
        ) = reason
        {
            self.note_unreadable(None);
        }
        self.io.suspects.clear();
        for socket in self.sockets.values_mut() {
            socket.suspect(&mut self.io, by_server);
        }
        for socket in self.sockets.values_mut() {
            socket.handle_closed(&mut self.io, DisconnectReason::from(reason));
        }
        let was_open = self.was_open;
        self.io.emit(Event::ConnectionClosed { reason, was_open });
        if !self.sockets.values().any(|socket| socket.is_active) {
            return;
        }
        if self.is_unused {
            // It was closed before the application wanted it again.
            self.open();
        } else if self.io.config.reconnection {
            self.schedule();
        }
    }

    fn schedule(&mut self) {
        let Some((attempt, delay)) = self.backoff.next(&self.io.config, &mut *self.entropy) else {
            self.backoff.reset();
            self.io.emit(Event::ReconnectionFailed);
            return;
        };
        self.attempt_at = self.io.now.saturating_add(delay);
        self.io.emit(Event::Reconnecting { attempt, at: self.attempt_at });
    }
}
