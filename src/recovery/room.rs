//! What the log knows of one room: where its packets are, and what of them is gone.

use alloc::{boxed::Box, collections::VecDeque, vec::Vec};
use core::{mem, ops::Range};

use smallvec::SmallVec;

use crate::shrink::Shrink as _;

/// Names a room within one namespace. Not reused while anything still refers to the room.
///
/// The room that is named after a session's id, and that mostly nobody else is in, has an id made
/// from the place of the session. That one is reused with the place, even while the log refers to
/// it: what was logged for the former session came before the birth of the present one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RoomId(pub(crate) u32);

impl RoomId {
    /// The room that every socket of the namespace is in: a packet without target rooms goes here.
    pub(crate) const ALL: Self = Self(0);
    /// Stands for the target rooms of a packet that nobody can be missing any more.
    pub(super) const NOBODY: Self = Self(u32::MAX - 1);
    /// No room has this id.
    pub(super) const NOWHERE: Self = Self(u32::MAX);

    const OWN: u32 = 1 << 31;

    /// The room of the session at this place alone.
    pub(crate) const fn own(session: u32) -> Self {
        Self(session | Self::OWN)
    }

    /// Whose own room it is, if it is one.
    pub(crate) const fn owner(self) -> Option<u32> {
        if self.0 & Self::OWN == 0 { None } else { Some(self.0 & !Self::OWN) }
    }
}

/// Rooms that a packet was withheld from, sorted.
pub(crate) type Excepted = SmallVec<[RoomId; 2]>;

/// The packets of one room, those in the log and those evicted from it.
#[derive(Debug, Default)]
pub(super) struct RoomTrack {
    /// The low halves of the sequences in the log that were addressed to the room, ascending: the
    /// log is short enough for them.
    held: VecDeque<u32>,
    /// The latest evicted sequence of packets without exceptions (and of forgotten classes).
    evicted: u64,
    /// The latest evicted sequence for each set of excepted rooms.
    evicted_except: Vec<(Excepted, u64)>,
    /// Rooms whose sets of excepted rooms name this one.
    pub(super) named_by: Vec<RoomId>,
    /// Log entries that name the room.
    pub(super) references: u32,
    /// Nobody is in the room, nor was at any position that is still in the log.
    pub(super) is_vacant: bool,
}

/// The tracks of the rooms that packets have named.
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

/// Sets of excepted rooms that a room remembers the evictions of. Beyond it the oldest is counted
/// as if it had excepted nobody: some session may then be refused although it was excepted, none
/// recovers with a loss.
pub(super) const CLASSES_MAX: usize = 32;

impl RoomTrack {
    pub(super) fn append(&mut self, sequence: u64) {
        self.held.push_back(low(sequence));
    }

    /// Notes that the oldest packet of the room left the log. Returns a set of excepted rooms that
    /// was forgotten for it.
    pub(super) fn evict(&mut self, sequence: u64, except: &[RoomId]) -> Option<Excepted> {
        let front = self.held.pop_front();
        debug_assert_eq!(front, Some(low(sequence)), "eviction is in log order");
        if self.held.is_empty() {
            self.held = VecDeque::new();
        }
        self.held.shrink_if_sparse();
        if self.is_vacant {
            return None;
        }
        if except.is_empty() {
            self.evicted = sequence;
            return None;
        }
        if let Some((_, last)) = self.evicted_except.iter_mut().find(|(set, _)| **set == *except) {
            *last = sequence;
            return None;
        }
        let is_full = self.evicted_except.len() >= CLASSES_MAX;
        let forgotten = is_full.then(|| self.forget_oldest()).flatten();
        self.evicted_except.push((except.into(), sequence));
        forgotten
    }

    /// Sequences in the log within `(after, up_to]`, ascending. All that the log holds come after
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

    /// How many there are.
    pub(super) fn held_len(&self, evicted: u64, after: u64, up_to: u64) -> usize {
        self.range(evicted, after, up_to).len()
    }

    fn range(&self, evicted: u64, after: u64, up_to: u64) -> Range<usize> {
        let start = self.held.partition_point(|half| whole(evicted, *half) <= after);
        let end = self.held.partition_point(|half| whole(evicted, *half) <= up_to);
        start..end.max(start)
    }

    /// The latest evicted packet that was not withheld from a session that is in the rooms for
    /// which `is_in` holds.
    pub(super) fn last_evicted(&self, is_in: impl Fn(RoomId) -> bool) -> u64 {
        let addressed = |set: &Excepted| !set.iter().any(|room| is_in(*room));
        let classes = self.evicted_except.iter().filter(|(set, _)| addressed(set));
        classes.map(|(_, last)| *last).fold(self.evicted, u64::max)
    }

    /// Whether a set of excepted rooms names `room`.
    pub(super) fn names(&self, room: RoomId) -> bool {
        self.evicted_except.iter().any(|(set, _)| set.contains(&room))
    }

    /// Takes a room out of the sets of excepted rooms, since nobody is in it whom the difference
    /// would concern.
    pub(super) fn disregard(&mut self, room: RoomId) {
        for (mut set, last) in mem::take(&mut self.evicted_except) {
            set.retain(|except| *except != room);
            if set.is_empty() {
                self.evicted = self.evicted.max(last);
                continue;
            }
            match self.evicted_except.iter_mut().find(|(other, _)| *other == set) {
                Some((_, other)) => *other = last.max(*other),
                None => self.evicted_except.push((set, last)),
            }
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

    /// Takes over what is known of evictions.
    pub(super) fn restore(&mut self, last: u64, sets: Vec<(Excepted, u64)>) {
        self.evicted = last;
        self.evicted_except = sets;
    }

    fn forget_oldest(&mut self) -> Option<Excepted> {
        let ages = self.evicted_except.iter().enumerate();
        let (index, _) = ages.min_by_key(|(_, (_, last))| *last)?;
        let (set, last) = self.evicted_except.swap_remove(index);
        self.evicted = self.evicted.max(last);
        Some(set)
    }
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
