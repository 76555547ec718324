//! What a session is doing.

use super::{ServerConnection, Transport};
use crate::{EngineId, ServerConfig, Timestamp};

impl ServerConnection {
    /// Returns the id of the session.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::*;
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let (now, wire) = (Timestamp::ZERO, WireId(1));
    /// # let config = Arc::new(ServerConfig::new());
    /// # let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
    /// assert_eq!(session.id(), id);
    /// ```
    pub fn id(&self) -> EngineId {
        self.rest.id
    }

    /// Returns the current transport, or the last one after the end.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::*;
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let (now, wire) = (Timestamp::ZERO, WireId(1));
    /// # let config = Arc::new(ServerConfig::new());
    /// # let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
    /// assert_eq!(session.transport(), Transport::WebSocket);
    /// ```
    pub fn transport(&self) -> Transport {
        self.state.transport()
    }

    /// Returns the bytes of packets that wait to be sent or polled.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::*;
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let (now, wire) = (Timestamp::ZERO, WireId(1));
    /// # let config = Arc::new(ServerConfig::new());
    /// # let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
    /// session.pause(wire);
    /// let before = session.queued_bytes();
    /// session.send(now, Payload::Text("hello".into()))?;
    /// assert_eq!(session.queued_bytes() - before, 6, "4hello");
    /// # Ok::<(), SendError>(())
    /// ```
    pub fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// Returns the number of packets that wait to be sent or polled.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::*;
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let (now, wire) = (Timestamp::ZERO, WireId(1));
    /// # let config = Arc::new(ServerConfig::new());
    /// # let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
    /// assert_eq!(session.queued_packets(), 1, "the handshake");
    /// session.poll_output();
    /// assert_eq!(session.queued_packets(), 0);
    /// ```
    pub fn queued_packets(&self) -> usize {
        self.queue.packets()
    }

    /// Returns whether the peer can take a packet right now: over WebSocket unless it is paused,
    /// over polling while a GET waits. Volatile packets are dropped otherwise.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::*;
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").ok_or("not an id")?;
    /// # let (now, wire) = (Timestamp::ZERO, WireId(1));
    /// # let config = Arc::new(ServerConfig::new());
    /// # let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
    /// # session.poll_output();
    /// assert!(session.is_writable());
    /// session.pause(wire);
    /// assert!(!session.is_writable());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_writable(&self) -> bool {
        // If a GET waits, the queue is empty.
        self.is_open() && (self.state.writable_websocket().is_some() || self.state.has_get())
    }

    /// Returns whether packets can be sent and are received: the session is neither closing nor
    /// closed.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::*;
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let (now, wire) = (Timestamp::ZERO, WireId(1));
    /// # let config = Arc::new(ServerConfig::new());
    /// # let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
    /// session.close(now, CloseReason::ForcedClose);
    /// assert!(!session.is_open());
    /// ```
    pub fn is_open(&self) -> bool {
        self.state.is_open()
    }

    /// Returns whether the session has ended. There may still be output.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::*;
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let (now, wire) = (Timestamp::ZERO, WireId(1));
    /// # let config = Arc::new(ServerConfig::new());
    /// # let mut session = ServerConnection::new(now, config, id, Transport::WebSocket, wire);
    /// session.handle_input(now, EngineInput::WireClosed { wire });
    /// assert!(session.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.state.is_ended()
    }

    /// Whether the peer has closed the session on purpose: with a close packet, or with a close
    /// frame on its WebSocket. A lost network does neither.
    pub(crate) fn is_left(&self) -> bool {
        self.state.is_left()
    }

    /// The position that the next queued packet will get.
    pub(crate) fn queue_end(&self) -> u64 {
        self.queue.end()
    }

    /// Whether the packet at a position has left the queue. Before that, the peer cannot have seen
    /// it.
    pub(crate) fn has_left(&self, position: u64) -> bool {
        self.queue.has_left(position)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    pub(crate) fn config(&self) -> &ServerConfig {
        &self.config
    }
}
