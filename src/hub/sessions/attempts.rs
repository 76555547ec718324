//! Counts how many times in a row a client has refused the same replay.

use super::{Effect, Sessions};
use crate::{socket::Encoded, time::Timestamp};

/// The replays from one position that a session was sent. Forgotten when the client has processed
/// more.
#[derive(Debug)]
pub(super) struct Attempts {
    /// The position up to which the client had processed everything.
    position: u64,
    /// When the latest replay was sent.
    at: Timestamp,
    /// How many of the replays the client has refused.
    refused: u32,
}

impl<D> Sessions<D> {
    /// Records that the client is sent the packets that it has missed since `position`, if there
    /// are any.
    pub(super) fn begin_attempt(
        &mut self,
        now: Timestamp,
        index: u32,
        position: u64,
        is_empty: bool,
    ) -> Effect<D> {
        self.note_progress(index, position);
        let moves_on = !is_empty && self.moves_on(index, position);
        let earlier = self.attempts.remove(&index).filter(|earlier| earlier.position == position);
        let refused = earlier.map_or(0, |earlier| earlier.refused);
        if moves_on {
            self.attempts.insert(index, Attempts { position, at: now, refused });
        }
        Effect::Done
    }

    /// Records that the client has closed its link after the replay had begun to leave. A late
    /// close is ignored: a client with a bad network closes when it misses pings.
    pub(super) fn note_left(&mut self, now: Timestamp, index: u32) -> Effect<D> {
        let soon = self.config.ping_interval.saturating_add(self.config.ping_timeout);
        if let Some(attempts) = self.attempts.get_mut(&index)
            && now.saturating_since(attempts.at) < soon
        {
            attempts.refused = attempts.refused.saturating_add(1);
        }
        Effect::Done
    }

    /// Whether the client has refused the replay from that position too often.
    pub(super) fn is_refused(&self, index: u32, position: u64) -> bool {
        let limit = self.config.recovery.as_ref().map_or(u32::MAX, |it| it.replay_attempts);
        self.attempts.get(&index).is_some_and(|it| it.position == position && it.refused >= limit)
    }

    /// The first packet of the replay that the client has refused.
    pub(in crate::hub) fn first_refused(&self, index: u32) -> Option<Encoded> {
        let position = self.attempts.get(&index)?.position;
        self.missed(index, position).ok()?.into_iter().next()
    }

    /// Whether the client would come back with another offset after it has processed the replay.
    /// Events that ask for an acknowledgement have no offset.
    fn moves_on(&self, index: u32, position: u64) -> bool {
        let asks = self.config.recovery.as_ref().is_some_and(|it| it.replay_ack_events);
        let Some(member) = self.members.get(index as usize).filter(|_| asks) else {
            return true;
        };
        !member.memberships.missed(&self.log, position).is_empty()
    }
}
