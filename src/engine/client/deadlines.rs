//! The deadlines of a connection: all of them are for the server.

use super::ClientConnection;
use crate::Timestamp;

impl ClientConnection {
    /// Returns when [`ClientInput::Timeout`](super::ClientInput::Timeout) is due. While there is output, the deadline is in the
    /// past. After a timeout at the deadline, and with no output left, it is in the future, or
    /// `None`.
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
    /// let overdue = connection.deadline().ok_or("an open connection waits for a ping")?;
    /// connection.handle_input(overdue, ClientInput::Timeout);
    /// let reason = ClientCloseReason::PingTimeout;
    /// let closed = EngineClientOutput::Event(EngineClientEvent::Closed { reason });
    /// assert_eq!(connection.poll_output(), Some(closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        if !self.events.is_empty() || self.has_wire_output() {
            return Some(self.now);
        }
        self.timer().finite()
    }

    /// The deadline of the connection itself, without regard to output.
    pub(crate) fn timer(&self) -> Timestamp {
        self.grace.postpone(self.peer_deadline())
    }

    /// The earliest deadline for something that the server must do.
    pub(super) fn peer_deadline(&self) -> Timestamp {
        let ping_by = if self.is_open() { self.ping_by } else { Timestamp::NEVER };
        ping_by.min(self.state.deadline())
    }

    /// Whether the next ping of the server is overdue at `now`. Either the connection is dead, or
    /// the ping has arrived and was not given yet.
    pub(crate) fn is_overdue(&self, now: Timestamp) -> bool {
        self.is_open() && self.ping_by <= now
    }

    /// The longest grace period for the server.
    pub(crate) fn longest_grace(&self) -> core::time::Duration {
        self.longest_grace
    }
}
