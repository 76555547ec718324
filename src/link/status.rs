//! What a link is doing.

use super::Link;
use crate::{engine::Transport, id::EngineId};

impl Link {
    /// Returns the Engine.IO id.
    pub fn id(&self) -> EngineId {
        self.connection.id()
    }

    /// Returns the current transport.
    pub fn transport(&self) -> Transport {
        self.connection.transport()
    }

    /// Returns the bytes of packets that the client has not taken yet.
    pub fn queued_bytes(&self) -> usize {
        self.connection.queued_bytes()
    }

    /// Returns whether the connection has ended. There may still be output.
    pub fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    /// Returns whether the connection has ended and no output is left. Then the link can be
    /// dropped.
    pub fn is_finished(&self) -> bool {
        self.connection.is_closed() && self.rest.out.is_empty() && !self.has_wire_output()
    }
}
