//! How a client uses its connection: opens it, reads what comes over it, and handles its end.

use super::{
    Client, ClientDisconnectReason, ClientEvent,
    socket::{Effect, Socket},
    state::Ended,
};
use crate::{
    engine::{ClientCloseReason, ClientConnection, ClientFault, EngineClientEvent, Payload},
    socket::{self, Kind, NamespaceName, Packet},
    time::Timestamp,
};

impl Client {
    /// Makes a connection, unless there is one.
    pub(super) fn open(&mut self) {
        if self.cx.state.connection().is_some() {
            return;
        }
        let mut nonce = [0; 8];
        self.entropy.fill(&mut nonce);
        self.start.nonce = u64::from_le_bytes(nonce);
        self.decoder.reset();
        let config = self.cx.config.clone();
        let mut connection = ClientConnection::new(self.cx.now, config, self.start);
        connection.limit_bodies(self.max_body);
        self.cx.begin(connection);
    }

    /// Handles the events of the connection.
    pub(super) fn handle_engine(&mut self) {
        while let Some(event) =
            self.cx.state.connection_mut().and_then(ClientConnection::poll_event)
        {
            match event {
                EngineClientEvent::Opened { transport } => {
                    self.cx.state.opened();
                    self.cx.emit(ClientEvent::ConnectionOpened { transport });
                    for socket in self.sockets.values_mut() {
                        socket.join(&mut self.cx);
                    }
                    self.close_if_unused();
                }
                EngineClientEvent::TransportFailed { transport, fault } => {
                    self.cx.emit(ClientEvent::TransportFailed { transport, fault });
                }
                EngineClientEvent::Upgraded => self.cx.emit(ClientEvent::ConnectionUpgraded),
                EngineClientEvent::UpgradeFailed => self.cx.emit(ClientEvent::UpgradeFailed),
                EngineClientEvent::Message(payload) => self.handle_payload(payload),
                EngineClientEvent::Closed { reason } => self.handle_closed(reason),
            }
        }
        self.drop_forgotten();
    }

    /// Handles everything that is due.
    pub(super) fn handle_timeout(&mut self) {
        let (now, longest) = (self.cx.now, self.cx.longest_grace());
        let deadline = self.namespaces_deadline();
        let mut is_unanswered = false;
        if self.cx.grace.may_judge(now, deadline, longest) {
            is_unanswered = self.time_out_namespaces();
        }
        if is_unanswered && !self.sockets.values().any(Socket::is_connected) {
            self.abort(ClientCloseReason::ForcedClose);
        }
        if self.cx.state.attempt_at() <= self.cx.now {
            self.open();
        }
    }

    /// The earliest moment that a namespace waits for.
    pub(super) fn namespaces_deadline(&self) -> Timestamp {
        let deadlines = self.sockets.values().map(|socket| socket.deadline(&self.cx));
        deadlines.fold(Timestamp::NEVER, Timestamp::min)
    }

    /// Sends what was held back while a ping was overdue, if the connection turns out to be alive.
    pub(super) fn release(&mut self) {
        if !self.cx.holds_back || self.cx.is_overdue() {
            return;
        }
        self.cx.holds_back = false;
        for socket in self.sockets.values_mut() {
            socket.release(&mut self.cx);
        }
    }

    /// If no namespace is active, closes the connection and cancels the planned attempt.
    pub(super) fn close_if_unused(&mut self) {
        if self.is_needed() {
            return;
        }
        self.backoff.reset();
        self.cx.state.release();
        let now = self.cx.now;
        if let Some(connection) = self.cx.state.connection_mut() {
            connection.close(now);
        }
        self.handle_engine();
    }

    /// Whether a namespace wants to be joined.
    pub(super) fn is_needed(&self) -> bool {
        self.sockets.values().any(Socket::is_active)
    }

    /// Returns whether a CONNECT was not answered in time.
    fn time_out_namespaces(&mut self) -> bool {
        let mut is_unanswered = false;
        for socket in self.sockets.values_mut() {
            is_unanswered |= socket.handle_timeout(&mut self.cx);
        }
        is_unanswered
    }

    fn handle_payload(&mut self, payload: Payload) {
        // What came before a close packet still counts, for example a DISCONNECT. What comes after
        // the client has given the connection up does not.
        if self.cx.state.is_aborted() {
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
                self.cx.left.remove(&namespace);
            }
            return;
        };
        match socket.handle_packet(&mut self.cx, kind) {
            Effect::Nothing => {}
            Effect::Answered => self.backoff.reset(),
            Effect::Left => {
                self.backoff.reset();
                self.close_if_unused();
            }
            Effect::Abort => self.abort(ClientCloseReason::ForcedClose),
        }
    }

    /// An unreadable packet has come, for this namespace if that could be read.
    fn note_unreadable(&mut self, namespace: Option<&NamespaceName>) {
        for (name, socket) in &mut self.sockets {
            if namespace.is_none_or(|namespace| namespace == name) {
                socket.note_unreadable(&mut self.cx);
            }
        }
    }

    fn abort(&mut self, reason: ClientCloseReason) {
        self.cx.state.abort();
        if let Some(connection) = self.cx.state.connection_mut() {
            connection.abort(reason);
        }
        self.handle_engine();
    }

    fn handle_closed(&mut self, reason: ClientCloseReason) {
        let Some(Ended { mut connection, was_open, was_unused }) = self.cx.state.end() else {
            return;
        };
        self.max_body = connection.max_body();
        self.start.first_wire = connection.next_wire();
        self.start.websocket_worked = connection.websocket_worked();
        self.wires.extend(core::iter::from_fn(|| connection.poll_wire()));
        self.decoder.reset();
        if let ClientCloseReason::TransportError(
            ClientFault::Decode(_) | ClientFault::PayloadTooLarge,
        ) = reason
        {
            self.note_unreadable(None);
        }
        self.cx.suspects.clear();
        for socket in self.sockets.values_mut() {
            socket.suspect(&mut self.cx, connection.is_closed_by_server());
        }
        for socket in self.sockets.values_mut() {
            socket.handle_closed(&mut self.cx, ClientDisconnectReason::from(reason));
        }
        self.cx.emit(ClientEvent::ConnectionClosed { reason, was_open });
        if !self.is_needed() {
            return;
        }
        if was_unused {
            // The application wants it again, and has asked for that while it was closing.
            self.open();
        } else if self.cx.config.reconnection {
            self.schedule();
        }
    }

    fn schedule(&mut self) {
        let Some((attempt, delay)) = self.backoff.next(&self.cx.config, &mut *self.entropy) else {
            self.backoff.reset();
            self.cx.emit(ClientEvent::ReconnectionFailed);
            return;
        };
        let at = self.cx.now.saturating_add(delay);
        self.cx.state.wait(at);
        self.cx.emit(ClientEvent::Reconnecting { attempt, at });
    }
}
