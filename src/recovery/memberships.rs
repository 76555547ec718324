//! Which rooms a session was in, and when: who was addressed by what.
//!
//! Rooms at the time of a disconnection say nothing about a packet that was emitted earlier. So
//! every membership is an interval of log positions, and a packet belongs to the session if at its
//! position the session was in a target room and in no excepted one.
//!
//! Between two changes of its rooms a session has a fixed set of rooms: a *window*. When a window
//! closes, the last packet in it that was addressed to the session is noted. That one number
//! answers, after the packets of the window were evicted, whether a client at some offset missed
//! any of them. Only in the one window that the eviction has reached the middle of, the rooms of
//! that time have to be looked at again, and their intervals are kept until then.

mod snapshot;

use alloc::{boxed::Box, vec::Vec};
use core::cell::OnceCell;

use smallvec::SmallVec;

pub(crate) use self::snapshot::{MembershipsContext, MembershipsSnapshot};
use super::{buffer::RecoveryBuffer, room::RoomId};
use crate::shrink::{self, Shrink as _};

/// The rooms of one session over time.
#[derive(Debug, Default)]
pub(crate) struct Memberships {
    /// Present rooms, sorted by id. Every session is in two: that of everyone and its own.
    current: SmallVec<[Membership; 2]>,
    /// Where the present window begins.
    window_from: u64,
    /// `None` while the session has always been in the rooms that it is in.
    history: Option<Box<History>>,
}

/// What there was before the present window.
#[derive(Debug, Default)]
struct History {
    past: Vec<Past>,
    /// Closed windows in which something was addressed to the session, ascending.
    windows: Vec<Window>,
    /// The last packet addressed to the session in windows that are not known any more: they were
    /// evicted entirely, or there were too many.
    settled: u64,
    /// Up to here memberships were forgotten because there were too many. The windows up to here
    /// are gone with them.
    forgotten: u64,
}

/// A room that the session is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Membership {
    pub(crate) room: RoomId,
    /// Where the session stands in the room's list of sockets; kept by the owner of that list.
    pub(crate) slot: u32,
    since: u64,
}

/// A room that the session was in for packets in `(from, to]`.
#[derive(Clone, Copy, Debug)]
struct Past {
    room: RoomId,
    from: u64,
    to: u64,
}

/// Packets in `(from, to]`, of which `last` was the last one addressed to the session.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: u64,
    to: u64,
    last: u64,
}

/// Why a position cannot be resumed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A packet that was addressed to the session after the position was evicted.
    Evicted,
    /// Memberships that would be needed were forgotten.
    Forgotten,
}

impl Memberships {
    /// A session that is born at the position `floor`.
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

    /// Joins `room` from the next packet on. Returns false if the session is in it already.
    pub(crate) fn join(&mut self, log: &RecoveryBuffer, room: RoomId, limit: usize) -> bool {
        let Err(index) = self.find(room) else {
            return false;
        };
        self.close_window(log, limit);
        let since = log.head();
        // Most sessions are in few rooms for as long as they last.
        if self.current.len() < 8 {
            self.current.reserve_exact(1);
        }
        self.current.insert(index, Membership { room, slot: 0, since });
        true
    }

    /// Leaves `room` from the next packet on. Returns what the membership was; the second value
    /// says whether the past one is kept, and with it the room's id.
    pub(crate) fn leave(
        &mut self,
        log: &RecoveryBuffer,
        room: RoomId,
        limit: usize,
    ) -> Option<(Membership, bool)> {
        let index = self.find(room).ok()?;
        self.close_window(log, limit);
        let membership = self.current.remove(index);
        if shrink::is_sparse(self.current.len(), self.current.capacity()) {
            self.current.shrink_to_fit();
        }
        let to = log.head();
        let is_kept = membership.since.max(log.evicted()) < to;
        if is_kept {
            let past = Past { room, from: membership.since, to };
            self.history.get_or_insert_default().past.push(past);
        }
        Some((membership, is_kept))
    }

