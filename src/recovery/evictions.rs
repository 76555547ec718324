//! Which packets of one room were evicted, as far as a session may miss them.

use alloc::vec::Vec;
use core::mem;

use smallvec::SmallVec;

use super::room::{Excepted, RoomId};

/// The latest evicted packet of one room, for each set of excepted rooms.
///
/// This is enough to decide whether a session misses an evicted packet. It does not grow with the
/// number of packets.
#[derive(Debug, Default)]
pub(super) struct Evictions {
    /// The latest evicted sequence of packets without exceptions.
    unexcepted: u64,
    /// The latest evicted sequence for each set of excepted rooms, ascending and all later than
    /// `unexcepted`. A later set replaces every earlier superset of it: a session that got a packet
    /// of the superset also got the packet of the later set, which was evicted later.
    excepted: Vec<(Excepted, u64)>,
}

/// Sets of excepted rooms for which a room remembers the latest eviction, at most.
///
/// Beyond this limit, all sets but the latest [`SETS_EXACT`] are narrowed to the rooms that each of
/// the latest sets contains as well. If there is no such room, the result is the empty set, which
/// excepts no session. Sets that become equal are merged.
///
/// This is safe: a session that a set did not except is not excepted by a subset of it, and no
/// sequence becomes earlier. So no session recovers with a loss.
///
/// The answer stays exact for every session that at least one of the latest sets did not except,
/// because that set has a later sequence than the narrowed ones. Every other session was excepted
/// by each of [`SETS_EXACT`] different sets in a row. Usually the same room is the reason each time
/// (`except("muted").except(sender)`). Then this room remains in the narrowed sets, and the answer
/// is exact again. Only a session that was excepted because of several rooms in turn may be refused
/// for a packet that was withheld from it.
pub(super) const SETS_MAX: usize = 64;

/// The latest sets, which are never narrowed.
const SETS_EXACT: usize = 32;

/// Rooms of sets that were dropped or narrowed. Another set may still contain them.
pub(super) type Dropped = SmallVec<[RoomId; 4]>;

impl Evictions {
    /// Records the eviction of a packet, which is later than all that were recorded before.
    pub(super) fn record(&mut self, sequence: u64, except: Excepted) -> Dropped {
        let mut dropped = Dropped::new();
        self.drop_supersets(&except, &mut dropped);
        if except.is_empty() {
            self.unexcepted = sequence;
            return dropped;
        }
        if self.excepted.len() >= SETS_MAX {
            self.narrow_older(&mut dropped);
        }
        self.excepted.push((except, sequence));
        dropped
    }

    /// Restores the evictions from a snapshot.
    pub(super) fn restore(&mut self, unexcepted: u64, mut sets: Vec<(Excepted, u64)>) {
        self.unexcepted = unexcepted;
        sets.retain(|(_, last)| *last > unexcepted);
        sets.sort_by_key(|(_, last)| *last);
        for (set, last) in sets {
            self.record(last, set);
        }
    }

    /// Removes a room from all sets, because no session can have been excepted for it any more.
    pub(super) fn remove_exception(&mut self, room: RoomId) -> Dropped {
        let mut dropped = Dropped::new();
        for (mut set, last) in mem::take(&mut self.excepted) {
            set.retain(|except| *except != room);
            dropped.append(&mut self.record(last, set));
        }
        dropped
    }

    /// The latest evicted packet that was not withheld from a session whose rooms are those for
    /// which `is_in` returns true.
    pub(super) fn last(&self, is_in: impl Fn(RoomId) -> bool) -> u64 {
        let is_addressed = |set: &Excepted| !set.iter().any(|room| is_in(*room));
        let mut latest_first = self.excepted.iter().rev();
        latest_first.find(|(set, _)| is_addressed(set)).map_or(self.unexcepted, |(_, last)| *last)
    }

    /// Whether there is such a packet after `after`.
    pub(super) fn has_after(&self, after: u64, is_in: impl Fn(RoomId) -> bool) -> bool {
        let latest_first = self.excepted.iter().rev();
        let mut later = latest_first.take_while(|(_, last)| *last > after);
        self.unexcepted > after || later.any(|(set, _)| !set.iter().any(|room| is_in(*room)))
    }

    /// The latest evicted packet without exceptions.
    pub(super) fn unexcepted(&self) -> u64 {
        self.unexcepted
    }

    /// The sets of excepted rooms, each with the latest evicted packet that has these exceptions.
    pub(super) fn excepted(&self) -> impl Iterator<Item = (&[RoomId], u64)> {
        self.excepted.iter().map(|(set, last)| (&**set, *last))
    }

    /// Whether a set contains `room`.
    pub(super) fn excepts(&self, room: RoomId) -> bool {
        self.excepted.iter().any(|(set, _)| set.contains(&room))
    }

    /// See [`SETS_MAX`]. Removes at least one set.
    fn narrow_older(&mut self, dropped: &mut Dropped) {
        let latest = self.excepted.len().saturating_sub(SETS_EXACT);
        let latest = self.excepted.split_off(latest);
        let mut common = latest.first().map(|(set, _)| set.clone()).unwrap_or_default();
        common.retain(|room| latest.iter().all(|(set, _)| set.contains(room)));
        let older = mem::take(&mut self.excepted);
        let before = older.len();
        for (mut set, last) in older {
            dropped.extend_from_slice(&set);
            set.retain(|room| common.contains(room));
            self.drop_supersets(&set, dropped);
            if set.is_empty() { self.unexcepted = last } else { self.excepted.push((set, last)) }
        }
        if self.excepted.len() == before {
            let (_, last) = self.excepted.remove(0);
            self.unexcepted = last;
        }
        self.excepted.extend(latest);
    }

    /// Drops the sets that are supersets of a later one.
    fn drop_supersets(&mut self, later: &Excepted, dropped: &mut Dropped) {
        self.excepted.retain(|(set, _)| {
            let is_superset = is_subset(later, set);
            if is_superset {
                dropped.extend_from_slice(set);
            }
            !is_superset
        });
    }
}

fn is_subset(subset: &[RoomId], superset: &[RoomId]) -> bool {
    subset.len() <= superset.len() && subset.iter().all(|room| superset.contains(room))
}
