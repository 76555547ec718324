//! The rooms of sessions: joining, leaving, places in the lists of sockets, and freeing unused
//! rooms.

use smallvec::SmallVec;

use super::{Effect, Member, Sessions, member::Place};
use crate::{
    hub::{
        error::RoomError,
        rooms::{Occupant, Rooms},
    },
    recovery::RoomId,
};

impl<D> Sessions<D> {
    /// Checks whether a session may join a room. Returns false if it is already in the room.
    pub(in crate::hub) fn check_join(&self, index: u32, name: &str) -> Result<bool, RoomError> {
        let limits = &self.config.limits;
        let member = self.members.get(index as usize).ok_or(RoomError::UnknownSocket)?;
        if self.find_room(name).is_some_and(|room| member.memberships.is_in(room)) {
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
        let room = match self.find_room(name) {
            Some(room) if member.memberships.is_in(room) => return Effect::None,
            Some(room) => self.share(room),
            None => self.rooms.find_or_create(name),
        };
        self.enter(index, room);
        self.forget_past(index);
        Effect::Done
    }

    /// Leaves a room from the next packet on, unless it is the one named after the session's id.
    pub(super) fn leave(&mut self, index: u32, name: &str) -> Effect<D> {
        let Some(room) = self.find_room(name) else {
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
        self.vacate(room, membership.slot, is_live);
        if is_kept {
            self.rooms.retain_past(room);
        }
        self.forget_past(index);
        self.free_if_unused(room);
        Effect::Done
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
        self.log.occupy(room);
        let slot = place_in(&mut self.rooms, room, index, member.place);
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
        if let Some(expiry) = member.expiry(is_held) {
            self.expiries.insert((expiry, index));
        }
        let rooms: SmallVec<[(RoomId, u32); 8]> =
            member.memberships.current().iter().map(|entry| (entry.room, entry.slot)).collect();
        for (room, slot) in rooms {
            self.vacate(room, slot, was_live);
            let slot = place_in(&mut self.rooms, room, index, place);
            self.set_slot(index, room, slot);
        }
    }

    pub(super) fn vacate(&mut self, room: RoomId, slot: u32, is_live: bool) {
        let moved =
            if is_live { self.rooms.exit(room, slot) } else { self.rooms.exit_parked(room, slot) };
        if let Some(moved) = moved {
            self.set_slot(moved, room, slot);
        }
    }

    pub(super) fn forget_past(&mut self, index: u32) {
        let limit = self.memberships_limit();
        let Some(member) = self.members.get_mut(index as usize) else {
            return;
        };
        for room in member.memberships.forget(&self.log, limit) {
            self.rooms.release_past(room);
            self.free_if_unused(room);
        }
    }

    /// Frees a room that nothing refers to any more.
    pub(super) fn free_if_unused(&mut self, room: RoomId) {
        let is_unused = match room.owner() {
            Some(owner) => !self.members.contains(owner as usize),
            None => self.rooms.is_unused(room),
        };
        if is_unused {
            self.log.vacate(room);
            if !self.log.refers_to(room) {
                self.log.remove_room(room);
                self.rooms.remove(room);
            }
        }
    }

    /// Frees rooms that only the log referred to.
    pub(super) fn free_released(&mut self) {
        for room in self.log.take_released() {
            self.free_if_unused(room);
        }
    }

    /// The number of rooms of a session that count towards the limit, including its own room.
    fn counted_rooms(&self, member: &Member<D>) -> usize {
        // The room of everyone is a membership that does not count. Once another session has joined
        // the session's own room, that room has a second membership, which does not count either.
        let uncounted = if self.alone.contains_key(&member.id) { 1 } else { 2 };
        member.memberships.current().len().saturating_sub(uncounted)
    }

    fn set_slot(&mut self, index: u32, room: RoomId, slot: u32) {
        let member = self.members.get_mut(index as usize);
        if let Some(membership) = member.and_then(|member| member.memberships.get_mut(room)) {
            membership.slot = slot;
        }
    }
}

/// Adds a session to a list of a room. Returns its place there.
fn place_in(rooms: &mut Rooms, room: RoomId, index: u32, place: Place) -> u32 {
    match place {
        Place::Live(connection) => rooms.enter(room, Occupant { connection, socket: index }),
        Place::Parked { .. } => rooms.enter_parked(room, index),
    }
}
