//! The heartbeat: the server pings, the client answers, and never are two pings in flight.
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
//! It belongs to the session and not to a transport, so an upgrade neither pauses nor forgets it.

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
    /// The next thing is a ping.
    Idle,
    /// A ping is out.
    Awaiting,
    /// A ping is out and its deadline was moved; it will not be moved again.
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

    /// The peer was sent the ping.
    pub(super) fn handle_ping_taken(&mut self) {
        self.is_taken = true;
    }

    /// A pong came. If a ping was sent the interval starts over; a pong that nobody asked for means
    /// nothing, so that nobody can live on them without reading.
    pub(super) fn handle_pong(&mut self, now: Timestamp, config: &ServerConfig) {
        if self.is_taken {
            *self = Self::new(now, config);
        }
    }

    /// A packet other than a pong came. While a pong is awaited the first such packet proves that
    /// the peer is alive and that its pong may be queued behind more data.
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
                // A timer that fires late is the server's own affair: who says nothing is gone when
                // the handshake said so. Half of the time is left to answer even so.
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
