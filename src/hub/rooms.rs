//! Rooms by name, and the sockets in them.

use alloc::{
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
    vec::Vec,
};
use core::cmp::Reverse;

use smallvec::SmallVec;

use crate::{
    id::ConnectionId,
    recovery::RoomId,
    shrink::{self, Shrink as _},
};

/// The rooms of one namespace.
#[derive(Debug)]
pub(super) struct Rooms {
    slots: Vec<Room>,
    /// Free ids, the lowest first, so that the end of the table becomes free. Ids behind the end of
    /// the table are ignored.
    free: BinaryHeap<Reverse<RoomId>>,
    names: BTreeMap<Arc<str>, RoomId>,
}

#[derive(Debug, Default)]
struct Room {
    /// `None` if the id is free, and for the room of everyone.
    name: Option<Arc<str>>,
    live: SmallVec<[Occupant; 1]>,
    parked: Vec<u32>,
    /// The number of past memberships that refer to the room.
    pasts: u32,
}

/// A connected socket in a room, with the values that a broadcast needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occupant {
    pub(super) connection: ConnectionId,
    /// Index of the socket in its namespace.
    pub(super) socket: u32,
}

impl Rooms {
    pub(super) fn new() -> Self {
        // The first id is that of the room of everyone.
        let everyone = Room::default();
        Self { slots: Vec::from([everyone]), free: BinaryHeap::new(), names: BTreeMap::new() }
    }

    pub(super) fn find(&self, name: &str) -> Option<RoomId> {
        self.names.get(name).copied()
    }

    /// The name of a room; `None` for the room of everyone.
    pub(super) fn name(&self, room: RoomId) -> Option<&str> {
        self.slots.get(room.0 as usize)?.name.as_deref()
    }

    /// The name of a room, shared with the list of rooms.
    pub(super) fn shared_name(&self, room: RoomId) -> Option<Arc<str>> {
        self.slots.get(room.0 as usize)?.name.clone()
    }

    /// Names and ids in the order of the names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, RoomId)> {
        self.names.iter().map(|(name, room)| (&**name, *room))
    }

    pub(super) fn find_or_create(&mut self, name: &str) -> RoomId {
        if let Some(room) = self.find(name) {
            return room;
        }
        let name: Arc<str> = name.into();
        let room = self.take_free().unwrap_or_else(|| {
            self.slots.push(Room::default());
            RoomId(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
        });
        if let Some(slot) = self.slots.get_mut(room.0 as usize) {
            slot.name = Some(name.clone());
        }
        self.names.insert(name, room);
        room
    }

    pub(super) fn live(&self, room: RoomId) -> &[Occupant] {
        self.slots.get(room.0 as usize).map_or(&[], |room| &room.live)
    }

    pub(super) fn parked(&self, room: RoomId) -> &[u32] {
        self.slots.get(room.0 as usize).map_or(&[], |room| &room.parked)
    }

    /// Number of rooms that have a name.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Adds a connected socket to a room and returns its slot there.
    pub(super) fn enter(&mut self, room: RoomId, occupant: Occupant) -> u32 {
        let Some(room) = self.slots.get_mut(room.0 as usize) else {
            return 0;
        };
        room.live.push(occupant);
        last_slot(room.live.len())
    }

    /// Adds a parked socket to a room and returns its slot there.
    pub(super) fn enter_parked(&mut self, room: RoomId, socket: u32) -> u32 {
        let Some(room) = self.slots.get_mut(room.0 as usize) else {
            return 0;
        };
        room.parked.push(socket);
        last_slot(room.parked.len())
    }

    /// Removes a connected socket from its slot. Returns the socket that now has the slot.
    pub(super) fn exit(&mut self, room: RoomId, slot: u32) -> Option<u32> {
        let live = &mut self.slots.get_mut(room.0 as usize)?.live;
        let slot = slot as usize;
        if slot < live.len() {
            live.swap_remove(slot);
        }
        if live.len() <= 1 || shrink::is_sparse(live.len(), live.capacity()) {
            live.shrink_to_fit();
        }
        live.get(slot).map(|occupant| occupant.socket)
    }

    /// Removes a parked socket from its slot. Returns the socket that now has the slot.
    pub(super) fn exit_parked(&mut self, room: RoomId, slot: u32) -> Option<u32> {
        let parked = &mut self.slots.get_mut(room.0 as usize)?.parked;
        let slot = slot as usize;
        if slot < parked.len() {
            parked.swap_remove(slot);
        }
        if parked.is_empty() {
            *parked = Vec::new();
        }
        parked.shrink_if_sparse();
        parked.get(slot).copied()
    }

    pub(super) fn retain_past(&mut self, room: RoomId) {
        if let Some(room) = self.slots.get_mut(room.0 as usize) {
            room.pasts = room.pasts.saturating_add(1);
        }
    }

    pub(super) fn release_past(&mut self, room: RoomId) {
        if let Some(room) = self.slots.get_mut(room.0 as usize) {
            room.pasts = room.pasts.saturating_sub(1);
        }
    }

    /// Whether no socket is in the room and no past membership refers to it.
    pub(super) fn is_unused(&self, room: RoomId) -> bool {
        room != RoomId::ALL
            && self.slots.get(room.0 as usize).is_some_and(|room| {
                room.name.is_some()
                    && room.live.is_empty()
                    && room.parked.is_empty()
                    && room.pasts == 0
            })
    }

    /// Frees an unused room. Its id can be reused.
    pub(super) fn remove(&mut self, room: RoomId) {
        let Some(slot) = self.slots.get_mut(room.0 as usize) else {
            return;
        };
        if let Some(name) = slot.name.take() {
            self.names.remove(&name);
            self.free.push(Reverse(room));
            self.drop_free_end();
        }
    }

    fn take_free(&mut self) -> Option<RoomId> {
        let Reverse(room) = self.free.pop()?;
        if (room.0 as usize) < self.slots.len() {
            return Some(room);
        }
        // All other free ids are behind the end, too.
        self.free = BinaryHeap::new();
        None
    }

    /// Frees the end of the table, as far as the rooms there have no names.
    fn drop_free_end(&mut self) {
        // The first room is the room of everyone. It has no name and stays.
        while self.slots.len() > 1 && self.slots.pop_if(|room| room.name.is_none()).is_some() {}
        if shrink::is_sparse(self.slots.len(), self.slots.capacity()) {
            self.slots.shrink_if_sparse();
            let end = self.slots.len();
            self.free.retain(|Reverse(room)| (room.0 as usize) < end);
            self.free.shrink_if_sparse();
        }
    }
}

fn last_slot(len: usize) -> u32 {
    u32::try_from(len.saturating_sub(1)).unwrap_or(u32::MAX)
}
