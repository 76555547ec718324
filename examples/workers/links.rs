//! The links of one thread: by id, by sid, by wire, by deadline.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use slab::Slab;
use socketio_proto::{
    ConnectionId, EngineId, EngineIdMap, Timestamp, WireId,
    engine::Transport,
    link::{Link, Output},
};

use crate::app;

/// A connection's id is made of its thread, its place there and a number that is used once.
const THREAD_SHIFT: u32 = 58;
const PLACE_SHIFT: u32 = 32;
const PLACE_MASK: u64 = (1 << (THREAD_SHIFT - PLACE_SHIFT)) - 1;

/// The thread of a connection.
pub fn thread_of(id: ConnectionId) -> usize {
    usize::try_from(id.as_raw() >> THREAD_SHIFT).unwrap_or(usize::MAX)
}

fn place_of(id: ConnectionId) -> usize {
    usize::try_from((id.as_raw() >> PLACE_SHIFT) & PLACE_MASK).unwrap_or(usize::MAX)
}

/// The links of one thread.
pub struct Links {
    thread: usize,
    slots: Slab<Slot>,
    next_number: u32,
    /// Not a plain map: how long a look-up takes must say nothing about ids.
    sids: EngineIdMap<ConnectionId>,
    wires: BTreeMap<WireId, ConnectionId>,
    timers: BTreeSet<(Timestamp, ConnectionId)>,
    /// Links that may have something to say.
    ready: VecDeque<ConnectionId>,
}

struct Slot {
    id: ConnectionId,
    link: Link,
    is_ready: bool,
    armed: Option<Timestamp>,
}

impl Links {
    pub fn new(thread: usize) -> Self {
        Self {
            thread,
            slots: Slab::new(),
            next_number: 0,
            sids: EngineIdMap::new(&mut app::entropy(thread)),
            wires: BTreeMap::new(),
            timers: BTreeSet::new(),
            ready: VecDeque::new(),
        }
    }

    pub fn insert(&mut self, link: Link) -> ConnectionId {
        let entry = self.slots.vacant_entry();
        let place = (entry.key() as u64) << PLACE_SHIFT;
        let thread = (self.thread as u64) << THREAD_SHIFT;
        let id = ConnectionId::from_raw(thread | place | u64::from(self.next_number));
        self.next_number = self.next_number.wrapping_add(1);
        self.sids.insert(link.id(), id);
        entry.insert(Slot { id, link, is_ready: false, armed: None });
        id
    }

    /// Lets `f` do something with a link, which may have something to say then.
    pub fn with(&mut self, id: ConnectionId, f: impl FnOnce(&mut Link)) {
        if let Some(slot) = self.slots.get_mut(place_of(id)).filter(|slot| slot.id == id) {
            f(&mut slot.link);
            if !slot.is_ready {
                slot.is_ready = true;
                self.ready.push_back(id);
            }
        }
    }

    pub fn find(&self, sid: &EngineId) -> Option<(ConnectionId, Transport)> {
        let id = *self.sids.get(sid)?;
        let slot = self.slots.get(place_of(id)).filter(|slot| slot.id == id)?;
        Some((id, slot.link.transport()))
    }

    pub fn add_wire(&mut self, wire: WireId, id: ConnectionId) {
        self.wires.insert(wire, id);
    }

    pub fn forget_wire(&mut self, wire: WireId) {
        self.wires.remove(&wire);
    }

    pub fn connection_of(&self, wire: WireId) -> Option<ConnectionId> {
        self.wires.get(&wire).copied()
    }

    /// Takes the next thing that a link has to say. What one link says comes without a break.
    pub fn poll_output(&mut self) -> Option<(ConnectionId, Output)> {
        loop {
            let id = *self.ready.front()?;
            let slot = self.slots.get_mut(place_of(id)).filter(|slot| slot.id == id);
            if let Some(output) = slot.and_then(|slot| slot.link.poll_output()) {
                return Some((id, output));
            }
            self.ready.pop_front();
            self.settle(id);
        }
    }

    /// The moment of the next timer.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Takes a link whose time has come.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<ConnectionId> {
        let timer = self.timers.first().copied().filter(|(at, _)| *at <= now)?;
        self.timers.remove(&timer);
        let (_, id) = timer;
        if let Some(slot) = self.slots.get_mut(place_of(id)) {
            slot.armed = None;
        }
        Some(id)
    }

    /// Sees to the timer of a link that has nothing to say, and forgets one that is over.
    fn settle(&mut self, id: ConnectionId) {
        let place = place_of(id);
        let Some(slot) = self.slots.get_mut(place).filter(|slot| slot.id == id) else { return };
        slot.is_ready = false;
        let is_finished = slot.link.is_finished();
        let deadline = slot.link.deadline().filter(|_| !is_finished);
        if slot.armed != deadline {
            self.timers.extend(deadline.map(|at| (at, id)));
            if let Some(former) = std::mem::replace(&mut slot.armed, deadline) {
                self.timers.remove(&(former, id));
            }
        }
        if slot.link.is_closed() {
            self.sids.remove(&slot.link.id());
        }
        if is_finished {
            self.slots.remove(place);
        }
    }
}
