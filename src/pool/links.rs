//! The connections of a pool, indexed by id, by sid, by wire and by deadline, and those with
//! output.

use alloc::collections::{BTreeMap, VecDeque};

use super::slots::Slots;
use crate::{
    engine::{EngineOutput, Transport},
    hub::Delivery,
    id::{ConnectionId, EngineId, WireId},
    link::{Delivered, Link},
    secret_index::{SecretIndex, Seed},
    time::Timestamp,
    timers::Timers,
};

/// The connections of a pool.
pub(super) struct Links {
    slots: Slots<Link>,
    sids: SecretIndex<ConnectionId>,
    wires: BTreeMap<WireId, ConnectionId>,
    timers: Timers<ConnectionId>,
    /// Connections that may have output for their wires. Idle connections are never visited.
    ready: VecDeque<ConnectionId>,
}

impl Links {
    pub(super) fn new(seed: Seed, number: u8) -> Self {
        Self {
            slots: Slots::new(number),
            sids: SecretIndex::new(seed),
            wires: BTreeMap::new(),
            timers: Timers::new(),
            ready: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no room for one more connection.
    pub(super) fn is_full(&self) -> bool {
        self.slots.is_full()
    }

    pub(super) fn insert(&mut self, link: Link) -> ConnectionId {
        let sid = link.id();
        let id = self.slots.insert(link);
        self.sids.insert(sid.index_key(), id);
        id
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Link> {
        self.slots.get(id)
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Link> {
        self.slots.get_mut(id)
    }

    pub(super) fn find(&self, sid: &EngineId) -> Option<(ConnectionId, Transport)> {
        let id = *self.sids.get(&sid.index_key())?;
        let link = self.slots.get(id).filter(|link| link.id() == *sid)?;
        Some((id, link.transport()))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ConnectionId> {
        self.slots.ids()
    }

    pub(super) fn add_wire(&mut self, wire: WireId, connection: ConnectionId) {
        self.wires.insert(wire, connection);
    }

    pub(super) fn forget_wire(&mut self, wire: WireId) {
        self.wires.remove(&wire);
    }

    pub(super) fn is_wire_in_use(&self, wire: WireId) -> bool {
        self.wires.contains_key(&wire)
    }

    pub(super) fn connection_of(&self, wire: WireId) -> Option<ConnectionId> {
        self.wires.get(&wire).copied()
    }

    /// Updates the timer and the output of a link that may have changed. A closed connection is no
    /// longer found by its sid, and is removed when its last output was taken.
    pub(super) fn settle(&mut self, id: ConnectionId) {
        let Some(link) = self.slots.get_mut(id) else {
            return;
        };
        if link.is_closed() {
            self.sids.remove(&link.id().index_key());
            if link.is_finished() {
                self.timers.disarm(id, link.armed());
                self.slots.remove(id);
                return;
            }
        }
        let deadline = link.timer();
        self.timers.arm(id, link.armed(), deadline);
        if !link.is_listed() && link.has_wire_output() {
            link.set_listed(true);
            self.ready.push_back(id);
        }
    }

    /// Queues a packet on one connection; `None` if the connection is gone.
    pub(super) fn deliver(
        &mut self,
        now: Timestamp,
        to: ConnectionId,
        delivery: &Delivery,
    ) -> Option<Delivered> {
        let link = self.slots.get_mut(to)?;
        let delivered = link.deliver(now, delivery);
        if delivered == Delivered::Queued && !link.is_listed() {
            link.set_listed(true);
            self.ready.push_back(to);
        }
        Some(delivered)
    }

    pub(super) fn has_wire_output(&self) -> bool {
        self.ready.iter().any(|id| self.slots.get(*id).is_some_and(Link::has_wire_output))
    }

    pub(super) fn poll_wire(&mut self) -> Option<EngineOutput> {
        while let Some(id) = self.ready.front().copied() {
            let Some(link) = self.slots.get_mut(id) else {
                self.ready.pop_front();
                continue;
            };
            let output = link.poll_wire();
            if !link.has_wire_output() {
                link.set_listed(false);
                self.ready.pop_front();
                // The timer of an open connection does not depend on the output that was taken.
                if link.is_closed() {
                    self.settle(id);
                }
            }
            if let Some(output) = output {
                if let EngineOutput::Respond { wire, .. } | EngineOutput::Close { wire, .. } =
                    &output
                {
                    self.forget_wire(*wire);
                }
                return Some(output);
            }
        }
        None
    }

    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<ConnectionId> {
        let id = self.timers.pop_due(now)?;
        if let Some(link) = self.slots.get_mut(id) {
            *link.armed() = Timestamp::NEVER;
        }
        Some(id)
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.timers.deadline()
    }
}
