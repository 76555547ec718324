//! The rooms of one namespace: their names, the sockets in them, and what the log knows about them.
//!
//! This table owns all facts about rooms, so there is one rule for their lifetime. A room exists
//! while at least one of these is true:
//!
//! * A session is in it, connected or parked.
//! * A session was in it, and remembers this as a past membership.
//! * A packet in the log names it, as a target or as an exception.
//!
//! If only the last one is true, the room is *vacant*: no session of this process can miss an
//! evicted packet of it. Then evictions from it are not recorded, and no set of exceptions contains
//! it.
//!
//! # Own rooms
//!
//! Every session has a private address, [`RoomId::own`], for events that are emitted to it alone.
//! The room that is named after the session uses the same address until another session joins it,
//! which is rare. This saves memory: 37 bytes per session for the index by id, instead of 80 for a
//! room, and its name, and an entry in the index by name. When another session joins, the room
//! becomes an ordinary room with the session in it.
//!
//! The lifetime of an own room is that of its session. If the log still contains packets of an
//! earlier session with this index, they are ignored.

#[cfg(test)]
mod audit;
mod log;

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
    vec::Vec,
};
use core::cmp::Reverse;

use smallvec::SmallVec;

#[cfg(test)]
pub(crate) use self::audit::Expected;
use super::{room::RoomId, room_log::RoomLog};
use crate::{
    id::{ConnectionId, SocketId},
    shrink::{self, Shrink as _},
};

/// The rooms of one namespace.
#[derive(Debug)]
pub(crate) struct Rooms {
    /// All rooms but own rooms, by id.
    slots: Vec<Room>,
    /// Free ids, the lowest first, so that the end of the table becomes free. Ids behind the end of
    /// the table are ignored.
    free: BinaryHeap<Reverse<RoomId>>,
    names: BTreeMap<Arc<str>, RoomId>,
    /// The own rooms that packets were logged for since their sessions began, by the index of the
    /// session.
    own: BTreeMap<u32, Box<RoomLog>>,
    /// Sessions that are alone in the room named after them, by id.
    alone: BTreeMap<SocketId, u32>,
    /// The other sessions. There are few: other sessions have joined the room named after them.
    shared: BTreeMap<SocketId, u32>,
    /// See [`Rooms::unrecorded`].
    unrecorded: u64,
}

#[derive(Debug, Default)]
struct Room {
    /// `None` if the id is free, and for the room of everyone.
    name: Option<Arc<str>>,
    live: SmallVec<[Occupant; 1]>,
    parked: Vec<u32>,
    /// The number of past memberships that refer to the room.
    past: u32,
    /// The number of packets in the log that name the room.
    packets: u32,
    log: Option<Box<RoomLog>>,
}

/// A connected socket in a room, with the values that a broadcast needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Occupant {
    pub(crate) connection: ConnectionId,
    /// Index of the socket in its namespace.
    pub(crate) socket: u32,
}

impl Default for Rooms {
    fn default() -> Self {
        // The first id is that of the room of everyone.
        let everyone = Room::default();
        Self {
            slots: Vec::from([everyone]),
            free: BinaryHeap::new(),
            names: BTreeMap::new(),
            own: BTreeMap::new(),
            alone: BTreeMap::new(),
            shared: BTreeMap::new(),
            unrecorded: 0,
        }
    }
}

