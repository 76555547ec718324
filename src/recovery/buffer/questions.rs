//! Packets of the log that ask for an acknowledgement.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::recovery::RoomId;

/// Packets that ask for an acknowledgement which is still awaited. They may have left the log.
///
/// Each packet is for one session. It counts as missed only until the acknowledgement is settled. A
/// watermark only rises, so it cannot express this.
#[derive(Debug, Default)]
pub(super) struct Questions {
    by_id: BTreeMap<u64, (RoomId, u64)>,
    by_room: BTreeSet<(RoomId, u64)>,
}

impl Questions {
    pub(super) fn insert(&mut self, id: u64, room: RoomId, sequence: u64) {
        self.by_id.insert(id, (room, sequence));
        self.by_room.insert((room, sequence));
    }

    pub(super) fn remove(&mut self, id: u64) {
        if let Some(place) = self.by_id.remove(&id) {
            self.by_room.remove(&place);
        }
    }

    /// Sequences of all these packets.
    pub(super) fn sequences(&self) -> impl Iterator<Item = u64> {
        self.by_id.values().map(|(_, sequence)| *sequence)
    }

    /// Sequences of the packets for `room` after `position`, ascending.
    pub(super) fn after(&self, room: RoomId, position: u64) -> impl Iterator<Item = u64> {
        let after = self.by_room.range((room, position.saturating_add(1))..=(room, u64::MAX));
        after.map(|(_, sequence)| *sequence)
    }
}
