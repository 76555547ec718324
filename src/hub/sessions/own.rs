//! The own rooms: each is named after the id of a session. See
//! [`Rooms`](crate::recovery::Rooms).

use super::{Member, Sessions};
use crate::{
    id::SocketId,
    recovery::{Occupant, RoomId},
};

impl<D> Sessions<D> {
    /// The index of the session with this id. `index` is where the caller has just found it.
    pub(super) fn locate(&self, id: &SocketId, index: Option<u32>) -> Option<u32> {
        index.or_else(|| self.log.rooms().session(id))
    }

    /// The connected sessions in a room.
    pub(super) fn live(&self, room: RoomId) -> impl Iterator<Item = Occupant> {
        let alone = self.owner(room).and_then(|(socket, member)| {
            member.connection().map(|connection| Occupant { connection, socket })
        });
        alone.into_iter().chain(self.log.rooms().live(room).iter().copied())
    }

    /// All sessions in a room, parked sessions included.
    pub(super) fn everyone_in(&self, room: RoomId) -> impl Iterator<Item = u32> {
        let alone = self.owner(room).filter(|(_, member)| !member.is_live());
        let parked = alone.map(|(index, _)| index).into_iter();
        self.live(room)
            .map(|occupant| occupant.socket)
            .chain(parked)
            .chain(self.log.rooms().parked(room).iter().copied())
    }

    /// Converts a session's own room to an ordinary room, so that another session can join it.
    pub(super) fn share(&mut self, room: RoomId) -> RoomId {
        let Some((index, member)) = self.owner(room) else {
            return room;
        };
        let id = member.id;
        let shared = self.log.rooms_mut().share_own(id);
        self.enter(index, shared);
        shared
    }

    fn owner(&self, room: RoomId) -> Option<(u32, &Member<D>)> {
        let index = room.owner()?;
        Some((index, self.members.get(index as usize)?))
    }
}
