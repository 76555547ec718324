//! Sessions that are held because they were claimed in time, and the cost of their claims.

use super::{Effect, Sessions};
use crate::{id::Generation, time::Timestamp};

/// The claims of a session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Claims {
    /// The number of undecided claims. The session does not expire while there are any.
    undecided: u32,
    /// The virtual time of the session in the queue of claims.
    reached: u64,
    /// What a claim has paid for its turn, if the turn is not known to have had a result. Otherwise
    /// 0.
    unused_turn: u64,
}

impl<D> Sessions<D> {
    /// Holds a session, and the packets in the log after `position`, until it is released.
    ///
    /// The bounds of the log on count and bytes still apply.
    pub(super) fn hold(&mut self, index: u32, position: Option<u64>) -> Effect<D> {
        if let Some(position) = position {
            self.log.hold(position);
        }
        self.change_holds(index, |claims| claims.undecided = claims.undecided.saturating_add(1));
        Effect::Done
    }

    /// The virtual time of a session in the queue of claims.
    pub(in crate::hub) fn reached(&self, index: u32) -> u64 {
        self.claims.get(&index).map_or(0, |claims| claims.reached)
    }

    /// Releases a session that was held with the same position, even if it has ended. Evicts the
    /// packets that have become too old meanwhile.
    pub(super) fn release(
        &mut self,
        now: Timestamp,
        index: u32,
        generation: Generation,
        position: Option<u64>,
    ) -> Effect<D> {
        if let Some(position) = position {
            self.log.release_hold(position);
            self.expire_log(now);
        }
        if self.get(index, generation).is_some() {
            self.change_holds(index, |claims| {
                claims.undecided = claims.undecided.saturating_sub(1);
            });
        }
        Effect::Done
    }

    /// Whether the session has an undecided claim.
    pub(super) fn is_held(&self, index: u32) -> bool {
        self.claims.get(&index).is_some_and(|claims| claims.undecided > 0)
    }

    /// Sets the virtual time of a session in the queue of claims.
    pub(super) fn note_reached(
        &mut self,
        index: u32,
        generation: Generation,
        reached: u64,
    ) -> Effect<D> {
        if self.get(index, generation).is_some() {
            self.claims.entry(index).or_default().reached = reached;
        }
        Effect::Done
    }

    /// Records what was paid for a turn that a later claim of the session may use.
    pub(super) fn note_turn(&mut self, index: u32, generation: Generation, paid: u64) -> Effect<D> {
        if self.get(index, generation).is_some() {
            self.claims.entry(index).or_default().unused_turn = paid;
        }
        Effect::Done
    }

    /// The tokens that a claim of a session has paid for a turn that is not known to have had a
    /// result.
    pub(in crate::hub) fn unused_turn(&self, index: u32) -> u64 {
        self.claims.get(&index).map_or(0, |claims| claims.unused_turn)
    }

    /// The number of rooms that a claim of the session has to examine.
    pub(in crate::hub) fn rooms_to_look_at(&self, index: u32) -> usize {
        self.members.get(index as usize).map_or(0, |member| member.memberships.rooms())
    }

    /// The number of packets that a claim of the session has to examine, including those that were
    /// withheld from it. Takes O(rooms · log n).
    pub(in crate::hub) fn packets_to_look_at(&self, index: u32, position: u64) -> usize {
        let member = self.members.get(index as usize);
        member.map_or(0, |member| member.memberships.packets(&self.log, position))
    }

    fn change_holds(&mut self, index: u32, change: impl FnOnce(&mut Claims)) {
        let Some(member) = self.members.get(index as usize) else {
            return;
        };
        let claims = self.claims.entry(index).or_default();
        let before = member.expiry(claims.undecided > 0);
        change(claims);
        let after = member.expiry(claims.undecided > 0);
        self.move_expiry(index, before, after);
    }

    fn move_expiry(&mut self, index: u32, before: Option<Timestamp>, after: Option<Timestamp>) {
        if let (Some(before), Some(after)) = (before, after) {
            self.expiries.remove(&(before, index));
            self.expiries.insert((after, index));
        }
    }
}
