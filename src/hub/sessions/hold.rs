//! Sessions that are kept because they were claimed in time, and what their claims cost.

use super::{Effect, Sessions};
use crate::{id::Generation, time::Timestamp};

/// The claims of a session.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Claims {
    /// Those that are not decided: the session does not expire meanwhile.
    undecided: u32,
    /// How far they have got in the virtual time of their queue.
    reached: u64,
    /// What one has paid for its turn, if nothing is known to have come of that.
    spare_turn: u64,
}

impl<D> Sessions<D> {
    /// Keeps a session, and what the log has after `position`, until it is released.
    ///
    /// The bounds of the log on count and bytes go on.
    pub(super) fn hold(&mut self, index: u32, position: Option<u64>) -> Effect<D> {
        if let Some(position) = position {
            self.log.hold(position);
        }
        self.change_holds(index, |claims| claims.undecided = claims.undecided.saturating_add(1));
        Effect::Done
    }

    /// How far the claims of a session have got in the virtual time of their queue.
    pub(in crate::hub) fn reached(&self, index: u32) -> u64 {
        self.claims.get(&index).map_or(0, |claims| claims.reached)
    }

    /// Lets go of a session that was held with the same position, even if it is over by now, and of
    /// what has got too old meanwhile.
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

    /// Whether a claim of the session is not decided.
    pub(super) fn is_held(&self, index: u32) -> bool {
        self.claims.get(&index).is_some_and(|claims| claims.undecided > 0)
    }

    /// Notes how far the claims of a session have got in the virtual time of their queue.
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

    /// Notes what was paid for a turn that another claim of the session can make up for.
    pub(super) fn note_turn(&mut self, index: u32, generation: Generation, paid: u64) -> Effect<D> {
        if self.get(index, generation).is_some() {
            self.claims.entry(index).or_default().spare_turn = paid;
        }
        Effect::Done
    }

    /// The tokens that a claim of a session has paid for a turn of which nothing is known to have
    /// come.
    pub(in crate::hub) fn spare_turn(&self, index: u32) -> u64 {
        self.claims.get(&index).map_or(0, |claims| claims.spare_turn)
    }

    /// How many rooms a claim of the session concerns.
    pub(in crate::hub) fn rooms_to_look_at(&self, index: u32) -> usize {
        self.members.get(index as usize).map_or(0, |member| member.memberships.rooms())
    }

    /// How many packets a claim of the session concerns, those that were withheld from it included.
    /// Takes O(rooms · log n).
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
