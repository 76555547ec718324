//! The deadlines of a session: its own, and those for its peer.

use core::time::Duration;

use super::{ServerConnection, upgrade::Probe};
use crate::Timestamp;

impl ServerConnection {
    /// Returns when [`EngineInput::Timeout`](super::EngineInput::Timeout) is due. While there is output, the deadline is in the past.
    /// After a timeout at the deadline, and with no output left, it is in the future, or `None`.
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
    /// let ping = session.deadline().ok_or("a session always waits for something")?;
    /// session.handle_input(ping, EngineInput::Timeout);
    /// let frame = Frame::Text("2".into());
    /// assert_eq!(session.poll_output(), Some(EngineOutput::Send { wire, frame }));
    /// assert!(session.deadline() > Some(ping), "the pong");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        if !self.rest.events.is_empty() || self.has_wire_output() {
            return Some(self.now);
        }
        self.timer().finite()
    }

    /// The deadline of the session itself, without regard to output.
    pub(crate) fn timer(&self) -> Timestamp {
        if self.is_closed() {
            return Timestamp::NEVER;
        }
        let life = match self.life_deadline() {
            Some(deadline) => self.postpone(deadline),
            None => self.rest.heartbeat.deadline(),
        };
        let Some(probe) = self.state.probe() else {
            return life;
        };
        let noop_at = probe.noop_at().filter(|_| self.state.has_get());
        let probe = self.postpone(probe.deadline()).min(noop_at.unwrap_or(Timestamp::NEVER));
        probe.min(life)
    }

    /// The earliest deadline for something that the peer must do.
    pub(super) fn peer_deadline(&self) -> Timestamp {
        let probe = self.state.probe().map_or(Timestamp::NEVER, Probe::deadline);
        probe.min(self.life_deadline().unwrap_or(Timestamp::NEVER))
    }

    /// When the session ends if its peer does nothing. While it is closing, the heartbeat does not
    /// apply.
    fn life_deadline(&self) -> Option<Timestamp> {
        let closing = self.state.closing().map(|closing| closing.deadline);
        closing.or_else(|| self.rest.heartbeat.pong_deadline())
    }

    /// Whether a peer that had time until `deadline` can be judged now, if the timers of the owner
    /// are late by `lateness`. See [`grace`](crate::grace).
    #[inline]
    pub(crate) fn may_judge(&mut self, lateness: Duration, deadline: Timestamp) -> bool {
        let longest = self.config.ping_timeout;
        self.rest.grace.may_judge_after(lateness, self.now, deadline, longest)
    }

    /// When a deadline for the peer is judged.
    pub(crate) fn postpone(&self, deadline: Timestamp) -> Timestamp {
        self.rest.grace.postpone(deadline)
    }
}
