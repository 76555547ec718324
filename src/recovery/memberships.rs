//! Which rooms a session was in, and when. This decides which packets were addressed to it.
//!
//! The rooms at the time of a disconnection say nothing about a packet that was emitted earlier. So
//! every membership is an interval of log positions. A packet belongs to the session if, at its
//! position, the session was in a target room and in no excepted room.
//!
//! Between two changes of its rooms, a session has a fixed set of rooms: this is a *window*. When a
//! window closes, the session records the last packet in it that was addressed to the session.
//! After all packets of the window were evicted, this number alone tells whether a client at some
//! offset missed one of them. Only the window whose packets are partly evicted needs its rooms
//! again. So their intervals are kept until all its packets are evicted.

mod history;
mod snapshot;

use alloc::{boxed::Box, vec::Vec};

use smallvec::SmallVec;

use self::history::{History, Past, PastRooms, Window};
pub(crate) use self::snapshot::{MembershipsContext, MembershipsSnapshot};
use super::{buffer::RecoveryBuffer, room::RoomId};
use crate::shrink;

/// The rooms of one session over time.
#[derive(Debug, Default)]
pub(crate) struct Memberships {
    /// Current rooms, sorted by id. Every session is in two: the room of everyone and its own room.
    current: SmallVec<[Membership; 2]>,
    /// Where the current window begins.
    window_from: u64,
    /// `None` until there is something to remember.
    history: Option<Box<History>>,
}

/// A room that the session is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Membership {
    pub(crate) room: RoomId,
    /// The place of the session in the room's list of sockets. The owner of that list maintains it.
    pub(crate) slot: u32,
    /// The position at which the session joined it.
    pub(crate) since: u64,
}

/// Why a client cannot resume from a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A packet that was addressed to the session after the position was evicted.
    Evicted,
    /// Memberships that are needed to decide were forgotten.
    Forgotten,
}

impl Memberships {
    /// A session that begins at the position `floor`.
    pub(crate) fn new(floor: u64) -> Self {
        Self { window_from: floor, ..Self::default() }
    }

    pub(crate) fn current(&self) -> &[Membership] {
        &self.current
    }

    pub(crate) fn current_mut(&mut self) -> &mut [Membership] {
        &mut self.current
    }

    pub(crate) fn get_mut(&mut self, room: RoomId) -> Option<&mut Membership> {
        let index = self.find(room).ok()?;
        self.current.get_mut(index)
    }

    pub(crate) fn is_in(&self, room: RoomId) -> bool {
        self.find(room).is_ok()
    }

    /// Joins `room` from the next packet on. Returns false if the session is already in it.
    pub(crate) fn join(&mut self, log: &RecoveryBuffer, room: RoomId, limit: usize) -> bool {
        self.join_at(log, log.head(), room, limit)
    }

    /// As [`Memberships::join`], at a sequence that is not before any earlier change. The log must
    /// contain everything after that change.
    pub(crate) fn join_at(
        &mut self,
        log: &RecoveryBuffer,
        since: u64,
        room: RoomId,
        limit: usize,
    ) -> bool {
        let Err(index) = self.find(room) else {
            return false;
        };
        self.close_window(log, since, limit);
        // Most sessions stay in few rooms, so reserve no extra capacity.
        if self.current.len() < 8 {
            self.current.reserve_exact(1);
        }
        self.current.insert(index, Membership { room, slot: 0, since });
        true
    }

    /// The session comes from another process. `private` is the sequence of the latest packet that
    /// was emitted there to it alone.
    ///
    /// This log contains the packets for its rooms, but not those to it alone. So a client that has
    /// not processed `private` cannot resume. And what this log knows about evicted packets may be
    /// incomplete up to [`Rooms::unrecorded`](super::Rooms::unrecorded).
    pub(crate) fn arrive(&mut self, log: &RecoveryBuffer, own_room: RoomId, private: u64) {
        // Earlier packets for this id were for another session, which had the same index.
        self.join_since(own_room, log.head());
        let history = self.history.get_or_insert_default();
        history.forgotten = history.forgotten.max(private);
        history.settled = history.settled.max(private).max(log.rooms().unrecorded());
        history.settle_windows(history.forgotten);
    }

    /// Makes the session a member of `room` since `since`.
    pub(crate) fn join_since(&mut self, room: RoomId, since: u64) {
        match self.find(room) {
            Ok(index) => {
                if let Some(membership) = self.current.get_mut(index) {
                    membership.since = since;
                }
            }
            Err(index) => self.current.insert(index, Membership { room, slot: 0, since }),
        }
    }

