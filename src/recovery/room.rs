//! What the log knows about one room: where its packets are, and which of them were evicted.

use alloc::{
    boxed::Box,
    collections::{BTreeSet, VecDeque},
    vec::Vec,
};
use core::{mem, ops::Range};

use smallvec::SmallVec;

use crate::shrink::Shrink as _;

/// Identifies a room within one namespace. An id is not reused while anything still refers to the
/// room.
///
/// The room that is named after a session's id usually contains only that session. Its id is
/// derived from the index of the session, and is reused together with the index, even while the log
/// refers to it. That is safe: all packets that were logged for the earlier session come before the
/// floor of the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RoomId(pub(crate) u32);

impl RoomId {
    /// The room that every socket of the namespace is in. A packet without target rooms goes here.
    pub(crate) const ALL: Self = Self(0);
    /// Stands for the target rooms of a packet that no session can be missing any more.
    pub(super) const NOBODY: Self = Self(u32::MAX - 1);
    /// No room has this id.
    pub(super) const NOWHERE: Self = Self(u32::MAX);

    const OWN: u32 = 1 << 31;

    /// The own room of the session at this index.
    pub(crate) const fn own(session: u32) -> Self {
        Self(session | Self::OWN)
    }

    /// The index of the session whose own room this is, if it is an own room.
    pub(crate) const fn owner(self) -> Option<u32> {
        if self.0 & Self::OWN == 0 { None } else { Some(self.0 & !Self::OWN) }
    }
}

/// Rooms that a packet was withheld from, sorted.
pub(crate) type Excepted = SmallVec<[RoomId; 2]>;

/// The packets of one room, those in the log and those evicted from it.
#[derive(Debug, Default)]
pub(super) struct RoomTrack {
    /// The low halves of the sequences in the log that were addressed to the room, ascending. The
    /// log is short enough that the low half identifies a packet.
    held: VecDeque<u32>,
    /// The latest evicted sequence of packets without exceptions.
    evicted: u64,
    /// The latest evicted sequence for each set of excepted rooms, ascending and all later than
    /// `evicted`. A later set replaces every earlier superset of it: a session that got a packet of
    /// the superset also got the packet of the later set, which was evicted later.
    evicted_except: Vec<(Excepted, u64)>,
    /// Rooms whose sets of excepted rooms contain this one.
    pub(super) named_by: BTreeSet<RoomId>,
    /// The number of log entries that refer to the room.
    pub(super) references: u32,
    /// No session is in the room, or was in it at any position that is still in the log.
    pub(super) is_vacant: bool,
}

/// The tracks of the rooms that packets refer to.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    shared: Vec<Option<Box<RoomTrack>>>,
    own: Vec<Option<Box<RoomTrack>>>,
}

impl Tracks {
    pub(super) fn get(&self, room: RoomId) -> Option<&RoomTrack> {
        let (list, index) = match room.owner() {
            Some(owner) => (&self.own, owner),
            None => (&self.shared, room.0),
        };
        list.get(index as usize)?.as_deref()
    }

    /// All rooms that are known.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RoomId, &RoomTrack)> {
        let shared = (0..).map(RoomId).zip(&self.shared);
        let own = (0..).map(RoomId::own).zip(&self.own);
        shared.chain(own).filter_map(|(room, track)| Some((room, track.as_deref()?)))
    }

    pub(super) fn get_mut(&mut self, room: RoomId) -> Option<&mut RoomTrack> {
        let (list, index) = self.list(room);
        list.get_mut(index)?.as_deref_mut()
    }

    pub(super) fn get_or_create(&mut self, room: RoomId) -> &mut RoomTrack {
        let (list, index) = self.list(room);
        if list.len() <= index {
            list.resize_with(index + 1, || None);
        }
        #[expect(clippy::indexing_slicing, reason = "the vector was just made long enough")]
        list[index].get_or_insert_default()
    }

    pub(super) fn remove(&mut self, room: RoomId) {
        let (list, index) = self.list(room);
        if let Some(track) = list.get_mut(index) {
            *track = None;
        }
        while list.pop_if(|track| track.is_none()).is_some() {}
        if list.is_empty() {
            *list = Vec::new();
        }
        list.shrink_if_sparse();
    }

    fn list(&mut self, room: RoomId) -> (&mut Vec<Option<Box<RoomTrack>>>, usize) {
        match room.owner() {
            Some(owner) => (&mut self.own, owner as usize),
            None => (&mut self.shared, room.0 as usize),
        }
    }
}

