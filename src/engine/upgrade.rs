//! The probe of an upgrade: what a WebSocket may say before a polling session moves to it.
//!
//! ```text
//!   client                                server
//!     │ ── WebSocket with the sid ────────▶ │  New
//!     │ ── 2probe ────────────────────────▶ │  Open: from here every GET is answered at once
//!     │ ◀──────────────────────── 3probe ── │
//!     │ ── 5 ─────────────────────────────▶ │  the session moves
//! ```
//!
//! Anything else, or nothing for `upgrade_timeout`, closes the new WebSocket; polling goes on.

use super::{Frame, Packet};
use crate::{ServerConfig, Timestamp, WireId};

/// "Message too big", the one status code that the reference closes a WebSocket with.
pub(super) const TOO_BIG: u16 = 1009;
/// "Policy violation": for who sends too fast, which the reference does not notice.
pub(super) const TOO_FAST: u16 = 1008;

#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    wire: WireId,
    deadline: Timestamp,
    /// Whether `2probe` was seen.
    open: bool,
}

/// What a frame on the new WebSocket asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProbeStep {
    /// Answer `3probe` and hold no GET back from here on.
    Answer,
    /// Move the session.
    Upgrade,
    /// Close the new WebSocket.
    Fail { code: Option<u16> },
}

impl Probe {
    pub(super) fn new(wire: WireId, now: Timestamp, config: &ServerConfig) -> Self {
        Self { wire, deadline: now.saturating_add(config.upgrade_timeout), open: false }
    }

    pub(super) fn handle_frame(&mut self, frame: Frame, max_payload: usize) -> ProbeStep {
        if frame.len() > max_payload {
            return ProbeStep::Fail { code: Some(TOO_BIG) };
        }
        match Packet::decode(frame) {
            Ok(Packet::Ping { probe: true }) => {
                self.open = true;
                ProbeStep::Answer
            }
            // The reference does not insist on a probe before it.
            Ok(Packet::Upgrade) => ProbeStep::Upgrade,
            Ok(
                Packet::Open(_)
                | Packet::Close
                | Packet::Ping { probe: false }
                | Packet::Pong { .. }
                | Packet::Message(_)
                | Packet::Noop,
            )
            | Err(_) => ProbeStep::Fail { code: None },
        }
    }

    pub(super) fn wire(&self) -> WireId {
        self.wire
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.deadline
    }
}
