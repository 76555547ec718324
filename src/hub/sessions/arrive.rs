//! How a session leaves for another node of a cluster, and arrives there.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::{
    Effect, Member, Sessions,
    arrival::{Arrival, RoomChange},
    member::Place,
    receipts::Receipts,
    snapshot::number,
};
use crate::{
    id::Generation,
    recovery::{Inconsistent, Memberships, RecoveryRefusal, RoomId, require},
    time::Timestamp,
};

impl<D: Clone> Sessions<D> {
    /// A session for another node, where its client has presented this offset. The session stays
    /// here.
    pub(in crate::hub) fn departure(
        &self,
        now: Timestamp,
        index: u32,
        offset: Option<&str>,
    ) -> Result<Arrival<D>, RecoveryRefusal> {
        let member = self.members.get(index as usize).ok_or(RecoveryRefusal::Unknown)?;
        let position = self.resume_from(index, offset)?;
        let kept = self.kept_offset(index, false).filter(|_| position <= member.floor);
        self.check(index, position)?;
        let first = member.memberships.missed(&self.log, position).into_iter().next();
        let before = first.map_or_else(|| self.log.head(), |first| first.saturating_sub(1));
        let (rooms, changes) = self.rooms_since(member, before).ok_or(RecoveryRefusal::Gap)?;
        Ok(Arrival {
            sid: member.id,
            pid: member.key.ok_or(RecoveryRefusal::Unknown)?,
            data: member.data.clone(),
            left: self.time_left(now, member),
            receipts: member.receipts.as_ref().map(|receipts| receipts.snapshot()),
            at: self.log.head_offset(),
            resume: self.log.before_next(before).ok_or(RecoveryRefusal::Gap)?,
            rooms,
            changes,
            is_unproven: self.is_unproven(index, position),
            kept,
        })
    }

    /// The rooms that a session was in at a sequence, without the one that is named after it, and
    /// how they have changed since. `None` if the log does not know all the positions any more.
    pub(super) fn rooms_since(
        &self,
        member: &Member<D>,
        sequence: u64,
    ) -> Option<(BTreeSet<Box<str>>, Vec<RoomChange>)> {
        let shared = |room: RoomId| {
            let name = self.log.rooms().name(room).filter(|_| room != RoomId::ALL);
            name.filter(|name| ***name != *member.id.as_str()).map(|name| Box::from(&**name))
        };
        let (rooms, changes) = member.memberships.since(sequence);
        let changes = changes.into_iter().filter_map(|(sequence, room, is_join)| {
            let room = shared(room)?;
            Some(self.log.kept_position(sequence).map(|at| RoomChange { at, room, is_join }))
        });
        Some((rooms.into_iter().filter_map(shared).collect(), changes.collect::<Option<_>>()?))
    }
}

impl<D> Sessions<D> {
    /// Brings in a session of another node. It then is as if it had begun here, at the position from
    /// which its client resumes, and had been parked.
    pub(super) fn arrive(
        &mut self,
        now: Timestamp,
        arrival: Arrival<D>,
        generation: Generation,
    ) -> Effect<D> {
        let names = arrival.rooms.iter().map(|room| &**room);
        let changed = arrival.changes.iter().map(|change| &*change.room);
        let names: BTreeSet<&str> = names.chain(changed).collect();
        let rooms: BTreeMap<Box<str>, RoomId> =
            names.into_iter().map(|name| (name.into(), self.room_to_join(name))).collect();
        let kept = arrival.kept.filter(|kept| kept.offset > arrival.resume);
        let made = self.make_arrived(now, arrival, generation, &rooms);
        let effect = match made {
            Ok(member) => {
                let index = self.add_parked(member);
                self.forget_past(index);
                self.kept.extend(kept.map(|kept| (index, kept)));
                Effect::Opened(index)
            }
            Err(inconsistent) => Effect::Invalid(inconsistent),
        };
        self.log.rooms_mut().free_unused(rooms.into_values().collect());
        effect
    }

    fn make_arrived(
        &self,
        now: Timestamp,
        arrival: Arrival<D>,
        generation: Generation,
        rooms: &BTreeMap<Box<str>, RoomId>,
    ) -> Result<Member<D>, Inconsistent> {
        let Arrival { sid, pid, data, left, receipts, resume, .. } = arrival;
        let Arrival { rooms: first, changes, is_unproven, .. } = arrival;
        require(self.locate(&sid, None).is_none(), "sid")?;
        let floor = self.log.covered(resume).ok_or(Inconsistent("resume"))?;
        let limit = self.memberships_limit();
        let mut memberships = Memberships::new(floor);
        let own = RoomId::own(number(self.members.vacant_key()));
        let named = self.log.rooms().find(sid.as_str());
        for room in [RoomId::ALL, own].into_iter().chain(named) {
            memberships.join_since(room, floor);
        }
        let find = |name: &str| rooms.get(name).copied().ok_or(Inconsistent("rooms"));
        for name in first {
            require(*name != *sid.as_str(), "rooms")?;
            memberships.join_since(find(&name)?, floor);
        }
        let mut latest = floor;
        for RoomChange { at, room: name, is_join } in changes {
            let at = self.log.covered(at).filter(|at| *at >= latest);
            latest = at.ok_or(Inconsistent("changes"))?;
            require(*name != *sid.as_str(), "changes")?;
            let room = find(&name)?;
            if is_join {
                memberships.join_at(&self.log, latest, room, limit);
            } else {
                memberships.leave_at(&self.log, latest, room, limit);
            }
        }
        let restore = |receipts| Receipts::restore(receipts, &self.config.limits).map(Box::new);
        let left = left.min(self.max_disconnection());
        Ok(Member {
            id: sid,
            key: Some(pid),
            generation,
            attachment: 0,
            claimed: 0,
            data,
            place: Place::Parked { expires: now.saturating_add(left) },
            floor,
            is_restored: false,
            is_unproven,
            memberships,
            receipts: receipts.map(restore).transpose()?,
        })
    }
}
