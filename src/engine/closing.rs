//! How a session ends.

use super::{
    CloseReason, EngineEvent, EnginePacket, Response, ServerConnection, Transport, server::encoded,
};
use crate::Timestamp;

impl ServerConnection {
    /// Closes the session as soon as the peer has taken what is queued for it, or after
    /// `close_timeout`. From now on nothing more is sent or received.
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
    /// session.send(now, Payload::Text("goodbye".into()))?;
    /// session.close(now, CloseReason::ForcedClose);
    /// let outputs: Vec<_> = std::iter::from_fn(|| session.poll_output()).collect();
    /// let reason = CloseReason::ForcedClose;
    /// assert_eq!(outputs[0], EngineOutput::Event(EngineEvent::Closed { reason }));
    /// assert_eq!(outputs[1], EngineOutput::Send { wire, frame: Frame::Text("4goodbye".into()) });
    /// assert_eq!(outputs[2], EngineOutput::Close { wire, code: None });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&mut self, now: Timestamp, reason: CloseReason) {
        let now = self.advance(now);
        if !self.is_open() {
            return;
        }
        let waits = match self.transport() {
            // Even if nothing is queued, the peer must get a close packet.
            Transport::Polling => !self.state.has_get(),
            // A WebSocket that is not paused has taken everything.
            Transport::WebSocket => {
                self.state.writable_websocket().is_none() && !self.queue.is_empty()
            }
        };
        if !waits {
            self.end(reason);
            return;
        }
        self.state.begin_close(now.saturating_add(self.config.close_timeout), reason);
    }

    /// Closes the session at once. Packets that the peer has not taken are dropped. A WebSocket
    /// that is not paused has taken everything.
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
    /// session.abort(CloseReason::ServerShutdown);
    /// assert!(session.is_closed());
    /// assert_eq!(session.send(now, Payload::Text("late".into())), Err(SendError::Closed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn abort(&mut self, reason: CloseReason) {
        self.end(reason);
    }

    /// Ends the session, unless it has ended already, and finishes its wires.
    pub(super) fn end(&mut self, reason: CloseReason) {
        let Some(released) = self.state.end(reason) else {
            return;
        };
        if !released.flush {
            self.queue.clear();
        }
        if let Some(wire) = released.get {
            // A close packet of the peer is not answered with another one.
            let by_peer = reason == CloseReason::TransportClose;
            let packet = if by_peer { EnginePacket::Noop } else { EnginePacket::Close };
            self.respond(wire, Response::packets(encoded(&packet)));
        }
        for wire in [released.post, released.probe].into_iter().flatten() {
            self.finish(wire, None);
        }
        self.emit(EngineEvent::Closed { reason });
    }
}
