//! The own rooms: each is named after the id of a session.
//!
//! Every session has a private address, [`RoomId::own`], for events that are emitted to it alone.
//! The room that is named after the session uses the same address until another session joins it,
//! which is rare. This saves memory: 37 bytes per session for the index by id, instead of 167 for a
//! room. When another session joins, the room becomes an ordinary room with the session in it.

use super::{Member, Sessions};
use crate::{hub::rooms::Occupant, id::SocketId, recovery::RoomId};

impl<D> Sessions<D> {
    /// The room with that name. Also finds a room that contains only its own session.
    pub(super) fn find_room(&self, name: &str) -> Option<RoomId> {
        let own = || self.alone.get(&SocketId::parse(name)?).map(|index| RoomId::own(*index));
        self.rooms.find(name).or_else(own)
    }

    /// The connected sessions in a room.
    pub(super) fn live(&self, room: RoomId) -> impl Iterator<Item = Occupant> {
        let alone = self.owner(room).and_then(|(socket, member)| {
            member.connection().map(|connection| Occupant { connection, socket })
        });
        alone.into_iter().chain(self.rooms.live(room).iter().copied())
    }

    /// All sessions in a room, parked sessions included.
    pub(super) fn everyone_in(&self, room: RoomId) -> impl Iterator<Item = u32> {
        let alone = self.owner(room).filter(|(_, member)| !member.is_live());
        let parked = alone.map(|(index, _)| index).into_iter();
        self.live(room)
            .map(|occupant| occupant.socket)
            .chain(parked)
            .chain(self.rooms.parked(room).iter().copied())
    }

    /// Converts a session's own room to an ordinary room, so that another session can join it.
    pub(super) fn share(&mut self, room: RoomId) -> RoomId {
        let Some((index, member)) = self.owner(room) else {
            return room;
        };
        let id = member.id;
        self.alone.remove(&id);
        let shared = self.rooms.find_or_create(id.as_str());
        self.enter(index, shared);
        shared
    }

    fn owner(&self, room: RoomId) -> Option<(u32, &Member<D>)> {
        let index = room.owner()?;
        Some((index, self.members.get(index as usize)?))
    }
}