    /// Leaves `room` from the next packet on. Returns the membership that ended. The second value
    /// says whether it is kept as a past membership, which keeps the room's id in use.
    pub(crate) fn leave(
        &mut self,
        log: &RecoveryBuffer,
        room: RoomId,
        limit: usize,
    ) -> Option<(Membership, bool)> {
        self.leave_at(log, log.head(), room, limit)
    }

    /// As [`Memberships::leave`], at a sequence that is not before any earlier change.
    pub(crate) fn leave_at(
        &mut self,
        log: &RecoveryBuffer,
        to: u64,
        room: RoomId,
        limit: usize,
    ) -> Option<(Membership, bool)> {
        let index = self.find(room).ok()?;
        self.close_window(log, to, limit);
        let membership = self.current.remove(index);
        if shrink::is_sparse(self.current.len(), self.current.capacity()) {
            self.current.shrink_to_fit();
        }
        let is_kept = membership.since.max(log.evicted()) < to;
        if is_kept {
            let past = Past { room, from: membership.since, to };
            self.history.get_or_insert_default().past.push(past);
        }
        Some((membership, is_kept))
    }

    /// Forgets past memberships whose packets were all evicted, and the oldest ones beyond `limit`.
    /// Returns their rooms, one entry per membership.
    pub(crate) fn forget(&mut self, log: &RecoveryBuffer, limit: usize) -> Vec<RoomId> {
        let Some(history) = &mut self.history else {
            return Vec::new();
        };
        history.forget(log.evicted(), limit)
    }

    /// The rooms that the session was in for the packet after `sequence`, without those that it is
    /// in from the beginning, and how this has changed since: at which sequence, which room, and
    /// whether it was a join.
    pub(crate) fn since(&self, sequence: u64) -> (Vec<RoomId>, Vec<(u64, RoomId, bool)>) {
        let (mut rooms, mut changes) = (Vec::new(), Vec::new());
        for (room, from, to) in self.intervals() {
            if to <= sequence {
                continue;
            }
            if from <= sequence {
                rooms.push(room);
            } else {
                changes.push((from, room, true));
            }
            if to < u64::MAX {
                changes.push((to, room, false));
            }
        }
        // A room that was left and joined between the same two packets was left first, if it was
        // in it before: this is how the intervals of one room follow each other.
        changes.sort_by_key(|(at, _, is_join)| (*at, *is_join));
        (rooms, changes)
    }

    /// Rooms of the past memberships, one entry per membership.
    pub(crate) fn past_rooms(&self) -> impl Iterator<Item = RoomId> {
        self.past().iter().map(|past| past.room)
    }

    /// Sequences of packets that the session remembers after their eviction, because a client with
    /// an earlier offset has missed them. There may be others among them.
    pub(crate) fn marks(&self) -> impl Iterator<Item = u64> {
        let history = self.history.as_deref();
        let windows = history.map_or(&[][..], |history| &history.windows);
        let settled = history.map_or(0, |history| history.settled);
        windows.iter().map(|window| window.last).chain([settled])
    }

    /// Memberships up to this position were forgotten.
    pub(crate) fn forgotten(&self) -> u64 {
        self.history.as_ref().map_or(0, |history| history.forgotten)
    }

    /// The last packet that was addressed to the session, or one after it. 0 if there was none.
    pub(crate) fn last(&self, log: &RecoveryBuffer) -> u64 {
        let present = self.last_addressed(log, self.window_from, log.head());
        let history = self.history.as_deref();
        let past = history.map_or(0, |history| {
            history.windows.last().map_or(history.settled, |window| window.last)
        });
        present.max(past)
    }

    /// The number of rooms that a claim has to examine.
    pub(crate) fn rooms(&self) -> usize {
        self.current.len().saturating_add(self.past().len())
    }

    /// The number of packets of these rooms in the log after `position`. Packets that were withheld
    /// from the session count, too. Takes O(rooms · log n).
    pub(crate) fn packets(&self, log: &RecoveryBuffer, position: u64) -> usize {
        let packets =
            self.intervals().map(|(room, from, to)| log.held_len(room, from.max(position), to));
        packets.fold(0, usize::saturating_add)
    }

    /// Whether all packets that were addressed to the session after `position` are still in the
    /// log.
    ///
    /// Takes O(rooms · log rooms + windows), independent of the size of the log.
    pub(crate) fn check(&self, log: &RecoveryBuffer, position: u64) -> Result<(), Missing> {
        let evicted = log.evicted();
        let history = self.history.as_ref();
        let (settled, forgotten) = history.map_or((0, 0), |it| (it.settled, it.forgotten));
        // If no packet after the position was evicted, only memberships can be missing. They are
        // needed only if a packet was addressed to the session at that time.
        let is_needed = position < evicted || position < forgotten;
        if is_needed && position < settled {
            return Err(if settled <= evicted { Missing::Evicted } else { Missing::Forgotten });
        }
        if position >= evicted {
            return Ok(());
        }
        let past_rooms = PastRooms::default();
        let windows = self.history.as_ref().map_or(&[][..], |history| &history.windows);
        let present = Window { from: self.window_from, to: u64::MAX, last: 0 };
        for window in windows.iter().chain([&present]) {
            let after = position.max(window.from);
            let is_missing = if window.to <= evicted {
                window.last > after
            } else if window.from < evicted {
                self.has_lost(log, *window, after, &past_rooms)
            } else {
                break;
            };
            if is_missing {
                return Err(Missing::Evicted);
            }
        }
        Ok(())
    }

