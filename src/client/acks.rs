//! Acknowledgements that the client waits for. Every one of them settles.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::time::Timestamp;

/// The acknowledgements that one namespace waits for, by id.
#[derive(Debug, Default)]
pub(super) struct AckTable {
    pending: BTreeMap<u64, Timestamp>,
    deadlines: BTreeSet<(Timestamp, u64)>,
}

impl AckTable {
    pub(super) fn expect(&mut self, id: u64, deadline: Timestamp) {
        self.pending.insert(id, deadline);
        self.deadlines.insert((deadline, id));
    }

    /// Stops waiting. Returns whether the id was awaited.
    pub(super) fn settle(&mut self, id: u64) -> bool {
        let deadline = self.pending.remove(&id);
        deadline.is_some_and(|deadline| self.deadlines.remove(&(deadline, id)))
    }

    /// Stops waiting for one that has taken too long.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<u64> {
        let (deadline, id) = *self.deadlines.first()?;
        (deadline <= now && self.settle(id)).then_some(id)
    }

    /// The ids that are awaited, in order.
    pub(super) fn ids(&self) -> impl Iterator<Item = u64> {
        self.pending.keys().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.deadlines.first().map_or(Timestamp::NEVER, |(deadline, _)| *deadline)
    }
}
