//! The rooms that the log refers to, as sessions and packets come and go.

use alloc::vec::Vec;
use core::mem;

use smallvec::SmallVec;

use super::RecoveryBuffer;
use crate::recovery::room::{Excepted, RoomId, RoomTrack};

impl RecoveryBuffer {
    /// Whether a packet in the log names `room`.
    pub(crate) fn refers_to(&self, room: RoomId) -> bool {
        self.tracks.get(room).is_some_and(|track| track.references > 0)
    }

    /// A session joins `room`.
    pub(crate) fn occupy(&mut self, room: RoomId) {
        if let Some(track) = self.tracks.get_mut(room) {
            track.is_vacant = false;
        }
    }

    /// No session is in `room` any more, or was in it at any position that is still in the log. So
    /// evictions from it, and exceptions for it, no longer concern any session.
    pub(crate) fn vacate(&mut self, room: RoomId) {
        let Some(track) = self.tracks.get_mut(room) else { return };
        track.is_vacant = true;
        let named_by = mem::take(&mut track.named_by);
        let classes: SmallVec<[Excepted; 2]> = track.take_classes().collect();
        for target in named_by {
            self.track(target).disregard(room);
        }
        for except in classes.iter().flatten() {
            self.track(*except).named_by.remove(&room);
        }
    }

    /// Forgets everything about `room`, whose id will be reused for another room.
    pub(crate) fn remove_room(&mut self, room: RoomId) {
        debug_assert!(!self.refers_to(room), "a room that is referred to keeps its id");
        self.tracks.remove(room);
    }

    /// Rooms that the log has stopped referring to since the last call.
    pub(crate) fn take_released(&mut self) -> Vec<RoomId> {
        mem::take(&mut self.released)
    }

    pub(super) fn track(&mut self, room: RoomId) -> &mut RoomTrack {
        self.tracks.get_or_create(room)
    }

    pub(super) fn retain(&mut self, room: RoomId) {
        let track = self.track(room);
        track.references = track.references.saturating_add(1);
    }

    pub(super) fn release(&mut self, rooms: &[RoomId]) {
        for room in rooms {
            let track = self.track(*room);
            track.references = track.references.saturating_sub(1);
            if track.references == 0 && *room != RoomId::ALL {
                self.released.push(*room);
            }
        }
    }
}
