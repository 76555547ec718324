//! How a session begins, gets and loses its links, and ends.

use core::mem;

use super::{
    Disconnected, Effect, Member, Recipients, Sessions,
    member::{Birth, Ended, Place},
};
use crate::{
    hub::reason::EndCause,
    id::ConnectionId,
    recovery::{Membership, Memberships, RoomId},
    time::Timestamp,
};

impl<D> Sessions<D> {
    /// Starts a session in the room named after its id. Its floor is the current position.
    pub(super) fn open(&mut self, birth: Birth<D>) -> Effect<D> {
        let floor = self.log.head();
        let entry = self.members.vacant_entry();
        let index = u32::try_from(entry.key()).unwrap_or(u32::MAX);
        let (id, own_room) = (birth.id, RoomId::own(index));
        entry.insert(Member {
            id: birth.id,
            key: birth.key,
            generation: birth.generation,
            attachment: 0,
            claimed: birth.claimed,
            data: birth.data,
            place: Place::Live(birth.connection),
            floor,
            is_restored: false,
            is_unproven: false,
            memberships: Memberships::new(floor),
            receipts: None,
        });
        self.keep_offset(index, birth.presented);
        self.enter(index, RoomId::ALL);
        self.enter(index, own_room);
        // Another session may have joined the room of this name already.
        if let Some(shared) = self.log.rooms_mut().open_own(id, index) {
            self.enter(index, shared);
        }
        #[cfg(feature = "record")]
        self.record_opened(id);
        Effect::Opened(index)
    }

    /// Parks a session, if it has a link and recovery is on.
    pub(super) fn park(&mut self, now: Timestamp, index: u32, is_open: bool) -> Effect<D> {
        let Some(recovery) = &self.config.recovery else {
            return Effect::None;
        };
        let expires = now.saturating_add(recovery.max_disconnection);
        let Some(connection) = self.members.get(index as usize).and_then(Member::connection) else {
            return Effect::None;
        };
        self.relocate(index, Place::Parked { expires });
        self.park_kept(index);
        if is_open {
            self.left_open.insert(index, (connection, self.log.head()));
        }
        Effect::Done
    }

    /// Gives a session a link, which replaces the link that it has.
    pub(super) fn attach(
        &mut self,
        index: u32,
        connection: ConnectionId,
        claimed: u64,
    ) -> Effect<D> {
        self.relocate(index, Place::Live(connection));
        self.left_open.remove(&index);
        let Some(member) = self.members.get_mut(index as usize) else {
            return Effect::None;
        };
        member.attachment = member.attachment.saturating_add(1);
        member.claimed = claimed;
        if let Some(receipts) = &mut member.receipts {
            receipts.relink();
        }
        Effect::Done
    }

    /// Replaces the application's data of a session.
    pub(super) fn set_data(&mut self, index: u32, data: D) -> Effect<D> {
        match self.members.get_mut(index as usize) {
            Some(member) => Effect::Replaced(mem::replace(&mut member.data, data)),
            None => Effect::None,
        }
    }

    /// Takes out the application's data of a session so that the caller can change it. The caller
    /// must put it back with [`Change::SetData`](super::Change::SetData).
    pub(in crate::hub) fn take_data(&mut self, index: u32) -> Option<D>
    where
        D: Default,
    {
        self.members.get_mut(index as usize).map(|member| mem::take(&mut member.data))
    }

    /// Ends a session permanently.
    pub(super) fn end(&mut self, index: u32, cause: EndCause) -> Effect<D> {
        Effect::of(self.take(index, cause), Effect::Ended)
    }

    /// Ends all sessions that are recipients, because the server disconnects them.
    pub(super) fn end_all(&mut self, to: &Recipients<'_>) -> Effect<D> {
        let selected = self.select(to).into_iter();
        Effect::AllEnded(selected.filter_map(|index| self.disconnect(index)).collect())
    }

    fn disconnect(&mut self, index: u32) -> Option<Disconnected<D>> {
        let member = self.members.get(index as usize)?;
        let generation = member.generation;
        let link = member.connection().map(|connection| (connection, member.attachment));
        let ended = self.take(index, EndCause::by_server(link.is_some()))?;
        Some(Disconnected { index, generation, link, ended })
    }

    fn take(&mut self, index: u32, cause: EndCause) -> Option<Ended<D>> {
        let id = self.members.get(index as usize)?.id;
        let rooms = self.names_of(index, id);
        let member = self.members.try_remove(index as usize)?;
        self.member_cuts.note_removal(&mut self.members);
        if let Some(expiry) = member.expiry(self.is_held(index)) {
            self.expiries.remove(&(expiry, index));
        }
        self.claims.remove(&index);
        self.attempts.remove(&index);
        self.left_open.remove(&index);
        self.kept.remove(&index);
        for Membership { room, slot, .. } in member.memberships.current() {
            let moved = self.log.rooms_mut().leave(*room, (*slot, member.is_live()), false);
            self.set_slot(moved, *room, *slot);
        }
        for room in member.memberships.past_rooms() {
            self.log.rooms_mut().release_past(room);
        }
        self.log.rooms_mut().close_own(member.id, index);
        let Member { id, key, data, .. } = member;
        #[cfg(feature = "record")]
        self.record_ended(id);
        Some(Ended { id, key, data, rooms, cause })
    }
}
