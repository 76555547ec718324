//! What a link is doing.

use super::Link;
use crate::{engine::Transport, id::EngineId};

impl Link {
    /// Returns the Engine.IO id.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::{CloseReason, EngineInput, EngineOutput, Frame, Transport};
    /// # use socketio_proto::link::{Link, LinkOutput};
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let (config, now, wire) = (Arc::new(ServerConfig::new()), Timestamp::ZERO, WireId(1));
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let mut link = Link::new(now, config, id, Transport::WebSocket, wire);
    /// assert_eq!(link.id(), id);
    /// ```
    pub fn id(&self) -> EngineId {
        self.connection.id()
    }

    /// Returns the current transport.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::{CloseReason, EngineInput, EngineOutput, Frame, Transport};
    /// # use socketio_proto::link::{Link, LinkOutput};
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let (config, now, wire) = (Arc::new(ServerConfig::new()), Timestamp::ZERO, WireId(1));
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let mut link = Link::new(now, config, id, Transport::WebSocket, wire);
    /// assert_eq!(link.transport(), Transport::WebSocket);
    /// ```
    pub fn transport(&self) -> Transport {
        self.connection.transport()
    }

    /// Returns the bytes of packets that the client has not taken yet.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::{CloseReason, EngineInput, EngineOutput, Frame, Transport};
    /// # use socketio_proto::link::{Link, LinkOutput};
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let (config, now, wire) = (Arc::new(ServerConfig::new()), Timestamp::ZERO, WireId(1));
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let mut link = Link::new(now, config, id, Transport::WebSocket, wire);
    /// assert!(link.queued_bytes() > 0, "the handshake");
    /// while link.poll_output().is_some() {}
    /// assert_eq!(link.queued_bytes(), 0);
    /// ```
    pub fn queued_bytes(&self) -> usize {
        self.connection.queued_bytes()
    }

    /// Returns whether the connection has ended. There may still be output.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::{CloseReason, EngineInput, EngineOutput, Frame, Transport};
    /// # use socketio_proto::link::{Link, LinkOutput};
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let (config, now, wire) = (Arc::new(ServerConfig::new()), Timestamp::ZERO, WireId(1));
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let mut link = Link::new(now, config, id, Transport::WebSocket, wire);
    /// link.handle_input(now, EngineInput::WireClosed { wire });
    /// assert!(link.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    /// Returns whether the connection has ended and no output is left. Then the link can be
    /// dropped.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::{CloseReason, EngineInput, EngineOutput, Frame, Transport};
    /// # use socketio_proto::link::{Link, LinkOutput};
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let (config, now, wire) = (Arc::new(ServerConfig::new()), Timestamp::ZERO, WireId(1));
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let mut link = Link::new(now, config, id, Transport::WebSocket, wire);
    /// link.handle_input(now, EngineInput::WireClosed { wire });
    /// assert!(!link.is_finished(), "the end is to be reported");
    /// while link.poll_output().is_some() {}
    /// assert!(link.is_finished());
    /// ```
    pub fn is_finished(&self) -> bool {
        self.connection.is_closed() && self.rest.out.is_empty() && !self.has_wire_output()
    }
}