impl Rooms {
    /// Rooms with these names, which get ids in this order. Some of them may be unused until
    /// [`Rooms::free_unused`].
    pub(crate) fn restore<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut rooms = Self::default();
        for name in names {
            rooms.find_or_create(name);
        }
        rooms
    }

    /// The room with that name. Also finds a room that contains only its own session.
    pub(crate) fn find(&self, name: &str) -> Option<RoomId> {
        let own = || self.alone.get(&SocketId::parse(name)?).map(|index| RoomId::own(*index));
        self.names.get(name).copied().or_else(own)
    }

    /// The room with that name, as a room that another session can join or that a packet can be
    /// logged for. The caller must do so before anything else happens: a room that is not in use
    /// must not exist.
    pub(crate) fn find_or_create(&mut self, name: &str) -> RoomId {
        if let Some(room) = self.names.get(name) {
            return *room;
        }
        let name: Arc<str> = name.into();
        let room = self.take_free().unwrap_or_else(|| {
            self.slots.push(Room::default());
            RoomId(u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX))
        });
        if let Some(slot) = self.get_mut(room) {
            slot.name = Some(name.clone());
        }
        self.names.insert(name, room);
        room
    }

    /// The name of a room, shared with the table; `None` for the room of everyone and own rooms.
    pub(crate) fn name(&self, room: RoomId) -> Option<&Arc<str>> {
        self.get(room)?.name.as_ref()
    }

    /// Names and ids in the order of the names, without own rooms.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, RoomId)> {
        self.names.iter().map(|(name, room)| (&**name, *room))
    }

    /// The number of rooms that have a name, including own rooms.
    pub(crate) fn len(&self) -> usize {
        self.names.len().saturating_add(self.alone.len())
    }

    /// The connected sockets in a room. An own room has no list.
    pub(crate) fn live(&self, room: RoomId) -> &[Occupant] {
        self.get(room).map_or(&[], |room| &room.live)
    }

    /// The parked sockets in a room. An own room has no list.
    pub(crate) fn parked(&self, room: RoomId) -> &[u32] {
        self.get(room).map_or(&[], |room| &room.parked)
    }

    /// The index of the session with this id.
    pub(crate) fn session(&self, id: &SocketId) -> Option<u32> {
        self.alone.get(id).or_else(|| self.shared.get(id)).copied()
    }

    /// A session begins. Returns the room that is named after it, if there is one already. Then the
    /// session must enter that room, too.
    pub(crate) fn open_own(&mut self, id: SocketId, socket: u32) -> Option<RoomId> {
        let shared = self.names.get(id.as_str()).copied();
        let sessions = if shared.is_none() { &mut self.alone } else { &mut self.shared };
        sessions.insert(id, socket);
        shared
    }

    /// Converts an own room to an ordinary room. The session that it belongs to must enter it.
    pub(crate) fn share_own(&mut self, id: SocketId) -> RoomId {
        if let Some(socket) = self.alone.remove(&id) {
            self.shared.insert(id, socket);
        }
        self.find_or_create(id.as_str())
    }

    /// Whether the session with this id is alone in the room named after it.
    pub(crate) fn is_alone(&self, id: SocketId) -> bool {
        self.alone.contains_key(&id)
    }

    /// A session ends, so its own room does not exist any more.
    pub(crate) fn close_own(&mut self, id: SocketId, socket: u32) {
        self.alone.remove(&id);
        self.shared.remove(&id);
        self.remove_own_log(socket);
    }

    /// Adds a socket to a room: to the connected sockets, or to the parked ones if it has no
    /// connection. Returns its slot there.
    pub(crate) fn enter(
        &mut self,
        room: RoomId,
        socket: u32,
        connection: Option<ConnectionId>,
    ) -> u32 {
        self.get_mut(room).map_or(0, |room| room.insert(socket, connection))
    }

    /// Moves a socket to the list of connected or of parked sockets, or gives it another
    /// connection. Returns its new slot, and the socket that now has its old slot.
    pub(crate) fn relocate(
        &mut self,
        room: RoomId,
        (slot, was_live): (u32, bool),
        socket: u32,
        connection: Option<ConnectionId>,
    ) -> (u32, Option<u32>) {
        let Some(room) = self.get_mut(room) else {
            return (0, None);
        };
        let moved = room.remove(slot, was_live);
        (room.insert(socket, connection), moved)
    }

    /// Removes a socket from a room. `is_kept` says whether the session remembers its membership,
    /// until [`Rooms::release_past`]. Returns the socket that now has the slot.
    pub(crate) fn leave(
        &mut self,
        room: RoomId,
        (slot, was_live): (u32, bool),
        is_kept: bool,
    ) -> Option<u32> {
        let left = self.get_mut(room)?;
        let moved = left.remove(slot, was_live);
        left.past = left.past.saturating_add(u32::from(is_kept));
        self.free_if_unused(room);
        moved
    }

    /// A restored session remembers that it was in a room.
    pub(crate) fn retain_past(&mut self, room: RoomId) {
        if let Some(room) = self.get_mut(room) {
            room.past = room.past.saturating_add(1);
        }
    }

    /// A session has forgotten that it was in a room.
    pub(crate) fn release_past(&mut self, room: RoomId) {
        if let Some(slot) = self.get_mut(room) {
            slot.past = slot.past.saturating_sub(1);
            self.free_if_unused(room);
        }
    }

    /// All rooms that have a name, without own rooms.
    pub(crate) fn ids(&self) -> Vec<RoomId> {
        self.names.values().copied().collect()
    }

    /// Frees those of these rooms that were created and then not used after all.
    pub(crate) fn free_unused(&mut self, rooms: Vec<RoomId>) {
        for room in rooms {
            self.free_if_unused(room);
        }
    }

    /// Applies the rule for the lifetime of a room. Only this function makes a room free.
    fn free_if_unused(&mut self, room: RoomId) {
        if !self.is_vacant(room) {
            return;
        }
        self.forget_evictions(room);
        let Some(slot) = self.get_mut(room).filter(|slot| slot.packets == 0) else {
            return;
        };
        slot.log = None;
        if let Some(name) = slot.name.take() {
            self.names.remove(&name);
            self.free.push(Reverse(room));
            self.drop_free_end();
        }
    }

    /// Whether no session is in the room, or remembers that it was in it.
    fn is_vacant(&self, room: RoomId) -> bool {
        match room.owner() {
            // Its log exists from the first packet that names it until its session ends.
            Some(_) => self.log(room).is_none(),
            None => room != RoomId::ALL && self.get(room).is_none_or(Room::is_vacant),
        }
    }

    /// `None` for own rooms.
    fn get(&self, room: RoomId) -> Option<&Room> {
        self.slots.get(room.0 as usize)
    }

    fn get_mut(&mut self, room: RoomId) -> Option<&mut Room> {
        self.slots.get_mut(room.0 as usize)
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

impl Room {
    fn is_vacant(&self) -> bool {
        self.live.is_empty() && self.parked.is_empty() && self.past == 0
    }

    fn insert(&mut self, socket: u32, connection: Option<ConnectionId>) -> u32 {
        if let Some(connection) = connection {
            self.live.push(Occupant { connection, socket });
            last_slot(self.live.len())
        } else {
            self.parked.push(socket);
            last_slot(self.parked.len())
        }
    }

    /// Removes a socket. Returns the socket that now has its slot.
    fn remove(&mut self, slot: u32, was_live: bool) -> Option<u32> {
        let slot = slot as usize;
        if was_live {
            if slot < self.live.len() {
                self.live.swap_remove(slot);
            }
            if self.live.len() <= 1 || shrink::is_sparse(self.live.len(), self.live.capacity()) {
                self.live.shrink_to_fit();
            }
            return self.live.get(slot).map(|occupant| occupant.socket);
        }
        if slot < self.parked.len() {
            self.parked.swap_remove(slot);
        }
        if self.parked.is_empty() {
            self.parked = Vec::new();
        }
        self.parked.shrink_if_sparse();
        self.parked.get(slot).copied()
    }
}

fn last_slot(len: usize) -> u32 {
    u32::try_from(len.saturating_sub(1)).unwrap_or(u32::MAX)
}