    /// Forgets past memberships that no packet in the log lies in, and those beyond `limit`.
    /// Returns their rooms, one entry each.
    pub(crate) fn forget(&mut self, log: &RecoveryBuffer, limit: usize) -> Vec<RoomId> {
        let Some(history) = &mut self.history else {
            return Vec::new();
        };
        history.forget(log.evicted(), limit)
    }

    /// Rooms of the past memberships, one entry each.
    pub(crate) fn past_rooms(&self) -> impl Iterator<Item = RoomId> {
        self.past().iter().map(|past| past.room)
    }

    /// How many rooms there are to look at.
    pub(crate) fn rooms(&self) -> usize {
        self.current.len().saturating_add(self.past().len())
    }

    /// How many packets of these rooms are in the log after `position`, those that were withheld
    /// from the session included. Takes O(rooms · log n).
    pub(crate) fn packets(&self, log: &RecoveryBuffer, position: u64) -> usize {
        let packets =
            self.intervals().map(|(room, from, to)| log.held_len(room, from.max(position), to));
        packets.fold(0, usize::saturating_add)
    }

    /// Whether everything addressed to the session after `position` is still in the log.
    ///
    /// Takes O(rooms · log rooms + windows), whatever the log holds.
    pub(crate) fn check(&self, log: &RecoveryBuffer, position: u64) -> Result<(), Missing> {
        let evicted = log.evicted();
        let history = self.history.as_ref();
        let (settled, forgotten) = history.map_or((0, 0), |it| (it.settled, it.forgotten));
        // Where nothing after the position is gone, only memberships can be, and they are needed
        // only if something was addressed to the session at that time.
        let is_needed = position < evicted || position < forgotten;
        if is_needed && position < settled {
            return Err(if settled <= evicted { Missing::Evicted } else { Missing::Forgotten });
        }
        if position >= evicted {
            return Ok(());
        }
        let former = FormerRooms::default();
        let windows = self.history.as_ref().map_or(&[][..], |history| &history.windows);
        let present = Window { from: self.window_from, to: u64::MAX, last: 0 };
        for window in windows.iter().chain([&present]) {
            let after = position.max(window.from);
            let is_missing = if window.to <= evicted {
                window.last > after
            } else if window.from < evicted {
                self.has_lost(log, *window, after, &former)
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
        // Nothing was addressed to the session between the position and where memberships are known
        // from, or it would have been refused.
        let forgotten = self.history.as_ref().map_or(0, |history| history.forgotten);
        let after = position.max(forgotten);
        for (room, from, to) in self.intervals() {
            sequences.extend(log.held(room, from.max(after), to));
        }
        sequences.sort_unstable();
        sequences.dedup();
        let former = FormerRooms::default();
        sequences.retain(|sequence| {
            let withheld = |room: &RoomId| self.was_in(*room, *sequence, &former);
            !log.except(*sequence).iter().any(withheld)
        });
        sequences
    }

    fn close_window(&mut self, log: &RecoveryBuffer, limit: usize) {
        let (from, to) = (self.window_from, log.head());
        if from == to {
            return;
        }
        let last = self.last_addressed(log, from);
        if last > from {
            let window = Window { from, to, last };
            self.history.get_or_insert_default().close_window(window, limit);
        }
        self.window_from = to;
    }

    /// The last packet addressed to the session in the present window, which begins at `from`.
    ///
    /// Takes O(rooms · log n) or O(packets in the window · log rooms), whichever is less, and what it
    /// finds to be withheld from the session. No packet is looked at twice for a session.
    fn last_addressed(&self, log: &RecoveryBuffer, from: u64) -> u64 {
        let is_in = |room| self.is_in(room);
        let is_addressed = |seq: u64| !log.except(seq).iter().any(|room| is_in(*room));
        let (head, start) = (log.head(), from.max(log.evicted()));
        let packets = head.saturating_sub(start);
        let mut last = 0;
        if packets < self.current.len() as u64 {
            let is_target = |seq: u64| log.targets(seq).iter().any(|room| is_in(*room));
            let mut newest_first = (start.saturating_add(1)..=head).rev();
            last = newest_first.find(|seq| is_target(*seq) && is_addressed(*seq)).unwrap_or(0);
        } else {
            for Membership { room, .. } in &self.current {
                let mut newest_first = log.held(*room, start.max(last), u64::MAX).rev();
                last = newest_first.find(|seq| is_addressed(*seq)).unwrap_or(last);
                if last == head {
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

    /// Whether a packet of `window` that was addressed to the session was evicted, and came after
    /// `after`.
    fn has_lost(
        &self,
        log: &RecoveryBuffer,
        window: Window,
        after: u64,
        former: &FormerRooms,
    ) -> bool {
        let probe = window.to;
        let was_in = |room| self.was_in(room, probe, former);
        let mut rooms = self.intervals().filter(|(_, from, to)| *from < probe && probe <= *to);
        rooms.any(|(room, ..)| log.has_evicted_after(room, after, was_in))
    }

    /// Takes O(log rooms), once the former rooms are in order.
    fn was_in(&self, room: RoomId, sequence: u64, former: &FormerRooms) -> bool {
        let present = self.find(room).ok().and_then(|index| self.current.get(index));
        present.is_some_and(|present| present.since < sequence)
            || former.were_of(self.past(), room, sequence)
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

/// Past memberships in an order in which they are found, made when the first is looked for.
#[derive(Default)]
struct FormerRooms(OnceCell<Vec<Past>>);

impl FormerRooms {
    fn were_of(&self, past: &[Past], room: RoomId, sequence: u64) -> bool {
        if past.is_empty() {
            return false;
        }
        let ordered = self.0.get_or_init(|| {
            let mut ordered = past.to_vec();
            ordered.sort_unstable_by_key(|past| (past.room, past.from));
            ordered
        });
        // A session is in a room once at a time.
        let after = ordered.partition_point(|past| (past.room, past.from) < (room, sequence));
        let last = after.checked_sub(1).and_then(|index| ordered.get(index));
        last.is_some_and(|past| past.room == room && sequence <= past.to)
    }
}

impl History {
    fn close_window(&mut self, window: Window, limit: usize) {
        self.windows.push(window);
        if self.windows.len() > limit {
            // As if it were evicted already: a client that needs it may be refused although only
            // something else was evicted, but never recovers with a loss.
            let oldest = self.windows.remove(0);
            self.settled = self.settled.max(oldest.last);
        }
    }

    /// See [`Memberships::forget`].
    fn forget(&mut self, evicted: u64, limit: usize) -> Vec<RoomId> {
        self.settle_windows(evicted);
        let mut rooms = self.take_past(evicted);
        if let Some(excess) = self.past.len().checked_sub(limit.saturating_add(1)) {
            let forgotten = self.past.get(excess).map_or(0, |past| past.to);
            self.forgotten = self.forgotten.max(forgotten);
            self.settle_windows(forgotten);
            rooms.extend(self.take_past(forgotten));
        }
        rooms
    }

    /// Forgets windows that end at `up_to` or before, but for what was addressed last in them.
    fn settle_windows(&mut self, up_to: u64) {
        let settled = self.windows.partition_point(|window| window.to <= up_to);
        let lasts = self.windows.drain(..settled).map(|window| window.last);
        self.settled = lasts.fold(self.settled, u64::max);
    }

    /// Forgets memberships that ended at `up_to` or before. Returns their rooms.
    fn take_past(&mut self, up_to: u64) -> Vec<RoomId> {
        let ended = self.past.partition_point(|past| past.to <= up_to);
        let rooms = self.past.drain(..ended).map(|past| past.room).collect();
        self.past.shrink_if_sparse();
        rooms
    }
}
