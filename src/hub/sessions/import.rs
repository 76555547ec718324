//! How a session moves from one process to another.

#[cfg(test)]
mod tests;

use alloc::{collections::BTreeMap, vec::Vec};

use super::{Effect, SessionRecord, Sessions, snapshot::number};
use crate::{
    id::Generation,
    recovery::{Inconsistent, Resolution, Resumption, RoomId, RoomPlace, require},
    time::Timestamp,
};

impl<D: Clone> Sessions<D> {
    /// A session as a record. The session stays here. `None` if it cannot be recovered, or if the
    /// log does not assign its positions itself: then it does not know all of them any more.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "a cluster moves sessions with `departure` and `arrive`")
    )]
    pub(in crate::hub) fn export(&self, now: Timestamp, index: u32) -> Option<SessionRecord<D>> {
        let member = self.members.get(index as usize)?;
        let (current, past) = (member.memberships.current(), member.memberships.past_rooms());
        let rooms = current.iter().map(|it| it.room).chain(past);
        let named: BTreeMap<&str, RoomId> =
            rooms.filter_map(|room| Some((&**self.log.rooms().name(room)?, room))).collect();
        let places: BTreeMap<RoomId, RoomPlace> = named.values().copied().zip(1..).collect();
        let place = |room: RoomId| places.get(&room).copied();
        let session = self.session_snapshot(now, RoomId::own(index), member, place)?;
        Some(SessionRecord {
            taken_at: now,
            at: self.log.head_offset(),
            private: self.log.position(self.log.last(RoomId::own(index)))?,
            rooms: named.into_keys().map(Into::into).collect(),
            session: session.try_map(|sequence| self.log.position(sequence))?,
        })
    }
}

impl<D> Sessions<D> {
    /// Brings in a session of another process. It then is as if it had been parked here.
    ///
    /// The log must have assigned all positions of the record, and must contain the packets for all
    /// rooms. A client that has not processed the latest packet to it alone is then refused.
    pub(super) fn import(
        &mut self,
        now: Timestamp,
        record: SessionRecord<D>,
        generation: Generation,
    ) -> Effect<D> {
        let rooms: Vec<RoomId> = record.rooms.iter().map(|name| self.room_to_join(name)).collect();
        let imported = self.import_into(now, record, generation, &rooms);
        match imported {
            Ok(index) => Effect::Opened(index),
            Err(inconsistent) => {
                self.log.rooms_mut().free_unused(rooms);
                Effect::Invalid(inconsistent)
            }
        }
    }

    fn import_into(
        &mut self,
        now: Timestamp,
        record: SessionRecord<D>,
        generation: Generation,
        rooms: &[RoomId],
    ) -> Result<u32, Inconsistent> {
        let SessionRecord { taken_at, at, private, rooms: names, session } = record;
        require(self.config.logs_vacant_rooms && self.log.assigns_positions(), "log")?;
        require(names.is_sorted_by(|a, b| a < b), "rooms")?;
        let sequence = |offset| match self.log.resolve(offset) {
            Resolution::After(sequence) => Some(sequence),
            Resolution::Lost | Resolution::Future | Resolution::Foreign => None,
        };
        sequence(at).ok_or(Inconsistent("at"))?;
        let private = sequence(private).ok_or(Inconsistent("private"))?;
        let session = session.try_map(sequence).ok_or(Inconsistent("session"))?;
        let room =
            |place: RoomPlace| rooms.get(usize::try_from(place).ok()?.checked_sub(1)?).copied();
        let resumption = Resumption { taken_at, now };
        let mut member = self.read_session(session, resumption, generation, &room)?;
        require(self.locate(&member.id, None).is_none(), "session.sid")?;
        let own_room = RoomId::own(number(self.members.vacant_key()));
        member.memberships.arrive(&self.log, own_room, private);
        // The session has been in the room named after it since it began. Packets for that room may
        // have been logged here before the session came.
        if let Some(shared) = self.log.rooms().find(member.id.as_str()) {
            member.memberships.join_since(shared, member.floor);
        }
        let index = self.add_parked(member);
        self.forget_past(index);
        Ok(index)
    }
}
