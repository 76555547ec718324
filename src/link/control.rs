//! What the owner of a link asks of it besides its inputs.

use super::Link;
use crate::{engine::CloseReason, id::WireId, time::Timestamp};

impl Link {
    /// Closes the connection. Queued packets are sent first, unless `reason` is a shutdown.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::{CloseReason, EngineInput, EngineOutput, Frame, Transport};
    /// # use socketio_proto::link::{Link, LinkOutput};
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let (config, now, wire) = (Arc::new(ServerConfig::new()), Timestamp::ZERO, WireId(1));
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let mut link = Link::new(now, config, id, Transport::WebSocket, wire);
    /// link.close(now, CloseReason::ForcedClose);
    /// assert!(link.is_closed());
    /// ```
    pub fn close(&mut self, now: Timestamp, reason: CloseReason) {
        let now = self.connection.advance(now);
        match reason {
            CloseReason::ServerShutdown => self.connection.abort(reason),
            _ => self.connection.close(now, reason),
        }
        self.handle_engine();
    }

    /// Stops sending on a WebSocket whose peer does not read. What is emitted from now on counts
    /// against [`Limits::queued_bytes`](crate::Limits::queued_bytes); what was queued before does
    /// not.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::{CloseReason, EngineInput, EngineOutput, Frame, Transport};
    /// # use socketio_proto::link::{Link, LinkOutput};
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let (config, now, wire) = (Arc::new(ServerConfig::new()), Timestamp::ZERO, WireId(1));
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let mut link = Link::new(now, config, id, Transport::WebSocket, wire);
    /// # while link.poll_output().is_some() {}
    /// link.pause(wire);
    /// assert!(link.poll_output().is_none(), "frames wait");
    /// link.resume(wire);
    /// ```
    pub fn pause(&mut self, wire: WireId) {
        self.connection.pause(wire);
    }

    /// Resumes sending on a WebSocket after [`pause`](Self::pause).
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use socketio_proto::engine::{CloseReason, EngineInput, EngineOutput, Frame, Transport};
    /// # use socketio_proto::link::{Link, LinkOutput};
    /// # use socketio_proto::{EngineId, ServerConfig, Timestamp, WireId};
    /// # let (config, now, wire) = (Arc::new(ServerConfig::new()), Timestamp::ZERO, WireId(1));
    /// # let id = EngineId::parse("AAAAAAAAAAAAAAAAAAAA").unwrap();
    /// # let mut link = Link::new(now, config, id, Transport::WebSocket, wire);
    /// link.pause(wire);
    /// link.resume(wire);
    /// assert!(link.poll_output().is_some(), "the handshake");
    /// ```
    pub fn resume(&mut self, wire: WireId) {
        self.connection.resume(wire);
        // A closing connection that was only waiting for its peer is over now.
        self.handle_engine();
    }
}
