//! The rooms of sessions: joining, leaving, and slots in the lists of sockets.

use smallvec::SmallVec;

use super::{Effect, Member, Recipients, Sessions, member::Place};
use crate::{hub::error::RoomError, recovery::RoomId};

impl<D> Sessions<D> {
    /// Checks whether a session may join a room. Returns false if it is already in the room.
    pub(in crate::hub) fn check_join(&self, index: u32, name: &str) -> Result<bool, RoomError> {
        let limits = &self.config.limits;
        let member = self.members.get(index as usize).ok_or(RoomError::UnknownSocket)?;
        if self.log.rooms().find(name).is_some_and(|room| member.memberships.is_in(room)) {
            return Ok(false);
        }
        if name.len() > limits.room_name_bytes {
            return Err(RoomError::NameTooLong { limit: limits.room_name_bytes });
        }
        if self.counted_rooms(member) >= limits.rooms_per_socket {
            return Err(RoomError::TooManyRooms { limit: limits.rooms_per_socket });
        }
        Ok(true)
    }

    /// Joins a room from the next packet on.
    pub(super) fn join(&mut self, index: u32, name: &str) -> Effect<D> {
        let Some(member) = self.members.get(index as usize) else {
            return Effect::None;
        };
        let found = self.log.rooms().find(name);
        if found.is_some_and(|room| member.memberships.is_in(room)) {
            return Effect::None;
        }
        let room = self.shared_or_new(found, name);
        self.enter(index, room);
        self.forget_past(index);
        #[cfg(feature = "record")]
        self.record_joined(index, name);
        Effect::Done
    }

    /// Leaves a room from the next packet on, unless it is the one named after the session's id.
    pub(super) fn leave(&mut self, index: u32, name: &str) -> Effect<D> {
        let Some(room) = self.log.rooms().find(name) else {
            return Effect::None;
        };
        let limit = self.memberships_limit();
        let Some(member) = self.members.get_mut(index as usize) else {
            return Effect::None;
        };
        if name == member.id.as_str() {
            return Effect::None;
        }
        let is_live = member.is_live();
        let Some((membership, is_kept)) = member.memberships.leave(&self.log, room, limit) else {
            return Effect::None;
        };
        let moved = self.log.rooms_mut().leave(room, (membership.slot, is_live), is_kept);
        self.set_slot(moved, room, membership.slot);
        self.forget_past(index);
        #[cfg(feature = "record")]
        self.record_left(index, name);
        Effect::Done
    }

    /// Joins all recipients to a room, except those that may not join it.
    pub(super) fn join_all(&mut self, to: &Recipients<'_>, room: &str) -> Effect<D> {
        let (mut changed, mut refused) = (0, 0);
        for index in self.select(to) {
            match self.check_join(index, room) {
                Ok(true) if self.join(index, room).is_done() => changed += 1,
                Err(RoomError::TooManyRooms { .. } | RoomError::NameTooLong { .. }) => refused += 1,
                Ok(_) | Err(RoomError::UnknownSocket) => {}
            }
        }
        Effect::Counted { changed, refused }
    }

    /// Removes all recipients from a room.
    pub(super) fn leave_all(&mut self, to: &Recipients<'_>, room: &str) -> Effect<D> {
        let selected = self.select(to).into_iter();
        let changed = selected.filter(|index| self.leave(*index, room).is_done()).count();
        Effect::Counted { changed, refused: 0 }
    }

    /// The room with that name, as a room that any session can be in. If it does not exist, it is
    /// created, and must be used before anything else happens.
    pub(super) fn room_to_join(&mut self, name: &str) -> RoomId {
        let found = self.log.rooms().find(name);
        self.shared_or_new(found, name)
    }

    fn shared_or_new(&mut self, found: Option<RoomId>, name: &str) -> RoomId {
        match found {
            Some(room) => self.share(room),
            None => self.log.rooms_mut().find_or_create(name),
        }
    }

    pub(super) fn memberships_limit(&self) -> usize {
        self.config.recovery.as_ref().map_or(0, |recovery| recovery.memberships)
    }

    pub(super) fn enter(&mut self, index: u32, room: RoomId) {
        let limit = self.memberships_limit();
        let Some(member) = self.members.get_mut(index as usize) else {
            return;
        };
        member.memberships.join(&self.log, room, limit);
        let slot = self.log.rooms_mut().enter(room, index, member.connection());
        if let Some(membership) = member.memberships.get_mut(room) {
            membership.slot = slot;
        }
    }

    /// Moves a session between the lists of connected and of parked sockets, or to another link.
    pub(super) fn relocate(&mut self, index: u32, place: Place) {
        let is_held = self.is_held(index);
        let Some(member) = self.members.get_mut(index as usize) else {
            return;
        };
        let was_live = member.is_live();
        if let Some(expiry) = member.expiry(is_held) {
            self.expiries.remove(&(expiry, index));
        }
        member.place = place;
        let connection = member.connection();
        if let Some(expiry) = member.expiry(is_held) {
            self.expiries.insert((expiry, index));
        }
        let rooms: SmallVec<[(RoomId, u32); 8]> =
            member.memberships.current().iter().map(|entry| (entry.room, entry.slot)).collect();
        for (room, slot) in rooms {
            let rooms = self.log.rooms_mut();
            let (new, moved) = rooms.relocate(room, (slot, was_live), index, connection);
            self.set_slot(moved, room, slot);
            self.set_slot(Some(index), room, new);
        }
    }

    pub(super) fn forget_past(&mut self, index: u32) {
        let limit = self.memberships_limit();
        let Some(member) = self.members.get_mut(index as usize) else {
            return;
        };
        for room in member.memberships.forget(&self.log, limit) {
            self.log.rooms_mut().release_past(room);
        }
    }

    /// Records that a session now has this slot in the list of a room.
    pub(super) fn set_slot(&mut self, index: Option<u32>, room: RoomId, slot: u32) {
        let member = index.and_then(|index| self.members.get_mut(index as usize));
        if let Some(membership) = member.and_then(|member| member.memberships.get_mut(room)) {
            membership.slot = slot;
        }
    }

    /// The number of rooms of a session that count towards the limit, including its own room.
    fn counted_rooms(&self, member: &Member<D>) -> usize {
        // The room of everyone is a membership that does not count. Once another session has joined
        // the session's own room, that room has a second membership, which does not count either.
        let uncounted = if self.log.rooms().is_alone(member.id) { 1 } else { 2 };
        member.memberships.current().len().saturating_sub(uncounted)
    }
}
