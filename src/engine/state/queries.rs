//! Questions about a state. Nothing changes here.

use super::{Carrier, Closing, Life, Over, State};
use crate::{
    Timestamp, WireId,
    engine::{Transport, upgrade::Probe},
};

impl State {
    pub(in crate::engine) fn probe(&self) -> Option<&Probe> {
        match &self.carrier {
            Carrier::Polling(polling) => polling.probe.as_ref(),
            Carrier::WebSocket { .. } => None,
        }
    }

    pub(in crate::engine) fn transport(&self) -> Transport {
        match self.carrier {
            Carrier::Polling(_) => Transport::Polling,
            Carrier::WebSocket { .. } => Transport::WebSocket,
        }
    }

    /// Whether frames on this wire belong to the session.
    pub(in crate::engine) fn is_websocket(&self, target: WireId) -> bool {
        match self.carrier {
            Carrier::WebSocket { wire, lost, .. } => !self.is_ended() && !lost && wire == target,
            Carrier::Polling(_) => false,
        }
    }

    pub(in crate::engine) fn has_get(&self) -> bool {
        matches!(&self.carrier, Carrier::Polling(polling) if polling.get.is_some())
    }

    /// The moment from which on the client of a polling session could have sent a GET. `None` while
    /// one waits, and on a WebSocket.
    pub(in crate::engine) fn idle_since(&self) -> Option<Timestamp> {
        match &self.carrier {
            Carrier::Polling(polling) if polling.get.is_none() => Some(polling.answered_at),
            Carrier::Polling(_) | Carrier::WebSocket { .. } => None,
        }
    }

    pub(in crate::engine) fn is_paused(&self) -> bool {
        matches!(self.carrier, Carrier::WebSocket { paused: true, .. })
    }

    /// The WebSocket, if it takes frames now. After the end it still takes the frames queued
    /// before.
    pub(in crate::engine) fn writable_websocket(&self) -> Option<WireId> {
        if let Some(Over::Ended { close }) = self.over() {
            return close.map(|close| close.wire);
        }
        match &self.carrier {
            Carrier::WebSocket { wire, lost: false, paused: false, .. } => Some(*wire),
            Carrier::WebSocket { .. } | Carrier::Polling(_) => None,
        }
    }

    pub(in crate::engine) fn has_last_close(&self) -> bool {
        matches!(self.over(), Some(Over::Ended { close: Some(_) }))
    }

    pub(in crate::engine) fn closing(&self) -> Option<Closing> {
        match self.over()? {
            Over::Closing(closing) => Some(*closing),
            Over::Ended { .. } => None,
        }
    }

    pub(in crate::engine) fn is_open(&self) -> bool {
        matches!(self.life, Life::Open)
    }

    pub(in crate::engine) fn is_ended(&self) -> bool {
        matches!(self.over(), Some(Over::Ended { .. }))
    }

    pub(in crate::engine) fn is_left(&self) -> bool {
        match &self.carrier {
            Carrier::Polling(polling) => polling.left,
            Carrier::WebSocket { left, .. } => *left,
        }
    }

    pub(super) fn over(&self) -> Option<&Over> {
        match &self.life {
            Life::Open => None,
            Life::Over(over) => Some(over),
        }
    }
}
