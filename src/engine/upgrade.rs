//! The probe of an upgrade: what may happen on a WebSocket before a polling session moves to it.
//!
//! ```text
//!   client                                server
//!     │ ── WebSocket with the sid ────────▶ │  New
//!     │ ── 2probe ────────────────────────▶ │  Open: from here no GET is held for long
//!     │ ◀──────────────────────── 3probe ── │
//!     │ ── 5 ─────────────────────────────▶ │  the session moves
//! ```
//!
//! Anything else, or silence for `upgrade_timeout`, closes the new WebSocket, and polling
//! continues.
//!
//! After `3probe` a client sends nothing until its GET is answered and it can move. So a GET
//! without packets is answered with a NOOP packet: soon, but not at once. If the NOOP overtook
//! `3probe`, the client would poll once more and wait for that response.

use core::time::Duration;

use super::{EnginePacket, Frame, close_code::TOO_BIG};
use crate::{ServerConfig, Timestamp, WireId};

/// The time from `3probe` to the first NOOP packet, so that the NOOP does not overtake `3probe`.
const NOOP_DELAY: Duration = Duration::from_millis(25);
/// The time between two NOOP packets, as in the reference. It bounds how often a client polls that
/// has not received `3probe` yet.
const NOOP_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    wire: WireId,
    deadline: Timestamp,
    /// The moment from which on a GET is answered with a NOOP packet; `None` before `2probe`.
    noop_at: Option<Timestamp>,
}

/// What a frame on the new WebSocket asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProbeStep {
    /// Answer `3probe`; from now on no GET is held for long.
    Answer,
    /// Move the session.
    Upgrade,
    /// Close the new WebSocket.
    Fail { code: Option<u16> },
}

impl Probe {
    pub(super) fn new(wire: WireId, now: Timestamp, config: &ServerConfig) -> Self {
        Self { wire, deadline: now.saturating_add(config.upgrade_timeout), noop_at: None }
    }

    pub(super) fn handle_frame(
        &mut self,
        now: Timestamp,
        frame: Frame,
        max_payload: usize,
    ) -> ProbeStep {
        if frame.len() > max_payload {
            return ProbeStep::Fail { code: Some(TOO_BIG) };
        }
        match EnginePacket::decode(frame) {
            Ok(EnginePacket::Ping { probe: true }) => {
                self.noop_at.get_or_insert_with(|| now.saturating_add(NOOP_DELAY));
                ProbeStep::Answer
            }
            // The reference does not require a probe before it.
            Ok(EnginePacket::Upgrade) => ProbeStep::Upgrade,
            Ok(
                EnginePacket::Open(_)
                | EnginePacket::Close
                | EnginePacket::Ping { probe: false }
                | EnginePacket::Pong { .. }
                | EnginePacket::Message(_)
                | EnginePacket::Noop,
            )
            | Err(_) => ProbeStep::Fail { code: None },
        }
    }

    pub(super) fn wire(&self) -> WireId {
        self.wire
    }

    pub(super) fn noop_at(&self) -> Option<Timestamp> {
        self.noop_at
    }

    /// Returns whether a GET may be answered with a NOOP packet now, and counts it as answered.
    pub(super) fn take_noop(&mut self, now: Timestamp) -> bool {
        let is_due = self.noop_at.is_some_and(|at| at <= now);
        if is_due {
            self.noop_at = Some(now.saturating_add(NOOP_INTERVAL));
        }
        is_due
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.deadline
    }
}
