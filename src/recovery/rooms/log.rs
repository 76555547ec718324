//! What the log knows about the rooms, as packets come and go.

use alloc::{boxed::Box, vec::Vec};
use core::mem;

use super::Rooms;
use crate::recovery::{
    addressees::Addressees,
    room::{Excepted, RoomId},
    room_log::RoomLog,
};

impl Rooms {
    /// A packet enters the log. A packet that asks for an acknowledgement is not found by its room.
    pub(in crate::recovery) fn append(&mut self, sequence: u64, to: &Addressees, asks: bool) {
        for room in &to.targets {
            self.retain(*room);
            if !asks && let Some(log) = self.log_or_create(*room) {
                log.push(sequence);
            }
        }
        for room in &to.except {
            self.retain(*room);
        }
    }

    /// The oldest packet leaves the log. The arguments are those with which it was appended.
    pub(in crate::recovery) fn evict(
        &mut self,
        sequence: u64,
        targets: &[RoomId],
        except: &[RoomId],
        asks: bool,
    ) {
        if !asks {
            let is_occupied = |room: &RoomId| !self.is_vacant(*room);
            let occupied: Excepted = except.iter().copied().filter(is_occupied).collect();
            for target in targets {
                self.evict_from(*target, sequence, &occupied);
            }
        }
        for room in targets.iter().chain(except) {
            self.release(*room);
        }
    }

    /// What the log knows about a room, if it knows anything.
    pub(in crate::recovery) fn log(&self, room: RoomId) -> Option<&RoomLog> {
        match room.owner() {
            Some(owner) => self.own.get(&owner).map(Box::as_ref),
            None => self.get(room)?.log.as_deref(),
        }
    }

    /// All rooms that the log knows.
    pub(in crate::recovery) fn logs(&self) -> impl Iterator<Item = (RoomId, &RoomLog)> {
        let shared = (0..).map(RoomId).zip(&self.slots);
        let shared = shared.filter_map(|(id, room)| Some((id, room.log.as_deref()?)));
        shared.chain(self.own.iter().map(|(owner, log)| (RoomId::own(*owner), &**log)))
    }

    /// The latest evicted packet that is not recorded for its room, because the room was vacant.
    ///
    /// No session of this process can miss this packet, or an earlier one that is not recorded. But
    /// a session that comes from another process may have been in the room.
    pub(crate) fn unrecorded(&self) -> u64 {
        self.unrecorded
    }

    /// Evictions up to `sequence` may not be recorded for their rooms.
    pub(in crate::recovery) fn note_unrecorded(&mut self, sequence: u64) {
        self.unrecorded = self.unrecorded.max(sequence);
    }

    /// Restores the evictions from a room.
    pub(in crate::recovery) fn restore_evictions(
        &mut self,
        room: RoomId,
        unexcepted: u64,
        sets: Vec<(Excepted, u64)>,
    ) {
        let named: Excepted = sets.iter().flat_map(|(set, _)| set).copied().collect();
        if let Some(log) = self.log_or_create(room) {
            log.evictions.restore(unexcepted, sets);
            self.index_exceptions(room, &named);
        }
    }

    /// Forgets the evictions from a room that has become vacant, and removes it from all sets of
    /// exceptions. No session of this process can have been in it, so this changes no answer.
    pub(super) fn forget_evictions(&mut self, room: RoomId) {
        let Some(log) = self.log_mut(room) else { return };
        let (evictions, excepted_by) =
            (mem::take(&mut log.evictions), mem::take(&mut log.excepted_by));
        if room.owner().is_none() {
            self.note_unrecorded(evictions.last(|_| false));
        }
        for (set, _) in evictions.excepted() {
            self.index_exceptions(room, set);
        }
        for target in excepted_by {
            let target_log = self.log_mut(target);
            let dropped = target_log.map(|log| log.evictions.remove_exception(room));
            self.index_exceptions(target, &dropped.unwrap_or_default());
        }
    }

    /// Forgets everything about an own room.
    pub(super) fn remove_own_log(&mut self, owner: u32) {
        self.forget_evictions(RoomId::own(owner));
        self.own.remove(&owner);
    }

    /// Records that a packet left the log, which was for `target`.
    fn evict_from(&mut self, target: RoomId, sequence: u64, except: &Excepted) {
        let is_vacant = self.is_vacant(target);
        let Some(log) = self.log_mut(target) else { return };
        if !log.pop(sequence) {
            debug_assert!(target.owner().is_some(), "eviction is in log order");
        } else if is_vacant {
            self.note_unrecorded(sequence);
        } else {
            let dropped = log.evictions.record(sequence, except.clone());
            self.index_exceptions(target, except);
            self.index_exceptions(target, &dropped);
        }
    }

    /// Updates the index of the rooms that the evictions from `target` have exceptions for, as far
    /// as it concerns `rooms`.
    fn index_exceptions(&mut self, target: RoomId, rooms: &[RoomId]) {
        for room in rooms {
            if self.log(target).is_some_and(|log| log.evictions.excepts(*room)) {
                if let Some(log) = self.log_or_create(*room) {
                    log.excepted_by.insert(target);
                }
            } else if let Some(log) = self.log_mut(*room) {
                log.excepted_by.remove(&target);
            }
        }
    }

    /// A packet in the log names the room.
    fn retain(&mut self, room: RoomId) {
        if room.owner().is_some() {
            // An own room without a log counts as vacant.
            self.log_or_create(room);
        } else if let Some(room) = self.get_mut(room) {
            room.packets = room.packets.saturating_add(1);
        }
    }

    /// A packet that named the room has left the log.
    fn release(&mut self, room: RoomId) {
        if let Some(slot) = self.get_mut(room) {
            slot.packets = slot.packets.saturating_sub(1);
            if slot.packets == 0 {
                self.free_if_unused(room);
            }
        }
    }

    fn log_mut(&mut self, room: RoomId) -> Option<&mut RoomLog> {
        match room.owner() {
            Some(owner) => self.own.get_mut(&owner).map(Box::as_mut),
            None => self.get_mut(room)?.log.as_deref_mut(),
        }
    }

    fn log_or_create(&mut self, room: RoomId) -> Option<&mut RoomLog> {
        match room.owner() {
            Some(owner) => Some(self.own.entry(owner).or_default()),
            None => Some(self.get_mut(room)?.log.get_or_insert_default()),
        }
    }
}