/// Sets of excepted rooms for which a room remembers the latest eviction, at most.
///
/// Beyond this limit, all sets but the latest [`CLASSES_EXACT`] are narrowed to the rooms that each
/// of the latest sets contains as well. If there is no such room, the result is the empty set,
/// which excepts no session. Sets that become equal are merged.
///
/// This is safe: a session that a set did not except is not excepted by a subset of it, and no
/// sequence becomes earlier. So no session recovers with a loss.
///
/// The answer stays exact for every session that at least one of the latest sets did not except,
/// because that set has a later sequence than the narrowed ones. Every other session was excepted
/// by each of [`CLASSES_EXACT`] different sets in a row. Usually the same room is the reason each
/// time (`except("muted").except(sender)`). Then this room remains in the narrowed sets, and the
/// answer is exact again. Only a session that was excepted because of several rooms in turn may be
/// refused for a packet that was withheld from it.
pub(super) const CLASSES_MAX: usize = 64;

/// The latest sets, which are never narrowed.
const CLASSES_EXACT: usize = 32;

/// Rooms of sets that were forgotten.
pub(super) type Forgotten = SmallVec<[RoomId; 4]>;

impl RoomTrack {
    pub(super) fn append(&mut self, sequence: u64) {
        self.held.push_back(low(sequence));
    }

    /// Records that the oldest packet of the room left the log. Returns the rooms of sets that were
    /// forgotten because of it.
    pub(super) fn evict(&mut self, sequence: u64, except: &[RoomId]) -> Forgotten {
        let front = self.held.pop_front();
        debug_assert_eq!(front, Some(low(sequence)), "eviction is in log order");
        if self.held.is_empty() {
            self.held = VecDeque::new();
        }
        self.held.shrink_if_sparse();
        if self.is_vacant { Forgotten::new() } else { self.note(sequence, except.into()) }
    }

    /// Sequences in the log within `(after, up_to]`, ascending. All packets in the log come after
    /// `evicted`.
    pub(super) fn held(
        &self,
        evicted: u64,
        after: u64,
        up_to: u64,
    ) -> impl DoubleEndedIterator<Item = u64> {
        let range = self.range(evicted, after, up_to);
        self.held.range(range).map(move |half| whole(evicted, *half))
    }

    /// The number of sequences that [`held`](Self::held) returns.
    pub(super) fn held_len(&self, evicted: u64, after: u64, up_to: u64) -> usize {
        self.range(evicted, after, up_to).len()
    }

    fn range(&self, evicted: u64, after: u64, up_to: u64) -> Range<usize> {
        let start = self.held.partition_point(|half| whole(evicted, *half) <= after);
        let end = self.held.partition_point(|half| whole(evicted, *half) <= up_to);
        start..end.max(start)
    }

    /// The latest evicted packet that was not withheld from a session whose rooms are those for
    /// which `is_in` returns true.
    pub(super) fn last_evicted(&self, is_in: impl Fn(RoomId) -> bool) -> u64 {
        let is_addressed = |set: &Excepted| !set.iter().any(|room| is_in(*room));
        let mut latest_first = self.evicted_except.iter().rev();
        latest_first.find(|(set, _)| is_addressed(set)).map_or(self.evicted, |(_, last)| *last)
    }

