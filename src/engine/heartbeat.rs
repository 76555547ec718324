//! The heartbeat: the server pings, and the client answers. There are never two pings in flight.
//!
//! ```text
//!            ping_interval passed: ping
//!   Idle ───────────────────────────────▶ Awaiting ──┐ another packet: once more ping_timeout
//!    ▲                                     │    │    ▼
//!    │       pong, once the ping was taken │    │  Extended
//!    └─────────────────────────────────────┴────┼────┤
//!                                               ▼    ▼
//!                          ping_timeout passed: the peer is gone
//! ```
//!
//! It belongs to the session, not to a transport, so an upgrade neither pauses nor resets it.

use crate::{ServerConfig, Timestamp};

#[derive(Clone, Copy, Debug)]
pub(super) struct Heartbeat {
    deadline: Timestamp,
    phase: Phase,
    /// Whether the ping has left the queue.
    is_taken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The next step is a ping.
    Idle,
    /// A ping was sent, and no pong has arrived.
    Awaiting,
    /// The same, and the deadline was extended once. It is not extended again.
    Extended,
}

/// What a timeout asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// It came too early.
    Nothing,
    /// Send a ping.
    Ping,
    /// The pong did not come.
    Dead,
}

impl Heartbeat {
    pub(super) fn new(now: Timestamp, config: &ServerConfig) -> Self {
        Self {
            deadline: now.saturating_add(config.ping_interval),
            phase: Phase::Idle,
            is_taken: false,
        }
    }

    /// The ping has left the queue.
    pub(super) fn handle_ping_taken(&mut self) {
        self.is_taken = true;
    }

    /// A pong arrived. If a ping was sent, the interval starts again. An unsolicited pong counts
    /// for nothing, so that a client cannot stay alive with pongs without reading.
    pub(super) fn handle_pong(&mut self, now: Timestamp, config: &ServerConfig) {
        if self.is_taken {
            *self = Self::new(now, config);
        }
    }

    /// A packet other than a pong arrived. While a pong is awaited, the first such packet proves
    /// that the peer is alive, and that its pong may be queued behind more data.
    pub(super) fn handle_packet(&mut self, now: Timestamp, config: &ServerConfig) {
        match self.phase {
            Phase::Awaiting => {
                self.phase = Phase::Extended;
                self.deadline = now.saturating_add(config.ping_timeout);
            }
            Phase::Idle | Phase::Extended => {}
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Timestamp, config: &ServerConfig) -> Beat {
        if now < self.deadline {
            return Beat::Nothing;
        }
        match self.phase {
            Phase::Idle => {
                self.phase = Phase::Awaiting;
                // The peer does not get more time because the server's timer fired late: the
                // handshake told it when it has to answer. But it keeps at least half of the time.
                let told = self.deadline.saturating_add(config.ping_timeout);
                self.deadline = told.max(now.saturating_add(config.ping_timeout / 2));
                Beat::Ping
            }
            Phase::Awaiting | Phase::Extended => Beat::Dead,
        }
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// Until when a pong is waited for.
    pub(super) fn pong_deadline(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Idle => None,
            Phase::Awaiting | Phase::Extended => Some(self.deadline),
        }
    }
}
