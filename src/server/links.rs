//! The connections of a server: by id, by sid, by wire, by deadline, and which have output.

use alloc::collections::{BTreeMap, VecDeque};

use slab::Slab;

use crate::{
    engine::{self, Transport},
    hub::Delivery,
    id::{ConnectionId, EngineId, WireId},
    link::{Delivered, Link},
    secret_index::{SecretIndex, Seed},
    shrink::Cuts,
    time::Timestamp,
    timers::Timers,
};

/// The connections of a server.
pub(super) struct Links {
    slots: Slab<Slot>,
    cuts: Cuts,
    next_generation: u32,
    sids: SecretIndex<ConnectionId>,
    wires: BTreeMap<WireId, ConnectionId>,
    timers: Timers<ConnectionId>,
    /// Connections that may have output for their wires. Idle ones are never visited.
    ready: VecDeque<ConnectionId>,
}

struct Slot {
    link: Link,
    generation: u32,
    is_ready: bool,
}

impl Links {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            slots: Slab::new(),
            cuts: Cuts::default(),
            next_generation: 0,
            sids: SecretIndex::new(seed),
            wires: BTreeMap::new(),
            timers: Timers::new(),
            ready: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn insert(&mut self, link: Link) -> ConnectionId {
        let generation = self.next_generation;
        self.next_generation = generation.wrapping_add(1);
        let sid = link.id();
        let slot = Slot { link, generation, is_ready: false };
        let id = pack(self.slots.insert(slot), generation);
        self.sids.insert(sid.index_key(), id);
        id
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Link> {
        let (index, generation) = unpack(id);
        let slot = self.slots.get(index).filter(|slot| slot.generation == generation);
        slot.map(|slot| &slot.link)
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Link> {
        self.slot_mut(id).map(|slot| &mut slot.link)
    }

    pub(super) fn find(&self, sid: &EngineId) -> Option<(ConnectionId, Transport)> {
        let id = *self.sids.get(&sid.index_key())?;
        let slot = self.slots.get(unpack(id).0)?;
        let is_it = slot.generation == unpack(id).1 && slot.link.id() == *sid;
        is_it.then(|| (id, slot.link.transport()))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ConnectionId> {
        self.slots.iter().map(|(index, slot)| pack(index, slot.generation))
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

    /// Sees to the timer and the output of a link that may have changed; a connection that is over
    /// is not found by its sid any more, and goes when its last output was taken.
    pub(super) fn settle(&mut self, id: ConnectionId) {
        let (index, generation) = unpack(id);
        let Some(slot) = self.slots.get_mut(index) else {
            return;
        };
        if slot.generation != generation {
            return;
        }
        if slot.link.is_closed() {
            self.sids.remove(&slot.link.id().index_key());
        }
        if slot.link.is_finished() {
            self.timers.disarm(id, slot.link.armed());
            self.slots.remove(index);
            self.cuts.note_removal(&mut self.slots);
            return;
        }
        let deadline = slot.link.timer();
        self.timers.arm(id, slot.link.armed(), deadline);
        if slot.link.has_wire_output() {
            self.mark_ready(id);
        }
    }

    /// Queues a packet on one connection; `None` if it is gone.
    pub(super) fn deliver(&mut self, to: ConnectionId, delivery: &Delivery) -> Option<Delivered> {
        let (index, generation) = unpack(to);
        let slot = self.slots.get_mut(index).filter(|slot| slot.generation == generation)?;
        let delivered = slot.link.deliver(delivery);
        if delivered == Delivered::Queued && !slot.is_ready {
            slot.is_ready = true;
            self.ready.push_back(to);
        }
        Some(delivered)
    }

    fn mark_ready(&mut self, id: ConnectionId) {
        if let Some(slot) = self.slot_mut(id)
            && !slot.is_ready
        {
            slot.is_ready = true;
            self.ready.push_back(id);
        }
    }

    pub(super) fn has_wire_output(&self) -> bool {
        self.ready.iter().any(|id| {
            let slot = self.slots.get(unpack(*id).0);
            slot.is_some_and(|slot| slot.link.has_wire_output())
        })
    }

    pub(super) fn poll_wire(&mut self) -> Option<engine::Output> {
        while let Some(id) = self.ready.front().copied() {
            let output = self.get_mut(id).and_then(Link::poll_wire);
            match output {
                Some(engine::Output::Respond { wire, response }) => {
                    self.forget_wire(wire);
                    return Some(engine::Output::Respond { wire, response });
                }
                Some(engine::Output::Close { wire, code }) => {
                    self.forget_wire(wire);
                    return Some(engine::Output::Close { wire, code });
                }
                Some(output) => return Some(output),
                None => {
                    self.ready.pop_front();
                    let slot = self.slot_mut(id);
                    let is_closed = slot.is_some_and(|slot| {
                        slot.is_ready = false;
                        slot.link.is_closed()
                    });
                    // The timer of one that is open does not depend on what was taken.
                    if is_closed {
                        self.settle(id);
                    }
                }
            }
        }
        None
    }

    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<ConnectionId> {
        let id = self.timers.pop_due(now)?;
        if let Some(slot) = self.slot_mut(id) {
            *slot.link.armed() = Timestamp::NEVER;
        }
        Some(id)
    }

    pub(super) fn deadline(&self) -> Timestamp {
        self.timers.deadline()
    }

    fn slot_mut(&mut self, id: ConnectionId) -> Option<&mut Slot> {
        let (index, generation) = unpack(id);
        self.slots.get_mut(index).filter(|slot| slot.generation == generation)
    }
}

fn pack(index: usize, generation: u32) -> ConnectionId {
    ConnectionId::from_raw(((index as u64) << 32) | u64::from(generation))
}

fn unpack(id: ConnectionId) -> (usize, u32) {
    let raw = id.as_raw();
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of what was packed")]
    let halves = ((raw >> 32) as usize, raw as u32);
    halves
}