    /// Whether there is such a packet after `after`.
    pub(super) fn has_evicted_after(&self, after: u64, is_in: impl Fn(RoomId) -> bool) -> bool {
        let latest_first = self.evicted_except.iter().rev();
        let mut later = latest_first.take_while(|(_, last)| *last > after);
        self.evicted > after || later.any(|(set, _)| !set.iter().any(|room| is_in(*room)))
    }

    /// Whether a set of excepted rooms contains `room`.
    pub(super) fn names(&self, room: RoomId) -> bool {
        self.evicted_except.iter().any(|(set, _)| set.contains(&room))
    }

    /// Removes a room from the sets of excepted rooms. No session is in it, so this changes no
    /// answer.
    pub(super) fn disregard(&mut self, room: RoomId) {
        for (mut set, last) in mem::take(&mut self.evicted_except) {
            set.retain(|except| *except != room);
            self.note(last, set);
        }
    }

    pub(super) fn take_classes(&mut self) -> impl Iterator<Item = Excepted> {
        mem::take(&mut self.evicted_except).into_iter().map(|(set, _)| set)
    }

    /// The latest evicted packet without exceptions.
    pub(super) fn last_unexcepted(&self) -> u64 {
        self.evicted
    }

    /// The latest evicted packet for each set of excepted rooms.
    pub(super) fn classes(&self) -> impl Iterator<Item = (&[RoomId], u64)> {
        self.evicted_except.iter().map(|(set, last)| (&**set, *last))
    }

    /// Restores the evictions from a snapshot.
    pub(super) fn restore(&mut self, last: u64, mut sets: Vec<(Excepted, u64)>) {
        self.evicted = last;
        sets.retain(|(_, other)| *other > last);
        sets.sort_by_key(|(_, last)| *last);
        for (set, last) in sets {
            self.note(last, set);
        }
    }

    /// Records the latest eviction. Returns the rooms of sets that were forgotten because of it.
    fn note(&mut self, sequence: u64, except: Excepted) -> Forgotten {
        let mut forgotten = Forgotten::new();
        self.cover(&except, &mut forgotten);
        if except.is_empty() {
            self.evicted = sequence;
            return forgotten;
        }
        if self.evicted_except.len() >= CLASSES_MAX {
            self.narrow_older(&mut forgotten);
        }
        self.evicted_except.push((except, sequence));
        forgotten
    }

    /// See [`CLASSES_MAX`]. Removes at least one set.
    fn narrow_older(&mut self, forgotten: &mut Forgotten) {
        let latest = self.evicted_except.len().saturating_sub(CLASSES_EXACT);
        let latest = self.evicted_except.split_off(latest);
        let mut common = latest.first().map(|(set, _)| set.clone()).unwrap_or_default();
        common.retain(|room| latest.iter().all(|(set, _)| set.contains(room)));
        let older = mem::take(&mut self.evicted_except);
        let before = older.len();
        for (mut set, last) in older {
            forgotten.extend_from_slice(&set);
            set.retain(|room| common.contains(room));
            self.cover(&set, forgotten);
            if set.is_empty() { self.evicted = last } else { self.evicted_except.push((set, last)) }
        }
        if self.evicted_except.len() == before {
            let (_, last) = self.evicted_except.remove(0);
            self.evicted = last;
        }
        self.evicted_except.extend(latest);
    }

    /// Forgets the sets that are supersets of a later one.
    fn cover(&mut self, later: &Excepted, forgotten: &mut Forgotten) {
        self.evicted_except.retain(|(set, _)| {
            let is_covered = is_part(later, set);
            if is_covered {
                forgotten.extend_from_slice(set);
            }
            !is_covered
        });
    }
}

/// Whether `part` is a subset of `whole`.
fn is_part(part: &[RoomId], whole: &[RoomId]) -> bool {
    part.len() <= whole.len() && part.iter().all(|room| whole.contains(room))
}

/// The sequence with this low half that comes after `evicted`.
fn whole(evicted: u64, half: u32) -> u64 {
    evicted.saturating_add(u64::from(half.wrapping_sub(low(evicted))))
}

fn low(sequence: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    let half = sequence as u32;
    half
}
