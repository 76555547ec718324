//! The probe of an upgrade: what a WebSocket may say before a polling session moves to it.
//!
//! ```text
//!   client                                server
//!     │ ── WebSocket with the sid ────────▶ │  New
//!     │ ── 2probe ────────────────────────▶ │  Open: from here no GET is held for long
//!     │ ◀──────────────────────── 3probe ── │
//!     │ ── 5 ─────────────────────────────▶ │  the session moves
//! ```
//!
//! Anything else, or nothing for `upgrade_timeout`, closes the new WebSocket; polling goes on.
//!
//! A client that got `3probe` sends nothing until its GET is answered and it can move. So a GET that
//! there is nothing for is answered with a NOOP packet: soon, but not at once. Were it to overtake
//! `3probe`, the client would poll once more and wait for the answer to that.

use core::time::Duration;

use super::{Frame, Packet, close_code::TOO_BIG};
use crate::{ServerConfig, Timestamp, WireId};

/// The time from `3probe` to the first NOOP packet, by which they may differ on their ways.
const NOOP_DELAY: Duration = Duration::from_millis(25);
/// The time between two NOOP packets, as in the reference. A client that polls in the meantime, since it
/// has not heard `3probe`, does not do so all the time.
const NOOP_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    wire: WireId,
    deadline: Timestamp,
    /// From when on a GET is answered with a NOOP packet; `None` until `2probe` is seen.
    noop_at: Option<Timestamp>,
}

/// What a frame on the new WebSocket asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProbeStep {
    /// Answer `3probe` and hold no GET back for long from here on.
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
        match Packet::decode(frame) {
            Ok(Packet::Ping { probe: true }) => {
                self.noop_at.get_or_insert_with(|| now.saturating_add(NOOP_DELAY));
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
