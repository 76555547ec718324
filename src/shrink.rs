//! Tables that release memory when entries have gone.
//!
//! A table is cut to twice its length when it uses less than a quarter of its capacity. As many
//! entries must then come or go before its memory moves again, so each one costs O(1), amortised.

use alloc::{
    collections::{BinaryHeap, VecDeque},
    vec::Vec,
};

use slab::Slab;

/// A capacity that is not worth releasing.
const KEPT: usize = 32;
/// The capacity that a queue keeps when it runs empty.
const BURST: usize = 1_024;

/// Whether a table uses less than a quarter of its capacity.
pub(crate) const fn is_sparse(len: usize, capacity: usize) -> bool {
    capacity > KEPT && len < capacity / 4
}

/// A table that can release memory.
pub(crate) trait Shrink {
    /// Releases memory if the table holds little for its capacity.
    fn shrink_if_sparse(&mut self);
}

impl<T> Shrink for Vec<T> {
    #[inline]
    fn shrink_if_sparse(&mut self) {
        if is_sparse(self.len(), self.capacity()) {
            self.shrink_to(self.len().saturating_mul(2));
        }
    }
}

impl<T> Shrink for VecDeque<T> {
    #[inline]
    fn shrink_if_sparse(&mut self) {
        if is_sparse(self.len(), self.capacity()) {
            self.shrink_to(self.len().saturating_mul(2));
        }
    }
}

impl<T: Ord> Shrink for BinaryHeap<T> {
    #[inline]
    fn shrink_if_sparse(&mut self) {
        if is_sparse(self.len(), self.capacity()) {
            self.shrink_to(self.len().saturating_mul(2));
        }
    }
}

/// Releases the memory of a queue that has run empty after a large burst.
#[inline]
pub(crate) fn empty_if_large<T>(queue: &mut VecDeque<T>) {
    if queue.capacity() > BURST && queue.is_empty() {
        *queue = VecDeque::new();
    }
}

/// Decides when to cut a slab.
///
/// Entries keep their places, so only the part behind the last one can be released, and that takes
/// O(entries). It is tried whenever a sixteenth of the entries has gone, and again after many
/// removals, so a removal costs O(log n), amortised.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    removals: usize,
    /// Try again when at most this many entries are left.
    next_len: usize,
}

impl Cuts {
    /// Call this after each removal.
    #[inline]
    pub(crate) fn note_removal<T>(&mut self, slab: &mut Slab<T>) {
        self.removals = self.removals.saturating_add(1);
        let (len, capacity) = (slab.len(), slab.capacity());
        if !is_sparse(len, capacity) {
            return;
        }
        let has_many = self.removals > capacity / 8;
        if has_many || len <= self.next_len {
            slab.shrink_to_fit();
            self.next_len = len.saturating_sub((len / 16).max(1));
            self.removals = if has_many { 0 } else { self.removals };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_mostly_empty_is_cut() {
        let mut table: Vec<u32> = (0..10_000).collect();
        let mut moves = 0;
        while table.pop().is_some() {
            let capacity = table.capacity();
            table.shrink_if_sparse();
            moves += usize::from(table.capacity() != capacity);
            assert!(table.capacity() <= KEPT.max(4 * table.len() + 4));
        }
        assert!(moves <= 10, "{moves} for 10,000 entries that go");
    }

    fn cut(remove: impl Iterator<Item = usize>) -> (Slab<usize>, usize) {
        let (mut slab, mut cuts) = (Slab::new(), Cuts::default());
        for number in 0..10_000 {
            slab.insert(number);
        }
        let mut tries = 0;
        for key in remove {
            let before = (cuts.removals, cuts.next_len);
            slab.remove(key);
            cuts.note_removal(&mut slab);
            tries += usize::from(before != (cuts.removals.wrapping_sub(1), cuts.next_len));
        }
        (slab, tries)
    }

    #[test]
    fn a_slab_is_cut_in_whatever_order_its_entries_go() {
        for is_reversed in [false, true] {
            let keys = 10..10_000;
            let (mut slab, tries) = if is_reversed { cut(keys.rev()) } else { cut(keys) };
            assert!(slab.capacity() < 100, "{}", slab.capacity());
            assert!(tries < 200, "{tries}");
            assert_eq!(slab.insert(0), 10, "the lowest place is taken first");
        }
    }

    #[test]
    fn a_slab_whose_last_entry_stays_is_looked_at_now_and_then() {
        let (mut slab, _) = cut(0..9_999);
        let mut cuts = Cuts::default();
        for _ in 0..10_000 {
            let key = slab.insert(0);
            slab.remove(key);
            cuts.note_removal(&mut slab);
        }
        assert!(cuts.removals > 0 && slab.capacity() >= 10_000, "its place is kept");
        slab.remove(9_999);
        for _ in 0..10_000 {
            cuts.note_removal(&mut slab);
        }
        assert_eq!(slab.capacity(), 0);
    }
}
