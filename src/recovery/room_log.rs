//! What the log knows about one room.

use alloc::collections::{BTreeSet, VecDeque};
use core::ops::Range;

use super::{evictions::Evictions, room::RoomId};
use crate::shrink::Shrink as _;

/// The packets of one room, those in the log and those evicted from it.
#[derive(Debug, Default)]
pub(super) struct RoomLog {
    /// The low halves of the sequences in the log that were addressed to the room, ascending. The
    /// log is short enough that the low half identifies a packet.
    sequences: VecDeque<u32>,
    pub(super) evictions: Evictions,
    /// The rooms whose evictions have a set of exceptions that contains this room.
    pub(super) excepted_by: BTreeSet<RoomId>,
}

impl RoomLog {
    /// A packet for the room enters the log.
    pub(super) fn push(&mut self, sequence: u64) {
        self.sequences.push_back(low(sequence));
    }

    /// A packet leaves the log. Returns false if it was not for this room, but for an earlier room
    /// that had the same id.
    pub(super) fn pop(&mut self, sequence: u64) -> bool {
        let is_first = self.sequences.front() == Some(&low(sequence));
        if is_first {
            self.sequences.pop_front();
            if self.sequences.is_empty() {
                self.sequences = VecDeque::new();
            }
            self.sequences.shrink_if_sparse();
        }
        is_first
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
        self.sequences.range(range).map(move |half| whole(evicted, *half))
    }

    /// The number of sequences that [`held`](Self::held) returns.
    pub(super) fn held_len(&self, evicted: u64, after: u64, up_to: u64) -> usize {
        self.range(evicted, after, up_to).len()
    }

    fn range(&self, evicted: u64, after: u64, up_to: u64) -> Range<usize> {
        let start = self.sequences.partition_point(|half| whole(evicted, *half) <= after);
        let end = self.sequences.partition_point(|half| whole(evicted, *half) <= up_to);
        start..end.max(start)
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
