//! How a connection ends.

use super::{ClientCloseReason, ClientConnection, EngineClientEvent, EngineClientOutput};
use crate::{
    Timestamp,
    engine::{EnginePacket, Transport, queue::Account},
};

impl ClientConnection {
    /// Closes the connection as soon as everything queued was sent, or after
    /// [`close_timeout`](crate::client::ClientConfig::close_timeout). From now on nothing more is sent or
    /// received. A handshake or an upgrade in progress is given up.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::ClientConfig;
    /// # use socketio_proto::engine::*;
    /// # let now = Timestamp::ZERO;
    /// # let config = ClientConfig::new().transports(&[Transport::WebSocket]);
    /// # let mut connection = ClientConnection::new(now, Arc::new(config), ClientStart::default());
    /// # let Some(EngineClientOutput::OpenWebSocket { wire, .. }) = connection.poll_output() else { panic!() };
    /// # connection.handle_input(now, ClientInput::WebSocketOpened { wire });
    /// # let open = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;
    /// # let frame = Frame::Text(open.into());
    /// # connection.handle_input(now, ClientInput::Frame { wire, frame });
    /// # connection.poll_output();
    /// connection.close(now);
    /// let reason = ClientCloseReason::ForcedClose;
    /// let closed = EngineClientOutput::Event(EngineClientEvent::Closed { reason });
    /// assert_eq!(connection.poll_output(), Some(closed));
    /// assert_eq!(connection.poll_output(), Some(EngineClientOutput::Close { wire }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        if !self.is_open() {
            if self.state.is_opening() {
                self.end(ClientCloseReason::ForcedClose);
            }
            return;
        }
        if let Some(wire) = self.state.drop_probe() {
            self.wires.push_back(EngineClientOutput::Close { wire });
        }
        let is_stuck = self.state.writable_websocket().is_none() && !self.queue.is_empty();
        match self.transport() {
            // The server must get a close packet.
            Transport::Polling => self.queue.push(EnginePacket::Close.encode(), Account::Exempt),
            Transport::WebSocket if is_stuck => {}
            Transport::WebSocket => return self.end(ClientCloseReason::ForcedClose),
        }
        self.state.begin_close(self.now.saturating_add(self.config.close_timeout));
        self.pump();
    }

    /// Ends the connection at once. Packets that were not sent are dropped.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::Timestamp;
    /// # use socketio_proto::client::ClientConfig;
    /// # use socketio_proto::engine::*;
    /// # let now = Timestamp::ZERO;
    /// # let config = ClientConfig::new().transports(&[Transport::WebSocket]);
    /// # let mut connection = ClientConnection::new(now, Arc::new(config), ClientStart::default());
    /// # let Some(EngineClientOutput::OpenWebSocket { wire, .. }) = connection.poll_output() else { panic!() };
    /// # connection.handle_input(now, ClientInput::WebSocketOpened { wire });
    /// # let open = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}"#;
    /// # let frame = Frame::Text(open.into());
    /// # connection.handle_input(now, ClientInput::Frame { wire, frame });
    /// # connection.poll_output();
    /// connection.abort(ClientCloseReason::ForcedClose);
    /// assert!(connection.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn abort(&mut self, reason: ClientCloseReason) {
        self.queue.clear();
        self.end(reason);
    }

    /// Ends the connection, unless it has ended already, and finishes its wires.
    pub(super) fn end(&mut self, reason: ClientCloseReason) {
        let flush = reason == ClientCloseReason::ForcedClose && self.state.is_open();
        let flush = flush || (self.state.is_closing() && self.state.writable_websocket().is_some());
        let Some(wires) = self.state.end() else {
            return;
        };
        if !flush || self.transport() == Transport::Polling {
            self.queue.clear();
            self.owes_pong = false;
        }
        self.wires.extend(wires.into_iter().map(|wire| EngineClientOutput::Close { wire }));
        self.events.push(EngineClientEvent::Closed { reason });
    }
}
