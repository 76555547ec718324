//! Acknowledgements that the client waits for. Every one of them settles.
//!
//! An acknowledgement has a *name*, under which the application knows it, and once its event was
//! sent an *id* on the wire. A name is used once in a process. An id is used once among all that
//! the server may still answer, and some of those may be events of a former process.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::time::Timestamp;

/// The acknowledgements that one namespace waits for.
#[derive(Debug, Default)]
pub(super) struct AckTable {
    pending: BTreeMap<u64, Pending>,
    deadlines: BTreeSet<(Timestamp, u64)>,
    /// From ids to names.
    sent: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Pending {
    deadline: Timestamp,
    /// `None` if the event was not sent.
    id: Option<u64>,
}

impl AckTable {
    pub(super) fn expect(&mut self, name: u64, deadline: Timestamp) {
        self.pending.insert(name, Pending { deadline, id: None });
        self.deadlines.insert((deadline, name));
    }

    /// The event was sent with this id, and not with an earlier one.
    pub(super) fn sent(&mut self, name: u64, id: u64) {
        if let Some(pending) = self.pending.get_mut(&name) {
            let former = pending.id.replace(id);
            // Another event may have that id by now.
            if let Some(former) = former
                && self.sent.get(&former) == Some(&name)
            {
                self.sent.remove(&former);
            }
            self.sent.insert(id, name);
        }
    }

    /// Stops waiting. Returns whether it was awaited.
    pub(super) fn settle(&mut self, name: u64) -> bool {
        let Some(Pending { deadline, id }) = self.pending.remove(&name) else {
            return false;
        };
        if let Some(id) = id
            && self.sent.get(&id) == Some(&name)
        {
            self.sent.remove(&id);
        }
        self.deadlines.remove(&(deadline, name))
    }

    /// Stops waiting for the one with this id. Returns its name if it was awaited.
    pub(super) fn settle_id(&mut self, id: u64) -> Option<u64> {
        let name = *self.sent.get(&id)?;
        self.settle(name).then_some(name)
    }

    /// Stops waiting for one that has taken too long.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<u64> {
        let (deadline, name) = *self.deadlines.first()?;
        (deadline <= now && self.settle(name)).then_some(name)
    }

    /// The ids and the names of those whose event was sent.
    pub(super) fn sent_ids(&self) -> impl Iterator<Item = (u64, u64)> {
        self.sent.iter().map(|(id, name)| (*id, *name))
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.deadlines.first().map_or(Timestamp::NEVER, |(deadline, _)| *deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_have_moved_on_belong_to_the_later_event() {
        let mut acks = AckTable::default();
        for name in [10, 11] {
            acks.expect(name, Timestamp::from_millis(name));
        }
        acks.sent(10, 4);
        acks.sent(11, 5);
        // What was before them is gone, so both move up by one.
        acks.sent(10, 3);
        acks.sent(11, 4);
        assert!(acks.sent_ids().eq([(3, 10), (4, 11)]));
        assert_eq!(acks.settle_id(5), None);
        assert!(acks.settle(10) && !acks.settle(10));
        assert_eq!(acks.settle_id(4), Some(11));
        assert_eq!((acks.len(), acks.sent_ids().count()), (0, 0));
        assert_eq!(acks.deadline(), Timestamp::NEVER);
    }

    /// The order in which ids move up does not matter.
    #[test]
    fn an_id_that_was_taken_over_is_not_lost() {
        let mut acks = AckTable::default();
        for name in [10, 11] {
            acks.expect(name, Timestamp::ZERO);
        }
        acks.sent(10, 4);
        acks.sent(11, 4);
        acks.sent(10, 3);
        assert_eq!(acks.settle_id(4), Some(11));
        assert_eq!(acks.settle_id(3), Some(10));
    }
}
