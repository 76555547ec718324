//! The acknowledgements that the client waits for. Every acknowledgement completes.
//!
//! An acknowledgement has a *name*, by which the application knows it. When its event is sent, it also
//! gets an *id* on the wire. A name is used only once in a process. An id is unique among all events
//! that the server may still answer; a previous process may have sent some of them.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::time::Timestamp;

/// The acknowledgements that one namespace waits for.
#[derive(Debug, Default)]
pub(super) struct AckTable {
    pending: BTreeMap<u64, Pending>,
    deadlines: BTreeSet<(Timestamp, u64)>,
    /// Ids on the wire, with their names.
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

    /// The event was sent with this id, which replaces an earlier one.
    pub(super) fn sent(&mut self, name: u64, id: u64) {
        if let Some(pending) = self.pending.get_mut(&name) {
            let earlier = pending.id.replace(id);
            // Another event may have the earlier id by now.
            if let Some(earlier) = earlier
                && self.sent.get(&earlier) == Some(&name)
            {
                self.sent.remove(&earlier);
            }
            self.sent.insert(id, name);
        }
    }

    /// Stops waiting for this name. Returns whether it was pending.
    pub(super) fn remove(&mut self, name: u64) -> bool {
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

    /// Stops waiting for this id. Returns its name if it was pending.
    pub(super) fn remove_sent(&mut self, id: u64) -> Option<u64> {
        let name = *self.sent.get(&id)?;
        self.remove(name).then_some(name)
    }

    /// Stops waiting for an acknowledgement that is overdue. Returns its name.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<u64> {
        let (deadline, name) = *self.deadlines.first()?;
        (deadline <= now && self.remove(name)).then_some(name)
    }

    /// The ids and names of the pending acknowledgements whose event was sent.
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
    fn a_reused_id_belongs_to_the_later_event() {
        let mut acks = AckTable::default();
        for name in [10, 11] {
            acks.expect(name, Timestamp::from_millis(name));
        }
        acks.sent(10, 4);
        acks.sent(11, 5);
        // An event before them is gone, so the ids of both decrease by one.
        acks.sent(10, 3);
        acks.sent(11, 4);
        assert!(acks.sent_ids().eq([(3, 10), (4, 11)]));
        assert_eq!(acks.remove_sent(5), None);
        assert!(acks.remove(10) && !acks.remove(10));
        assert_eq!(acks.remove_sent(4), Some(11));
        assert_eq!((acks.len(), acks.sent_ids().count()), (0, 0));
        assert_eq!(acks.deadline(), Timestamp::NEVER);
    }

    /// The order in which ids change does not matter.
    #[test]
    fn a_reused_id_is_not_lost() {
        let mut acks = AckTable::default();
        for name in [10, 11] {
            acks.expect(name, Timestamp::ZERO);
        }
        acks.sent(10, 4);
        acks.sent(11, 4);
        acks.sent(10, 3);
        assert_eq!(acks.remove_sent(4), Some(11));
        assert_eq!(acks.remove_sent(3), Some(10));
    }
}
