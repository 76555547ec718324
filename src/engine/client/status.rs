//! What a connection is doing.

use super::ClientConnection;
use crate::engine::Transport;

impl ClientConnection {
    /// Returns the current transport, or the last one after the end.
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
    /// # let open = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":99}"#;
    /// # let frame = Frame::Text(open.into());
    /// # connection.handle_input(now, ClientInput::Frame { wire, frame });
    /// # while connection.poll_output().is_some() {}
    /// assert_eq!(connection.transport(), Transport::WebSocket);
    /// ```
    pub fn transport(&self) -> Transport {
        self.state.transport()
    }

    /// Returns the name that the next wire will have.
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
    /// let start = ClientStart {
    ///     first_wire: connection.next_wire(),
    ///     websocket_worked: connection.websocket_worked(),
    ///     ..ClientStart::default()
    /// };
    /// assert!(start.websocket_worked);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_wire(&self) -> u64 {
        self.next_wire
    }

    /// Returns whether WebSocket has worked, here or before: the value for the next
    /// [`ClientStart`](super::ClientStart).
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
    /// # let open = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":99}"#;
    /// # let frame = Frame::Text(open.into());
    /// # connection.handle_input(now, ClientInput::Frame { wire, frame });
    /// # while connection.poll_output().is_some() {}
    /// assert!(connection.websocket_worked());
    /// ```
    pub fn websocket_worked(&self) -> bool {
        self.websocket_worked
    }

    /// Returns the largest body or frame that the server accepts, in bytes.
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
    /// # let open = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":99}"#;
    /// # let frame = Frame::Text(open.into());
    /// # connection.handle_input(now, ClientInput::Frame { wire, frame });
    /// # while connection.poll_output().is_some() {}
    /// assert_eq!(connection.max_payload(), 99, "what the handshake says");
    /// ```
    pub fn max_payload(&self) -> usize {
        self.max_payload
    }

    /// Returns the bytes of packets that were not sent yet.
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
    /// # let open = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":99}"#;
    /// # let frame = Frame::Text(open.into());
    /// # connection.handle_input(now, ClientInput::Frame { wire, frame });
    /// # while connection.poll_output().is_some() {}
    /// connection.send(Payload::Text("hello".into()))?;
    /// assert_eq!(connection.queued_bytes(), 6, "4hello");
    /// # Ok::<(), SendError>(())
    /// ```
    pub fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// Returns the number of packets that were not sent yet.
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
    /// # let open = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":99}"#;
    /// # let frame = Frame::Text(open.into());
    /// # connection.handle_input(now, ClientInput::Frame { wire, frame });
    /// # while connection.poll_output().is_some() {}
    /// connection.send(Payload::Text("hello".into()))?;
    /// assert_eq!(connection.queued_packets(), 1);
    /// # Ok::<(), SendError>(())
    /// ```
    pub fn queued_packets(&self) -> usize {
        self.queue.packets()
    }

    /// Returns whether a packet would be sent right now: over WebSocket unless it is paused, over
    /// polling while no POST is in progress. Volatile packets are dropped otherwise.
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
    /// # let open = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":99}"#;
    /// # let frame = Frame::Text(open.into());
    /// # connection.handle_input(now, ClientInput::Frame { wire, frame });
    /// # while connection.poll_output().is_some() {}
    /// assert!(connection.is_writable());
    /// connection.pause(wire);
    /// assert!(!connection.is_writable());
    /// ```
    pub fn is_writable(&self) -> bool {
        self.is_open() && (self.state.writable_websocket().is_some() || self.state.can_post())
    }

    /// Returns whether packets can be sent and are received: after the handshake, and neither
    /// closing nor closed.
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
    /// # let open = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":99}"#;
    /// # let frame = Frame::Text(open.into());
    /// # connection.handle_input(now, ClientInput::Frame { wire, frame });
    /// # while connection.poll_output().is_some() {}
    /// assert!(connection.is_open());
    /// ```
    pub fn is_open(&self) -> bool {
        self.state.is_open()
    }

    /// Returns whether the connection has ended. There may still be output.
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
    /// # let open = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":99}"#;
    /// # let frame = Frame::Text(open.into());
    /// # connection.handle_input(now, ClientInput::Frame { wire, frame });
    /// # while connection.poll_output().is_some() {}
    /// connection.handle_input(now, ClientInput::WireClosed { wire });
    /// assert!(connection.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.state.is_ended()
    }

    /// Whether the server has ended the connection on purpose: with a close packet, with a close
    /// frame, or by refusing a request that it has read. A server that goes away or is too busy
    /// does not count.
    pub(crate) fn is_closed_by_server(&self) -> bool {
        self.is_closed_by_server
    }
}