    /// Sequences of the packets in the log after `position` that were addressed to the session,
    /// ascending. Takes O(rooms · log n + packets of these rooms after the position · log).
    pub(crate) fn missed(&self, log: &RecoveryBuffer, position: u64) -> Vec<u64> {
        let mut sequences = Vec::new();
        // No packet was addressed to the session between `position` and `forgotten`: otherwise
        // `check` would have refused it.
        let forgotten = self.history.as_ref().map_or(0, |history| history.forgotten);
        let after = position.max(forgotten);
        for (room, from, to) in self.intervals() {
            sequences.extend(log.held(room, from.max(after), to));
        }
        sequences.sort_unstable();
        sequences.dedup();
        let past_rooms = PastRooms::default();
        sequences.retain(|sequence| {
            let withheld = |room: &RoomId| self.was_in(*room, *sequence, &past_rooms);
            !log.except(*sequence).iter().any(withheld)
        });
        sequences
    }

    fn close_window(&mut self, log: &RecoveryBuffer, to: u64, limit: usize) {
        let from = self.window_from;
        if from >= to {
            return;
        }
        let last = self.last_addressed(log, from, to);
        if last > from {
            let window = Window { from, to, last };
            self.history.get_or_insert_default().close_window(window, limit);
        }
        self.window_from = to;
    }

    /// The last packet addressed to the session in the window from `from` to `to`, with the current rooms.
    ///
    /// Takes O(rooms · log n) or O(packets in the window · log rooms), whichever is less, plus the
    /// packets that it finds to be withheld from the session. No packet is examined twice for a
    /// session.
    fn last_addressed(&self, log: &RecoveryBuffer, from: u64, to: u64) -> u64 {
        let is_in = |room| self.is_in(room);
        let is_addressed = |seq: u64| !log.except(seq).iter().any(|room| is_in(*room));
        let start = from.max(log.evicted());
        let packets = to.saturating_sub(start);
        let mut last = 0;
        if packets < self.current.len() as u64 {
            let is_target = |seq: u64| log.targets(seq).iter().any(|room| is_in(*room));
            let mut newest_first = (start.saturating_add(1)..=to).rev();
            last = newest_first.find(|seq| is_target(*seq) && is_addressed(*seq)).unwrap_or(0);
        } else {
            for Membership { room, .. } in &self.current {
                let mut newest_first = log.held(*room, start.max(last), to).rev();
                last = newest_first.find(|seq| is_addressed(*seq)).unwrap_or(last);
                if last == to {
                    break;
                }
            }
        }
        if last > 0 || from >= log.evicted() {
            return last;
        }
        let rooms = self.current.iter();
        rooms.map(|it| log.last_evicted(it.room, is_in)).fold(0, u64::max)
    }

    /// Whether a packet of `window` after `after` was addressed to the session and was evicted.
    fn has_lost(
        &self,
        log: &RecoveryBuffer,
        window: Window,
        after: u64,
        past_rooms: &PastRooms,
    ) -> bool {
        let probe = window.to;
        let was_in = |room| self.was_in(room, probe, past_rooms);
        let mut rooms = self.intervals().filter(|(_, from, to)| *from < probe && probe <= *to);
        rooms.any(|(room, ..)| log.has_evicted_after(room, after, was_in))
    }

    /// Takes O(log rooms), once the past memberships are sorted.
    fn was_in(&self, room: RoomId, sequence: u64, past_rooms: &PastRooms) -> bool {
        let present = self.find(room).ok().and_then(|index| self.current.get(index));
        present.is_some_and(|present| present.since < sequence)
            || past_rooms.contained(self.past(), room, sequence)
    }

    fn intervals(&self) -> impl Iterator<Item = (RoomId, u64, u64)> {
        let current = self.current.iter().map(|room| (room.room, room.since, u64::MAX));
        self.past().iter().map(|past| (past.room, past.from, past.to)).chain(current)
    }

    fn past(&self) -> &[Past] {
        self.history.as_ref().map_or(&[], |history| &history.past)
    }

    fn find(&self, room: RoomId) -> Result<usize, usize> {
        self.current.binary_search_by_key(&room, |membership| membership.room)
    }
}
