//! The rooms that a session was in before, and what it remembers of packets that were evicted.

use alloc::vec::Vec;
use core::cell::OnceCell;

use crate::{recovery::room::RoomId, shrink::Shrink as _};

/// The memberships and windows before the current window.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) past: Vec<Past>,
    /// Closed windows in which at least one packet was addressed to the session, ascending.
    pub(super) windows: Vec<Window>,
    /// The last packet addressed to the session in windows that were dropped, because all their
    /// packets were evicted or because there were too many windows.
    pub(super) settled: u64,
    /// Memberships up to this position were forgotten because there were too many. The windows up
    /// to this position were dropped with them.
    pub(super) forgotten: u64,
}

/// A room that the session was in for packets in `(from, to]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    pub(super) room: RoomId,
    pub(super) from: u64,
    pub(super) to: u64,
}

/// Packets in `(from, to]`. The last one that was addressed to the session is `last`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) last: u64,
}

/// Past memberships sorted for lookup. The first lookup sorts them.
#[derive(Default)]
pub(super) struct PastRooms(OnceCell<Vec<Past>>);

impl PastRooms {
    pub(super) fn contained(&self, past: &[Past], room: RoomId, sequence: u64) -> bool {
        if past.is_empty() {
            return false;
        }
        let ordered = self.0.get_or_init(|| {
            let mut ordered = past.to_vec();
            ordered.sort_unstable_by_key(|past| (past.room, past.from));
            ordered
        });
        // Memberships of one session in one room do not overlap.
        let after = ordered.partition_point(|past| (past.room, past.from) < (room, sequence));
        let last = after.checked_sub(1).and_then(|index| ordered.get(index));
        last.is_some_and(|past| past.room == room && sequence <= past.to)
    }
}

impl History {
    pub(super) fn close_window(&mut self, window: Window, limit: usize) {
        self.windows.push(window);
        if self.windows.len() > limit {
            // Treat it as evicted. A client that needs it may be refused although its packets are
            // still in the log, but it never recovers with a loss.
            let oldest = self.windows.remove(0);
            self.settled = self.settled.max(oldest.last);
        }
    }

    /// Forgets past memberships whose packets were all evicted, and the oldest ones beyond `limit`.
    /// Returns their rooms, one entry per membership.
    pub(super) fn forget(&mut self, evicted: u64, limit: usize) -> Vec<RoomId> {
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

    /// Drops windows that end at `up_to` or before, and keeps only the last packet that was
    /// addressed to the session in them.
    pub(super) fn settle_windows(&mut self, up_to: u64) {
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
