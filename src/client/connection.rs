//! The connection: when it is opened, what comes over it, and what happens when it is gone.

use super::{
    Client, DisconnectReason, Event,
    socket::{Effect, Socket},
};
use crate::{
    engine::{ClientCloseReason, ClientConnection, ClientEvent, Payload},
    socket::Packet,
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
        let config = self.io.config.clone();
        self.io.connection = Some(ClientConnection::new(self.io.now, config, self.start));
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
        let decoded = match payload {
            Payload::Text(text) => self.decoder.push_text(text),
            Payload::Binary(bytes) => self.decoder.push_binary(bytes),
        };
        match decoded {
            Ok(Some(packet)) => self.handle_packet(packet),
            Ok(None) => {}
            Err(_) => self.abort(ClientCloseReason::ParseError),
        }
    }

    fn handle_packet(&mut self, packet: Packet) {
        let Packet { namespace, kind } = packet;
        let Some(socket) = self.sockets.get_mut(&namespace) else {
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

    fn abort(&mut self, reason: ClientCloseReason) {
        self.is_aborted = true;
        if let Some(connection) = &mut self.io.connection {
            connection.abort(reason);
        }
        self.handle_engine();
    }

    fn handle_closed(&mut self, reason: ClientCloseReason) {
        if let Some(mut connection) = self.io.connection.take() {
            self.start.first_wire = connection.next_wire();
            self.start.websocket_worked = connection.websocket_worked();
            self.wires.extend(core::iter::from_fn(|| connection.poll_wire()));
        }
        self.decoder.reset();
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
